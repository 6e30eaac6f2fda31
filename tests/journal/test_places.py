"""Where a journal lies by default, and where it must not."""

from pathlib import Path

import pytest

from regnal.journal.places import (
    JournalUnusable,
    default_directory,
    journals,
    refuse_inside,
)
from tests.journal.builders import Member


@pytest.mark.parametrize(
    ("data", "journal"),
    [
        ("/var/lib/postgresql/15/main", "/var/lib/postgresql/15/main.journal"),
        ("/pgdata/", "/pgdata.journal"),
    ],
)
def test_a_journal_lies_beside_the_data_directory(data: str, journal: str) -> None:
    assert default_directory(Path(data)) == Path(journal)
    refuse_inside(Path(journal), Path(data))


def test_a_relative_data_directory_is_taken_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_directory(Path("data")) == tmp_path / "data.journal"


@pytest.mark.parametrize("inside", ["", "journal", "base/1/journal", "../data/journal"])
def test_a_journal_inside_the_data_directory_is_refused(
    tmp_path: Path, inside: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(JournalUnusable, match="lies in the data directory"):
        refuse_inside(data / inside, data)


def test_a_link_into_the_data_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data" / "journal").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data" / "journal")
    with pytest.raises(
        JournalUnusable, match=r"choose another, such as .*data.journal"
    ):
        refuse_inside(tmp_path / "link", tmp_path / "data")


def test_journals_are_found_below_a_directory(tmp_path: Path) -> None:
    assert list(journals(tmp_path)) == []
    for name in ("demo/pg2", "demo/pg1"):
        Member(tmp_path / name).open()
    assert list(journals(tmp_path)) == [tmp_path / "demo/pg1", tmp_path / "demo/pg2"]
    assert list(journals(tmp_path / "demo/pg1")) == [tmp_path / "demo/pg1"]
