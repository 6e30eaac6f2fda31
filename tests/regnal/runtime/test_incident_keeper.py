"""The bridge of the incidents: recalls, pins, explains."""

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regnal.journal.pins import Pins
from regnal.journal.places import segments
from regnal.messages.base import Message
from regnal.messages.cluster import StoreUnreachable
from regnal.messages.envelope import Envelope
from regnal.messages.incidents import (
    DropExplanation,
    ExplainIncident,
    ExplanationFailed,
    IncidentJudged,
    IncidentsRecalled,
    PinJournal,
    UnpinJournal,
)
from regnal.runtime.explaining import Explained, Explainer, Question
from regnal.runtime.incident_keeper import IncidentKeeper, journal_time, verdict
from tests.actors.builders import envelope
from tests.journal.builders import Member

DEADLINE = 10.0
SINCE = "2026-11-28T07:21:02+00:00"
RECALLED = IncidentsRecalled(incidents=(), crashes=(), reign=None, trouble=None)
STORY = {
    "verdict": {
        "cause": "postgres_killed",
        "root": "postgres_killed",
        "sentence": "Somebody killed PostgreSQL of pg1",
    },
    "outage": {"seconds": 0.51},
    "author": None,
}


class Voice:
    def __init__(self) -> None:
        self.said: queue.Queue[Message] = queue.Queue()

    def say(self, message: Message, cause: Envelope[Message] | None = None) -> None:
        self.said.put(message)

    def heard(self) -> Message:
        return self.said.get(timeout=DEADLINE)


class Explanations(Explainer):
    """Of which the test decides how they end."""

    def __init__(self) -> None:
        self.ends: queue.Queue[Explained] = queue.Queue()
        self.asked: queue.Queue[str] = queue.Queue()

    def explain(
        self,
        question: Question,
        dropped: threading.Event,
        *,
        waits: bool = True,
    ) -> Explained:
        assert question.since == SINCE
        self.asked.put(question.incident)
        while True:
            try:
                return self.ends.get(timeout=0.01)
            except queue.Empty:
                if dropped.is_set():
                    return Explained(None, b"", "dropped")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    Member(tmp_path).open().tell(StoreUnreachable(error="x", unanswered_for=1.0))
    return tmp_path


@pytest.fixture
def voice() -> Voice:
    return Voice()


@pytest.fixture
def explanations() -> Explanations:
    return Explanations()


@pytest.fixture
def keeper(
    journal: Path, voice: Voice, explanations: Explanations
) -> Iterator[IncidentKeeper]:
    keeper = IncidentKeeper(voice, Pins(journal), lambda: RECALLED, explanations)
    keeper.start()
    assert voice.heard() == RECALLED
    yield keeper
    keeper.stop()


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_segments_are_pinned_and_unpinned(
    keeper: IncidentKeeper, journal: Path
) -> None:
    (segment,) = segments(journal)
    since = "2020-01-01T00:00:00.000000+00:00"
    keeper.perform(envelope(PinJournal(incident="reign-10", since=since)))
    until(segment.pin.exists)
    keeper.perform(envelope(UnpinJournal(incident="reign-10")))
    until(lambda: not segment.pin.exists())


def test_a_journal_that_cannot_be_pinned_is_told(
    keeper: IncidentKeeper, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for segment in segments(journal):
        segment.path.unlink()
    journal.rename(journal.with_name("elsewhere"))
    keeper.perform(envelope(PinJournal(incident="reign-10", since="")))
    until(lambda: "could not be pinned" in caplog.text)


def test_a_verdict_is_said(
    keeper: IncidentKeeper, voice: Voice, explanations: Explanations
) -> None:
    explanations.ends.put(Explained(0, json.dumps(STORY).encode(), ""))
    keeper.perform(envelope(ExplainIncident(incident="reign-10", since=SINCE)))
    assert voice.heard() == IncidentJudged(
        incident="reign-10",
        cause="postgres_killed",
        root="postgres_killed",
        sentence="Somebody killed PostgreSQL of pg1",
        outage=0.51,
        author=None,
    )


def test_a_failure_is_said(
    keeper: IncidentKeeper, voice: Voice, explanations: Explanations
) -> None:
    explanations.ends.put(Explained(1, b"", "Error: no journal"))
    keeper.perform(envelope(ExplainIncident(incident="reign-10", since=SINCE)))
    assert voice.heard() == ExplanationFailed(
        incident="reign-10", error="Error: no journal"
    )


def test_of_what_was_dropped_nothing_is_said(
    keeper: IncidentKeeper, voice: Voice, explanations: Explanations
) -> None:
    keeper.perform(envelope(ExplainIncident(incident="reign-10", since=SINCE)))
    assert explanations.asked.get(timeout=DEADLINE) == "reign-10"
    keeper.perform(envelope(DropExplanation(incident="reign-10")))
    keeper.perform(envelope(ExplainIncident(incident="reign-33", since=SINCE)))
    assert explanations.asked.get(timeout=DEADLINE) == "reign-33"
    explanations.ends.put(Explained(1, b"", "no"))
    assert voice.heard() == ExplanationFailed(incident="reign-33", error="no")


@pytest.mark.parametrize(
    ("author", "said"),
    [
        (None, None),
        (
            {"what": "switchover", "username": "ann", "address": "10.0.0.9"},
            "ann",
        ),
        (
            {"what": "switchover", "username": None, "address": "10.0.0.9"},
            "10.0.0.9",
        ),
        (
            {"what": "shutdown", "username": None, "address": None, "through": "pg1"},
            "shutdown on pg1",
        ),
    ],
)
def test_who_asked_for_it(author: Any, said: str | None) -> None:
    found = verdict("x", json.dumps({**STORY, "author": author}).encode())
    assert isinstance(found, IncidentJudged)
    assert found.author == said


@pytest.mark.parametrize(
    "story", [b"", b"{", b"[]", b"{}", b'{"verdict": 7}', b'{"verdict": {}}']
)
def test_what_is_no_story_is_a_failure(story: bytes) -> None:
    assert isinstance(verdict("x", story), ExplanationFailed)


def test_moments_are_compared_as_the_journal_writes_them() -> None:
    assert journal_time("2026-11-23T08:31:02.114901+01:00") == (
        "2026-11-23T07:31:02.114901Z"
    )
    assert journal_time("soon") == ""
