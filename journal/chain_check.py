"""Checking the chain, line by line: is each record the one that was written?

A record is whole if its hash follows from the hash before and its own bytes.
Where one is not, the check goes on behind it and does not blame its neighbours.
"""

import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic_core import from_json

from regnal.journal.encoding import FORMAT, HASH_TAIL, NO_HASH, Hash, chain
from regnal.journal.places import RecordNumber
from regnal.messages.base import Bytes

DamageKind = Literal[
    "unreadable", "changed", "missing", "order", "broken", "torn", "unfinished", "newer"
]
"""unreadable: not a record.  changed: a record, but not as it was written.
missing: numbers are skipped.  order: a number comes again.  broken: a segment
does not continue the one before.  torn: a segment ends within a record.
unfinished: the last one does, since it is being written or its writer was killed.
newer: a format that this program does not know."""

_SHOWN: Bytes = 80

_HEAD = re.compile(rb'\{"n":(\d+),"hlc":"[^"]*","at":[^,]*,"kind":"(\w+)"')
"""How our writer begins a record.  Where a line does, and the chain holds, the rest
of it is as it was written, and need not be parsed to be checked."""


class Damage(NamedTuple):
    """Where a journal is not as it was written."""

    what: DamageKind
    segment: Path
    offset: Bytes
    """Of the line in the (uncompressed) segment."""

    first: RecordNumber
    last: RecordNumber
    """The records concerned, both included; 0: it cannot be said which."""

    text: str

    @property
    def is_serious(self) -> bool:
        """Whether it is more than the end of a journal that is being written."""
        return self.what != "unfinished"

    def __str__(self) -> str:
        records = f"record {self.first}"
        if self.last > self.first:
            records = f"records {self.first} to {self.last}"
        return f"{self.segment.name}, byte {self.offset}: {records} {self.text}"


class Line(NamedTuple):
    """What a line turned out to be."""

    number: RecordNumber
    """Of the record; 0: it is not one, or not as it was written."""

    kind: str
    damage: Damage | None


class ChainCheck:
    """Follows the chain over lines and segments."""

    def __init__(self) -> None:
        self.number: RecordNumber = 0
        """Of the last record; 0: none yet."""

        self.hash: Hash = NO_HASH
        """As it stands in the last record."""

        self._other_hash: Hash | None = None
        """As we compute it for the last record, where that is another."""

        self._is_lost = True
        """Whether what came before is unknown: the next record is believed."""

    def take(self, text: bytes, segment: Path, offset: Bytes) -> Line:
        """Check one whole line."""
        head = None if self._is_lost else _HEAD.match(text)
        if head is not None and int(head[1]) == self.number + 1:
            own = chain(self.hash, text[:-HASH_TAIL])
            if text[-HASH_TAIL:] == b',"hash":"%b"}\n' % own.encode():
                self.number, self.hash, self._other_hash = self.number + 1, own, None
                return Line(self.number, head[2].decode(), None)
        try:
            fields = from_json(text)
            return self._take_odd(fields, text[:-HASH_TAIL], segment, offset)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return self._unreadable(text, segment, offset)

    def _take_odd(
        self, fields: dict[str, Any], covered: bytes, segment: Path, offset: Bytes
    ) -> Line:
        """A record that does not simply follow: a beginning, or damage."""
        number, stored = int(fields["n"]), str(fields["hash"])
        kind = str(fields["kind"])
        where = segment, offset
        damage: Damage | None = None
        is_whole = self._is_lost or self._follows(covered, stored)
        if kind == "start":
            if fields["format"] > FORMAT:
                return Line(0, kind, _newer(fields, *where))
            is_whole = chain(fields["previous"], covered) == stored
        elif offset == 0:
            is_whole = False  # every segment begins with one
        if self.number and number > self.number + 1:
            is_whole = is_whole or kind != "start"  # what it follows is missing
            damage = _missing(self.number + 1, number - 1, *where)
        elif self.number and number <= self.number and not self._is_lost:
            damage = Damage(
                "order", *where, number, number, f"comes after record {self.number}"
            )
        elif not is_whole:
            damage = Damage(
                "changed", *where, number, number, "is not as it was written"
            )
        elif kind == "start" and self._is_broken(fields["previous"]):
            damage = Damage(
                "broken", *where, number, number, "does not continue the record before"
            )
        self._other_hash = None if is_whole else chain(self.hash, covered)
        self.number, self.hash, self._is_lost = number, stored, False
        return Line(number if is_whole else 0, kind, damage)

    def _follows(self, covered: bytes, stored: Hash) -> bool:
        if chain(self.hash, covered) == stored:
            return True
        # The hash before may be what was changed; that has been told already.
        other = self._other_hash
        return other is not None and chain(other, covered) == stored

    def _is_broken(self, previous: Hash) -> bool:
        return not self._is_lost and previous not in (self.hash, self._other_hash)

    def _unreadable(self, text: bytes, segment: Path, offset: Bytes) -> Line:
        number = self.number + 1 if self.number else 0
        shown = text[:_SHOWN].decode(errors="backslashreplace").rstrip("\n")
        damage = Damage(
            "unreadable", segment, offset, number, number, f"cannot be read: {shown}"
        )
        self.number, self._is_lost = number, True
        return Line(0, "", damage)


def _missing(
    first: RecordNumber, last: RecordNumber, segment: Path, offset: Bytes
) -> Damage:
    verb = "is missing" if first == last else "are missing"
    return Damage("missing", segment, offset, first, last, f"{verb} before this")


def _newer(fields: dict[str, Any], segment: Path, offset: Bytes) -> Damage:
    number = int(fields["n"])
    text = f"begins format {fields['format']}; this program reads up to {FORMAT}"
    return Damage("newer", segment, offset, number, number, text)
