"""One connection of HTTP/1.x: bytes to requests, responses to bytes.

`httptools` parses.  This file adds what a server among strangers needs: limits,
and answers in the order of the questions.  It knows no endpoint.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

import httptools

from regnal.bridges.http.bodies import MAXIMUM_BYTES
from regnal.bridges.http.responses import Format, Rendered, Response, text

logger = logging.getLogger(__name__)

MAXIMUM_HEAD = 32 << 10
"""Bytes of a request line with its headers."""

MAXIMUM_WAITING = 100
"""Requests that one client may send ahead of our answers."""


@dataclass(slots=True)
class Request:
    """One request, complete."""

    method: str = ""
    target: str = ""
    """As sent: path and query."""

    headers: dict[str, str] = field(default_factory=dict)
    """By lower-case name; of several with one name the last."""

    body: bytes = b""
    keep_alive: bool = False
    address: str = ""
    """Of the client."""

    has_certificate: bool = False
    """Whether the client showed a certificate that we could verify."""

    is_costly: bool = False
    """Whether the answer costs so much that it must end with the client: who has sent
    all and closes its half of the connection is taken to have left."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A response whose body comes bit by bit and ends with the connection."""

    head: Response
    chunks: AsyncIterator[bytes]


Answer = bytes | Rendered | Response | Stream
"""bytes: as they are, and then the connection closes."""


class Application(Protocol):
    """What answers requests."""

    @property
    def format(self) -> Format: ...

    def respond(self, request: Request) -> Answer | Coroutine[Any, Any, Answer]:
        """Answer at once, or say how to find the answer.  Never raises, and neither
        does the coroutine."""
        ...


class Registry(Protocol):
    """Knows all connections."""

    def opened(self, connection: "Connection") -> None: ...

    def closed(self, connection: "Connection") -> None: ...

    def now(self) -> float: ...


class Connection(asyncio.Protocol):
    """One client, until either side has had enough."""

    def __init__(self, application: Application, registry: Registry) -> None:
        self._application = application
        self._registry = registry
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._has_certificate = False
        self._request = Request()
        self._url = b""
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._waiting: deque[Request] = deque()
        self._refusal: Response | None = None
        """What to say to bytes that are no request, after those that are."""

        self._task: asyncio.Task[None] | None = None
        self._ends_with_client = False
        self._drained: asyncio.Future[None] | None = None
        self.since = 0.0
        """When the client last began a request or got an answer, by the registry's
        clock: how long it has kept us waiting."""

    @property
    def is_busy(self) -> bool:
        """Whether the client waits for us, not we for it."""
        return self._task is not None

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # What the event loop tells us.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else ""
        self._has_certificate = bool(transport.get_extra_info("peercert"))
        self.since = self._registry.now()
        self._registry.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            logger.debug("Lost the connection of %s: %s", self._address, exc)
        self._transport = None
        self._waiting.clear()
        self._registry.closed(self)
        self.resume_writing()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request is complete, and answered as if it had not asked for
            # another protocol; what comes after it is not HTTP/1.
            self._pause_reading()
        except httptools.HttpParserInvalidMethodError:
            self._refuse(text(501, "Unsupported method"))
        except httptools.HttpParserCallbackError:
            logger.exception("Could not take a request of %s.", self._address)
            self._refuse(text(500, "Internal error"))
        except httptools.HttpParserError as error:
            self._refuse(text(400, f"Bad request: {error}"))
        if self._head_bytes > MAXIMUM_HEAD:
            self._refuse(text(431, "The request's headers are too large"))
        if len(self._waiting) > MAXIMUM_WAITING:
            self.abort()
        self._serve_waiting()

    def eof_received(self) -> bool:
        # A client that has sent all it will send may still wait for its answer; but
        # whether somebody still reads what has no end, this alone can tell.
        return self._task is not None and not self._ends_with_client

    def pause_writing(self) -> None:
        """The client does not take our answers: ask it for no more questions."""
        self._drained = asyncio.get_running_loop().create_future()
        self._pause_reading()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # What the parser tells us.

    def on_message_begin(self) -> None:
        self.since = self._registry.now()
        self._request = Request()
        self._url = b""
        self._body = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._request.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if "expect" in self._request.headers:
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        # Bytes of a body do not count against the limit of the head.
        self._head_bytes -= len(body)
        self._body_bytes += len(body)
        if self._body_bytes <= MAXIMUM_BYTES:
            self._body.append(body)
            return
        self._body.clear()
        self._refuse(text(413, f"The body is larger than {MAXIMUM_BYTES} bytes"))

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        if self._refusal is not None:
            return
        parser, request = self._parser, self._request
        request.method = parser.get_method().decode("latin-1")
        request.target = self._url.decode("latin-1")
        request.body = b"".join(self._body)
        request.address = self._address
        request.has_certificate = self._has_certificate
        request.keep_alive = (
            parser.should_keep_alive()
            and parser.get_http_version() == "1.1"
            and not parser.should_upgrade()
        )
        self._waiting.append(request)

    # Answers.

    def _serve_waiting(self) -> None:
        while self._waiting and self._task is None and self._is_open:
            request = self._waiting.popleft()
            found = self._application.respond(request)
            self._ends_with_client = request.is_costly
            if isinstance(found, Rendered | Response | bytes):
                self._send(found, keep_alive=request.keep_alive)
                continue
            answer = _itself(found) if isinstance(found, Stream) else found
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._serve_later(request, answer))
        if self._refusal is not None and self._task is None and self._is_open:
            self._send(self._refusal, keep_alive=False)

    async def _serve_later(
        self, request: Request, found: Coroutine[Any, Any, Answer]
    ) -> None:
        answer = await found
        if isinstance(answer, Stream):
            await self._stream(answer)
            return
        self._send(answer, keep_alive=request.keep_alive)
        self._task = None
        self.since = self._registry.now()
        self._serve_waiting()

    async def _stream(self, stream: Stream) -> None:
        self._ends_with_client = True
        head = self._application.format.head(stream.head, None)
        self._write(head + b"Connection: close\r\n\r\n")
        try:
            async for chunk in stream.chunks:
                self._write(chunk)
                if self._drained is not None:
                    await self._drained
                if not self._is_open:
                    return
        finally:
            self._close()

    def _send(self, answer: bytes | Rendered | Response, *, keep_alive: bool) -> None:
        if isinstance(answer, Response):
            answer = self._application.format.render(answer)
        if isinstance(answer, Rendered):
            self._write(answer.wire(keep_alive=keep_alive))
        else:
            keep_alive = False
            self._write(answer)
        if not keep_alive:
            self._close()

    def _refuse(self, response: Response) -> None:
        """Nothing more is read: what came is no request that we can answer."""
        self._pause_reading()
        self._refusal = self._refusal or response

    @property
    def _is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()


async def _itself(stream: Stream) -> Answer:
    return stream
