"""Replayed by segments, in several processes, a journal shows the same."""

import os
from pathlib import Path

import pytest

from regnal.actors.cast import DECIDERS
from regnal.journal.encoding import NO_HASH, line
from regnal.journal.places import segment_path
from regnal.journal.reader import Record
from regnal.replay import verifying
from regnal.replay.slicing import slice_journal
from regnal.replay.verify import verify_journal
from tests.journal.builders import records

MUSEUM = Path(__file__).parents[1] / "journals" / "0.1.0-fencing"


@pytest.mark.parametrize("worth", [10**12, 0], ids=["one process", "several"])
def test_the_pieces_of_journals_show_what_the_whole_shows(
    monkeypatch: pytest.MonkeyPatch, worth: int
) -> None:
    monkeypatch.setattr(verifying, "WORTH_A_PROCESS", worth)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    told: list[tuple[int, int]] = []
    directories = [MUSEUM / "pg1", MUSEUM / "pg3"]
    found = verifying.verify_all(
        directories, counted=lambda done, total: told.append((done, total))
    )
    assert found == [verify_journal(one, DECIDERS) for one in directories]
    assert told[-1][0] == told[-1][1]
    assert told == sorted(told)


def test_the_states_at_the_end_of_a_piece_are_compared(tmp_path: Path) -> None:
    """A life that goes on in a second segment."""
    first = [record for record in records(MUSEUM / "pg3") if record.n < 400]
    slice_journal(MUSEUM / "pg3", range(400, 500), tmp_path / "rest", DECIDERS)
    second = records(tmp_path / "rest")
    directory = tmp_path / "journal"
    directory.mkdir()
    number, own = 0, NO_HASH
    for segment in (first, second):
        with segment_path(directory, number + 1).open("wb") as file:
            for record in segment:
                number += 1
                body = record.line.partition(b",")[2].rpartition(b',"hash"')[0]
                previous = b'"previous":"%b"' % NO_HASH.encode()
                body = body.replace(previous, b'"previous":"%b"' % own.encode())
                text, own = line(number, body, own)
                file.write(text)
    (found,) = verifying.verify_all([directory])
    assert found == verify_journal(directory, DECIDERS)
    assert found.is_same
    assert not found.troubles
    assert found.states == 2 * len(first_snapshots(first))


def first_snapshots(segment: list[Record]) -> list[Record]:
    return [record for record in segment[:20] if record.kind == "snapshot"]
