"""`GET /journal`: this member's record, as JSON lines, while it grows.

Reading the journal blocks; each reader therefore has a thread of a small pool, and
hands its lines over to the event loop as fast as the client takes them.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs

from regnal.bridges.http.http1 import Stream
from regnal.bridges.http.responses import Response, text
from regnal.messages.base import Seconds

logger = logging.getLogger(__name__)

ReadJournal = Callable[[str | None, str | None, bool], Iterator[str]]
"""`(since, until, follow)`: the records between two moments, one line each, without
the line end.  Raises ValueError at once if a moment cannot be read.  With `follow` it
goes on for ever, and gives an empty string whenever it begins to wait for more and
every few seconds while it does, so that what was read is sent and a client who has
left is noticed."""

MAXIMUM_READERS = 4
"""At once; each holds a thread."""

LINES_AT_ONCE = 500
"""Handed over together."""

CHUNKS_AHEAD = 4
"""Read before the client takes them."""

STOP_WITHIN: Seconds = 1


class JournalReader:
    """The threads that read; all of them are started at once."""

    def __init__(self, read_journal: ReadJournal) -> None:
        self._read_journal = read_journal
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

    def read(self, since: str | None, until: str | None, *, follow: bool) -> "_Job":
        """Raises ValueError (a moment cannot be read) or BlockingIOError (busy)."""
        if not self._free.acquire(blocking=False):
            raise BlockingIOError
        try:
            lines = self._read_journal(since, until, follow)
        except ValueError:
            self._free.release()
            raise
        job = _Job(lines, asyncio.get_running_loop())
        self._jobs.put(job)
        return job

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.run()
            except Exception:  # the edge of a thread, which has to serve the next
                logger.exception("Reading the journal for a client failed.")
            finally:
                self._free.release()


class _Job:
    """One client's reading."""

    def __init__(self, lines: Iterator[str], loop: asyncio.AbstractEventLoop) -> None:
        self._lines = lines
        self._loop = loop
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = threading.Semaphore(CHUNKS_AHEAD)
        self._given_up = threading.Event()

    def give_up(self) -> None:
        self._given_up.set()
        self._room.release()

    async def chunks(self, limit: int | None) -> AsyncIterator[bytes]:
        try:
            sent = 0
            while (chunk := await self._chunks.get()) is not None:
                self._room.release()
                if limit is not None:
                    lines = chunk.splitlines(keepends=True)[: limit - sent]
                    sent += len(lines)
                    chunk = b"".join(lines)
                yield chunk
                if limit is not None and sent >= limit:
                    return
        finally:
            self.give_up()

    def run(self) -> None:
        """In a thread of the pool."""
        try:
            lines: list[str] = []
            for line in self._lines:
                if self._given_up.is_set():
                    return
                if line:
                    lines.append(line)
                if lines and (not line or len(lines) >= LINES_AT_ONCE):
                    self._hand_over(lines)
                    lines = []
            if lines:
                self._hand_over(lines)
        finally:
            if isinstance(self._lines, Generator):
                # It may hold files open.
                self._lines.close()
            self._put(None)

    def _hand_over(self, lines: list[str]) -> None:
        self._room.acquire()
        self._put("".join(f"{line}\n" for line in lines).encode())

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


def parse_question(query: str) -> JournalQuestion:
    """Raises ValueError with a text for the client."""
    given = parse_qs(query, keep_blank_values=True, max_num_fields=20)
    values = {name: texts[-1] for name, texts in given.items()}
    for name in values:
        if name not in ("since", "until", "follow", "limit"):
            raise ValueError(f"unknown parameter {name[:100]!r}")
    limit = values.get("limit")
    if limit is not None and not (limit.isdecimal() and 0 < len(limit) < 10):
        raise ValueError("limit must be a number")
    follow = values.get("follow", "false").lower()
    if follow not in ("", "0", "1", "false", "true"):
        raise ValueError("follow must be true or false")
    return JournalQuestion(
        since=values.get("since") or None,
        until=values.get("until") or None,
        follow=follow in ("", "1", "true"),
        limit=int(limit) if limit else None,
    )


def journal(reader: JournalReader, query: str) -> Stream | Response:
    """The answer to GET /journal."""
    try:
        asked = parse_question(query)
        job = reader.read(asked.since, asked.until, follow=asked.follow)
    except ValueError as error:
        return text(400, f"Bad parameters: {error}")
    except BlockingIOError:
        return text(503, f"{MAXIMUM_READERS} readers are busy; try again later")
    return Stream(
        Response(200, content_type="application/x-ndjson"), job.chunks(asked.limit)
    )
