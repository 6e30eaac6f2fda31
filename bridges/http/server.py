"""The REST API's server: one thread with one event loop, which does nothing else.

Not uvicorn, though that is as fast as we need: it cannot show who presented a client
certificate, nor answer with a bare status line, and wakes up ten times a second.
"""

import asyncio
import queue
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from regnal.bridges.http.http1 import Connection
from regnal.bridges.http.listening import (
    backlog_of,
    close_all,
    fingerprint,
    listen,
    server_context,
)
from regnal.bridges.http.loops import STOP_WITHIN, LoopThread
from regnal.bridges.http.options import RestOptions
from regnal.bridges.http.service import Service
from regnal.messages.base import Message, Seconds

IDLE_LIMIT: Seconds = 60
"""A client may be silent, or take to send one request, for so long."""

HANDSHAKE_LIMIT: Seconds = 10
"""A client that connects to TLS and says nothing is dropped."""

MAXIMUM_CONNECTIONS = 1000
"""Then the one that was silent longest is dropped: file descriptors are few."""

MAXIMUM_UNSAID = 1000
"""Messages of requests that wait for the journal; then requests get 503."""


class Server:
    """Listens, and keeps track of connections."""

    def __init__(self, service: Service, options: RestOptions) -> None:
        self._service = service
        self._options = options
        self._thread = LoopThread("http")
        self._listeners: list[socket.socket] = []
        self._certificates = ""
        self._servers: list[asyncio.AbstractServer] = []
        self._connections: dict[Connection, None] = {}
        self._sweeping = False

    @property
    def port(self) -> int:
        """Where it listens; of interest if any port was asked for (0)."""
        return int(self._listeners[0].getsockname()[1])

    def start(self) -> None:
        """Raises UnusableOptions."""
        context = server_context(self._options.tls) if self._options.tls else None
        self._certificates = fingerprint(self._options.tls)
        self._listeners = listen(self._options)
        self._thread.start()
        self._thread.run(self._serve_on(self._listeners, context))

    def stop(self) -> None:
        if self._thread.is_running:
            self._thread.run(self._end())
            self._thread.stop()
        close_all(self._listeners)

    def reconfigure(self, options: RestOptions) -> None:
        """Listen as `options` say, from any thread; connections that exist go on.

        Raises UnusableOptions, and then nothing has changed.  Certificates are read anew
        if their files changed (REST-36).
        """
        certificates = fingerprint(options.tls)
        moved = _place(options) != _place(self._options)
        if not moved and (options.tls, certificates) == (
            self._options.tls,
            self._certificates,
        ):
            self._options = options
            return
        context = server_context(options.tls) if options.tls else None
        listeners = listen(options) if moved else self._listeners
        former = self._servers
        self._thread.run(self._serve_on(listeners, context))
        self._thread.run(_close(former))
        if moved:
            close_all(self._listeners)
        self._listeners = listeners
        self._options = options
        self._certificates = certificates

    def call(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Have the server's thread call this; nothing if it has ended."""
        self._thread.call(callback, *arguments)

    # The registry of connections (see `http1.Registry`).

    def now(self) -> float:
        return self._thread.loop.time()

    def opened(self, connection: Connection) -> None:
        self._connections[connection] = None
        if len(self._connections) > MAXIMUM_CONNECTIONS:
            idle = [known for known in self._connections if not known.is_busy]
            if idle:
                min(idle, key=lambda known: known.since).abort()
        if not self._sweeping:
            self._sweeping = True
            self._thread.loop.call_later(IDLE_LIMIT / 4, self._sweep)

    def closed(self, connection: Connection) -> None:
        self._connections.pop(connection, None)

    def _sweep(self) -> None:
        """Drop silent clients; only while there are any, so that an idle member has
        one thing less to wake up for."""
        oldest = self._thread.loop.time() - IDLE_LIMIT
        for connection in tuple(self._connections):
            if not connection.is_busy and connection.since < oldest:
                connection.abort()
        self._sweeping = bool(self._connections)
        if self._sweeping:
            self._thread.loop.call_later(IDLE_LIMIT / 4, self._sweep)

    async def _serve_on(
        self, listeners: list[socket.socket], context: ssl.SSLContext | None
    ) -> None:
        # Each server gets a copy of the descriptor: the queue of waiting clients
        # belongs to the socket, so that one server can follow another on it without
        # turning anybody away (P-REST-16).
        timeout = HANDSHAKE_LIMIT if context is not None else None
        self._servers = [
            await self._thread.loop.create_server(
                lambda: Connection(self._service, self),
                sock=listener.dup(),
                backlog=backlog_of(self._options),
                ssl=context,
                ssl_handshake_timeout=timeout,
            )
            for listener in listeners
        ]

    async def _end(self) -> None:
        await _close(self._servers)
        for connection in tuple(self._connections):
            connection.abort()


class Mouth:
    """Says messages from a thread of its own: the journal may keep it waiting, the
    event loop may not wait."""

    def __init__(self, say: Callable[[Message], None]) -> None:
        self._say = say
        self._messages: queue.Queue[Message | None] = queue.Queue(MAXIMUM_UNSAID)
        self._thread = threading.Thread(target=self._run, name="http-say", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._messages.put(None)
            self._thread.join(STOP_WITHIN)

    def say(self, message: Message) -> bool:
        """False: too many wait already."""
        try:
            self._messages.put_nowait(message)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        while (message := self._messages.get()) is not None:
            self._say(message)


async def _close(servers: list[asyncio.AbstractServer]) -> None:
    for server in servers:
        server.close()


def _place(options: RestOptions) -> tuple[str, int, int]:
    return options.listen_host, options.listen_port, options.request_queue_size
