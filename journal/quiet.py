"""The quiet file: what is held in memory, for the case that we are killed.

One line for each group of records, appended as it is held, without fsync; emptied
when what was held went into the chain.  A line says after which record of the chain it was
held, so that lines of an emptied stretch, left by a crash, are not taken again.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from regnal.journal.encoding import Body, plain_body
from regnal.journal.places import QUIET, RecordNumber, replace_file, write_all
from regnal.journal.segment_input import MAXIMUM_LINE, open_file
from regnal.messages.base import Bytes

_SHOWN: Bytes = 80


class QuietFile:
    """Written by the journal's writer alone."""

    def __init__(self, directory: Path) -> None:
        """Create or open the file.  Raises OSError."""
        self._path = directory / QUIET
        self._size: Bytes = 0
        self._open()

    def hold(self, bodies: Iterable[Body], after: RecordNumber) -> None:
        """Note that this is held, too.  Raises OSError."""
        line = _line(bodies, after)
        write_all(self._descriptor, line, self._size)
        self._size += len(line)

    def mend(self, groups: Sequence[Iterable[Body]], after: RecordNumber) -> None:
        """Let the file say that this is held and no more.  Raises OSError."""
        if not groups:
            if self._size:
                os.ftruncate(self._descriptor, 0)
                self._size = 0
            return
        lines = b"".join(_line(bodies, after) for bodies in groups)
        replace_file(self._path, lines, durably=False)
        os.close(self._descriptor)
        self._open()

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> None:
        self._descriptor = os.open(
            self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode=0o600
        )
        self._size = os.fstat(self._descriptor).st_size


def quiet_content(directory: Path) -> bytes:
    """What the quiet file of a journal holds; nothing where there is none.

    Raises OSError, also where it is no plain file or far larger than we write it.
    """
    try:
        with open_file(directory / QUIET) as file:
            content = file.read(MAXIMUM_LINE + 1)
    except FileNotFoundError:
        return b""
    if len(content) > MAXIMUM_LINE:
        raise OSError(errno.EFBIG, f"is larger than {MAXIMUM_LINE} bytes")
    return content


def leftovers(
    content: bytes, after: RecordNumber | None, written: Iterable[str]
) -> list[list[Body]]:
    """What the quiet file holds beyond the end of the chain: groups to be written.

    `after` is the last record of the chain that was there before anything of the
    quiet file was written; `written` are the `fingerprint`s of records after it.
    """
    done = set(written)
    return [
        [plain_body(record) for record in entry.records]
        for entry in _entries(content)
        if entry.after == after and fingerprint(entry.records[0]) not in done
    ]


def after_of(content: bytes) -> RecordNumber | None:
    """The record after which the quiet stretch began; None: nothing is held."""
    numbers = [entry.after for entry in _entries(content)]
    return numbers[-1] if numbers else None


def rubbish(content: bytes) -> Iterator[tuple[Bytes, str]]:
    """Whole lines that we did not write: where, and how they begin.

    A torn one at the end is none: it was never acted upon.
    """
    offset: Bytes = 0
    for text in content.splitlines(keepends=True):
        if text.endswith(b"\n") and _entry(text) is None:
            yield offset, text[:_SHOWN].decode(errors="backslashreplace").rstrip()
        offset += len(text)


def fingerprint(record: dict[str, Any]) -> str:
    """Tells records of one member apart, however they are numbered."""
    if record["kind"] == "message":
        return str(record["id"])
    if record["kind"] == "step":
        return f"{record['actor']} heard {record['heard']}"
    return f"{record['kind']} {record['hlc']}"


class _Entry(NamedTuple):
    after: RecordNumber
    records: list[dict[str, Any]]


_NEEDED = {"message": ("id",), "step": ("actor", "heard")}
"""By kind of record: what its fingerprint is made of."""


def _line(bodies: Iterable[Body], after: RecordNumber) -> bytes:
    records = b",".join(b"{%b}" % body for body in bodies)
    return b'{"after":%d,"records":[%b]}\n' % (after, records)


def _entries(content: bytes) -> list[_Entry]:
    """The whole lines that are entries."""
    found = map(_entry, content.splitlines(keepends=True))
    return [entry for entry in found if entry is not None]


def _entry(text: bytes) -> _Entry | None:
    """None: it is torn, or not as `_line` writes it."""
    try:
        parsed = from_json(text) if text.endswith(b"\n") else None
    except ValueError:
        return None
    if not isinstance(parsed, dict):
        return None
    after, records = parsed.get("after"), parsed.get("records")
    if type(after) is not int or not isinstance(records, list) or not records:
        return None
    return _Entry(after, records) if all(map(_is_record, records)) else None


def _is_record(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    kind = value.get("kind")
    needed = ("kind", "hlc", *_NEEDED.get(str(kind), ()))
    return all(isinstance(value.get(name), str) for name in needed)
