"""Reading a journal: every record in order, whatever state the files are in.

`scan` reads from the first to the last record and tells of damage where it meets
it; `follow` goes on as a live writer writes.  Neither keeps more than a line in
memory, and both check the chain as they go.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from regnal.journal.chain_check import ChainCheck, Damage, DamageKind
from regnal.journal.encoding import HASH_TAIL, Body, Hash
from regnal.journal.places import QUIET, RecordNumber, Segment, segments
from regnal.journal.quiet import (
    after_of,
    fingerprint,
    leftovers,
    quiet_content,
    rubbish,
)
from regnal.journal.segment_input import (
    CANNOT_UNPACK,
    MAXIMUM_LINE,
    WALL,
    open_segment,
    reason_of,
    wanted,
)
from regnal.journal.shapes import fields_of
from regnal.messages.base import Bytes

_MOMENT = re.compile(rb'\{"n":\d+,"hlc":"([0-9T:.-]{%d}Z)' % (WALL - 1))
"""When, without parsing the rest."""


class Record:
    """One line of a journal; what is in it is parsed when somebody asks."""

    __slots__ = ("_fields", "is_held", "kind", "line", "n")

    def __init__(
        self, n: RecordNumber, kind: str, line: bytes, *, is_held: bool = False
    ) -> None:
        self.n = n
        self.kind = kind
        self.line = line
        """As it lies in the file, newline included."""

        self.is_held = is_held
        """Whether it is not in the chain yet: its number may change, it has no hash."""

        self._fields: dict[str, Any] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self.line == other.line

    def __hash__(self) -> int:
        return hash(self.line)

    @property
    def fields(self) -> dict[str, Any]:
        """All of it, as JSON has it; what its kind always has is there."""
        if self._fields is None:
            self._fields = fields_of(self.line, self.n, self.kind)
        return self._fields

    @property
    def hash(self) -> Hash:
        """Its own; empty while it is held."""
        if self.line.startswith(b',"hash":"', -HASH_TAIL):
            return self.line[-HASH_TAIL + 9 : -3].decode(errors="replace")
        return str(self.fields.get("hash", ""))

    @property
    def wall(self) -> str:
        """When, by the hybrid clock: ISO 8601 in UTC with microseconds."""
        moment = _MOMENT.match(self.line)
        if moment is not None:
            return moment[1].decode()
        return str(self.fields["hlc"])[:WALL]


class Window(NamedTuple):
    """Which records are wanted."""

    after: RecordNumber = 0
    """Only records with a higher number."""

    since: str | None = None
    """Only from this moment on, as `wall_text` writes it; None: from the start."""

    until: str | None = None
    """Only before this moment; None: to the end."""

    def has(self, record: Record) -> bool:
        if record.n <= self.after:
            return False
        if self.since is None and self.until is None:
            return True
        wall = record.wall
        return (self.since is None or wall >= self.since) and (
            self.until is None or wall < self.until
        )


EVERYTHING = Window()


def scan(
    directory: Path,
    window: Window = EVERYTHING,
    *,
    with_held: bool = False,
    whole: bool = False,
) -> Iterator[Record | Damage]:
    """The records of the window in order, and the damage met on the way.

    `with_held`: at the end also what the writer holds back (the last heartbeats
    of a quiet member).  `whole`: everything in the segments that overlap the window.
    Raises OSError where the directory cannot be read.
    """
    shown = EVERYTHING if whole else window
    # What is held is read first: if it is written meanwhile, we meet it below.
    quiet = _quiet(directory) if with_held else b""
    quiet_after = None if isinstance(quiet, Damage) else after_of(quiet)
    written: list[str] = []
    check = ChainCheck()
    found = segments(directory)
    for segment in _wanted(found, window):
        reader = _reader(segment, check)
        if isinstance(reader, Damage):
            yield reader
        if not isinstance(reader, SegmentReader):
            continue
        with reader:
            for item in reader.read():
                if isinstance(item, Damage):
                    yield item
                    continue
                if quiet_after is not None and item.n > quiet_after:
                    written.append(fingerprint(item.fields))
                if shown.has(item):
                    yield item
            yield from reader.end(is_last=segment == found[-1])
    if isinstance(quiet, Damage):
        yield quiet
        return
    yield from _rubbish_in(directory, quiet)
    if quiet_after is not None:
        if quiet_after > check.number and window.until is None:
            yield _cut_off(directory, check.number, quiet_after)
        groups = leftovers(quiet, quiet_after, written)
        yield from filter(shown.has, _held(groups, max(check.number, quiet_after)))


def follow(
    directory: Path, window: Window = EVERYTHING
) -> Iterator[Record | Damage | RecordNumber]:
    """The records of the window, then each new one as it is written, for ever.

    Whenever there is no more at present it gives the number of the last record so
    far: the caller waits and asks again, or goes away.  Raises OSError.
    """
    check = ChainCheck()
    done: RecordNumber = 0
    while True:
        todo = [s for s in _wanted(segments(directory), window) if s.first > done]
        if not todo:
            yield check.number
            continue
        done = todo[0].first
        reader = _reader(todo[0], check)
        if isinstance(reader, Damage):
            yield reader
        if not isinstance(reader, SegmentReader):
            continue
        with reader:
            while True:
                for item in reader.read():
                    if isinstance(item, Damage) or window.has(item):
                        yield item
                # A segment that was left unsealed ends where the next one begins.
                if reader.is_finished or len(todo) > 1:
                    break
                yield check.number
                todo = [s for s in segments(directory) if s.first >= done]


class SegmentReader:
    """Reads one segment; at its end it can be asked again for more."""

    def __init__(self, segment: Segment, check: ChainCheck) -> None:
        """Raises OSError."""
        self.is_finished = False
        """Whether nothing can follow: it is sealed, or cannot be unpacked."""

        self.torn: Bytes = 0
        """How much there is after the last whole line."""

        self._segment, self._first = segment.path, segment.first
        self._check = check
        self._verb = "unpacked" if segment.is_compressed else "read"
        self._file = open_segment(segment)
        self._offset: Bytes = 0

    def __enter__(self) -> "SegmentReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self) -> Iterator[Record | Damage]:
        """What there is beyond what was read before."""
        check, follow_up = self._check, self._check.follow
        try:
            for text in iter(partial(self._file.readline, MAXIMUM_LINE), b""):
                kind = follow_up(text)
                if kind:
                    self._offset += len(text)
                    self.is_finished = kind == "seal"
                    yield Record(check.number, kind, text)
                elif text.endswith(b"\n") or len(text) == MAXIMUM_LINE:
                    yield from self._take(text)
                else:
                    self.torn = len(text)
                    self._file.seek(self._offset)
                    return
        except CANNOT_UNPACK as error:
            self.is_finished = True
            yield Damage(
                "unreadable",
                self._segment,
                self._offset,
                check.number + 1,
                0,
                f"and all that follow in this segment cannot be {self._verb}: "
                f"{reason_of(error)}",
            )

    def end(self, *, is_last: bool) -> Iterator[Damage]:
        """What is to be said of the end of the segment, when no more will come."""
        first = self._check.number + 1
        if self.torn:
            what: DamageKind = "unfinished" if is_last else "torn"
            text = f"is not complete: {self.torn} bytes"
            yield Damage(what, self._segment, self._offset, first, first, text)
        elif first == 1 and self._offset == 0 and not (is_last or self.is_finished):
            # Of later segments the next one shows that something is missing.
            text = "and all that follow in this segment are missing: it is empty"
            yield Damage("missing", self._segment, 0, self._first, 0, text)

    def _take(self, text: bytes) -> Iterator[Record | Damage]:
        """A line that does not simply follow."""
        number, kind, damage = self._check.take(text, self._segment, self._offset)
        self._offset += len(text)
        if damage is not None:
            yield damage
        if number:
            self.is_finished = kind == "seal"
            yield Record(number, kind, text)


def segments_of(directory: Path, window: Window) -> Sequence[Segment]:
    """Segments that may hold records of the window, in order.  Raises OSError."""
    return _wanted(segments(directory), window)


def _wanted(found: Sequence[Segment], window: Window) -> list[Segment]:
    return wanted(found, after=window.after, since=window.since, until=window.until)


def _reader(segment: Segment, check: ChainCheck) -> SegmentReader | Damage | None:
    """None: retention has removed the segment since we listed it."""
    try:
        return SegmentReader(segment, check)
    except FileNotFoundError as error:
        if not segment.path.is_symlink():
            return None
        reason = f"its link leads nowhere: {reason_of(error)}"
    except OSError as error:
        reason = reason_of(error)
    return Damage(
        "unreadable",
        segment.path,
        0,
        segment.first,
        0,
        f"and all that follow in this segment cannot be read: {reason}",
    )


def _quiet(directory: Path) -> bytes | Damage:
    try:
        return quiet_content(directory)
    except OSError as error:
        why = f"what is held cannot be read: {reason_of(error)}"
        return Damage("unreadable", directory / QUIET, 0, 0, 0, why)


def _rubbish_in(directory: Path, content: bytes) -> Iterator[Damage]:
    for offset, shown in rubbish(content):
        why = f"what is held cannot be read: {shown}"
        yield Damage("unreadable", directory / QUIET, offset, 0, 0, why)


def _cut_off(directory: Path, last: RecordNumber, after: RecordNumber) -> Damage:
    """As a live journal looks whose files were copied one after the other, too."""
    why = "not here, though what is held was said after: the end is cut off"
    verb = "is" if last + 1 == after else "are"
    return Damage("unfinished", directory / QUIET, 0, last + 1, after, f"{verb} {why}")


def _held(groups: Sequence[Sequence[Body]], number: RecordNumber) -> Iterator[Record]:
    for group in groups:
        for body in group:
            number += 1
            line = b'{"n":%d,%b}\n' % (number, body)
            yield Record(number, from_json(line)["kind"], line, is_held=True)
