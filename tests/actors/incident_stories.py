"""Stories of a cluster for the tests of the incidents actor: what it heard before."""

from typing import Any

from regnal.actors.incidents import INCIDENTS
from regnal.actors.incidents_state import Incidents
from regnal.messages.base import Message
from regnal.messages.cluster import ClusterObserved, LeaderView
from regnal.messages.fencing import GuardFenced
from regnal.messages.host import KernelAccount, StallNoticed
from regnal.messages.postgres import PostmasterExited
from regnal.messages.requests import AcknowledgementRequested, Caller
from regnal.messages.timers import TimerFired
from tests.actors.builders import Told, begun, configured, member, phase, seen
from tests.actors.operator_model import control

WAKE = TimerFired(name="incidents:wake", due_at=0.0)
UNREACHABLE_FOR = 10.0
"""One heartbeat of the default settings."""


def held_by(
    name: str | None, revision: int = 10, session: str | None = None, **fields: Any
) -> ClusterObserved:
    """pg1, pg2 and pg3, and `name` holds the key; it runs as primary and the others
    stream.  `fields` with a member's name change what that member published."""
    published = {
        one: {
            "role": "primary" if one == name else "replica",
            "replication_state": None if one == name else "streaming",
        }
        for one in ("pg1", "pg2", "pg3")
    }
    for one in published:
        published[one] |= fields.pop(one, {})
    gone = fields.pop("gone", ())
    leader = (
        LeaderView(name=name, revision=revision, session=session or name)
        if name
        else None
    )
    members = [member(n, **f) for n, f in published.items() if n not in gone]
    found = seen(*members, leader=None, **fields)
    return ClusterObserved(view=found.view.model_copy(update={"leader": leader}))


def exited(*, clean: bool = False, expected: bool = False) -> PostmasterExited:
    return PostmasterExited(
        pid=7,
        exit_status=None,
        signal=9,
        expected=expected,
        control=control("shut down" if clean else "in production"),
    )


def stalled(seconds: float) -> StallNoticed:
    return StallNoticed(
        missing=seconds,
        suspended=0,
        wall_step=0,
        continued=False,
        account=KernelAccount(ran=0.0, over=seconds, cpus=2),
        mailboxes=(),
    )


FENCED = GuardFenced(postmaster_pid=7, at=100.0, late_by=0.0)


def acknowledged(*names: str, comment: str | None = None) -> AcknowledgementRequested:
    """Without a name: all."""
    return AcknowledgementRequested(
        request="r1",
        caller=Caller(address="10.0.0.9", username="ann", user_agent=None),
        incidents=names or None,
        comment=comment,
    )


def standby(*heard: Message, **settings: Any) -> Told[Incidents]:
    """pg1 streams from pg2, which leads; then it hears the rest."""
    return begun(
        INCIDENTS, configured(**settings), phase("standby"), held_by("pg2"), *heard
    )


def leader(*heard: Message, **settings: Any) -> Told[Incidents]:
    """pg1 leads and runs as primary; then it hears the rest."""
    return begun(
        INCIDENTS, configured(**settings), phase("primary"), held_by("pg1"), *heard
    )


def lost(told: Told[Incidents], at: float = 100.0) -> Told[Incidents]:
    """The leader pg2 died, and pg3 took over at once."""
    return told.hear(held_by("pg3", 33, gone=("pg2",)), at=at)
