"""Health checks: what a load balancer asks (docs/contracts.md 4.2).

Read CHECKS first: each path and the condition under which it answers 200.
Nothing here waits or asks anybody; a check is a function of the last snapshot,
the moment, and the parameters of the question.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from regnal.messages.base import Bytes, Instant
from regnal.messages.status import StatusSnapshot

MAXIMUM_PARAMETERS = 100
"""Of one question; nobody needs more."""

_SIZE = re.compile(r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*(B|kB|MB|GB|TB)?\s*", re.ASCII)
_UNITS = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


@dataclass(frozen=True, slots=True)
class Question:
    """The parameters of a health check."""

    lag: Bytes | None = None
    """None: not given, or not readable, which means no limit."""

    tags: tuple[tuple[str, str], ...] = ()
    mode: str = "apply"
    """Of /readiness: `apply` compares what was replayed, `write` what was received."""

    replication_state: str | None = None
    """None: any."""


NO_PARAMETERS = Question()


def parse_question(query: str) -> Question:
    """Raises ValueError if there are too many parameters."""
    lag: Bytes | None = None
    mode = "apply"
    replication_state: str | None = None
    tags: list[tuple[str, str]] = []
    for name, value in parse_qsl(
        query, keep_blank_values=True, max_num_fields=MAXIMUM_PARAMETERS
    ):
        if name == "lag":
            lag = parse_size(value)
        elif name == "mode":
            mode = value
        elif name == "replication_state":
            replication_state = value
        elif name.startswith("tag_"):
            tags.append((name.removeprefix("tag_"), value))
    return Question(lag, tuple(tags), mode, replication_state)


def parse_size(text: str) -> Bytes | None:
    """`16kB` and the like as bytes; None if it cannot be read."""
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    return int(float(match[1]) * _UNITS[match[2] or "B"])


@dataclass(frozen=True, slots=True)
class Moment:
    """The last snapshot, at the moment of a question."""

    snapshot: StatusSnapshot
    withdrawn: bool
    """Whether `WithdrawPrimary` came after the snapshot."""

    now: Instant
    question: Question = NO_PARAMETERS

    @property
    def holds_lock(self) -> bool:
        """The last renewal succeeded and has not expired."""
        return self.now < self.snapshot.leader_until and not self.withdrawn

    @property
    def role_decides(self) -> bool:
        """PAUSE-14: paused, and nobody can say who leads."""
        return self.snapshot.paused and not self.snapshot.store_known


def is_primary(moment: Moment) -> bool:
    """Law 6: only while this member may accept writes, and does."""
    snapshot = moment.snapshot
    if snapshot.is_standby_cluster:
        return False
    if moment.role_decides:
        return snapshot.paused_primary
    return moment.holds_lock and snapshot.accepts_writes


def is_standby_leader(moment: Moment) -> bool:
    snapshot = moment.snapshot
    if not snapshot.is_standby_cluster:
        return False
    if moment.role_decides:
        return snapshot.role == "standby_leader"
    return moment.holds_lock and snapshot.role in ("replica", "standby_leader")


def is_leader(moment: Moment) -> bool:
    if moment.role_decides:
        return is_primary(moment) or is_standby_leader(moment)
    return moment.holds_lock


def is_replica(moment: Moment) -> bool:
    snapshot, question = moment.snapshot, moment.question
    wanted = question.replication_state
    return (
        snapshot.is_replica
        and snapshot.is_running
        and not snapshot.noloadbalance
        and (wanted is None or wanted == snapshot.replication_state)
        and lags_within(snapshot, snapshot.replayed_lsn, question.lag)
    )


def is_readable(moment: Moment) -> bool:
    return is_primary(moment) or is_standby_leader(moment) or is_replica(moment)


def is_synchronous(moment: Moment) -> bool:
    snapshot = moment.snapshot
    return snapshot.store_known and snapshot.is_synchronous and is_replica(moment)


def is_asynchronous(moment: Moment) -> bool:
    snapshot = moment.snapshot
    listed = snapshot.is_synchronous or snapshot.is_quorum
    return snapshot.store_known and not listed and is_replica(moment)


def is_quorum(moment: Moment) -> bool:
    snapshot = moment.snapshot
    return snapshot.store_known and snapshot.is_quorum and is_replica(moment)


def is_readable_synchronously(moment: Moment) -> bool:
    return (
        is_primary(moment) or is_standby_leader(moment) or is_synchronous(moment)
    ) and moment.snapshot.store_known


def is_readable_with_quorum(moment: Moment) -> bool:
    return (
        is_primary(moment) or is_standby_leader(moment) or is_quorum(moment)
    ) and moment.snapshot.store_known


def is_healthy(moment: Moment) -> bool:
    return moment.snapshot.is_running


def is_unknown(moment: Moment) -> bool:
    """No such check: like one that fails."""
    return False


def is_alive(moment: Moment) -> bool:
    """P-REST-07: the daemon thinks."""
    snapshot = moment.snapshot
    if snapshot.paused:
        return True
    patience = snapshot.ttl if snapshot.role == "primary" else 2 * snapshot.ttl
    return moment.now - snapshot.heartbeat_at < patience


def is_ready(moment: Moment) -> bool:
    """P-REST-08: the leader, or a replica that streams and keeps up."""
    snapshot, question = moment.snapshot, moment.question
    if is_leader(moment):
        return True
    if not snapshot.is_replica or not snapshot.is_running:
        return False
    if snapshot.replication_state != "streaming":
        return False
    limit = question.lag
    if limit is None:
        limit = snapshot.maximum_lag_on_failover
    reached = snapshot.replayed_lsn
    if question.mode == "write":
        reached = snapshot.received_lsn
    return lags_within(snapshot, reached, limit)


def lags_within(snapshot: StatusSnapshot, reached: int, limit: Bytes | None) -> bool:
    return limit is None or snapshot.leader_lsn <= reached + limit


def has_tags(moment: Moment) -> bool:
    """REST-10: every tag that was asked for is there with that value."""
    present = {(tag.name, tag.value) for tag in moment.snapshot.tags}
    return all(tag in present for tag in moment.question.tags)


Check = Callable[[Moment], bool]

CHECKS: Mapping[str, Check] = {
    "": is_primary,
    "primary": is_primary,
    "master": is_primary,
    "read-write": is_primary,
    "standby-leader": is_standby_leader,
    "standby_leader": is_standby_leader,
    "leader": is_leader,
    "replica": is_replica,
    "read-only": is_readable,
    "synchronous": is_synchronous,
    "sync": is_synchronous,
    "asynchronous": is_asynchronous,
    "async": is_asynchronous,
    "read-only-sync": is_readable_synchronously,
    "read-only-synchronous": is_readable_synchronously,
    "quorum": is_quorum,
    "read-only-quorum": is_readable_with_quorum,
    "health": is_healthy,
}
"""By the first segment of the path."""

UNTAGGED = (is_primary, is_standby_leader, is_leader)
"""Checks that ignore `tag_` parameters: there is one leader, whatever its tags."""


def passes(name: str, moment: Moment) -> bool:
    """Whether the check `name` answers 200; an unknown one never does."""
    check = CHECKS.get(name, is_unknown)
    if moment.question.tags and check not in UNTAGGED and not has_tags(moment):
        return False
    return check(moment)
