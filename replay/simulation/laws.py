"""The safety laws (docs/architecture.md 5), as far as a simulation can see them.

Each raises `LawBroken`, whose text begins with the instant.
"""

from collections.abc import Iterable
from typing import Protocol

from regnal.messages.base import Instant, MemberName, Seconds
from regnal.messages.settings import Settings
from regnal.messages.status import StatusSnapshot
from regnal.replay.safety_laws import (
    law_of_electors,
    law_of_lag,
    law_of_letting_go,
    law_of_promotion,
    law_of_start,
)
from regnal.replay.simulation.postgres import SimulatedPostgres
from regnal.replay.simulation.store import SimulatedStore

RESUME_WITHIN: Seconds = 0.1
"""After a pause a primary has to hear of it and to arm its guard first.  It had the lease,
since whoever resumes has seen that it reaches the store (`harm`)."""

ARMED_WITHIN: Seconds = 1.0
"""After the first lease of a cluster was granted, by which time its primary is guarded."""

GRACE: Seconds = 0.001
"""Of floating point, and of a guard that is woken at the very instant."""


class LawBroken(AssertionError):
    """A safety law did not hold."""


class Facts(Protocol):
    """What the laws look at."""

    postgres: dict[MemberName, SimulatedPostgres]
    store: SimulatedStore
    snapshots: dict[MemberName, StatusSnapshot]
    lease_until: dict[MemberName, Instant]
    guards: dict[MemberName, Instant]
    """When each guard that is armed fences."""

    founded_at: Instant
    """When the first lease was granted; infinity: none was.  The first primary of a
    cluster is one before."""

    resumed_at: Instant

    @property
    def now(self) -> Instant: ...

    @property
    def is_paused(self) -> bool: ...

    @property
    def acknowledged(self) -> list[int]: ...

    def settings_of(self, name: MemberName) -> Settings: ...

    def says_primary(self, name: MemberName) -> bool: ...

    def has_everything(self, name: MemberName) -> bool:
        """Whether it has every acknowledged row."""
        ...

    def should_have_stepped_down(self, name: MemberName) -> bool:
        """Whether its daemon runs, is not late, believes in its lease, and has not
        told PostgreSQL to stop."""
        ...


def check_writers(facts: Facts) -> None:
    """Laws 1, 2 and 6, after every event: one member takes writes, under its own lease,
    with its guard armed and no longer than that allows, and one says so.

    A new cluster's first primary exists a moment before its lease; in pause a
    person decides.
    """
    writer: MemberName | None = None
    for name, server in facts.postgres.items():
        if server.role == "primary" and server.takes_writes:
            if writer is not None:
                raise _broken(facts, f"law 1: {writer} and {name} take writes")
            writer = name
    if writer is None or not facts.lease_until or facts.is_paused:
        return
    now = facts.now
    if now < facts.resumed_at + RESUME_WITHIN:
        return
    if now > facts.lease_until.get(writer, 0.0) - _fenced_before(facts, writer) + GRACE:
        raise _broken(facts, f"law 1: {writer} takes writes without a lease")
    has_to_be_guarded = facts.settings_of(writer).guard
    is_founded = now > facts.founded_at + ARMED_WITHIN
    if has_to_be_guarded and is_founded and writer not in facts.guards:
        raise _broken(facts, f"law 2: {writer} takes writes without a guard")
    _check_what_is_told(facts)


def _check_what_is_told(facts: Facts) -> None:
    telling = 0
    for snapshot in facts.snapshots.values():
        telling += snapshot.accepts_writes
    if telling > 1:
        names = [name for name in facts.snapshots if facts.says_primary(name)]
        if len(names) > 1:
            raise _broken(facts, f"law 6: GET /primary is 200 on {names}")


def _fenced_before(facts: Facts, name: MemberName) -> Seconds:
    """How long before the end of the lease the guard has fenced (actors/watchdog.py)."""
    settings = facts.settings_of(name)
    if not settings.guard:
        return 0.0
    return min(settings.lease_margin, settings.ttl / 4) / 2


def check_promotion(facts: Facts, name: MemberName, *, by_hand: bool) -> None:
    """Laws 3 and 4, when PostgreSQL has been promoted.

    `by_hand`: a person named this member, who may know better than `/sync`.
    """
    if facts.is_paused or facts.now < facts.resumed_at + RESUME_WITHIN:
        return
    settings = facts.settings_of(name)
    restricts = settings.is_synchronous and not by_hand
    law = law_of_promotion(
        name,
        leads=facts.now < facts.lease_until.get(name, 0.0),
        sync=facts.store.sync if restricts else None,
    )
    if law is None and not by_hand and facts.store.failover is None:
        law = law_of_lag(
            name,
            published=facts.store.status.optime if facts.store.status else 0,
            position=facts.postgres[name].promoted_at,
            limit=settings.maximum_lag_on_failover,
        )
    _break(facts, law)
    if restricts:
        check_nothing_is_lost(facts, name)


def check_start(facts: Facts, name: MemberName) -> None:
    """Law 1, when PostgreSQL is told to start as primary."""
    if facts.is_paused or facts.now < facts.resumed_at + RESUME_WITHIN:
        return
    leads = facts.now < facts.lease_until.get(name, 0.0)
    _break(facts, law_of_start(name, leads=leads))


def check_letting_go(facts: Facts, name: MemberName) -> None:
    """Law 1, when the store lets go of a leader at its own wish."""
    if not facts.is_paused:
        takes_writes = facts.postgres[name].takes_writes
        _break(facts, law_of_letting_go(name, takes_writes=takes_writes))


def check_fencing(facts: Facts, name: MemberName) -> None:
    """Law 2, at the guard's deadline: it stands behind the daemon, not instead of it."""
    if facts.postgres[name].takes_writes and facts.should_have_stepped_down(name):
        _break(facts, f"law 2: the guard must fence {name}, whose daemon runs")


def check_electors(facts: Facts) -> None:
    """Law 4 in synchronous mode, whenever the key, the standbys' names or what was
    acknowledged have changed."""
    key = facts.store.sync
    if key is None or key.leader is None or facts.is_paused:
        return
    server = facts.postgres.get(key.leader)
    if server is None or not server.takes_writes:
        return
    if not facts.settings_of(server.member).is_synchronous:
        return
    members = {name.lower(): name for name, one in facts.postgres.items() if one.exists}

    def has_everything(name: MemberName) -> bool:
        """A member without data cannot be promoted, whatever the key says."""
        member = members.get(name.lower())
        return member is None or facts.has_everything(member)

    named = server.standby_names
    law = law_of_electors(
        key,
        server.synchronous_standby_names,
        named.names,
        named.count,
        has_everything,
    )
    _break(facts, law)


def check_nothing_is_lost(facts: Facts, name: MemberName) -> None:
    """Law 4: every acknowledged row is there."""
    rows = facts.postgres[name].own_rows
    lost = [row for row in facts.acknowledged if row not in rows]
    if lost:
        shown = f"{lost[0]} to {lost[-1]}"
        raise _broken(
            facts, f"law 4: {len(lost)} acknowledged rows ({shown}) are not on {name}"
        )


def check_former_primary(facts: Facts, name: MemberName, upstream: MemberName) -> None:
    """Law 5, when a former primary is started to follow a primary: it has been shown
    not to have diverged, or was rewound or rebuilt."""
    mine, leader = facts.postgres[name], facts.postgres.get(upstream)
    if mine.was_standby or leader is None or not leader.takes_writes:
        return
    if mine.has_diverged_from(leader):
        raise _broken(
            facts, f"law 5: {name} diverged, and is started to follow {upstream}"
        )


def check_removal(facts: Facts, name: MemberName) -> None:
    """Law 7: data are removed only where another has the like."""
    mine = facts.postgres[name]
    if not mine.exists or any(_has_more(other, mine) for other in _others(facts, name)):
        return
    raise _broken(
        facts, f"law 7: {name} removes the only data of timeline {mine.timeline}"
    )


def check_creation(facts: Facts, name: MemberName) -> None:
    """Law 7: a cluster is created once."""
    if any(other.exists for other in facts.postgres.values()):
        raise _broken(facts, f"law 7: {name} creates a second database cluster")


def _others(facts: Facts, name: MemberName) -> Iterable[SimulatedPostgres]:
    return (other for other in facts.postgres.values() if other.member != name)


def _has_more(other: SimulatedPostgres, mine: SimulatedPostgres) -> bool:
    return other.exists and other.timeline >= mine.timeline


def _break(facts: Facts, law: str | None) -> None:
    if law is not None:
        raise _broken(facts, law)


def _broken(facts: Facts, text: str) -> LawBroken:
    return LawBroken(f"{facts.now:.3f}: {text}")
