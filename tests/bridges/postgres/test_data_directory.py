"""The data directory: examined, removed, moved aside."""

import dataclasses
import stat
import struct
from pathlib import Path

import pytest

from regnal.bridges.postgres import data_directory
from regnal.bridges.postgres.data_directory import (
    examine,
    move_aside,
    prepare_for_clone,
    remove,
    system_identifier,
)
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.options import PostgresOptions
from tests.bridges.postgres.recorder import Driven
from tests.bridges.postgres.servers import options_for

IDENTIFIER = 7301234567890123456


@pytest.fixture
def options(tmp_path: Path) -> PostgresOptions:
    return options_for(tmp_path)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def fill(options: PostgresOptions, identifier: int = IDENTIFIER) -> Path:
    """Something that looks like a data directory."""
    data_dir = options.data_dir
    (data_dir / "global").mkdir(parents=True)
    (data_dir / "pg_wal").mkdir()
    (data_dir / "pg_tblspc").mkdir()
    content = struct.pack("=Q", identifier) + bytes(100)
    (data_dir / "global" / "pg_control").write_bytes(content)
    return data_dir


def link_out(options: PostgresOptions, elsewhere: Path) -> tuple[Path, Path]:
    """WAL and a tablespace outside; returns where they really are."""
    wal, space = elsewhere / "wal", elsewhere / "space"
    (wal / "archive_status").mkdir(parents=True)
    (wal / "000000010000000000000001").touch()
    (space / "PG_15_202209061" / "5").mkdir(parents=True)
    (options.data_dir / "pg_wal").rmdir()
    (options.data_dir / "pg_wal").symlink_to(wal)
    (options.data_dir / "pg_tblspc" / "16385").symlink_to(space)
    return wal, space


def test_a_missing_or_empty_directory_is_told(options: PostgresOptions) -> None:
    """BOOT-21: dot-files and lost+found do not count."""
    assert examine(options) == "missing"
    options.data_dir.mkdir()
    (options.data_dir / ".snapshot").mkdir()
    (options.data_dir / "lost+found").mkdir()
    assert examine(options) == "empty"


def test_a_directory_with_an_identifier_is_valid(options: PostgresOptions) -> None:
    fill(options)
    assert examine(options) == "valid"
    assert system_identifier(options) == str(IDENTIFIER)


@pytest.mark.parametrize("identifier", [0, 12345])
def test_an_identifier_that_is_too_short_is_none(
    options: PostgresOptions, identifier: int
) -> None:
    """BOOT-22, BOOT-23."""
    fill(options, identifier)
    assert examine(options) == "invalid"


def test_other_files_make_it_invalid(options: PostgresOptions, tmp_path: Path) -> None:
    """BOOT-22."""
    options.data_dir.mkdir()
    (options.data_dir / "something").touch()
    assert examine(options) == "invalid"
    below = dataclasses.replace(
        options, data_dir=options.data_dir / "something" / "below"
    )
    assert examine(below) == "invalid"


def test_the_directory_is_not_listed_where_pg_control_is(
    options: PostgresOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BOOT-21: listing can block for minutes."""
    fill(options)
    monkeypatch.setattr(Path, "iterdir", lambda _: pytest.fail("it was listed"))
    assert examine(options) == "valid"


@pytest.mark.server
def test_storage_that_does_not_answer_is_told(playground: Path) -> None:
    """P-ELEC-21: an error of reading is neither yes nor no."""
    options = options_for(playground)
    data_dir = fill(options)
    (data_dir / "global" / "pg_control").chmod(0)
    assert examine(options) == "unreadable"
    (data_dir / "global" / "pg_control").chmod(0o600)


def test_everything_is_removed_but_the_directories_themselves(
    options: PostgresOptions, tmp_path: Path
) -> None:
    """BOOT-32, PG-29: they may be mount points."""
    fill(options)
    wal, space = link_out(options, tmp_path / "elsewhere")
    (wal / "lost+found").mkdir()

    remove(options)

    assert examine(options) == "empty"
    assert names_in(options.data_dir) == []
    assert names_in(wal) == ["lost+found"]
    assert names_in(space) == []


def test_nothing_is_there_to_remove(options: PostgresOptions) -> None:
    remove(options)
    move_aside(options)
    assert examine(options) == "missing"


def test_a_data_directory_behind_a_link_is_emptied(
    options: PostgresOptions, tmp_path: Path
) -> None:
    real = tmp_path / "real"
    fill(dataclasses.replace(options, data_dir=real))
    options.data_dir.symlink_to(real)

    remove(options)

    assert options.data_dir.is_symlink()
    assert names_in(real) == []


def test_a_failed_directory_is_moved_aside_with_all_that_belongs_to_it(
    options: PostgresOptions, tmp_path: Path
) -> None:
    """BOOT-20, P-CFG-27: an older one makes room."""
    fill(options)
    wal, space = link_out(options, tmp_path / "elsewhere")
    (tmp_path / "pg1.failed").mkdir()
    (tmp_path / "pg1.failed" / "older").touch()

    move_aside(dataclasses.replace(options, data_dir=Path(f"{options.data_dir}/")))

    assert examine(options) == "missing"
    failed = tmp_path / "pg1.failed"
    assert not (failed / "older").exists()
    assert (failed / "global" / "pg_control").exists()
    moved_wal, moved_space = Path(f"{wal}.failed"), Path(f"{space}.failed")
    assert (failed / "pg_wal").readlink() == moved_wal
    assert (failed / "pg_tblspc" / "16385").readlink() == moved_space
    assert (moved_wal / "000000010000000000000001").exists()
    assert (moved_space / "PG_15_202209061" / "5").exists()
    # Room for the next attempt.
    assert names_in(wal) == []
    assert names_in(space) == []


def test_a_linked_data_directory_is_moved_where_it_really_is(
    options: PostgresOptions, tmp_path: Path
) -> None:
    """BOOT-20: so that a new one can be made behind the same link."""
    real = tmp_path / "real"
    fill(dataclasses.replace(options, data_dir=real))
    real.chmod(0o700)
    options.data_dir.symlink_to(real)

    move_aside(options)

    assert examine(options) == "empty"
    assert stat.S_IMODE(real.stat().st_mode) == 0o700
    assert (tmp_path / "real.failed" / "global" / "pg_control").exists()


def test_what_cannot_be_moved_is_told(
    options: PostgresOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(options)

    def busy(self: Path, _target: Path) -> None:
        raise OSError(16, "Device or resource busy", str(self))

    monkeypatch.setattr(Path, "rename", busy)
    with pytest.raises(OperationError, match="mount point"):
        move_aside(options)


@pytest.mark.parametrize(
    ("before", "after"), [(None, 0o700), (0o755, 0o700), (0o750, 0o750), (0o700, 0o700)]
)
def test_a_directory_is_made_private(
    options: PostgresOptions, before: int | None, after: int
) -> None:
    if before is not None:
        options.data_dir.mkdir()
        options.data_dir.chmod(before)
    prepare_for_clone(options)
    assert stat.S_IMODE(options.data_dir.stat().st_mode) == after


@pytest.mark.server
def test_data_of_a_running_server_are_never_removed(primary: Driven) -> None:
    """Safety law 7."""
    for action in (data_directory.remove, data_directory.move_aside):
        with pytest.raises(OperationError, match="runs in"):
            action(primary.options)
    assert primary.observe().is_primary
