"""The bridge of the incidents: what the journal remembers, pins, and explanations."""

import logging
import queue
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from pydantic_core import from_json

from regnal.bridges.contract import Voice
from regnal.journal.pins import Pins
from regnal.journal.stamps import wall_text
from regnal.messages.base import Command, Message, WallTime
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.incidents import (
    DropExplanation,
    ExplainIncident,
    ExplanationFailed,
    IncidentJudged,
    IncidentName,
    IncidentsRecalled,
    PinJournal,
    UnpinJournal,
)
from regnal.runtime.explaining import Explainer, Question

logger = logging.getLogger(__name__)

MAXIMUM_SENTENCE = 500
"""Characters of a verdict that are kept; the report has all of it."""


class _Order(NamedTuple):
    envelope: Envelope[Command]
    dropped: threading.Event


class IncidentKeeper:
    """See `bridges.contract.Bridge`."""

    name: PartName = "incident_keeper"
    performs: tuple[type[Command], ...] = (
        PinJournal,
        UnpinJournal,
        ExplainIncident,
        DropExplanation,
    )

    def __init__(
        self,
        voice: Voice,
        pins: Pins,
        recall: Callable[[], IncidentsRecalled],
        explainer: Explainer,
    ) -> None:
        self._voice = voice
        self._pins = pins
        self._recall = recall
        self._explainer = explainer
        self._pinning: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._explaining: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._dropped = threading.Event()
        """Whether the last order to explain was taken back."""

        self._threads = (
            threading.Thread(target=self._pin, name="incidents-pins", daemon=True),
            threading.Thread(target=self._explain, name="incidents-why", daemon=True),
        )

    def start(self) -> None:
        """Says what is remembered, before anybody can decide anything."""
        recalled = self._recall()
        if recalled.trouble is not None:
            logger.warning(
                "Not all incidents of before could be recalled from the journal: %s",
                recalled.trouble,
            )
        self._voice.say(recalled)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._dropped.set()
        self._pinning.put(None)
        self._explaining.put(None)
        for thread in self._threads:
            thread.join()

    def perform(self, envelope: Envelope[Command]) -> None:
        match envelope.message:
            case PinJournal() | UnpinJournal():
                self._pinning.put(envelope.message)
            case ExplainIncident():
                self._dropped = threading.Event()
                self._explaining.put(_Order(envelope, self._dropped))
            case DropExplanation():
                self._dropped.set()
            case _:
                raise AssertionError(envelope.message)

    def _pin(self) -> None:
        while (order := self._pinning.get()) is not None:
            try:
                match order:
                    case PinJournal(incident=incident, since=since):
                        self._pins.keep(incident, journal_time(since))
                    case UnpinJournal(incident=incident):
                        self._pins.release(incident)
            except OSError as error:
                logger.warning(
                    "Segments of the journal could not be pinned or unpinned: %s; "
                    "retention may remove them before the incident is acknowledged, "
                    "or keep them longer",
                    error,
                )

    def _explain(self) -> None:
        while (order := self._explaining.get()) is not None:
            command = order.envelope.message
            assert isinstance(command, ExplainIncident)
            incident = command.incident
            question = Question(incident, "json", command.since)
            explained = self._explainer.explain(question, order.dropped)
            if order.dropped.is_set():
                continue
            if explained.status == 0:
                outcome = verdict(incident, explained.output)
            else:
                outcome = ExplanationFailed(incident=incident, error=explained.error)
            self._voice.say(outcome, order.envelope)


def journal_time(since: WallTime) -> str:
    """As the journal compares moments.  Empty (everything) where it cannot be read."""
    try:
        return wall_text(int(datetime.fromisoformat(since).timestamp() * 1e6))
    except (ValueError, OverflowError):
        return ""


def verdict(incident: IncidentName, story: bytes) -> Message:
    """What a story in JSON (`regnal explain --schema`) comes to."""
    try:
        told = from_json(story)
        found = told["verdict"]
        return IncidentJudged(
            incident=incident,
            cause=str(found["cause"]),
            root=str(found["root"]),
            sentence=str(found["sentence"])[:MAXIMUM_SENTENCE],
            outage=_seconds(told.get("outage")),
            author=_author(told.get("author")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return ExplanationFailed(
            incident=incident, error=f"its report is not a story: {error}"
        )


def _seconds(outage: Any) -> float | None:
    return None if outage is None else float(outage["seconds"])


def _author(author: Any) -> str | None:
    """The user, or else the address; where it did not come through the REST API, what
    it was and where, such as `shutdown on pg1`."""
    if author is None:
        return None
    who = author.get("username") or author.get("address")
    return str(who or f"{author.get('what')} on {author.get('through')}")
