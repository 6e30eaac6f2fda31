"""What is published, and where: the sections `nats`, `webhooks` and `otel` as publishers.

Nothing of a client's library is imported unless the configuration asks for it.
"""

import importlib
import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regnal.bridges.nats.options import NatsOptions, StreamPlan
from regnal.bridges.webhook.dead_letters import DeadLetters
from regnal.events.cloud import Reporter
from regnal.journal.event_layout import subjects_of as subjects_of_events
from regnal.journal.outbox import DIRECTORY, Outbox, Place
from regnal.journal.stamps import boot_clock, wall_clock
from regnal.journal.stream_layout import PREFIX
from regnal.journal.writer import JournalWriter
from regnal.messages.base import MemberName
from regnal.runtime.consumers import (
    EventsToBroker,
    EventsToWebhook,
    JournalToBroker,
    NoSink,
    Sink,
    webhook_consumer,
)
from regnal.runtime.options import Configured
from regnal.runtime.outgoing_options import (
    nats_options,
    otel_options,
    webhook_options,
)
from regnal.runtime.publisher import Consumer, Publisher
from regnal.runtime.telemetry import consumers_of

logger = logging.getLogger(__name__)

LIBRARY = "nats"
_SINK = "regnal.bridges.nats.publisher"


def publishers(
    configured: Configured,
    whose: tuple[str, MemberName],
    directory: Path,
    journal: JournalWriter,
) -> tuple[Publisher[Any], ...]:
    """All that the configuration asks for; they are started later.  `whose`: scope and
    member.

    Events of before somebody asked for them are nobody's; of the journal all is evidence.
    """

    def publisher(consumer: Consumer[Any], begin_after: Place | None) -> Publisher[Any]:
        outbox = Outbox(directory, consumer.name, begin_after=begin_after)
        return Publisher(
            consumer, outbox, lambda: journal.head.number, journal.wait_beyond
        )

    reporter = Reporter(*whose)
    now = Place(*journal.head)
    return tuple(
        publisher(consumer, None if consumer.name == JournalToBroker.name else now)
        for consumer in (
            *_of_nats(configured, reporter),
            *_of_webhooks(configured, reporter, directory),
            *_of_otel(configured, reporter),
        )
    )


def dead_letters(directory: Path, webhook: str) -> DeadLetters:
    """What the webhook of this name would not take; `directory`: the journal's."""
    return DeadLetters(
        directory / DIRECTORY / f"{webhook_consumer(webhook)}.dead.jsonl"
    )


def _of_webhooks(
    configured: Configured, reporter: Reporter, directory: Path
) -> Iterator[Consumer[Any]]:
    for options in webhook_options(configured):
        dead = dead_letters(directory, options.name)
        yield EventsToWebhook(reporter, wall_clock, options, dead)


def _of_otel(configured: Configured, reporter: Reporter) -> Iterator[Consumer[Any]]:
    section = otel_options(configured)
    if section is not None:
        yield from consumers_of(section, reporter, wall_clock, boot_clock)


def _of_nats(configured: Configured, reporter: Reporter) -> Iterator[Consumer[Any]]:
    nats = nats_options(configured)
    if nats is None:
        return
    prefix = nats.subject_prefix
    if nats.events:
        plan = nats.plan(nats.stream, subjects_of_events(prefix, None))
        sink = _nats_sink(nats.client, plan)
        yield EventsToBroker(reporter, wall_clock, sink, prefix)
    if nats.journal:
        plan = nats.plan(nats.journal_stream, f"{PREFIX}.>")
        yield JournalToBroker(reporter, _nats_sink(nats.client, plan))


def _nats_sink(options: NatsOptions, plan: StreamPlan | None) -> Sink:
    if importlib.util.find_spec(LIBRARY) is None:
        return NoSink(
            "the Python package nats-py is not installed: pip install 'regnal[nats]'"
        )
    library: Any = importlib.import_module(_SINK)
    sink: Sink = library.NatsSink(options, plan)
    return sink
