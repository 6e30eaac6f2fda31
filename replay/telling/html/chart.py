"""The timeline as it stands without a script, and on paper: all of it, in percent.

Each row is a label and an SVG of its own.  The script leaves this as it is; it hides the
`static` parts on the screen and draws those that can be zoomed beside them.
"""

from collections.abc import Iterable, Iterator

from regnal.messages.base import Seconds
from regnal.replay.evidence.wall import clock_text
from regnal.replay.explaining.story import Outage
from regnal.replay.telling.html.markup import Content, Markup, join, tag
from regnal.replay.telling.html.rows import Bar, Group, Picture, Row, Window
from regnal.replay.telling.html.tones import tone_of
from regnal.replay.telling.html.values import since_zero, span_text

TICKS = 7
"""About so many on the axis."""

STEPS: tuple[Seconds, ...] = (
    *(digit * 10.0**power for power in range(-6, 1) for digit in (1, 2, 5)),
    *(10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0),
    *(3600.0, 7200.0, 10800.0, 21600.0, 43200.0),
    *(86400.0 * days for days in (1, 2, 7, 30, 365)),
)
"""Between two ticks: what people count in."""

CLOSEST_MARKS = 0.35
"""Percent of the width; of marks that are nearer to each other one is drawn."""

ROOM_FOR_A_LETTER = 1.1
"""Percent of the width, on paper."""

SPOKEN_BARS = 30
"""Of a lane, for those who hear the page."""


def chart(picture: Picture) -> Markup:
    """The axis and all rows, numbered in their order by `data-row`."""
    numbers = iter(range(len(picture.rows)))
    return tag(
        "div",
        _axis(picture),
        (_group(group, picture, numbers) for group in picture.groups),
        class_="chart",
        id="chart",
    )


def tick_text(seconds: Seconds, step: Seconds) -> str:
    """`+16.84 s`, `+1:30 min`, `+2:00 h`, with as many digits as the step has."""
    sign = "\N{MINUS SIGN}" if seconds < 0 else "+"
    size = abs(seconds)
    digits = next((n for n in range(7) if round(step * 10**n, 6) >= 1), 6)
    if size < 60:
        return f"{sign}{size:.{digits}f} s"
    if size < 3600:
        minutes, rest = divmod(size, 60)
        width = digits + 3 if digits else 2
        return f"{sign}{minutes:.0f}:{rest:0{width}.{digits}f} min"
    hours, rest = divmod(round(size), 3600)
    return f"{sign}{hours}:{rest // 60:02} h"


def _group(group: Group, picture: Picture, numbers: Iterator[int]) -> Markup:
    return tag(
        "section",
        tag(
            "h3",
            tag("span", group.member, class_="name"),
            (tag("span", note, class_="note") for note in group.notes),
            class_="member",
        ),
        (_row(row, next(numbers), picture) for row in group.rows),
        class_="group" if group.is_central else "group aside",
    )


def _row(row: Row, number: int, picture: Picture) -> Markup:
    drawn = _bars(row.bars, picture.window) if row.bars else _marks(row, picture)
    return tag(
        "div",
        tag("span", row.label, class_="label", title=row.about or None),
        tag(
            "svg",
            tag("g", _shading(picture), drawn, class_="static"),
            tag("g", class_="live"),
            class_="track",
            role="img",
            aria_label=_spoken(row, picture),
        ),
        class_=f"row {'lane' if row.bars else 'part'}{' kept' if row.is_kept else ''}",
        data_row=number,
    )


def bar_class(bar: Bar) -> str:
    """Its look, in the stylesheet."""
    return (
        f"{tone_of(bar.state)} last-known" if bar.is_last_known else tone_of(bar.state)
    )


def _bars(bars: Iterable[Bar], window: Window) -> Iterator[Markup]:
    for bar in bars:
        left, right = window.share(bar.since), window.share(bar.until)
        width = max(right - left, 0.1)
        has_room = width > ROOM_FOR_A_LETTER * len(bar.text) + 1
        yield tag(
            "svg",
            tag("rect", class_=f"bar {bar_class(bar)}", width="100%", height="100%"),
            tag("text", bar.text, x=5, y=10.5) if has_room else "",
            x=f"{left:.3f}%",
            y=3,
            width=f"{width:.3f}%",
            height=14,
        )


def _marks(row: Row, picture: Picture) -> Iterator[Markup]:
    """Links of the chain and decisions are what remains of a crowd."""
    points = picture.points
    taken: set[int] = set()
    by_weight = sorted(
        row.points, key=lambda n: (points[n].link is None, not points[n].is_decision)
    )
    for index in by_weight:
        point = points[index]
        share = picture.window.share(point.moment)
        slot = round(share / CLOSEST_MARKS)
        if slot not in taken:
            taken.add(slot)
            kind = "decision" if point.is_decision else "message"
            yield tag(
                "use",
                href=f"#{kind}",
                class_=f"mark {kind}{' chained' if point.link is not None else ''}",
                x=f"{share:.3f}%",
                y=10,
            )


def _shading(picture: Picture) -> Content:
    window, outage = picture.window, picture.outage
    if outage is None:
        return ""
    left = window.share(outage.since)
    right = window.share(window.until if outage.until is None else outage.until)
    return tag(
        "rect",
        class_="no-writes",
        x=f"{left:.3f}%",
        width=f"{right - left:.3f}%",
        height="100%",
    )


def _axis(picture: Picture) -> Markup:
    window = picture.window
    since, until = window.since - window.zero, window.until - window.zero
    step = next((one for one in STEPS if (until - since) / one <= TICKS), STEPS[-1])
    first = int(since // step) + 1
    ticks = [
        seconds
        for number in range(first, first + TICKS + 2)
        if (seconds := number * step) < until
    ]
    return tag(
        "div",
        tag("span", _zero_text(picture.outage), class_="label"),
        tag(
            "svg",
            tag(
                "g",
                (_tick(seconds, step, window) for seconds in ticks),
                class_="static",
            ),
            tag("g", class_="live"),
            class_="ticks",
            aria_hidden="true",
        ),
        class_="axis",
    )


def _tick(seconds: Seconds, step: Seconds, window: Window) -> Markup:
    moment = window.zero + seconds
    x = f"{window.share(moment):.3f}%"
    return join(
        tag("line", x1=x, x2=x, y1=32, y2=40),
        tag("text", tick_text(seconds, step), class_="relative", x=x, y=14),
        tag("text", _clock_of_tick(moment, step), class_="absolute", x=x, y=28),
    )


def _clock_of_tick(moment: float, step: Seconds) -> str:
    """With milliseconds while they matter: the zero is seldom a whole second."""
    text = clock_text(moment)
    return text if step < 60 else text.partition(".")[0]


def _zero_text(outage: Outage | None) -> str:
    return "since the outage began" if outage is not None else "since it began"


def _spoken(row: Row, picture: Picture) -> str:
    if row.bars:
        told = [
            f"{one.text} from {since_zero(one.since - picture.window.zero)} s "
            f"for {span_text(one.until - one.since)}"
            for one in row.bars[:SPOKEN_BARS]
        ]
        more = len(row.bars) - len(told)
        if more > 0:
            told.append(f"and {more} more")
        return f"{row.member}, {row.label}: {'; '.join(told)}"
    decisions = sum(picture.points[index].is_decision for index in row.points)
    return (
        f"{row.member}, {row.label}: {decisions} decisions and "
        f"{len(row.points) - decisions} messages, all in the list of events"
    )
