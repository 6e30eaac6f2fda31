"""`GET /cluster`, `/history`, `/failsafe` and `/config` (docs/contracts.md 4.4).

Made from the watched view, which a change in the store reaches at once: so that a
question needs no read of the store, and none can hold it up (DCS-11, REST-29).
"""

import json
from typing import Any
from urllib.parse import urlsplit

from regnal.actors.rest_document import object_of
from regnal.messages.base import LSN, JsonText
from regnal.messages.cluster import ClusterView, MemberView
from regnal.messages.settings import Settings

UNKNOWN = "unknown"


def cluster_document(view: ClusterView, settings: Settings) -> JsonText:
    head = leader_position(view)
    content: dict[str, Any] = {
        "members": [
            _member(member, view, settings, head)
            for member in sorted(view.members, key=lambda member: member.name)
        ],
        "scope": settings.scope,
    }
    if settings.paused:
        content["pause"] = True
    failover = view.failover
    if failover is not None and failover.scheduled_at is not None:
        scheduled: dict[str, Any] = {"at": failover.scheduled_at}
        if failover.leader is not None:
            scheduled["from"] = failover.leader
        if failover.candidate is not None:
            scheduled["to"] = failover.candidate
        content["scheduled_switchover"] = scheduled
    return json.dumps(content)


def leader_position(view: ClusterView) -> LSN:
    """The furthest position that the leader is known to have had; 0: unknown."""
    leader = view.leader_member
    published = leader.xlog_location or 0 if leader is not None else 0
    return max(view.status.optime if view.status is not None else 0, published)


def role_in_cluster(member: MemberView, view: ClusterView, settings: Settings) -> str:
    if member.name == view.leader_name:
        return "standby_leader" if settings.is_standby_cluster else "leader"
    sync = view.sync
    if sync is not None and sync.leader is not None:
        name = member.name.lower()
        if any(standby.lower() == name for standby in sync.standbys):
            quorum = settings.synchronous_mode == "quorum"
            return "quorum_standby" if quorum else "sync_standby"
    return "replica"


def _member(
    member: MemberView, view: ClusterView, settings: Settings, head: LSN
) -> dict[str, Any]:
    leads = member.name == view.leader_name
    state = member.state
    if not leads and state == "running" and member.replication_state:
        state = member.replication_state
    content: dict[str, Any] = {
        "name": member.name,
        "role": role_in_cluster(member, view, settings),
        "state": state,
    }
    if member.api_url:
        content["api_url"] = member.api_url
    content |= _address(member.conn_url)
    if member.timeline:
        content["timeline"] = member.timeline
    if member.pending_restart:
        content["pending_restart"] = True
    for name, document in (
        ("pending_restart_reason", member.pending_restart_reason),
        ("scheduled_restart", member.scheduled_restart),
        ("tags", member.tags.document),
    ):
        value = object_of(document)
        if value:
            content[name] = value
    if not leads:
        content |= _distance("receive_", member.receive_lsn, head)
        content |= _distance("replay_", member.replay_lsn, head)
        content |= _distance("", member.xlog_location, head)
    return content


def _address(conn_url: str | None) -> dict[str, Any]:
    """Host and port of the connection URL; CTL-08: a member may have none."""
    if not conn_url:
        return {}
    try:
        parts = urlsplit(conn_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return {}
    return {"host": host, "port": port or 5432} if host else {}


def _distance(prefix: str, lsn: LSN | None, head: LSN) -> dict[str, Any]:
    if lsn is None:
        return {f"{prefix}lag": UNKNOWN, f"{prefix}lsn": UNKNOWN}
    return {f"{prefix}lag": max(0, head - lsn), f"{prefix}lsn": lsn_text(lsn)}


def lsn_text(lsn: LSN) -> str:
    """As PostgreSQL writes a position, such as `0/5000148`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def history_document(view: ClusterView) -> JsonText:
    lines: list[list[Any]] = []
    for line in view.history or ():
        entry: list[Any] = [line.timeline, line.lsn, line.reason]
        if line.at is not None:
            entry.append(line.at)
            if line.leader is not None:
                entry.append(line.leader)
        lines.append(entry)
    return json.dumps(lines)


def failsafe_document(view: ClusterView) -> JsonText | None:
    if not view.failsafe:
        return None
    return json.dumps({member.name: member.api_url for member in view.failsafe})


def config_document(view: ClusterView) -> JsonText | None:
    """None: there is no such key.  What cannot be read counts as empty."""
    if view.config is None:
        return None
    return json.dumps(object_of(view.config))
