"""Responses as bytes on the wire."""

import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

HTML = "text/html"
JSON = "application/json"
TEXT = "text/plain"

PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Response:
    """One whole response."""

    status: int
    body: bytes = b""
    content_type: str = HTML
    headers: tuple[tuple[str, str], ...] = ()
    """Beside those that every response has."""


def text(status: int, body: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """A one-line answer."""
    return Response(status, body.encode(), HTML, headers)


class Format:
    """How this server writes its responses: the headers that all of them have."""

    def __init__(self, server: str, extra_headers: tuple[tuple[str, str], ...]) -> None:
        self._common = f"Server: {server}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in extra_headers
        )

    def head(self, response: Response, length: int | None) -> bytes:
        """Status line and headers but `Date` and `Connection`, and without the empty
        line; `length` None: the body ends with the connection."""
        lines = [
            f"HTTP/1.1 {response.status} {PHRASES.get(response.status, 'Unknown')}\r\n",
            self._common,
            f"Content-Type: {response.content_type}\r\n",
            *(f"{name}: {value}\r\n" for name, value in response.headers),
        ]
        if length is not None:
            lines.append(f"Content-Length: {length}\r\n")
        return "".join(lines).encode("latin-1", "replace")

    def render(self, response: Response) -> "Rendered":
        head = self.head(response, len(response.body))
        return Rendered(response.status, head, response.body)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A response that can be sent many times."""

    status: int
    head: bytes
    body: bytes

    def wire(self, *, keep_alive: bool) -> bytes:
        ending = b"\r\n" if keep_alive else b"Connection: close\r\n\r\n"
        return b"".join((self.head, date_header(), ending, self.body))


def status_line(status: int) -> bytes:
    """A response that is nothing else (REST-30); the connection closes after it."""
    return f"HTTP/1.0 {status} {PHRASES.get(status, 'Unknown')}\r\n\r\n".encode()


def date_header() -> bytes:
    return _date_header(int(time.time()))


@lru_cache(maxsize=1)
def _date_header(unix_time: int) -> bytes:
    return f"Date: {formatdate(unix_time, usegmt=True)}\r\n".encode()
