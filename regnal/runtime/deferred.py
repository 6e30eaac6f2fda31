"""Public events and telemetry, imported when they are used: who publishes nothing pays
nothing."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from regnal.bridges.contract import Bridge
from regnal.bridges.http.event_stream import EventFrame, EventQuestion
from regnal.bridges.metric import Measured
from regnal.journal.moments import parse_moment
from regnal.journal.places import RecordNumber
from regnal.journal.stamps import wall_clock
from regnal.journal.writer import JournalWriter
from regnal.messages.base import MemberName, Seconds
from regnal.runtime.options import Configured
from regnal.runtime.outgoing_options import otel_options
from regnal.runtime.publisher import Publisher, Publishing

_PUBLISHING = "regnal.runtime.publishing"
_TELEMETRY = "regnal.runtime.telemetry"
_SERVING = "regnal.runtime.served_events"


def publishers_of(
    configured: Configured,
    whose: tuple[str, MemberName],
    directory: Path,
    journal: JournalWriter,
) -> tuple[Publisher[Any], ...]:
    """See `regnal.runtime.publishing.publishers`; `whose`: scope and member."""
    document = configured.document
    if not ("nats" in document or document.get("webhooks") or "otel" in document):
        return ()
    library: Any = importlib.import_module(_PUBLISHING)
    found: tuple[Publisher[Any], ...] = library.publishers(
        configured, whose, directory, journal
    )
    return found


def metrics_senders_of(
    configured: Configured,
    whose: tuple[str, MemberName],
    measure: Callable[[], Sequence[Measured]],
) -> "tuple[MetricsSender, ...]":
    """Whatever sends metrics, if anything does; `whose`: scope and member."""
    section = otel_options(configured)
    if section is None or not section.metrics:
        return ()
    library: Any = importlib.import_module(_TELEMETRY)
    return (library.metrics_to_collector(section, whose, measure),)


class MetricsSender(Bridge, Publishing, Protocol):
    """Sends metrics, and has some of its own."""


class DeferredEvents:
    """See `regnal.bridges.http.event_stream.EventSource`."""

    def __init__(
        self,
        directory: Path,
        whose: tuple[str, MemberName],
        head: Callable[[], RecordNumber],
        wait_beyond: Callable[[RecordNumber, Seconds], bool],
    ) -> None:
        self._place = (directory, whose, wait_beyond)
        self._head = head

    def events(self, asked: EventQuestion) -> Iterator[EventFrame | None]:
        """Raises ValueError at once if a moment cannot be read."""
        if asked.since is not None:
            parse_moment(asked.since, wall_clock())
        return self._told(asked, self._head())

    def _told(
        self, asked: EventQuestion, now: RecordNumber
    ) -> Iterator[EventFrame | None]:
        """In the thread of whoever reads: an import takes its time."""
        library: Any = importlib.import_module(_SERVING)
        yield from library.ServedEvents(*self._place).events(asked, now)
