"""The watch of etcd: from the first read to the events that follow, for ever.

Any gap - the connection ended, the server fell behind, a change was not told that we
know of - is answered by reading everything anew, on whatever server answers.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from regnal.bridges.contract import Clock
from regnal.bridges.dcs.contract import StoreDenied, StoreUnavailable
from regnal.bridges.dcs.etcd3_cache import WatchCache, WatchEvent
from regnal.bridges.dcs.etcd3_client import Etcd3Client
from regnal.bridges.dcs.etcd3_protocol import (
    Trouble,
    encoded,
    error_in,
    header_of,
    key_value,
    key_values,
    range_below,
    range_end,
    trouble_of,
)
from regnal.bridges.dcs.etcd3_server import NodeFailed, inner_answer
from regnal.bridges.dcs.keys import StoredKey
from regnal.bridges.dcs.line_stream import LineStream, StreamEnded
from regnal.messages.base import Seconds

Report: TypeAlias = Callable[[Mapping[str, StoredKey]], None]
"""Hears of all keys, by whole path."""

logger = logging.getLogger(__name__)

READ_LIMIT: Seconds = 3.0
"""For the first read, on all servers together; then the store is unavailable."""

OPEN_LIMIT: Seconds = 3.0
"""For one server to accept the watch."""

LOOK_UP_PERIOD: Seconds = 0.5
"""Between looks whether the watch is late."""

FIRST_PAUSE: Seconds = 0.1
LAST_PAUSE: Seconds = 2.0
"""After gaps that come one upon another, each pause double the one before, so that a
server in trouble is not hammered."""

SERVED_LONG: Seconds = 5.0
"""A watch that lived so long gets no pause after it."""


class Etcd3Watch:
    def __init__(
        self, client: Etcd3Client, prefix: str, cache: WatchCache, clock: Clock
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._cache = cache
        self._clock = clock
        self._lock = threading.Lock()
        self._stream: LineStream | None = None
        self._closing = threading.Event()

    def run(self, report: Report) -> None:
        """Report all keys now and after each change; returns after `close`.

        Raises StoreUnavailable if no server answers.
        """
        pause = 0.0
        while not self._closing.is_set():
            try:
                self._read_all(report)
            except StoreUnavailable:
                if self._closing.is_set():
                    return
                raise
            began_at = self._clock()
            try:
                self._follow(report)
            except (NodeFailed, StreamEnded, OSError) as error:
                if not self._closing.is_set():
                    logger.info("The watch of etcd has a gap: %s", error)
            finally:
                self._cache.lose()
            lived_long = self._clock() > began_at + SERVED_LONG
            pause = 0.0 if lived_long else min(max(FIRST_PAUSE, 2 * pause), LAST_PAUSE)
            self._closing.wait(pause)

    def close(self) -> None:
        self._closing.set()
        with self._lock:
            if self._stream is not None:
                self._stream.wake()

    def _read_all(self, report: Report) -> None:
        deadline = self._clock() + READ_LIMIT
        reply = self._client.call("/kv/range", range_below(self._prefix), deadline)
        self._cache.load(key_values(reply.body), reply.header.revision)
        report(self._cache.keys)

    def _follow(self, report: Report) -> None:
        """Follow one server's events until there is a gap; then raise what it is."""
        server = self._client.endpoints.current
        if server is None:
            raise NodeFailed("no server answers", may_be_made=False)
        stream = LineStream()
        try:
            with self._lock:
                self._stream = stream
            self._open(stream, server)
            self._hear_of_acceptance(stream, server, report)
            while not self._closing.is_set():
                self._hear(stream, report)
                if self._cache.is_late(self._clock()):
                    raise StreamEnded("a change that was made was not told")
                self._leave_if_failed(server)
        finally:
            with self._lock:
                self._stream = None
            stream.close()

    def _hear_of_acceptance(
        self,
        stream: LineStream,
        server: str,
        report: Report,
    ) -> None:
        """The first line says that the server has made the watch."""
        end = self._clock() + OPEN_LIMIT
        while not self._hear(stream, report):
            if self._clock() > end or self._closing.is_set():
                self._client.endpoints.note_failure(server)
                raise StreamEnded(f"{server} does not accept the watch")

    def _hear(self, stream: LineStream, report: Report) -> bool:
        """Whether anything came."""
        lines = stream.read(LOOK_UP_PERIOD)
        for line in lines:
            if self._apply(line):
                report(self._cache.keys)
        return bool(lines)

    def _leave_if_failed(self, server: str) -> None:
        """The requests have moved to another server: ours does not answer them."""
        current = self._client.endpoints.current
        if current is not None and current != server:
            raise StreamEnded(f"{server} was left for {current}")

    def _open(self, stream: LineStream, server: str) -> None:
        request = {
            "create_request": {
                "key": encoded(self._prefix),
                "range_end": encoded(range_end(self._prefix)),
                "start_revision": str(self._cache.revision + 1),
            }
        }
        headers = {"Content-Type": "application/json", "User-Agent": self._client.agent}
        token = self._client.servers.token(server, OPEN_LIMIT)
        if token:
            headers["Authorization"] = token
        url = f"{server}{self._client.servers.prefix_of(server, OPEN_LIMIT)}/watch"
        try:
            stream.open(
                self._client.names,
                self._client.context,
                url,
                request,
                headers,
                OPEN_LIMIT,
            )
        except OSError:
            self._client.endpoints.note_failure(server)
            raise

    def _apply(self, line: Any) -> bool:
        """Whether keys changed.  Raises StreamEnded if the watch was refused."""
        error = error_in(line) if isinstance(line, dict) and "error" in line else None
        result = inner_answer(line) if isinstance(line, dict) else {}
        if error is None and result.get("canceled"):
            error = str(result.get("cancel_reason") or "the watch was cancelled")
        if error is not None:
            self._refuse(error)
        events = result.get("events")
        changes = [
            WatchEvent(key, event.get("type") == "DELETE")
            for event in (events if isinstance(events, list) else ())
            if isinstance(event, dict)
            and (key := key_value(event.get("kv"))) is not None
        ]
        self._cache.apply(changes, header_of(result).revision)
        return bool(changes)

    def _refuse(self, error: str) -> None:
        match trouble_of(200, error):
            case Trouble.LOGIN:
                self._client.servers.forget_token()
            case Trouble.DENIED:
                raise StoreDenied(f"{self._client.settings.section}: {error}")
            case Trouble.NODE | Trouble.COMPACTED | Trouble.LEASE_GONE:
                pass
        raise StreamEnded(error)
