"""Retention: what becomes of sealed segments, in a thread of its own.

They are compressed, and removed by age and by total size, oldest first.  Pinned
segments (around an incident) stay until they are unpinned or very old.
"""

import gzip
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from regnal.journal.options import JournalOptions
from regnal.journal.pins import Pins
from regnal.journal.places import (
    RecordNumber,
    Segment,
    open_draft,
    segment_at,
    segments,
    sync_directory,
)
from regnal.journal.stamps import Microseconds
from regnal.journal.tail import tail_of
from regnal.messages.base import Bytes, Seconds

logger = logging.getLogger(__name__)

_CHUNK: Bytes = 1024 * 1024


class Expired(NamedTuple):
    """A hole in the journal: records removed because they were old or too many."""

    first: RecordNumber
    last: RecordNumber


def compress(path: Path) -> Path:
    """Replace the segment by its compressed self.  Raises OSError.

    A crash leaves the plain file, the compressed one or both; never a half.
    """
    draft = path.with_name(f"{path.name}.gz.new")
    final = path.with_name(f"{path.name}.gz")
    with path.open("rb") as plain, open_draft(draft) as raw:
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
            shutil.copyfileobj(plain, packed, _CHUNK)
        raw.flush()
        os.fsync(raw.fileno())
    stat = path.stat()
    os.utime(draft, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # retention goes by it
    draft.replace(final)
    sync_directory(path.parent)
    path.unlink()
    return final


def overdue(
    directory: Path, options: JournalOptions, wall: Microseconds
) -> Iterator[tuple[Segment, Expired]]:
    """Segments that are too old or too much; never the newest.  Raises OSError.

    Each with the hole that its removal leaves, as a whole: the records that tell
    of earlier removals expire too.
    """
    found = segments(directory)
    sizes = {segment: segment.path.stat().st_size for segment in found}
    total = sum(sizes.values())
    kept: Segment | None = None
    for segment, following in pairwise(found):
        age = wall / 1_000_000 - segment.path.stat().st_mtime
        if not _may_go(segment, age, total, options):
            kept = segment
            continue
        total -= sizes[segment]
        first = 1 if kept is None else tail_of(kept).number + 1
        yield segment, Expired(first, following.first - 1)


def remove(segment: Segment) -> None:
    """Raises OSError."""
    segment.path.unlink()
    segment.pin.unlink(missing_ok=True)


def _may_go(
    segment: Segment, age: Seconds, total: Bytes, options: JournalOptions
) -> bool:
    if segment.pin.exists():
        return age > options.keep_pinned_age
    return age > options.keep_age or total > options.keep_bytes


class Janitor:
    """The thread that compresses and removes."""

    def __init__(
        self,
        directory: Path,
        options: JournalOptions,
        wall: Callable[[], Microseconds],
        expired: Callable[[Expired], None],
        pins: Pins,
    ) -> None:
        """`expired` hears of what will be removed, so that the journal can say it."""
        self._directory = directory
        self._options = options
        self._wall = wall
        self._expired = expired
        self._pins = pins
        self._inbox: SimpleQueue[Path | None] = SimpleQueue()
        self._is_stopping = False
        self._thread = threading.Thread(
            target=self._run, name="journal-retention", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def take(self, path: Path) -> None:
        """The segment is sealed and on the disk."""
        self._inbox.put(path)

    def stop(self, patience: Seconds) -> None:
        """End the thread after the segment that it has in hand."""
        self._is_stopping = True
        self._inbox.put(None)
        self._thread.join(patience)

    def _run(self) -> None:
        while (path := self._inbox.get()) is not None and not self._is_stopping:
            try:
                self._look_after(path)
            except OSError as error:
                # The segment stays as it is; the next one is tried again.
                logger.warning(
                    "A journal segment could not be compressed or removed.",
                    extra={"segment": str(path), "error": str(error)},
                )

    def _look_after(self, path: Path) -> None:
        self._pins.cover()  # first: nothing of an open incident may go
        if segment_at(path) is not None and path.suffix != ".gz" and path.exists():
            compress(path)
        for segment, hole in overdue(self._directory, self._options, self._wall()):
            self._expired(hole)  # first: a hole that nobody told of is damage
            remove(segment)
