"""The safety laws that simulator and model checker share (docs/architecture.md 5).

Each takes facts and returns the law that they break, as a sentence; None: they keep it.
"""

from collections.abc import Callable, Collection

from regnal.messages.base import LSN, Bytes, MemberName
from regnal.messages.cluster import SyncState


def law_of_promotion(
    name: MemberName, *, leads: bool, sync: SyncState | None
) -> str | None:
    """Laws 3 and 4.  `leads`: whether the lock is its own.  `sync`: the key in
    synchronous mode; None: it restricts nobody."""
    if not leads:
        return f"law 3: {name} is promoted without the leader lock"
    if sync is None or sync.leader is None:
        return None
    if not sync.allows(name):
        return f"law 3: {name} is promoted though /sync does not name it"
    if sync.leader != name:
        return f"law 4: {name} is promoted while /sync lets others lead"
    return None


def law_of_lag(
    name: MemberName, *, published: LSN, position: LSN, limit: Bytes
) -> str | None:
    """Law 3: maximum_lag_on_failover, by what the leader last published."""
    lag = published - position
    if lag > limit:
        return f"law 3: {name} is promoted though it lags by {lag} bytes"
    return None


def law_of_letting_go(name: MemberName, *, takes_writes: bool) -> str | None:
    """Law 1, when the store lets go of a leader at its own wish."""
    if takes_writes:
        return f"law 1: {name} gives the lock away while it takes writes"
    return None


def law_of_start(name: MemberName, *, leads: bool) -> str | None:
    """Law 1, when PostgreSQL is told to start as primary."""
    if not leads:
        return f"law 1: {name} starts as primary without the leader lock"
    return None


def law_of_electors(
    key: SyncState,
    value: str,
    named: Collection[MemberName],
    count: int,
    has_everything: Callable[[MemberName], bool],
) -> str | None:
    """What law 4 rests on (`sync_plan`): nobody whom the key of the leader lets be
    promoted lacks what was acknowledged, or may be.

    `value` is the leader's synchronous_standby_names: `count` of `named` must have a
    row before it is acknowledged.
    """
    if not key.standbys:
        return None
    together = {name.lower() for name in (*key.standbys, *named)}
    if len(together) > key.quorum + count:
        return f"law 4: {value!r} lets rows be acknowledged that /sync does not protect"
    having = sum(has_everything(name) for name in key.standbys)
    if having < len(key.standbys) - key.quorum:
        return f"law 4: /sync names {key.standbys}, who lack an acknowledged row"
    return None
