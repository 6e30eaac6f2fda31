"""The quiet file: what is held in memory, for the case that we are killed.

One line for each group of records, appended as it is held, without fsync; emptied
when what was held went into the chain.  A line says after which record of the chain it was
held, so that lines of an emptied stretch, left by a crash, are not taken again.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from regnal.journal.encoding import Body, plain_body
from regnal.journal.places import QUIET, RecordNumber, replace_file, write_all
from regnal.messages.base import Bytes


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


def leftovers(
    content: bytes, after: RecordNumber, written: Iterable[str]
) -> list[list[Body]]:
    """What the quiet file holds beyond the end of the chain: groups to be written.

    `after` is the last record of the chain that was there before anything of the
    quiet file was written; `written` are the `fingerprint`s of records after it.
    """
    done = set(written)
    return [
        [plain_body(record) for record in entry["records"]]
        for entry in _entries(content)
        if entry["after"] == after and fingerprint(entry["records"][0]) not in done
    ]


def after_of(content: bytes) -> RecordNumber | None:
    """The record after which the quiet stretch began; None: nothing is held."""
    numbers = [entry["after"] for entry in _entries(content)]
    return numbers[-1] if numbers else None


def fingerprint(record: dict[str, Any]) -> str:
    """Tells records of one member apart, however they are numbered."""
    if record["kind"] == "message":
        return str(record["id"])
    if record["kind"] == "step":
        return f"{record['actor']} heard {record['heard']}"
    return f"{record['kind']} {record['hlc']}"


def _line(bodies: Iterable[Body], after: RecordNumber) -> bytes:
    records = b",".join(b"{%b}" % body for body in bodies)
    return b'{"after":%d,"records":[%b]}\n' % (after, records)


def _entries(content: bytes) -> list[dict[str, Any]]:
    """The whole lines; a torn one at the end was never acted upon."""
    entries = []
    for text in content.splitlines(keepends=True):
        try:
            entry = from_json(text) if text.endswith(b"\n") else None
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("records"):
            entries.append(entry)
    return entries
