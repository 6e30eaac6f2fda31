"""What an operation has at hand while the operator performs it."""

from collections.abc import Callable
from dataclasses import dataclass

from regnal.bridges.postgres.connections import (
    CONNECT_TIMEOUT,
    Session,
    SessionFailed,
)
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.programs import CancelToken
from regnal.bridges.postgres.server import Server
from regnal.messages.base import Message
from regnal.messages.reasons import because

APPLICATION_NAME = "Patroni"
"""The peer's name for its sessions other than the heartbeat's."""


class OperatorSession:
    """The operator's connection, kept open between operations.

    A promotion then need not first connect.  Only for the operator's thread.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._session: Session | None = None
        self._postmaster: object = None

    def get(self, cancel: CancelToken) -> Session:
        """Raises SessionFailed and Cancelled."""
        postmaster = self._server.postmaster()
        if postmaster != self._postmaster:
            # An old one could still answer after SIGKILL of its postmaster (PG-20).
            self.close()
        if self._session is None or not self._session.is_open:
            self._session = self._server.connect(
                APPLICATION_NAME,
                statement_timeout=0,
                timeout=CONNECT_TIMEOUT,
                cancel=cancel,
            )
            self._postmaster = postmaster
        return self._session

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One command under way."""

    server: Server
    cancel: CancelToken
    sessions: OperatorSession
    say: Callable[[Message], None]
    """Observations on the way, caused by the command."""

    @property
    def options(self) -> PostgresOptions:
        return self.server.options

    def session(self) -> Session:
        """Raises OperationError and Cancelled."""
        try:
            return self.sessions.get(self.cancel)
        except SessionFailed as error:
            raise OperationError(
                because("CONNECTION_FAILED", error=str(error))
            ) from error
