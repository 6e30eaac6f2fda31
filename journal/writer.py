"""The writer: how the daemon's threads put messages and steps into the journal.

A step is written, together with what it said, before anything of it is sent
where it could have an effect: a step that orders something waits until the
record survives the daemon's death, one that decides who may write until it
survives the host's.  What nobody outside can notice (an observation, a step that
ordered nothing) is queued: it is always written before what follows from it.

The journal never blocks safety.  Nobody waits longer than `patience`; once that
was in vain, nobody waits at all until the disk has caught up.
"""

import contextlib
import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from regnal.actors.step import Decider, Step
from regnal.journal.entries import (
    Entry,
    Loss,
    NoteEntry,
    message_entry,
    size_of,
    step_entry,
)
from regnal.journal.incarnations import next_incarnation
from regnal.journal.ledger import Head, Identity, Ledger
from regnal.journal.options import JournalOptions
from regnal.journal.pins import Pins
from regnal.journal.places import JournalUnusable, RecordNumber, take_lock
from regnal.journal.recovery import note_body
from regnal.journal.retention import Expired, Janitor
from regnal.journal.stamps import Clocks, Stamper
from regnal.journal.syncing import Syncer
from regnal.journal.waiting import (
    NOT_RECORDED,
    NOTHING_TO_WAIT_FOR,
    DiskWork,
    Kept,
    Ticket,
)
from regnal.messages.base import Bytes, Command, Message, Seconds
from regnal.messages.envelope import Envelope, HybridTime, PartName

logger = logging.getLogger(__name__)

_OPERATOR_MUST_MEND = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}
"""Errors of a wrong configuration; all others are troubles of a disk."""

_LONGEST_NAP: Seconds = 60.0
"""Between two looks at the clock; nothing is due more exactly."""


class _Item(NamedTuple):
    entry: Entry | Loss | None
    """None: somebody only waits for what came before."""

    size: Bytes
    ticket: Ticket | None


class JournalWriter:
    """The journal of this member, open for writing; safe from any thread."""

    def __init__(
        self,
        directory: Path,
        identity: Identity,
        deciders: Sequence[Decider[Any]],
        options: JournalOptions | None = None,
        *,
        clocks: Clocks | None = None,
        fdatasync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        """Open the journal, or create it, and start its threads.

        A disk that is full or broken is no reason not to start: then the journal
        is written as soon as it can be.  Raises JournalUnusable where a person
        must mend something first, such as permissions.
        """
        self._options = options or JournalOptions()
        self._clocks = clocks or Clocks()
        self._lock_file: int | None = None
        with _errors_explained(directory):
            self._prepare(directory)
            incarnation = next_incarnation(directory, self._clocks)
        self.stamper = Stamper(identity.member, incarnation, self._clocks)

        self._syncer = Syncer(self._sealed, self._sync_refused, fdatasync)
        self.pins = Pins(directory)
        """Which segments retention keeps, and for which incidents."""

        self._janitor = Janitor(
            directory, self._options, self._clocks.wall, self._expired, self.pins
        )
        self._ledger = Ledger(
            directory,
            identity,
            self.stamper,
            deciders,
            self._options,
            self._syncer.retire,
        )
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._lock = threading.Lock()
        """Guards the next two."""

        self._buffered: Bytes = 0
        self._loss = Loss()
        self._is_open = False
        self._taken: Bytes = 0
        self._work = DiskWork()
        self._trouble: str | None = None
        self._written = threading.Condition()
        self._thread = threading.Thread(
            target=self._run, name="journal-writer", daemon=True
        )
        try:
            with _errors_explained(directory):
                self._try_to_write()
        except JournalUnusable:
            self._unlock()
            raise
        for thread in (self._thread, self._syncer, self._janitor):
            thread.start()

    @property
    def head(self) -> Head:
        """The last record in the chain: other hosts witness it."""
        return self._ledger.head

    @property
    def trouble(self) -> str | None:
        """Why the disk does not take records; None: it does."""
        return self._trouble

    def message(self, envelope: Envelope[Message]) -> Kept:
        """Record an observation or outcome, before it is delivered to anybody."""
        return self._put(message_entry(envelope), envelope.hlc, None).wait(0)

    def step(
        self,
        actor: PartName,
        heard: Envelope[Message],
        step: Step[Any],
        said: Sequence[Envelope[Message]],
        *,
        durable: bool,
    ) -> Kept:
        """Record a step and what it said, before any of it is sent.

        `durable`: the step may change who accepts writes.
        """
        ticket = self.record_step(actor, heard, step, said, durable=durable)
        return self.wait_for(ticket)

    def record_step(
        self,
        actor: PartName,
        heard: Envelope[Message],
        step: Step[Any],
        said: Sequence[Envelope[Message]],
        *,
        durable: bool,
    ) -> Ticket:
        """As `step`, but the caller waits later, with `wait_for`: the bus does not
        hold its lock for the time of a disk."""
        if said:
            stamp = said[0].hlc, said[0].at
        else:
            stamp = self.stamper.stamp(), self._clocks.boot()
        entry = step_entry(actor, heard, step, said, stamp)
        return self._put(entry, stamp[0], self._ticket(said, durable=durable))

    def wait_for(self, ticket: Ticket) -> Kept:
        """Wait until the step is kept as well as it must be, or patience ends."""
        kept = ticket.wait(self._options.patience)
        if ticket.is_open:
            self._work.give_up()
            self._syncer.work.give_up()
        return kept

    def wait_beyond(self, number: RecordNumber, timeout: Seconds) -> bool:
        """Wait until the chain has a record after `number`; whether it has."""
        with self._written:
            return self._written.wait_for(lambda: self.head.number > number, timeout)

    def keep(self) -> Head | None:
        """Bring what is in the chain now to the disk; its head, which survives a
        failure of the power then.  None: the disk does not answer in time.

        What is held back (see `journal/coalescing.py`) is not in the chain.
        """
        head, ticket = self.head, Ticket(is_durable=True)
        self._queue.put(_Item(None, 0, ticket))
        kept = ticket.wait(self._options.patience)
        return head if kept is Kept.ON_DISK and head.number else None

    def close(self, patience: Seconds = 5.0) -> None:
        """Write what is left, seal the segment, end the threads.

        What the disk has not taken within `patience` is lost.
        """
        self._janitor.stop(patience)  # first: what it removes is written down
        self._queue.put(None)
        self._thread.join(patience)
        self._syncer.stop(patience)
        self._unlock()

    # What the callers' threads do.

    def _ticket(
        self, said: Sequence[Envelope[Message]], *, durable: bool
    ) -> Ticket | None:
        """Who has to wait, and for what; nobody for a disk that is late already."""
        patience = self._options.patience
        if self._trouble is not None or self._work.is_late(patience):
            return None
        if durable and not self._syncer.work.is_late(patience):
            return Ticket(is_durable=True)
        if durable or any(isinstance(e.message, Command) for e in said):
            return Ticket(is_durable=False)
        return None

    def _put(self, entry: Entry, hlc: HybridTime, ticket: Ticket | None) -> Ticket:
        """Queue the entry; where the buffer is full it is lost, and counted."""
        size = size_of(entry)
        with self._lock:
            if self._buffered + size > self._options.buffer_bytes:
                self._loss.add(entry, hlc)
                return NOT_RECORDED
            if self._loss.count:
                self._queue.put(_Item(self._loss, 0, None))
                self._loss = Loss()
            self._buffered += size
            self._queue.put(_Item(entry, size, ticket))
        return ticket or NOTHING_TO_WAIT_FOR

    # What the writer's thread does.

    def _run(self) -> None:
        is_last = False
        while not is_last:
            items, is_last = self._take()
            try:
                with self._work:
                    self._handle(items)
            except Exception:  # the edge of a thread; without it nobody would write
                logger.exception("The journal's writer failed; it goes on.")
        with contextlib.suppress(OSError):
            self._ledger.close()

    def _take(self) -> tuple[list[_Item], bool]:
        """All items that wait now; none if something else is due first."""
        items: list[_Item] = []
        try:
            item = self._queue.get(timeout=self._nap())
            while item is not None:
                items.append(item)
                item = self._queue.get_nowait()
        except Empty:
            return items, False
        return items, True

    def _nap(self) -> Seconds:
        if self._trouble is not None:
            return self._options.retry_seconds
        due = self._ledger.next_due() - self._clocks.boot()
        return min(max(due, 0.001), _LONGEST_NAP)

    def _handle(self, items: Sequence[_Item]) -> None:
        tickets = []
        for item in items:
            self._taken += item.size
            if item.ticket is not None:
                tickets.append(item.ticket)
            if isinstance(item.entry, Loss):
                self._note_loss(item.entry)
            elif item.entry is not None:
                self._ledger.enter(item.entry)
        try:
            self._try_to_write()
            self._try_to_note_loss()
        finally:
            self._answer(tickets)
        with self._written:
            self._written.notify_all()

    def _try_to_write(self) -> None:
        """Write all that is pending, if the disk takes it."""
        try:
            if not self._is_open:
                for path in self._ledger.open():
                    self._janitor.take(path)
                self._is_open = True
            self._ledger.tick()
        except OSError as error:
            if not self._thread.is_alive():  # still opening
                _report_wrong_configuration(error)
            if self._trouble is None:
                logger.error(
                    "The journal cannot be written; going on without it. "
                    "Free space or mend the disk.",
                    extra={"error": str(error)},
                )
            self._trouble = str(error)
            return
        with self._lock:
            self._buffered -= self._taken
        self._taken = 0
        if self._trouble is not None:
            logger.info("The journal is written again.")
            self._trouble = None

    def _try_to_note_loss(self) -> None:
        """Say what is missing as soon as there is room, even if nobody speaks."""
        with self._lock:
            if self._trouble or not self._loss.count or not self._queue.empty():
                return
            loss, self._loss = self._loss, Loss()
        self._note_loss(loss)
        self._try_to_write()

    def _note_loss(self, loss: Loss) -> None:
        self._ledger.lose(
            "the disk did not take records and the buffer was full",
            loss.learned,
            lost=loss.count,
            first=loss.first,
            last=loss.last,
        )

    def _answer(self, tickets: Sequence[Ticket]) -> None:
        file = self._ledger.file
        for ticket in tickets:
            if self._trouble is not None or file is None:
                ticket.answer(Kept.QUEUED)
            elif ticket.is_durable:
                self._syncer.sync(file, ticket)
            else:
                ticket.answer(Kept.WRITTEN)

    # What the other two threads say.

    def _sealed(self, path: Path) -> None:
        self._janitor.take(path)

    def _expired(self, expired: Expired) -> None:
        note = note_body(self.stamper, "expired", **expired._asdict())
        self._queue.put(_Item(NoteEntry(note), 0, None))

    def _sync_refused(self, error: OSError) -> None:
        # After a failed fdatasync the kernel may call clean what it has dropped
        # (Rebello et al., 2020): what was written since the last one is in doubt.
        logger.error(
            "The disk failed to store the journal.", extra={"error": str(error)}
        )
        note = note_body(self.stamper, "gap", why=f"fdatasync: {error}", lost=0)
        self._queue.put(_Item(NoteEntry(note, is_break=True), 0, None))

    def _prepare(self, directory: Path) -> None:
        """Create the directory and lock it, if the disk lets us."""
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_file = take_lock(directory)
        except OSError as error:
            _report_wrong_configuration(error)

    def _unlock(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None


def _report_wrong_configuration(error: OSError) -> None:
    if error.errno in _OPERATOR_MUST_MEND:
        raise error


@contextlib.contextmanager
def _errors_explained(directory: Path) -> Iterator[None]:
    """Turn what a person must mend into JournalUnusable."""
    try:
        yield
    except OSError as error:
        raise JournalUnusable(
            f"cannot write the journal in {directory}: {error.strerror}; let the "
            "daemon's user own this directory, or choose another with journal.dir"
        ) from error
