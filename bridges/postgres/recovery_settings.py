"""How a standby recovers: the signal file and the recovery parameters.

Up to 11 they are in recovery.conf, which makes the server a standby by being
there; from 12 on they are ordinary parameters beside an empty signal file
(PostgreSQL 12 release notes, E.1.3.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from regnal.bridges.postgres.conninfo import upstream_conninfo
from regnal.bridges.postgres.guc.values import as_text, parse_boolean
from regnal.bridges.postgres.options import PostgresOptions
from regnal.messages.postgres import Upstream

TARGETS = (
    "recovery_target",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
)
"""Where a point-in-time recovery ends; one left over would end a standby."""

SINCE = {
    "restore_command": 0,
    "archive_cleanup_command": 0,
    "recovery_end_command": 0,
    "recovery_target_name": 0,
    "recovery_target_time": 0,
    "recovery_target_xid": 0,
    "recovery_target_inclusive": 0,
    "recovery_target_timeline": 0,
    "standby_mode": 0,
    "primary_conninfo": 0,
    "trigger_file": 0,
    "pause_at_recovery_target": 0,
    "recovery_target": 90400,
    "primary_slot_name": 90400,
    "recovery_min_apply_delay": 90400,
    "recovery_target_action": 90500,
    "recovery_target_lsn": 100000,
    "promote_trigger_file": 120000,
}
ALL_NAMES = frozenset(SINCE)
OURS = frozenset({"standby_mode", "primary_conninfo", "primary_slot_name"})


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the server does with WAL that it did not write itself."""

    signal: Literal["standby", "recovery"] | None
    """Which signal file there is, or recovery.conf of that kind; None: neither."""

    settings: Mapping[str, str] = field(default_factory=dict)


def recovery_for(
    options: PostgresOptions,
    role: Literal["primary", "standby"],
    upstream: Upstream | None,
    server_version: int,
) -> Recovery:
    """The recovery of a member in this role.

    A primary keeps restore_command and the like on 12+: pg_rewind reads them from
    its configuration, and nothing has to be restarted when it is promoted.
    """
    if role == "primary" and server_version < 120000:
        return Recovery(None)
    settings = user_settings(
        {**options.recovery_conf, **_remote_settings(options, upstream)},
        server_version,
    )
    for name in (*OURS, *TARGETS):
        settings.pop(name, None)
    if server_version >= 120000:
        settings |= dict.fromkeys(TARGETS, "")
    if role == "primary":
        return Recovery(None, settings)
    settings.setdefault("recovery_target_timeline", "latest")
    if server_version < 120000:
        settings["standby_mode"] = "on"
    if upstream is not None:
        settings |= _streaming_settings(options, upstream, server_version)
    return Recovery("standby", settings)


def user_settings(given: Mapping[str, Any], server_version: int) -> dict[str, str]:
    """Recovery parameters as a person wrote them, in the terms of this version.

    Up to 11, what recovery.conf does not take is left out: the server would not
    start.
    """
    settings: dict[str, str] = {}
    for name, value in given.items():
        text = as_text(value)
        key = _translated(str(name).strip().lower(), server_version)
        if text is None or key is None:
            continue
        if server_version >= 120000 or SINCE.get(key, 10**9) <= server_version:
            settings[key] = text
    return settings


def bootstrap_recovery(given: Mapping[str, Any], server_version: int) -> Recovery:
    """The point-in-time recovery of a custom bootstrap method.

    Unless told otherwise it ends with a promotion, since a new cluster must become
    writable, and goes along the newest timeline.
    """
    settings = user_settings(given, server_version)
    standby_mode = given.get("standby_mode")
    settings.pop("standby_mode", None)
    settings.setdefault("recovery_target_timeline", "latest")
    if server_version >= 90500:
        settings.setdefault("recovery_target_action", "promote")
    else:
        settings.setdefault("pause_at_recovery_target", "off")
    if server_version >= 120000:
        settings = {**dict.fromkeys(TARGETS, ""), **settings}
    elif standby_mode is not None:
        settings["standby_mode"] = as_text(standby_mode) or "off"
    is_standby = standby_mode is not None and parse_boolean(as_text(standby_mode) or "")
    return Recovery("standby" if is_standby else "recovery", settings)


def ends_in_promotion(recovery: Recovery) -> bool:
    """Whether the server becomes writable by itself when recovery has ended."""
    if recovery.signal != "recovery":
        return False
    action = recovery.settings.get("recovery_target_action", "promote")
    return action.strip().lower() == "promote"


def _streaming_settings(
    options: PostgresOptions, upstream: Upstream, server_version: int
) -> dict[str, str]:
    settings = {
        "primary_conninfo": upstream_conninfo(
            options, upstream, server_version=server_version
        )
    }
    if upstream.slot and server_version >= 90400:
        settings["primary_slot_name"] = upstream.slot
    return settings


def _remote_settings(
    options: PostgresOptions, upstream: Upstream | None
) -> dict[str, str]:
    """What the standby_cluster section wants of all members; the delay is for the
    one that follows the remote cluster (the others would add theirs to it)."""
    remote = options.remote
    if remote is None:
        return {}
    follows_remote = upstream is None or upstream.member is None
    settings = {
        "restore_command": remote.restore_command,
        "archive_cleanup_command": remote.archive_cleanup_command,
        "recovery_min_apply_delay": remote.recovery_min_apply_delay
        if follows_remote
        else None,
    }
    return {name: value for name, value in settings.items() if value}


def _translated(name: str, server_version: int) -> str | None:
    """None: the parameter has no meaning in this version."""
    if name in ("trigger_file", "promote_trigger_file"):
        if server_version >= 160000:
            return None
        return "promote_trigger_file" if server_version >= 120000 else "trigger_file"
    if server_version >= 120000 and name in (
        "standby_mode",
        "pause_at_recovery_target",
    ):
        return None
    return name
