"""Stories to be told: a real one, and variants of it that are hard to draw."""

from functools import cache
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import BaseModel

from regnal.replay.explaining.explain import Investigation
from regnal.replay.explaining.story import (
    Event,
    Lane,
    MemberTold,
    Outage,
    Reference,
    State,
    Story,
    Trouble,
    View,
)
from regnal.replay.explaining.timeline import MAXIMUM_EVENTS

MUSEUM = Path(__file__).parents[2] / "journals" / "0.1.0-demo"


@cache
def demo_story(incident: str = "reign-10") -> Story:
    """Of three members; the host of the leader was lost."""
    journals = {path.name: path for path in sorted(MUSEUM.iterdir())}
    investigation = Investigation(journals)
    return investigation.story(investigation.find(incident))


def changed(story: Story, **changes: Any) -> Story:
    return story.model_copy(update=changes)


@cache
def shortened() -> Story:
    """With some of everything, for tests that tell it again and again."""
    story = demo_story()
    return changed(
        story,
        chain=story.chain[:4],
        events=story.events[:6],
        views=tuple(
            one.model_copy(update={"moments": one.moments[:2]}) for one in story.views
        ),
    )


def without_a_successor() -> Story:
    """Nobody took over; the journals end in the outage."""
    story = demo_story()
    assert story.outage is not None
    outage = story.outage.model_copy(
        update={"until": None, "certainty": "at_least", "how": "nobody took writes"}
    )
    return changed(
        story, leader=None, timeline=None, outage=outage, loss=None, phases=(), chain=()
    )


def with_a_missing_journal() -> Story:
    """pg3 is spoken of, and silent itself."""
    story = demo_story()
    return changed(
        story,
        members=tuple(
            _silent(one) if one.member == "pg3" else one for one in story.members
        ),
        events=tuple(one for one in story.events if one.member != "pg3"),
        chain=tuple(one for one in story.chain if one.member != "pg3"),
        views=tuple(
            View(member="pg3", role="other", has_journal=False, moments=())
            if one.member == "pg3"
            else one
            for one in story.views
        ),
        troubles=(
            Trouble(code="journal_missing", text="the journal of pg3 is missing"),
        ),
    )


def of_hours() -> Story:
    """The same, a thousand times as slow."""
    return _stretched(demo_story(), 1000.0)


def with_many_members(count: int = 7) -> Story:
    """pg3, under several names."""
    story = demo_story()
    names = [f"pg{number}" for number in range(4, count + 1)]
    others = [one for one in story.members if one.member == "pg3"]
    events = [one for one in story.events if one.member == "pg3"]
    return changed(
        story,
        members=(
            *story.members,
            *(
                one.model_copy(update={"member": name})
                for name in names
                for one in others
            ),
        ),
        events=(
            *story.events,
            *(_moved(one, name) for name in names for one in events),
        ),
    )


def with_many_events(count: int = MAXIMUM_EVENTS) -> Story:
    """Events all over the window, each the cause of the next of its member."""
    story = with_many_members()
    began, whole = story.began, story.ended - story.began
    sample = story.events
    names = [one.member for one in story.members]
    events = []
    for number in range(count):
        like = sample[number % len(sample)]
        name = names[number % len(names)]
        events.append(
            like.model_copy(
                update={
                    "id": f"many/{number}",
                    "moment": began + whole * number / count,
                    "member": name,
                    "cause": f"many/{number - len(names)}"
                    if number >= len(names)
                    else None,
                    "at": Reference(member=name, record=number + 1),
                }
            )
        )
    return changed(story, events=tuple(events), chain=())


def empty() -> Story:
    """The least that can be told."""
    return changed(
        demo_story(),
        leader=None,
        timeline=None,
        author=None,
        outage=None,
        loss=None,
        phases=(),
        chain=(),
        candidates=(),
        views=(),
        advice=(),
        episodes=(),
        members=(),
        events=(),
        troubles=(),
    )


def hostile(text: str, story: Story | None = None) -> Story:
    """With `text` wherever a journal could have put one, also in place of names."""
    poisoned = _poisoned(story or demo_story(), text)
    assert isinstance(poisoned, Story)
    return poisoned


def _poisoned(value: Any, text: str) -> Any:
    match value:
        case BaseModel():
            fields = type(value).model_fields
            return value.model_copy(
                update={
                    name: _poisoned(getattr(value, name), text)
                    for name, field in fields.items()
                    if get_origin(field.annotation) is not Literal
                }
            )
        case dict():
            return {name + text: _poisoned(one, text) for name, one in value.items()}
        case list() | tuple():
            return tuple(_poisoned(one, text) for one in value)
        case str():
            return value + text
        case _:
            return value


def _silent(member: MemberTold) -> MemberTold:
    return member.model_copy(update={"has_journal": False, "versions": {}, "lanes": ()})


def _moved(event: Event, name: str) -> Event:
    return event.model_copy(
        update={
            "member": name,
            "id": f"{event.id}/{name}",
            "cause": None if event.cause is None else f"{event.cause}/{name}",
            "at": Reference(member=name, record=event.at.record),
        }
    )


def _stretched(story: Story, factor: float) -> Story:
    zero = story.began

    def later(moment: float) -> float:
        return zero + (moment - zero) * factor

    def state(one: State) -> State:
        return one.model_copy(
            update={"since": later(one.since), "until": later(one.until)}
        )

    def lane(one: Lane) -> Lane:
        return one.model_copy(update={"states": tuple(map(state, one.states))})

    assert story.outage is not None
    outage = Outage(
        since=later(story.outage.since),
        until=later(story.outage.until or story.ended),
        seconds=story.outage.seconds * factor,
        certainty="measured",
        how=story.outage.how,
    )
    return changed(
        story,
        ended=later(story.ended),
        outage=outage,
        phases=tuple(
            one.model_copy(
                update={"began": later(one.began), "seconds": one.seconds * factor}
            )
            for one in story.phases
        ),
        members=tuple(
            one.model_copy(update={"lanes": tuple(map(lane, one.lanes))})
            for one in story.members
        ),
        events=tuple(
            one.model_copy(update={"moment": later(one.moment)}) for one in story.events
        ),
        chain=tuple(
            one.model_copy(update={"moment": later(one.moment)}) for one in story.chain
        ),
    )
