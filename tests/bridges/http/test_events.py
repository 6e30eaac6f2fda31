"""GET /events: what happens, as server-sent events."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from regnal.bridges.http.event_stream import MAXIMUM_READERS, EventFrame, frame_bytes
from regnal.events.cloud import Reporter
from regnal.journal.public_events import EventReader
from regnal.messages.changes import MemberJoined, MemberLeft
from regnal.runtime.deferred import DeferredEvents
from tests.bridges.http.running import DEADLINE, Api, primary, serving
from tests.journal.builders import Member, records

DEMO = Path(__file__).parent.parent.parent / "journals" / "0.1.0-demo" / "pg2"


class Live:
    """A journal that grows when the test says so."""

    def __init__(self, directory: Path) -> None:
        self.member = Member(directory).open()
        self._grown = threading.Condition()
        self.source = DeferredEvents(
            directory, ("demo", "pg1"), self._head, self._wait_beyond
        )

    def _head(self) -> int:
        return self.member.ledger.head.number

    def _wait_beyond(self, number: int, timeout: float) -> bool:
        with self._grown:
            return self._grown.wait_for(lambda: self._head() > number, 0.05)

    def say(self, *names: str) -> None:
        with self._grown:
            for name in names:
                self.member.enter(MemberJoined(member=name))
            self.member.ledger.write()
            self._grown.notify_all()


@pytest.fixture
def live(tmp_path: Path) -> Live:
    return Live(tmp_path / "journal")


@pytest.fixture
def api(live: Live) -> Iterator[Api]:
    with serving(events=live.source) as running:
        running.publish(primary())
        yield running


@contextmanager
def listening(
    api: Api, query: str = "", last: str | None = None
) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=DEADLINE)
    headers = {} if last is None else {"Last-Event-ID": last}
    connection.request("GET", f"/events{query}", headers=headers)
    answer = connection.getresponse()
    try:
        yield answer
    finally:
        answer.close()
        connection.close()


def next_event(answer: http.client.HTTPResponse) -> dict[str, str]:
    """Beats are passed over."""
    fields: dict[str, str] = {}
    while True:
        line = answer.readline().decode()
        assert line, "it ended"
        if line == "\n" and fields:
            return fields
        name, _, value = line.rstrip("\n").partition(": ")
        if name and not line.startswith(":"):
            fields[name] = value


def joined(event: dict[str, str]) -> str:
    name: str = json.loads(event["data"])["data"]["member"]
    return name


def test_who_listens_hears_what_happens_from_now_on(live: Live, api: Api) -> None:
    live.say("before")
    with listening(api) as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.readline() == b":\n", "at once"
        live.say("pg2")
        event = next_event(answer)
        assert event["event"] == "regnal.member.joined.v1"
        assert joined(event) == "pg2"


def test_who_comes_back_hears_what_was_missed(live: Live, api: Api) -> None:
    with listening(api) as answer:
        answer.readline()
        live.say("pg2")
        last = next_event(answer)["id"]
    live.say("pg3", "pg4")
    with listening(api, last=last) as answer:
        assert [joined(next_event(answer)) for _ in range(2)] == ["pg3", "pg4"]


def test_who_knows_a_journal_that_is_gone_hears_all_of_this_one(
    live: Live, api: Api
) -> None:
    live.say("pg2")
    with listening(api, last="4711") as answer:
        assert joined(next_event(answer)) == "pg2"


def test_events_are_chosen_by_name_and_member(live: Live, api: Api) -> None:
    with listening(api, "?type=member.*&type=x&member=pg3") as answer:
        answer.readline()
        live.say("pg2", "pg3")
        assert joined(next_event(answer)) == "pg3"
    with listening(api, "?type=leader.*&follow=false&since=1d") as answer:
        assert b"event" not in answer.read()


def test_what_happened_before_is_told_and_ends(live: Live, api: Api) -> None:
    live.member.enter(MemberLeft(member="pg9"))
    live.say("pg2")
    with listening(api, "?follow=false") as answer:
        text = answer.read()
    assert text.count(b"event: ") == 2


@pytest.mark.parametrize(
    ("query", "last"),
    [
        ("?follow=perhaps", None),
        ("?since=nonsense", None),
        ("?colour=red", None),
        ("", "x"),
    ],
)
def test_a_question_that_cannot_be_read_is_refused(
    api: Api, query: str, last: str | None
) -> None:
    with listening(api, query, last) as answer:
        assert answer.status == 400


def test_more_listeners_than_threads_are_sent_away(api: Api) -> None:
    held = [listening(api) for _ in range(MAXIMUM_READERS)]
    opened = [one.__enter__() for one in held]
    try:
        assert {one.status for one in opened} == {200}
        with listening(api) as answer:
            assert answer.status == 503
    finally:
        for one in held:
            one.__exit__(None, None, None)


def test_it_is_guarded_and_may_be_off() -> None:
    with serving() as running:
        running.publish(primary())
        with listening(running) as answer:
            assert answer.status == 503


def test_only_the_last_event_of_a_record_says_where_to_go_on() -> None:
    assert frame_bytes(EventFrame(None, "t", b"{}")) == b"event: t\ndata: {}\n\n"
    assert frame_bytes(EventFrame(7, "t", b"{}")).startswith(b"id: 7\n")


def test_a_real_journal_is_told_as_it_is_published() -> None:
    reader = EventReader(Reporter("demo", "pg2"))
    said = [event for record in records(DEMO) for event in reader.read(record)]
    source = DeferredEvents(
        DEMO, ("demo", "pg2"), lambda: 10**6, lambda number, timeout: False
    )
    with serving(events=source) as running:
        running.publish(primary())
        with listening(running, "?follow=false") as answer:
            documents = [
                json.loads(line.removeprefix(b"data: "))
                for line in answer.read().splitlines()
                if line.startswith(b"data: ")
            ]
    assert [(d["source"], d["id"]) for d in documents] == [
        (event.source, event.id) for event in said
    ]
