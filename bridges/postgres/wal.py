"""Positions in the write-ahead log: text and number, files, where a record ends.

The layout of pages and the head of a record have not changed since 9.3; the
manual's chapter "WAL Internals" and access/xlog_internal.h describe them.
"""

import re
import struct
from pathlib import Path

from regnal.messages.base import LSN, Bytes, Timeline

SHORT_PAGE_HEADER = 24
LONG_PAGE_HEADER = 40
"""Bytes; the first page of each segment has the long one."""

ALIGNMENT = 8
RECORD_HEADER = 24
RECORD_LIMIT = 1 << 30


_LSN = re.compile(r"\s*([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})\s*", re.ASCII)


def parse_lsn(text: str) -> LSN:
    """`16/B374D848` as a number.  Raises ValueError."""
    match = _LSN.fullmatch(text)
    if match is None:
        raise ValueError(f"not a position in the WAL: {text[:50]!r}")
    return (int(match[1], 16) << 32) + int(match[2], 16)


def format_lsn(lsn: LSN) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def segment_name(timeline: Timeline, lsn: LSN, segment_size: Bytes) -> str:
    """Name of the WAL file that holds the byte at `lsn`."""
    segments_per_id = (1 << 32) // segment_size
    high, low = divmod(lsn // segment_size, segments_per_id)
    return f"{timeline:08X}{high:08X}{low:08X}"


def wal_directory(data_dir: Path) -> Path:
    """pg_wal, which was called pg_xlog before version 10."""
    new = data_dir / "pg_wal"
    return new if new.is_dir() else data_dir / "pg_xlog"


def record_end(
    start: LSN, length: Bytes, *, block_size: Bytes, segment_size: Bytes
) -> LSN:
    """Where the next record may begin after one of `length` bytes at `start`.

    A record goes on over page ends, where headers are put between its parts.
    """
    position, left = start, length
    while left > 0:
        if position % block_size == 0:
            first = position % segment_size == 0
            position += LONG_PAGE_HEADER if first else SHORT_PAGE_HEADER
        part = min(left, block_size - position % block_size)
        position += part
        left -= part
    return -(-position // ALIGNMENT) * ALIGNMENT


def read_record_length(
    directory: Path, timeline: Timeline, start: LSN, segment_size: Bytes
) -> Bytes | None:
    """Length of the record at `start`, from its first four bytes.

    None: the file is not there, or that is no record.
    """
    file = directory / segment_name(timeline, start, segment_size)
    try:
        with file.open("rb") as segment:
            segment.seek(start % segment_size)
            head = segment.read(4)
    except OSError:
        return None
    if len(head) < 4:
        return None
    (length,) = struct.unpack("=I", head)
    return length if RECORD_HEADER <= length <= RECORD_LIMIT else None
