"""Following another upstream, and not waiting out the receiver's retry interval.

A standby whose upstream is gone tries again only every wal_retrieve_retry_interval
(5 s).  A SIGHUP wakes its startup process, which then tries at once.
"""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable

from regnal.bridges.postgres.connection_string import InvalidConnectionString, parse
from regnal.bridges.postgres.connections import Session, SessionFailed, StatementFailed
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.lifecycle import restart, write_configuration
from regnal.bridges.postgres.operation import Operation
from regnal.bridges.postgres.postmaster import Postmaster
from regnal.bridges.postgres.server import Role
from regnal.messages.base import Seconds
from regnal.messages.postgres import (
    FollowUpstream,
    PostgresReloaded,
    ReloadPostgres,
    RestartPostgres,
    Upstream,
    UpstreamFollowed,
)
from regnal.messages.reasons import because

STEP: Seconds = 0.002
ANSWER_TIMEOUT: Seconds = 5.0
RELOAD_TIMEOUT: Seconds = 10.0

FIRST_NUDGE: Seconds = 0.05
LAST_NUDGE: Seconds = 1.6
"""Each nudge costs a call of restore_command if there is one: a few of them bridge
the retry interval, after which the receiver is on its own."""

RELOADABLE_CONNINFO_SINCE = 130000

logger = logging.getLogger(__name__)


def follow(operation: Operation, command: FollowUpstream) -> UpstreamFollowed:
    postmaster = operation.server.postmaster()
    if postmaster is None:
        raise OperationError(because("POSTGRES_NOT_RUNNING"))
    session = operation.session()
    if session.server_version < RELOADABLE_CONNINFO_SINCE:
        restart(
            operation,
            RestartPostgres(
                role="standby", upstream=command.upstream, timeout=command.timeout
            ),
        )
        return UpstreamFollowed(restarted=True)
    operation.server.receiver_end_expected = True
    try:
        write_configuration(operation, "standby", command.upstream)
        reload_files(operation, postmaster, session, command.timeout)
    finally:
        operation.server.receiver_end_expected = False
    return UpstreamFollowed(restarted=False)


def reload(operation: Operation, command: ReloadPostgres) -> PostgresReloaded:
    """Of a server that does not run nothing is written: a start writes it all."""
    postmaster = operation.server.postmaster()
    if postmaster is None:
        return PostgresReloaded()
    session = operation.session()
    intent = operation.server.intent
    try:
        if intent.role is None:
            # We adopted it, and nobody said yet what it should be: it stays.
            in_recovery, upstream = _as_it_is(session, operation)
            role: Role = "standby" if in_recovery else "primary"
            write_configuration(operation, role, upstream)
        else:
            write_configuration(operation, intent.role, intent.upstream)
    except (SessionFailed, StatementFailed) as error:
        raise OperationError(because("CONNECTION_FAILED", error=str(error))) from error
    reload_files(operation, postmaster, session, RELOAD_TIMEOUT)
    return PostgresReloaded()


def reload_files(
    operation: Operation, postmaster: Postmaster, session: Session, timeout: Seconds
) -> None:
    """Let the server read its files again, and wait until it has.

    Our session reads them after the postmaster did, so its word is enough.
    Raises OperationError.
    """
    deadline = time.monotonic() + timeout
    try:
        before = _loaded_at(session, operation)
        postmaster.send(signal.SIGHUP)
        while _loaded_at(session, operation) == before:
            if time.monotonic() >= deadline:
                raise OperationError(because("RELOAD_TIMEOUT", seconds=timeout))
            operation.cancel.wait(STEP)
    except (SessionFailed, StatementFailed) as error:
        raise OperationError(because("CONNECTION_FAILED", error=str(error))) from error


class Nudge:
    """Wakes a standby that does not stream, less and less often, then leaves it."""

    def __init__(self) -> None:
        self._pause: Seconds | None = None

    def begin(self) -> None:
        self._pause = FIRST_NUDGE

    @property
    def pause(self) -> Seconds | None:
        """How long until the next one; None: there is nothing to do."""
        return self._pause

    def nudge(self, get_session: Callable[[], Session]) -> None:
        """Whatever goes wrong ends the nudging: the server then does as it would."""
        pause, self._pause = self._pause, None
        if pause is None:
            return
        with contextlib.suppress(SessionFailed, StatementFailed, OperationError):
            rows = get_session().query(
                "SELECT pg_is_in_recovery()"
                " AND coalesce(current_setting('primary_conninfo', true), '') <> ''"
                " AND NOT EXISTS (SELECT FROM pg_stat_wal_receiver),"
                " (SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup')",
                timeout=ANSWER_TIMEOUT,
            )
            needs_it, startup_pid = rows[0]
            if not needs_it or startup_pid is None:
                return
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(startup_pid, signal.SIGHUP)
            if pause < LAST_NUDGE:
                self._pause = pause * 2


def _loaded_at(session: Session, operation: Operation) -> object:
    rows = session.query(
        "SELECT pg_conf_load_time()", timeout=ANSWER_TIMEOUT, cancel=operation.cancel
    )
    return rows[0][0]


def _as_it_is(session: Session, operation: Operation) -> tuple[bool, Upstream | None]:
    """Whether it is in recovery, and what it is configured to follow (REPL-17)."""
    if session.server_version >= 120000:
        source = (
            "SELECT pg_is_in_recovery(), current_setting('primary_conninfo'),"
            " current_setting('primary_slot_name')"
        )
    else:
        source = (
            "SELECT pg_is_in_recovery(), conninfo, slot_name"
            " FROM (SELECT) AS one LEFT JOIN pg_stat_wal_receiver ON true"
        )
    in_recovery, conninfo, slot = session.query(
        source, timeout=ANSWER_TIMEOUT, cancel=operation.cancel
    )[0]
    try:
        parameters = parse(conninfo or "")
    except InvalidConnectionString:
        parameters = {}
    host = parameters.get("host")
    if not in_recovery or not host:
        return bool(in_recovery), None
    return True, Upstream(
        member=None,
        host=host,
        port=parameters.get("port", "5432"),
        slot=slot or None,
        is_leader=False,
    )
