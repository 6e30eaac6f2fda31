"""Views of election for the tests of its rules, and how a rule is tried.

`LEADER`, `STANDBY`, `RACER`, `CRASHED` and `NEWCOMER` are the situations that most
rules are about; a test changes with `replace` (or `with_settings`, `with_cluster`,
`with_postgres`) what matters to it.
"""

from dataclasses import dataclass, replace
from typing import Any

from regnal.actors.election import ELECTION
from regnal.actors.election_rule import Rule
from regnal.actors.election_state import Election
from regnal.actors.step import Step
from regnal.messages.base import Instant, Message
from regnal.messages.cluster import FailoverRequest, SyncState
from regnal.messages.postgres import ControlData, PostgresStatus, Upstream
from regnal.messages.probes import PeerStatus
from regnal.messages.timers import SetTimer, TimerFired
from tests.actors.builders import (
    SYSTEM,
    envelope,
    primary,
    sender,
    settings,
    standby,
    view,
)
from tests.actors.operator_model import control

NOW: Instant = 100.0
WAKE = TimerFired(name="election:wake", due_at=NOW)
MEMBERS = ("pg1", "pg2", "pg3")
PG2 = Upstream(member="pg2", host="pg2", port="5432", slot="pg1", is_leader=True)
PG3 = PG2.model_copy(update={"member": "pg3", "host": "pg3"})

LEADER = Election(
    member="pg1",
    settings=settings(),
    cluster=view(*MEMBERS, leader="pg1"),
    known_members=view(*MEMBERS).members,
    last_leader="pg1",
    seen_initialized=True,
    postgres=primary(senders=(sender("pg2"), sender("pg3"))).status,
    phase="primary",
    observed_at=NOW,
    last_lsn=1000,
    lease_until=NOW + 25,
    fencing="stands",
    heartbeat_at=NOW + 5,
)
"""pg1 leads, its lease has 25 s to go, and everybody streams from it."""

STANDBY = replace(
    LEADER,
    cluster=view(*MEMBERS, leader="pg2"),
    last_leader="pg2",
    postgres=standby().status,
    phase="standby",
    following=PG2,
    was_primary=False,
    lease_until=None,
    last_lsn=None,
)
"""pg1 streams from pg2, which leads."""


def peer(name: str, **fields: Any) -> PeerStatus:
    """What a standby like us answers to a probe."""
    return PeerStatus(
        **{
            "name": name,
            "answered": True,
            "role": "replica",
            "state": "running",
            "timeline": 1,
            "position": 900,
            **fields,
        }
    )


SILENT_PG2 = PeerStatus(name="pg2", answered=False, error="refused")

RACER = replace(
    STANDBY,
    cluster=view(*MEMBERS, leader=None),
    leader_gone_at=NOW - 1,
    peers=(SILENT_PG2, peer("pg3", position=800)),
    peers_at=NOW,
)
"""The key of pg2 is gone, pg2 does not answer, and pg3 is behind us."""

CHOSEN = replace(RACER, lease_until=NOW + 30)
"""The lease is ours, PostgreSQL is still a standby."""

DOWN = PostgresStatus(
    process="absent", data_directory="valid", system_identifier=SYSTEM
)
CRASHED = replace(
    LEADER,
    postgres=DOWN.model_copy(update={"control": control("in production")}),
    phase="stopped",
    control=control("in production"),
)
"""pg1 leads, and its PostgreSQL has just died."""

STOPPED = replace(
    STANDBY,
    postgres=DOWN,
    phase="stopped",
    control=control("shut down in recovery"),
    following=None,
)
"""pg1 does not run, pg2 leads."""

NEWCOMER = replace(
    STOPPED,
    postgres=PostgresStatus(process="absent", data_directory="missing"),
    phase="absent",
    control=None,
    was_primary=True,
)
"""pg1 has no data, pg2 leads."""

FOUNDER = replace(
    NEWCOMER,
    cluster=view(leader=None, initialize=None, config=None, history=None),
    known_members=(),
    last_leader=None,
    seen_initialized=False,
    leader_gone_at=NOW - 1,
)
"""pg1 has no data, and there is no cluster."""


def with_settings(given: Election, **fields: Any) -> Election:
    return replace(given, settings=settings(**fields))


def with_cluster(given: Election, *members: Any, **fields: Any) -> Election:
    """With another view of the cluster; what is not given stays as it is."""
    assert given.cluster is not None
    fields.setdefault("leader", given.cluster.leader_name)
    changed = view(*(members or given.cluster.members), **fields)
    kept = set(type(changed).model_fields) - {"leader", "members", *fields}
    return replace(
        given,
        cluster=changed.model_copy(
            update={name: getattr(given.cluster, name) for name in kept}
        ),
    )


def with_postgres(given: Election, **fields: Any) -> Election:
    assert given.postgres is not None
    return replace(given, postgres=given.postgres.model_copy(update=fields))


def request(leader: str | None = None, candidate: str | None = None) -> FailoverRequest:
    return FailoverRequest(
        leader=leader, candidate=candidate, scheduled_at=None, revision=7
    )


def asked(
    given: Election, leader: str | None = None, candidate: str | None = None
) -> Election:
    """With a request in the failover key."""
    return with_cluster(given, failover=request(leader, candidate))


def sync(leader: str | None, *standbys: str, quorum: int = 0) -> SyncState:
    return SyncState(leader=leader, standbys=standbys, quorum=quorum, revision=3)


def stopped_at(lsn: int) -> ControlData:
    return control("shut down", checkpoint_lsn=lsn)


def decide(given: Election, when: Message = WAKE, at: Instant = NOW) -> Step[Election]:
    return ELECTION.handle(given, envelope(when, at))


Expected = Message | type[Message]


@dataclass(frozen=True)
class Case:
    """A rule in a situation, and what it says there (in order; timers left out)."""

    rule: Rule
    given: Election
    said: tuple[Expected, ...] = ()
    at: Instant = NOW
    when: Message = WAKE


def check_that_it_speaks(case: Case) -> Step[Election]:
    step = decide(case.given, case.when, case.at)
    assert step.rule == case.rule.__name__
    said = [message for message in step.said if not isinstance(message, SetTimer)]
    assert len(said) == len(case.said), said
    for message, expected in zip(said, case.said, strict=True):
        if isinstance(expected, Message):
            assert message == expected
        else:
            assert isinstance(message, expected)
    return step


def check_that_it_is_silent(case: Case) -> None:
    assert decide(case.given, case.when, case.at).rule != case.rule.__name__
