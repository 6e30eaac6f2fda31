"""Setting synchronous_standby_names, and knowing when it is in force."""

import dataclasses
import re
import time
from collections.abc import Iterable

from regnal.bridges.postgres.applying import reload_files, rewrite_configuration
from regnal.bridges.postgres.connections import Session
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.programs import CancelToken
from regnal.bridges.postgres.server import Intent, Server
from regnal.bridges.postgres.wal import parse_lsn
from regnal.messages.base import LSN, Seconds
from regnal.messages.postgres import SetSynchronousStandbys, SynchronousStandbysSet
from regnal.messages.reasons import because

STEP: Seconds = 0.002
ANSWER_TIMEOUT: Seconds = 5.0
EVERYBODY = "*"

QUANTIFIER = re.compile(r"^\s*(?:(?:FIRST|ANY)\s+)?\d+\s*\(", re.IGNORECASE)
NAME = re.compile(r'"((?:[^"]|"")*)"|([^\s,()"]+)')


def set_synchronous_standbys(
    server: Server,
    session: Session,
    command: SetSynchronousStandbys,
    cancel: CancelToken,
) -> SynchronousStandbysSet:
    """Write the value, which stays through restarts, and wait until it holds.

    Raises OperationError (the value is in the file then, and may come into force
    later), SessionFailed, StatementFailed and Cancelled.
    """
    deadline = time.monotonic() + command.timeout
    postmaster = server.postmaster()
    if postmaster is None:
        raise OperationError(because("POSTGRES_NOT_RUNNING"))

    def change(intent: Intent) -> Intent:
        return dataclasses.replace(intent, synchronous_standby_names=command.value)

    server.intend(change)
    rewrite_configuration(server, session, cancel)
    reload_files(postmaster, session, cancel, command.timeout)
    while not _is_in_force(server, session, command.value, cancel):
        if time.monotonic() >= deadline:
            raise OperationError(because("RELOAD_TIMEOUT", seconds=command.timeout))
        cancel.wait(STEP)
    return SynchronousStandbysSet(value=command.value, lsn=_flushed(session, cancel))


def standby_names(value: str) -> tuple[str, ...]:
    """The standbys in a value of synchronous_standby_names, in lower case, as the
    server compares them."""
    names = QUANTIFIER.sub("", value)
    return tuple(
        (quoted.replace('""', '"') or plain).lower()
        for quoted, plain in NAME.findall(names)
    )


def senders_agree(value: str, senders: Iterable[tuple[str, int]]) -> bool:
    """Whether each WAL sender, given as application_name and sync_priority, acts on
    the value.

    Each reads the files by itself, and until then may release commits by the old
    value.
    """
    names = standby_names(value)
    return all(
        (priority > 0) == (EVERYBODY in names or name.lower() in names)
        for name, priority in senders
    )


def _is_in_force(
    server: Server, session: Session, value: str, cancel: CancelToken
) -> bool:
    rows = session.query(
        "SELECT current_setting('synchronous_standby_names')",
        timeout=ANSWER_TIMEOUT,
        cancel=cancel,
    )
    in_force = rows[0][0]
    if in_force != value and (value or server.options.synchronous_mode):
        return False
    senders = session.query(
        "SELECT application_name, sync_priority FROM pg_stat_replication"
        " WHERE state IN ('streaming', 'catchup')",
        timeout=ANSWER_TIMEOUT,
        cancel=cancel,
    )
    return senders_agree(in_force, [(row[0], row[1]) for row in senders])


def _flushed(session: Session, cancel: CancelToken) -> LSN:
    """Every commit that was acknowledged by the rule before is in the WAL up to
    here."""
    is_new = session.server_version >= 100000
    wal, lsn = ("wal", "lsn") if is_new else ("xlog", "location")
    rows = session.query(
        f"SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_{wal}_replay_{lsn}()"
        f" ELSE pg_current_{wal}_flush_{lsn}() END::text",
        timeout=ANSWER_TIMEOUT,
        cancel=cancel,
    )
    return parse_lsn(rows[0][0] or "0/0")
