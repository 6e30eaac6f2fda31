"""The examples for subscribers, with the programs that they are made for."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from regnal.bridges.webhook.sender import (
    Letter,
    Refused,
    WebhookOptions,
    WebhookSender,
)
from regnal.events.base import Event
from regnal.events.cloud import CloudEvent, Reporter, Said, cloud_event
from regnal.events.leadership import FailoverStarted, LeaderElected
from regnal.events.postgres import PostgresPromoted
from regnal.journal.event_layout import STREAM, message_id, subject_of
from tests.bridges.postgres.conftest import as_postgres
from tests.bridges.postgres.servers import BIN_DIR, free_port, initdb
from tests.servers.nats import NatsServer, Published, needs_nats
from tests.servers.webhook import receiving

pytestmark = pytest.mark.server

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
PATIENCE = 60.0
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
OPTIONS = (
    "-c listen_addresses=127.0.0.1,127.0.0.2 -c fsync=off -c shared_buffers=16MB "
    "-c port={port} -c unix_socket_directories={folder}"
)


@dataclass
class Server:
    """PostgreSQL at two addresses, as if it were two members."""

    folder: Path
    port: str

    @property
    def dsn(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    folder = Path(f"/tmp/regnal-examples-{os.getpid()}")
    control = [str(BIN_DIR / "pg_ctl"), "-D", str(folder / "data"), "-w"]
    with as_postgres():
        folder.mkdir()
        server = Server(folder, free_port())
        start(server, control)
    try:
        yield server
    finally:
        with as_postgres():
            subprocess.run([*control, "-m", "immediate", "stop"], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def start(server: Server, control: list[str]) -> None:
    data = server.folder / "data"
    initdb(data)
    (data / "pg_hba.conf").write_text(
        "local all all trust\nhost all all 127.0.0.0/8 trust\n"
    )
    options = OPTIONS.format(port=server.port, folder=server.folder)
    log = str(server.folder / "log")
    subprocess.run([*control, "-o", options, "-l", log, "start"], check=True)
    session = psycopg2.connect(server.dsn)
    session.autocommit = True
    with session.cursor() as cursor:
        cursor.execute("CREATE DATABASE app")
    session.close()


def told(
    event: Event, time: str = "2026-11-23T07:31:02Z", by: str = "pg2"
) -> CloudEvent:
    said = Said(f"{by}/1/1", time)
    return cloud_event(event, time, Reporter("demo", by), said, "reign-10")


def wait(what: str, is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)


@contextmanager
def program(*command: Any, **keywords: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [str(part) for part in command], text=True, stdout=subprocess.PIPE, **keywords
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


# PgBouncer.

CONFIGURATION = """
%include {folder}/databases.ini
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
admin_users = admin
pool_mode = transaction
logfile = {folder}/pgbouncer.log
"""


def address_behind(port: str) -> str | None:
    """Which server PgBouncer leads to; None: none, at the moment."""
    try:
        session = psycopg2.connect(
            f"host=127.0.0.1 port={port} user=postgres dbname=app"
        )
    except psycopg2.OperationalError:
        return None
    try:
        with session.cursor() as cursor:
            cursor.execute("SELECT host(inet_server_addr())")
            row = cursor.fetchone()
            return str(row[0]) if row else None
    except psycopg2.Error:
        return None
    finally:
        session.close()


def promoted(host: str, port: str, time: str) -> str:
    url = f"postgres://{host}:{port}/postgres"
    event = PostgresPromoted(timeline=2, lsn=1, conn_url=url)
    return told(event, time).json_bytes().decode()


def elected(host: str, port: str, time: str) -> str:
    url = f"postgres://{host}:{port}/postgres"
    return told(LeaderElected(leader="pg1", conn_url=url), time).json_bytes().decode()


@pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")
def test_pgbouncer_follows_the_primary(postgres: Server) -> None:
    """PgBouncer refuses to run as root."""
    with as_postgres():
        _follow_the_primary(postgres)


def _follow_the_primary(postgres: Server) -> None:
    folder, port = postgres.folder, free_port()
    (folder / "databases.ini").write_text(
        f"[databases]\napp = host=127.0.0.1 port={postgres.port}\n"
    )
    (folder / "users").write_text('"postgres" ""\n"admin" ""\n')
    ini = folder / "pgbouncer.ini"
    ini.write_text(CONFIGURATION.format(folder=folder, port=port))
    console = f"host=127.0.0.1 port={port} user=admin dbname=pgbouncer"

    follow = (
        *(sys.executable, EXAMPLES / "repoint_pgbouncer.py", "--database", "app"),
        *("--include", folder / "databases.ini", "--console", console),
    )
    with (
        program(PGBOUNCER, "-q", ini),
        program(*follow, stdin=subprocess.PIPE) as follower,
    ):
        wait("pgbouncer", lambda: address_behind(port) == "127.0.0.1")
        assert follower.stdin is not None

        def say(line: str) -> None:
            assert follower.stdin is not None
            follower.stdin.write(line + "\n")
            follower.stdin.flush()

        say(promoted("127.0.0.2", postgres.port, "2026-11-23T07:31:02Z"))
        wait("the new primary", lambda: address_behind(port) == "127.0.0.2")
        # Late, from who was away.
        say(promoted("127.0.0.1", postgres.port, "2026-11-23T07:00:00Z"))
        say(elected("127.0.0.1", postgres.port, "2026-11-23T08:00:00Z"))
        wait("the next primary", lambda: address_behind(port) == "127.0.0.1")
        follower.stdin.close()
        assert follower.wait(PATIENCE) == 0
        assert follower.stdout is not None
        assert len(follower.stdout.readlines()) == 2, "the late one moved nothing"


# The chat.


def test_a_chat_is_told_once_and_nothing_that_is_forged() -> None:
    started = told(
        FailoverStarted(
            incident="reign-10",
            former="pg1",
            began="2026-11-23T07:31:00Z",
            text="nobody holds the leader key, which pg1 had",
        )
    )
    letter = Letter(started.key, started.json_bytes())
    with (
        receiving() as chat,
        program(
            *(sys.executable, EXAMPLES / "chat_webhook.py", "0"),
            env={**os.environ, "WEBHOOK_SECRET": "between us", "CHAT_URL": chat.url},
            stderr=subprocess.DEVNULL,
        ) as receiver,
    ):
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline().split()[-1])
        options = WebhookOptions(
            name="chat",
            url=f"http://127.0.0.1:{port}/",
            shown="chat",
            secret="between us",
            token=None,
            patterns=(),
            timeout=10.0,
            give_up_after=0.0,
            cafile=None,
        )
        sender = WebhookSender(options, time.time)
        sender.post(letter)
        sender.post(letter)
        (said,) = chat.received
        assert json.loads(said.body)["text"].startswith("[demo] :rotating_light:")
        for wrong in (
            WebhookSender(replace(options, secret="a guess"), time.time),
            WebhookSender(replace(options, secret=None), time.time),
            WebhookSender(options, lambda: time.time() - 3600),
        ):
            with pytest.raises(Refused, match="401"):
                wrong.post(letter)
            wrong.close()
        sender.close()
        assert len(chat.received) == 1


# The audit table.


@needs_nats
def test_every_event_is_in_the_audit_table_once(
    postgres: Server, tmp_path: Path
) -> None:
    def published(number: int) -> Published:
        moment = f"2026-11-23T07:31:{number:02}Z"
        event = told(LeaderElected(leader="pg2", revision=str(number)), moment)
        subject = subject_of("regnal.events", "demo", event)
        return Published(subject, event.json_bytes(), message_id(event))

    def rows() -> list[tuple[Any, ...]]:
        session = psycopg2.connect(postgres.dsn)
        try:
            with session.cursor() as cursor:
                cursor.execute("SELECT id, data, trace FROM regnal_audit ORDER BY id")
                return list(cursor.fetchall())
        finally:
            session.close()

    audit = (sys.executable, EXAMPLES / "audit_table.py")
    with NatsServer(tmp_path) as server:
        subjects = ["regnal.events.*.>"]
        first = [published(n) for n in range(5)]
        server.publish(STREAM, subjects, first)
        subprocess.run([*audit, server.url, postgres.dsn, "--once"], check=True)
        assert len(rows()) == 5
        # Later, also some again, under no id that the stream knows.
        again = [one._replace(id=None) for one in first[:3]]
        server.publish(STREAM, subjects, [*again, published(5)])
        subprocess.run([*audit, server.url, postgres.dsn, "--once"], check=True)
    found = rows()
    assert [data["revision"] for _, data, _ in found] == [str(n) for n in range(6)]
    assert len({trace for _, _, trace in found}) == 1
