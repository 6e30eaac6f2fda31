"""The end of a journal, as a writer finds it: where to go on, and what to cut.

A daemon that was killed in the middle of a write leaves half a record, or a step
without all that it said.  Neither had any effect yet: what is said is sent after
its write has returned.  So the end is cut back to the last whole group.
"""

import contextlib
import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from regnal.journal.encoding import HASH_TAIL, NO_HASH, Hash, chain
from regnal.journal.places import RecordNumber, Segment
from regnal.messages.base import Bytes

_FIRST_LOOK: Bytes = 256 * 1024
"""How much of the end is read at first; fourfold until it holds a whole record."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Where a segment ends."""

    number: RecordNumber
    """Of its last whole record; 0: it has none."""

    hash: Hash
    hlc: str | None
    """Of the last record that has one among those looked at."""

    kind: str
    """Of the last record; empty: it has none."""

    keep: Bytes
    """The file is whole up to here."""

    cut: bytes
    """What comes after."""


NOTHING = Tail(number=0, hash=NO_HASH, hlc=None, kind="", keep=0, cut=b"")


def tail_of(segment: Segment) -> Tail:
    """The end of the segment.  Raises OSError."""
    if segment.is_compressed:
        return tail_in(_unpacked(segment), 0)
    size = segment.path.stat().st_size
    look = _FIRST_LOOK
    with segment.path.open("rb") as file:
        while True:
            start = max(0, size - look)
            file.seek(start)
            tail = tail_in(file.read(), start)
            if tail.number or start == 0:
                return tail
            look *= 4


def _unpacked(segment: Segment) -> bytes:
    """As far as it can be unpacked.  Raises OSError where it cannot be read."""
    content = bytearray()
    with (
        contextlib.suppress(EOFError, zlib.error, gzip.BadGzipFile),
        gzip.open(segment.path) as file,
    ):
        while chunk := file.read1(_FIRST_LOOK):
            content += chunk
    return bytes(content)


def tail_in(content: bytes, start: Bytes) -> Tail:
    """The end of a segment of which `content` begins at byte `start`."""
    lines = content.splitlines(keepends=True)
    offset = start
    if start:  # in the middle of a line
        offset += len(lines[0]) if lines else 0
        lines = lines[1:]
    last = _last_whole(lines, is_whole_file=start == 0)
    if last is None:
        return NOTHING if start == 0 and not content else _cut_all(content, start)
    records = [record_in(text) for text in lines[: last + 1]]
    last = _last_of_whole_group(records)
    if last < 0:
        return _cut_all(content, start)
    keep = offset + sum(len(text) for text in lines[: last + 1])
    record = records[last]
    return Tail(
        number=int(record["n"]),
        hash=str(record["hash"]),
        hlc=next(
            (str(r["hlc"]) for r in reversed(records[: last + 1]) if "hlc" in r), None
        ),
        kind=str(record["kind"]),
        keep=keep,
        cut=content[keep - start :],
    )


def _cut_all(content: bytes, start: Bytes) -> Tail:
    return Tail(number=0, hash=NO_HASH, hlc=None, kind="", keep=start, cut=content)


def _last_whole(lines: Sequence[bytes], *, is_whole_file: bool) -> int | None:
    """Index of the last line that follows from the one before it."""
    for index in range(len(lines) - 1, -1, -1):
        record = record_in(lines[index])
        if not record:
            continue
        if index > 0:
            previous = record_in(lines[index - 1]).get("hash")
        else:
            previous = record.get("previous") if is_whole_file else None
        if isinstance(previous, str) and (
            chain(previous, lines[index][:-HASH_TAIL]) == record.get("hash")
        ):
            return index
    return None


def _last_of_whole_group(records: Sequence[dict[str, Any]]) -> int:
    """Index of the last record that does not lack what its step said."""
    last = len(records) - 1
    for index in range(last, -1, -1):
        record = records[index]
        if record.get("kind") == "step":
            after = {r.get("id") for r in records[index + 1 :]}
            is_whole = set(record.get("said", ())) <= after
            return last if is_whole or not records[index - 1] else index - 1
        if record.get("kind") != "message":
            break
    return last


def record_in(text: bytes) -> dict[str, Any]:
    """The record; empty if the line is not one."""
    if not text.endswith(b"}\n"):
        return {}
    try:
        record = from_json(text)
    except ValueError:
        return {}
    if not isinstance(record, dict) or type(record.get("n")) is not int:
        return {}
    has_words = all(isinstance(record.get(name), str) for name in ("kind", "hash"))
    return record if has_words else {}
