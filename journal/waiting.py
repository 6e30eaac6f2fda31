"""Waiting for the disk, but never long: tickets, and what became of a record."""

import threading
import time
from enum import Enum

from regnal.messages.base import Seconds


class Kept(Enum):
    """How safe a record is when the call returns."""

    ON_DISK = "on disk"
    """It survives a power failure."""

    WRITTEN = "written"
    """It survives the death of the daemon."""

    QUEUED = "queued"
    """It will be written in its order; the disk is late, or nobody had to wait."""

    LOST = "lost"
    """The buffer is full; the journal will say that something is missing."""


class Ticket:
    """Handed in with a record by whoever waits for it; one thread waits."""

    __slots__ = ("_kept", "_lock", "is_durable")

    def __init__(self, *, is_durable: bool, kept: Kept | None = None) -> None:
        """`kept`: what became of the record, where nobody has to wait for it."""
        self.is_durable = is_durable
        self._kept = kept
        self._lock = threading.Lock()
        if kept is None:
            self._lock.acquire()

    @property
    def is_open(self) -> bool:
        """Whether it has not been answered."""
        return self._kept is None

    def answer(self, kept: Kept) -> None:
        """Let the waiting thread go on; said once."""
        self._kept = kept
        self._lock.release()

    def wait(self, patience: Seconds) -> Kept:
        """What became of the record; QUEUED if there is no answer in time."""
        if self._lock.acquire(timeout=patience):
            self._lock.release()
        return self._kept or Kept.QUEUED


class DiskWork:
    """What one thread is doing with the disk, as those who wait for it see it."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._given_up: float | None = None

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._since = None

    def give_up(self) -> None:
        """Somebody has waited in vain: until this is done nobody else shall."""
        self._given_up = self._since

    def is_late(self, patience: Seconds) -> bool:
        """Whether it is not worth waiting for."""
        since = self._since
        if since is None:
            return False
        return since == self._given_up or time.monotonic() > since + patience


NOTHING_TO_WAIT_FOR = Ticket(is_durable=False, kept=Kept.QUEUED)
NOT_RECORDED = Ticket(is_durable=False, kept=Kept.LOST)
