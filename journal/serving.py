"""Serving the journal for `GET /journal`: its lines while it grows, or whole segments."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from regnal.journal.bundles import Bundle, Content, Making
from regnal.journal.chain_check import Damage
from regnal.journal.encoding import json_bytes
from regnal.journal.moments import parse_moment
from regnal.journal.places import RecordNumber
from regnal.journal.reader import Record, Window, follow, scan
from regnal.journal.stamps import Microseconds, wall_text
from regnal.messages.base import Seconds

HEARTBEAT: Seconds = 5.0
"""A reader who waits is given an empty line this often, to notice who has left."""


class ServedJournal:
    """The journal of this member, as the REST API wants it."""

    def __init__(
        self,
        directory: Path,
        wait_beyond: Callable[[RecordNumber, Seconds], bool],
        wall: Callable[[], Microseconds],
        made_by: str,
    ) -> None:
        """`wait_beyond` is that of the writer; `made_by`: program and version."""
        self._directory = directory
        self._wait_beyond = wait_beyond
        self._wall = wall
        self._made_by = made_by

    def lines(
        self, since: str | None, until: str | None, *, follow: bool
    ) -> Iterator[bytes]:
        """Lines without their ends.  Raises ValueError at once if a moment cannot be
        read."""
        window = self._window(since, until)
        return self._followed(window) if follow else self._read(window)

    def archive(self, since: str | None, until: str | None) -> Iterator[bytes]:
        """A bundle of the segments that overlap the time, as they lie on the disk: who
        receives it checks the chain, and nothing of it is parsed here.

        Raises ValueError at once if a moment cannot be read.
        """
        making = Making(
            made_at=wall_text(self._wall()),
            made_by=self._made_by,
            window=self._window(since, until),
        )
        return Bundle([Content(self._directory)], making, is_checked=False).chunks()

    def _window(self, since: str | None, until: str | None) -> Window:
        now = self._wall()
        return Window(
            since=None if since is None else parse_moment(since, now),
            until=None if until is None else parse_moment(until, now),
        )

    def _read(self, window: Window) -> Iterator[bytes]:
        for item in scan(self._directory, window, with_held=True):
            yield _line(item)

    def _followed(self, window: Window) -> Iterator[bytes]:
        """Also an empty line whenever it begins to wait, and while it does."""
        before: RecordNumber = 0
        for item in follow(self._directory, window):
            if not isinstance(item, int):
                yield _line(item)
                continue
            yield b""
            if item and item == before:
                # The writer is ahead of the files: somebody removed them.
                self._wait_beyond(sys.maxsize, HEARTBEAT)
                continue
            while not self._wait_beyond(item, HEARTBEAT):
                yield b""
            before = item


def _line(item: Record | Damage) -> bytes:
    if isinstance(item, Record):
        return item.line.rstrip(b"\n")
    return json_bytes(
        {
            "kind": "damage",
            "what": item.what,
            "segment": item.segment.name,
            "offset": item.offset,
            "first": item.first,
            "last": item.last,
            "text": item.text,
        }
    )
