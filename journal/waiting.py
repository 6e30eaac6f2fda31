"""Waiting for the disk, but never long: tickets, and what became of a record."""

import threading
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
    """Handed in with a record by whoever waits for it; used once."""

    __slots__ = ("_kept", "_lock", "is_durable")

    def __init__(self, *, is_durable: bool) -> None:
        self.is_durable = is_durable
        self._kept = Kept.QUEUED
        self._lock = threading.Lock()
        self._lock.acquire()

    def answer(self, kept: Kept) -> None:
        """Let the waiting thread go on."""
        self._kept = kept
        self._lock.release()

    def wait(self, patience: Seconds) -> Kept | None:
        """What became of the record; None: no answer within `patience`."""
        return self._kept if self._lock.acquire(timeout=patience) else None
