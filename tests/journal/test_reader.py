"""Reading goes on behind damage, says where it is, and keeps up with a writer."""

import gzip
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.journal.chain_check import Damage
from regnal.journal.encoding import NO_HASH, chain, line
from regnal.journal.ledger import Head
from regnal.journal.places import segments
from regnal.journal.reader import Record, Window, follow, scan
from regnal.journal.retention import compress
from regnal.journal.verification import verify
from regnal.messages.cluster import StoreAnswered, StoreUnreachable
from tests.journal.builders import Member, damages, kinds, last_segment, records
from tests.journal.member_writer import OPTIONS, speaking


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three segments, a few records in each."""
    directory = tmp_path_factory.mktemp("whole")
    member = Member(directory).open()
    for _ in range(3):
        member.tell(StoreAnswered())
        member.beat()
        member.ledger.roll("asked")
    return directory


def copy_of(whole: Path, directory: Path) -> dict[Path, bytes]:
    """A copy to be damaged; returns its segments' contents."""
    directory.mkdir(exist_ok=True)
    contents = {}
    for segment in segments(whole):
        path = directory / segment.path.name
        contents[path] = segment.path.read_bytes()
        path.write_bytes(contents[path])
    return contents


def test_a_journal_that_nobody_touched_is_whole(whole: Path) -> None:
    verdict = verify(whole)
    assert verdict.is_whole
    assert verdict.segments == 4
    assert verdict.first == 1
    assert verdict.head.number == verdict.records == len(records(whole))


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_where_it_is_and_costs_no_other_record(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, where: float, bit: int
) -> None:
    directory = tmp_path_factory.mktemp("flipped")
    contents = copy_of(whole, directory)
    everything = b"".join(contents.values())
    position = int(where * (len(everything) - 1))  # the very last newline: see below
    for path, content in contents.items():
        if position < len(content):
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            path.write_bytes(flipped)
            break
        position -= len(content)
    found = damages(directory)
    assert found
    assert not verify(directory).is_whole
    begin = content.rfind(b"\n", 0, position) + 1
    assert found[0].segment == path
    # A newline that is none any more joins two lines; one that is new parts one.
    assert begin <= found[0].offset <= max(begin, position + 1)
    untouched = _lines_but(content, position)
    read = {i.line for i in scan(directory) if isinstance(i, Record)}
    others = {text for p, c in contents.items() if p != path for text in _lines(c)}
    assert untouched | others <= read


def _lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def _lines_but(content: bytes, position: int) -> set[bytes]:
    """All lines but the one at the position, and the next if that is joined to it."""
    rest = []
    offset = 0
    for text in _lines(content):
        begin, offset = offset, offset + len(text)
        joined = begin == position + 1
        if not begin <= position < offset and not joined:
            rest.append(text)
    return set(rest)


@pytest.mark.parametrize("index", range(1, 8))
def test_a_record_that_is_taken_out_is_missed(
    whole: Path, tmp_path: Path, index: int
) -> None:
    (path, content), *_ = copy_of(whole, tmp_path).items()
    lines = _lines(content)
    del lines[index]
    path.write_bytes(b"".join(lines))
    (damage,) = damages(tmp_path)
    assert (damage.what, damage.first, damage.last) == ("missing", index + 1, index + 1)
    assert len(list(scan(tmp_path))) == len(records(whole))


def test_records_that_change_places_are_noticed(whole: Path, tmp_path: Path) -> None:
    (path, content), *_ = copy_of(whole, tmp_path).items()
    lines = _lines(content)
    lines[3], lines[4] = lines[4], lines[3]
    path.write_bytes(b"".join(lines))
    assert {damage.what for damage in damages(tmp_path)} == {"missing", "order"}


def test_a_missing_segment_is_named_by_its_records(whole: Path, tmp_path: Path) -> None:
    paths = list(copy_of(whole, tmp_path))
    first, following = (int(path.stem[-12:]) for path in paths[1:3])
    paths[1].unlink()
    (damage,) = damages(tmp_path)
    assert (damage.what, damage.first, damage.last) == ("missing", first, following - 1)


def test_a_segment_of_another_story_does_not_fit(whole: Path, tmp_path: Path) -> None:
    paths = list(copy_of(whole, tmp_path / "ours"))
    Member(tmp_path / "theirs").open().ledger.roll("asked")
    forged: list[bytes] = []
    own = NO_HASH
    for item in records(whole):
        if item.n < int(paths[1].stem[-12:]):
            continue
        body = item.line.partition(b",")[2].rpartition(b',"hash"')[0]
        if item.kind == "start" and not forged:
            body = body.rpartition(b'"previous"')[0] + b'"previous":"%b"' % (b"1" * 32)
            own = "1" * 32
        text, own = line(item.n, body, own)
        if item.n >= int(paths[2].stem[-12:]):
            break
        forged.append(text)
    paths[1].write_bytes(b"".join(forged))
    found = damages(tmp_path / "ours")
    assert [damage.what for damage in found] == ["broken", "broken"]


def test_only_a_witness_sees_that_the_end_was_cut_off(
    whole: Path, tmp_path: Path
) -> None:
    head = verify(whole).head
    paths = list(copy_of(whole, tmp_path))
    paths[-1].unlink()
    assert verify(tmp_path).is_whole
    verdict = verify(tmp_path, [head])
    assert not verdict.is_whole
    assert verdict.denied == (head,)


def test_a_witness_of_what_expired_proves_nothing(whole: Path, tmp_path: Path) -> None:
    paths = list(copy_of(whole, tmp_path))
    paths[0].unlink()
    verdict = verify(tmp_path, [Head(2, "0" * 32)])
    assert verdict.first > 2
    assert verdict.is_whole


def test_an_incomplete_last_line_is_no_damage(whole: Path, tmp_path: Path) -> None:
    path = list(copy_of(whole, tmp_path))[-1]
    path.write_bytes(path.read_bytes() + b'{"n":4711,"hl')
    (damage,) = damages(tmp_path)
    assert damage.what == "unfinished"
    assert verify(tmp_path).is_whole


def test_an_incomplete_line_in_the_middle_is_damage(
    whole: Path, tmp_path: Path
) -> None:
    path = next(iter(copy_of(whole, tmp_path)))
    path.write_bytes(path.read_bytes()[:-10])
    assert [damage.what for damage in damages(tmp_path)] == ["torn", "missing"]


def test_a_damaged_compressed_segment_costs_no_other(
    whole: Path, tmp_path: Path
) -> None:
    first, *others = copy_of(whole, tmp_path)
    packed = compress(first)
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 0xFF
    packed.write_bytes(content)
    found = damages(tmp_path)
    assert {damage.segment for damage in found} <= {packed, others[0]}
    assert any("cannot be unpacked" in str(damage) for damage in found)
    read = {i.line for i in scan(tmp_path) if isinstance(i, Record)}
    assert {text for path in others for text in _lines(path.read_bytes())} <= read


def test_a_format_of_the_future_is_named_and_not_guessed_at(tmp_path: Path) -> None:
    Member(tmp_path).open()
    path = last_segment(tmp_path)
    start = _lines(path.read_bytes())[0].replace(b'"format":1', b'"format":2')
    covered = start.rpartition(b',"hash"')[0]
    path.write_bytes(covered + b',"hash":"%b"}\n' % chain(NO_HASH, covered).encode())
    (damage,) = damages(tmp_path)
    assert damage.what == "newer"
    assert "reads up to 1" in str(damage)


def test_a_reader_sees_plain_and_compressed_alike(whole: Path, tmp_path: Path) -> None:
    for path in list(copy_of(whole, tmp_path))[:2]:
        compress(path)
    assert [s.is_compressed for s in segments(tmp_path)] == [True, True, False, False]
    assert records(tmp_path) == records(whole)


def test_where_a_crash_left_both_the_plain_segment_counts(
    whole: Path, tmp_path: Path
) -> None:
    path = next(iter(copy_of(whole, tmp_path)))
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(b"half"))
    assert records(tmp_path) == records(whole)


def test_only_the_window_that_is_asked_for_is_read(whole: Path) -> None:
    everything = records(whole)
    middle = everything[len(everything) // 2]
    found = list(scan(whole, Window(after=middle.n)))
    assert [r.n for r in found if isinstance(r, Record)] == [
        r.n for r in everything if r.n > middle.n
    ]
    for window in (Window(since=middle.wall), Window(until=middle.wall)):
        found = list(scan(whole, window))
        assert found == [r for r in everything if window.has(r)]
        assert 0 < len(found) < len(everything)


def test_a_follower_sees_every_record_once_while_segments_come_and_go(
    tmp_path: Path,
) -> None:
    seen: list[int] = []
    last = threading.Event()
    options = replace(OPTIONS, segment_bytes=5_000)

    def read() -> None:
        for item in follow(tmp_path):
            assert not isinstance(item, Damage)
            if isinstance(item, Record):
                seen.append(item.n)
            elif last.is_set() and item == verify(tmp_path).head.number:
                return

    with speaking(tmp_path, options) as speaker:
        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(300):
            speaker.order("read", durable=False)
    last.set()
    reader.join(20)
    assert not reader.is_alive()
    assert len(segments(tmp_path)) > 10
    assert seen == list(range(1, verify(tmp_path).head.number + 1))


def test_reading_takes_no_memory(tmp_path: Path) -> None:
    member = Member(tmp_path).open()
    for _ in range(4000):
        member.enter(StoreUnreachable(error="x" * 1000, unanswered_for=1.0))
    member.ledger.write()
    assert last_segment(tmp_path).stat().st_size > 4_000_000
    tracemalloc.start()
    try:
        count = sum(1 for _ in scan(tmp_path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 4002
    assert peak < 1_500_000


def test_kinds_of_the_future_are_read_like_any_other(tmp_path: Path) -> None:
    member = Member(tmp_path).open()
    head = member.ledger.head
    text, _ = line(head.number + 1, b'"hlc":"x","kind":"omen"', head.hash)
    with last_segment(tmp_path).open("ab") as file:
        file.write(text)
    assert kinds(records(tmp_path)) == ["start", "snapshot", "omen"]
