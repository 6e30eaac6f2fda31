"""The bus, with a real journal behind it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from regnal.journal.reader import Record, scan
from regnal.journal.stamps import Clocks, hlc_text, parse_hlc
from regnal.journal.writer import JournalWriter
from regnal.messages.base import Message
from regnal.messages.cluster import ClusterObserved
from regnal.messages.envelope import Envelope, HybridTime
from regnal.messages.host import ClockSkewSeen
from regnal.runtime.bus import Bus
from regnal.runtime.other_clocks import OtherClocks
from tests.actors.builders import member, view
from tests.journal.builders import IDENTITY

NOW_US = 1_800_000_000_000_000


@dataclass
class Letters:
    """A mailbox that keeps what it gets."""

    got: list[Envelope[Message]] = field(default_factory=list)

    def tell(self, message: Envelope[Message]) -> None:
        self.got.append(message)


@dataclass
class Running:
    """A bus of pg1, at a moment that stands still."""

    directory: Path

    def __post_init__(self) -> None:
        self.journal = JournalWriter(
            self.directory,
            IDENTITY,
            (),
            clocks=Clocks(wall=lambda: NOW_US, boot=lambda: 1000.0),
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
