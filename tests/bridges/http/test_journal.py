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

from regnal.bridges.http.journal_stream import MAXIMUM_READERS
from regnal.bridges.http.options import BasicCredentials
from tests.bridges.http.running import (
    DEADLINE,
    PLAIN,
    Api,
    FixedJournal,
    primary,
    read_reply,
    serving,
)

LINES = [json.dumps({"n": number}).encode() for number in range(1200)]
Asked = tuple[str | None, str | None, bool | None]


class Record:
    """A journal that grows when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.new: queue.Queue[bytes | None] = queue.Queue()
        self.left = threading.Event()

    def lines(
        self, since: str | None, until: str | None, *, follow: bool
    ) -> Iterator[bytes]:
        self.asked.append((since, until, follow))
        if since == "nonsense":
            raise ValueError("since: not a moment: nonsense")
        return self._follow() if follow else iter(LINES)

    def archive(self, since: str | None, until: str | None) -> Iterator[bytes]:
        self.asked.append((since, until, None))
        return iter(ARCHIVE)

    def _follow(self) -> Iterator[bytes]:
        try:
            yield from LINES[:3]
            yield b""
            while True:
                try:
                    line = self.new.get(timeout=0.05)
                except queue.Empty:
                    yield b""
                    continue
                if line is None:
                    return
                yield line
                yield b""
        finally:
            self.left.set()


ARCHIVE = [b"\x1f\x8b\n\n", b"", b"\xff" * 300_000, b"end"]
"""Bytes that are no lines and no text."""


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def api(record: Record) -> Iterator[Api]:
    with serving(journal=record) as running:
        yield running


def test_all_of_it(api: Api, record: Record) -> None:
    reply = api.ask("GET", "/journal")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert reply.text.encode().splitlines() == LINES
    assert record.asked == [(None, None, False)]


def test_a_part_of_it(api: Api, record: Record) -> None:
    reply = api.ask("GET", "/journal?since=2026-11-23T07:00&until=-5min&limit=700")
    assert reply.text.encode().splitlines() == LINES[:700]
    assert record.asked == [("2026-11-23T07:00", "-5min", False)]


@pytest.mark.parametrize("limit", [0, 1, 500, 501, 1200, 5000])
def test_no_more_lines_than_are_asked_for(api: Api, limit: int) -> None:
    reply = api.ask("GET", f"/journal?limit={limit}")
    assert reply.text.encode().splitlines() == LINES[:limit]


def test_whole_segments(api: Api, record: Record) -> None:
    with contextlib.closing(api.connect()) as client:
        client.request("GET", "/journal?whole&since=10m")
        response = client.getresponse()
        assert response.headers["Content-Type"] == "application/x-tar"
        assert response.read() == b"".join(ARCHIVE)
    assert record.asked == [("10m", None, None)]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("since=nonsense", "since: not a moment"),
        ("limit=-1", "limit must be a number"),
        ("limit=x", "limit must be a number"),
        ("follow=perhaps", "follow must be true or false"),
        ("whole=perhaps", "whole must be true or false"),
        ("whole=true&follow=true", "whole goes with since and until alone"),
        ("whole=true&limit=3", "whole goes with since and until alone"),
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
            line + b"\n" for line in LINES[:3]
        ]
        for line in (b'{"n": 7}', b'{"n": 8}'):
            record.new.put(line)
            assert response.readline() == line + b"\n"
        record.new.put(None)
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

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 1000

    with serving(journal=FixedJournal(endless)) as running:
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
    with serving(options, journal=FixedJournal(lambda: iter(LINES))) as running:
        assert running.ask("GET", "/journal").status == 401
        allowed = running.ask(
            "GET", "/journal", headers={"Authorization": "Basic YTpi"}
        )
        assert allowed.text.encode().splitlines() == LINES


def test_there_may_be_none() -> None:
    with serving() as running:
        assert running.ask("GET", "/journal").status == 503


def test_a_journal_that_fails_ends_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    """REST-43."""

    def broken() -> Iterator[bytes]:
        yield LINES[0]
        raise OSError("the disk is gone")

    with serving(journal=FixedJournal(broken)) as running:
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
