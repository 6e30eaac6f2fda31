"""Following another upstream, and not waiting out the receiver's retry interval.

A standby whose upstream is gone tries again only every wal_retrieve_retry_interval
(5 s).  A SIGHUP wakes its startup process, which then tries at once.
"""

import contextlib
from collections.abc import Callable

from regnal.bridges.postgres.applying import (
    reload_files,
    rewrite_configuration,
    wake_startup_process,
    write_configuration,
)
from regnal.bridges.postgres.connections import Session, SessionFailed, StatementFailed
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.lifecycle import restart
from regnal.bridges.postgres.operation import Operation
from regnal.messages.base import Seconds
from regnal.messages.postgres import (
    FollowUpstream,
    PostgresReloaded,
    ReloadPostgres,
    RestartPostgres,
    UpstreamFollowed,
)
from regnal.messages.reasons import because

ANSWER_TIMEOUT: Seconds = 5.0
RELOAD_TIMEOUT: Seconds = 10.0
RECEIVER_CHANGE: Seconds = 2.0
"""How long after a reload the old receiver may end because of it."""

FIRST_NUDGE: Seconds = 0.05
LAST_NUDGE: Seconds = 1.6
"""Each nudge costs a call of restore_command if there is one: a few of them bridge
the retry interval, after which the receiver is on its own."""

RELOADABLE_CONNINFO_SINCE = 130000


def follow(operation: Operation, command: FollowUpstream) -> UpstreamFollowed:
    """By reload where primary_conninfo can be reloaded, else by restart."""
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
    operation.server.expect_receiver_end(RECEIVER_CHANGE)
    write_configuration(operation.server, "standby", command.upstream)
    reload_files(postmaster, session, operation.cancel, command.timeout)
    return UpstreamFollowed(restarted=False)


def reload(operation: Operation, _command: ReloadPostgres) -> PostgresReloaded:
    """Of a server that does not run nothing is written: a start writes it all."""
    postmaster = operation.server.postmaster()
    if postmaster is not None:
        session = operation.session()
        rewrite_configuration(operation.server, session, operation.cancel)
        reload_files(postmaster, session, operation.cancel, RELOAD_TIMEOUT)
    return PostgresReloaded()


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
            session = get_session()
            rows = session.query(
                "SELECT pg_is_in_recovery()"
                " AND coalesce(current_setting('primary_conninfo', true), '') <> ''"
                " AND NOT EXISTS (SELECT FROM pg_stat_wal_receiver)",
                timeout=ANSWER_TIMEOUT,
            )
            if not rows[0][0]:
                return
            wake_startup_process(session)
            if pause < LAST_NUDGE:
                self._pause = pause * 2
