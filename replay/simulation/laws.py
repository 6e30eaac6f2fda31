"""The safety laws (docs/architecture.md 5), as far as a simulation can see them.

Each raises `LawBroken`, whose text begins with the instant.
"""

from collections.abc import Iterable
from typing import Protocol

from regnal.messages.base import Instant, MemberName, Seconds
from regnal.messages.settings import Settings
from regnal.messages.status import StatusSnapshot
from regnal.replay.simulation.postgres import SimulatedPostgres
from regnal.replay.simulation.store import SimulatedStore

RESUME_WITHIN: Seconds = 3.0
"""After a pause a primary may have no lease any more: it must see to that first, with
failsafe_mode by asking the members, who have two seconds."""

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

    has_guards: bool
    """Whether one was ever armed: the first primary of a cluster is one before."""

    resumed_at: Instant

    @property
    def now(self) -> Instant: ...

    @property
    def is_paused(self) -> bool: ...

    @property
    def acknowledged(self) -> list[int]: ...

    def settings_of(self, name: MemberName) -> Settings: ...

    def says_primary(self, name: MemberName) -> bool: ...


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
    has_to_be_guarded = facts.has_guards and facts.settings_of(writer).guard
    if has_to_be_guarded and writer not in facts.guards:
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
    if facts.now >= facts.lease_until.get(name, 0.0):
        raise _broken(facts, f"law 3: {name} was promoted without the leader lock")
    if by_hand or not facts.settings_of(name).is_synchronous:
        return
    sync = facts.store.sync
    if sync is not None and sync.leader is not None and not sync.allows(name):
        raise _broken(facts, f"law 3: {name} was promoted and is not in /sync")
    check_nothing_is_lost(facts, name)


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


def _broken(facts: Facts, text: str) -> LawBroken:
    return LawBroken(f"{facts.now:.3f}: {text}")
