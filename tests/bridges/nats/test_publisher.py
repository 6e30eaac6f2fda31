"""Publishing to a real NATS server, and everything that can be in the way."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import nats
import pytest

from regnal.bridges.nats.options import NatsOptions, StreamPlan
from regnal.bridges.nats.publisher import NatsSink
from regnal.bridges.outgoing import NotSent, Outgoing
from tests.bridges.http.certificates import authority
from tests.servers.nats import NatsServer, Published, needs_nats
from tests.servers.ports import free_port

pytestmark = [pytest.mark.server, needs_nats]

PLAN = StreamPlan(
    name="REGNAL_EVENTS",
    subjects=("regnal.events.*.>",),
    create=True,
    max_age=3600.0,
    max_bytes=-1,
)
SUBJECT = "regnal.events.demo.pg1.leader.elected"


def message(number: int, payload: bytes = b"{}") -> Outgoing:
    return Outgoing(SUBJECT, payload, f"id-{number}")


def options(*urls: str) -> NatsOptions:
    return NatsOptions(servers=urls, shown=", ".join(urls))


@contextmanager
def sink_of(client: NatsOptions, plan: StreamPlan | None = PLAN) -> Iterator[NatsSink]:
    with closing(NatsSink(client, plan)) as sink:
        yield sink


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path) as running:
        yield running


def test_messages_come_in_order_and_each_once(server: NatsServer) -> None:
    with sink_of(options(server.url)) as sink:
        assert sink.send([message(1), message(2)]) == 2
        assert sink.send([message(1), message(2), message(3)]) == 3
    assert server.received(PLAN.name) == [
        Published(SUBJECT, b"{}", f"id-{number}") for number in (1, 2, 3)
    ]


def test_a_server_that_comes_back_gets_what_was_not_sent(server: NatsServer) -> None:
    with sink_of(options(server.url)) as sink:
        sink.send([message(1)])
        server.__exit__()
        with pytest.raises(NotSent, match=f"127.0.0.1:{server.port}"):
            sink.send([message(2)])
        with pytest.raises(NotSent, match="NATS at"):
            sink.send([message(2)])
        server.__enter__()
        assert sink.send([message(2)]) == 1
    assert [one.id for one in server.received(PLAN.name)] == ["id-1", "id-2"]


def test_of_several_servers_one_that_answers_is_taken(server: NatsServer) -> None:
    dead = f"nats://127.0.0.1:{free_port()}"
    with sink_of(options(dead, server.url)) as sink:
        assert sink.send([message(1)]) == 1


def test_a_stream_that_may_not_be_made_is_told(server: NatsServer) -> None:
    plan = replace(PLAN, create=False)
    with (
        sink_of(options(server.url), plan) as sink,
        pytest.raises(NotSent, match="no stream REGNAL_EVENTS; make it"),
    ):
        sink.send([message(1)])


def test_a_stream_without_our_subjects_is_told(server: NatsServer) -> None:
    server.publish(PLAN.name, ["elsewhere.>"], [])
    with (
        sink_of(options(server.url)) as sink,
        pytest.raises(NotSent, match="no stream takes the subject"),
    ):
        sink.send([message(1)])


def test_a_server_without_jetstream_is_told(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path, jetstream=False) as plain,
        sink_of(options(plain.url)) as sink,
        pytest.raises(NotSent, match=r"set nats\.jetstream to off"),
    ):
        sink.send([message(1)])


def test_without_jetstream_who_listens_hears_it(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path, jetstream=False) as plain,
        sink_of(options(plain.url), None) as sink,
    ):
        heard = threading.Event()
        listens = threading.Event()
        listener = threading.Thread(
            target=lambda: asyncio.run(_listen(plain.url, listens, heard))
        )
        listener.start()
        assert listens.wait(10)
        assert sink.send([message(1)]) == 1
        assert heard.wait(10)
        listener.join(10)


async def _listen(url: str, listens: threading.Event, heard: threading.Event) -> None:
    client = await nats.connect(url)
    subscription = await client.subscribe("regnal.events.>")
    await client.flush()
    listens.set()
    await subscription.next_msg(timeout=10)
    heard.set()
    await client.close()


def test_what_is_too_large_is_passed_over(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    large = message(1, b"x" * (1024 * 1024 + 1))
    with sink_of(options(server.url)) as sink:
        assert sink.send([large, message(2)]) == 1
    assert "max_payload" in caplog.text


def test_a_wrong_password_is_told_without_it(tmp_path: Path) -> None:
    with NatsServer(tmp_path, account=("regnal", "right")) as server:
        wrong = replace(options(server.url), username="regnal", password="hunter2")
        with sink_of(wrong) as sink, pytest.raises(NotSent) as told:
            sink.send([message(1)])
        assert "uthorization" in str(told.value)
        assert "hunter2" not in str(told.value)
        right = replace(wrong, password="right")
        with sink_of(right) as sink:
            assert sink.send([message(1)]) == 1


def test_certificates_are_checked(tmp_path: Path) -> None:
    ours, other = authority(tmp_path), authority(tmp_path, "stranger")
    certfile, keyfile = ours.issue("server")
    tls = ("--tls", f"--tlscert={certfile}", f"--tlskey={keyfile}")
    with NatsServer(tmp_path, options=tls) as server:
        url = server.url.replace("nats://", "tls://")
        refused = replace(options(url), cafile=other.certificate)
        with sink_of(refused) as sink, pytest.raises(NotSent, match=r"nats\.cafile"):
            sink.send([message(1)])
        with sink_of(replace(refused, cafile=ours.certificate)) as sink:
            assert sink.send([message(1)]) == 1


def test_a_file_that_is_not_there_is_told(server: NatsServer, tmp_path: Path) -> None:
    missing = replace(options(server.url), cafile=tmp_path / "missing.crt")
    with sink_of(missing) as sink, pytest.raises(NotSent, match="No such file"):
        sink.send([message(1)])


def test_a_wrong_url_is_told() -> None:
    wrong = options("nats://127.0.0.1:notaport")
    with sink_of(wrong) as sink, pytest.raises(NotSent, match="NATS at"):
        sink.send([message(1)])


def test_somebody_else_who_answers_is_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"nats://127.0.0.1:{listener.getsockname()[1]}"

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with sink_of(options(url)) as sink, pytest.raises(NotSent, match="NATS at"):
            sink.send([message(1)])
        thread.join(10)


def test_closing_gives_up_what_is_being_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"nats://127.0.0.1:{silent.getsockname()[1]}"
        sink = NatsSink(options(url), PLAN)
        told: list[str] = []

        def send() -> None:
            try:
                sink.send([message(1)])
            except NotSent as error:
                told.append(str(error))

        thread = threading.Thread(target=send)
        thread.start()
        connection, _ = silent.accept()
        sink.close()
        thread.join(10)
        connection.close()
    assert told == ["the daemon ends"]


def test_nothing_of_the_library_is_imported_where_it_is_not_used() -> None:
    code = (
        "import sys, regnal.runtime.publishing; "
        "sys.exit(any(m.partition('.')[0] == 'nats' for m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
