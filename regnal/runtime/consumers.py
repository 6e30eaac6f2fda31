"""Consumers of the journal: what each makes of records, and where it sends it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from regnal.bridges.outgoing import NotSent, Outgoing
from regnal.events.cloud import CloudEvent, Reporter
from regnal.journal.event_layout import message_id as event_id
from regnal.journal.event_layout import subject_of as event_subject
from regnal.journal.outbox import Gap, Item
from regnal.journal.public_events import EventReader
from regnal.journal.reader import Record
from regnal.journal.stamps import Microseconds
from regnal.journal.stream_layout import message_id, subject_of
from regnal.messages.base import JsonText


class Sink(Protocol):
    """A broker, as the bridges have it."""

    def send(self, messages: Sequence[Outgoing]) -> int:
        """How many were sent.  Raises NotSent."""
        ...

    def close(self) -> None: ...


class NoSink:
    """Stands for one that cannot be had here, and says why as often as it is asked."""

    def __init__(self, why: str) -> None:
        self._why = why

    def send(self, messages: Sequence[Outgoing]) -> int:
        raise NotSent(self._why)

    def close(self) -> None:
        """Nothing is open."""


class EventTeller:
    """Public events of records: the half of a consumer that all who send events share."""

    def __init__(self, reporter: Reporter, wall: Callable[[], Microseconds]) -> None:
        self._reporter = reporter
        self._wall = wall
        self._reader = EventReader(reporter)

    @property
    def memory(self) -> JsonText | None:
        return self._reader.memory

    def remember(self, memory: JsonText | None) -> None:
        self._reader = EventReader(self._reporter, memory)

    def events_of(self, items: Sequence[Item]) -> list[CloudEvent]:
        events: list[CloudEvent] = []
        for item in items:
            if isinstance(item, Gap):
                events.append(self._reader.gap(item.first, item.last, self._wall()))
            else:
                events += self._reader.read(item)
        return events


class EventsToBroker(EventTeller):
    """See `regnal.runtime.publisher.Consumer`."""

    name = "nats-events"

    def __init__(
        self,
        reporter: Reporter,
        wall: Callable[[], Microseconds],
        sink: Sink,
        prefix: str,
    ) -> None:
        """`prefix`: of the subjects."""
        super().__init__(reporter, wall)
        self._scope = reporter.scope
        self._sink = sink
        self._prefix = prefix

    def understand(self, items: Sequence[Item]) -> list[Outgoing]:
        return [
            Outgoing(
                event_subject(self._prefix, self._scope, event),
                event.json_bytes(),
                event_id(event),
            )
            for event in self.events_of(items)
        ]

    def send(self, parcel: list[Outgoing]) -> int:
        return self._sink.send(parcel) if parcel else 0

    def close(self) -> None:
        self._sink.close()


class JournalToBroker:
    """The whole journal, as journal/stream_layout.py says.  See
    `regnal.runtime.publisher.Consumer`.

    Of a gap nothing is told: the chain shows it.
    """

    name = "nats-journal"
    memory: JsonText | None = None

    def __init__(self, reporter: Reporter, sink: Sink) -> None:
        self._scope, self._member = reporter
        self._sink = sink

    def remember(self, memory: JsonText | None) -> None:
        """Each record is whole by itself."""

    def understand(self, items: Sequence[Item]) -> list[Outgoing]:
        subject = subject_of(self._scope, self._member)
        return [
            Outgoing(
                subject,
                item.line.rstrip(b"\n"),
                message_id(self._scope, self._member, item.n, item.hash),
            )
            for item in items
            if isinstance(item, Record)
        ]

    def send(self, parcel: list[Outgoing]) -> int:
        return self._sink.send(parcel) if parcel else 0

    def close(self) -> None:
        self._sink.close()
