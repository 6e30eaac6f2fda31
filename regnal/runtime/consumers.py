"""Consumers of the journal: what each makes of records, and where it sends it."""

import logging
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from regnal.bridges.outgoing import NotSent, Outgoing
from regnal.bridges.webhook.dead_letters import DeadLetters
from regnal.bridges.webhook.sender import (
    Letter,
    Refused,
    WebhookOptions,
    WebhookSender,
)
from regnal.events.cloud import CloudEvent, Reporter
from regnal.journal.event_layout import message_id as event_id
from regnal.journal.event_layout import name_of
from regnal.journal.event_layout import subject_of as event_subject
from regnal.journal.outbox import Gap, Item
from regnal.journal.public_events import EventReader
from regnal.journal.reader import Record
from regnal.journal.stamps import Microseconds, wall_text
from regnal.journal.stream_layout import message_id, subject_of
from regnal.messages.base import JsonText, Seconds

logger = logging.getLogger(__name__)


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

    linger: Seconds = 0.2
    """Somebody may act on them."""

    def __init__(self, reporter: Reporter, wall: Callable[[], Microseconds]) -> None:
        self._reporter = reporter
        self._wall = wall
        self._reader = EventReader(reporter)

    @property
    def memory(self) -> JsonText | None:
        return self._reader.memory

    def remember(self, memory: JsonText | None) -> None:
        self._reader = EventReader(self._reporter, memory)

    def tick(self) -> None:
        """Events are told at once."""

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
    linger: Seconds = 2.0
    """It is evidence for later."""

    memory: JsonText | None = None

    def __init__(self, reporter: Reporter, sink: Sink) -> None:
        self._scope, self._member = reporter
        self._sink = sink

    def remember(self, memory: JsonText | None) -> None:
        """Each record is whole by itself."""

    def tick(self) -> None:
        """What is written was read."""

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


class EventsToWebhook(EventTeller):
    """See `regnal.runtime.publisher.Consumer`.

    One event after the other.  What the receiver refuses, and what it does not take for
    longer than `give_up_after`, becomes a dead letter, so that the rest can go on.
    """

    def __init__(
        self,
        reporter: Reporter,
        wall: Callable[[], Microseconds],
        options: WebhookOptions,
        dead: DeadLetters,
    ) -> None:
        super().__init__(reporter, wall)
        self.name = webhook_consumer(options.name)
        self._options = options
        self._sender = WebhookSender(options, lambda: wall() / 1e6)
        self._dead = dead
        self._done = 0
        """Letters of the parcel under way that were taken or given up."""

        self._failing_since: Microseconds | None = None

    def understand(self, items: Sequence[Item]) -> list[Letter]:
        return [
            Letter(event.key, event.json_bytes())
            for event in self.events_of(items)
            if is_wanted(event, self._options.patterns)
        ]

    def send(self, parcel: list[Letter]) -> int:
        sent = 0
        while self._done < len(parcel):
            sent += self._post(parcel[self._done])
            self._done += 1
        self._done = 0
        return sent

    def close(self) -> None:
        self._sender.close()

    def _post(self, letter: Letter) -> int:
        """How many were sent: none, if it is a dead letter now.  Raises NotSent."""
        try:
            self._sender.post(letter)
        except Refused as error:
            self._bury(letter, str(error))
            return 0
        except NotSent as error:
            now = self._wall()
            if self._failing_since is None:
                self._failing_since = now
            waited = (now - self._failing_since) / 1e6
            if waited < self._options.give_up_after:
                raise
            self._bury(letter, str(error))
            return 0
        self._failing_since = None
        return 1

    def _bury(self, letter: Letter, why: str) -> None:
        """Raises NotSent where it cannot even be kept: then it is tried again."""
        try:
            is_kept = self._dead.add(letter, wall_text(self._wall()), why)
        except OSError as error:
            raise NotSent(f"{why}; and it cannot be kept: {error}") from error
        logger.warning(
            "%s: the event %s was not taken (%s); %s",
            self.name,
            letter.id,
            why,
            "`regnal webhooks` shows what was kept and sends it again"
            if is_kept
            else "it is lost, since there are too many dead letters already",
        )


def webhook_consumer(name: str) -> str:
    """Of the outbox of the webhook with this name."""
    return f"webhook-{name}"


def is_wanted(event: CloudEvent, patterns: Sequence[str]) -> bool:
    """Whether the event's name (or type) is one of these; none: whatever it is."""
    if not patterns:
        return True
    names = (name_of(event.type), event.type)
    return any(fnmatchcase(name, p) for name in names for p in patterns)
