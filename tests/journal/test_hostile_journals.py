"""Whatever befalls a journal: reading never fails, loses nothing else, and says so."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.actors.cast import DECIDERS
from regnal.cli.journal_text import line_of
from regnal.journal.chain_check import Damage
from regnal.journal.decoding import Undecodable, envelope_of, state_of, step_of
from regnal.journal.encoding import json_bytes
from regnal.journal.places import QUIET, segments
from regnal.journal.reader import Record, Window, scan
from regnal.journal.segment_input import MAXIMUM_LINE
from regnal.journal.verification import verify
from regnal.messages.vocabulary import VOCABULARY
from tests.examples import examples
from tests.journal.builders import Member, damages, last_segment, records
from tests.journal.damaging import (
    JSON,
    MUSEUM,
    Contents,
    Harm,
    any_harm,
    contents_of,
    flips,
    forgeries,
    lines_of,
    several,
    write,
)

REAL = contents_of(MUSEUM / "pg1")
"""Two segments of a member that crashed and came back."""

SHORT = Contents(
    (name, b"".join(content.splitlines(keepends=True)[:60]))
    for name, content in contents_of(MUSEUM / "pg2").items()
)
"""The first records of another one: quicker to read a hundred times."""

OFTEN = examples(20)


def read(contents: Contents) -> tuple[list[Record], list[Damage]]:
    with tempfile.TemporaryDirectory() as name:
        items = list(scan(write(contents, Path(name) / "j"), with_held=True))
    return (
        [item for item in items if isinstance(item, Record)],
        [item for item in items if isinstance(item, Damage)],
    )


def test_the_journals_of_the_museum_are_whole() -> None:
    assert [record.line for record in read(REAL)[0]] == lines_of(REAL)
    assert read(REAL)[1] == []


@given(harm=any_harm(REAL))
@OFTEN
def test_what_befalls_one_record_costs_no_other_and_is_told(harm: Harm) -> None:
    found, told = read(harm.contents)
    there = set(lines_of(harm.contents)) & set(lines_of(REAL))
    assert there - harm.touched <= {record.line for record in found}
    if harm.is_seen:
        assert told
    assert all(str(damage) for damage in told)


@given(harm=several(SHORT))
@OFTEN
def test_nothing_that_befalls_a_journal_makes_reading_fail(harm: Harm) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = write(harm.contents, Path(name) / "j")
        verdict = verify(directory)
        found = [item for item in scan(directory) if isinstance(item, Record)]
        assert verdict.records == len(found)
        for window in (Window(since="2026-11-28T06:42:41"), Window(until="2026")):
            list(scan(directory, window))


@given(harm=forgeries(SHORT))
@OFTEN
def test_a_forged_chain_makes_no_reader_fail(harm: Harm) -> None:
    found, told = read(harm.contents)
    missed = set(lines_of(harm.contents)) - harm.touched - {r.line for r in found}
    # A forged number or a forged beginning casts doubt on its neighbours.
    assert len(missed) <= len(told)
    for record in found:
        use(record)
    with tempfile.TemporaryDirectory() as name:
        verify(write(harm.contents, Path(name) / "j"))


def use(record: Record) -> None:
    """As those do who show and replay records."""
    assert len(record.hash) == 32
    assert len(record.wall) <= 27
    line_of(record, is_full=False)
    with contextlib.suppress(Undecodable):
        match record.kind:
            case "message":
                envelope_of(record)
            case "step":
                step_of(record)
            case "snapshot":
                for decider in DECIDERS:
                    state_of(record, decider)


@given(
    kind=st.sampled_from(sorted(VOCABULARY)),
    version=st.integers(-1, 4),
    data=st.dictionaries(st.text(max_size=8), JSON, max_size=4),
)
@OFTEN
def test_a_message_with_any_data_of_any_version_is_understood_or_refused(
    kind: str, version: int, data: dict[str, object]
) -> None:
    body = {"id": "pg1/1/1", "type": kind, "v": version, "from": "x", "data": data}
    head = {"n": 1, "hlc": "2026-11-28T06:42:39.958543Z+0/pg1", "at": 1.0}
    record = {**head, "kind": "message", **body, "hash": "0" * 32}
    use(Record(1, "message", json_bytes(record) + b"\n"))


def quiet(directory: Path, content: bytes) -> None:
    (directory / QUIET).write_bytes(content)


@given(content=st.binary(max_size=60) | st.lists(JSON).map(json_bytes))
@OFTEN
def test_rubbish_in_the_quiet_file_is_told_and_nothing_else(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = write(SHORT, Path(name) / "j")
        quiet(directory, b'{"after":60,"records":[%b]}\n' % content + content + b"\n")
        items = list(scan(directory, with_held=True))
        assert [i.line for i in items if isinstance(i, Record)] == lines_of(SHORT)
        assert any(isinstance(i, Damage) and i.segment.name == QUIET for i in items)
        Member(directory, incarnation=2).open()  # a writer goes on all the same
        assert verify(directory).is_whole


def test_a_digit_of_a_hash_that_is_gone_costs_one_record(tmp_path: Path) -> None:
    """Found by the property above: the next record was checked against a hash that
    was taken from the wrong place."""
    name = min(REAL)
    lines = REAL[name].splitlines(keepends=True)
    lines[1] = lines[1][:-10] + lines[1][-9:]
    write(Contents({**REAL, name: b"".join(lines)}), tmp_path)
    (damage,) = damages(tmp_path)
    assert (damage.what, damage.first) == ("changed", 2)
    read_lines = [i.line for i in scan(tmp_path) if isinstance(i, Record)]
    assert read_lines == [text for text in lines_of(REAL) if b'{"n":2,' not in text]


def test_what_is_held_shows_that_the_end_of_the_chain_is_gone(tmp_path: Path) -> None:
    member = Member(tmp_path).open()
    member.beat()
    member.ledger.roll("asked")
    member.beat()
    member.ledger.write()
    held = [r for r in records(tmp_path, with_held=True) if r.is_held]
    after = held[0].n - 1
    last_segment(tmp_path).unlink()
    last = records(tmp_path)[-1].n
    items = list(scan(tmp_path, with_held=True))
    (damage,) = [item for item in items if isinstance(item, Damage)]
    assert (damage.what, damage.first, damage.last) == ("unfinished", last + 1, after)
    assert "the end is cut off" in str(damage)
    assert [i.n for i in items if isinstance(i, Record) and i.is_held] == [
        record.n for record in held
    ]


def obstacles(path: Path) -> Iterator[str]:
    """Puts one thing after the other where a segment was."""
    path.unlink()
    path.mkdir()
    yield "Is a directory|is not a plain file"
    path.rmdir()
    path.symlink_to("/nowhere")
    yield "its link leads nowhere"
    path.unlink()
    os.mkfifo(path)
    yield "is not a plain file"
    path.unlink()
    path.symlink_to(path)
    yield "symbolic links"


def test_what_only_has_the_name_of_a_segment_is_told(tmp_path: Path) -> None:
    first, second = sorted(REAL)
    write(REAL, tmp_path)
    rest = set(lines_of(Contents({second: REAL[second]})))
    for why in obstacles(tmp_path / first):
        assert segments(tmp_path)[0].path.name == first
        told = damages(tmp_path)
        assert told[0].segment.name == first
        assert any(word in str(told[0]) for word in why.split("|")), str(told[0])
        assert rest <= {i.line for i in scan(tmp_path) if isinstance(i, Record)}
        assert not verify(tmp_path).is_whole


def test_a_line_that_is_no_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    name = min(REAL)
    content = REAL[name]
    cut = content.index(b"\n") + 1
    with (tmp_path / name).open("wb") as file:
        file.write(content[:cut])
        file.truncate(cut + 3 * MAXIMUM_LINE)  # a hole: zeros without a newline
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + content[cut:])
    told = damages(tmp_path)
    assert len(told) == 4
    assert all(len(str(damage)) < 500 for damage in told)
    read_lines = {i.line for i in scan(tmp_path) if isinstance(i, Record)}
    assert set(content.splitlines(keepends=True)) <= read_lines


def test_a_part_of_a_segment_that_is_named_after_its_first_record_is_whole(
    tmp_path: Path,
) -> None:
    """As it comes out of a stream that keeps the last month."""
    lines = REAL[min(REAL)].splitlines(keepends=True)
    rest = lines[50:]
    (tmp_path / "journal-000000000051.jsonl").write_bytes(b"".join(rest))
    assert [record.line for record in records(tmp_path)] == rest[1:]
    assert verify(tmp_path).is_whole
    (tmp_path / "journal-000000000051.jsonl").rename(
        tmp_path / "journal-000000000001.jsonl"
    )
    (damage,) = damages(tmp_path)
    assert (damage.what, damage.first, damage.last) == ("missing", 1, 50)


@pytest.mark.parametrize("what", ["plain", "packed"])
def test_a_segment_whose_beginning_is_damaged_is_read_with_the_window(
    tmp_path: Path, what: str
) -> None:
    """What cannot be dated may belong to the time that is asked for."""
    contents = contents_of(MUSEUM / "pg1", packed=what == "packed")
    second = max(contents)
    contents[second] = b"\x1f\x8b rubbish\n" + contents[second]
    write(contents, tmp_path)
    first = lines_of(REAL)[: len(REAL[min(REAL)].splitlines())]
    late = Window(since=Record(1, "message", first[-1]).wall)
    found = [item for item in scan(tmp_path, late) if isinstance(item, Record)]
    assert first[-1] in {record.line for record in found}


@given(harm=flips(contents_of(MUSEUM / "pg1", packed=True)))
@OFTEN
def test_a_daemon_goes_on_with_a_journal_whose_packed_end_is_damaged(
    harm: Harm,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = write(harm.contents, Path(name) / "j")
        Member(directory, incarnation=3).open()
        found = [item for item in scan(directory) if isinstance(item, Record)]
        starts = [record for record in found if record.kind == "start"]
        assert starts[-1].fields["incarnation"] == 3
