"""Sealed segments are compressed, kept while there is room, and pinned on demand."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from regnal.journal.options import JournalOptions
from regnal.journal.pins import pin, unpin
from regnal.journal.places import Segment, segments
from regnal.journal.retention import Expired, compress, overdue, remove
from regnal.journal.verification import verify
from regnal.messages.cluster import StoreUnreachable
from tests.journal.builders import Member, kinds, records
from tests.journal.member_writer import OPTIONS, eventually, speaking

NOW = 1_800_000_000
DAY = 86_400
KEEP_ALL = JournalOptions(keep_bytes=10**9, keep_age=10 * DAY)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Four segments of 10,000 bytes each and more; the oldest four days old."""
    member = Member(tmp_path).open()
    for _ in range(3):
        member.tell(StoreUnreachable(error="x" * 10_000, unanswered_for=1.0))
        member.ledger.roll("asked")
    for age, segment in enumerate(reversed(segments(tmp_path)), 1):
        os.utime(segment.path, (NOW - age * DAY, NOW - age * DAY))
    return tmp_path


def expired(journal: Path, options: JournalOptions) -> list[Expired]:
    holes = []
    for segment, hole in list(overdue(journal, options, NOW * 1_000_000)):
        remove(segment)
        holes.append(hole)
    return holes


def firsts(journal: Path) -> list[int]:
    return [segment.first for segment in segments(journal)]


def test_nothing_goes_while_there_is_room(journal: Path) -> None:
    assert expired(journal, KEEP_ALL) == []
    assert len(firsts(journal)) == 4


def test_the_oldest_go_first_when_room_is_short(journal: Path) -> None:
    before = firsts(journal)
    gone = expired(journal, replace(KEEP_ALL, keep_bytes=25_000))
    assert firsts(journal) == before[1:]
    assert gone == [Expired(before[0], before[1] - 1)]
    assert verify(journal).is_whole


def test_old_segments_go_but_never_the_newest(journal: Path) -> None:
    before = firsts(journal)
    expired(journal, replace(KEEP_ALL, keep_age=2.5 * DAY))
    assert firsts(journal) == before[2:]
    expired(journal, replace(KEEP_ALL, keep_age=0, keep_bytes=0))
    assert firsts(journal) == before[3:]


def test_a_pinned_segment_stays_until_it_is_unpinned_or_very_old(journal: Path) -> None:
    oldest = segments(journal)[0]
    strict = replace(KEEP_ALL, keep_age=0, keep_bytes=0)
    pin(oldest, "reign-7")
    expired(journal, strict)
    assert firsts(journal) == [oldest.first, firsts(journal)[-1]]
    expired(journal, replace(strict, keep_pinned_age=3.5 * DAY))
    assert oldest.first not in firsts(journal)
    assert not oldest.pin.exists()


def test_unpinning_gives_it_back(journal: Path) -> None:
    oldest = segments(journal)[0]
    pin(oldest, "reign-7")
    unpin(oldest, "reign-7")
    expired(journal, replace(KEEP_ALL, keep_age=0))
    assert oldest.first not in firsts(journal)


def test_compression_keeps_every_byte_and_the_age(journal: Path) -> None:
    before = records(journal)
    oldest = segments(journal)[0]
    modified = oldest.path.stat().st_mtime
    packed = compress(oldest.path)
    assert records(journal) == before
    assert segments(journal)[0] == Segment(oldest.first, packed)
    assert packed.stat().st_mtime == modified
    assert packed.stat().st_size < 2_000


@pytest.mark.invented_steps
def test_the_writer_compresses_and_removes_and_says_so(tmp_path: Path) -> None:
    options = replace(OPTIONS, segment_bytes=20_000, keep_bytes=50_000)
    with speaking(tmp_path, options) as speaker:
        for number in range(1000):
            speaker.say(StoreUnreachable(error=f"{number}" * 100, unanswered_for=1.0))
            speaker.order("read", durable=False)
        eventually(
            lambda: "expired" in kinds(records(tmp_path)), "a segment to be removed"
        )
    with speaking(tmp_path, options):
        eventually(
            lambda: all(s.is_compressed for s in segments(tmp_path)[:-1]),
            "everything that is sealed to be compressed",
        )
    verdict = verify(tmp_path)
    assert verdict.is_whole
    assert verdict.first > 1
    assert sum(s.path.stat().st_size for s in segments(tmp_path)) < 100_000


@pytest.mark.invented_steps
def test_a_hole_that_retention_made_around_a_pin_is_no_damage(tmp_path: Path) -> None:
    options = replace(OPTIONS, segment_bytes=5_000, keep_bytes=10_000)
    with speaking(tmp_path, options) as speaker:
        pin(segments(tmp_path)[0], "reign-7")
        for number in range(1000):
            speaker.say(StoreUnreachable(error=f"{number}" * 100, unanswered_for=1.0))
            speaker.order("read", durable=False)
        eventually(lambda: verify(tmp_path).expired, "a segment to be removed")
    verdict = verify(tmp_path)
    assert verdict.first == 1
    assert verdict.expired
    assert verdict.is_whole, verdict.damages
