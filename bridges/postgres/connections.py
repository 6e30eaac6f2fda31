"""Sessions at a PostgreSQL server in which no wait is without an end.

The driver is used in its asynchronous mode, so that every step, connecting
included, ends at a deadline or when somebody cancels it, even if the server is
frozen.  Each statement is its own transaction, as replication needs (REPL-26).
"""

import contextlib
import select
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import psycopg2
from psycopg2 import extensions

from regnal.bridges.postgres.programs import CancelToken
from regnal.messages.base import Seconds

Row: TypeAlias = tuple[Any, ...]

CONNECT_TIMEOUT: Seconds = 5.0
"""To our own server: a healthy one needs milliseconds."""


class SessionFailed(Exception):
    """The server was not reached, closed the session, or did not answer in time.

    Nothing is known of the statement; the session is closed.
    """


class StatementFailed(Exception):
    """The server answered with an error; the session can still be used."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def libpq_version() -> int:
    """Of the library in the driver, counted as server versions are."""
    return int(extensions.libpq_version())


class Session:
    """One connection, closed for good by the first failure of it."""

    def __init__(self, connection: extensions.connection) -> None:
        self._connection = connection

    @property
    def server_version(self) -> int:
        """As PostgreSQL counts, e.g. 150018."""
        return int(self._connection.server_version)

    @property
    def backend_pid(self) -> int:
        """The server's process that serves this session."""
        return int(self._connection.info.backend_pid)

    @property
    def is_open(self) -> bool:
        """Whether it can be used, as far as that shows without a round trip: a
        server that ended the session has said so to our socket."""
        if self._connection.closed:
            return False
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLIN)
        if not poll.poll(0):
            return True
        try:
            self._connection.poll()  # a notice, or a setting that changed
        except psycopg2.Error:
            self.close()
        return not self._connection.closed

    def query(
        self,
        statement: str,
        arguments: Sequence[Any] = (),
        *,
        timeout: Seconds,
        cancel: CancelToken | None = None,
    ) -> list[Row]:
        """Run one statement and return its rows, if it has any.

        Raises StatementFailed, SessionFailed (also when the time is over, after
        which nobody knows whether it has run) and Cancelled.
        """
        try:
            cursor = self._connection.cursor()
            cursor.execute(statement, arguments or None)
            _finish(self._connection, timeout, cancel)
            return list(cursor.fetchall()) if cursor.description else []
        except psycopg2.Error as error:
            if self._connection.closed or error.pgcode is None:
                self.close()
                raise SessionFailed(_first_line(error)) from error
            raise StatementFailed(_first_line(error), error.pgcode) from error
        except BaseException:
            # An answer to this statement may come later: it must never be
            # taken for the answer to another one.
            self.close()
            raise

    def close(self) -> None:
        with contextlib.suppress(psycopg2.Error):
            self._connection.close()


def connect(
    parameters: Mapping[str, str],
    *,
    application_name: str,
    timeout: Seconds = CONNECT_TIMEOUT,
    cancel: CancelToken | None = None,
) -> Session:
    """Open a session.  Raises SessionFailed, which never holds the password, and
    Cancelled."""
    connection = None
    try:
        keywords = {**parameters, "application_name": application_name}
        connection = psycopg2.connect(extensions.make_dsn(**keywords), async_=True)
        _finish(connection, timeout, cancel)
    except psycopg2.Error as error:
        _discard(connection)
        raise SessionFailed(_first_line(error)) from error
    except BaseException:
        _discard(connection)
        raise
    return Session(connection)


def _finish(
    connection: extensions.connection, timeout: Seconds, cancel: CancelToken | None
) -> None:
    """Let the driver go on with what it does until it is done."""
    deadline = time.monotonic() + timeout
    while (state := connection.poll()) != extensions.POLL_OK:
        left = deadline - time.monotonic()
        if left <= 0:
            raise SessionFailed(f"no answer within {timeout:.1f} s")
        poll = select.poll()
        wanted = select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        poll.register(connection.fileno(), wanted)
        if cancel is not None:
            poll.register(cancel.fileno(), select.POLLIN)
        poll.poll(left * 1000)
        if cancel is not None:
            cancel.raise_if_cancelled()


def _discard(connection: extensions.connection | None) -> None:
    if connection is not None:
        with contextlib.suppress(psycopg2.Error):
            connection.close()


def _first_line(error: psycopg2.Error) -> str:
    return str(error).strip().partition("\n")[0]
