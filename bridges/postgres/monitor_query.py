"""The one question of a heartbeat, and how its answer is read (PG-22).

Everything is asked in a single statement, so that it costs one round trip and the
values belong to one moment.  The answer is one JSON object.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regnal.bridges.postgres.connection_string import InvalidConnectionString, parse
from regnal.bridges.postgres.wal import parse_lsn
from regnal.messages.base import LSN, JsonText
from regnal.messages.postgres import PostgresStatus, SlotView, WalReceiver, WalSender

TIME = "'YYYY-MM-DD HH24:MI:SS.US\"+00:00\"'"
"""The form that `postmaster_start_time` has for others, in UTC."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said, and what is not for other parts."""

    status: PostgresStatus
    receiver_pid: int | None
    """None: no WAL receiver runs."""

    receiver_timeline: int
    """What it streams; the replay may still be on the one before (P-RWD-10)."""

    settings: Mapping[str, str]
    """In force, of those that were asked for; in the units of pg_settings."""

    primary_slot_name: str | None


def status_query(version: int) -> str:
    """The statement for a server version; one parameter: an array of the names of
    settings to tell."""
    # Version 10 renamed xlog to wal and location to lsn.
    wal, lsn = ("wal", "lsn") if version >= 100000 else ("xlog", "location")
    conninfo = (
        "pg_catalog.current_setting('primary_conninfo', true)"
        if version >= 120000
        else "(SELECT conninfo FROM pg_catalog.pg_stat_wal_receiver)"
    )
    slot = (
        "pg_catalog.current_setting('primary_slot_name', true)"
        if version >= 120000
        else "(SELECT slot_name FROM pg_catalog.pg_stat_wal_receiver)"
    )
    return f"""
SELECT json_build_object(
 'in_recovery', r,
 'started_at', to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', {TIME}),
 'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
 'wal_file', CASE WHEN NOT r THEN pg_{wal}file_name(pg_current_{wal}_{lsn}()) END,
 'write_lsn', CASE WHEN NOT r THEN pg_current_{wal}_flush_{lsn}()::text END,
 'received_lsn', CASE WHEN r THEN pg_last_{wal}_receive_{lsn}()::text END,
 'replayed_lsn', CASE WHEN r THEN pg_last_{wal}_replay_{lsn}()::text END,
 'replayed_at', CASE WHEN r THEN to_char(
   pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', {TIME}) END,
 'replay_paused', CASE WHEN r THEN pg_is_{wal}_replay_paused() END,
 'receiver', CASE WHEN r THEN ({_receiver_query(version)}) END,
 'senders', ({_senders_query(lsn)}),
 'slots', ({_slots_query(version)}),
 'synchronous_standby_names', current_setting('synchronous_standby_names'),
 'settings', (SELECT json_object_agg(name, setting)
   FROM pg_settings WHERE name = ANY(%s)),
 'pending_restart', ({_pending_query()}),
 'conninfo', CASE WHEN r THEN {conninfo} END,
 'primary_slot_name', CASE WHEN r THEN {slot} END
) FROM (SELECT pg_is_in_recovery() AS r OFFSET 0) AS recovery"""  # noqa: S608 - our own words


class UnusableAnswer(Exception):
    """It is not what `status_query` makes: something stands between, or is patched."""


def read_answer(answer: Mapping[str, Any], version: int) -> Answer:
    """Translate the JSON object.  Raises UnusableAnswer."""
    try:
        return _translated(answer, version)
    except KeyError as error:
        raise UnusableAnswer(f"the server's answer lacks {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UnusableAnswer(f"the server's answer is strange: {error}") from error


def _translated(answer: Mapping[str, Any], version: int) -> Answer:
    in_recovery = bool(answer["in_recovery"])
    host, port = _host_and_port(answer["conninfo"])
    receiver = answer["receiver"]
    pending = answer["pending_restart"]
    status = PostgresStatus(
        process="accepting",
        data_directory="valid",
        postmaster_started_at=answer["started_at"],
        server_version=version,
        system_identifier=answer["system_identifier"],
        in_recovery=in_recovery,
        timeline=0 if in_recovery else int(answer["wal_file"][:8], 16),
        write_lsn=_lsn(answer["write_lsn"]),
        received_lsn=_lsn(answer["received_lsn"]),
        replayed_lsn=_lsn(answer["replayed_lsn"]),
        replayed_at=answer["replayed_at"],
        replay_paused=bool(answer["replay_paused"]),
        receiver=_receiver(receiver) if receiver else None,
        senders=tuple(_sender(row) for row in answer["senders"] or ()),
        slots=tuple(_slot(row) for row in answer["slots"] or ()),
        synchronous_standby_names=answer["synchronous_standby_names"],
        pending_restart=bool(pending),
        pending_restart_reason=_json_text(pending) if pending else None,
        primary_conninfo_host=host,
        primary_conninfo_port=port,
    )
    return Answer(
        status=status,
        receiver_pid=receiver["pid"] if receiver else None,
        receiver_timeline=(receiver["received_tli"] or 0) if receiver else 0,
        settings=answer["settings"] or {},
        primary_slot_name=answer["primary_slot_name"] or None,
    )


def _receiver_query(version: int) -> str:
    sender = "sender_host, sender_port" if version >= 110000 else "conninfo"
    return (
        "SELECT row_to_json(w) FROM (SELECT pid, status, slot_name, received_tli,"  # noqa: S608
        f" latest_end_lsn, {sender} FROM pg_stat_wal_receiver) AS w"
    )


def _senders_query(lsn: str) -> str:
    return (
        "SELECT json_agg(s) FROM (SELECT pid, usename, application_name,"  # noqa: S608
        " host(client_addr) AS client_addr, state, sync_state, sync_priority,"
        f" write_{lsn} AS write_lsn, flush_{lsn} AS flush_lsn,"
        f" replay_{lsn} AS replay_lsn"
        " FROM pg_stat_replication ORDER BY pid) AS s"
    )


def _slots_query(version: int) -> str:
    optional = (
        ", wal_status" if version >= 130000 else "",
        ", failover, synced" if version >= 170000 else "",
    )
    temporary = "WHERE NOT temporary " if version >= 100000 else ""
    return (
        "SELECT json_agg(t) FROM (SELECT slot_name, slot_type, database, plugin,"  # noqa: S608
        " active, restart_lsn, confirmed_flush_lsn,"
        " xmin IS NOT NULL OR slot_type = 'physical' AND catalog_xmin IS NOT NULL"
        f" AS has_xmin{''.join(optional)}"
        f" FROM pg_replication_slots {temporary}ORDER BY slot_name) AS t"
    )


def _pending_query() -> str:
    # pg_file_settings parses all files, so it is asked only for what is pending.
    return (
        "SELECT json_object_agg(name, json_build_object("
        "'old_value', current_setting(name), 'new_value', coalesce("
        "(SELECT f.setting FROM pg_file_settings AS f WHERE f.name = p.name"
        " ORDER BY f.seqno DESC LIMIT 1), p.boot_val)))"
        " FROM pg_settings AS p WHERE p.pending_restart"
        # Written for standbys and taken out at promotion: no server that is not in
        # recovery misses them, and none must be restarted for them (P-CFG-14).
        " AND left(p.name, 15) <> 'recovery_target'"
    )


def _receiver(row: Mapping[str, Any]) -> WalReceiver:
    host, port = row.get("sender_host"), row.get("sender_port")
    if "conninfo" in row:
        host, text = _host_and_port(row["conninfo"])
        port = int(text) if text and text.isdigit() else None
    return WalReceiver(
        status=row["status"] or "unknown",
        sender_host=host,
        sender_port=port,
        slot_name=row["slot_name"] or None,
        latest_end_lsn=_lsn(row["latest_end_lsn"]),
    )


def _sender(row: Mapping[str, Any]) -> WalSender:
    return WalSender(
        pid=row["pid"],
        username=row["usename"],
        application_name=row["application_name"] or "",
        client_addr=row["client_addr"],
        state=row["state"] or "unknown",
        sync_state=row["sync_state"] or "async",
        sync_priority=row["sync_priority"] or 0,
        write_lsn=_lsn(row["write_lsn"]),
        flush_lsn=_lsn(row["flush_lsn"]),
        replay_lsn=_lsn(row["replay_lsn"]),
    )


def _slot(row: Mapping[str, Any]) -> SlotView:
    return SlotView(
        name=row["slot_name"],
        type=row["slot_type"],
        database=row["database"],
        plugin=row["plugin"],
        active=row["active"],
        restart_lsn=_lsn(row["restart_lsn"]),
        confirmed_flush_lsn=_lsn(row["confirmed_flush_lsn"]),
        has_xmin=row["has_xmin"],
        wal_status=row.get("wal_status"),
        failover=bool(row.get("failover")),
        synced=bool(row.get("synced")),
    )


def _lsn(text: str | None) -> LSN | None:
    return None if text is None else parse_lsn(text)


def _host_and_port(conninfo: str | None) -> tuple[str | None, str | None]:
    """Nothing else of the string goes on: it may hold a password."""
    try:
        parameters = parse(conninfo or "")
    except InvalidConnectionString:
        return None, None
    return parameters.get("host") or None, parameters.get("port") or None


def _json_text(value: Any) -> JsonText:
    return json.dumps(value, sort_keys=True)
