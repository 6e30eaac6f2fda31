"""The clients of a fault run: a process of its own that writes a history.

    python -m tests.faults.workload < WORKLOAD

WORKLOAD is JSON: `servers` (connection strings by name) and `history` (a file).  It ends
with SIGTERM.  For each server there is a prober, which asks whether it accepts writes
by writing, ten times a second, a row that needs nobody else; the clients write and
read where the probers last found that to be so, as a pooler with good checks would
lead them.  No call takes longer than its limit: a server that is frozen answers never.
"""

import contextlib
import json
import select
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions

from tests.faults.history import Kind, Operation, Recorder, Result

CLIENTS, REGISTERS = 3, 2
PAUSE = 0.02
"""Seconds between two writes of a client."""

PROBE_PAUSE = 0.1
CONNECT_LIMIT, PROBE_LIMIT = 1.0, 1.0
WRITE_LIMIT = 5.0
"""Seconds; in synchronous mode a write waits for standbys."""

ROW_NUMBERS = 1_000_000_000
"""Each client has so many of its own."""

TIMELINE = (
    "('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int"
)

TABLES = f"""
CREATE TABLE IF NOT EXISTS regnal_rows (id bigint PRIMARY KEY);
CREATE TABLE IF NOT EXISTS regnal_probes (server text PRIMARY KEY, at timestamptz);
CREATE TABLE IF NOT EXISTS regnal_registers (id int PRIMARY KEY, value bigint);
INSERT INTO regnal_registers SELECT n, 0 FROM generate_series(1, {REGISTERS}) AS n
ON CONFLICT DO NOTHING;
"""

_limit = threading.local()


class TookTooLong(psycopg2.OperationalError):
    """No answer within the limit: what was asked may have happened."""


def _wait(connection: psycopg2.extensions.connection) -> None:
    """psycopg2's wait callback: as usual, but not for ever."""
    while True:
        state = connection.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        left = _limit.at - time.monotonic()
        reading = state == psycopg2.extensions.POLL_READ
        fds = ([connection.fileno()], []) if reading else ([], [connection.fileno()])
        if left <= 0 or not any(select.select(*fds, [], left)):
            raise TookTooLong("no answer in time")


class Server:
    """A connection to one server, opened anew after every trouble."""

    def __init__(self, name: str, dsn: str, settings: str = "") -> None:
        self.name = name
        self._dsn = f"{dsn} options='{settings}'" if settings else dsn
        self._connection: psycopg2.extensions.connection | None = None

    def connect(self) -> None:
        """Raises psycopg2.Error."""
        if self._connection is None:
            _limit.at = time.monotonic() + CONNECT_LIMIT
            self._connection = psycopg2.connect(self._dsn)
            self._connection.autocommit = True

    def ask(self, statement: str, values: tuple[Any, ...], limit: float) -> Any:
        """The first row.  Raises psycopg2.Error."""
        assert self._connection is not None
        _limit.at = time.monotonic() + limit
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone() if cursor.description else None

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg2.Error):
                connection.close()


class Workload:
    def __init__(self, servers: Mapping[str, str], history: Path) -> None:
        self._servers = dict(servers)
        self._recorder = Recorder(history)
        self._stopping = threading.Event()
        self._primary: str | None = None
        """Who last took a probe's write; None: nobody does."""

    def run(self) -> None:
        """Until SIGTERM."""
        threads = [
            threading.Thread(target=self._probe, args=(name,)) for name in self._servers
        ]
        threads += [
            threading.Thread(target=self._append, args=(number,))
            for number in range(CLIENTS)
        ]
        threads += [
            threading.Thread(target=self._keep_register, args=(number,))
            for number in range(1, REGISTERS + 1)
        ]
        for thread in threads:
            thread.start()
        self._stopping.wait()
        for thread in threads:
            thread.join()
        self._recorder.close()

    def stop(self, *_: object) -> None:
        self._stopping.set()

    def _probe(self, name: str) -> None:
        server = Server(name, self._servers[name], "-c synchronous_commit=local")
        while not self._stopping.wait(PROBE_PAUSE):
            if not self._accepts_writes(server) and self._primary == name:
                self._primary = None
        server.close()

    def _accepts_writes(self, server: Server) -> bool:
        try:
            server.connect()
            if server.ask("SELECT pg_is_in_recovery()", (), PROBE_LIMIT)[0]:
                return False
        except psycopg2.Error:
            server.close()
            return False
        done = self._do(
            server,
            ("probe", 0, None),
            "INSERT INTO regnal_probes VALUES (%s, now()) ON CONFLICT (server) "
            f"DO UPDATE SET at = now() RETURNING 0, {TIMELINE}",
            (server.name,),
            PROBE_LIMIT,
        )
        if done.result == "acknowledged":
            self._primary = server.name
        return done.result == "acknowledged"

    def _append(self, number: int) -> None:
        """Each row once: one that was not acknowledged gets no second try."""
        row = number * ROW_NUMBERS
        servers = {name: Server(name, dsn) for name, dsn in self._servers.items()}
        while not self._stopping.wait(PAUSE):
            server = self._reached(servers)
            if server is None:
                continue
            row += 1
            self._do(
                server,
                ("append", row, None),
                f"INSERT INTO regnal_rows VALUES (%s) RETURNING id, {TIMELINE}",
                (row,),
                WRITE_LIMIT,
            )

    def _keep_register(self, number: int) -> None:
        """Write one register, and read the next one, in turns."""
        value = 0
        servers = {name: Server(name, dsn) for name, dsn in self._servers.items()}
        while not self._stopping.wait(PAUSE * 2):
            server = self._reached(servers)
            if server is None:
                continue
            value += 1
            self._do(
                server,
                ("write", number, value),
                # What nobody waits for any more may be done late: not backwards.
                "UPDATE regnal_registers SET value = %s WHERE id = %s AND value < %s "
                f"RETURNING value, {TIMELINE}",
                (value, number, value),
                WRITE_LIMIT,
            )
            other = number % REGISTERS + 1
            server = self._reached(servers)
            if server is not None:
                self._do(
                    server,
                    ("read", other, None),
                    "SELECT value, NULL FROM regnal_registers WHERE id = %s",
                    (other,),
                    WRITE_LIMIT,
                )

    def _reached(self, servers: Mapping[str, Server]) -> Server | None:
        """A connection to the primary of now."""
        name = self._primary
        if name is None:
            return None
        server = servers[name]
        try:
            server.connect()
        except psycopg2.Error:
            server.close()
            return None
        return server

    def _do(
        self,
        server: Server,
        what: tuple[Kind, int, int | None],
        statement: str,
        values: tuple[Any, ...],
        limit: float,
    ) -> Operation:
        """Do it, and write down what came of it."""
        kind, number, value = what
        timeline: int | None = None
        result: Result = "acknowledged"
        error = ""
        began = time.monotonic()
        try:
            row = server.ask(statement, values, limit)
            if row is None:  # the register is not there (yet): nothing was written
                result, error = "failed", "no such row"
            else:
                timeline = row[1]
                value = row[0] if kind == "read" else value
        except psycopg2.Error as trouble:
            result = "failed" if was_refused(trouble) else "unknown"
            error = str(trouble).strip()[:200]
            server.close()
        operation = Operation(
            kind=kind,
            number=number,
            value=value,
            server=server.name,
            timeline=timeline,
            began=began,
            ended=time.monotonic(),
            result=result,
            error=error,
        )
        self._recorder.note(operation)
        return operation


REFUSALS = ("25", "42", "53", "3D")
"""Classes of SQLSTATE that come instead of the statement: a transaction that may only
read, a table that is not there, no resources, no such database."""


def was_refused(error: psycopg2.Error) -> bool:
    """Whether the server said that it did not do it.  What ends a connection, or waits
    for a standby that never answers, says nothing of the commit."""
    code = error.pgcode or ""
    return code[:2] in REFUSALS and code != "53100"  # a full disk may break a commit


def main() -> None:
    asked = json.load(sys.stdin)
    psycopg2.extensions.set_wait_callback(_wait)
    servers: dict[str, str] = asked["servers"]
    workload = Workload(servers, Path(asked["history"]))
    signal.signal(signal.SIGTERM, workload.stop)
    workload.run()


if __name__ == "__main__":
    main()
