"""GET /journal: the record as JSON lines, while it grows."""

import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from regnal.bridges.http.journal_stream import MAXIMUM_READERS, ReadJournal
from regnal.bridges.http.options import BasicCredentials
from tests.bridges.http.running import (
    DEADLINE,
    PLAIN,
    Api,
    primary,
    read_reply,
    serving,
)

LINES = [json.dumps({"n": number}) for number in range(1200)]
Asked = tuple[str | None, str | None, bool]


class Record:
    """A journal that grows when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.left = threading.Event()

    def __call__(
        self, since: str | None, until: str | None, follow: bool
    ) -> Iterator[str]:
        self.asked.append((since, until, follow))
        if since == "nonsense":
            raise ValueError("since: not a moment: nonsense")
        return self._follow() if follow else iter(LINES)

    def _follow(self) -> Iterator[str]:
        try:
            yield from LINES[:3]
            yield ""
            while True:
                try:
                    line = self.lines.get(timeout=0.05)
                except queue.Empty:
                    yield ""
                    continue
                if line is None:
                    return
                yield line
                yield ""
        finally:
            self.left.set()


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def api(record: Record) -> Iterator[Api]:
    with serving(read_journal=record) as running:
        yield running


def test_all_of_it(api: Api, record: Record) -> None:
    reply = api.ask("GET", "/journal")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert reply.text.splitlines() == LINES
    assert record.asked == [(None, None, False)]


def test_a_part_of_it(api: Api, record: Record) -> None:
    reply = api.ask("GET", "/journal?since=2026-11-23T07:00&until=-5min&limit=700")
    assert reply.text.splitlines() == LINES[:700]
    assert record.asked == [("2026-11-23T07:00", "-5min", False)]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("since=nonsense", "since: not a moment"),
        ("limit=-1", "limit must be a number"),
        ("limit=x", "limit must be a number"),
        ("follow=perhaps", "follow must be true or false"),
        ("colour=red", "unknown parameter 'colour'"),
    ],
)
def test_bad_parameters(api: Api, query: str, why: str) -> None:
    """Law 8: a clear text."""
    for _ in range(MAXIMUM_READERS + 1):
        reply = api.ask("GET", f"/journal?{query}")
        assert reply.status == 400
        assert why in reply.text


def test_it_can_be_followed(api: Api, record: Record) -> None:
    """Each record is sent when it is there, not when a buffer is full."""
    with contextlib.closing(api.connect()) as client:
        client.request("GET", "/journal?follow=true")
        response = client.getresponse()
        assert [response.readline() for _ in range(3)] == [
            f"{line}\n".encode() for line in LINES[:3]
        ]
        for line in ('{"n": 7}', '{"n": 8}'):
            record.lines.put(line)
            assert response.readline() == f"{line}\n".encode()
        record.lines.put(None)
        assert response.read() == b""


def test_a_follower_who_leaves_is_noticed(api: Api, record: Record) -> None:
    client = api.connect()
    client.request("GET", "/journal?follow=1")
    response = client.getresponse()
    response.readline()
    response.close()
    client.close()
    assert record.left.wait(DEADLINE), "nobody noticed"


def test_readers_are_few_and_health_checks_are_not_among_them(
    api: Api, record: Record
) -> None:
    """REST-29: everything has a limit."""
    api.publish(primary())
    clients = [api.connect() for _ in range(MAXIMUM_READERS)]
    for client in clients:
        client.request("GET", "/journal?follow=1")
        client.getresponse().readline()
    assert api.ask("GET", "/journal").status == 503
    assert api.status("/primary") == 200
    for client in clients:
        client.close()
    wait_until(lambda: api.status("/journal") == 200, "a reader is free again")


def test_a_reader_who_does_not_read_holds_little(record: Record) -> None:
    """A slow client must not make us read the whole journal into memory."""
    taken = 0

    def endless(since: str | None, until: str | None, follow: bool) -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "x" * 1000

    with serving(read_journal=endless) as running:
        with socket.create_connection(("127.0.0.1", running.port), DEADLINE) as client:
            client.sendall(b"GET /journal HTTP/1.1\r\n\r\n")
            wait_until(lambda: stays(lambda: taken), "reading has paused")
            # What the kernel's buffers of both ends hold, and a little of ours.
            assert taken < 30_000
        wait_until(lambda: stays(lambda: taken), "reading has ended")
        assert running.status("/patroni") == 200


def test_it_needs_what_changes_need() -> None:
    """It tells much more than a health check does."""
    options = replace(PLAIN, credentials=BasicCredentials(username="a", password="b"))
    with serving(
        options, read_journal=lambda since, until, follow: iter(LINES)
    ) as running:
        assert running.ask("GET", "/journal").status == 401
        allowed = running.ask(
            "GET", "/journal", headers={"Authorization": "Basic YTpi"}
        )
        assert allowed.text.splitlines() == LINES


def test_there_may_be_none() -> None:
    with serving() as running:
        assert running.ask("GET", "/journal").status == 503


def test_a_journal_that_fails_ends_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    """REST-43."""

    def broken(since: str | None, until: str | None, follow: bool) -> Iterator[str]:
        yield LINES[0]
        raise OSError("the disk is gone")

    reader: ReadJournal = broken
    with serving(read_journal=reader) as running:
        for _ in range(MAXIMUM_READERS + 1):
            assert running.ask("GET", "/journal").status == 200
        assert "the disk is gone" in caplog.text


def test_health_checks_go_on_beside_it(api: Api) -> None:
    api.publish(primary())
    with contextlib.closing(api.connect()) as client:
        client.request("GET", "/journal")
        assert api.status("/primary") == 200
        assert read_reply(client).status == 200


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"


def stays(value: Callable[[], int]) -> bool:
    """Whether the value is the same for a while."""
    before = value()
    return not threading.Event().wait(0.2) and value() == before
