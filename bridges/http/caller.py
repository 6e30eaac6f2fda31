"""One request to another member, and its answer.

Each is a connection of its own, because a member that is in trouble is just the one
whose old connection tells nothing.
"""

import asyncio
import base64
import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import httptools

from regnal.bridges.http.errors import UnusableOptions
from regnal.bridges.http.options import ClientOptions
from regnal.bridges.http.stamp_header import STAMP_HEADER
from regnal.messages.base import Seconds

MAXIMUM_ANSWER = 1 << 20
"""Bytes; a status document has one or two thousand."""

LONGEST_STAMP = 200
"""Characters of a hybrid time that are worth keeping; it has a third of them."""


class NoAnswer(Exception):
    """Refused, timed out, or not HTTP; the text says which."""


@dataclass(slots=True)
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """By lower-case name."""

    body: bytes = b""

    @property
    def stamp(self) -> str | None:
        """Of the member's hybrid clock; None: it shows none."""
        stamp = self.headers.get(STAMP_HEADER.lower())
        return stamp[:LONGEST_STAMP] if stamp else None


class Caller:
    """Sends single requests."""

    def __init__(self, options: ClientOptions) -> None:
        self._context = client_context(options)
        self._authorization = ""
        if options.credentials is not None:
            pair = f"{options.credentials.username}:{options.credentials.password}"
            token = base64.b64encode(pair.encode()).decode()
            self._authorization = f"Authorization: Basic {token}\r\n"

    async def call(
        self,
        method: str,
        url: str,
        timeout: Seconds,
        body: bytes | None = None,
        stamp: str | None = None,
    ) -> Answer:
        """`stamp`: of our hybrid clock, for a member.  Raises NoAnswer."""
        try:
            async with asyncio.timeout(timeout):
                return await self._call(method, url, body, stamp)
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {timeout:.1f} s") from error
        except (OSError, ssl.SSLError, ValueError, EOFError) as error:
            raise NoAnswer(str(error) or type(error).__name__) from error
        except httptools.HttpParserError as error:
            raise NoAnswer(f"not HTTP: {error}") from error
        except httptools.HttpParserUpgrade as error:
            raise NoAnswer("it wants to speak another protocol") from error

    async def _call(
        self, method: str, url: str, body: bytes | None, stamp: str | None
    ) -> Answer:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not the URL of a REST API: {url[:200]!r}")
        secure = parts.scheme == "https"
        reader, writer = await asyncio.open_connection(
            parts.hostname,
            parts.port or (443 if secure else 80),
            ssl=self._context if secure else None,
        )
        try:
            length = None if body is None else len(body)
            writer.write(self._head(method, parts, length, stamp) + (body or b""))
            return await _receive(reader)
        finally:
            # Nothing more is expected of the other side, not even a goodbye.
            writer.transport.abort()

    def _head(
        self, method: str, url: SplitResult, length: int | None, stamp: str | None
    ) -> bytes:
        """Request line and headers; `length` None: there is no body."""
        lines = [
            f"{method} {url.path or '/'} HTTP/1.1\r\n",
            f"Host: {url.netloc.rpartition('@')[2]}\r\n",
            "User-Agent: regnal\r\nConnection: close\r\n",
        ]
        if stamp is not None:
            lines.append(f"{STAMP_HEADER}: {stamp}\r\n")
        if length is not None:
            lines += [
                f"{self._authorization}Content-Type: application/json\r\n",
                f"Content-Length: {length}\r\n",
            ]
        return "".join([*lines, "\r\n"]).encode("latin-1", "replace")


class _Listener:
    """Hears what the parser of a response finds."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.chunks: list[bytes] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.decode("latin-1").lower()
        self.answer.headers[lower] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.chunks.append(body)

    def on_message_complete(self) -> None:
        self.complete = True


async def _receive(reader: asyncio.StreamReader) -> Answer:
    heard = _Listener()
    parser = httptools.HttpResponseParser(heard)
    size = 0
    while not heard.complete:
        data = await reader.read(65536)
        if not data:
            break
        size += len(data)
        if size > MAXIMUM_ANSWER:
            raise ValueError(f"the answer is larger than {MAXIMUM_ANSWER} bytes")
        parser.feed_data(data)
    if not size:
        raise EOFError("the connection was closed without an answer")
    heard.answer.status = parser.get_status_code()
    heard.answer.body = b"".join(heard.chunks)
    if "content-length" in heard.answer.headers and not heard.complete:
        raise EOFError("the answer was cut off")
    return heard.answer


def client_context(options: ClientOptions) -> ssl.SSLContext:
    """As the peer's daemons call each other: nothing is verified, since certificates
    of members are often self-signed; with a client certificate the chain is, but not
    the host name (docs/contracts.md 4.11).

    Raises UnusableOptions.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    if options.certfile is None:
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context.load_cert_chain(
            options.certfile, options.keyfile, password=options.keyfile_password or ""
        )
        if options.cacert is not None:
            context.load_verify_locations(options.cacert)
    except (OSError, ValueError) as error:
        raise UnusableOptions(
            "ctl.certfile, ctl.keyfile or ctl.cacert cannot be used "
            f"({options.certfile}, {options.keyfile}, {options.cacert}): {error}"
        ) from error
    return context
