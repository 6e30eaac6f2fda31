"""The outbox: at least once, in order, across restarts and losses."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regnal.journal.options import JournalOptions
from regnal.journal.outbox import MAXIMUM_RECORDS, Gap, Item, Outbox, Place
from regnal.journal.places import segments
from regnal.journal.reader import Record
from regnal.messages.cluster import StoreUnreachable
from tests.journal.builders import Member

SMALL = replace(JournalOptions(), segment_bytes=4096)


def numbers(items: Sequence[Item]) -> list[int | tuple[int, int]]:
    return [
        item.n if isinstance(item, Record) else (item.first, item.last)
        for item in items
    ]


def rest_of(outbox: Outbox) -> list[Item]:
    """All that can be taken, each portion confirmed."""
    items: list[Item] = []
    while portion := outbox.take():
        items += portion
        outbox.confirm()
    outbox.save()
    return items


def speak(member: Member, count: int) -> None:
    for number in range(count):
        member.tell(StoreUnreachable(error=f"away {number}", unanswered_for=1.0))
        member.ledger.write()


@pytest.fixture
def member(tmp_path: Path) -> Member:
    return Member(tmp_path / "journal", options=SMALL).open()


def outbox_of(member: Member, begin_after: Place | None = None) -> Outbox:
    return Outbox(member.directory, "test", begin_after=begin_after)


def test_everything_comes_once_and_in_order(member: Member) -> None:
    outbox = outbox_of(member)
    speak(member, 30)
    first = numbers(rest_of(outbox))
    speak(member, 5)
    both = [*first, *numbers(rest_of(outbox))]
    assert both == list(range(1, member.ledger.head.number + 1))
    assert len(both) > len(first)


def test_a_restart_goes_on_where_the_last_one_ended(member: Member) -> None:
    speak(member, 10)
    outbox = outbox_of(member)
    before = rest_of(outbox)
    speak(member, 10)
    after = rest_of(outbox_of(member))
    told = numbers([*before, *after])
    assert told == list(range(1, len(told) + 1))


def test_what_was_not_confirmed_comes_again(member: Member) -> None:
    speak(member, 10)
    outbox = outbox_of(member)
    rest_of(outbox)
    speak(member, 10)
    lost = outbox.take()
    assert lost
    assert numbers(outbox_of(member).take())[: len(lost)] == numbers(lost)


def test_a_portion_is_bounded(member: Member) -> None:
    speak(member, MAXIMUM_RECORDS)
    outbox = outbox_of(member)
    assert len(outbox.take()) == MAXIMUM_RECORDS
    assert outbox.take()


def test_a_new_consumer_may_begin_with_what_comes(member: Member) -> None:
    speak(member, 10)
    head = Place(*member.ledger.head)
    outbox = outbox_of(member, begin_after=head)
    assert outbox.take() == []
    speak(member, 1)
    assert numbers(outbox.take())[0] == head.number + 1
    outbox.save()
    later = outbox_of(member, begin_after=Place(*member.ledger.head))
    assert numbers(later.take())[0] == head.number + 1, "nothing was sent yet"


def test_what_retention_removed_is_told(member: Member) -> None:
    speak(member, 10)
    outbox = outbox_of(member)
    sent = numbers(rest_of(outbox))
    speak(member, 60)
    found = segments(member.directory)
    assert len(found) > 3
    for segment in found[:3]:
        segment.path.unlink()
    items = outbox_of(member).take()
    gap = Gap(len(sent) + 1, found[3].first - 1)
    assert items[0] == gap
    assert gap.size == gap.last - gap.first + 1
    assert numbers(items)[1] == found[3].first


def test_a_reader_that_is_late_keeps_the_segment_that_it_reads(member: Member) -> None:
    speak(member, 3)
    outbox = outbox_of(member)
    assert outbox.take()
    speak(member, 60)
    segments(member.directory)[0].path.unlink()
    assert not any(isinstance(item, Gap) for item in outbox.take())


def test_a_journal_that_was_begun_anew_is_sent_from_its_beginning(
    member: Member, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    speak(member, 10)
    rest_of(outbox_of(member))
    for segment in segments(member.directory):
        segment.path.unlink()
    again = Member(member.directory, options=SMALL, incarnation=2).open()
    speak(again, 1)
    assert numbers(outbox_of(again).take())[0] == 1
    assert "begun anew" in caplog.text


def test_a_lost_end_of_the_journal_is_stepped_back_over(member: Member) -> None:
    """A failure of the power took records that had been sent."""
    outbox = outbox_of(member)
    speak(member, 5)
    rest_of(outbox)
    kept = outbox.position
    path = segments(member.directory)[-1].path
    size = path.stat().st_size
    speak(member, 2)
    rest_of(outbox)
    assert outbox.position > kept
    with path.open("r+b") as file:
        file.truncate(size)
    again = Member(member.directory, options=SMALL, incarnation=2).open()
    speak(again, 4)
    assert numbers(outbox_of(again).take())[0] == kept + 1


def test_a_cursor_that_cannot_be_read_sends_all_again(
    member: Member, caplog: pytest.LogCaptureFixture
) -> None:
    speak(member, 3)
    rest_of(outbox_of(member))
    path = member.directory / "outbox" / "test.json"
    assert json.loads(path.read_bytes())["format"] == 1
    path.write_text("rubbish")
    assert numbers(outbox_of(member, begin_after=Place(7, "")).take())[0] == 1
    assert "sent again" in caplog.text


def test_the_memory_is_kept_with_the_place(member: Member) -> None:
    speak(member, 3)
    outbox = outbox_of(member)
    outbox.take()
    outbox.confirm("remembered")
    outbox.save()
    assert outbox_of(member).memory == "remembered"


@settings(max_examples=15, deadline=None)
@given(acts=st.lists(st.sampled_from(["speak", "send", "die", "forget"]), max_size=12))
def test_nothing_is_lost_whatever_dies(
    tmp_path_factory: pytest.TempPathFactory, acts: list[str]
) -> None:
    """forget: it was sent, and the process died before it was confirmed."""
    member = Member(tmp_path_factory.mktemp("journal"), options=SMALL).open()
    outbox, received = outbox_of(member), list[int | tuple[int, int]]()
    for act in [*acts, "speak", "send"]:
        match act:
            case "speak":
                speak(member, 3)
            case "send":
                received += numbers(rest_of(outbox))
            case "forget":
                received += numbers(outbox.take())
                outbox = outbox_of(member)
            case _:
                outbox = outbox_of(member)
    once = list(dict.fromkeys(received))
    assert once == list(range(1, member.ledger.head.number + 1))
