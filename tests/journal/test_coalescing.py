"""What a quiet member leaves out of its journal changes nothing that replay finds.

A random story is told twice: whole, and through the coalescer.  Two actors hear,
each in its own time: `election`, and `listener`, who hears what election says.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from regnal.actors.step import Step
from regnal.journal import coalescing
from regnal.journal.coalescing import Coalescer
from regnal.journal.entries import Entry, message_entry, step_entry
from regnal.journal.stamps import Stamper
from regnal.messages.base import Message
from regnal.messages.cluster import StoreAnswered
from regnal.messages.envelope import Envelope
from regnal.messages.lease import LeaderRenewed, RenewLeader
from regnal.messages.timers import TimerFired
from tests.journal.builders import FakeTime, Memory, remember


@dataclass
class Story:
    """A member with two actors; every entry it makes is kept."""

    entries: list[Entry] = field(default_factory=list)
    truth: list[dict[str, Memory]] = field(default_factory=list)
    """States after each entry."""

    envelopes: dict[str, Envelope[Message]] = field(default_factory=dict)
    states: dict[str, Memory] = field(
        default_factory=lambda: {"election": Memory(), "listener": Memory()}
    )
    mailboxes: dict[str, deque[Envelope[Message]]] = field(
        default_factory=lambda: {"election": deque(), "listener": deque()}
    )
    stamper: Stamper = field(
        default_factory=lambda: Stamper("pg1", 1, FakeTime().clocks)
    )

    def say(self, message: Message, *, trace: str | None = None) -> None:
        said = self._envelope(message, "dcs", None, trace)
        self._keep(message_entry(said))
        self.mailboxes["election"].append(said)

    def hear(self, actor: str) -> None:
        if not self.mailboxes[actor]:
            return
        heard = self.mailboxes[actor].popleft()
        step = act(actor, self.states[actor], heard)
        self.states[actor] = step.state
        said = [self._envelope(m, actor, heard, heard.trace) for m in step.said]
        self.mailboxes["listener"].extend(said)
        stamp = self.stamper.stamp(), 0.0
        self._keep(step_entry(actor, heard, step, said, stamp))

    def _envelope(
        self,
        message: Message,
        by: str,
        cause: Envelope[Message] | None,
        trace: str | None,
    ) -> Envelope[Message]:
        said = self.stamper.envelope(message, said_by=by, cause=cause, trace=trace)
        self.envelopes[said.id] = said
        return said

    def _keep(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.truth.append(dict(self.states))


def act(actor: str, memory: Memory, heard: Envelope[Message]) -> Step[Memory]:
    if actor == "election":
        return remember(memory, heard)
    assert isinstance(heard.message, RenewLeader)
    return Step(Memory(beat_at=heard.message.deadline), rule="listened")


EVENTS = st.one_of(
    st.tuples(st.just("beat"), st.integers(0, 9)),
    st.tuples(st.just("retry"), st.integers(0, 9)),
    st.tuples(st.just("renewed"), st.integers(0, 9)),
    st.tuples(st.just("incident"), st.integers(0, 9)),
    st.tuples(st.just("beat at once"), st.integers(0, 9)),
    st.tuples(st.just("retry at once"), st.integers(0, 9)),
    st.tuples(st.just("answered"), st.just(0)),
    st.tuples(st.just("election"), st.just(0)),
    st.tuples(st.just("election"), st.just(0)),
    st.tuples(st.just("listener"), st.just(0)),
)

STORIES = st.lists(EVENTS, max_size=20) | st.lists(EVENTS, min_size=40, max_size=80)


def told(events: list[tuple[str, int]]) -> Story:
    story = Story()
    for event, value in events:
        match event:
            case "beat":
                story.say(TimerFired(name="heartbeat", due_at=value))
            case "retry":
                story.say(TimerFired(name="retry", due_at=value))
            case "renewed":
                story.say(LeaderRenewed(member="pg1", valid_until=value))
            case "incident":
                story.say(TimerFired(name="heartbeat", due_at=value), trace="t")
            case "beat at once" | "retry at once":
                story.say(TimerFired(name=event[:5], due_at=value))
                story.hear("election")
            case "answered":
                story.say(StoreAnswered())
            case actor:
                story.hear(actor)
    return story


def written(story: Story, written_at: list[int]) -> Iterator[dict[str, object]]:
    """The records in the order of the journal; notes when all is written."""
    coalescer = Coalescer()
    for index, entry in enumerate(story.entries):
        if coalescer.hold(entry) is not None:
            continue
        for group in [*coalescer.release(), coalescer.group(entry)]:
            yield from (from_json(b"{%b}" % body) for body in group.bodies)
        written_at.append(index)
        yield {"kind": "checkpoint", "index": index}
    for group in coalescer.release():
        yield from (from_json(b"{%b}" % body) for body in group.bodies)
    yield {"kind": "checkpoint", "index": len(story.entries) - 1}


@given(STORIES)
def test_replay_of_what_is_left_finds_the_same_states(
    events: list[tuple[str, int]],
) -> None:
    story = told(events)
    states = {"election": Memory(), "listener": Memory()}
    known: set[object] = set()
    for record in written(story, []):
        match record["kind"]:
            case "message":
                known.add(record["id"])
            case "step":
                assert record["heard"] in known, "a step before what it heard"
                actor = str(record["actor"])
                heard = story.envelopes[str(record["heard"])]
                states[actor] = act(actor, states[actor], heard).state
            case "checkpoint" if story.entries:
                index = record["index"]
                assert isinstance(index, int)
                assert states == story.truth[index]


@given(STORIES)
def test_a_step_is_never_without_what_it_said_nor_twice(
    events: list[tuple[str, int]],
) -> None:
    story = told(events)
    records = [r for r in written(story, []) if r["kind"] != "checkpoint"]
    ids = [record["id"] for record in records if record["kind"] == "message"]
    assert len(ids) == len(set(ids))
    for index, record in enumerate(records):
        if record["kind"] == "step":
            said = record.get("said", [])
            assert isinstance(said, list)
            after = records[index + 1 : index + 1 + len(said)]
            assert [one["id"] for one in after] == said


@given(STORIES)
def test_what_is_not_routine_is_all_there_and_the_rest_is_counted(
    events: list[tuple[str, int]],
) -> None:
    story = told(events)
    records = [r for r in written(story, []) if r["kind"] != "checkpoint"]
    ids = {record["id"] for record in records if record["kind"] == "message"}
    for envelope in story.envelopes.values():
        if envelope.trace is not None or not envelope.message.routine:
            assert envelope.id in ids
    steps = [record for record in records if record["kind"] == "step"]
    repeats = [record.get("repeats", 0) for record in steps]
    whole = sum(1 for entry in story.entries if hasattr(entry, "heard"))
    assert len(steps) + sum(n for n in repeats if isinstance(n, int)) == whole


def test_a_quiet_day_is_a_few_records() -> None:
    story = Story()
    for beat in range(8640):
        story.say(TimerFired(name="heartbeat", due_at=beat))
        story.say(LeaderRenewed(member="pg1", valid_until=beat))
        for actor in ("election", "election", "listener"):
            story.hear(actor)
    records = [r for r in written(story, []) if r["kind"] != "checkpoint"]
    # The first of each in full, the last of each: two messages, three steps, and
    # what one of them said.
    assert len(records) == 2 * 6
    last = [r for r in records if r["kind"] == "step"][-1]
    assert last["repeats"] == 8640 - 2


def test_what_was_forgotten_is_written_again_rather_than_missing() -> None:
    story = Story()
    for beat in range(3):
        story.say(TimerFired(name="heartbeat", due_at=beat))
    for number in range(coalescing.MAXIMUM_RECENT + 10):
        story.say(TimerFired(name=f"other {number}", due_at=0))
        story.mailboxes["election"].pop()
    for _ in range(3):
        story.hear("election")
    known: set[object] = set()
    for record in written(story, []):
        known.add(record.get("id"))
        if record["kind"] == "step":
            assert record["heard"] in known
