"""The REST API as its clients see it: a real server, real connections."""

import contextlib
import http.client
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import urllib3

from regnal.bridges.http import server
from regnal.bridges.http.errors import UnusableOptions
from regnal.bridges.http.http1 import MAXIMUM_WAITING
from regnal.bridges.http.server import Mouth
from regnal.bridges.metric import Measured, Metric, Sample
from regnal.messages.base import Message
from regnal.messages.requests import RequestAnswered, RestartRequested
from tests.bridges.http.running import (
    CLIENT,
    DEADLINE,
    PLAIN,
    Api,
    FixedJournal,
    boot_clock,
    primary,
    read_all,
    read_reply,
    replica,
    serving,
    snapshot,
)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving() as running:
        yield running


# Reads.


def test_before_anything_is_known_no_check_passes(api: Api) -> None:
    """P-REST-25, P-REST-07: but the daemon is alive, and has metrics."""
    with serving() as fresh:
        reply = fresh.ask("GET", "/primary")
        assert reply.status == 503
        assert reply.document["patroni"] == {
            "version": "4.1.5",
            "scope": "demo",
            "name": "pg1",
        }
        assert fresh.status("/liveness") == 200
        assert fresh.status("/readiness") == 503
        assert 'patroni_postgres_running{scope="demo",name="pg1"} 0\n' in (
            fresh.ask("GET", "/metrics").text
        )


def test_a_health_check_answers_with_the_status_document(api: Api) -> None:
    """REST-01, REST-02, P-REST-01."""
    api.publish(primary(dcs_last_seen=1903780000))
    for path in ("/", "/primary", "/primary?lag=5", "/master", "/read-write/x/y"):
        reply = api.ask("GET", path)
        assert reply.status == 200, path
        assert reply.headers["content-type"] == "application/json"
        assert reply.document == {
            "state": "running",
            "role": "primary",
            "dcs_last_seen": 1903780000,
        }
    assert api.status("/replica") == 503


def test_an_unknown_path_is_a_check_that_fails(api: Api) -> None:
    """docs/contracts.md 4.1."""
    api.publish(primary())
    reply = api.ask("GET", "/no/such/thing")
    assert reply.status == 503
    assert reply.document["role"] == "primary"


def test_patroni_is_always_200(api: Api) -> None:
    """REST-13."""
    api.publish(snapshot())
    assert api.status("/patroni") == 200
    assert api.status("/patroni/x?y") == 200


def test_documents(api: Api) -> None:
    """REST-14, REST-15, REST-16, P-FSAFE-04, P-REST-13."""
    api.publish(
        primary(
            cluster='{"members": [], "scope": "demo"}',
            history='[[1, 2, "x"]]',
            config='{"ttl": 30}',
            failsafe='{"pg1": "http://pg1:8008/patroni"}',
        )
    )
    assert api.ask("GET", "/cluster").document == {"members": [], "scope": "demo"}
    assert api.ask("GET", "/history").document == [[1, 2, "x"]]
    assert api.ask("GET", "/config").document == {"ttl": 30}
    assert api.ask("GET", "/failsafe").document == {"pg1": "http://pg1:8008/patroni"}
    api.publish(primary(config=None, failsafe=None))
    assert api.status("/config") == 502
    assert api.status("/failsafe") == 502


def test_metrics_of_other_parts_come_with_the_same_labels() -> None:
    up = Metric("regnal_outbox_up", "gauge", "Value is 1 if it is up.")
    more = [Measured(up, [Sample(1, {"consumer": "x"})])]
    with serving(more_metrics=lambda: more) as api:
        lines = api.ask("GET", "/metrics").text.splitlines()
        assert 'regnal_outbox_up{scope="demo",name="pg1",consumer="x"} 1' in lines
        assert any(line.startswith("patroni_version{") for line in lines)


def test_metrics(api: Api) -> None:
    """METRICS-01."""
    api.publish(
        primary(
            scope='a"b',
            metrics=json.dumps({"patroni_version": "040105", "patroni_primary": 1}),
            dcs_last_seen=1903780000,
        )
    )
    reply = api.ask("GET", "/metrics")
    assert reply.headers["content-type"] == "text/plain"
    lines = reply.text.splitlines()
    labels = r'{scope="a\"b",name="pg1"}'
    assert f"patroni_version{labels} 040105" in lines
    assert f"patroni_primary{labels} 1" in lines
    assert f"patroni_dcs_last_seen{labels} 1903780000" in lines
    assert f"patroni_replica{labels} 0" in lines
    assert "# TYPE patroni_xlog_location counter" in lines
    samples = [line for line in lines if not line.startswith("#")]
    assert all(
        f"# TYPE {line.partition('{')[0]} gauge" in lines
        or f"# TYPE {line.partition('{')[0]} counter" in lines
        for line in samples
    )


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/primary", b"HTTP/1.0 200 OK"),
        ("/replica", b"HTTP/1.0 503 Service Unavailable"),
        ("/liveness", b"HTTP/1.0 200 OK"),
        ("/metrics", b"HTTP/1.0 200 OK"),
        ("/config", b"HTTP/1.0 502 Bad Gateway"),
    ],
)
def test_head_and_options_get_the_status_line_alone(
    api: Api, method: str, path: str, line: bytes
) -> None:
    """REST-30, P-REST-05: and the empty line that HAProxy and Consul wait for."""
    api.publish(primary())
    for version in ("1.0", "1.1"):
        reply = api.raw(f"{method} {path} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        assert reply == line + b"\r\n\r\n"


@pytest.mark.parametrize("path", ["/liveness", "/readiness"])
def test_liveness_and_readiness_are_status_lines_to_get_too(
    api: Api, path: str
) -> None:
    """REST-11, REST-12."""
    api.publish(primary())
    reply = api.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert reply == b"HTTP/1.0 200 OK\r\n\r\n"


def test_withdrawing_acts_at_once_and_until_the_next_snapshot(api: Api) -> None:
    """REST-26, law 6."""
    api.publish(primary())
    assert api.status("/primary") == 200
    api.withdraw()
    assert api.status("/primary") == 503
    assert api.status("/leader") == 503
    assert api.status("/health") == 200
    api.publish(primary())
    assert api.status("/primary") == 200


def test_the_lease_ends_by_itself(api: Api) -> None:
    """Law 6: nobody has to tell the API, nor could if the actors are stuck."""
    api.publish(primary(leader_until=boot_clock() + 0.3))
    assert api.status("/primary") == 200
    deadline = time.monotonic() + DEADLINE
    while api.status("/primary") == 200:
        assert time.monotonic() < deadline, "the lease never ended"
    assert api.daemon.said.empty()


def test_reads_do_not_wait_for_the_daemon(api: Api) -> None:
    """REST-29: health checks answer while everything else is stuck."""
    stuck, hold = threading.Event(), threading.Event()

    def hang(message: Message) -> None:
        stuck.set()
        hold.wait(DEADLINE)

    with serving(answering=hang) as other:
        other.publish(replica())
        waiting = other.connect()
        waiting.request("POST", "/reload", b"{}")
        assert stuck.wait(DEADLINE)
        assert other.status("/replica") == 200
        hold.set()
        waiting.close()


# The wire.


def test_connections_are_kept(api: Api) -> None:
    """docs/contracts.md 4.1."""
    api.publish(primary())
    with contextlib.closing(api.connect()) as connection:
        for _ in range(3):
            connection.request("GET", "/primary")
            assert read_reply(connection).status == 200
            assert connection.sock is not None


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /primary HTTP/1.0\r\n\r\n",
        b"GET /primary HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /primary HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)
def test_old_clients_are_closed(api: Api, request_: bytes) -> None:
    """docs/contracts.md 4.1: clients must not be required to use keep-alive."""
    api.publish(primary())
    reply = api.raw(request_)
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in reply


def test_questions_sent_ahead_are_answered_in_order(api: Api) -> None:
    api.publish(primary())
    paths = (b"/primary", b"/replica", b"/patroni", b"/primary")
    reply = api.raw(
        b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in paths)
        + b"GET /leader HTTP/1.0\r\n\r\n"
    )
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", reply)
    assert statuses == [b"200", b"503", b"200", b"200", b"200"]


def test_a_request_may_come_byte_by_byte(api: Api) -> None:
    api.publish(primary())
    with socket.create_connection(("127.0.0.1", api.port), DEADLINE) as client:
        for byte in b"GET /primary HTTP/1.0\r\nX-Long: y\r\n\r\n":
            client.sendall(bytes([byte]))
        assert read_all(client).startswith(b"HTTP/1.1 200 OK")


def test_a_proxy_may_ask_with_the_whole_address(api: Api) -> None:
    api.publish(primary())
    reply = api.raw(b"GET http://pg1:8008/primary HTTP/1.0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", b"400", id="version"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", b"501", id="TLS to plain"),
        pytest.param(b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"400", id="header"),
        pytest.param(
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400", id="length"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"400",
            id="two lengths",
        ),
        pytest.param(b"FOO / HTTP/1.1\r\n\r\n", b"501", id="no method"),
        pytest.param(b"PROPFIND / HTTP/1.1\r\n\r\n", b"501", id="another's method"),
        pytest.param(b"TRACE / HTTP/1.0\r\n\r\n", b"501", id="trace"),
        pytest.param(b"POST /no-such HTTP/1.0\r\n\r\n", b"501", id="no such request"),
        pytest.param(b"GET /" + b"x" * 40000, b"431", id="endless line"),
        pytest.param(
            b"GET / HTTP/1.1\r\nX: " + b"x" * 40000, b"431", id="endless header"
        ),
        pytest.param(
            b"POST /restart HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n"
            + b"x" * 1100000,
            b"413",
            id="large body",
        ),
    ],
)
def test_what_is_no_request_gets_one_clear_answer(
    api: Api, sent: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """docs/contracts.md 4.1, REST-43."""
    with socket.create_connection(("127.0.0.1", api.port), DEADLINE) as client:
        with contextlib.suppress(OSError):
            client.sendall(sent)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            received = client.recv(65536)
    assert received[9:12] == status
    assert received.count(b"HTTP/1.1 ") == 1
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_what_follows_a_good_request_does_not_spoil_it(api: Api) -> None:
    """Old clients send an empty line after a body."""
    api.publish(primary())
    for rest in (b"\r\n", b"garbage"):
        reply = api.raw(b"GET /primary HTTP/1.0\r\n\r\n" + rest)
        assert reply.startswith(b"HTTP/1.1 200 OK")
        assert reply.count(b"HTTP/1.1 ") == 1
    reply = api.raw(b"GET /primary HTTP/1.1\r\n\r\n" + b"garbage\r\n\r\n")
    assert [reply.startswith(b"HTTP/1.1 200 OK"), reply.count(b"HTTP/1.1 ")] == [
        True,
        2,
    ]


def test_an_upgrade_is_not_taken(api: Api) -> None:
    """curl --http2 asks for one."""
    api.publish(primary())
    reply = api.raw(
        b"GET /primary HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    )
    assert reply.startswith(b"HTTP/1.1 200 OK")


def test_a_flood_of_questions_is_cut(api: Api) -> None:
    """Everything has a limit: a client that never reads must not fill the memory."""
    flood = b"GET / HTTP/1.1\r\n\r\n" * (MAXIMUM_WAITING + 20)
    with socket.create_connection(("127.0.0.1", api.port), DEADLINE) as client:
        client.sendall(flood)
        with contextlib.suppress(ConnectionResetError):
            assert read_all(client).count(b"HTTP/1.1") <= MAXIMUM_WAITING
    assert api.status("/patroni") == 200


def test_clients_that_leave_early_leave_no_trace(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """P-REST-17, P-REST-18."""
    caplog.set_level(logging.WARNING)
    for sent in (b"", b"GET /prim", b"GET /primary HTTP/1.1\r\n\r\n"):
        client = socket.create_connection(("127.0.0.1", api.port), DEADLINE)
        client.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
        )
        client.sendall(sent)
        client.close()
    assert api.status("/patroni") == 200
    assert not caplog.records


def test_many_clients_at_once(api: Api) -> None:
    """REST-45: no thread for each of them."""
    api.publish(primary())
    before = threading.active_count()
    clients = [
        socket.create_connection(("127.0.0.1", api.port), DEADLINE) for _ in range(300)
    ]
    for client in clients:
        client.sendall(b"GET /primary HTTP/1.0\r\n\r\n")
    for client in clients:
        with client:
            assert read_all(client).startswith(b"HTTP/1.1 200")
    assert threading.active_count() == before


@pytest.mark.parametrize("sent", [b"", b"GET /pri", b"GET / HTTP/1.1\r\n\r\n"])
def test_silent_clients_are_dropped(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything has a limit: who takes for ever to ask, or has asked and stays."""
    monkeypatch.setattr(server, "IDLE_LIMIT", 0.2)
    with (
        serving() as running,
        socket.create_connection(("127.0.0.1", running.port), DEADLINE) as client,
    ):
        client.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            assert read_all(client)[:12] in (b"", b"HTTP/1.1 503")


def test_a_client_that_waits_for_us_is_not_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "IDLE_LIMIT", 0.1)
    with serving() as running, contextlib.closing(running.connect()) as client:
        client.request("POST", "/restart")
        message = running.daemon.heard()
        assert isinstance(message, RestartRequested)
        with (
            socket.create_connection(("127.0.0.1", running.port), DEADLINE) as silent,
            contextlib.suppress(ConnectionResetError),
        ):
            read_all(silent)  # Dropped: the limit has passed.
        running.daemon.order(
            RequestAnswered(request=message.request, status=200, body="done")
        )
        assert read_reply(client).text == "done"


def test_of_too_many_clients_the_idlest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A health check must always get through."""
    monkeypatch.setattr(server, "MAXIMUM_CONNECTIONS", 5)
    with serving() as running:
        idle = [
            socket.create_connection(("127.0.0.1", running.port), DEADLINE)
            for _ in range(8)
        ]
        assert running.status("/patroni") == 200
        with contextlib.suppress(ConnectionResetError):
            assert idle[0].recv(1) == b""
        for client in idle:
            client.close()


def test_urllib3_is_served(api: Api) -> None:
    api.publish(primary())
    with urllib3.HTTPConnectionPool("127.0.0.1", api.port, maxsize=2) as pool:
        assert pool.request("GET", "/primary").status == 200
        assert pool.request("OPTIONS", "/primary").status == 200
        assert pool.request("HEAD", "/replica", retries=False).status == 503


# Headers.


@pytest.mark.parametrize(
    ("tokens", "pattern"),
    [
        ("original", r"Regnal/[\d.]+\w* Python/3[\d.]+\w*"),
        ("productonly", r"Regnal"),
        ("minimal", r"Regnal/[\d.]+\w*"),
    ],
)
def test_the_server_says_as_much_of_itself_as_it_may(tokens: Any, pattern: str) -> None:
    """P-REST-15."""
    with serving(replace(PLAIN, server_tokens=tokens)) as running:
        server = running.ask("GET", "/patroni").headers["server"]
    assert re.fullmatch(pattern, server)


def test_extra_headers_are_on_every_full_response() -> None:
    """REST-41: and none on a status line; those for TLS only with TLS."""
    options = replace(
        PLAIN,
        http_extra_headers={"X-Frame-Options": "SAMEORIGIN"},
        https_extra_headers={"Strict-Transport-Security": "max-age=1"},
    )
    with serving(options) as running:
        for method, path in (("GET", "/patroni"), ("GET", "/x"), ("POST", "/x")):
            headers = running.ask(method, path).headers
            assert headers["x-frame-options"] == "SAMEORIGIN"
            assert "strict-transport-security" not in headers
        assert running.raw(b"HEAD / HTTP/1.1\r\n\r\n").count(b"\r\n") == 2


def test_requests_are_logged_for_those_who_want_it(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """REST-42."""
    with caplog.at_level(logging.DEBUG, "regnal.bridges.http"):
        api.ask("GET", "/replica?lag=1")
    (record,) = [r for r in caplog.records if "answered in" in r.message]
    assert record.message.startswith('127.0.0.1 "GET /replica?lag=1" answered in ')


# Listening.


@pytest.mark.parametrize("host", ["", "*", "::"])
def test_everywhere_means_ipv4_and_ipv6(host: str) -> None:
    """REST-31."""
    with serving(replace(PLAIN, listen_host=host)) as running:
        for address in ("127.0.0.1", "::1"):
            connection = http.client.HTTPConnection(
                address, running.port, timeout=DEADLINE
            )
            connection.request("GET", "/patroni")
            assert read_reply(connection).status == 200
            connection.close()


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_one_address_or_a_name(host: str) -> None:
    """REST-31."""
    if host == "localhost":
        port = free_port()
        options = replace(PLAIN, listen_host=host, listen_port=port)
    else:
        options = replace(PLAIN, listen_host=host)
    with serving(options) as running:
        connection = http.client.HTTPConnection(host, running.port, timeout=DEADLINE)
        connection.request("GET", "/patroni")
        assert read_reply(connection).status == 200
        connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_taken_port_is_told_with_its_option() -> None:
    """REST-32."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(UnusableOptions) as refused,
            serving(replace(PLAIN, listen_port=port)),
        ):
            pass
    text = str(refused.value)
    assert f"127.0.0.1:{port}" in text
    assert "restapi.listen" in text
    assert "Address already in use" in text


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a..b"])
def test_an_address_that_is_not_ours(host: str) -> None:
    """REST-32."""
    with (
        pytest.raises(UnusableOptions, match=r"restapi\.listen"),
        serving(replace(PLAIN, listen_host=host)),
    ):
        pass


def test_another_address_takes_effect_without_losing_anybody() -> None:
    """REST-36, P-REST-16: connections that exist go on."""
    with serving() as running:
        running.publish(primary())
        former = running.port
        kept = running.connect()
        kept.request("GET", "/primary")
        assert read_reply(kept).status == 200
        running.bridge.reconfigure(replace(PLAIN, listen_host="::1"), CLIENT)
        assert running.bridge.port != 0
        kept.request("GET", "/primary")
        assert read_reply(kept).status == 200
        kept.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", former), 1)


def test_an_address_that_cannot_be_used_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Law 8: what ran goes on running."""
    with serving() as running:
        running.bridge.reconfigure(replace(PLAIN, listen_host="192.0.2.1"), CLIENT)
        assert "goes on as it was" in caplog.text
        assert running.status("/patroni") == 200


def test_other_options_need_no_other_listener() -> None:
    """REST-36: not restarted, in particular not right after start."""
    with serving() as running:
        running.withdraw()
        port = running.port
        running.bridge.reconfigure(
            replace(PLAIN, http_extra_headers={"X-New": "1"}, allowlist=("192.0.2.1",)),
            CLIENT,
        )
        assert running.port == port
        assert running.ask("GET", "/patroni").headers["x-new"] == "1"
        assert running.ask("POST", "/reload").status == 403


def test_it_stops_with_clients_connected() -> None:
    """REST-44, REST-45."""
    before = threading.active_count()
    with serving(journal=FixedJournal(lambda: iter(()))) as running:
        idle = running.connect()
        idle.connect()
        waiting = running.connect()
        waiting.request("POST", "/reload")
        running.daemon.heard()
    assert threading.active_count() == before
    idle.close()
    waiting.close()


def test_what_waits_for_the_journal_is_bounded() -> None:
    """Everything has a limit."""
    mouth = Mouth(lambda message: None)
    message = snapshot()
    accepted = 0
    while mouth.say(message) and accepted < 5000:  # type: ignore[arg-type]
        accepted += 1
    assert accepted == 1000
