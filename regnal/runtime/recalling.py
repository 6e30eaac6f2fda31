"""Recalling: what the journal of the life before remembers of incidents.

Not a replay: the last snapshot of the actor that keeps them, and the few messages about
incidents after it, folded as the actor itself does (`incident_memory`).  Bounded work,
and whatever state the files are in, the daemon starts: what cannot be read is left out.
"""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError
from pydantic_core import from_json

from regnal.actors.incident_memory import FOLDED, Memory, remember
from regnal.actors.incidents import INCIDENTS
from regnal.journal.decoding import Undecodable, envelope_of
from regnal.journal.encoding import HASH_TAIL, chain, kind_of
from regnal.journal.entries import number_of
from regnal.journal.places import Segment, segments
from regnal.journal.reader import Record
from regnal.journal.segment_input import MAXIMUM_LINE
from regnal.journal.stamps import Incarnation, parse_hlc
from regnal.messages.base import Bytes, Instant, Message, Seconds
from regnal.messages.incidents import Incident, IncidentsRecalled, OwnReign

LOOK_BACK = 3
"""Segments of lives before that are looked at: each begins with a snapshot, so that the
newest is enough unless its beginning is damaged."""

OWN_REIGN_WITHIN: Seconds = 86400.0
"""A reign of ours that ended longer ago in our absence is history, and no incident."""

READ_AT_MOST: Bytes = 256 * 1024 * 1024
"""Of all of them: about a second."""

_HEAD: Bytes = 600
"""Within them a record has named its kind, its actor or its type."""

_SNAPSHOT = b'"kind":"snapshot","actor":"%b"' % INCIDENTS.name.encode()
_VIEW = b'"type":"cluster_observed"'
_LIVED = re.compile(rb'"kind":"(?:message|step)"')
_ACQUIRED = b'"type":"leader_acquired"'
_GIVEN_AWAY = re.compile(
    rb'"type":"(?:shutdown_requested|leader_handed_over|leader_released)"'
)
_TYPE = re.compile(
    rb'"type":"(?:%b)"' % b"|".join(kind_of(word).encode() for word in FOLDED)
)


@dataclass(frozen=True, slots=True)
class Here:
    """Whose journal is read, and when."""

    incarnation: Incarnation
    boot: str
    now: Instant
    wall: Seconds
    """Since 1970."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """The clocks of the life that wrote a segment."""

    incarnation: int
    boot: str
    at: Instant
    wall: Seconds
    hash: str = ""
    """Of the record that begins it."""


@dataclass(slots=True)
class _Found:
    """What one segment has, undecoded."""

    frame: _Frame
    snapshot: bytes | None = None
    messages: list[bytes] = field(default_factory=list)
    """Before the snapshot and after it, in order."""

    after: int = 0
    """How many of the messages came before the snapshot."""

    view: bytes | None = None
    """The last view of the cluster."""

    is_given_away: bool = False
    """Whether we gave the key away, or were about to, since we had it last."""

    last: bytes = b""
    """The last message or step."""

    damaged: int = 0
    """Records that are not as they were written."""

    def note(self, line: bytes, head: bytes) -> None:
        """What tells of the leader key, and of the daemon's last moment.  What mended
        the segment at a later start does not."""
        if _LIVED.search(head):
            self.last = line
        if _VIEW in head:
            self.view = line
        elif _ACQUIRED in head:
            self.is_given_away = False
        elif _GIVEN_AWAY.search(head):
            self.is_given_away = True


def recall(directory: Path, here: Here) -> IncidentsRecalled:
    """The memory, its instants those of this boot.  Never raises."""
    trouble: str | None = None
    memory = Memory()
    reign: OwnReign | None = None
    try:
        found, trouble = _look_back(directory, here)
        frame: _Frame | None = None
        for segment in found:
            if frame is not None:
                memory = _moved(memory, _shift(frame, segment.frame))
            frame = segment.frame
            memory = _fold(memory, segment)
        if frame is not None:
            now = _Frame(here.incarnation, here.boot, here.now, here.wall)
            memory = _moved(memory, _shift(frame, now), latest=here.now)
            reign = _own_reign(found[-1], here, _shift(frame, now))
    except OSError as error:
        trouble = str(error)
    return IncidentsRecalled(
        incidents=memory.incidents,
        crashes=memory.crashes,
        reign=reign,
        trouble=trouble,
    )


def _look_back(directory: Path, here: Here) -> tuple[list[_Found], str | None]:
    """The newest segments of lives before, from the last that has a snapshot on."""
    found: list[_Found] = []
    left = READ_AT_MOST
    trouble: str | None = None
    for segment in reversed(segments(directory)):
        if len(found) == LOOK_BACK or left <= 0:
            break
        lines = _lines(segment)
        try:
            frame = _frame(next(lines, b""))
            if frame is None or frame.incarnation == here.incarnation:
                continue
            one, size = _gather(frame, lines, left)
        except (OSError, EOFError, zlib.error) as error:
            trouble = f"{segment.path.name}: {error}"
            continue
        left -= size
        found.insert(0, one)
        if one.damaged:
            trouble = f"{segment.path.name}: {one.damaged} records are damaged"
        if one.snapshot is not None:
            return found, trouble
    has_any = any(one.messages for one in found)
    return found, trouble or (
        "no snapshot of the incidents was found" if has_any else None
    )


def _gather(frame: _Frame, lines: Iterable[bytes], left: Bytes) -> tuple[_Found, Bytes]:
    found, size = _Found(frame), 0
    previous = frame.hash
    for line in lines:
        size += len(line)
        if size > left:
            break
        before, previous = previous, _hash_of(line)
        head = line[:_HEAD]
        found.note(line, head)
        is_wanted = _SNAPSHOT in head or _TYPE.search(head) is not None
        if not is_wanted:
            continue
        if chain(before, line[:-HASH_TAIL]) != previous:
            found.damaged += 1
        elif _SNAPSHOT in head:
            found.snapshot = line
            found.after = len(found.messages)
        else:
            found.messages.append(line)
    return found, size


def _hash_of(line: bytes) -> str:
    """As the record itself says."""
    return line[-HASH_TAIL:][len(',"hash":"') : -len('"}\n')].decode("latin-1")


def _fold(memory: Memory, found: _Found) -> Memory:
    heard = 0
    if found.snapshot is not None:
        snapshot = _object(found.snapshot)
        memory = _memory_in(snapshot)
        heard = _number(snapshot.get("heard"))
    for index, line in enumerate(found.messages):
        record = _object(line)
        is_own = record.get("from") == INCIDENTS.name
        if is_own and (record.get("recalled") or index < found.after):
            continue  # the state of whoever said it knows it
        if index < found.after and _number(record.get("id")) <= heard:
            continue
        message = _message(line)
        if message is not None:
            memory = remember(memory, message)
    return memory


def _own_reign(newest: _Found, here: Here, by: Seconds) -> OwnReign | None:
    """Whether we led to the end of that life, without giving the key away."""
    if newest.view is None or newest.is_given_away:
        return None
    try:
        record = _object(newest.view)
        leader = record["data"]["view"]["leader"]
        member = str(record["id"]).rpartition("/")[0].rpartition("/")[0]
        if leader["name"] != member:
            return None
        until = min(float(_object(newest.last)["at"]) + by, here.now)
        if here.now - until > OWN_REIGN_WITHIN:
            return None
        return OwnReign(revision=leader["revision"], until=until)
    except (KeyError, TypeError, ValueError):
        return None


def _memory_in(snapshot: dict[str, Any]) -> Memory:
    """What can be used of a state, of whatever program."""
    state = snapshot.get("state")
    memory = state.get("memory") if isinstance(state, dict) else None
    if not isinstance(memory, dict):
        return Memory()
    incidents = memory.get("incidents")
    crashes = memory.get("crashes")
    return Memory(
        incidents=tuple(_incidents(incidents if isinstance(incidents, list) else ())),
        crashes=tuple(
            float(at)
            for at in (crashes if isinstance(crashes, list) else ())
            if isinstance(at, int | float)
        ),
    )


def _incidents(found: Iterable[Any]) -> Iterator[Incident]:
    known = set(Incident.model_fields)
    for one in found:
        if not isinstance(one, dict):
            continue
        try:
            yield Incident.model_validate({k: v for k, v in one.items() if k in known})
        except ValidationError:
            continue


def _message(line: bytes) -> Message | None:
    try:
        return envelope_of(Record(0, "message", line)).message
    except Undecodable:
        return None


def _moved(memory: Memory, by: Seconds, *, latest: Instant | None = None) -> Memory:
    """The same on another clock; what is past stays so."""

    def past(at: Instant) -> Instant:
        moved = at + by
        return moved if latest is None else min(moved, latest)

    return Memory(
        incidents=tuple(
            incident.model_copy(
                update={
                    "began_at": past(incident.began_at),
                    "changed_at": None
                    if incident.changed_at is None
                    else past(incident.changed_at),
                    "holds_until": None
                    if incident.holds_until is None
                    else incident.holds_until + by,
                }
            )
            for incident in memory.incidents
        ),
        crashes=tuple(past(at) for at in memory.crashes),
    )


def _shift(before: _Frame, after: _Frame) -> Seconds:
    """What to add to an instant of one life to have it on the clock of the other."""
    if before.boot == after.boot:
        return 0.0
    return (after.at - after.wall) - (before.at - before.wall)


def _frame(line: bytes) -> _Frame | None:
    """Of the record that begins a segment; None: it cannot be used."""
    start = _object(line)
    try:
        return _Frame(
            incarnation=int(start["incarnation"]),
            boot=str(start["boot"]),
            at=float(start["at"]),
            wall=parse_hlc(str(start["hlc"])).wall_us / 1e6,
            hash=str(start["hash"]),
        )
    except (KeyError, ValueError, TypeError):
        return None


def _lines(segment: Segment) -> Iterator[bytes]:
    """Raises OSError, EOFError, zlib.error where the file cannot be read."""
    with _open(segment) as file:
        yield from iter(partial(file.readline, MAXIMUM_LINE), b"")


def _open(segment: Segment) -> BinaryIO | gzip.GzipFile:
    if segment.is_compressed:
        return gzip.open(segment.path)
    return segment.path.open("rb")


def _object(line: bytes) -> dict[str, Any]:
    """The record; empty where the line is none."""
    try:
        record = from_json(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _number(identifier: Any) -> int:
    try:
        return number_of(str(identifier))
    except ValueError:
        return 0
