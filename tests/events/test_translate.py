"""What a journal tells the public."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regnal.events.cloud import CloudEvent, Reporter
from regnal.events.memory import NOTHING, Memory
from regnal.events.tracing import root_id
from regnal.events.translate import KINDS, translate
from regnal.events.vocabulary import EVENTS
from regnal.journal.public_events import EventReader
from regnal.journal.reader import Record, scan
from regnal.messages.base import Message
from regnal.messages.changes import (
    ConfigurationKeyChanged,
    LeaderElected,
    LeaderLost,
    OwnMemberChanged,
)
from regnal.messages.cluster import ClusterObserved, ClusterView, LeaderView
from regnal.messages.envelope import Envelope, HybridTime
from regnal.messages.incidents import (
    IncidentOpened,
    IncidentSettled,
    IncidentWeight,
    SuccessorNoted,
)
from regnal.messages.postgres import PostgresPromoted, PostmasterExited, SlotRefused
from regnal.messages.requests import (
    Caller,
    RequestAnswered,
    SwitchoverCancelRequested,
    SwitchoverRequested,
)
from regnal.messages.synchronous import StandbyNamesFound
from regnal.messages.vocabulary import VOCABULARY
from tests.actors.builders import view

DEMO = Path(__file__).parent.parent / "journals" / "0.1.0-demo"
NAMES = ("pg1", "pg2", "pg3")


def led_by(name: str | None, revision: int) -> ClusterView:
    shown = view("pg1", "pg2", leader=name)
    if name is None:
        return shown
    key = LeaderView(name=name, revision=revision)
    return shown.model_copy(update={"leader": key})


PG1, NOBODY, PG2 = led_by("pg1", 10), led_by(None, 0), led_by("pg2", 33)
CALLER = Caller(address="10.0.0.9", username=None, user_agent=None)


def told(
    *messages: Message, by: str = "pg2", memory: Memory = NOTHING
) -> list[CloudEvent]:
    """What these messages of one member are told as, in their order."""
    events: list[CloudEvent] = []
    for number, message in enumerate(messages, 1):
        envelope = Envelope(
            id=f"{by}/7/{number}",
            hlc=HybridTime(1_700_000_000_000_000 + number, 0, by),
            at=100.0 + number,
            said_by="test",
            cause=None,
            trace=None,
            message=message,
        )
        reporter = Reporter("demo", by)
        memory, said = translate(memory, envelope, reporter, "2026-11-23T07:31:02Z")
        events += said
    return events


def names(events: Sequence[CloudEvent]) -> list[str]:
    return [event.id.partition("/")[0] for event in events]


def opened(weight: IncidentWeight = "outage") -> IncidentOpened:
    return IncidentOpened(
        incident="reign-10",
        what="reign_ended",
        weight=weight,
        member="pg1",
        began="2026-11-23T07:31:00Z",
        began_at=101.5,
        text="nobody holds the leader key, which pg1 had",
        includes=(),
    )


LOST = (
    ClusterObserved(view=PG1),
    ClusterObserved(view=NOBODY),
    LeaderLost(previous="pg1"),
)
ELECTED = (ClusterObserved(view=PG2), LeaderElected(member="pg2", previous="pg1"))
NOTED = SuccessorNoted(incident="reign-10", leader="pg2", change="automatic", at=105.0)
PROMOTED = PostgresPromoted(timeline=2, lsn=900, history=())


def test_a_failover_is_told_with_its_times_by_the_new_leader() -> None:
    events = told(*LOST, opened(), *ELECTED, NOTED, PROMOTED)
    assert names(events) == [
        "leader.lost",
        "incident.opened",
        "failover.started",
        "leader.elected",
        "postgres.promoted",
        "failover.completed",
    ]
    completed = events[-1]
    assert completed.source == "/regnal/demo"
    assert completed.subject == "pg2"
    assert completed.data["former"] == "pg1"
    assert completed.data["leaderless_seconds"] == 3.5
    assert completed.data["promoted_after_seconds"] == 6.5
    assert completed.data["timeline"] == 2
    assert len({event.traceparent[3:35] for event in events}) == 1, "one trace"
    assert {event.traceparent[36:52] for event in events} == {
        root_id("demo", "reign-10")
    }


def test_the_promotion_may_come_before_the_successor_is_noted() -> None:
    events = told(*LOST, opened(), *ELECTED, PROMOTED, NOTED)
    assert names(events)[-2:] == ["postgres.promoted", "failover.completed"]


def test_who_was_not_elected_does_not_tell_of_the_end() -> None:
    events = told(*LOST, opened(), *ELECTED, NOTED, PROMOTED, by="pg3")
    assert "failover.completed" not in names(events)


def test_a_planned_change_is_a_switchover_and_no_failover() -> None:
    noted = NOTED.model_copy(update={"change": "planned"})
    events = told(*LOST, opened("notice"), *ELECTED, noted, PROMOTED)
    assert "failover.started" not in names(events)
    assert names(events)[-1] == "switchover.completed"


def test_a_leader_that_comes_back_averts_the_failover() -> None:
    noted = NOTED.model_copy(update={"change": "none", "leader": "pg1"})
    events = told(*LOST, opened(), noted, by="pg3")
    assert names(events)[-1] == "failover.averted"


def test_an_old_promotion_ends_no_later_failover() -> None:
    events = told(PROMOTED, *LOST, opened(), *ELECTED, NOTED)
    assert "failover.completed" not in names(events)


def test_it_is_told_once() -> None:
    settled = IncidentSettled(
        incident="reign-10", leader="pg2", settled="2026-11-23T07:32:00Z", lasted=9.0
    )
    events = told(*LOST, opened(), *ELECTED, NOTED, PROMOTED, settled, PROMOTED)
    assert names(events).count("failover.completed") == 1


def test_members_agree_on_what_the_store_shows() -> None:
    here, there = told(*LOST, *ELECTED), told(*LOST, *ELECTED, by="pg3")
    assert [(e.key, e.traceparent) for e in here] == [
        (e.key, e.traceparent) for e in there
    ]
    assert {e.reporter for e in here} != {e.reporter for e in there}


def test_a_request_and_what_became_of_it() -> None:
    asked = SwitchoverRequested(
        request="pg2/7/r1",
        caller=CALLER,
        action="switchover",
        leader="pg2",
        candidate="pg9",
        scheduled_at=None,
    )
    answers = {
        412: ["switchover.refused"],
        503: ["switchover.failed"],
        202: ["switchover.scheduled"],
        200: [],
    }
    for status, then in answers.items():
        answer = RequestAnswered(request="pg2/7/r1", status=status, body="so")
        events = told(asked, answer, answer)
        assert names(events) == ["switchover.requested", *then]
    assert told(asked)[0].data["by"] == "10.0.0.9"
    assert told(RequestAnswered(request="pg2/7/r2", status=412, body="no")) == []
    cancelled = SwitchoverCancelRequested(request="pg2/7/r3", caller=CALLER)
    deleted = RequestAnswered(request="pg2/7/r3", status=200, body="deleted")
    assert names(told(cancelled, deleted)) == ["switchover.cancelled"]


def test_states_are_told_when_they_change() -> None:
    shown = OwnMemberChanged(document='{"state":"running","role":"replica"}')
    tagged = OwnMemberChanged(document='{"state":"running","role":"replica","tags":{}}')
    events = told(shown, tagged, OwnMemberChanged(document="no JSON"))
    assert names(events) == ["member.state_changed"]


def test_pause_is_told_from_the_configuration() -> None:
    def seen(config: str | None) -> tuple[Message, Message]:
        shown = PG1.model_copy(update={"config": config, "config_revision": 5})
        changed = ConfigurationKeyChanged(removed=config is None)
        return ClusterObserved(view=shown), changed

    found, _ = seen('{"ttl": 30}')
    events = told(found, *seen('{"ttl": 20, "pause": true}'), *seen(None))
    assert names(events) == [
        "configuration.changed",
        "pause.changed",
        "configuration.changed",
    ]
    assert events[0].data["options"] == ["pause", "ttl"]
    assert events[1].data == {"paused": True}
    assert events[2].data["removed"] is True


def test_a_crash_is_told_and_a_stop_is_not() -> None:
    ended = PostmasterExited(
        pid=5, exit_status=None, signal=9, expected=True, control=None
    )
    crash = ended.model_copy(update={"expected": False})
    assert names(told(ended, crash)) == ["postgres.crashed"]


def test_what_is_tried_again_and_again_is_told_once() -> None:
    refused = SlotRefused(name="pg3", change="dropped", error="is active")
    other = refused.model_copy(update={"error": "no such slot"})
    assert names(told(refused, refused, other)) == ["slot.refused", "slot.refused"]


def test_nobody_to_wait_for_is_no_news_at_the_start() -> None:
    none = StandbyNamesFound(value="", lsn=None)
    events = told(none, StandbyNamesFound(value="pg3", lsn=None), none)
    assert [e.data["names"] for e in events] == ["pg3", ""]


def test_every_kind_that_is_heard_is_a_message() -> None:
    assert VOCABULARY.keys() >= KINDS


# The journals of a real failover and a switchover.


@pytest.fixture(scope="module")
def demo() -> dict[str, list[Record]]:
    return {name: records_of(name) for name in NAMES}


@cache
def records_of(name: str) -> list[Record]:
    return [item for item in scan(DEMO / name) if isinstance(item, Record)]


def read(
    name: str, records: Sequence[Record], memory: str | None = None
) -> EventReader:
    reader = EventReader(Reporter("demo", name), memory)
    for record in records:
        reader.read(record)
    return reader


def events_in(reader: EventReader, records: Sequence[Record]) -> list[CloudEvent]:
    return [event for record in records for event in reader.read(record)]


def test_members_tell_one_failover_under_one_id(demo: dict[str, list[Record]]) -> None:
    seen = {
        name: {
            event.key: event.traceparent
            for event in events_in(EventReader(Reporter("demo", name)), demo[name])
        }
        for name in NAMES
    }
    lost = "/regnal/demo#leader.lost/pg1/10"
    elected = "/regnal/demo#leader.elected/pg2/33"
    assert lost not in seen["pg1"], "it was dead"
    for key in (lost, elected):
        assert seen["pg2"][key] == seen["pg3"][key]
    promoted = next(k for k in seen["pg2"] if "postgres.promoted" in k)
    assert seen["pg2"][promoted][:35] == seen["pg2"][lost][:35]
    for events in seen.values():
        assert not any("switchover.refused" in key for key in events)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_who_goes_on_with_the_memory_tells_the_same(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    records = records_of(name)
    cut = data.draw(st.integers(0, len(records)))
    whole = events_in(EventReader(Reporter("demo", name)), records)
    first = EventReader(Reporter("demo", name))
    begin = events_in(first, records[:cut])
    rest = events_in(EventReader(Reporter("demo", name), first.memory), records[cut:])
    assert begin + rest == whole
    assert len({event.key for event in whole}) == len(whole)


def test_every_event_has_the_shape_of_its_type(demo: dict[str, list[Record]]) -> None:
    for name in NAMES:
        for event in events_in(EventReader(Reporter("demo", name)), demo[name]):
            again = CloudEvent.model_validate_json(event.json_bytes())
            assert again == event
            word = EVENTS[event.type]
            assert word.model_validate(event.data).model_dump(mode="json") == event.data


def test_a_memory_that_cannot_be_read_is_none() -> None:
    assert read("pg1", (), "rubbish").memory == "{}"
