"""Segments as a reader finds them: which of them to read, and how to open each.

What lies there may be anything: compressed at this very moment, unreadable, a
directory or a pipe of that name.  Opening never waits, and never guesses.
"""

import errno
import gzip
import io
import stat
import zlib
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydantic_core import from_json

from regnal.journal.places import RecordNumber, Segment
from regnal.messages.base import Bytes

MAXIMUM_LINE: Bytes = 16 * 1024 * 1024
"""What is longer is no record, whoever wrote it, and must not fill the memory: the
writer's whole buffer (JournalOptions.buffer_bytes) is half of it."""

WALL = len("2026-11-23T07:31:02.114901Z")
"""Characters of a hybrid time that are its wall clock."""

CANNOT_UNPACK = (EOFError, zlib.error, OSError)
"""What reading a damaged file raises; of a plain one, OSError alone."""

_BUFFER: Bytes = 256 * 1024

_LONGEST_START: Bytes = 64 * 1024
"""Of the first record of a segment: names and versions, no more."""


def open_segment(segment: Segment) -> BinaryIO:
    """The segment's bytes, unpacked.  Raises OSError."""
    if segment.is_compressed:
        return _unpacked(segment.path)
    try:
        return open_file(segment.path)
    except FileNotFoundError:  # it is being compressed
        return _unpacked(segment.path.with_name(f"{segment.path.name}.gz"))


def open_file(path: Path) -> BinaryIO:
    """A plain file; nothing else is opened, since a pipe would be waited for.

    Raises OSError.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is not a plain file", str(path))
    return path.open("rb", buffering=_BUFFER)


def reason_of(error: BaseException) -> str:
    """Why a file cannot be read, without its name."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def wanted(
    found: Sequence[Segment],
    *,
    after: RecordNumber = 0,
    since: str | None = None,
    until: str | None = None,
) -> list[Segment]:
    """Segments that may hold records with a higher number than `after`, and of the
    time between the two moments (as `wall_text` writes them)."""
    chosen = []
    for segment, following in zip_longest(found, found[1:]):
        if following is not None:
            if following.first <= after + 1:
                continue
            if since is not None:
                ended_before = begun_at(following)
                if ended_before is not None and ended_before < since:
                    continue
        if until is not None and (begun_at(segment) or "") >= until:
            break
        chosen.append(segment)
    return chosen


def begun_at(segment: Segment) -> str | None:
    """Moment of the segment's first record; None where that cannot be read."""
    moment = str(first_record(segment).get("hlc", ""))[:WALL]
    return moment or None


def first_record(segment: Segment) -> dict[str, Any]:
    """The segment's first record, unchecked; empty where it cannot be read."""
    try:
        with open_segment(segment) as file:
            record = from_json(file.readline(_LONGEST_START))
    except (ValueError, *CANNOT_UNPACK):
        return {}
    return record if isinstance(record, dict) else {}


def _unpacked(path: Path) -> BinaryIO:
    with open_file(path):
        pass  # it is there, and a file
    return cast(BinaryIO, io.BufferedReader(_Unpacking(path), _BUFFER))


class _Unpacking(io.RawIOBase):
    """Gives what could be unpacked before it fails: GzipFile itself would fill its
    buffer first, and throw away what it has.  It would also take each line through
    three of its own methods."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.GzipFile(path, "rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        chunk = self._file.read1(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._file.close()
        super().close()
