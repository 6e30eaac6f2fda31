"""`GET /journal`: this member's record, as JSON lines while it grows, or as a bundle.

Reading the journal blocks; each reader therefore has a thread of a small pool.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs

from regnal.bridges.http.http1 import Stream
from regnal.bridges.http.reader_pool import ReaderPool, Reading
from regnal.bridges.http.responses import Response, text


class JournalSource(Protocol):
    """The journal.  Both methods raise ValueError at once if a moment cannot be read."""

    def lines(
        self, since: str | None, until: str | None, *, follow: bool
    ) -> Iterator[bytes]:
        """The records between two moments, one line each, without the line end.

        With `follow` it goes on for ever, and gives an empty line whenever it begins
        to wait for more and every few seconds while it does, so that what was read is
        sent and a client who has left is noticed.
        """
        ...

    def archive(self, since: str | None, until: str | None) -> Iterator[bytes]:
        """The segments that overlap the time, as a bundle, piece by piece."""
        ...


MAXIMUM_READERS = 4
"""At once; each holds a thread."""

LINES_AT_ONCE = 500
"""Handed over together."""


class JournalReader:
    """Where clients ask for the journal; each holds a thread."""

    def __init__(self, source: JournalSource) -> None:
        self._source = source
        self._pool = ReaderPool("http-journal", MAXIMUM_READERS)

    def start(self) -> None:
        self._pool.start()

    def stop(self) -> None:
        self._pool.stop()

    def read(self, asked: "JournalQuestion") -> Reading:
        """Raises ValueError (a moment cannot be read) or BlockingIOError (busy)."""
        return self._pool.read(lambda: self._pieces(asked))

    def _pieces(self, asked: "JournalQuestion") -> Iterator[bytes]:
        if asked.whole:
            return self._source.archive(asked.since, asked.until)
        lines = self._source.lines(asked.since, asked.until, follow=asked.follow)
        return _together(lines, asked.limit)


def _together(lines: Iterator[bytes], limit: int | None) -> Iterator[bytes]:
    """Many lines in one piece, none for long; nothing while there is none."""
    waiting: list[bytes] = []
    left = sys.maxsize if limit is None else limit
    if not left:
        return
    for line in lines:
        if line:
            waiting.append(line)
            left -= 1
        if not line or not left or len(waiting) >= LINES_AT_ONCE:
            yield b"".join(b"%b\n" % each for each in waiting)
            waiting = []
        if not left:
            return
    yield b"".join(b"%b\n" % each for each in waiting)


@dataclass(frozen=True, slots=True)
class JournalQuestion:
    since: str | None
    until: str | None
    follow: bool
    limit: int | None
    """Lines; None: all."""

    whole: bool
    """Whether whole segments are asked for, as a bundle."""


def parse_question(query: str) -> JournalQuestion:
    """Raises ValueError with a text for the client."""
    given = parse_qs(query, keep_blank_values=True, max_num_fields=20)
    values = {name: texts[-1] for name, texts in given.items()}
    for name in values:
        if name not in ("since", "until", "follow", "limit", "whole"):
            raise ValueError(f"unknown parameter {name[:100]!r}")
    limit = values.get("limit")
    if limit is not None and not (limit.isdecimal() and 0 < len(limit) < 10):
        raise ValueError("limit must be a number")
    follow, whole = _switch(values, "follow"), _switch(values, "whole")
    if whole and (follow or limit):
        raise ValueError("whole goes with since and until alone")
    return JournalQuestion(
        since=values.get("since") or None,
        until=values.get("until") or None,
        follow=follow,
        limit=int(limit) if limit else None,
        whole=whole,
    )


def _switch(values: Mapping[str, str], name: str) -> bool:
    """On without a value as well.  Raises ValueError."""
    text = values.get(name, "false").lower()
    if text not in ("", "0", "1", "false", "true"):
        raise ValueError(f"{name} must be true or false")
    return text in ("", "1", "true")


def journal(reader: JournalReader, query: str) -> Stream | Response:
    """The answer to GET /journal."""
    try:
        asked = parse_question(query)
        reading = reader.read(asked)
    except ValueError as error:
        return text(400, f"Bad parameters: {error}")
    except BlockingIOError:
        return text(503, f"{MAXIMUM_READERS} readers are busy; try again later")
    form = "application/x-tar" if asked.whole else "application/x-ndjson"
    return Stream(Response(200, content_type=form), reading.chunks())
