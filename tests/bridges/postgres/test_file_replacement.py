"""Files replaced as a whole."""

import stat
from pathlib import Path

import pytest

from regnal.bridges.postgres.file_replacement import remove_file, replace_file


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_replaced_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert replace_file(path, "one", 0o600)
    assert replace_file(path, "two", 0o640)
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names_in(tmp_path) == ["file"]


def test_a_file_that_is_right_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, "one", 0o600)
    before = path.stat()
    assert not replace_file(path, "one", 0o600)
    assert path.stat() == before
    assert replace_file(path, "one", 0o640)


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    link = tmp_path / "link"
    link.symlink_to("target")
    replace_file(link, "new", 0o600)
    assert link.is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_bytes_that_are_not_utf8_survive(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"# caf\xe9\n")
    text = path.read_text(errors="surrogateescape")
    replace_file(path, f"{text}more\n", 0o600)
    assert path.read_bytes() == b"# caf\xe9\nmore\n"


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "directory" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "directory", "text", 0o600)
    assert names_in(tmp_path) == ["directory"]


def test_a_file_is_removed_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    assert remove_file(path)
    assert not remove_file(path)
