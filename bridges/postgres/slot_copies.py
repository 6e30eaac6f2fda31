"""Logical slots of the leader, copied to a standby so that they survive a failover.

A logical slot cannot be created on a standby before version 16, but its state is a
file that any server of the same version understands.  It is read through SQL and
put in place while our server is stopped (SLOT-08).
"""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from regnal.bridges.postgres.applying import as_it_is
from regnal.bridges.postgres.connections import (
    Session,
    SessionFailed,
    StatementFailed,
)
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.lifecycle import start, stop
from regnal.bridges.postgres.operation import Operation
from regnal.bridges.postgres.other_servers import connect_upstream, server_at
from regnal.messages.base import Seconds
from regnal.messages.postgres import (
    CopyLogicalSlots,
    SlotChanged,
    SlotRefused,
    StartPostgres,
    StopPostgres,
    Upstream,
)
from regnal.messages.reasons import because

ANSWER_TIMEOUT: Seconds = 30.0
STATE_LIMIT = 1 << 20
"""Bytes; a state file has about 200."""

FIRST_VERSION = 110000
"""The first whose slots can be advanced (SLOT-09)."""


@dataclass(frozen=True, slots=True)
class _State:
    name: str
    content: bytes


def copy_logical_slots(
    operation: Operation, command: CopyLogicalSlots
) -> tuple[SlotChanged | SlotRefused, ...]:
    """One answer for each name.  Raises OperationError and Cancelled."""
    session = operation.session()
    if session.server_version < FIRST_VERSION:
        return refused(command.names, "logical slots are copied from version 11 on")
    role, upstream = as_it_is(session, operation.cancel)
    if role == "primary":
        return refused(command.names, "a primary has logical slots of its own")
    states = _read_states(operation, command)
    found = {state.name for state in states}
    if states:
        _put_in_place(operation, states, operation.server.intent.upstream or upstream)
    changed = [SlotChanged(name=state.name, change="copied") for state in states]
    missing = [name for name in command.names if name not in found]
    return (*changed, *refused(missing, "the leader has no such logical slot"))


def _read_states(operation: Operation, command: CopyLogicalSlots) -> tuple[_State, ...]:
    session = _connect_to_leader(operation, command.leader_conn_url)
    try:
        rows = session.query(
            "SELECT slot_name, pg_read_binary_file("
            "'pg_replslot/' || slot_name || '/state', 0, %s, true)"
            " FROM pg_replication_slots"
            " WHERE slot_type = 'logical' AND slot_name = ANY(%s::name[])"
            " ORDER BY slot_name",
            (STATE_LIMIT, list(command.names)),
            timeout=ANSWER_TIMEOUT,
            cancel=operation.cancel,
        )
    except (SessionFailed, StatementFailed) as error:
        raise OperationError(because("CONNECTION_FAILED", error=str(error))) from error
    finally:
        session.close()
    return tuple(_State(name, bytes(content)) for name, content in rows if content)


def _connect_to_leader(operation: Operation, conn_url: str) -> Session:
    session_settings = "-c search_path=pg_catalog -c statement_timeout=0"
    try:
        return connect_upstream(
            operation.options,
            server_at(conn_url),
            "rewind",
            {"options": session_settings},
            cancel=operation.cancel,
        )
    except SessionFailed as error:
        raise OperationError(because("CONNECTION_FAILED", error=str(error))) from error


def _put_in_place(
    operation: Operation, states: tuple[_State, ...], upstream: Upstream | None
) -> None:
    """Restart around it; the server runs again even if a file cannot be written."""
    timeout = operation.options.pg_ctl_timeout
    began = time.monotonic()
    stop(
        operation,
        StopPostgres(mode="fast", checkpoint_first=True, timeout=timeout),
    )
    try:
        for state in states:
            write_state(operation.options.data_dir, state.name, state.content)
    except OSError as error:
        path = str(error.filename or operation.options.data_dir)
        raise OperationError(
            because("IO_ERROR", path=path, error=str(error.strerror))
        ) from error
    finally:
        left = max(1.0, timeout - (time.monotonic() - began))
        start(
            operation,
            StartPostgres(role="standby", upstream=upstream, timeout=left),
        )


def write_state(data_dir: Path, name: str, content: bytes) -> None:
    """Put the slot in place as the server itself would: complete, or not at all.

    What it finds under `.tmp`, it removes when it starts.  Raises OSError.
    """
    folder = data_dir / "pg_replslot"
    unfinished = folder / f"{name}.tmp"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    descriptor = os.open(
        unfinished / "state", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600
    )
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _sync_directory(unfinished)
    if (folder / name).exists():
        shutil.rmtree(folder / name)
    unfinished.rename(folder / name)
    _sync_directory(folder)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refused(names: tuple[str, ...] | list[str], error: str) -> tuple[SlotRefused, ...]:
    return tuple(SlotRefused(name=name, change="copied", error=error) for name in names)
