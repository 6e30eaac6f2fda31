"""GET and POST /incidents, and GET /explain."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from regnal.bridges.http.explaining import Question, Told
from regnal.bridges.http.options import BasicCredentials
from regnal.messages.requests import AcknowledgementRequested, RequestRejected
from regnal.messages.status import PublishIncidents
from tests.bridges.http.running import DEADLINE, PLAIN, Api, answered, primary, serving

SECRET = replace(PLAIN, credentials=BasicCredentials("admin", "secret"))
LIST = [
    {
        "name": "reign-40",
        "weight": "notice",
        "open": False,
        "includes": [],
        "began": "2026-11-28T09:00:00+00:00",
    },
    {
        "name": "reign-33",
        "weight": "outage",
        "open": True,
        "includes": ["postgres-pg1-1-7"],
        "began": "2026-11-28T08:00:00+00:00",
    },
]


def publish(api: Api, found: list[dict[str, Any]]) -> None:
    api.daemon.order(PublishIncidents(document=json.dumps(found)))


@pytest.fixture
def api() -> Iterator[Api]:
    with serving(answering=answered(200, "done")) as running:
        yield running


def test_before_anything_is_known_there_are_none(api: Api) -> None:
    reply = api.ask("GET", "/incidents")
    assert (reply.status, reply.document) == (200, [])
    assert reply.headers["content-type"] == "application/json"


def test_the_list_is_served_whatever_is_published_else(api: Api) -> None:
    publish(api, LIST)
    api.publish(primary())
    assert api.ask("GET", "/incidents").document == LIST
    assert api.ask("GET", "/incidents?open").document == LIST[1:]
    assert api.status("/primary") == 200


def test_a_health_checker_gets_the_status_alone(api: Api) -> None:
    assert api.raw(b"HEAD /incidents HTTP/1.0\r\n\r\n") == b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.mark.parametrize("query", ["open=1", "closed", "x"])
def test_another_question_is_refused(api: Api, query: str) -> None:
    assert api.status(f"/incidents?{query}") == 400


@pytest.mark.parametrize(
    ("body", "names", "comment"),
    [
        ({"acknowledge": ["reign-33", "x"]}, ("reign-33", "x"), None),
        ({"acknowledge": "reign-33", "comment": "seen"}, ("reign-33",), "seen"),
        ({"acknowledge": "all"}, None, None),
    ],
)
def test_an_acknowledgement_is_said_with_who_asked(
    api: Api, body: dict[str, Any], names: tuple[str, ...] | None, comment: str | None
) -> None:
    reply = api.ask("POST", "/incidents", body, {"User-Agent": "curl"})
    assert (reply.status, reply.text) == (200, "done")
    said = api.daemon.heard()
    assert isinstance(said, AcknowledgementRequested)
    assert (said.incidents, said.comment) == (names, comment)
    assert said.caller.address == "127.0.0.1"
    assert said.caller.user_agent == "curl"


@pytest.mark.parametrize(
    "body",
    [
        {"acknowledge": []},
        {"acknowledge": ""},
        {"acknowledge": 7},
        {"acknowledge": [7]},
        {"acknowledge": [""]},
        {"acknowledge": ["x" * 1001]},
        {"acknowledge": ["x"] * 1001},
        {"comment": "seen"},
        {"acknowledge": "all", "comment": 7},
        {},
        [],
    ],
)
def test_a_body_that_means_nothing_is_refused(api: Api, body: Any) -> None:
    assert api.ask("POST", "/incidents", body).status == 400
    assert isinstance(api.daemon.heard(), RequestRejected)


def test_who_may_not_is_not_heard() -> None:
    with serving(SECRET) as api:
        reply = api.ask("POST", "/incidents", {"acknowledge": "all"})
        assert reply.status == 401
        assert isinstance(api.daemon.heard(), RequestRejected)
        assert api.status("/incidents") == 200
        assert api.status("/explain") == 401


class Explanations:
    """What is behind GET /explain: tells when the test lets it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.dropped = threading.Event()
        self.since: str | None = None
        self.told = Told(200, b'{"name": "reign-33"}')

    def __call__(self, question: Question, dropped: threading.Event) -> Told:
        self.asked.append((question.incident, question.form))
        self.since = question.since
        self.begun.set()
        while not self.may_end.wait(0.01):
            if dropped.is_set():
                self.dropped.set()
                return Told(500, b"dropped")
        return self.told


@pytest.fixture
def why() -> Explanations:
    return Explanations()


@pytest.fixture
def explaining(why: Explanations) -> Iterator[Api]:
    with serving(explain=why) as running:
        yield running
        why.may_end.set()


@pytest.mark.parametrize(
    ("query", "asked", "content_type"),
    [
        ("", ("latest", "json"), "application/json"),
        (
            "?incident=reign-33&format=text",
            ("reign-33", "text"),
            "text/plain; charset=utf-8",
        ),
        (
            "?format=markdown",
            ("latest", "markdown"),
            "text/markdown; charset=utf-8",
        ),
        ("?format=html", ("latest", "html"), "text/html; charset=utf-8"),
    ],
)
def test_an_explanation_is_told(
    explaining: Api,
    why: Explanations,
    query: str,
    asked: tuple[str, str],
    content_type: str,
) -> None:
    why.may_end.set()
    reply = explaining.ask("GET", f"/explain{query}")
    assert (reply.status, reply.text) == (200, why.told.body.decode())
    assert reply.headers["content-type"] == content_type
    assert why.asked == [asked]


@pytest.mark.parametrize(
    ("incident", "since"),
    [
        ("reign-40", LIST[0]["began"]),
        ("reign-33", LIST[1]["began"]),
        ("postgres-pg1-1-7", LIST[1]["began"]),
        ("latest", LIST[1]["began"]),
        ("reign-7", None),
    ],
)
def test_journals_are_read_from_when_it_began(
    explaining: Api, why: Explanations, incident: str, since: str | None
) -> None:
    """Where that is known: they may be large."""
    publish(explaining, LIST)
    why.may_end.set()
    explaining.ask("GET", f"/explain?incident={incident}")
    assert why.since == since


def test_what_could_not_be_explained_is_told_too(
    explaining: Api, why: Explanations
) -> None:
    why.may_end.set()
    why.told = Told(404, b"Error: there is no incident 'x'")
    reply = explaining.ask("GET", "/explain?incident=x")
    assert (reply.status, reply.text) == (404, "Error: there is no incident 'x'")


@pytest.mark.parametrize(
    "query", ["format=tar", "incidents=x", "incident=" + "x" * 201]
)
def test_a_question_that_nobody_understands_is_refused(
    explaining: Api, query: str
) -> None:
    assert explaining.status(f"/explain?{query}") == 400


def test_one_is_told_at_a_time(explaining: Api, why: Explanations) -> None:
    first = threading.Thread(target=explaining.ask, args=("GET", "/explain"))
    first.start()
    assert why.begun.wait(DEADLINE)
    assert explaining.status("/explain") == 503
    why.may_end.set()
    first.join(DEADLINE)
    assert len(why.asked) == 1


@pytest.mark.parametrize("how", ["closes", "has sent all"])
def test_it_ends_when_the_client_leaves(
    explaining: Api, why: Explanations, how: str
) -> None:
    with socket.create_connection(("127.0.0.1", explaining.port), DEADLINE) as client:
        client.sendall(b"GET /explain HTTP/1.1\r\nHost: x\r\n\r\n")
        assert why.begun.wait(DEADLINE)
        if how == "has sent all":
            client.shutdown(socket.SHUT_WR)
            assert why.dropped.wait(DEADLINE)
    assert why.dropped.wait(DEADLINE)


def test_the_end_of_the_daemon_ends_it(why: Explanations) -> None:
    with (
        serving(explain=why) as api,
        contextlib.closing(api.connect()) as connection,
    ):
        connection.request("GET", "/explain")
        assert why.begun.wait(DEADLINE)
    assert why.dropped.wait(DEADLINE)


def test_without_explanations_the_answer_says_so(api: Api) -> None:
    assert api.status("/explain") == 503
