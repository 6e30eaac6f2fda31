"""The timeline as it stands without a script, and on paper: all of it, in percent.

Each row is a label and an SVG of its own.  The script leaves this as it is; it hides the
`static` parts on the screen and draws those that can be zoomed beside them.
"""

from collections.abc import Iterable, Iterator, Sequence

from regnal.messages.base import Seconds
from regnal.replay.evidence.wall import clock_text
from regnal.replay.explaining.story import Outage
from regnal.replay.telling.html.markup import Content, Markup, join, tag
from regnal.replay.telling.html.points import Point
from regnal.replay.telling.html.rows import Bar, Group, Row, Window
from regnal.replay.telling.html.tones import MEANINGS, tone_of
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

PATTERNS = Markup(
    '<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>'
    '<pattern id="moves" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="ground" width="7" height="7"/><rect class="figure" width="3" height="7"/></pattern>'
    '<pattern id="gone" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<path class="figure" d="M0 0L6 6M6 0L0 6"/></pattern>'
    '<pattern id="unknown" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<circle class="figure" cx="2" cy="2" r="1"/></pattern>'
    '<pattern id="no-writes" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">'
    '<rect class="ground" width="8" height="8"/><rect class="figure" width="1" height="8"/></pattern>'
    '<path id="decision" d="M0-5.5L5.5 0L0 5.5L-5.5 0Z"/><circle id="message" r="3.5"/>'
    '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8Z"/></marker>'
    "</defs></svg>"
)
"""What the stylesheet and the script draw with."""


def chart(
    groups: Sequence[Group],
    points: Sequence[Point],
    window: Window,
    outage: Outage | None,
) -> Markup:
    """The axis and all rows, numbered in their order by `data-row`."""
    shading = _shading(window, outage)
    numbers = iter(range(sum(len(group.rows) for group in groups)))
    return tag(
        "div",
        _axis(window, outage),
        (_group(group, points, window, shading, numbers) for group in groups),
        class_="chart",
        id="chart",
    )


def legend() -> Markup:
    """What the looks mean."""
    tones = [
        (tag("svg", _swatch(tone), class_="swatch", aria_hidden="true"), meaning)
        for tone, meaning in MEANINGS.items()
        if tone != "unknown"
    ]
    tones.append(
        (
            tag(
                "svg", _swatch("leads last-known"), class_="swatch", aria_hidden="true"
            ),
            "pale: last known, as the daemon was gone",
        )
    )
    marks = [
        (_mark_swatch("decision"), "a decision of an actor"),
        (_mark_swatch("message"), "something that happened"),
        (_mark_swatch("decision chained"), "a link of the causal chain"),
        (
            tag(
                "svg",
                tag("rect", class_="no-writes", width="100%", height="100%"),
                class_="swatch",
                aria_hidden="true",
            ),
            "nobody could write",
        ),
    ]
    return tag(
        "ul",
        (tag("li", swatch, " ", meaning) for swatch, meaning in (*tones, *marks)),
        class_="legend",
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


def _group(
    group: Group,
    points: Sequence[Point],
    window: Window,
    shading: Content,
    numbers: Iterator[int],
) -> Markup:
    return tag(
        "section",
        tag(
            "h3",
            tag("span", group.member, class_="name"),
            (tag("span", note, class_="note") for note in group.notes),
            class_="member",
        ),
        (_row(row, next(numbers), points, window, shading) for row in group.rows),
        class_="group" if group.is_central else "group aside",
    )


def _row(
    row: Row,
    number: int,
    points: Sequence[Point],
    window: Window,
    shading: Content,
) -> Markup:
    drawn = _bars(row.bars, window) if row.bars else _marks(row, points, window)
    return tag(
        "div",
        tag("span", row.label, class_="label", title=row.about or None),
        tag(
            "svg",
            tag("g", shading, drawn, class_="static"),
            tag("g", class_="live"),
            class_="track",
            role="img",
            aria_label=_spoken(row, points, window),
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


def _marks(row: Row, points: Sequence[Point], window: Window) -> Iterator[Markup]:
    """Links of the chain and decisions are what remains of a crowd."""
    taken: set[int] = set()
    by_weight = sorted(
        row.points, key=lambda n: (points[n].link is None, not points[n].is_decision)
    )
    for index in by_weight:
        point = points[index]
        share = window.share(point.moment)
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


def _shading(window: Window, outage: Outage | None) -> Content:
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


def _axis(window: Window, outage: Outage | None) -> Markup:
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
        tag("span", _zero_text(outage), class_="label"),
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


def _spoken(row: Row, points: Sequence[Point], window: Window) -> str:
    if row.bars:
        told = [
            f"{one.text} from {since_zero(one.since - window.zero)} s "
            f"for {span_text(one.until - one.since)}"
            for one in row.bars[:SPOKEN_BARS]
        ]
        more = len(row.bars) - len(told)
        if more > 0:
            told.append(f"and {more} more")
        return f"{row.member}, {row.label}: {'; '.join(told)}"
    decisions = sum(points[index].is_decision for index in row.points)
    return (
        f"{row.member}, {row.label}: {decisions} decisions and "
        f"{len(row.points) - decisions} messages, all in the list of events"
    )


def _swatch(tone: str) -> Markup:
    return tag("rect", class_=f"bar {tone}", width="100%", height="100%")


def _mark_swatch(classes: str) -> Markup:
    kind = classes.partition(" ")[0]
    return tag(
        "svg",
        tag("use", href=f"#{kind}", class_=f"mark {classes}", x="50%", y="50%"),
        class_="swatch bare",
        aria_hidden="true",
    )
