"""Reading a journal: every record in order, whatever state the files are in.

`scan` reads from the first to the last record and tells of damage where it meets
it; `follow` goes on as a live writer writes.  Neither keeps more than a line in
memory, and both check the chain as they go.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pydantic_core import from_json

from regnal.journal.chain_check import ChainCheck, Damage
from regnal.journal.encoding import Body
from regnal.journal.places import QUIET, RecordNumber, Segment, segments
from regnal.journal.quiet import after_of, fingerprint, leftovers
from regnal.messages.base import Bytes

_BUFFER: Bytes = 256 * 1024

MAXIMUM_LINE: Bytes = 64 * 1024 * 1024
"""What is longer is no record, whoever wrote it, and must not fill the memory."""

_WALL = len("2026-11-23T07:31:02.114901Z")


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
        """All of it, as JSON has it.  Of a line that somebody forged, hash and all,
        and that is not JSON: its number and kind alone."""
        if self._fields is None:
            try:
                self._fields = from_json(self.line)
            except ValueError:
                self._fields = {"n": self.n, "kind": self.kind, "hlc": ""}
        return self._fields

    @property
    def wall(self) -> str:
        """When, by the hybrid clock: ISO 8601 in UTC with microseconds."""
        return str(self.fields["hlc"])[:_WALL]


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
    directory: Path, window: Window = EVERYTHING, *, with_held: bool = False
) -> Iterator[Record | Damage]:
    """The records of the window in order, and the damage met on the way.

    `with_held`: at the end also what the writer holds back (the last heartbeats
    of a quiet member).  Raises OSError where the directory cannot be read.
    """
    # What is held is read first: if it is written meanwhile, we meet it below.
    quiet = _quiet_content(directory) if with_held else b""
    quiet_after = after_of(quiet)
    written: list[str] = []
    check = ChainCheck()
    wanted = _wanted(segments(directory), window)
    for segment in wanted:
        reader = _reader(segment, check)
        if reader is None:
            continue
        with reader:
            for item in reader.read():
                if isinstance(item, Damage):
                    yield item
                    continue
                if quiet_after is not None and item.n > quiet_after:
                    written.append(fingerprint(item.fields))
                if window.has(item):
                    yield item
            if reader.torn:
                yield reader.torn_damage(is_last=segment == wanted[-1])
    if quiet_after is not None:
        groups = leftovers(quiet, quiet_after, written)
        yield from filter(window.has, _held(groups, check.number))


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
        if reader is None:
            continue
        with reader:
            while True:
                for item in reader.read():
                    if isinstance(item, Damage) or window.has(item):
                        yield item
                # A segment that was left unsealed ends where the next one begins.
                if reader.is_sealed or len(todo) > 1:
                    break
                yield check.number
                todo = [s for s in segments(directory) if s.first >= done]


class SegmentReader:
    """Reads one segment; at its end it can be asked again for more."""

    def __init__(self, segment: Segment, check: ChainCheck) -> None:
        """Raises OSError."""
        self.is_sealed = False
        self.torn: Bytes = 0
        """How much there is after the last whole line."""

        self._segment = segment.path
        self._check = check
        self._file = _open(segment)
        self._offset: Bytes = 0

    def __enter__(self) -> "SegmentReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self) -> Iterator[Record | Damage]:
        """What there is beyond what was read before."""
        try:
            for text in iter(partial(self._file.readline, MAXIMUM_LINE), b""):
                if not text.endswith(b"\n") and len(text) < MAXIMUM_LINE:
                    self._file.seek(self._offset)
                    self.torn = len(text)
                    return
                yield from self._take(text)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield Damage(
                "unreadable",
                self._segment,
                self._offset,
                self._check.number + 1,
                0,
                f"and all that follow in this segment cannot be unpacked: {error}",
            )

    def torn_damage(self, *, is_last: bool) -> Damage:
        """What is to be said of the bytes after the last whole line."""
        number = self._check.number + 1
        return Damage(
            "unfinished" if is_last else "torn",
            self._segment,
            self._offset,
            number,
            number,
            f"is not complete: {self.torn} bytes",
        )

    def _take(self, text: bytes) -> Iterator[Record | Damage]:
        number, kind, damage = self._check.take(text, self._segment, self._offset)
        self._offset += len(text)
        if damage is not None:
            yield damage
        if number:
            self.is_sealed = kind == "seal"
            yield Record(number, kind, text)


def _reader(segment: Segment, check: ChainCheck) -> SegmentReader | None:
    """None: retention has removed the segment since we listed it."""
    try:
        return SegmentReader(segment, check)
    except FileNotFoundError:
        return None


def _open(segment: Segment) -> BinaryIO | gzip.GzipFile:
    """The segment's bytes; it may be compressed at this very moment."""
    if not segment.is_compressed:
        try:
            return segment.path.open("rb", buffering=_BUFFER)
        except FileNotFoundError:
            packed = segment.path.with_name(f"{segment.path.name}.gz")
            return gzip.open(packed)
    return gzip.open(segment.path)


def _wanted(found: Sequence[Segment], window: Window) -> list[Segment]:
    """Segments that may hold records of the window."""
    wanted = []
    for segment, following in zip_longest(found, found[1:]):
        if following is not None:
            if following.first <= window.after + 1:
                continue
            if window.since is not None and _begun_at(following) < window.since:
                continue
        if window.until is not None and _begun_at(segment) >= window.until:
            break
        wanted.append(segment)
    return wanted


def _begun_at(segment: Segment) -> str:
    """Moment of the segment's first record; empty where that cannot be read."""
    try:
        with _open(segment) as file:
            return str(from_json(file.readline())["hlc"])[:_WALL]
    except (ValueError, KeyError, TypeError, EOFError, OSError):
        return ""


def _quiet_content(directory: Path) -> bytes:
    try:
        return (directory / QUIET).read_bytes()
    except FileNotFoundError:
        return b""


def _held(groups: Sequence[Sequence[Body]], number: RecordNumber) -> Iterator[Record]:
    for group in groups:
        for body in group:
            number += 1
            line = b'{"n":%d,%b}\n' % (number, body)
            yield Record(number, from_json(line)["kind"], line, is_held=True)
