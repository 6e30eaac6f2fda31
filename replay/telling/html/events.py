"""The list of all events: the timeline for the keyboard, for the ear, and for those who
search.  What the timeline shows when a mark is opened is taken from here."""

from collections.abc import Iterable, Sequence

from regnal.replay.telling.html.markup import Content, Markup, join, tag
from regnal.replay.telling.html.points import Point
from regnal.replay.telling.html.rows import Picture, Window
from regnal.replay.telling.html.values import (
    clock,
    command_of,
    facts_table,
    since_zero,
)

MOST_EFFECTS = 12
"""Of an event, named at it; the arrows show all."""


CHUNK = 50
"""Events; the browser leaves lists out of its layout that are not in sight."""


def events_list(picture: Picture) -> Markup:
    points = picture.points
    chunks = (
        range(first, min(first + CHUNK, len(points)))
        for first in range(0, len(points), CHUNK)
    )
    return tag(
        "div",
        (
            tag(
                "ol",
                (_event(number, points, picture.window) for number in chunk),
                start=chunk.start + 1,
            )
            for chunk in chunks
        ),
        class_="events",
        id="events",
    )


def anchor_of(number: int) -> str:
    """Where an event stands in the page."""
    return f"e{number}"


def body_of(point: Point, points: Sequence[Point] = ()) -> Markup:
    """What it rests on.  Without the other points, causes and effects are not named."""
    return tag(
        "div",
        tag("dl", _account(point, points), class_="account"),
        facts_table(point.facts)
        if point.facts
        else tag("p", "It rests on no facts of its own.", class_="none"),
        class_="body",
    )


def _event(number: int, points: Sequence[Point], window: Window) -> Markup:
    point = points[number]
    kind = "decision" if point.is_decision else "message"
    return tag(
        "li",
        tag(
            "details",
            tag("summary", _headline(point, window)),
            body_of(point, points),
        ),
        id=anchor_of(number),
        class_=f"{kind} chained" if point.link is not None else kind,
    )


def _headline(point: Point, window: Window) -> Content:
    return (
        clock(point.moment),
        " ",
        tag("span", since_zero(point.moment - window.zero), class_="since"),
        " ",
        tag("b", point.member),
        " ",
        tag("span", point.part.replace("_", " "), class_="part"),
        " ",
        tag("span", point.text, class_="text"),
    )


def _account(point: Point, points: Sequence[Point]) -> Iterable[Markup]:
    if point.is_decision:
        yield _entry("rule", tag("code", point.what))
        if point.heard is not None:
            yield _entry("in answer to", tag("code", point.heard))
        if point.said:
            yield _entry("said", _codes(point.said))
    else:
        yield _entry("message", tag("code", point.what))
    if point.link is not None:
        yield _entry("causal chain", f"link {point.link}")
    if points and point.cause is not None:
        yield _entry("because of", _reference(point.cause, points))
    if points and point.effects:
        named = [_reference(number, points) for number in point.effects[:MOST_EFFECTS]]
        more = len(point.effects) - len(named)
        items: list[Content] = [tag("li", one) for one in named]
        if more:
            items.append(tag("li", f"and {more} more"))
        yield _entry("led to", tag("ul", items))
    record = join(f"{point.at.record} of {point.at.member} ", command_of(point.at))
    yield _entry("record", record)


def _entry(name: str, value: Content) -> Markup:
    return join(tag("dt", name), tag("dd", value))


def _codes(names: Iterable[str]) -> Markup:
    return tag("ul", (tag("li", tag("code", name)) for name in names))


def _reference(number: int, points: Sequence[Point]) -> Markup:
    """A link to another event."""
    point = points[number]
    return tag(
        "a",
        clock(point.moment),
        f" {point.member} {point.part.replace('_', ' ')}: {point.text}",
        href=f"#{anchor_of(number)}",
        data_event=number,
    )
