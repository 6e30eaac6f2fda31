"""The timeline that a standby replays, which no view shows (P-RWD-10)."""

import logging
import time

from regnal.bridges.postgres.connections import (
    SessionFailed,
    StatementFailed,
    connect,
    libpq_version,
)
from regnal.bridges.postgres.conninfo import replication_parameters
from regnal.bridges.postgres.monitor_query import Answer
from regnal.bridges.postgres.server import Server
from regnal.messages.base import LSN, Seconds, Timeline

APPLICATION_NAME = "Patroni heartbeat"
ANSWER_TIMEOUT: Seconds = 2.0

RETRY: Seconds = 10.0
"""After our server refused a replication connection, which a person must allow."""

logger = logging.getLogger(__name__)


class StandbyTimeline:
    """Asked by the replication protocol, and only when it may have changed
    (REPL-28)."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._timeline: Timeline = 0
        self._replayed: LSN | None = None
        """Where the replay was when the timeline was asked."""

        self._ask_at = 0.0

    def of(self, answer: Answer) -> Timeline:
        """What the receiver streams, if our server does not say; 0: nothing known."""
        now = time.monotonic()
        if not self._is_known(answer) and now >= self._ask_at:
            found = self._identify()
            if not found:
                self._ask_at = now + RETRY
            self._timeline = found or self._timeline
            self._replayed = answer.status.replayed_lsn
        return self._timeline or answer.receiver_timeline

    def _is_known(self, answer: Answer) -> bool:
        if not self._timeline:
            return False
        if answer.receiver_pid is None:
            return self._replayed == answer.status.replayed_lsn
        # While it streams, the replay can change only to the timeline that the
        # receiver says; until it has, we keep asking.
        return self._timeline == answer.receiver_timeline

    def _identify(self) -> Timeline:
        """0: the server did not say."""
        parameters = replication_parameters(
            self._server.options, libpq_version=libpq_version()
        )
        try:
            session = connect(
                {**parameters, "options": "-c datestyle=ISO"},
                application_name=APPLICATION_NAME,
                timeout=ANSWER_TIMEOUT,
            )
        except SessionFailed as error:
            logger.warning(
                "No replication connection to our own server; check pg_hba.conf.",
                extra={"error": str(error)},
            )
            return 0
        try:
            rows = session.query("IDENTIFY_SYSTEM", timeout=ANSWER_TIMEOUT)
            return int(rows[0][1])
        except (SessionFailed, StatementFailed) as error:
            logger.warning("IDENTIFY_SYSTEM failed.", extra={"error": str(error)})
            return 0
        finally:
            session.close()
