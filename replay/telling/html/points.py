"""The points of the timeline: every event, and every link of the causal chain.

A link may be a record too ordinary to be an event; in the picture it is one, so that the
chain can be followed from mark to mark.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from regnal.messages.base import MemberName
from regnal.messages.frozen import replace
from regnal.replay.explaining.story import Event, Link, Moment, Reference, Story


class Place(NamedTuple):
    """What was said or decided where: the same for an event and for the link that it is."""

    member: MemberName
    record: int
    part: str
    what: str


@dataclass(frozen=True, slots=True)
class Point:
    """A mark in the picture, and what is shown when it is opened."""

    id: str
    moment: Moment
    part: str
    what: str
    is_decision: bool
    text: str
    facts: dict[str, Any]
    at: Reference
    cause_id: str | None
    heard: str | None = None
    """Type of the message that a decision was an answer to; None: not known."""

    said: tuple[str, ...] = ()
    link: int | None = None
    """Its place in the causal chain, from 1."""

    cause: int | None = None
    """Index of the point that led to it."""

    effects: tuple[int, ...] = ()
    """Indices of those that it led to."""

    @property
    def member(self) -> MemberName:
        return self.at.member

    @property
    def place(self) -> Place:
        return Place(self.at.member, self.at.record, self.part, self.what)


def points_of(story: Story) -> tuple[Point, ...]:
    """In the order of their moments."""
    links = {place_of(link): link for link in _links(story)}
    numbers = {place_of(link): number for number, link in enumerate(story.chain, 1)}
    points = [_of_event(event, links) for event in story.events]
    ids = {point.place: point.id for point in points}
    for link in story.chain:
        if place_of(link) not in ids:
            points.append(_of_link(link))
            ids[place_of(link)] = points[-1].id
    # Nearer than the cause that an event names, which is an event, too.
    causes = {
        place_of(after): ids[place_of(before)]
        for before, after in pairwise(story.chain)
    }
    points.sort(key=lambda point: point.moment)
    return _joined(
        [
            replace(
                one,
                link=numbers.get(one.place),
                cause_id=causes.get(one.place, one.cause_id),
            )
            for one in points
        ]
    )


def place_of(told: Link | Event) -> Place:
    return Place(told.at.member, told.at.record, told.part, told.what)


def _links(story: Story) -> Iterable[Link]:
    yield from story.chain
    for view in story.views:
        yield from view.moments


def _of_event(event: Event, links: dict[Place, Link]) -> Point:
    link = links.get(place_of(event))
    return Point(
        id=event.id,
        moment=event.moment,
        part=event.part,
        what=event.what,
        is_decision=event.is_decision,
        text=event.text,
        facts=event.facts,
        at=event.at,
        cause_id=event.cause,
        heard=link.heard if link is not None else None,
        said=link.said if link is not None else (),
    )


def _of_link(link: Link) -> Point:
    return Point(
        id=f"{link.part}:{link.at.member}/{link.at.record}",
        moment=link.moment,
        part=link.part,
        what=link.what,
        is_decision=link.is_decision,
        text=link.text,
        facts=link.facts,
        at=link.at,
        cause_id=None,
        heard=link.heard,
        said=link.said,
    )


def _joined(points: list[Point]) -> tuple[Point, ...]:
    """With causes and effects as indices."""
    index: dict[str, int] = {}
    for number, point in enumerate(points):
        index.setdefault(point.id, number)
    causes = [index.get(one.cause_id) if one.cause_id else None for one in points]
    effects: list[list[int]] = [[] for _ in points]
    for number, cause in enumerate(causes):
        if cause is not None and cause != number:
            effects[cause].append(number)
    return tuple(
        replace(
            point,
            cause=None if cause == number else cause,
            effects=tuple(effects[number]),
        )
        for number, (point, cause) in enumerate(zip(points, causes, strict=True))
    )
