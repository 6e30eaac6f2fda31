"""Segments are pinned for incidents, several for one and one for several."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regnal.journal.pins import Pins, pin, unpin
from regnal.journal.places import Segment, segments
from regnal.journal.reader import Record, scan
from regnal.messages.cluster import StoreUnreachable
from tests.journal.builders import Member
from tests.journal.member_writer import OPTIONS, eventually, speaking


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    member = Member(tmp_path).open()
    for _ in range(3):
        member.tell(StoreUnreachable(error="x", unanswered_for=1.0))
        member.time.seconds += 60
        member.ledger.roll("asked")
    return tmp_path


def pinned(journal: Path) -> list[list[str]]:
    """The incidents of each segment, in order."""
    return [
        json.loads(s.pin.read_text()).get("incidents", []) if s.pin.exists() else []
        for s in segments(journal)
    ]


def begin_of(segment: Segment) -> str:
    """When its first record was written."""
    for item in scan(segment.path.parent):
        if isinstance(item, Record) and item.n == segment.first:
            return item.wall
    raise AssertionError(segment)


def test_from_the_beginning_of_an_incident_on_everything_is_kept(journal: Path) -> None:
    begun = begin_of(segments(journal)[1])
    Pins(journal).keep("reign-7", begun[:-2] + "9Z")  # some microseconds later
    assert pinned(journal) == [[], ["reign-7"], ["reign-7"], ["reign-7"]]


def test_a_segment_is_kept_for_each_of_its_incidents(journal: Path) -> None:
    pins = Pins(journal)
    pins.keep("reign-7", "")
    pins.keep("stall-1", begin_of(segments(journal)[3]))
    assert pinned(journal)[3] == ["reign-7", "stall-1"]
    pins.release("reign-7")
    assert pinned(journal)[0] == []
    assert pinned(journal)[3] == ["stall-1"]
    pins.release("stall-1")
    assert not any(segment.pin.exists() for segment in segments(journal))


def test_what_is_begun_later_is_covered(journal: Path) -> None:
    pins = Pins(journal)
    pins.keep("reign-7", "")
    segments(journal)[3].pin.unlink()
    pins.cover()
    assert pinned(journal)[3] == ["reign-7"]
    pins.release("reign-7")
    pins.cover()
    assert pinned(journal) == [[]] * 4


def test_releasing_what_was_never_kept_is_harmless(journal: Path) -> None:
    Pins(journal).release("reign-7")
    unpin(segments(journal)[0], "reign-7")
    assert pinned(journal) == [[]] * 4


def test_the_pins_of_a_daemon_before_can_be_released(journal: Path) -> None:
    Pins(journal).keep("reign-7", "")
    Pins(journal).release("reign-7")
    assert not any(segment.pin.exists() for segment in segments(journal))


@pytest.mark.parametrize(
    "content",
    ['{"reason": "failover of pg1"}', "[1]", "{", '{"incidents": 7}', "\udcff"],
)
def test_a_pin_that_somebody_else_wrote_stays(journal: Path, content: Any) -> None:
    """Of an older program, of a person, or damaged."""
    first = segments(journal)[0]
    first.pin.write_bytes(os.fsencode(content))
    pin(first, "reign-7")
    assert json.loads(first.pin.read_text())["incidents"] == ["reign-7"]
    unpin(first, "reign-7")
    assert first.pin.exists() or content == '{"incidents": 7}'


@pytest.mark.invented_steps
def test_a_writer_pins_what_it_writes_while_an_incident_is_open(tmp_path: Path) -> None:
    options = replace(OPTIONS, segment_bytes=5_000, keep_bytes=10_000)
    with speaking(tmp_path, options) as speaker:
        speaker.writer.pins.keep("reign-7", "")
        for number in range(300):
            speaker.say(StoreUnreachable(error=f"{number}" * 100, unanswered_for=1.0))
            speaker.order("read", durable=False)
        eventually(
            lambda: all(s.is_compressed for s in segments(tmp_path)[:-2]),
            "segments to be compressed",
        )
        assert segments(tmp_path)[0].first == 1
        assert len(segments(tmp_path)) > 5
        speaker.writer.pins.release("reign-7")
        for number in range(100):
            speaker.say(StoreUnreachable(error=f"{number}" * 100, unanswered_for=1.0))
            speaker.order("read", durable=False)
        eventually(lambda: segments(tmp_path)[0].first > 1, "the oldest to be removed")
