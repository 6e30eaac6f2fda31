"""`GET /journal`: this member's record, as JSON lines while it grows, or as a bundle.

Reading the journal blocks; each reader therefore has a thread of a small pool, and
hands what it reads over to the event loop as fast as the client takes it.
"""

import asyncio
import logging
import queue
import sys
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs

from regnal.bridges.http.http1 import Stream
from regnal.bridges.http.responses import Response, text
from regnal.messages.base import Seconds

logger = logging.getLogger(__name__)


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

CHUNKS_AHEAD = 4
"""Read before the client takes them."""

STOP_WITHIN: Seconds = 1


class JournalReader:
    """The threads that read; all of them are started at once."""

    def __init__(self, source: JournalSource) -> None:
        self._source = source
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(MAXIMUM_READERS)
        self._threads = [
            threading.Thread(
                target=self._work, name=f"http-journal-{number}", daemon=True
            )
            for number in range(MAXIMUM_READERS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Readers whose clients have left are given a moment; one that is stuck in a
        read does not keep the daemon."""
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + STOP_WITHIN
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def read(self, asked: "JournalQuestion") -> "_Job":
        """Raises ValueError (a moment cannot be read) or BlockingIOError (busy)."""
        if not self._free.acquire(blocking=False):
            raise BlockingIOError
        try:
            pieces = self._pieces(asked)
        except ValueError:
            self._free.release()
            raise
        job = _Job(pieces, asyncio.get_running_loop())
        self._jobs.put(job)
        return job

    def _pieces(self, asked: "JournalQuestion") -> Iterator[bytes]:
        if asked.whole:
            return self._source.archive(asked.since, asked.until)
        lines = self._source.lines(asked.since, asked.until, follow=asked.follow)
        return _together(lines, asked.limit)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.run()
            except Exception:  # the edge of a thread, which has to serve the next
                logger.exception("Reading the journal for a client failed.")
            finally:
                self._free.release()


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


class _Job:
    """One client's reading."""

    def __init__(
        self, pieces: Iterator[bytes], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._pieces = pieces
        self._loop = loop
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = threading.Semaphore(CHUNKS_AHEAD)
        self._given_up = threading.Event()

    def give_up(self) -> None:
        self._given_up.set()
        self._room.release()

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while (chunk := await self._chunks.get()) is not None:
                self._room.release()
                yield chunk
        finally:
            self.give_up()

    def run(self) -> None:
        """In a thread of the pool."""
        try:
            for piece in self._pieces:
                if self._given_up.is_set():
                    return
                if piece:
                    self._room.acquire()
                    self._put(piece)
        finally:
            if isinstance(self._pieces, Generator):
                # It may hold files open.
                self._pieces.close()
            self._put(None)

    def _put(self, chunk: bytes | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)


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
        job = reader.read(asked)
    except ValueError as error:
        return text(400, f"Bad parameters: {error}")
    except BlockingIOError:
        return text(503, f"{MAXIMUM_READERS} readers are busy; try again later")
    form = "application/x-tar" if asked.whole else "application/x-ndjson"
    return Stream(Response(200, content_type=form), job.chunks())
