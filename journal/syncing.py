"""Group commit: one thread that brings segments to the disk, for all who wait.

Whoever waits while a `fdatasync` is under way is served by the next one, all
together.  Segments that are sealed come here to be brought to the disk and closed.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from regnal.journal.places import sync_directory
from regnal.journal.segment_file import SegmentFile
from regnal.journal.waiting import DiskWork, Kept, Ticket
from regnal.messages.base import Seconds


class _Job(NamedTuple):
    file: SegmentFile
    ticket: Ticket | None
    """None: the file is sealed; close it."""


class Syncer:
    """The thread of `fdatasync`."""

    def __init__(
        self,
        sealed: Callable[[Path], None],
        refused: Callable[[OSError], None],
        fdatasync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        """`sealed` hears of every segment that is whole on the disk; `refused` of
        errors, after which the kernel may have forgotten what was written."""
        self._sealed = sealed
        self._refused = refused
        self._fdatasync = fdatasync
        self.work = DiskWork()
        self._inbox: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, name="journal-sync", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def sync(self, file: SegmentFile, ticket: Ticket) -> None:
        """Answer the ticket when what is in the file now is on the disk."""
        self._inbox.put(_Job(file, ticket))

    def retire(self, file: SegmentFile) -> None:
        """Bring the sealed segment to the disk, close it, and say so."""
        self._inbox.put(_Job(file, None))

    def stop(self, patience: Seconds) -> None:
        """End the thread after what it has to do, if the disk lets it."""
        self._inbox.put(None)
        self._thread.join(patience)

    def _run(self) -> None:
        while True:
            jobs, is_last = self._take()
            done: dict[SegmentFile, bool] = {}
            for job in jobs:
                if job.file not in done:
                    done[job.file] = self._bring_to_disk(job.file)
            for job in jobs:
                if job.ticket is not None:
                    job.ticket.answer(Kept.ON_DISK if done[job.file] else Kept.WRITTEN)
                else:
                    job.file.close()
                    self._sealed(job.file.path)
            if is_last:
                return

    def _take(self) -> tuple[list[_Job], bool]:
        """All jobs that wait now, at least one; whether they are the last."""
        jobs: list[_Job] = []
        job = self._inbox.get()
        while job is not None:
            jobs.append(job)
            try:
                job = self._inbox.get_nowait()
            except Empty:
                return jobs, False
        return jobs, True

    def _bring_to_disk(self, file: SegmentFile) -> bool:
        try:
            with self.work:
                self._fdatasync(file.descriptor)
                if not file.is_announced:
                    sync_directory(file.path.parent)
                    file.is_announced = True
        except OSError as error:
            self._refused(error)
            return False
        return True
