"""Journals of three members through a real NATS server that is killed under load."""

import importlib.util
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from regnal.actors.cast import DECIDERS
from regnal.events.cloud import CloudEvent, Reporter
from regnal.journal.ledger import Identity
from regnal.journal.public_events import EventReader
from regnal.journal.stream_layout import STREAM as JOURNALS
from regnal.journal.stream_layout import subject_of
from regnal.journal.writer import JournalWriter
from regnal.messages.changes import MemberJoined, MemberLeft
from regnal.messages.cluster import ClusterObserved
from regnal.runtime import publisher
from regnal.runtime.consumers import JournalToBroker
from regnal.runtime.publisher import Publisher
from regnal.runtime.publishing import publishers
from tests.actors.builders import view
from tests.journal.builders import records
from tests.servers.nats import NatsServer, needs_nats
from tests.servers.ports import free_port

NAMES = ("pg1", "pg2", "pg3")
EVENTS = "REGNAL_EVENTS"
ROUNDS = 4
PATIENCE = 60.0


class Configured:
    def __init__(self, **nats: Any) -> None:
        defaults = {
            "events": "on",
            "journal": "off",
            "jetstream": "on",
            "create_streams": "on",
            "stream": EVENTS,
            "journal_stream": JOURNALS,
            "subject_prefix": "regnal.events",
            "max_age": 3600,
            "replicas": 1,
        }
        self.document: dict[str, Any] = {"nats": {**defaults, **nats}}


class Life:
    """A daemon's life as far as the journal goes."""

    def __init__(self, directory: Path, name: str, configured: Configured) -> None:
        identity = Identity(
            member=name, scope="demo", versions=(("regnal", "0"),), boot_id="b"
        )
        self.name = name
        self.journal = JournalWriter(directory, identity, DECIDERS)
        self.publishers = publishers(
            configured, Reporter("demo", name), directory, self.journal
        )
        for one in self.publishers:
            one.start()

    def speak(self, count: int) -> None:
        for number in range(count):
            word = (MemberJoined, MemberLeft)[number % 2]
            seen = ClusterObserved(view=view(f"x{number}", leader=None))
            for message in (seen, word(member=f"x{number}")):
                envelope = self.journal.stamper.envelope(
                    message, said_by="dcs_watcher", cause=None, trace=None
                )
                self.journal.message(envelope)

    def end(self) -> None:
        for one in self.publishers:
            one.stop()
        self.journal.close()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "FIRST_BACKOFF", 0.05)
    monkeypatch.setattr(publisher, "LONGEST_BACKOFF", 0.2)
    monkeypatch.setattr(publisher, "DRAIN_WITHIN", 0.2)
    monkeypatch.setattr(JournalToBroker, "linger", 0.1)


def wait(what: str, is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


def events_in(directory: Path, name: str) -> Iterator[CloudEvent]:
    """What the journal says; the publishers began with its second record."""
    reader = EventReader(Reporter("demo", name))
    for record in records(directory):
        yield from reader.read(record)


@pytest.mark.server
@needs_nats
def test_no_event_is_lost_and_none_is_invented(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server, ExitStack() as stack:
        configured = Configured(servers=[server.url], journal="on")
        directories = {name: tmp_path / name for name in NAMES}
        lives = {name: Life(directories[name], name, configured) for name in NAMES}
        for name in NAMES:
            stack.callback(lambda name=name: lives[name].end())  # type: ignore[misc]
        for number in range(ROUNDS):
            speakers = [
                threading.Thread(target=life.speak, args=(20,))
                for life in lives.values()
            ]
            for speaker in speakers:
                speaker.start()
            if number % 2:
                server.__exit__()  # SIGKILL, in the middle of it
            for speaker in speakers:
                speaker.join()
            if number == 3:
                # A daemon ends and starts again while nobody takes its events.
                lives["pg2"].end()
                lives["pg2"] = Life(directories["pg2"], "pg2", configured)
            if number % 2:
                server.__enter__()
        for life in lives.values():
            for one in life.publishers:
                wait(f"{life.name} {one.name}", lambda one=one: one.waiting == 0)  # type: ignore[misc]
        told = {n: list(events_in(directories[n], n)) for n in NAMES}
        stored = server.received(EVENTS)
        journals = server.received(JOURNALS)

    received = [CloudEvent.model_validate_json(one.payload) for one in stored]
    said = {event.key: event for events in told.values() for event in events}
    assert len(said) == 3 * ROUNDS * 20
    assert {event.key for event in received} == said.keys()
    assert all(said[event.key] == event for event in received)
    for name in NAMES:
        mine = [event.id for event in received if event.reporter == name]
        assert list(dict.fromkeys(mine)) == [event.id for event in told[name]]
        lines = [r.line.rstrip(b"\n") for r in records(directories[name])]
        subject = subject_of("demo", name)
        published = [one.payload for one in journals if one.subject == subject]
        numbers = {json.loads(line)["n"]: line for line in published}
        assert [numbers[n] for n in sorted(numbers)] == lines[: len(numbers)]
        assert len(numbers) >= len(lines) - 1, "all but the seal, written at the end"


def test_who_publishes_nothing_has_no_publishers(tmp_path: Path) -> None:
    off = Configured()
    del off.document["nats"]
    identity = Identity(member="pg1", scope="demo", versions=(), boot_id="b")
    journal = JournalWriter(tmp_path / "journal", identity, DECIDERS)
    try:
        reporter = Reporter("demo", "pg1")
        assert publishers(off, reporter, tmp_path / "journal", journal) == ()
    finally:
        journal.close()
    assert not (tmp_path / "journal" / "outbox").exists()


def trouble_of(publisher: Publisher[Any]) -> str:
    wait("a trouble", lambda: publisher.tally.trouble is not None)
    return publisher.tally.trouble or ""


def test_a_missing_package_and_a_wrong_address_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def told(directory: Path) -> str:
        nobody = Configured(servers=[f"nats://127.0.0.1:{free_port()}"])
        life = Life(directory, "pg1", nobody)
        try:
            life.speak(1)
            return trouble_of(life.publishers[0])
        finally:
            life.end()

    assert "127.0.0.1" in told(tmp_path / "one")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "nats" else find_spec(name),
    )
    assert "pip install 'regnal[nats]'" in told(tmp_path / "two")
    assert "not published, and tried again" in caplog.text
