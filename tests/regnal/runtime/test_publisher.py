"""Publishers: nothing is lost, nobody waits, and trouble is told once."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from regnal.bridges.metric import exposition
from regnal.bridges.outgoing import NotSent
from regnal.journal.outbox import Item, Outbox
from regnal.journal.reader import Record
from regnal.messages.base import JsonText
from regnal.messages.cluster import StoreUnreachable
from regnal.runtime import publisher
from regnal.runtime.publisher import Publisher
from regnal.runtime.publishing_metrics import measured
from tests.journal.builders import Member

PATIENCE = 20.0


class Collector:
    """A consumer whose receiver the test switches off and on."""

    name = "test"
    linger = 0.0

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.received: list[int] = []
        self.memory: JsonText | None = None
        self.remembered: JsonText | None = None
        self.breaks_at: int | None = None
        self.due: list[int] | None = None
        """What is to be said without a record."""

        self.closed = threading.Event()

    def remember(self, memory: JsonText | None) -> None:
        self.remembered = memory

    def understand(self, items: Sequence[Item]) -> list[int]:
        found = [item.n for item in items if isinstance(item, Record)]
        if self.breaks_at in found:
            raise RuntimeError("a mistake")
        return found

    def tick(self) -> list[int] | None:
        due, self.due = self.due, None
        return due

    def send(self, parcel: list[int]) -> int:
        if self.trouble is not None:
            raise NotSent(self.trouble)
        self.received += parcel
        self.memory = str(parcel[-1])
        return len(parcel)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def member(tmp_path: Path) -> Member:
    return Member(tmp_path / "journal").open()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(publisher, "LONGEST_BACKOFF", 0.02)
    monkeypatch.setattr(publisher, "IDLE", 0.01)


@contextmanager
def publishing(member: Member, consumer: Collector) -> Iterator[Publisher[list[int]]]:
    def wait_beyond(number: int, timeout: float) -> bool:
        time.sleep(timeout)  # stands for the writer, which tells
        return member.ledger.head.number > number

    one = Publisher(
        consumer,
        Outbox(member.directory, "test", begin_after=None),
        lambda: member.ledger.head.number,
        wait_beyond,
    )
    one.start()
    try:
        yield one
    finally:
        one.stop()


def speak(member: Member, count: int = 3) -> int:
    for number in range(count):
        member.tell(StoreUnreachable(error=f"away {number}", unanswered_for=1.0))
    member.ledger.write()
    return member.ledger.head.number


def wait(what: str, is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)


def test_an_outage_loses_nothing_and_is_told_once(
    member: Member, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    consumer = Collector()
    consumer.trouble = "nobody listens at 10.0.0.9:4222; see that it runs"
    with publishing(member, consumer) as one:
        head = speak(member)
        wait("attempts", lambda: one.tally.failures > 3)
        assert one.waiting == head
        assert 'regnal_outbox_up{scope="demo",consumer="test"} 0' in exposition(
            {"scope": "demo"}, measured([one])
        )
        consumer.trouble = None
        wait("all of it", lambda: len(consumer.received) == head)
        wait("the end of the trouble", lambda: one.tally.trouble is None)
    assert consumer.received == list(range(1, head + 1))
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "nobody listens" in warnings[0].getMessage()
    assert "works again" in caplog.text


def test_what_is_said_at_the_end_is_sent_before_it(member: Member) -> None:
    consumer = Collector()
    with publishing(member, consumer):
        head = speak(member)
    assert consumer.received == list(range(1, head + 1))
    assert consumer.closed.is_set()


def test_an_end_during_an_outage_is_quick_and_loses_nothing(member: Member) -> None:
    consumer = Collector()
    consumer.trouble = "away"
    with publishing(member, consumer) as one:
        speak(member)
        wait("an attempt", lambda: one.tally.failures > 0)
        began = time.monotonic()
    assert time.monotonic() - began < publisher.DRAIN_WITHIN
    consumer.trouble = None
    with publishing(member, consumer):
        head = speak(member)
        wait("all of it", lambda: len(consumer.received) == head)
    assert consumer.received == list(range(1, head + 1))


def test_the_memory_is_given_back(member: Member) -> None:
    with publishing(member, Collector()):
        head = speak(member)
    again = Collector()
    with publishing(member, again):
        wait("the start", lambda: again.remembered is not None)
    assert again.remembered == str(head)


def test_what_is_due_is_sent_though_nothing_is_written(member: Member) -> None:
    consumer = Collector()
    with publishing(member, consumer):
        head = speak(member)
        wait("all of it", lambda: len(consumer.received) == head)
        consumer.due = [-7]
        wait("what is due", lambda: consumer.received[-1] == -7)
    again = Collector()
    with publishing(member, again):
        wait("the start", lambda: again.remembered is not None)
    assert again.remembered == "-7", "the memory was kept with it"


def test_our_own_mistake_keeps_nothing_back(
    member: Member, caplog: pytest.LogCaptureFixture
) -> None:
    consumer = Collector()
    consumer.breaks_at = 1
    head = speak(member)
    with publishing(member, consumer) as one:
        wait("the mistake", lambda: one.tally.lost_records == head)
        speak(member)
        wait("what follows", lambda: len(consumer.received) > 0)
    assert "a mistake" in caplog.text
    assert consumer.received[0] == head + 1


def test_records_that_were_removed_are_counted(
    member: Member, caplog: pytest.LogCaptureFixture
) -> None:
    consumer = Collector()
    with publishing(member, consumer):
        speak(member)
    member.ledger.roll("size")
    speak(member)
    member.ledger.roll("size")
    speak(member)
    found = sorted(member.directory.glob("journal-*"))
    for path in found[:-1]:
        path.unlink()
    with publishing(member, consumer) as one:
        wait("the rest", lambda: consumer.received[-1] == member.ledger.head.number)
        assert one.tally.lost_records > 0
    assert "removed before they could be" in caplog.text


def test_a_place_that_cannot_be_kept_is_told_once(
    member: Member, caplog: pytest.LogCaptureFixture
) -> None:
    (member.directory / "outbox").write_text("in the way")
    consumer = Collector()
    with publishing(member, consumer):
        head = speak(member)
        wait("all of it", lambda: len(consumer.received) == head)
    told = [r for r in caplog.records if "cannot be kept" in r.getMessage()]
    assert len(told) == 1
