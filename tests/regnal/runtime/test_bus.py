"""The bus, with a real journal behind it."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from regnal.actors.shell import Shell
from regnal.actors.step import Decider, Step
from regnal.journal.reader import Record, scan
from regnal.journal.stamps import Clocks, hlc_text, parse_hlc
from regnal.journal.writer import JournalWriter
from regnal.messages.base import Instant, Message
from regnal.messages.cluster import ClusterObserved, StoreAnswered
from regnal.messages.envelope import Envelope, HybridTime
from regnal.messages.host import ClockSkewSeen, MailboxAge
from regnal.runtime.bus import Bus
from regnal.runtime.other_clocks import OtherClocks
from tests.actors.builders import member, view
from tests.journal.builders import IDENTITY

NOW_US = 1_800_000_000_000_000
DEADLINE = 30.0


@dataclass
class Letters:
    """A mailbox that keeps what it gets."""

    got: list[Envelope[Message]] = field(default_factory=list)

    def tell(self, message: Envelope[Message]) -> None:
        self.got.append(message)


@dataclass
class Running:
    """A bus of pg1, at a moment that stands still until the test moves it."""

    directory: Path
    boot: Instant = 1000.0

    def __post_init__(self) -> None:
        self.journal = JournalWriter(
            self.directory,
            IDENTITY,
            (),
            clocks=Clocks(wall=lambda: NOW_US, boot=lambda: self.boot),
        )
        stamper = self.journal.stamper
        self.bus = Bus(self.journal, stamper, OtherClocks(stamper))
        self.letters = Letters()

    def said(self) -> list[Record]:
        """What the journal has of it, once it is closed."""
        self.journal.close()
        return [
            item
            for item in scan(self.directory)
            if isinstance(item, Record) and item.kind == "message"
        ]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path / "journal")
    yield made
    made.journal.close()


def test_an_observation_is_stamped_later_than_what_it_shows(running: Running) -> None:
    theirs = HybridTime(NOW_US + 30_000_000, 4, "pg2")
    seen = ClusterObserved(view=view("pg1", member("pg2", hlc=hlc_text(theirs))))
    running.bus.connect("election", (ClusterObserved,), running.letters)

    running.bus.say("dcs", seen, None)

    (heard,) = running.letters.got
    assert heard.hlc > theirs
    assert heard.wall_us == NOW_US, "our own wall clock is still known"
    (record,) = running.said()
    assert parse_hlc(record.fields["hlc"]) > theirs
    assert record.fields["ahead"] == 30_000_000


def test_a_wall_clock_that_differs_is_told_with_what_showed_it(
    running: Running,
) -> None:
    theirs = hlc_text(HybridTime(NOW_US + 5_000_000, 0, "pg2"))
    seen = ClusterObserved(view=view(member("pg2", hlc=theirs)))
    running.bus.connect("anybody", (ClockSkewSeen,), running.letters)

    running.bus.say("dcs", seen, None)
    running.bus.say("dcs", seen, None)

    (told,) = running.letters.got
    assert told.message == ClockSkewSeen(member="pg2", ahead=5.0)
    observed, skew, again = running.said()
    assert [r.fields["type"] for r in (observed, again)] == ["cluster_observed"] * 2
    assert skew.fields["cause"] == observed.fields["id"]


class Gate:
    """What a decider waits at, as none should."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def decider(self) -> Decider[int]:
        """An actor that fails on the third message that it hears."""

        def handle(heard: int, envelope: Envelope[Message]) -> Step[int]:
            self.entered.set()
            assert self.open.wait(DEADLINE)
            if heard == 2:
                raise ValueError("the third")
            return Step(heard + 1, facts={"heard": heard + 1})

        return Decider(
            name="slow",
            hears=(StoreAnswered, ClusterObserved),
            state=int,
            initial=lambda member: 0,
            handle=handle,
        )


def test_what_waits_in_a_mailbox_is_seen_from_outside(running: Running) -> None:
    gate, bus = Gate(), running.bus
    shell: Any = Shell.start(gate.decider(), "pg1", bus)
    bus.connect("slow", (StoreAnswered, ClusterObserved), shell)
    try:
        assert bus.mailboxes() == ()
        for _ in range(3):
            bus.say("dcs", StoreAnswered(), None)
        assert gate.entered.wait(DEADLINE)
        running.boot += 7.5
        for _ in range(2):  # the first is superseded by the second
            bus.say("dcs", ClusterObserved(view=view("pg1")), None)
        (age,) = bus.mailboxes()
        assert age == MailboxAge(actor="slow", waiting=5, oldest=7.5)
        gate.open.set()
        until = time.monotonic() + DEADLINE
        while bus.mailboxes():
            assert time.monotonic() < until, f"not heard: {bus.mailboxes()}"
            time.sleep(0.01)
    finally:
        gate.open.set()
        shell.stop()


def test_a_part_that_takes_no_steps_is_never_late(running: Running) -> None:
    running.bus.connect("process", (StoreAnswered,), running.letters, takes_steps=False)
    running.bus.say("dcs", StoreAnswered(), None)
    assert running.letters.got
    assert running.bus.mailboxes() == ()
