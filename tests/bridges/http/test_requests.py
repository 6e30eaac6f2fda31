"""Unsafe requests: who may send them, what is understood, how they are answered."""

import base64
import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from regnal.bridges.http import service
from regnal.bridges.http.options import BasicCredentials
from regnal.messages.base import Message
from regnal.messages.requests import (
    AnswerHeader,
    ConfigPatchRequested,
    ConfigReplaceRequested,
    FailsafePosted,
    ReinitializeRequested,
    ReloadRequested,
    RequestAnswered,
    RequestRejected,
    RestartCancelRequested,
    RestartRequested,
    SwitchoverCancelRequested,
    SwitchoverRequested,
)
from tests.bridges.http.running import (
    DEADLINE,
    PLAIN,
    Api,
    answered,
    read_all,
    read_reply,
    serving,
    snapshot,
)

FAILSAFE = {
    "name": "pg1",
    "conn_url": "postgres://pg1:5432/postgres",
    "api_url": "http://pg1:8008/patroni",
}
SECRET = BasicCredentials(username="admin", password="se:cret")
WITH_PASSWORD = replace(PLAIN, credentials=SECRET)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving(answering=answered(200, "done")) as running:
        yield running


def basic(pair: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def shown(message: Message) -> dict[str, Any]:
    return message.model_dump(exclude={"caller", "request"})


# What is understood.


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("PATCH", "/config", {"ttl": 20}, ConfigPatchRequested),
        ("PUT", "/config", {"ttl": 20}, ConfigReplaceRequested),
        ("POST", "/reload", None, ReloadRequested),
        ("POST", "/switchover", {"leader": "pg1"}, SwitchoverRequested),
        ("POST", "/failover", {"candidate": "pg2"}, SwitchoverRequested),
        ("DELETE", "/switchover", None, SwitchoverCancelRequested),
        ("POST", "/restart", None, RestartRequested),
        ("POST", "/restart/", {}, RestartRequested),
        ("DELETE", "/restart", None, RestartCancelRequested),
        ("POST", "/reinitialize", None, ReinitializeRequested),
        ("POST", "/failsafe", FAILSAFE, FailsafePosted),
    ],
)
def test_every_request_becomes_a_message(
    api: Api, method: str, path: str, body: Any, said: type[Message]
) -> None:
    """REST-16 to REST-23, P-FSAFE-04."""
    reply = api.ask(method, path, body, {"User-Agent": "ctl", **basic("bob:x")})
    assert (reply.status, reply.text) == (200, "done")
    message = api.daemon.heard()
    assert type(message) is said
    caller = message.caller  # type: ignore[attr-defined]
    assert (caller.address, caller.username, caller.user_agent) == (
        "127.0.0.1",
        "bob",
        "ctl",
    )


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        (
            "/switchover",
            {"leader": "pg1", "member": "pg2", "scheduled_at": "2030-05-01T00:00Z"},
            {
                "action": "switchover",
                "leader": "pg1",
                "candidate": "pg2",
                "scheduled_at": "2030-05-01T00:00Z",
            },
        ),
        (
            "/failover",
            {"candidate": "pg2", "leader": "", "scheduled_at": None},
            {"action": "failover", "leader": None, "candidate": "pg2"},
        ),
        (
            "/restart",
            {"role": "master", "timeout": 90, "restart_pending": False},
            {"role": "master", "timeout": "90", "restart_pending": False},
        ),
        (
            "/restart",
            {"postgres_version": 15.4, "schedule": ["soon"], "colour": 1},
            {
                "postgres_version": "15.4",
                "schedule": '["soon"]',
                "unknown_filter": "colour",
            },
        ),
        ("/reinitialize", {"from-leader": True}, {"from_leader": True, "force": False}),
        (
            "/reinitialize",
            {"from_leader": True, "force": True},
            {"from_leader": True, "force": True},
        ),
        (
            "/failsafe",
            FAILSAFE | {"slots": {"b": 2, "a": 1}},
            {"slots": (("a", 1), ("b", 2))},
        ),
        ("/failsafe", FAILSAFE | {"slots": None}, {"slots": ()}),
    ],
)
def test_fields(api: Api, path: str, body: Any, fields: dict[str, Any]) -> None:
    """REST-18, REST-20 to REST-22: old names, null and empty, both spellings."""
    api.ask("POST", path, body)
    message = shown(api.daemon.heard())
    assert {name: message[name] for name in fields} == fields


def test_a_configuration_is_passed_on_as_it_is(api: Api) -> None:
    """REST-16."""
    document = {"ttl": 30, "a": [1, 2.5, None, True], "ü": {"x": None}}
    api.ask("PATCH", "/config", document)
    message = api.daemon.heard()
    assert isinstance(message, ConfigPatchRequested)
    assert json.loads(message.document) == document


def test_requests_are_numbered(api: Api) -> None:
    """Unique without randomness: member, incarnation, number."""
    numbers = []
    for _ in range(2):
        api.ask("POST", "/reload")
        message = api.daemon.heard()
        assert isinstance(message, ReloadRequested)
        member, incarnation, number = message.request.split("/")
        assert (member, incarnation) == ("pg1", "3")
        numbers.append(int(number.removeprefix("r")))
    assert numbers[1] == numbers[0] + 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "why"),
    [
        pytest.param("PATCH", "/config", b"{", 400, "not JSON", id="no JSON"),
        pytest.param("PATCH", "/config", [1], 400, "not a JSON object", id="array"),
        pytest.param("PATCH", "/config", {}, 400, "empty object", id="empty object"),
        pytest.param("PATCH", "/config", b"", 400, "not JSON", id="empty body"),
        pytest.param("PUT", "/config", b'{"a":NaN}', 400, "NaN", id="NaN"),
        pytest.param("POST", "/switchover", {}, 400, "empty object", id="nothing"),
        pytest.param(
            "POST",
            "/switchover",
            {"leader": 5},
            400,
            "leader must be text",
            id="number",
        ),
        pytest.param(
            "POST",
            "/failover",
            {"candidate": ["a"]},
            400,
            "candidate must be",
            id="list",
        ),
        pytest.param(
            "POST",
            "/failover",
            {"candidate": "x" * 2000},
            400,
            "longer than",
            id="long",
        ),
        pytest.param("POST", "/restart", b"[]", 400, "not a JSON object", id="restart"),
        pytest.param(
            "POST",
            "/restart",
            {"restart_pending": "yes"},
            400,
            "true or false",
            id="yes",
        ),
        pytest.param(
            "POST", "/reinitialize", {"force": 1}, 400, "true or false", id="one"
        ),
        pytest.param(
            "POST", "/failsafe", {"name": "a"}, 400, "conn_url is missing", id="part"
        ),
        pytest.param(
            "POST",
            "/failsafe",
            FAILSAFE | {"slots": [1]},
            400,
            "slots must be",
            id="slots",
        ),
        pytest.param(
            "POST",
            "/failsafe",
            FAILSAFE | {"slots": {"a": "1"}},
            400,
            "'a' is not an LSN",
            id="LSN as text",
        ),
        pytest.param(
            "POST",
            "/failsafe",
            FAILSAFE | {"slots": {"a": 2**64}},
            400,
            "'a' is not an LSN",
            id="LSN too large",
        ),
        pytest.param(
            "POST", "/failsafe", b'{"a":' * 9000, 400, "nested deeper", id="deep"
        ),
    ],
)
def test_what_is_not_understood_is_said_and_written_down(
    api: Api, method: str, path: str, body: Any, status: int, why: str
) -> None:
    """REST-16, REST-18, law 8: a clear answer, a journal entry, no traceback."""
    reply = api.ask(method, path, body)
    assert reply.status == status
    assert why in reply.text
    rejected = api.daemon.heard()
    assert isinstance(rejected, RequestRejected)
    assert (rejected.method, rejected.path, rejected.status) == (method, path, status)
    assert why in rejected.why


@pytest.mark.parametrize("path", ["/config", "/switchover"])
def test_a_body_must_have_a_length(api: Api, path: str) -> None:
    """docs/contracts.md 4.1: 411."""
    method = "PATCH" if path == "/config" else "POST"
    for headers, body in (("", ""), ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n")):
        reply = api.raw(
            f"{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n{body}".encode()
        )
        assert reply.startswith(b"HTTP/1.1 411 Length Required"), reply
        assert isinstance(api.daemon.heard(), RequestRejected)


# How they are answered.


def test_an_answer_has_its_type_and_headers() -> None:
    """P-FSAFE-08: the position of the member comes in a header."""
    with serving(
        answering=answered(
            200, "Accepted", headers=(AnswerHeader(name="lsn", value="900"),)
        )
    ) as running:
        reply = running.ask("POST", "/failsafe", FAILSAFE)
        assert (reply.status, reply.text) == (200, "Accepted")
        assert reply.headers["lsn"] == "900"
        assert reply.headers["content-type"] == "text/html"
    with serving(
        answering=answered(200, "{}", content_type="application/json")
    ) as running:
        reply = running.ask("PATCH", "/config", {"a": 1})
        assert reply.headers["content-type"] == "application/json"


def test_answers_find_their_requests() -> None:
    """Several at once, answered in another order; unknown and second ones are dropped."""
    with serving() as running:
        clients = [running.connect() for _ in range(3)]
        numbers = []
        for client in clients:
            client.request("POST", "/restart", b"{}")
            message = running.daemon.heard()
            assert isinstance(message, RestartRequested)
            numbers.append(message.request)
        for number in reversed(numbers):
            for body in (number, "too late"):
                running.daemon.order(
                    RequestAnswered(request=number, status=200, body=body)
                )
        running.daemon.order(RequestAnswered(request="x", status=200, body="nobody"))
        for client, number in zip(clients, numbers, strict=True):
            assert read_reply(client).text == number
            client.close()


def test_a_client_may_ask_on_while_it_waits() -> None:
    """Answers come in the order of the questions."""
    with (
        serving() as running,
        socket.create_connection(("127.0.0.1", running.port), DEADLINE) as client,
    ):
        client.sendall(b"POST /reload HTTP/1.1\r\n\r\nGET /config HTTP/1.0\r\n\r\n")
        message = running.daemon.heard()
        assert isinstance(message, ReloadRequested)
        running.daemon.order(
            RequestAnswered(request=message.request, status=202, body="ok")
        )
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", read_all(client))
        assert statuses == [b"202", b"502"]


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "ANSWER_WITHIN", 0.05)
    with serving() as running:
        reply = running.ask("POST", "/reload")
    assert (reply.status, reply.text) == (
        504,
        "No answer yet; the operation may still be in progress",
    )


def test_a_client_that_left_is_forgotten() -> None:
    with serving() as running:
        client = running.connect()
        client.request("POST", "/reload")
        message = running.daemon.heard()
        assert isinstance(message, ReloadRequested)
        client.close()
        running.daemon.order(
            RequestAnswered(request=message.request, status=202, body="ok")
        )
        assert running.status("/patroni") == 200


# Who may.


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        pytest.param({}, 401, "no auth header received", id="none"),
        pytest.param(basic("admin:se:cret"), 200, "done", id="right"),
        pytest.param(basic("admin:wrong"), 401, "not authenticated", id="password"),
        pytest.param(basic("root:se:cret"), 401, "not authenticated", id="name"),
        pytest.param(basic("admin:se:crett"), 401, "not authenticated", id="longer"),
        pytest.param(basic("admin"), 401, "not authenticated", id="no colon"),
        pytest.param(
            {"Authorization": "Bearer x"}, 401, "not authenticated", id="bearer"
        ),
        pytest.param(
            {"Authorization": "Basic %%"}, 401, "not authenticated", id="no base64"
        ),
        pytest.param(
            {"Authorization": "Basic \xff"}, 401, "not authenticated", id="bytes"
        ),
    ],
)
def test_basic_authentication(headers: dict[str, str], status: int, text: str) -> None:
    """REST-38, REST-39."""
    with serving(WITH_PASSWORD, answering=answered(200, "done")) as running:
        reply = running.ask("POST", "/reload", headers=headers)
        assert (reply.status, reply.text) == (status, text)
        if status == 401:
            assert reply.headers["www-authenticate"] == 'Basic realm="Patroni"'
            rejected = running.daemon.heard()
            assert isinstance(rejected, RequestRejected)
            assert "cret" not in rejected.model_dump_json()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_every_unsafe_method_is_protected(method: str) -> None:
    """REST-38."""
    path = "/config" if method in ("PUT", "PATCH") else "/restart"
    with serving(WITH_PASSWORD) as running:
        assert running.ask(method, path, {"a": 1}).status == 401
        assert running.ask("GET", path).status in (502, 503)


def test_access_is_checked_before_the_body() -> None:
    """docs/contracts.md 4.1: a stranger learns nothing of what is understood."""
    with serving(WITH_PASSWORD) as running:
        assert running.ask("PATCH", "/config", b"{").status == 401


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.0/8", 200),
        ("127.0.0.9/8", 200),
        ("localhost", 200),
        ("::/0", 403),
        ("10.0.0.0/8", 403),
        ("no-such-host.invalid", 403),
        ("not a host at all \x00", 403),
    ],
)
def test_the_allowlist(entry: str, status: int) -> None:
    """REST-40: addresses, networks, names."""
    options = replace(PLAIN, allowlist=(entry,))
    with serving(options, answering=answered(200, "done")) as running:
        reply = running.ask("POST", "/reload")
        assert reply.status == status
        if status == 403:
            assert reply.text == "Access is denied"


def test_ipv4_through_a_dual_stack_listener_is_ipv4() -> None:
    """REST-31, REST-40."""
    options = replace(PLAIN, listen_host="", allowlist=("127.0.0.1",))
    with serving(options, answering=answered(200, "done")) as running:
        assert running.ask("POST", "/reload").status == 200


@pytest.mark.parametrize(
    ("allowlist", "api_url", "path", "status"),
    [
        pytest.param(
            (), "http://127.0.0.1:8008/patroni", "/reload", 200, id="a member"
        ),
        pytest.param((), "http://localhost:8008/patroni", "/reload", 200, id="by name"),
        pytest.param(
            (), "http://10.9.9.9:8008/patroni", "/reload", 403, id="no member"
        ),
        pytest.param((), "nonsense", "/reload", 403, id="no URL"),
        pytest.param((), None, "/reload", 403, id="no api_url"),
        pytest.param(("127.0.0.1",), None, "/reload", 200, id="listed"),
        pytest.param(
            (), "http://10.9.9.9:8008/patroni", "/failsafe", 200, id="failsafe"
        ),
        pytest.param(
            ("10.0.0.1",),
            "http://127.0.0.1:8008/patroni",
            "/failsafe",
            403,
            id="failsafe, with a list",
        ),
    ],
)
def test_members_may(
    allowlist: tuple[str, ...], api_url: str | None, path: str, status: int
) -> None:
    """REST-40, P-FSAFE-09: POST /failsafe never looks at the members."""
    options = replace(PLAIN, allowlist=allowlist, allowlist_include_members=True)
    cluster = json.dumps({"members": [{"name": "pg2", "api_url": api_url}]})
    with serving(options, answering=answered(200, "done")) as running:
        running.publish(snapshot(cluster=cluster))
        assert running.ask("POST", path, FAILSAFE).status == status


def test_the_list_comes_before_the_password() -> None:
    """docs/contracts.md 4.1."""
    with serving(replace(WITH_PASSWORD, allowlist=("10.0.0.1",))) as running:
        assert running.ask("POST", "/reload").status == 403


def test_a_slow_name_delays_only_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """REST-29: health checks go on while a name of the allowlist is looked up."""
    with serving(replace(PLAIN, allowlist=("no-such-host.invalid",))) as running:
        asking = running.connect()
        asking.request("POST", "/reload")
        begun = time.monotonic()
        assert running.status("/patroni") == 200
        assert time.monotonic() - begun < DEADLINE / 5
        assert read_reply(asking).status == 403
        asking.close()
