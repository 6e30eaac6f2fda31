"""What a quiet member leaves out of its journal changes nothing that replay finds.

Two actors hear, each in its own time: `election`, whom bridges tell, and
`listener`, who hears what election says.  After every event of a random story the
journal is replayed: every step in it must come out again with the same rule, the
same facts (all that the actor knew) and the same words.
"""

import tempfile
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.actors.step import Decider, Step
from regnal.journal.entries import message_entry, step_entry
from regnal.journal.ledger import Ledger
from regnal.journal.options import JournalOptions
from regnal.journal.reader import Record
from regnal.journal.stamps import Stamper
from regnal.messages.base import Instant, Message
from regnal.messages.cluster import StoreAnswered
from regnal.messages.envelope import Envelope
from regnal.messages.lease import LeaderRenewed, RenewLeader
from regnal.messages.timers import TimerFired
from tests.examples import examples, usually
from tests.journal.builders import IDENTITY, TOY, FakeTime, Memory, records
from tests.journal.replaying import Replay


@dataclass(frozen=True, slots=True)
class Heard:
    """State of the listener."""

    deadline: Instant = 0.0


def listen(heard: Heard, envelope: Envelope[Message]) -> Step[Heard]:
    """Speaks up (without effect) when it hears something else than before."""
    assert isinstance(envelope.message, RenewLeader)
    now = Heard(envelope.message.deadline)
    if now == heard:
        return Step(now)
    return Step(now, rule="listened", facts={"before": heard})


LISTENER = Decider(
    name="listener",
    hears=(RenewLeader,),
    state=Heard,
    initial=lambda member: Heard(),
    handle=listen,
)


@dataclass
class Story:
    """A member with two actors, who take from their mailboxes when told."""

    directory: Path
    options: JournalOptions
    time: FakeTime = field(default_factory=FakeTime)
    election: Memory = field(default_factory=Memory)
    listener: Heard = field(default_factory=Heard)
    for_election: deque[Envelope[Message]] = field(default_factory=deque)
    for_listener: deque[Envelope[Message]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.stamper = Stamper("pg1", 1, self.time.clocks)
        self.ledger = Ledger(
            self.directory, IDENTITY, self.stamper, (TOY, LISTENER), self.options
        )
        self.ledger.open()

    def say(self, message: Message, *, trace: str | None = None) -> None:
        said = self.stamper.envelope(message, said_by="dcs", cause=None, trace=trace)
        self.ledger.enter(message_entry(said))
        self.for_election.append(said)

    def elect(self) -> None:
        """The election hears one message."""
        if self.for_election:
            heard = self.for_election.popleft()
            step = TOY.handle(self.election, heard)
            self.election = step.state
            self._record("election", heard, step)

    def listen(self) -> None:
        """The listener hears one message."""
        if self.for_listener:
            heard = self.for_listener.popleft()
            step = listen(self.listener, heard)
            self.listener = step.state
            self._record("listener", heard, step)

    def happen(self, event: str) -> None:
        self.time.seconds += 1
        now = self.time.seconds
        match event:
            case "timer" | "incident":
                trace = "pg1/1/1" if event == "incident" else None
                self.say(TimerFired(name="heartbeat", due_at=now), trace=trace)
            case "renewed":
                # Soon to end: a stale one would let the election give up.
                self.say(LeaderRenewed(member="pg1", valid_until=now + 6))
            case "answered":
                self.say(StoreAnswered())
            case "elect":
                self.elect()
            case "listen":
                self.listen()
            case "beat":
                self.beat()
            case "quiet":
                for _ in range(12):
                    self.time.seconds += 1
                    self.beat()
            case "roll":
                self.ledger.roll("asked")

    def beat(self) -> None:
        self.say(LeaderRenewed(member="pg1", valid_until=self.time.seconds + 6))
        self.say(TimerFired(name="heartbeat", due_at=self.time.seconds))
        for _ in range(3):
            self.elect()
        for _ in range(2):
            self.listen()

    def _record(
        self, actor: str, heard: Envelope[Message], step: Step[Memory] | Step[Heard]
    ) -> None:
        said = [
            self.stamper.envelope(m, said_by=actor, cause=heard, trace=heard.trace)
            for m in step.said
        ]
        self.for_listener.extend(e for e in said if isinstance(e.message, RenewLeader))
        stamp = self.stamper.stamp(), self.time.seconds
        self.ledger.enter(step_entry(actor, heard, step, said, stamp))

    @property
    def truth(self) -> tuple[Memory, Heard]:
        """The states when everybody has heard everything that is said."""
        election, listener = self.election, self.listener
        for envelope in self.for_election:
            election = TOY.handle(election, envelope).state
        for envelope in self.for_listener:
            listener = listen(listener, envelope).state
        return election, listener

    def read(self) -> list[Record]:
        return records(self.directory, with_held=True)


def replayed(found: list[Record]) -> tuple[Memory, Heard]:
    return (
        Replay(TOY).take_all(found).settled(),
        Replay(LISTENER).take_all(found).settled(),
    )


EVENTS = st.sampled_from(
    [
        *("timer", "renewed", "incident", "answered", "roll"),
        *("elect", "elect", "listen", "listen", "beat", "beat", "quiet"),
    ]
)


@given(st.lists(EVENTS, max_size=12) | st.lists(EVENTS, min_size=20, max_size=40))
@examples(15)
def test_every_step_that_is_left_comes_out_again(events: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        story = Story(Path(name), JournalOptions(quiet_bytes=3_000))
        for event in events:
            story.happen(event)
            story.ledger.tick()
            found = story.read()
            assert replayed(found) == story.truth
            last = max(i for i, r in enumerate(found) if r.kind == "start")
            assert replayed(found[last:]) == story.truth, "the last segment alone"


@given(st.lists(EVENTS, max_size=40))
@examples(25)
def test_what_is_not_routine_is_all_there_and_the_rest_is_counted(
    events: list[str],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        story = Story(Path(name), JournalOptions(quiet_bytes=3_000))
        for event in events:
            story.happen(event)
        story.ledger.release()
        story.ledger.write()
        found = [r for r in records(story.directory) if "recalled" not in r.fields]
    ids = [r.fields["id"] for r in found if r.kind == "message"]
    assert len(ids) == len(set(ids))
    steps = [r for r in found if r.kind == "step"]
    for step in steps:
        index = found.index(step)
        said = step.fields.get("said", [])
        after = [r.fields.get("id") for r in found[index + 1 :]]
        assert after[: len(said)] == said, "a step is followed by what it said"
        assert step.fields["heard"] in ids, "and what it heard is there"
    omitted = sum(r.fields["omitted"] for r in found if r.kind == "quiet")
    assert omitted == sum(r.fields.get("repeats", 0) for r in found)


@pytest.mark.parametrize("hours", usually([4, 24], 1))
def test_a_quiet_day_is_a_few_records(tmp_path: Path, hours: int) -> None:
    story = Story(tmp_path, replace(JournalOptions(), segment_age=1e9))
    for _ in range(hours * 360):
        story.time.seconds += 10
        story.beat()
        story.ledger.tick()
    story.ledger.release()
    story.ledger.write()
    found = story.read()
    assert replayed(found) == story.truth
    quiet = [r for r in found if r.kind == "quiet"]
    assert len(quiet) == hours  # once in each
    # Each: the note, two states; two messages, two steps, what one of them said.
    assert len(found) <= 3 + hours * (3 + 5 + 2)


def test_nothing_is_left_out_that_somebody_has_yet_to_hear(tmp_path: Path) -> None:
    story = Story(tmp_path, JournalOptions(quiet_bytes=1_000))
    for _ in range(6):
        story.time.seconds += 1
        story.say(TimerFired(name="heartbeat", due_at=story.time.seconds))
    story.ledger.tick()
    found = [r for r in story.read() if r.kind == "message"]
    assert len(found) == 6
    for _ in range(6):
        story.elect()
    story.ledger.tick()
    assert replayed(story.read()) == story.truth
