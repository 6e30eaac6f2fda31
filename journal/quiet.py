"""The quiet file: what is held in memory, for the case that we are killed.

One line per held entry, appended as it is held, without fsync; emptied when what
was held went into the chain.  A line says after which record of the chain it was
held, so that lines of an emptied stretch, left by a crash, are not taken again.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from regnal.journal.coalescing import Held, recalled
from regnal.journal.encoding import Body, plain_body
from regnal.journal.entries import MessageEntry, StepEntry
from regnal.journal.places import QUIET, RecordNumber, write_all
from regnal.messages.base import Bytes
from regnal.messages.envelope import MessageId

MAXIMUM_SIZE: Bytes = 1024 * 1024
"""Then it is written anew with what is still held."""


class QuietFile:
    """Written by the journal's writer alone."""

    def __init__(self, directory: Path) -> None:
        """Create or open the file.  Raises OSError."""
        self._path = directory / QUIET
        self._size: Bytes = 0
        self._messages: set[MessageId] = set()
        """Ids of the messages in it."""

        self._open()

    def hold(self, held: Held, after: RecordNumber, still: Sequence[Held]) -> None:
        """Note that the entry is held; `still` is all that is.  Raises OSError."""
        if self._size > MAXIMUM_SIZE:
            self.mend(still, after)
            return
        content = self._lines(held, after)
        write_all(self._descriptor, content, self._size)
        self._size += len(content)

    def mend(self, still: Sequence[Held], after: RecordNumber) -> None:
        """Let the file say that this is held and no more.  Raises OSError."""
        self._messages.clear()
        if not still:
            if self._size:
                os.ftruncate(self._descriptor, 0)
                self._size = 0
            return
        draft = self._path.with_name(f"{self._path.name}.new")
        draft.write_bytes(b"".join(self._lines(held, after) for held in still))
        draft.replace(self._path)
        os.close(self._descriptor)
        self._open()

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> None:
        self._descriptor = os.open(
            self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode=0o600
        )
        self._size = os.fstat(self._descriptor).st_size

    def _lines(self, held: Held, after: RecordNumber) -> bytes:
        """The line of the entry, before it one for what it heard if need be."""
        lines = []
        heard = held.recalled
        if heard and not heard.is_written and heard.id not in self._messages:
            lines.append(b'{"after":%d,"records":[{%b}]}\n' % (after, heard.body))
            self._messages.add(heard.id)
        match held.entry:
            case MessageEntry(id=own):
                self._messages.add(own)
            case StepEntry(said=said):
                self._messages.update(message.id for message in said)
        lines.append(_line(held, after))
        return b"".join(lines)


def leftovers(
    content: bytes, after: RecordNumber, written: Iterable[str]
) -> list[list[Body]]:
    """What the quiet file holds beyond the end of the chain: groups to be written.

    `after` is the last record of the chain that was there before anything of the
    quiet file was written; `written` are the `fingerprint`s of records after it.
    """
    messages: dict[str, dict[str, Any]] = {}
    held: dict[str, tuple[list[dict[str, Any]], int]] = {}
    for entry in _entries(content):
        if entry["after"] != after:
            continue
        records = entry["records"]
        messages.update({r["id"]: r for r in records if r["kind"] == "message"})
        if "likeness" in entry:
            before = held.pop(entry["likeness"], None)
            repeats = entry["repeats"] if before is None else before[1] + 1
            held[entry["likeness"]] = records, repeats
    done = set(written)
    groups = []
    for records, repeats in held.values():
        if fingerprint(records[0]) in done:
            continue
        groups.append(_group(records, repeats, messages, done))
    return groups


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
    return ""


def _group(
    records: list[dict[str, Any]],
    repeats: int,
    messages: dict[str, dict[str, Any]],
    done: set[str],
) -> list[Body]:
    group: list[Body] = []
    first, *rest = records
    heard = first.get("heard")
    if heard in messages and heard not in done:
        group.append(recalled(plain_body(messages[heard])))
        done.add(heard)
    if repeats:
        first = {**first, "repeats": repeats}
    done.update(fingerprint(record) for record in records)
    return [*group, *map(plain_body, [first, *rest])]


def _line(held: Held, after: RecordNumber) -> bytes:
    return b'{"after":%d,"likeness":"%b","repeats":%d,"records":[%b]}\n' % (
        after,
        held.likeness.hex().encode(),
        held.repeats,
        b",".join(b"{%b}" % body for body in held.entry.bodies),
    )


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
