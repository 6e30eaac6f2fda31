"""An event loop in a thread of its own."""

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from regnal.messages.base import Seconds

try:
    import uvloop
except ImportError:  # another interpreter than CPython has none
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop

logger = logging.getLogger(__name__)

STOP_WITHIN: Seconds = 5

T = TypeVar("T")


class LoopThread:
    """Runs one event loop until stopped."""

    def __init__(self, name: str) -> None:
        self.loop = new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Cancel what runs, end the thread.  Not from the thread itself."""
        if not self._thread.is_alive():
            return
        self.run(_cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(STOP_WITHIN)

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        """Run it there, and wait; what it raises is raised here."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(STOP_WITHIN)

    def begin(self, what: Coroutine[Any, Any, None]) -> None:
        """Run it there, and go on."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(what, self.loop)
        else:
            what.close()

    def call(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Call it there, and go on; nothing if the thread has ended."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(callback, *arguments)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(_log_trouble)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _log_trouble(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """REST-43, P-REST-18: our own trouble goes to the log; that a client reset its
    connection, or spoke no TLS, is of interest to nobody."""
    error = context.get("exception")
    if isinstance(error, OSError | ssl.SSLError):
        logger.debug("%s: %s", context.get("message"), error)
        return
    logger.error("%s", context.get("message"), exc_info=error)
