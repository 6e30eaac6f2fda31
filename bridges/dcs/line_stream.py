"""A request whose answer never ends: lines of JSON, as the server sends them.

The thread that reads can be woken at any time, and looks up now and then by itself;
neither is possible with a library that blocks in `recv`.
"""

import json
import os
import select
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import httptools

from regnal.bridges.dcs.host_names import HostNames, dial
from regnal.messages.base import Seconds

CHUNK = 1 << 16
"""Bytes read at once."""

LINE_LIMIT = 64 << 20
"""Bytes that may come without an end of line."""


class StreamEnded(Exception):
    """The server, the network or `wake` ended it; or the answer is no stream."""


class LineStream:
    """One thread opens, reads and closes it; any thread may wake the reader."""

    def __init__(self) -> None:
        self._waker = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._connection: socket.socket | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._pending = b""
        self._lines: list[Any] = []
        self._is_complete = False

    def open(
        self,
        names: HostNames,
        context: ssl.SSLContext,
        url: str,
        request: dict[str, Any],
        headers: dict[str, str],
        within: Seconds,
    ) -> None:
        """Send the request; raises OSError."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        secure = parts.scheme == "https"
        connection = dial(names, host, parts.port or (443 if secure else 80), within)
        self._connection = connection
        if secure:
            connection = context.wrap_socket(connection, server_hostname=host)
            self._connection = connection
        body = json.dumps(request).encode()
        lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
        fields = headers | {"Content-Length": str(len(body))}
        lines += [f"{name}: {value}" for name, value in fields.items()]
        connection.sendall("\r\n".join((*lines, "", "")).encode() + body)
        connection.setblocking(False)

    def read(self, within: Seconds) -> list[Any]:
        """What came, at most `within` seconds later; empty if nothing did.

        Raises StreamEnded.
        """
        connection = self._connection
        assert connection is not None, "open it first"
        poller = select.poll()
        poller.register(connection, select.POLLIN)
        poller.register(self._waker, select.POLLIN)
        ready = {each for each, _ in poller.poll(max(0.0, within) * 1000)}
        if self._waker in ready:
            raise StreamEnded("it was asked to end")
        if connection.fileno() in ready:
            self._receive(connection)
        lines, self._lines = self._lines, []
        if self._is_complete and not lines:
            raise StreamEnded("the server ended it")
        return lines

    def wake(self) -> None:
        """Make the reader raise StreamEnded; only before `close`."""
        os.eventfd_write(self._waker, 1)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        os.close(self._waker)

    def _receive(self, connection: socket.socket) -> None:
        while True:
            try:
                data = connection.recv(CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                raise StreamEnded(str(error)) from error
            if not data:
                raise StreamEnded("the server closed the connection")
            try:
                self._parser.feed_data(data)
            except (httptools.HttpParserError, ValueError) as error:
                raise StreamEnded(f"the answer is broken: {error}") from error
            except httptools.HttpParserUpgrade as error:
                raise StreamEnded("it wants to speak another protocol") from error

    def on_body(self, data: bytes) -> None:
        """Called by the parser, as is the next."""
        self._pending += data
        *lines, self._pending = self._pending.split(b"\n")
        if len(self._pending) > LINE_LIMIT:
            raise ValueError("a line has no end")
        self._lines.extend(json.loads(line) for line in lines if line.strip())

    def on_message_complete(self) -> None:
        if self._pending.strip():
            self._lines.append(json.loads(self._pending))
            self._pending = b""
        self._is_complete = True
