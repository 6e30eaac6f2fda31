"""Threads that read for clients, where reading blocks: each hands over to the event loop
as fast as its client takes it."""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator

from regnal.messages.base import Seconds

logger = logging.getLogger(__name__)

CHUNKS_AHEAD = 4
"""Read before the client takes them."""

STOP_WITHIN: Seconds = 1


class ReaderPool:
    """The threads that read; all of them are started at once."""

    def __init__(self, name: str, count: int) -> None:
        """`count` clients at once; each holds a thread."""
        self._jobs: queue.SimpleQueue[Reading | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(count)
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(count)
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

    def read(self, opened: Callable[[], Iterator[bytes]]) -> "Reading":
        """Read what `opened` gives, piece by piece; an empty piece is not handed over.

        Raises ValueError where `opened` does, BlockingIOError where all are busy.
        """
        if not self._free.acquire(blocking=False):
            raise BlockingIOError
        try:
            pieces = opened()
        except ValueError:
            self._free.release()
            raise
        reading = Reading(pieces, asyncio.get_running_loop())
        self._jobs.put(reading)
        return reading

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.run()
            except Exception:  # the edge of a thread, which has to serve the next
                logger.exception("Reading the journal for a client failed.")
            finally:
                self._free.release()


class Reading:
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
