"""The ledger: the chain of one member's records, and the segment it is written to.

Used by one thread at a time: the daemon's writer (journal/writer.py), or whoever
writes a journal in virtual time.  An entry goes through three places:

    enter    → held (journal/coalescing.py), or else pending, in order
    write    → in the segment, numbered and hashed: it survives our death
    syncer   → on the disk: it survives the host's

`write` raises OSError where the disk refuses, and can be called again: what is
pending stays pending, in order, until it is written.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from regnal.actors.step import Decider
from regnal.journal.audience import Audience
from regnal.journal.coalescing import Coalescer, group, recalled
from regnal.journal.encoding import FORMAT, NO_HASH, Body, Hash, line
from regnal.journal.entries import (
    Entry,
    Group,
    Learned,
    NoteEntry,
    StepEntry,
)
from regnal.journal.options import JournalOptions
from regnal.journal.places import RecordNumber, segment_path
from regnal.journal.quiet import QuietFile
from regnal.journal.recovery import note_body, recover, seal_body
from regnal.journal.segment_file import SegmentFile
from regnal.journal.stamps import Stamper, hlc_text, wall_text
from regnal.messages.base import Bytes, Instant, MemberName, Seconds
from regnal.messages.envelope import PartName

BATCH: Bytes = 1024 * 1024
"""About so much is written at once."""

LOOK_AFTER_FILE: Seconds = 10.0
"""How often we look whether somebody removed the segment."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose journal it is; every segment begins with it."""

    member: MemberName
    scope: str
    versions: tuple[tuple[str, str], ...]
    """Program and version, such as ("regnal", "0.1.0")."""

    boot_id: str
    """Instants compare only within one boot."""


class Head(NamedTuple):
    """The last record of the chain."""

    number: RecordNumber
    hash: Hash

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


class Ledger:
    """The chain, its current segment, and what waits to be written."""

    def __init__(
        self,
        directory: Path,
        identity: Identity,
        stamper: Stamper,
        deciders: Sequence[Decider[Any]],
        options: JournalOptions,
        retire: Callable[[SegmentFile], None] = SegmentFile.close,
    ) -> None:
        """`retire` takes over each segment file when it is sealed."""
        self.head = Head(0, NO_HASH)
        self.file: SegmentFile | None = None
        """None while no segment could be begun."""

        self._directory = directory
        self._identity = identity
        self._stamper = stamper
        self._options = options
        self._retire = retire
        self._audience = Audience(identity.member, deciders)
        self._coalescer = Coalescer(self._audience, options.quiet_bytes)
        self._quiet: QuietFile | None = None
        self._quiet_is_stale = False
        self._quiet_since: Instant | None = None
        self._pending: deque[Group] = deque()
        self._next_segment: str | None = "opened"
        """Why a segment is to be begun; None: the current one goes on."""

        self._begun_at: Instant = 0.0
        self._looked_at: Instant = 0.0

    @property
    def has_pending(self) -> bool:
        return bool(self._pending) or self._next_segment is not None

    def open(self) -> tuple[Path, ...]:
        """Mend what is there and begin a segment.

        Returns the segments that were left uncompressed.  Raises OSError.
        """
        recovered = recover(self._directory, self._stamper)
        self.head = Head(recovered.number, recovered.hash)
        self._quiet = QuietFile(self._directory)
        self._quiet.mend((), self.head.number)
        self._mend_segment()
        return recovered.finished

    def enter(self, entry: Entry) -> None:
        """Hold the entry, or let it wait for `write`.  Never fails."""
        if isinstance(entry, StepEntry) and entry.body is None:
            self._audience.learn({entry.actor: entry.learned})
            return
        held = self._coalescer.hold(entry)
        if held is None:
            self.release()
        if isinstance(entry, StepEntry):
            self._audience.learn({entry.actor: entry.learned})
        for message in entry.messages:
            self._audience.say(message)
        if held is None:
            self._pending.append(group(entry))
        else:
            self._hold(entry)

    def release(self) -> None:
        """Let what is held be written."""
        if self._coalescer.omitted:
            self._coalescer.thin_out()
            self._pending.append(self._omission())
        self._pending.extend(self._coalescer.release())
        self._quiet_since = None
        self._quiet_is_stale = True

    def lose(
        self, why: str, learned: Mapping[PartName, Learned], **what: object
    ) -> None:
        """Note that records are missing here; a snapshot follows."""
        body = note_body(self._stamper, "gap", why=why, **what)
        self.enter(NoteEntry(body, is_break=True))
        self._audience.learn(learned)

    def write(self) -> None:
        """Write all that is pending.  Raises OSError."""
        self._look_after_file()
        if self.file is None:
            self._mend_segment()
        while self._pending:
            self._write_batch()
            if self._next_segment == "gap":
                self._mend_segment()
        if self._next_segment is not None and self.file is not None:
            self.release()  # what happened in a segment stands in it
            while self._pending:
                self._write_batch()
        self._mend_segment()
        self._mend_quiet()

    def next_due(self) -> Instant:
        """When `tick` should be called at the latest."""
        due = self._begun_at + self._options.segment_age
        if self._quiet_since is not None:
            due = min(due, self._quiet_since + self._options.coalesce_seconds)
        return due

    def tick(self) -> None:
        """Do what time demands.  Raises OSError."""
        now = self._stamper.clocks.boot()
        since = self._quiet_since
        if since is not None and now >= since + self._options.coalesce_seconds:
            self.release()
        if now >= self._begun_at + self._options.segment_age:
            self._next_segment = self._next_segment or "age"
        self.write()

    def roll(self, why: str) -> None:
        """Seal the segment and begin another.  Raises OSError."""
        self.release()
        self.write()
        self._next_segment = why
        self.write()

    def close(self) -> None:
        """Write everything and seal the segment.  Raises OSError."""
        self.release()
        self.write()
        self._seal("closed")
        if self._quiet is not None:
            self._quiet.close()

    def _hold(self, entry: Entry) -> None:
        if self._quiet_since is None:
            self._quiet_since = self._stamper.clocks.boot()
        if self._coalescer.is_too_much:
            self._coalescer.thin_out()
            self._quiet_is_stale = True
            if not self._coalescer.is_quiet:
                self.release()
        if self._pending or self._quiet is None or self._quiet_is_stale:
            self._quiet_is_stale = True
            return
        try:
            self._quiet.hold(entry.bodies, self.head.number)
        except OSError:
            # It protects against our being killed only; `write` tries again.
            self._quiet_is_stale = True

    def _omission(self) -> Group:
        """What says that records were left out, and where the actors stand."""
        omitted = self._coalescer.omitted
        note = note_body(self._stamper, "quiet", omitted=omitted)
        return Group([note, *self._snapshot()], NoteEntry(note))

    def _snapshot(self) -> Iterator[Body]:
        hlc, at = hlc_text(self._stamper.stamp()), self._stamper.clocks.boot()
        return self._audience.snapshot({"hlc": hlc, "at": at})

    def _mend_quiet(self) -> None:
        """Let the quiet file say what is held now."""
        if not self._quiet_is_stale or self._quiet is None:
            return
        groups = [held.bodies for held in self._coalescer.held]
        if self._coalescer.omitted:
            groups.insert(0, self._omission().bodies)
        self._quiet.mend(groups, self.head.number)
        self._quiet_is_stale = False

    def _write_batch(self) -> None:
        assert self.file is not None
        groups: list[Group] = []
        size: Bytes = 0
        for one in self._pending:
            groups.append(one)
            size += sum(map(len, one.bodies))
            if size >= BATCH or _is_break(one):
                break
        self.head = self._append(body for one in groups for body in one.bodies)
        for _ in groups:
            self._pending.popleft()
        self._quiet_is_stale = True
        if _is_break(groups[-1]):
            self._next_segment = "gap"
        elif self.file.size >= self._options.segment_bytes:
            self._next_segment = "size"

    def _append(self, bodies: Iterable[Body]) -> Head:
        """Write the records; returns the new head.  Raises OSError."""
        assert self.file is not None
        head, lines = self.head, []
        for body in bodies:
            text, own = line(head.number + 1, body, head.hash)
            head = Head(head.number + 1, own)
            lines.append(text)
        self.file.append(b"".join(lines))
        return head

    def _mend_segment(self) -> None:
        """See to it that there is a segment to write to.  Raises OSError."""
        why = self._next_segment
        if why is None:
            return
        if self.file is not None:
            self._seal(why)
        self._begin(why)
        self._next_segment = None

    def _seal(self, why: str) -> None:
        assert self.file is not None
        self.head = self._append([seal_body(self._stamper, why)])
        self._retire(self.file)
        self.file = None

    def _begin(self, why: str) -> None:
        """Begin a segment: who we are, where every actor stands, what is on its way."""
        at = self._stamper.clocks.boot()
        self._directory.mkdir(parents=True, exist_ok=True)
        file = SegmentFile(segment_path(self._directory, self.head.number + 1))
        self.file = file
        try:
            self.head = self._append(
                [self._start_body(why), *self._snapshot(), *self._on_its_way()]
            )
        except OSError:
            self.file = None
            file.close()
            with contextlib.suppress(OSError):
                file.path.unlink()
            raise
        self._begun_at = at
        self._quiet_is_stale = True

    def _on_its_way(self) -> Iterator[Body]:
        """Messages in the segment before that somebody has yet to hear."""
        for message in self._audience.unheard():
            if message.is_written:
                yield recalled(message)

    def _start_body(self, why: str) -> Body:
        return note_body(
            self._stamper,
            "start",
            format=FORMAT,
            member=self._identity.member,
            scope=self._identity.scope,
            incarnation=self._stamper.incarnation,
            boot=self._identity.boot_id,
            wall=wall_text(self._stamper.clocks.wall()),
            versions=dict(self._identity.versions),
            why=why,
            previous=self.head.hash,
        )

    def _look_after_file(self) -> None:
        """A file that was removed takes records without an error: notice it."""
        now = self._stamper.clocks.boot()
        if self.file is None or now < self._looked_at + LOOK_AFTER_FILE:
            return
        self._looked_at = now
        if not self.file.is_gone():
            return
        first = int(self.file.path.stem.removeprefix("journal-"))
        self._retire(self.file)
        self.file, self._next_segment = None, "gone"
        lost = self.head.number - first + 1
        body = note_body(self._stamper, "gap", why="the segment was removed", lost=lost)
        note = NoteEntry(body)  # no break: the segment begins with a snapshot anyway
        self._pending.appendleft(Group([body], note))


def _is_break(group: Group) -> bool:
    return isinstance(group.entry, NoteEntry) and group.entry.is_break
