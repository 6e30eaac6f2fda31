"""Publishers: threads that bring the journal to somebody outside, behind an outbox.

A publisher decides nothing and delays nobody: it reads what is written already, in small
portions, and where nobody takes them it waits and tries again.  What is to be sent, and
how, is the `Consumer`'s business.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from regnal.bridges.outgoing import NotSent, PartlyTaken
from regnal.journal.outbox import Gap, Item, Outbox
from regnal.journal.places import RecordNumber
from regnal.messages.base import Command, JsonText, Seconds
from regnal.messages.envelope import Envelope, PartName
from regnal.runtime.trouble_log import Tally, TroubleLog

logger = logging.getLogger(__name__)

SAVE_EVERY: Seconds = 1.0
"""So often the place in the journal is brought to the disk, which others need, too."""

IDLE: Seconds = 5.0

FIRST_BACKOFF: Seconds = 0.5
LONGEST_BACKOFF: Seconds = 30.0
LONGEST_ASKED_FOR: Seconds = 300.0
"""Longer than that nobody may keep us waiting who says when to come again."""

DRAIN_WITHIN: Seconds = 2.0
"""At the daemon's end, for what nobody has been told yet; the rest follows at its next
start."""

CLOSE_WITHIN: Seconds = 1.0

P = TypeVar("P")


class Consumer(Protocol[P]):
    """What a publisher does with records; methods belong to its thread."""

    @property
    def name(self) -> str:
        """Of the outbox, in metrics and in the log, such as `nats-events`."""
        ...

    @property
    def linger(self) -> Seconds:
        """How long to wait after the first new record: what follows goes with it, and a
        failover has the interpreter for itself."""
        ...

    @property
    def memory(self) -> JsonText | None:
        """What to give to `remember` after a restart."""
        ...

    def remember(self, memory: JsonText | None) -> None:
        """Where an earlier one ended; None: nothing is known."""
        ...

    def understand(self, items: Sequence[Item]) -> P:
        """What is to be sent of these; said once for each item, in their order."""
        ...

    def tick(self) -> P | None:
        """What is to be sent since time has passed, though nothing new is written; None:
        nothing."""
        ...

    def send(self, parcel: P) -> int:
        """Send all of it, and say how much that was.  Raises NotSent: then the same
        parcel comes again; PartlyTaken: then it does not.  Has a time limit of its
        own."""
        ...

    def close(self) -> None:
        """Let go; from any thread.  What is being sent is given up."""
        ...


class Publishing(Protocol):
    """What metrics tell of: a publisher, or who does as one."""

    @property
    def name(self) -> str: ...

    @property
    def tally(self) -> Tally: ...

    @property
    def waiting(self) -> int:
        """Records that are written and not sent."""
        ...


class Publisher(Generic[P]):
    """See `bridges.contract.Bridge`."""

    performs: tuple[type[Command], ...] = ()

    def __init__(
        self,
        consumer: Consumer[P],
        outbox: Outbox,
        head: Callable[[], RecordNumber],
        wait_beyond: Callable[[RecordNumber, Seconds], bool],
    ) -> None:
        """`head` and `wait_beyond` are those of the journal's writer."""
        self.name: PartName = consumer.name
        self.tally = Tally()
        self._consumer = consumer
        self._outbox = outbox
        self._head = head
        self._wait_beyond = wait_beyond
        self._stopping = threading.Event()
        self._until = float("inf")
        self._saved_at = 0.0
        self._troubles = TroubleLog(consumer.name, self.tally, logger)
        self._place_told = False
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    @property
    def waiting(self) -> int:
        """Records that are written and not sent."""
        return max(0, self._head() - self._outbox.position)

    def start(self) -> None:
        self._thread.start()

    def perform(self, envelope: Envelope[Command]) -> None:
        raise AssertionError(envelope.message)

    def finish(self) -> None:
        """Send what there is, and end; `stop` waits for it."""
        if not self._stopping.is_set():
            self._until = time.monotonic() + DRAIN_WITHIN
            self._stopping.set()

    def stop(self) -> None:
        self.finish()
        self._thread.join(max(0.0, self._until - time.monotonic()))
        self._consumer.close()
        self._thread.join(CLOSE_WITHIN)

    # In the publisher's thread.

    def _run(self) -> None:
        backoff = FIRST_BACKOFF
        self._consumer.remember(self._outbox.memory)
        self._save()
        while not self._is_over():
            try:
                self._publish()
            except OSError as error:
                self._fail(f"the journal cannot be read: {error}")
                self._stopping.wait(backoff)
                backoff = min(2 * backoff, LONGEST_BACKOFF)
            else:
                backoff = FIRST_BACKOFF
        self._save()
        self._outbox.close()

    def _publish(self) -> None:
        """One portion, or a moment's rest.  Raises OSError."""
        is_ending = self._stopping.is_set()  # first: what was said until then is taken
        items = self._outbox.take()
        if not items:
            if not self._tick():
                return
            self._save()
            if is_ending:
                self._until = 0.0  # all is told
            elif self._wait_beyond(self._outbox.read_to, IDLE):
                self._stopping.wait(self._consumer.linger)
            return
        for item in items:
            if isinstance(item, Gap):
                self._note(item)
        try:
            parcel = self._consumer.understand(items)
        except Exception:  # our own mistake must not keep back all that follows
            logger.exception("%s: %d records were passed over.", self.name, len(items))
            self.tally.lost_records += len(items)
        else:
            if not self._send(parcel):
                return
        self._outbox.confirm(self._consumer.memory)
        if time.monotonic() >= self._saved_at + SAVE_EVERY:
            self._save()

    def _tick(self) -> bool:
        """Nothing is new; False: the daemon ends, and what is to be said was not sent."""
        try:
            parcel = self._consumer.tick()
        except Exception as error:  # our own mistake must not end the thread
            self._fail(f"{type(error).__name__}: {error}")
            logger.debug("%s failed.", self.name, exc_info=error)
            return True
        if parcel is None:
            return True
        if not self._send(parcel):
            return False
        self._outbox.confirm(self._consumer.memory)
        return True

    def _send(self, parcel: P) -> bool:
        """Again and again; False: the daemon ends, and it was not sent."""
        backoff = FIRST_BACKOFF
        while True:
            not_before: Seconds = 0.0
            try:
                count = self._consumer.send(parcel)
            except NotSent as error:
                self._fail(str(error))
                not_before = min(error.after, LONGEST_ASKED_FOR)
            except PartlyTaken as error:
                self._troubles.refuse(error)
                return True
            except Exception as error:  # the edge of a thread that has to go on
                self._fail(f"{type(error).__name__}: {error}")
                logger.debug("%s failed.", self.name, exc_info=error)
            else:
                self._troubles.succeed(count)
                return True
            if self._stopping.wait(max(backoff, not_before)):
                self._until = 0.0
                return False
            backoff = min(2 * backoff, LONGEST_BACKOFF)

    def _is_over(self) -> bool:
        return self._stopping.is_set() and time.monotonic() >= self._until

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        try:
            self._outbox.save()
        except OSError as error:
            if not self._place_told:
                logger.warning(
                    "%s: its place in the journal cannot be kept, so that a restart goes "
                    "on at an earlier one: %s",
                    self.name,
                    error,
                )
            self._place_told = True
        else:
            self._place_told = False

    def _fail(self, why: str) -> None:
        waiting = f"and tried again ({self.waiting} records wait in the journal)"
        self._troubles.fail(why, waiting)

    def _note(self, gap: Gap) -> None:
        self.tally.lost_records += gap.size
        logger.warning(
            "%s: records %d to %d of the journal were removed before they could be "
            "published; a larger journal.max_size or journal.retention_days keeps them "
            "for longer",
            self.name,
            gap.first,
            gap.last,
        )
