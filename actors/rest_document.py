"""The status document and the metrics (docs/contracts.md 4.3 and 4.5)."""

import json
from datetime import datetime
from typing import Any, NamedTuple

from regnal.actors.own_member import OwnMember
from regnal.actors.rest_state import Rest, ScheduledRestart
from regnal.messages.base import JsonText, WallTime
from regnal.messages.cluster import ClusterView
from regnal.messages.postgres import PostgresStatus, WalSender

STATES = {
    "initializing new cluster": 0,
    "initdb failed": 1,
    "running custom bootstrap script": 2,
    "custom bootstrap failed": 3,
    "creating replica": 4,
    "running": 5,
    "starting": 6,
    "starting after custom bootstrap": 7,
    "start failed": 8,
    "restarting": 9,
    "restart failed": 10,
    "stopping": 11,
    "stopped": 12,
    "stop failed": 13,
    "crashed": 14,
    "unknown": -1,
}
"""Numbers of the metric patroni_postgres_state; they never change."""


class Shown(NamedTuple):
    """All that the status document and the metrics are made of: while this does not
    change, they do not."""

    own: OwnMember
    view: ClusterView | None
    store_known: bool
    failsafe_active: bool
    watchdog_failed: bool
    scheduled: ScheduledRestart | None


def shown(rest: Rest) -> Shown:
    return Shown(
        own=rest.own,
        view=rest.view,
        store_known=rest.store_known,
        failsafe_active=rest.failsafe_active,
        watchdog_failed=rest.watchdog_failed,
        scheduled=rest.scheduled,
    )


def state_of(own: OwnMember) -> str:
    """The published state; `unknown` if PostgreSQL should answer and does not."""
    state = own.shown_state
    silent = own.postgres is not None and own.postgres.process == "unresponsive"
    return "unknown" if silent and state == "running" else state


def is_running(own: OwnMember) -> bool:
    """Whether PostgreSQL accepts connections."""
    status = own.postgres
    return status is not None and status.is_accepting and state_of(own) == "running"


def role_of(own: OwnMember) -> str:
    """The published role, also before there is anything to know."""
    return own.role if own.settings is not None else "uninitialized"


def is_unlocked(shown: Shown) -> bool:
    """REST-27: nobody leads, or nobody can say."""
    return not shown.store_known or shown.view is None or shown.view.leader is None


def is_synchronous(shown: Shown) -> bool:
    return _listed_in_sync(shown, "on")


def is_quorum(shown: Shown) -> bool:
    return _listed_in_sync(shown, "quorum")


def _listed_in_sync(shown: Shown, mode: str) -> bool:
    settings, view = shown.own.settings, shown.view
    if settings is None or view is None or view.sync is None:
        return False
    if not settings.is_synchronous or settings.synchronous_mode != mode:
        return False
    if view.sync.leader is None or shown.own.role != "replica":
        return False
    name = shown.own.member.lower()
    return any(standby.lower() == name for standby in view.sync.standbys)


def status_document(shown: Shown) -> JsonText:
    """The body of `GET /patroni`, but `dcs_last_seen`."""
    own = shown.own
    content: dict[str, Any] = {"state": state_of(own), "role": role_of(own)}
    if own.postgres is not None and is_running(own):
        content |= _of_server(shown, own.postgres)
    content |= _of_cluster(shown)
    if shown.scheduled is not None:
        content["scheduled_restart"] = scheduled_document(shown.scheduled)
    if shown.watchdog_failed:
        content["watchdog_failed"] = True
    if own.barred:
        content["barred"] = True
    return json.dumps(content)


def _of_server(shown: Shown, status: PostgresStatus) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if status.postmaster_started_at is not None:
        content["postmaster_start_time"] = database_time(status.postmaster_started_at)
    content["server_version"] = status.server_version
    content["xlog"] = _positions(status)
    if is_synchronous(shown):
        content["sync_standby"] = True
    if is_quorum(shown):
        content["quorum_standby"] = True
    if status.timeline:
        content["timeline"] = status.timeline
    if status.replication_state is not None:
        content["replication_state"] = status.replication_state
    if status.senders:
        content["replication"] = [_sender(sender) for sender in status.senders]
    return content


def _positions(status: PostgresStatus) -> dict[str, Any]:
    if not status.in_recovery:
        return {"location": status.write_lsn or 0}
    at = status.replayed_at
    return {
        "received_location": status.received_lsn or 0,
        "replayed_location": status.replayed_lsn or 0,
        "replayed_timestamp": database_time(at) if at is not None else None,
        "paused": status.replay_paused,
    }


def _sender(sender: WalSender) -> dict[str, Any]:
    return {
        "usename": sender.username,
        "application_name": sender.application_name,
        "client_addr": sender.client_addr,
        "state": sender.state,
        "sync_state": sender.sync_state,
        "sync_priority": sender.sync_priority,
    }


def _of_cluster(shown: Shown) -> dict[str, Any]:
    settings, status, view = shown.own.settings, shown.own.postgres, shown.view
    content: dict[str, Any] = {}
    if settings is not None and settings.paused:
        content["pause"] = True
    if is_unlocked(shown):
        content["cluster_unlocked"] = True
    if shown.failsafe_active:
        content["failsafe_mode_is_active"] = True
    tags = object_of(settings.tags.document) if settings is not None else {}
    if tags:
        content["tags"] = tags
    identifier = status.system_identifier if status is not None else None
    if identifier is None and view is not None:
        identifier = view.initialize
    if identifier:
        content["database_system_identifier"] = identifier
    if status is not None and status.pending_restart:
        content["pending_restart"] = True
        reason = object_of(status.pending_restart_reason)
        if reason:
            content["pending_restart_reason"] = reason
    if settings is not None:
        content["patroni"] = {
            "version": settings.version,
            "scope": settings.scope,
            "name": settings.name,
        }
    return content


def scheduled_document(scheduled: ScheduledRestart) -> dict[str, Any]:
    """The scheduled restart as the status document has it."""
    content: dict[str, Any] = {"schedule": scheduled.at}
    if scheduled.filters.role is not None:
        content["role"] = scheduled.filters.role
    if scheduled.filters.postgres_version is not None:
        content["postgres_version"] = scheduled.filters.postgres_version
    if scheduled.filters.restart_pending:
        content["restart_pending"] = True
    if scheduled.timeout is not None:
        content["timeout"] = scheduled.timeout
    return content


def metrics(shown: Shown) -> JsonText:
    """Values by name; what is missing is 0 (METRICS-02, P-REST-25)."""
    own, settings, view = shown.own, shown.own.settings, shown.view
    status = own.postgres if is_running(own) else None
    values: dict[str, float | str] = {
        "patroni_postgres_running": int(is_running(own)),
        "patroni_primary": int(role_of(own) == "primary"),
        "patroni_master": int(role_of(own) == "primary"),
        "patroni_standby_leader": int(role_of(own) == "standby_leader"),
        "patroni_replica": int(role_of(own) == "replica"),
        "patroni_sync_standby": int(is_synchronous(shown)),
        "patroni_quorum_standby": int(is_quorum(shown)),
        "patroni_cluster_unlocked": int(is_unlocked(shown)),
        "patroni_failsafe_mode_is_active": int(shown.failsafe_active),
        "patroni_postgres_state": STATES.get(state_of(own), -1),
    }
    if status is not None:
        values |= _of_server_in_numbers(status)
    if own.postgres is not None:
        values["patroni_pending_restart"] = int(own.postgres.pending_restart)
    if settings is not None:
        listed = view.failsafe if view is not None and view.failsafe else ()
        tags = settings.tags
        values |= {
            "patroni_version": padded_version(settings.version),
            "patroni_is_paused": int(settings.paused),
            "patroni_failsafe_mode_enabled": int(settings.failsafe_mode),
            "patroni_failsafe_member": int(
                any(member.name == own.member for member in listed)
            ),
            "patroni_failover_priority": tags.failover_priority if tags.may_lead else 0,
        }
    return json.dumps(values)


def _of_server_in_numbers(status: PostgresStatus) -> dict[str, float | str]:
    values: dict[str, float | str] = {
        "patroni_postmaster_start_time": epoch(status.postmaster_started_at),
        "patroni_postgres_server_version": status.server_version,
        "patroni_postgres_timeline": status.timeline,
    }
    if not status.in_recovery:
        return values | {"patroni_xlog_location": status.write_lsn or 0}
    streaming = status.replication_state == "streaming"
    return values | {
        "patroni_xlog_received_location": status.received_lsn or 0,
        "patroni_xlog_replayed_location": status.replayed_lsn or 0,
        "patroni_xlog_replayed_timestamp": epoch(status.replayed_at),
        "patroni_xlog_paused": int(status.replay_paused),
        "patroni_postgres_streaming": int(streaming),
        "patroni_postgres_in_archive_recovery": int(not streaming),
    }


def padded_version(version: str) -> str:
    """`4.1.5` as `040105`."""
    parts = version.split(".")
    if not all(part.isdecimal() for part in parts):
        return "0"
    return "".join(part.zfill(2) for part in parts)


def database_time(text: WallTime) -> str:
    """As PostgreSQL writes a timestamp, always with microseconds."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.isoformat(sep=" ", timespec="microseconds")


def epoch(text: WallTime | None) -> float:
    """Seconds since 1970; 0 if unknown."""
    if text is None:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return moment.timestamp() if moment.tzinfo is not None else 0


def object_of(document: JsonText | None) -> dict[str, Any]:
    """The JSON object in the text; empty if there is none: others wrote it."""
    if not document:
        return {}
    try:
        value = json.loads(document)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
