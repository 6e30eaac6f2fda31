"""The client of the demonstration: commits rows, and remembers what was acknowledged."""

import contextlib
import itertools
import threading
import time
from dataclasses import dataclass

import psycopg2
import psycopg2.extensions

PAUSE = 0.005
"""Seconds between two commits."""

RETRY = 0.02
"""Seconds until another connection is tried."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch without an acknowledged commit."""

    began_at: float
    """By the monotonic clock."""

    seconds: float


class Writer:
    """A thread that commits one row after the other to whoever is the primary."""

    def __init__(self, connection_string: str) -> None:
        self._dsn = connection_string
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self.acknowledged: list[int] = []
        self._acknowledged_at: list[float] = []
        self._row = 0

    def start(self) -> None:
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE regnal_demo (id bigint PRIMARY KEY)")
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def longest_outage(self, since: float) -> Outage:
        """The longest gap between two acknowledged commits from `since` on."""
        times = [at for at in self._acknowledged_at if at >= since]
        before = [at for at in self._acknowledged_at if at < since]
        times = before[-1:] + times
        gaps = [
            Outage(earlier, later - earlier)
            for earlier, later in itertools.pairwise(times)
        ]
        return max(gaps, key=lambda gap: gap.seconds, default=Outage(since, 0.0))

    def commits_since(self, instant: float) -> int:
        return sum(1 for at in reversed(self._acknowledged_at) if at >= instant)

    def acknowledged_at(self, row: int) -> float:
        """By the monotonic clock.  Raises ValueError."""
        return self._acknowledged_at[self.acknowledged.index(row)]

    def missing(self) -> list[int]:
        """Acknowledged rows that are not there; it may go on writing meanwhile."""
        acknowledged = tuple(self.acknowledged)
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM regnal_demo")
            present = {row[0] for row in cursor.fetchall()}
        return [row for row in acknowledged if row not in present]

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(psycopg2.Error):
                self._write_while_it_works()
            self._stopping.wait(RETRY)

    def _write_while_it_works(self) -> None:
        connection = self._connect()
        try:
            with connection.cursor() as cursor:
                while not self._stopping.is_set():
                    # A row whose commit was not acknowledged gets no second try: it
                    # may have been committed.
                    self._row += 1
                    cursor.execute("INSERT INTO regnal_demo VALUES (%s)", (self._row,))
                    self.acknowledged.append(self._row)
                    self._acknowledged_at.append(time.monotonic())
                    self._stopping.wait(PAUSE)
        finally:
            connection.close()

    def _connect(self) -> psycopg2.extensions.connection:
        connection = psycopg2.connect(self._dsn)
        connection.autocommit = True
        return connection
