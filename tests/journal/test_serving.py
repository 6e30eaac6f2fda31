"""What `GET /journal` gives: lines as they lie in the files, or whole segments."""

import io
import json
from itertools import takewhile
from pathlib import Path

import pytest

from regnal.journal.places import segments
from regnal.journal.reader import Window, scan
from regnal.journal.segment_input import begun_at
from regnal.journal.serving import ServedJournal
from regnal.journal.unbundling import unpack_stream
from tests.journal.builders import records
from tests.replay.sources.cases import small


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return small(tmp_path / "pg1", segments=4)


def served(directory: Path) -> ServedJournal:
    return ServedJournal(
        directory,
        lambda number, timeout: False,
        lambda: 1_700_001_400_000_000,
        "regnal 0.1.0",
    )


def test_lines_are_those_of_the_files(whole: Path) -> None:
    lines = list(served(whole).lines(None, None, follow=False))
    assert lines == [r.line.rstrip(b"\n") for r in records(whole, with_held=True)]


def test_moments_are_as_people_write_them(whole: Path) -> None:
    window = Window(since="2023-11-14T22:31:40.000000Z")  # five minutes before
    lines = list(served(whole).lines("5m", None, follow=False))
    found = list(scan(whole, window, with_held=True))
    assert 0 < len(lines) == len(found)
    with pytest.raises(ValueError, match="is not a moment"):
        served(whole).lines("soon", None, follow=False)
    with pytest.raises(ValueError, match="is not a moment"):
        served(whole).archive(None, "soon")


def test_damage_is_a_line_of_its_own(whole: Path) -> None:
    path = segments(whole)[1].path
    path.write_bytes(path.read_bytes().replace(b"store_answered", b"\xff", 1))
    kinds = [
        json.loads(line)["kind"]
        for line in served(whole).lines(None, None, follow=False)
    ]
    assert kinds.count("damage") == 1


def test_a_follower_is_given_empty_lines_while_it_waits(whole: Path) -> None:
    following = served(whole).lines(None, None, follow=True)
    there = list(takewhile(bool, following))
    assert there == [record.line.rstrip(b"\n") for record in records(whole)]
    assert next(following) == b""


def test_whole_segments_overlap_the_time(whole: Path, tmp_path: Path) -> None:
    until = begun_at(segments(whole)[2])
    archive = b"".join(served(whole).archive(None, until))
    unpacked = unpack_stream("it", io.BytesIO(archive), tmp_path / "out")
    assert unpacked.flaws == []
    assert unpacked.manifest is not None
    assert unpacked.manifest.until == until
    assert [s.first for s in segments(tmp_path / "out" / "0001")] == [
        s.first for s in segments(whole)[:2]
    ]
