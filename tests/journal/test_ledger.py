"""The chain, its segments, and what is left of them after a crash."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from regnal.journal.decoding import state_of
from regnal.journal.encoding import NO_HASH
from regnal.journal.options import JournalOptions
from regnal.journal.places import QUIET
from regnal.journal.verification import verify
from regnal.messages.cluster import StoreAnswered, StoreUnreachable
from regnal.messages.daemon import ShutdownRequested
from regnal.messages.lease import LeaderReleased
from regnal.messages.timers import TimerFired
from tests.examples import examples, usually
from tests.journal.builders import (
    IDENTITY,
    TOY,
    Member,
    Memory,
    first_life,
    fold,
    kinds,
    last_segment,
    records,
)


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory for each example of a property."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "journal"


def test_a_journal_begins_with_who_writes_it_and_every_actors_state(
    tmp_path: Path,
) -> None:
    Member(tmp_path).open()
    start, snapshot = records(tmp_path)
    assert start.fields["member"] == IDENTITY.member
    assert start.fields["versions"] == {"regnal": "0.1.0"}
    assert start.fields["boot"] == "boot-1"
    assert start.fields["incarnation"] == 1
    assert start.fields["previous"] == NO_HASH
    assert state_of(snapshot, TOY) == Memory()


def test_a_step_stands_before_what_it_said(tmp_path: Path) -> None:
    member = Member(tmp_path).open()
    member.tell(StoreUnreachable(error="acquire", unanswered_for=1.0))
    member.ledger.write()
    *_, heard, step, said = records(tmp_path)
    assert kinds([heard, step, said]) == ["message", "step", "message"]
    assert step.fields["heard"] == heard.fields["id"]
    assert step.fields["said"] == [said.fields["id"]]
    assert step.fields["rule"] == "acquire"
    assert said.fields["cause"] == heard.fields["id"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        pytest.param(JournalOptions(segment_bytes=2000), "size", id="by size"),
        pytest.param(JournalOptions(segment_age=25), "age", id="by age"),
    ],
)
def test_each_segment_can_be_replayed_alone(
    tmp_path: Path, options: JournalOptions, why: str
) -> None:
    member = Member(tmp_path, options).open()
    for _ in range(20):
        member.tell(StoreAnswered())
        member.beat()
        member.ledger.tick()
    found = records(tmp_path)
    begins = [i for i, r in enumerate(found) if r.kind == "start"]
    assert len(begins) > 2
    assert {found[i].fields["why"] for i in begins[1:]} == {why}
    for index in begins[1:]:
        assert found[index - 1].kind == "seal"
        assert found[index].fields["previous"] == found[index - 1].fields["hash"]
        assert state_of(found[index + 1], TOY) == fold(found[:index])
        assert fold(found[index:]) == fold(found)


def test_what_is_on_its_way_is_in_the_segment_that_will_hear_it(
    tmp_path: Path,
) -> None:
    member = Member(tmp_path).open()
    member.tell(StoreAnswered())
    waiting = [member.enter(StoreAnswered()), member.enter(LeaderReleased(member="x"))]
    member.ledger.roll("asked")
    while member.mailbox:
        member.hear()
    member.ledger.write()
    found = records(tmp_path)
    second = found[kinds(found).index("seal") + 1 :]
    assert kinds(second) == ["start", "snapshot", *["message"] * 2, *["step"] * 2]
    assert [r.fields["id"] for r in second if "recalled" in r.fields] == [
        envelope.id for envelope in waiting
    ]
    assert fold(second) == fold(found) == member.memory


QUIET_SOON = JournalOptions(quiet_bytes=4_000)


def test_what_is_held_is_written_when_it_gets_old(tmp_path: Path) -> None:
    member = Member(tmp_path, replace(QUIET_SOON, coalesce_seconds=300)).open()
    for _ in range(60):  # ten minutes
        member.beat()
        member.ledger.tick()
    found = records(tmp_path)
    quiet = [r.fields["omitted"] for r in found if r.kind == "quiet"]
    steps = [r.fields.get("repeats", 0) for r in found if r.kind == "step"]
    # 31 beats each time; of each beat two messages and the step that said something.
    assert quiet == [3 * 30]
    assert steps == [30]
    assert fold(found).beat_at == member.memory.beat_at - 290


def test_a_short_quiet_is_written_whole(tmp_path: Path) -> None:
    member = Member(tmp_path).open()
    for _ in range(5):
        member.beat()
    member.tell(StoreAnswered())
    member.ledger.write()
    found = records(tmp_path)
    assert "quiet" not in kinds(found)
    assert len([r for r in found if r.kind == "step"]) == 6
    assert fold(found) == member.memory


@pytest.mark.parametrize("hours", usually([4, 24], 1))
def test_an_idle_day_takes_little(tmp_path: Path, hours: int) -> None:
    member = Member(tmp_path, JournalOptions(segment_age=1e9)).open()
    for _ in range(hours * 360):
        member.beat()
        member.ledger.tick()
    member.ledger.release()
    member.ledger.write()
    assert last_segment(tmp_path).stat().st_size < 200_000 * hours / 24
    assert fold(records(tmp_path)) == member.memory


EVENTS = st.lists(
    st.sampled_from(
        ["beat", "beat", "beat", "timer", "answered", "unheard", "pass", "roll"]
    ),
    max_size=40,
)


def live(member: Member, events: list[str], check: Callable[[], None]) -> None:
    """Let the member do these things, and look at the journal after each."""
    for event in events:
        match event:
            case "beat":
                member.beat()
            case "timer":
                member.time.seconds += 1
                member.tell(TimerFired(name="other", due_at=member.time.seconds))
            case "answered":
                member.tell(StoreAnswered())
            case "unheard":
                member.enter(TimerFired(name="heartbeat", due_at=member.time.seconds))
            case "pass":
                member.time.seconds += 200
            case "roll":
                member.ledger.roll("asked")
        member.ledger.tick()
        check()


@given(EVENTS)
@examples(20)
def test_a_reader_finds_the_whole_truth_at_any_time(events: list[str]) -> None:
    with scratch() as directory:
        member = Member(directory, QUIET_SOON).open()

        def check() -> None:
            found = records(directory, with_held=True)
            assert fold(found) == member.truth
            last = max(i for i, r in enumerate(found) if r.kind == "start")
            assert fold(found[last:]) == member.truth, "from the last segment alone"

        live(member, events, check)


@given(EVENTS)
@examples(20)
def test_a_death_at_any_time_loses_nothing(events: list[str]) -> None:
    with scratch() as directory:
        member = Member(directory, QUIET_SOON).open()
        live(member, events, lambda: None)
        # The process is gone; nobody closes anything.
        Member(directory, incarnation=2).open()
        found = records(directory)
        assert fold(first_life(found)) == member.truth
        assert verify(directory).is_whole
        assert (directory / QUIET).read_bytes() == b""


def crashed(directory: Path, *, group: bool) -> tuple[Path, int]:
    """A journal without an end, and where its last record (or group) begins."""
    member = Member(directory).open()
    for _ in range(3):
        member.beat()
    member.tell(StoreUnreachable(error="refused", unanswered_for=1.0))
    if group:
        member.enter(StoreUnreachable(error="acquire", unanswered_for=1.0))
        member.ledger.write()
        before = last_segment(directory).stat().st_size
        member.hear()
    else:
        member.ledger.write()
        before = last_segment(directory).stat().st_size
        member.enter(ShutdownRequested(signal=15))
    member.ledger.write()
    return last_segment(directory), before


AT_BYTES = pytest.mark.parametrize(
    "step",
    [
        pytest.param(7, id="some bytes"),
        pytest.param(1, id="every byte", marks=pytest.mark.slow),
    ],
)
"""Where writing ended; seven has no part in how long records are."""


@AT_BYTES
@pytest.mark.parametrize("group", [False, True], ids=["record", "step and said"])
def test_a_tail_torn_at_any_byte_is_cut_and_noted(
    tmp_path: Path, group: bool, step: int
) -> None:
    original = tmp_path / "original"
    segment, begin = crashed(original, group=group)
    content = segment.read_bytes()
    whole = records(original)
    torn_off = 2 if group else 1
    for end in range(begin, len(content), step):
        directory = tmp_path / "torn"
        shutil.copytree(original, directory)
        (directory / segment.name).write_bytes(content[:end])
        Member(directory, incarnation=2).open()
        found = records(directory)
        kept = len(whole) - torn_off
        assert found[:kept] == whole[:kept], end
        cut, seal = ([] if end == begin else ["tail_cut"]), ["seal"]
        assert kinds(found[kept:]) == [*cut, *seal, "start", "snapshot"], end
        if cut:
            assert found[kept].fields["bytes"] == end - begin
            assert found[kept].fields["text"].encode() == content[begin:end]
        assert verify(directory).is_whole
        shutil.rmtree(directory)


@pytest.mark.parametrize(
    "rubbish",
    [
        pytest.param(b"\0" * 5000, id="zeros after a power failure"),
        pytest.param(b'{"n":9,"kind":"message"}\n', id="a record without a hash"),
        pytest.param(b"[1,2]\n\n\n", id="no record"),
        pytest.param(b"\xff\xfe{}\n" * 300_000, id="more than one look"),
    ],
)
def test_rubbish_at_the_end_is_cut(tmp_path: Path, rubbish: bytes) -> None:
    segment, _ = crashed(tmp_path, group=True)
    whole = records(tmp_path)
    with segment.open("ab") as file:
        file.write(rubbish)
    Member(tmp_path, incarnation=2).open()
    found = records(tmp_path)
    assert found[: len(whole)] == whole
    assert found[len(whole)].kind == "tail_cut"
    assert found[len(whole)].fields["bytes"] == len(rubbish)


@pytest.mark.parametrize("rubbish", [b"", b"{", b"\0" * 100_000])
def test_a_segment_without_a_record_does_not_stop_the_next(
    tmp_path: Path, rubbish: bytes
) -> None:
    member = Member(tmp_path).open()
    member.ledger.roll("asked")
    segment = last_segment(tmp_path)
    segment.write_bytes(rubbish)
    Member(tmp_path, incarnation=2).open()
    assert kinds(records(tmp_path)) == [
        "start",
        "snapshot",
        "seal",
        "start",
        "snapshot",
    ]
    assert verify(tmp_path).is_whole


@AT_BYTES
@pytest.mark.parametrize("beats", [2, 30], ids=["short", "long"])
def test_a_torn_write_of_held_records_is_completed(
    tmp_path: Path, beats: int, step: int
) -> None:
    original = tmp_path / "original"
    member = Member(original, QUIET_SOON).open()
    for _ in range(beats):
        member.beat()
    member.ledger.write()
    quiet = (original / QUIET).read_bytes()
    before = last_segment(original).stat().st_size
    member.ledger.release()
    member.ledger.write()
    (original / QUIET).write_bytes(quiet)  # we died before it was emptied
    segment = last_segment(original)
    content = segment.read_bytes()
    for end in range(before, len(content) + 1, step * (2 if beats == 2 else 7)):
        directory = tmp_path / "torn"
        shutil.copytree(original, directory)
        (directory / segment.name).write_bytes(content[:end])
        Member(directory, incarnation=2).open()
        found = first_life(records(directory))
        assert fold(found) == member.memory, end
        if beats == 2:
            ids = [r.fields["id"] for r in found if r.kind == "message"]
            assert len(ids) == len(set(ids)) == 6, end
        shutil.rmtree(directory)


@AT_BYTES
def test_a_quiet_file_that_is_torn_costs_the_torn_entry_only(
    tmp_path: Path, step: int
) -> None:
    original = tmp_path / "original"
    member = Member(original).open()
    for _ in range(2):
        member.beat()
    member.ledger.write()
    quiet = (original / QUIET).read_bytes()
    for end in range(0, len(quiet) + 1, step):
        directory = tmp_path / "torn"
        shutil.copytree(original, directory)
        (directory / QUIET).write_bytes(quiet[:end])
        Member(directory, incarnation=2).open()
        found = first_life(records(directory))
        fold(found)
        steps = [r for r in found if r.kind in ("message", "step")]
        assert len(steps) == _entries(quiet[:end])
        shutil.rmtree(directory)


def _entries(quiet: bytes) -> int:
    """Records in the whole lines."""
    whole = quiet.split(b"\n")[:-1]
    return sum(len(from_json(line)["records"]) for line in whole)


def test_the_clock_goes_on_where_the_journal_ended(tmp_path: Path) -> None:
    member = Member(tmp_path).open()
    member.time.seconds += 3600
    last = member.enter(LeaderReleased(member="pg1"))
    member.ledger.write()
    restarted = Member(tmp_path, incarnation=2).open()  # the wall clock went back
    assert restarted.stamper.stamp() > last.hlc
    assert [r.fields["hlc"] for r in records(tmp_path)] == sorted(
        r.fields["hlc"] for r in records(tmp_path)
    )


def test_a_segment_that_was_removed_is_noticed_and_begun_anew(tmp_path: Path) -> None:
    member = Member(tmp_path).open()
    member.tell(StoreAnswered())
    member.ledger.write()
    number = member.ledger.head.number
    shutil.rmtree(tmp_path)
    member.time.seconds += 60
    member.tell(StoreAnswered())
    member.ledger.write()
    found = records(tmp_path)
    assert kinds(found)[:4] == ["start", "snapshot", "gap", "message"]
    assert found[0].n == number + 1
    assert found[2].fields["lost"] == number
    assert fold(found) == member.memory
