"""Where a journal lies: its directory, the names in it, and who may write there."""

import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

RecordNumber: TypeAlias = int
"""Counts the records of a member from 1, without holes."""

QUIET = "quiet.jsonl"
"""Held records (journal/coalescing.py), for the case that we are killed."""

INCARNATION = "incarnation"
LOCK = "lock"

_SEGMENT = re.compile(r"journal-(\d{12})\.jsonl(\.gz)?")


class JournalUnusable(Exception):
    """The directory cannot be a journal; the text says why and what to do."""


class JournalLocked(JournalUnusable):
    """Another process writes this journal."""


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of a journal."""

    first: RecordNumber
    path: Path

    @property
    def is_compressed(self) -> bool:
        return self.path.suffix == ".gz"

    @property
    def pin(self) -> Path:
        """While this file exists the segment is kept."""
        return self.path.parent / f"journal-{self.first:012d}.pin"


def segment_path(directory: Path, first: RecordNumber) -> Path:
    """Where the segment that begins with record `first` is written."""
    return directory / f"journal-{first:012d}.jsonl"


def segment_at(path: Path) -> Segment | None:
    """The segment that the file's name says it is; None: it is none."""
    match = _SEGMENT.fullmatch(path.name)
    return Segment(int(match[1]), path) if match else None


def segments(directory: Path) -> tuple[Segment, ...]:
    """All segments in order.  Raises OSError.

    Where a crash left a segment both plain and compressed, the plain one counts.
    """
    found: dict[RecordNumber, Segment] = {}
    for path in sorted(directory.iterdir()):
        segment = segment_at(path)
        if segment is not None:  # .jsonl sorts before .jsonl.gz
            found.setdefault(segment.first, segment)
    return tuple(sorted(found.values()))


def journals(directory: Path) -> Iterator[Path]:
    """The directory, or those at most three levels below it, that hold a journal."""
    for depth in range(4):
        found = {
            path.parent
            for path in directory.glob("/".join(["*"] * depth + ["journal-*.jsonl*"]))
            if segment_at(path) is not None
        }
        if found:
            yield from sorted(found)
            return


def default_directory(data_directory: Path) -> Path:
    """Beside the data directory: `…/15/main` gives `…/15/main.journal`.

    Never inside: a rebuilt data directory must not take its history with it.
    """
    absolute = data_directory.absolute()
    return absolute.with_name(f"{absolute.name}.journal")


def refuse_inside(directory: Path, data_directory: Path) -> None:
    """Raise JournalUnusable if the journal would lie in the data directory."""
    journal, data = directory.resolve(), data_directory.resolve()
    if journal == data or data in journal.parents:
        raise JournalUnusable(
            f"journal.dir {directory} lies in the data directory {data_directory}: "
            "PostgreSQL's directory is removed when a member is rebuilt, and copied "
            f"to other members; choose another, such as {default_directory(data)}"
        )


def take_lock(directory: Path) -> int:
    """Be the only writer for as long as the descriptor is open.

    Raises JournalLocked if there is another, OSError if the disk refuses.
    """
    descriptor = os.open(
        directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode=0o600
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalLocked(
            f"the journal {directory} is being written by another process; "
            "is a daemon with the same journal.dir running?"
        ) from None
    return descriptor


def sync_directory(directory: Path) -> None:
    """Make names that were created or renamed in it survive a crash."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes, *, durably: bool = True) -> None:
    """Write the file whole, or leave the old one.  Raises OSError."""
    draft = path.with_name(f"{path.name}.new")
    with open_draft(draft) as file:
        file.write(content)
        if durably:
            file.flush()
            os.fsync(file.fileno())
    draft.replace(path)
    if durably:
        sync_directory(path.parent)


def open_draft(draft: Path) -> BinaryIO:
    """A new file, for its owner alone.  Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    return open(os.open(draft, flags, mode=0o600), "wb")  # noqa: PTH123 - a descriptor


def write_all(descriptor: int, content: bytes, offset: int) -> None:
    """Write all of it at the offset.  Raises OSError; part may be written then."""
    rest = memoryview(content)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
