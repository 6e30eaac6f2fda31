"""Serving the journal: its lines for `GET /journal`, while it grows."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from regnal.journal.chain_check import Damage
from regnal.journal.encoding import json_bytes
from regnal.journal.moments import parse_moment
from regnal.journal.places import RecordNumber
from regnal.journal.reader import Record, Window, follow, scan
from regnal.journal.stamps import Microseconds
from regnal.messages.base import Seconds

HEARTBEAT: Seconds = 5.0
"""A reader who waits is given an empty line this often, to notice who has left."""


class JournalLines:
    """Lines without their ends, as the REST API wants them."""

    def __init__(
        self,
        directory: Path,
        wait_beyond: Callable[[RecordNumber, Seconds], bool],
        wall: Callable[[], Microseconds],
    ) -> None:
        """`wait_beyond` is that of the writer."""
        self._directory = directory
        self._wait_beyond = wait_beyond
        self._wall = wall

    def __call__(
        self, since: str | None, until: str | None, is_followed: bool
    ) -> Iterator[str]:
        """Raises ValueError at once if a moment cannot be read."""
        now = self._wall()
        window = Window(
            since=None if since is None else parse_moment(since, now),
            until=None if until is None else parse_moment(until, now),
        )
        return self._followed(window) if is_followed else self._read(window)

    def _read(self, window: Window) -> Iterator[str]:
        for item in scan(self._directory, window, with_held=True):
            yield _text(item)

    def _followed(self, window: Window) -> Iterator[str]:
        """Also an empty line whenever it begins to wait, and while it does."""
        before: RecordNumber = 0
        for item in follow(self._directory, window):
            if not isinstance(item, int):
                yield _text(item)
                continue
            yield ""
            if item and item == before:
                # The writer is ahead of the files: somebody removed them.
                self._wait_beyond(sys.maxsize, HEARTBEAT)
                continue
            while not self._wait_beyond(item, HEARTBEAT):
                yield ""
            before = item


def _text(item: Record | Damage) -> str:
    if isinstance(item, Record):
        return item.line.rstrip(b"\n").decode()
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
    ).decode()
