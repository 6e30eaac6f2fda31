"""`GET /events`: the public events of this member, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html: what a browser's
EventSource reads, and goes on with after a cut (`Last-Event-ID`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs

from regnal.bridges.http.http1 import Stream
from regnal.bridges.http.reader_pool import ReaderPool
from regnal.bridges.http.responses import Response, text

MAXIMUM_READERS = 8
"""At once; each holds a thread."""

MAXIMUM_FILTERS = 50

CONTENT_TYPE = "text/event-stream; charset=utf-8"

BEAT = b":\n\n"
"""A comment: shows who listens that we are there, and us who has left."""


@dataclass(frozen=True, slots=True)
class EventQuestion:
    after: int | None
    """The last event that the client has; None: it has none."""

    since: str | None
    """From this moment on; None: from now on, or after `after`."""

    follow: bool
    names: tuple[str, ...]
    """Of events, with * and ?; none: all."""

    members: tuple[str, ...]
    """That they are about; none: all."""


@dataclass(frozen=True, slots=True)
class EventFrame:
    """An event on its way."""

    number: int | None
    """Where to go on after it; None: more of the same number follow."""

    type: str
    document: bytes
    """JSON on one line."""


class EventSource(Protocol):
    """The events of this member."""

    def events(self, asked: EventQuestion) -> Iterator[EventFrame | None]:
        """None whenever it begins to wait for more, and every few seconds while it does.

        Raises ValueError at once if a moment cannot be read.
        """
        ...


class EventDesk:
    """Where clients ask for events; each holds a thread."""

    def __init__(self, source: EventSource) -> None:
        self._source = source
        self._pool = ReaderPool("http-events", MAXIMUM_READERS)

    def start(self) -> None:
        self._pool.start()

    def stop(self) -> None:
        self._pool.stop()

    def answer(self, query: str, headers: Mapping[str, str]) -> Stream | Response:
        """The answer to GET /events; `headers` by lower-case name."""
        try:
            asked = parse_question(query, headers.get("last-event-id", ""))
            reading = self._pool.read(lambda: _pieces(self._source.events(asked)))
        except ValueError as error:
            return text(400, f"Bad parameters: {error}")
        except BlockingIOError:
            return text(503, f"{MAXIMUM_READERS} listeners are there; try again later")
        head = Response(
            200, content_type=CONTENT_TYPE, headers=(("Cache-Control", "no-store"),)
        )
        return Stream(head, reading.chunks())


def _pieces(frames: Iterator[EventFrame | None]) -> Iterator[bytes]:
    yield BEAT  # at once, so that the client knows that it is heard
    for frame in frames:
        yield BEAT if frame is None else frame_bytes(frame)


def frame_bytes(frame: EventFrame) -> bytes:
    number = b"" if frame.number is None else b"id: %d\n" % frame.number
    return b"%bevent: %b\ndata: %b\n\n" % (number, frame.type.encode(), frame.document)


def parse_question(query: str, last: str) -> EventQuestion:
    """`last`: the header `Last-Event-ID`.  Raises ValueError with a text for the
    client."""
    given = parse_qs(query, keep_blank_values=True, max_num_fields=MAXIMUM_FILTERS)
    for name in given:
        if name not in ("since", "follow", "type", "member"):
            raise ValueError(f"unknown parameter {name[:100]!r}")
    follow = given.get("follow", ["true"])[-1].lower()
    if follow not in ("", "0", "1", "false", "true"):
        raise ValueError("follow must be true or false")
    if last and not (last.isdecimal() and len(last) < 19):
        raise ValueError("Last-Event-ID must be a number that we gave")
    return EventQuestion(
        after=int(last) if last else None,
        since=given.get("since", [""])[-1] or None,
        follow=follow in ("", "1", "true"),
        names=tuple(given.get("type", ())),
        members=tuple(given.get("member", ())),
    )
