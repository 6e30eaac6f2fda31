"""Which standbys should be synchronous: a pure choice on what the primary sees."""

from dataclasses import dataclass

from regnal.messages.base import LSN, MemberName
from regnal.messages.cluster import ClusterView
from regnal.messages.postgres import PostgresStatus
from regnal.messages.settings import Settings

VERSION_9_6 = 90600
VERSION_10 = 100000
"""As PostgreSQL counts."""


@dataclass(frozen=True, slots=True)
class Standby:
    """A member that streams from us."""

    name: MemberName
    flushed: LSN
    is_reported: bool
    """Whether PostgreSQL itself calls it synchronous."""

    is_silent: bool
    """Whether it owes a confirmation for longer than one that works would."""

    may_be_chosen: bool
    may_lead: bool
    sync_priority: int
    failover_priority: int

    @property
    def key(self) -> str:
        """The name as names are compared (SYNC-10)."""
        return self.name.lower()


def streaming_standbys(
    status: PostgresStatus,
    cluster: ClusterView,
    me: MemberName,
    silent: frozenset[str] = frozenset(),
) -> tuple[Standby, ...]:
    """Members with a WAL sender that streams; rows without a position are skipped
    (SYNC-08), and so is a connection that has our own name (P-SYNC-10).

    `silent`: names (lower case) of those that owe a confirmation for long.
    """
    members = {member.name.lower(): member for member in cluster.members}
    members.pop(me.lower(), None)
    found: dict[str, Standby] = {}
    for sender in status.senders:
        member = members.get(sender.application_name.lower())
        positions = (sender.write_lsn, sender.flush_lsn, sender.replay_lsn)
        if member is None or sender.state != "streaming" or None in positions:
            continue
        assert sender.flush_lsn is not None
        standby = Standby(
            name=member.name,
            flushed=sender.flush_lsn,
            is_reported=sender.sync_state in ("sync", "quorum"),
            is_silent=member.name.lower() in silent,
            may_be_chosen=member.tags.may_be_synchronous,
            may_lead=member.tags.may_lead,
            sync_priority=member.tags.sync_priority,
            failover_priority=member.tags.failover_priority,
        )
        # Two connections with one name are one standby, with what it surely has.
        other = found.get(standby.key)
        if other is None or standby.flushed < other.flushed:
            found[standby.key] = standby
    return tuple(found[name] for name in sorted(found))


def wanted_standbys(
    standbys: tuple[Standby, ...],
    settings: Settings,
    status: PostgresStatus,
    current: tuple[str, ...],
) -> tuple[tuple[MemberName, ...], int]:
    """Who shall be synchronous, sorted, and how many of them must acknowledge.

    `current`: names (lower case) in the `sync` key, kept among equals.
    """
    able = [s for s in standbys if s.may_be_chosen]
    able = [s for s in able if not _lags(s, able, settings, status)]
    # Whoever cannot be promoted protects nobody from a failover (P-SYNC-03).
    able.sort(
        key=lambda s: (
            not s.may_lead,
            s.is_silent,
            -s.sync_priority,
            s.key not in current,
            -s.failover_priority,
            -s.flushed,
            s.name,
        )
    )
    count = max(settings.synchronous_node_count, 1)
    if status.server_version < VERSION_9_6:
        count = 1
    if by_quorum(settings, status):
        willing = [s for s in able if s.may_lead]
        # P-QUORUM-05: the others only if there are too few.
        chosen = willing if len(willing) >= count else able[:count]
        names = tuple(sorted(s.name for s in chosen))
        return names, min(count, len(names))
    names = tuple(sorted(s.name for s in able[:count]))
    return names, len(names)


def by_quorum(settings: Settings, status: PostgresStatus) -> bool:
    """P-QUORUM-01, P-QUORUM-09: older versions know priorities alone."""
    return settings.synchronous_mode == "quorum" and status.server_version >= VERSION_10


def _lags(
    standby: Standby, able: list[Standby], settings: Settings, status: PostgresStatus
) -> bool:
    """SYNC-07: behind the most advanced standby, or the primary if it is alone."""
    limit = settings.maximum_lag_on_syncnode
    if limit <= 0:
        return False
    ahead = (
        max(other.flushed for other in able)
        if len(able) > 1
        else (status.write_lsn or 0)
    )
    return ahead - standby.flushed > limit
