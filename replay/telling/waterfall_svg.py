"""The waterfall of a trace as a picture: one SVG that needs no other file, and no script.

Members have a colour and a place in the legend, what failed is hatched and has its code
beside it, what is cut out of the line is a gap with its length.
"""

from collections.abc import Iterator
from html import escape

from regnal.events.spans.naming import ERROR, REASON, RULE
from regnal.events.spans.span import Span
from regnal.replay.telling.waterfall import (
    Row,
    Scale,
    duration_text,
    headline,
    rows_of,
    scale_of,
    summary,
)
from regnal.replay.tracing import Trace

WIDTH = 1280
_MARGIN = 24
_NAMES = 300
"""Pixels of names, members and numbers, left of the bars."""

_LEFT = _MARGIN + _NAMES + 130
_RIGHT = WIDTH - _MARGIN - 60
_ROW = 24
_TOP = 128
_BAR = 14
_TICKS = 6
_LEAST = 2.0
"""Pixels that a bar has at least."""

_PLAIN = ("take_transition", "intent_fulfilled")
"""Rules of the supervisor that say no more than the span does."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of Okabe and Ito: told apart by who sees colours otherwise."""

_STYLE = """
svg { --ground: #fff; --ink: #1b1f24; --dim: #667080; --line: #e3e7ec; --cut: #f1f3f6;
  --bad: #b3261e; font: 13px system-ui, "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) { svg { --ground: #14171b; --ink: #e6e9ee;
  --dim: #98a2b0; --line: #2a3038; --cut: #1e2329; --bad: #ff8a80; } }
.ground { fill: var(--ground); } text { fill: var(--ink); } .dim { fill: var(--dim); }
.title { font-size: 19px; font-weight: 600; } .holder { font-weight: 600; }
.line { stroke: var(--line); } .cut { fill: var(--cut); } .bad { fill: var(--bad); }
.stripe { stroke: var(--ground); stroke-width: 3; } .small { font-size: 11px; }
.moment { fill: var(--ground); stroke-width: 1.5; }
.number { font-variant-numeric: tabular-nums; }
"""

_HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {{height}}" '
    f'width="{WIDTH}" height="{{height}}" role="img" aria-label="{{label}}">'
    "<style>{style}</style>"
    '<defs><pattern id="failed" width="7" height="7" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><line class="stripe" x1="0" y1="0" x2="0" y2="7"/>'
    f'</pattern></defs><rect class="ground" width="{WIDTH}" height="{{height}}"/>'
)


def waterfall_svg(trace: Trace) -> str:
    """The whole picture."""
    rows = rows_of(trace)
    scale = scale_of(trace, rows)
    height = _TOP + _ROW * len(rows) + 52
    colours = {
        member: _COLOURS[number % len(_COLOURS)]
        for number, member in enumerate(trace.members)
    }
    parts = [
        _HEAD.format(height=height, label=escape(headline(trace)), style=_STYLE),
        _text(_MARGIN, 38, headline(trace), "title"),
        _text(_MARGIN, 60, summary(trace), "dim"),
        *_legend(colours),
        _text(_MARGIN + _NAMES + 50, _TOP - 14, "at", "dim small", "end"),
        _text(_MARGIN + _NAMES + 118, _TOP - 14, "took", "dim small", "end"),
        *_axis(trace, scale, _TOP + _ROW * len(rows)),
    ]
    for number, row in enumerate(rows):
        parts += _row(row, trace, scale, _TOP + _ROW * number, colours)
    parts += [*_footnote(scale, height), "</svg>"]
    return "\n".join(parts) + "\n"


def _legend(colours: dict[str, str]) -> Iterator[str]:
    x = float(_MARGIN)
    for member, colour in colours.items():
        yield f'<rect x="{x}" y="76" width="12" height="12" rx="3" fill="{colour}"/>'
        yield _text(x + 18, 87, member)
        x += 34 + 8 * len(member)
    yield (
        f'<rect x="{x}" y="76" width="26" height="12" rx="3" class="dim"/>'
        f'<rect x="{x}" y="76" width="26" height="12" rx="3" fill="url(#failed)"/>'
    )
    yield _text(x + 32, 87, "failed", "dim")


def _axis(trace: Trace, scale: Scale, bottom: int) -> Iterator[str]:
    """Lines where a stretch between two cuts begins and ends, and between them where
    there is room."""
    for cut in scale.cuts:
        left, right = _x(cut.left), _x(cut.right)
        length = duration_text(cut.until - cut.since)
        yield (
            f'<rect class="cut" x="{left:.1f}" y="{_TOP - 8}" '
            f'width="{right - left:.1f}" height="{bottom - _TOP + 12}">'
            f"<title>{length} in which nothing was done are cut out</title></rect>"
        )
    last = -100.0
    for moment in _ticks(scale):
        x = _x(scale.place(moment))
        if x - last < 62:
            continue
        last = x
        text = duration_text(moment - trace.start) if moment > trace.start else "0"
        yield (
            f'<line class="line" x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" '
            f'y2="{bottom + 4}"/>'
        )
        yield _text(x, _TOP - 14, text, "dim small number", "middle")


def _ticks(scale: Scale) -> Iterator[int]:
    """Moments in their order: a few of each stretch that is not cut."""
    stretches = scale.stretches
    since = stretches[0].since
    for number, one in enumerate(stretches):
        is_last = number == len(stretches) - 1
        if not one.is_cut and not is_last:
            continue
        until = one.until if is_last and not one.is_cut else one.since
        width = scale.place(until) - scale.place(since)
        count = max(1, round(width * _TICKS))
        for step in range(count + (1 if is_last else 0)):
            yield since + (until - since) * step // count
        since = one.until


def _row(
    row: Row, trace: Trace, scale: Scale, y: int, colours: dict[str, str]
) -> Iterator[str]:
    first, middle = row.first, y + 13
    colour = colours[first.member]
    yield f"<g><title>{escape(_tooltip(row))}</title>"
    if not row.depth:
        yield f'<line class="line" x1="{_MARGIN}" y1="{y}" x2="{_RIGHT}" y2="{y}"/>'
    x = float(_MARGIN + 16 * row.depth)
    yield _text(x, middle, row.label, "" if row.is_work else "holder")
    yield f'<circle cx="{_MARGIN + 252}" cy="{y + 8}" r="4" fill="{colour}"/>'
    yield _text(_MARGIN + 261, middle, first.member, "dim small")
    at = duration_text(first.start - trace.start) if first.start > trace.start else "0"
    yield _text(_MARGIN + _NAMES + 50, middle, at, "dim small number", "end")
    took = duration_text(row.took)
    yield _text(_MARGIN + _NAMES + 118, middle, took, "small number", "end")
    right = 0.0
    for span in row.spans:
        left, right = _x(scale.place(span.start)), _x(scale.place(span.end))
        right = max(right, left + _LEAST)
        yield from _bar(span, left, right, y, colour, is_work=row.is_work)
        for moment in span.moments:
            x = _x(scale.place(moment.at))
            yield (
                f'<circle class="moment" cx="{x:.1f}" cy="{y + 8}" r="3" '
                f'stroke="{colour}"><title>{escape(moment.name)}</title></circle>'
            )
    yield from _remark(row, _x(scale.place(first.start)), right, middle)
    yield "</g>"


def _remark(row: Row, left: float, right: float, y: int) -> Iterator[str]:
    """Why it failed, or the rule by which it was done, where there is room."""
    rule = row.first.attributes.get(RULE)
    if row.is_error:
        failed = next(span for span in row.spans if span.status == "error")
        text = str(failed.attributes.get(ERROR) or failed.status_text)
        look = "bad small"
    elif isinstance(rule, str) and rule not in _PLAIN:
        text, look = rule, "dim small"
    else:
        return
    text = text[:52]
    if right + 6.3 * len(text) < WIDTH - _MARGIN:
        yield _text(right + 7, y, text, look)
    elif left - 6.3 * len(text) > _LEFT:
        yield _text(left - 7, y, text, look, "end")


def _bar(
    span: Span, left: float, right: float, y: int, colour: str, *, is_work: bool
) -> Iterator[str]:
    height, top = (_BAR, y + 1) if is_work else (6, y + 5)
    shape = (
        f'x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{height}" rx="2"'
    )
    opacity = "" if is_work else ' opacity="0.55"'
    yield f'<rect {shape} fill="{colour}"{opacity}/>'
    if span.status == "error":
        yield f'<rect {shape} fill="url(#failed)"/>'


def _tooltip(row: Row) -> str:
    span = row.first
    told = [f"{row.label} ({span.member}), {duration_text(row.took)}"]
    for key in (RULE, REASON):
        if key in span.attributes:
            told.append(f"{key}: {span.attributes[key]}")
    if span.status_text:
        told.append(span.status_text)
    return "\n".join(told)


def _footnote(scale: Scale, height: int) -> Iterator[str]:
    if scale.cuts:
        left_out = duration_text(sum(one.until - one.since for one in scale.cuts))
        yield _text(
            _MARGIN,
            height - 20,
            f"Grey: nothing was done; {left_out} in all are cut out of the line.",
            "dim small",
        )


def _x(share: float) -> float:
    return _LEFT + share * (_RIGHT - _LEFT)


def _text(x: float, y: float, text: str, look: str = "", anchor: str = "start") -> str:
    kind = f' class="{look}"' if look else ""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y}"{kind}{where}>{escape(text)}</text>'
