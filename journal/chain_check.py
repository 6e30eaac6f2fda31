"""Checking the chain, line by line: is each record the one that was written?

A record is whole if its hash follows from the hash before and its own bytes.
Where one is not, the check goes on behind it and does not blame its neighbours.
"""

import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic_core import from_json

from regnal.journal.encoding import FORMAT, HASH_TAIL, NO_HASH, Hash, chain
from regnal.journal.places import RecordNumber, segment_at
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


_IN_THE_MIDDLE = frozenset(
    {"message", "step", "snapshot", "quiet", "gap", "tail_cut", "expired", "seal"}
)
"""Kinds of records with which a part of a segment may begin, where its file is named
after it: a stream that keeps the last month begins somewhere.  The first record then
only lends its hash: nothing says whether it is as it was written."""


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
        if not self.first:
            return f"{self.segment.name}, byte {self.offset}: {self.text}"
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

        self._hole = range(0)
        """The records that were skipped last: should one come after all, out of its
        place, it is believed as well, for it cannot be a repetition."""

    def follow(self, text: bytes) -> str:
        """The kind of the record, if it simply follows the one before, as nearly all
        do; empty: it does not, and `take` is to look at it."""
        head = None if self._is_lost else _HEAD.match(text)
        if head is None or int(head[1]) != self.number + 1:
            return ""
        own = chain(self.hash, text[:-HASH_TAIL])
        if not text.endswith(b',"hash":"%b"}\n' % own.encode()):
            return ""
        self.number, self.hash, self._other_hash = self.number + 1, own, None
        return head[2].decode()

    def take(self, text: bytes, segment: Path, offset: Bytes) -> Line:
        """Check one whole line, whatever it is."""
        try:
            fields = from_json(text)
            # Not by the length of a hash: some of its digits may be gone.
            covered = text[: text.rfind(b',"hash":"')]
            return self._take(fields, covered, segment, offset)
        except (ValueError, KeyError, TypeError, AttributeError):
            return self._unreadable(text, segment, offset)

    def _take(
        self, fields: dict[str, Any], covered: bytes, segment: Path, offset: Bytes
    ) -> Line:
        """A beginning, or damage."""
        number, stored = _number_in(fields), str(fields["hash"])
        kind = str(fields["kind"])
        where = segment, offset
        if kind == "start" and fields["format"] > FORMAT:
            return Line(0, kind, _newer(fields, *where))
        begins = _first_in(segment) if offset == 0 and not self.number else None
        if number == begins and kind in _IN_THE_MIDDLE:
            self.number, self.hash, self._is_lost = number, stored, False
            return Line(0, kind, None)
        is_whole = self._is_whole(kind, fields, covered, offset)
        damage: Damage | None = None
        if begins is not None and number != begins:
            is_whole = is_whole or kind in _IN_THE_MIDDLE
            self._hole = range(begins, number)
            damage = _misnamed(number, begins, *where)
        elif self.number and number > self.number + 1:
            is_whole = is_whole or kind != "start"  # what it follows is missing
            self._hole = range(self.number + 1, number)
            damage = _missing(self.number + 1, number - 1, *where)
        elif self.number and number <= self.number and not self._is_lost:
            is_whole = is_whole or number in self._hole
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

    def _is_whole(
        self, kind: str, fields: dict[str, Any], covered: bytes, offset: Bytes
    ) -> bool:
        stored = str(fields["hash"])
        if kind == "start":
            return chain(fields["previous"], covered) == stored
        if offset == 0:
            return False  # every segment begins with one
        return self._is_lost or self._follows(covered, stored)

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


def _number_in(fields: dict[str, Any]) -> RecordNumber:
    number = fields["n"]
    if type(number) is not int or not 0 < number < 10**12:
        raise ValueError(f"{number!r} is no number of a record")
    return number


def _first_in(segment: Path) -> RecordNumber | None:
    """As the name of the file says."""
    named = segment_at(segment)
    return None if named is None else named.first


def _misnamed(
    number: RecordNumber, named: RecordNumber, segment: Path, offset: Bytes
) -> Damage:
    """The first segment begins with another record than its name says."""
    if number > named:
        return _missing(named, number - 1, segment, offset)
    text = f"begins a segment with the name of record {named}"
    return Damage("order", segment, offset, number, number, text)


def _missing(
    first: RecordNumber, last: RecordNumber, segment: Path, offset: Bytes
) -> Damage:
    verb = "is missing" if first == last else "are missing"
    return Damage("missing", segment, offset, first, last, f"{verb} before this")


def _newer(fields: dict[str, Any], segment: Path, offset: Bytes) -> Damage:
    number = int(fields["n"])
    text = f"begins format {fields['format']}; this program reads up to {FORMAT}"
    return Damage("newer", segment, offset, number, number, text)
