"""What strangers send to our REST API: an answer, or the end of their connection;
never a traceback, never a hang, and nothing changes but by a request well formed."""

import contextlib
import socket
from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.actors.rest import REST
from regnal.bridges.http import explaining, health, journal_stream, writes
from regnal.bridges.http.access import decode_basic, parse_address, parse_network
from regnal.bridges.http.http1 import Request
from regnal.bridges.http.reads import split
from regnal.messages.requests import Caller, RequestAnswered
from tests.actors.rest_requests import leader, replica
from tests.bridges.http.running import DEADLINE, Api, answered, serving
from tests.bridges.http.running import replica as shown
from tests.fuzzing.hostile import (
    NUMBERS,
    TEXTS,
    VALUES,
    answer_or,
    damaged,
    many,
    objects,
    some,
    written,
)

NAMES = st.sampled_from(["pg1", "pg2", "pg3", "nobody", ""])
FLAGS = st.booleans() | TEXTS
WHEN = st.sampled_from(["2031-01-01T00:00:00Z", "2031-01-01", "now", "1 h", "25:61"])
FIELDS = {
    **dict.fromkeys(("leader", "candidate", "member", "name"), NAMES),
    **dict.fromkeys(("scheduled_at", "schedule"), WHEN),
    "role": st.sampled_from(["primary", "master", "replica", "standby_leader", "any"]),
    "postgres_version": st.sampled_from(["15.3", "16", "9.6.1", "x", "1.2.3.4"]),
    "timeout": st.sampled_from(["5", "10s", "-1", "1e3"]) | NUMBERS,
    **dict.fromkeys(("restart_pending", "force", "from_leader", "from-leader"), FLAGS),
    **dict.fromkeys(("ttl", "loop_wait", "retry_timeout"), NUMBERS),
    **dict.fromkeys(("pause", "failsafe_mode", "synchronous_mode"), FLAGS),
    "postgresql": objects({"parameters": VALUES, "use_slots": FLAGS}),
    "slots": st.dictionaries(TEXTS, NUMBERS, max_size=3),
    **dict.fromkeys(("conn_url", "api_url"), TEXTS),
    "acknowledge": st.just("all") | st.lists(TEXTS, max_size=3),
    "comment": TEXTS,
}
BODIES = written(objects(FIELDS)).map(lambda text: text.encode("utf-8", "replace"))
ROUTES = st.sampled_from(sorted(writes.ROUTES))
QUERIES = st.sampled_from(
    [
        "lag=16kB&tag_x=y&mode=write&replication_state=streaming",
        "since=2030-01-01&until=x&follow=1&limit=10",
        "incident=latest&format=html",
        "open",
        "&".join(["tag_a=b"] * 200),
        "lag=%FF%00&lag=" + "9" * 400 + "PB",
    ]
)
LEADER, REPLICA = leader(), replica()
CALLER = Caller(address="", username=None, user_agent=None)


@many
@given(ROUTES, BODIES)
def test_an_order_is_understood_or_refused_with_a_reason(
    route: tuple[str, str], body: bytes
) -> None:
    """REST-16, law 8; and what is understood, a leader and a replica answer."""
    request = Request(method=route[0], body=body, headers={"content-length": "1"})
    asked = answer_or(
        writes.Refused,
        lambda: writes.understand(writes.ROUTES[route], request, "r1", CALLER),
    )
    if asked is None:
        return
    assert type(asked).model_validate_json(asked.model_dump_json()) == asked
    if type(asked) not in REST.hears:
        return  # `incidents` answers it
    for told in (LEADER.hear(asked), REPLICA.hear(asked)):
        for answer in told.of(RequestAnswered):
            assert 200 <= answer.status < 600
            answer.body.encode()


@many
@given(QUERIES | QUERIES.flatmap(damaged) | TEXTS)
def test_any_query_is_understood_or_refused(query: str) -> None:
    for parse in (
        health.parse_question,
        journal_stream.parse_question,
        explaining.parse_question,
    ):
        answer_or(ValueError, partial(parse, query))
    split(query)


@many
@given(TEXTS)
def test_any_header_or_address_is_somebody_or_nobody(text: str) -> None:
    decode_basic(f"Basic {text}")
    decode_basic(text)
    parse_address(text)
    parse_network(text)


PATHS = ["", *(path for _, path in writes.ROUTES), "patroni", "journal", "explain"]
HEADERS = st.sampled_from(
    [
        "Content-Length: 5",
        "Content-Length: -1",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "Upgrade: h2c\r\nConnection: Upgrade",
        "Authorization: Basic ====",
        "X-Regnal-HLC: 9999999999.0/0 pg2/1",
        "Host:",
        "A: " + "b" * 40_000,
        ": x",
        "Connection: keep-alive",
    ]
)


def a_request(
    method: str, path: str, query: str, version: str, headers: list[str], body: bytes
) -> bytes:
    lines = [f"{method} /{path}?{query} {version}", *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "replace") + body


REQUESTS = st.builds(
    a_request,
    st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE", "BREW", ""]),
    st.sampled_from(PATHS) | TEXTS,
    QUERIES | TEXTS,
    st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", "RTSP/1.0", ""]),
    st.lists(HEADERS | TEXTS, max_size=4),
    BODIES | st.binary(max_size=40),
)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving(answering=answered(202, "done")) as running:
        running.publish(shown())
        yield running


def all_answers(api: Api, request: bytes) -> bytes:
    """What comes back until the server ends the connection, as it must when nothing
    more can come.  It may end it before it has read all."""
    received = b""
    with (
        socket.create_connection(("127.0.0.1", api.port), DEADLINE) as client,
        contextlib.suppress(ConnectionError),
    ):
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        while data := client.recv(65536):
            received += data
    return received


@some
@given(st.lists(REQUESTS, min_size=1, max_size=3).map(b"".join) | st.binary())
def test_no_bytes_end_or_change_the_server(api: Api, request_bytes: bytes) -> None:
    """Whatever comes: what is said of it is in order, and the next client is served."""
    assert b"Internal error" not in all_answers(api, request_bytes)
    assert api.status("/replica") == 200
    assert api.status("/primary") == 503
    while not api.daemon.said.empty():
        said = api.daemon.heard()
        assert type(said).model_validate_json(said.model_dump_json()) == said
