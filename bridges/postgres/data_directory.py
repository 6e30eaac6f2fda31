"""The data directory: what it looks like from outside, removed, or moved aside.

To remove it is to remove a copy of somebody's database, so nothing here touches
a directory in which a server runs.
"""

import errno
import logging
import os
import re
import shutil
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.pid_file import find_postmaster
from regnal.messages.reasons import because

logger = logging.getLogger(__name__)

PG_CONTROL = Path("global") / "pg_control"
IDENTIFIER = struct.Struct("=Q")
SHORTEST_IDENTIFIER = 10**9
"""It begins with the time of initdb: fewer than ten digits mean garbage."""

FAILED_SUFFIX = ".failed"
LOST_AND_FOUND = "lost+found"
WAL_NAMES = ("pg_wal", "pg_xlog")

State = Literal["missing", "empty", "valid", "invalid", "unreadable"]


def examine(options: PostgresOptions) -> State:
    """What the data directory looks like.

    The directory is listed only where pg_control is not there: listing can block
    for minutes under I/O pressure (BOOT-21).
    """
    try:
        if system_identifier(options) is not None:
            return "valid"
        if not options.data_dir.exists():
            return "missing"
        return "empty" if is_empty(options.data_dir) else "invalid"
    except NotADirectoryError:
        return "invalid"
    except OSError as error:
        logger.error(
            "The data directory cannot be read: %s.",
            error,
            extra={"errno": error.errno},
        )
        return "unreadable"


def system_identifier(options: PostgresOptions) -> str | None:
    """What pg_control begins with, since ever; None: there is no usable one.

    Raises OSError if the storage does not answer.
    """
    try:
        with (options.data_dir / PG_CONTROL).open("rb") as file:
            head = file.read(IDENTIFIER.size)
    except FileNotFoundError:
        return None
    if len(head) < IDENTIFIER.size:
        return None
    identifier: int = IDENTIFIER.unpack(head)[0]
    return str(identifier) if identifier >= SHORTEST_IDENTIFIER else None


def is_empty(directory: Path) -> bool:
    """As initdb sees it: dot-files and lost+found do not count.  Raises OSError."""
    return not any(
        not path.name.startswith(".") and path.name != LOST_AND_FOUND
        for path in directory.iterdir()
    )


def remove(options: PostgresOptions) -> None:
    """Empty the data directory, its WAL directory elsewhere, and all tablespaces.

    The directories themselves stay: they may be mount points, or belong to a
    parent where we may not create any.  Raises OperationError.
    """
    _refuse_if_in_use(options)
    try:
        for directory in (*linked_directories(options), options.data_dir):
            _empty(directory)
    except OSError as error:
        raise _io_error(error, options.data_dir) from error


def prepare_for_clone(options: PostgresOptions) -> None:
    """Make the directory if it is missing, and private, as the server insists.

    Raises OperationError.
    """
    path = options.data_dir
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(path.stat().st_mode) & 0o027:
            path.chmod(0o700)
    except OSError as error:
        raise _io_error(error, path) from error


def move_aside(options: PostgresOptions) -> None:
    """Rename the data directory, its WAL directory and tablespaces to `.failed`.

    What was moved before makes room.  Links inside point to the new names.
    Raises OperationError.
    """
    _refuse_if_in_use(options)
    data_dir = options.data_dir
    try:
        if not data_dir.exists():
            return
        real = data_dir.resolve()
        mode = stat.S_IMODE(real.stat().st_mode)
        for link in _links(real):
            target = link.resolve()
            moved = _move(target)
            target.mkdir(mode=0o700)
            _point(link, moved)
        moved = _move(real)
        if data_dir.is_symlink():  # it would lead nowhere
            real.mkdir(mode=mode)
    except OSError as error:
        raise _io_error(error, data_dir) from error
    logger.warning("Moved the data directory aside, to %s.", moved)


def linked_directories(options: PostgresOptions) -> tuple[Path, ...]:
    """Where WAL and tablespaces really are, as far as that is elsewhere."""
    return tuple(
        link.resolve() for link in _links(options.data_dir) if link.resolve().is_dir()
    )


def _links(data_dir: Path) -> Iterator[Path]:
    """The symbolic links that lead out of the data directory."""
    for name in WAL_NAMES:
        if (data_dir / name).is_symlink():
            yield data_dir / name
    tablespaces = data_dir / "pg_tblspc"
    if tablespaces.is_dir():
        for path in sorted(tablespaces.iterdir()):
            if re.fullmatch(r"\d+", path.name) and path.is_symlink():
                yield path


def _empty(directory: Path) -> None:
    if not directory.is_dir():
        return
    for path in directory.iterdir():
        if path.name == LOST_AND_FOUND:
            continue
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            continue
        except OSError:
            # Some storage shows directories such as .snapshot that nobody can
            # remove; initdb and pg_basebackup do not mind dot-files either.
            if not path.name.startswith("."):
                raise


def _move(path: Path) -> Path:
    """Rename, and return the new name."""
    moved = path.with_name(path.name + FAILED_SUFFIX)
    if moved.is_dir() and not moved.is_symlink():
        shutil.rmtree(moved)
    elif moved.is_symlink() or moved.exists():
        moved.unlink()
    path.rename(moved)
    return moved


def _point(link: Path, target: Path) -> None:
    """Let the link lead to `target`."""
    link.unlink()
    link.symlink_to(target)


def _refuse_if_in_use(options: PostgresOptions) -> None:
    process = find_postmaster(options.data_dir)
    if process is not None:
        raise OperationError(
            because(
                "DATA_DIRECTORY_IN_USE",
                pid=process.pid,
                directory=str(options.data_dir),
            )
        )


def _io_error(error: OSError, path: Path) -> OperationError:
    text = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.EBUSY:
        text += " (a mount point cannot be renamed)"
    return OperationError(
        because("IO_ERROR", path=str(error.filename or path), error=text)
    )
