"""What `list` and `topology` say of the members: from the view of the cluster to rows.

Nothing here asks anybody: members without address, state or position, and values
that somebody else wrote badly, make empty cells.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from regnal.cli.ctl_settings import ClusterSettings
from regnal.cli.ctl_table import Column, Row, column, yaml_flow
from regnal.messages.base import LSN
from regnal.messages.cluster import ClusterView, MemberView

MEGABYTE = 1024 * 1024
POSTGRES_PORT = 5432

LONGEST_REASON = 50
"""Characters of a changed parameter that a table for people shows."""

NOT_PUBLISHED = "unknown"
"""The state of a member that publishes none; patronictl leaves the cell empty."""

CLUSTER_COLUMN = column("Cluster")
ALWAYS = (
    column("Member"),
    column("Host"),
    column("Role"),
    column("State"),
    column("TL", to_the_right=True),
    column("Receive LSN", to_the_right=True),
    column("Receive Lag", title="Lag", to_the_right=True),
    column("Replay LSN", to_the_right=True),
    column("Replay Lag", title="Lag", to_the_right=True),
)
IF_ANY = (
    column("Pending restart"),
    column("Pending restart reason"),
    column("Scheduled restart"),
    column("Tags"),
)
"""Shown if some member has one, or all of them when asked for."""


def cluster_title(scope: str, cluster: ClusterView) -> str:
    identifier = cluster.initialize
    if identifier is None:
        identifier = "uninitialized"
    return f"Cluster: {scope} ({identifier or 'initializing'})"


def columns_for(rows: Sequence[Row], *, extended: bool) -> tuple[Column, ...]:
    wanted = tuple(
        one for one in IF_ANY if extended or any(one.key in row for row in rows)
    )
    return ALWAYS + wanted


def member_rows(scope: str, cluster: ClusterView) -> list[dict[str, Any]]:
    """One row per member, in the order of their names."""
    settings = ClusterSettings.of(cluster)
    with_port = _ports_matter(cluster.members)
    return [
        _row(scope, cluster, settings, member, with_port) for member in cluster.members
    ]


def _row(
    scope: str,
    cluster: ClusterView,
    settings: ClusterSettings,
    member: MemberView,
    with_port: bool,
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "Cluster": scope,
        "Member": member.name,
        "Host": _host(member, with_port),
        "Role": member_role(cluster, settings, member).replace("_", " ").title(),
        "State": _state(cluster, member),
        "TL": member.timeline,
    }
    if member.name != cluster.leader_name:
        row |= _positions(cluster, member)
    if member.pending_restart:
        row["Pending restart"] = "*"
    row["Pending restart reason"] = _pending_reason(member)
    row["Scheduled restart"] = _scheduled_restart(member)
    row["Tags"] = json_object(member.tags.document) or None
    return {key: value for key, value in row.items() if value not in (None, "")}


def _state(cluster: ClusterView, member: MemberView) -> str:
    state = member.state if member.state != NOT_PUBLISHED else ""
    if member.name == cluster.leader_name:
        return state
    return member.replication_state or state


def member_role(
    cluster: ClusterView, settings: ClusterSettings, member: MemberView
) -> str:
    """`leader`, `standby_leader`, `sync_standby`, `quorum_standby` or `replica`."""
    if member.name == cluster.leader_name:
        return "standby_leader" if settings.is_standby_cluster else "leader"
    sync = cluster.sync
    if settings.synchronous_mode and sync is not None and sync.leader:
        wanted = member.name.lower()
        if any(name.lower() == wanted for name in sync.standbys):
            return "quorum_standby" if settings.is_quorum_mode else "sync_standby"
    return "replica"


def _positions(cluster: ClusterView, member: MemberView) -> dict[str, Any]:
    """Members before 3.x publish `xlog_location` alone: the larger of the two."""
    known = cluster.status.optime if cluster.status else None
    received = member.receive_lsn
    replayed = member.replay_lsn or member.xlog_location
    return {
        "Receive LSN": lsn_text(received),
        "Receive Lag": _lag(known, received),
        "Replay LSN": lsn_text(replayed),
        "Replay Lag": _lag(known, replayed),
    }


def _lag(leader: LSN | None, member: LSN | None) -> int | None:
    """Megabytes behind; None: one of the two is not known."""
    if not leader or not member:
        return None
    return round(max(0, leader - member) / MEGABYTE)


def lsn_text(lsn: LSN | None) -> str:
    if not lsn:
        return "unknown"
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def member_address(member: MemberView) -> tuple[str, int] | None:
    """Host and port of PostgreSQL; None where the member does not say."""
    try:
        parts = urlsplit(member.conn_url or "")
        port = parts.port
    except ValueError:
        return None
    return (parts.hostname, port or POSTGRES_PORT) if parts.hostname else None


def _ports_matter(members: Sequence[MemberView]) -> bool:
    addresses = [one for one in map(member_address, members) if one is not None]
    hosts = {host for host, _ in addresses}
    return len(hosts) < len(addresses) or any(
        port != POSTGRES_PORT for _, port in addresses
    )


def _host(member: MemberView, with_port: bool) -> str | None:
    address = member_address(member)
    if address is None:
        return None
    host, port = address
    return f"{host}:{port}" if with_port else host


def _pending_reason(member: MemberView) -> str | None:
    """`name: old->new`, a line each."""
    lines = [
        f"{name}: {change.get('old_value')}->{change.get('new_value')}"
        for name, change in json_object(member.pending_restart_reason).items()
        if isinstance(change, Mapping)
    ]
    return "\n".join(lines) or None


def _scheduled_restart(member: MemberView) -> str | None:
    planned = json_object(member.scheduled_restart)
    if not planned.get("schedule"):
        return None
    text = str(planned["schedule"])
    if planned.get("postgres_version"):
        text += f" if version < {planned['postgres_version']}"
    return text


def json_object(text: str | None) -> dict[str, Any]:
    """The object in a document; empty where there is none, or something else."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def for_people(row: Row) -> dict[str, Any]:
    """What is too long for a table is left out of it."""
    reason = row.get("Pending restart reason")
    if reason is None:
        return dict(row)
    lines = [
        line
        if len(line) <= LONGEST_REASON
        else line.partition(":")[0] + ": [hidden - too long]"
        for line in reason.splitlines()
    ]
    return {**row, "Pending restart reason": "\n".join(lines)}


def as_tree(cluster: ClusterView, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows below the member that they replicate from, names indented.

    Members that replicate from each other in a circle come last: no way from the
    leader leads to them.
    """
    below: dict[str | None, list[Row]] = {}
    for row in rows:
        below.setdefault(_upstream(cluster, str(row["Member"])), []).append(row)
    leader = cluster.leader_name
    tree: list[dict[str, Any]] = []

    def grow(name: str | None, level: int) -> None:
        for row in below.pop(name, []):
            is_root = row["Member"] == leader
            mark = "" if is_root else "  " * (level - 1) + "+ "
            tree.append({**_flat(row), "Member": f"{mark}{row['Member']}"})
            grow(str(row["Member"]), level + (0 if is_root else 1))

    grow(None, 1)
    while below:
        grow(next(iter(below)), 1)
    return tree


def _flat(row: Row) -> dict[str, Any]:
    tags = row.get("Tags")
    return dict(row) if tags is None else {**row, "Tags": yaml_flow(tags)}


def _upstream(cluster: ClusterView, name: str) -> str | None:
    """None: the leader itself, or a member where there is no leader to stand below."""
    member = cluster.member(name)
    assert member is not None
    leader = cluster.leader_member
    if leader is not None and leader.name == name:
        return None
    wanted = member.tags.replicatefrom
    if wanted and wanted != name and cluster.member(wanted) is not None:
        return wanted
    return leader.name if leader else None
