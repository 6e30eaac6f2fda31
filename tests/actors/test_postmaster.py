"""Late words of a postmaster that is gone already change nothing for the one that runs.

The end of a postmaster is told when its children are gone; by then PostgreSQL may run again.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.actors.cast import DECIDERS
from regnal.actors.dcs_watcher import DCS_WATCHER
from regnal.actors.election import ELECTION
from regnal.actors.incidents import INCIDENTS
from regnal.actors.postgres_supervisor import POSTGRES_SUPERVISOR
from regnal.actors.postmaster import Postmaster, heard_of
from regnal.actors.rest import REST
from regnal.actors.slot_manager import SLOT_MANAGER
from regnal.actors.step import Decider
from regnal.actors.sync_standby_manager import SYNC_STANDBY_MANAGER
from regnal.actors.watchdog import WATCHDOG
from regnal.messages.base import Message
from regnal.messages.fencing import ArmGuard, GuardArmed
from regnal.messages.postgres import (
    ControlData,
    PostgresObserved,
    PostgresStarted,
    PostmasterExited,
)
from tests.actors.builders import (
    acquired,
    begun,
    configured,
    phase,
    primary,
    renewed,
)

FIRST, SECOND = 41, 42
STARTED = PostgresStarted(role="primary", postmaster_pid=SECOND)


def ended(pid: int, *, expected: bool = False) -> PostmasterExited:
    control = ControlData(
        state="in production",
        timeline=1,
        system_identifier="7",
        checkpoint_lsn=1,
        redo_lsn=1,
        wal_log_hints=True,
        checksums=False,
    )
    return PostmasterExited(
        pid=pid, exit_status=None, signal=9, expected=expected, control=control
    )


HEARERS: tuple[Decider[Any], ...] = (
    ELECTION,
    POSTGRES_SUPERVISOR,
    WATCHDOG,
    SYNC_STANDBY_MANAGER,
    SLOT_MANAGER,
    DCS_WATCHER,
    REST,
)
"""Who goes by it; incidents remember it, too."""


def leading(decider: Decider[Any]) -> Any:
    """It leads with the second postmaster; the end of the first was not told yet."""
    messages = (
        configured(synchronous_mode="on", watchdog_mode="off"),
        primary(postmaster_pid=FIRST, synchronous_standby_names=""),
        phase("primary"),
        acquired(),
        phase("stopped", "primary"),
        STARTED,
        phase("primary"),
        primary(postmaster_pid=SECOND, synchronous_standby_names=""),
    )
    heard = (one for one in messages if isinstance(one, decider.hears))
    return begun(decider, *heard)


@pytest.mark.parametrize("expected", [False, True])
@pytest.mark.parametrize("decider", HEARERS, ids=lambda decider: decider.name)
def test_the_end_of_the_postmaster_before_changes_nothing(
    decider: Decider[Any], expected: bool
) -> None:
    """Law 1: what was started since runs on."""
    told = leading(decider)
    reminded = told.hear(renewed()) if type(renewed()) in decider.hears else told

    late = reminded.hear(ended(FIRST, expected=expected))

    assert late.state == reminded.state
    assert not [one for one in late.said if not one.routine]


@pytest.mark.parametrize("decider", DECIDERS, ids=lambda decider: decider.name)
def test_every_actor_that_hears_of_an_end_knows_whose(decider: Decider[Any]) -> None:
    """By a start, or by what is observed right after it."""
    if PostmasterExited not in decider.hears:
        return
    assert decider in (*HEARERS, INCIDENTS)
    assert {PostgresStarted, PostgresObserved} & {*decider.hears}


def test_an_end_that_is_told_late_is_an_incident_all_the_same() -> None:
    """It happened, and says nothing of the primary that runs."""
    late = leading(INCIDENTS).hear(ended(FIRST))

    (incident,) = late.state.memory.incidents
    assert incident.what == "primary_interrupted"
    assert late.state.was_primary
    assert late.state.phase == "primary"


def test_the_guard_knows_the_postmaster_after_the_late_end() -> None:
    told = leading(WATCHDOG).hear(GuardArmed(guard_pid=7), ended(FIRST))

    (order,) = told.hear(renewed(150.0)).of(ArmGuard)

    assert order.postmaster_pid == SECOND


def test_an_end_of_this_one_counts() -> None:
    told = leading(WATCHDOG).hear(ended(SECOND))

    assert told.state.server == "absent"
    assert told.state.postmaster_pid is None


def test_an_older_observation_brings_no_postmaster_back() -> None:
    """It was made before the start, and is told after it."""
    stale = primary(postmaster_pid=FIRST)
    told = leading(POSTGRES_SUPERVISOR).hear(stale, ended(FIRST))
    assert told.state.running

    assert not told.hear(ended(SECOND)).state.running


def test_a_postmaster_that_somebody_else_started_is_known() -> None:
    """Only observations tell of it."""
    by_hand = 43
    told = leading(POSTGRES_SUPERVISOR).hear(
        ended(SECOND), primary(postmaster_pid=by_hand)
    )
    assert told.state.running

    assert not told.hear(ended(by_hand)).state.running


@dataclass
class Host:
    """Postmasters one after the other, each with a pid of its own; what is told of them
    is in order, but for ends, which may be late."""

    pid: int = 0
    untold: list[int] = field(default_factory=list)


@given(st.lists(st.sampled_from(["start", "look", "end", "tell"]), max_size=25))
def test_the_one_that_runs_is_never_thought_to_have_ended(moves: list[str]) -> None:
    """Whatever is late: an end counts only if it is that of the last one started."""
    host, known, last, running = Host(), Postmaster(), 0, False
    for move in moves:
        said: Message | None = None
        match move:
            case "start" if not running:
                host.pid, last, running = last + 1, last + 1, True
                said = PostgresStarted(role="primary", postmaster_pid=last)
            case "look" if running:
                said = PostgresObserved(status=primary(postmaster_pid=host.pid).status)
            case "end" if running:
                running = False
                host.untold.append(host.pid)
            case "tell" if host.untold:
                said = ended(host.untold.pop(0))
        if isinstance(said, PostmasterExited):
            of_a_former = said.pid != last
            assert known.is_late(said) == of_a_former
        if said is not None:
            known = heard_of(known, said)
        if running:
            assert known.pid == host.pid
