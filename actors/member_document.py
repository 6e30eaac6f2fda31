"""The value of our member key (docs/contracts.md 2.1)."""

import json
from typing import Any

from regnal.actors.own_member import OwnMember
from regnal.messages.base import JsonText
from regnal.messages.postgres import PostgresStatus
from regnal.messages.settings import Settings

_WITH_POSITION = ("running", "restarting", "starting")
_POSITIONS = frozenset({"xlog_location", "receive_lsn", "replay_lsn"})


def member_content(own: OwnMember) -> dict[str, Any]:
    """Everything that the key shows but our clock; only for a known member."""
    settings, status = own.settings, own.postgres
    assert settings is not None
    assert status is not None
    content: dict[str, Any] = {
        "conn_url": settings.conn_url,
        "api_url": settings.api_url,
        "state": own.shown_state,
        "role": own.role,
        "version": settings.version,
    }
    if settings.proxy_url:
        content["proxy_url"] = settings.proxy_url
    tags = _tags(own, settings)
    if tags:
        content["tags"] = tags
    if status.process != "absent":
        content |= _of_server(status, own.shown_state)
    if own.checkpoint_due is not None and own.role == "primary":
        content["checkpoint_after_promote"] = False
    if status.pending_restart:
        content["pending_restart"] = True
        reason = _object(status.pending_restart_reason)
        if reason:
            content["pending_restart_reason"] = reason
    scheduled = _object(own.scheduled_restart)
    if scheduled:
        content["scheduled_restart"] = scheduled
    if settings.paused:
        content["pause"] = True
    if own.barred:
        content["barred"] = True
    return content


def compact(content: dict[str, Any]) -> JsonText:
    """JSON without blanks, as every key is written."""
    return json.dumps(content, separators=(",", ":"))


def without_positions(content: dict[str, Any]) -> dict[str, Any]:
    """What others must hear of at once: all but how far the WAL is."""
    return {key: value for key, value in content.items() if key not in _POSITIONS}


def _of_server(status: PostgresStatus, state: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if state in _WITH_POSITION and status.is_accepting:
        if status.position:
            shown["xlog_location"] = status.position
        if status.in_recovery:
            if status.received_lsn is not None:
                shown["receive_lsn"] = status.received_lsn
            if status.replayed_lsn is not None:
                shown["replay_lsn"] = status.replayed_lsn
            if status.replication_state:
                shown["replication_state"] = status.replication_state
    if status.timeline:
        shown["timeline"] = status.timeline
    return shown


def _tags(own: OwnMember, settings: Settings) -> dict[str, Any]:
    tags = _object(settings.tags.document)
    if own.leaving and own.server == "standby" and settings.is_synchronous:
        # SYNC-13, P-SYNC-04: so that commits do not wait for a server that stops.
        tags |= {"nosync": True, "sync_priority": 0}
    return tags


def _object(document: JsonText | None) -> dict[str, Any]:
    """The JSON object in the text; empty if there is none."""
    if not document:
        return {}
    try:
        value = json.loads(document)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
