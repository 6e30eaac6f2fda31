"""The waterfall of a trace: its spans as rows, and where on a line their times lie.

Most of an incident's time is often waiting, while what matters takes milliseconds: a
stretch in which nothing was being done is cut out, and shown as cut.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, get_args

from regnal.events.spans.naming import (
    FORMER,
    LEADER,
    PHASES,
    ROOTS,
    PartName,
)
from regnal.events.spans.span import Span, UnixNanos
from regnal.replay.evidence.wall import clock_text
from regnal.replay.telling.text import Style, plain
from regnal.replay.tracing import Trace

CUT_SHARE = 0.05
"""Of the time that is left, above which a stretch of waiting is cut out."""

LEAST_CUT: UnixNanos = 500_000_000
"""What is shorter is never cut out."""

CUT_WIDTH = 0.02
"""Of the width, that what is cut out takes."""

MOST_CUTS = 12
_HOLDERS = frozenset({*PHASES, *get_args(PartName), *ROOTS})
_GIVING = ("hand over", "step down")

REPEATED = 3
"""So many like spans in a row become one row."""

_NAME, _MEMBER, _NUMBERS = 34, 8, 22
"""Columns of the text, before the bars."""

LEAST_BAR = 20


class Row(NamedTuple):
    """One span, or several like ones one after the other."""

    spans: tuple[Span, ...]
    depth: int
    is_work: bool
    """Whether something was being done: the others hold what was."""

    @property
    def first(self) -> Span:
        return self.spans[0]

    @property
    def label(self) -> str:
        count = len(self.spans)
        return self.first.name if count == 1 else f"{self.first.name} ×{count}"  # noqa: RUF001

    @property
    def took(self) -> UnixNanos:
        """Time in them, together."""
        return sum(span.end - span.start for span in self.spans)

    @property
    def is_error(self) -> bool:
        return any(span.status == "error" for span in self.spans)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the line."""

    since: UnixNanos
    until: UnixNanos
    left: float
    right: float
    """Shares of the width."""

    is_cut: bool


class Scale:
    """From moments to shares of the width, 0 to 1."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self.stretches = tuple(stretches)
        self._begins = [one.since for one in stretches]

    def place(self, moment: UnixNanos) -> float:
        index = max(0, bisect_right(self._begins, moment) - 1)
        one = self.stretches[index]
        length = one.until - one.since
        share = (moment - one.since) / length if length else 0.0
        return one.left + min(1.0, max(0.0, share)) * (one.right - one.left)

    @property
    def cuts(self) -> tuple[Stretch, ...]:
        return tuple(one for one in self.stretches if one.is_cut)


def rows_of(trace: Trace) -> tuple[Row, ...]:
    """From the root down, each followed by what is part of it."""
    ids = {span.span for span in trace.spans}
    parts: dict[str | None, list[Span]] = defaultdict(list)
    for span in trace.spans:
        parts[span.parent if span.parent in ids else None].append(span)
    whole = {span.parent for span in trace.spans}

    for children in parts.values():
        children.sort(key=lambda span: _order(span, trace.root))

    def under(parent: str | None, depth: int) -> Iterator[Row]:
        for group in _groups(parts[parent], whole):
            is_work = group[0].span not in whole and group[0].name not in _HOLDERS
            yield Row(tuple(group), depth, is_work)
            if len(group) == 1:
                yield from under(group[0].span, depth + 1)

    return tuple(under(None, 0))


def _order(span: Span, root: Span | None) -> tuple[int, UnixNanos, UnixNanos]:
    """Who gave the lead away comes first, then who took it, then the others."""
    if root is None or span.parent != root.span:
        return 0, span.start, -span.end
    rank = 0 if span.name in _GIVING else 1 if span.member == root.member else 2
    return rank, span.start, -span.end


def _groups(spans: Sequence[Span], whole: set[str | None]) -> Iterator[list[Span]]:
    """Runs of like spans without parts of their own; all others alone."""
    run: list[Span] = []
    for span in spans:
        is_like = run and (span.name, span.member) == (run[-1].name, run[-1].member)
        if is_like and span.span not in whole and run[-1].span not in whole:
            run.append(span)
            continue
        yield from _worth(run)
        run = [span]
    yield from _worth(run)


def _worth(run: list[Span]) -> Iterator[list[Span]]:
    if len(run) >= REPEATED:
        yield run
    else:
        yield from ([span] for span in run)


def scale_of(trace: Trace, rows: Sequence[Row]) -> Scale:
    """Even, but for what is cut out."""
    ends = {moment for span in trace.spans for moment in (span.start, span.end)}
    moments = sorted(ends)
    lengths = list(pairwise(moments))
    busy = [(s.start, s.end) for row in rows if row.is_work for s in row.spans]
    waiting = [
        (since, until)
        for since, until in lengths
        if not any(start < until and since < end for start, end in busy)
    ]
    cut = _cut(waiting, moments[-1] - moments[0])
    room = 1.0 - CUT_WIDTH * len(cut)
    left = sum(until - since for since, until in lengths if (since, until) not in cut)
    stretches, at = [], 0.0
    for since, until in lengths:
        is_cut = (since, until) in cut
        share = CUT_WIDTH if is_cut else room * (until - since) / left if left else room
        stretches.append(Stretch(since, until, at, at + share, is_cut))
        at += share
    return Scale(stretches or [Stretch(moments[0], moments[0], 0.0, 1.0, False)])


def _cut(
    waiting: Sequence[tuple[UnixNanos, UnixNanos]], total: UnixNanos
) -> set[tuple[UnixNanos, UnixNanos]]:
    cut: set[tuple[UnixNanos, UnixNanos]] = set()
    for since, until in sorted(waiting, key=lambda one: one[0] - one[1]):
        if len(cut) == MOST_CUTS or until - since <= max(LEAST_CUT, CUT_SHARE * total):
            break
        cut.add((since, until))
        total -= until - since
    return cut


def duration_text(nanos: UnixNanos) -> str:
    """`12.5 s`, `86 ms`, `0.4 ms`."""
    milliseconds = nanos / 1e6
    if milliseconds >= 100_000:
        return f"{milliseconds / 1000:,.0f} s"
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def headline(trace: Trace) -> str:
    """What it is, of whom, and when."""
    root = trace.root
    what = trace.title if root is not None else "(its root is in another journal)"
    if root is not None:
        former = root.attributes.get(FORMER)
        leader = root.attributes.get(LEADER)
        if former is not None:
            what += f" {former} → {leader}"
    return f"{trace.name} · {what}"


def summary(trace: Trace) -> str:
    began = clock_text(trace.start / 1e9, with_date=True)
    took = duration_text(trace.end - trace.start)
    count = len(trace.spans)
    return f"{began} UTC · {took} · {count} spans of {', '.join(trace.members)}"


def waterfall_text(trace: Trace, *, width: int, style: Style = plain) -> str:
    """For a terminal of so many columns."""
    rows = rows_of(trace)
    scale = scale_of(trace, rows)
    before = _NAME + _MEMBER + _NUMBERS + 2
    columns = max(LEAST_BAR, width - before - 1)
    lines = [style(headline(trace), "heading"), style(summary(trace), "dim"), ""]
    titles = f"{'':{_NAME}}{'member':{_MEMBER}}{'at ms':>11}{'took':>11}"
    lines.append(style(f"{titles}  {_axis(scale, columns)}".rstrip(), "dim"))
    lines += [_line(row, trace, scale, columns, style) for row in rows]
    if scale.cuts:
        left_out = sum(one.until - one.since for one in scale.cuts)
        text = f"~: nothing was done; {duration_text(left_out)} in all are cut out"
        lines += ["", style(text, "dim")]
    return "\n".join(lines)


def _axis(scale: Scale, columns: int) -> str:
    marks = [" "] * columns
    for one in scale.cuts:
        marks[min(columns - 1, int(one.left * columns))] = "~"
    return "".join(marks).rstrip()


def _line(row: Row, trace: Trace, scale: Scale, columns: int, style: Style) -> str:
    name = "  " * row.depth + row.label
    if len(name) > _NAME - 1:
        name = name[: _NAME - 2] + "…"
    at = (row.first.start - trace.start) / 1e6
    numbers = f"{at:>11.1f}{duration_text(row.took):>11}"
    told = f"{name:{_NAME}}{row.first.member[: _MEMBER - 1]:{_MEMBER}}"
    bar = _bar(row, scale, columns)
    kind = "bad" if row.is_error else "good" if row.is_work else "heading"
    text = (
        f"{style(told, kind if row.is_error else 'heading')}" if not row.depth else ""
    )
    text = text or (style(told, "bad") if row.is_error else told)
    note = "  " + style(_why(row), "bad") if row.is_error else ""
    return f"{text}{numbers}  {style(bar, kind)}{note}"


def _bar(row: Row, scale: Scale, columns: int) -> str:
    cells = [" "] * columns
    for one in scale.cuts:
        cells[min(columns - 1, int(one.left * columns))] = "~"
    mark = "█" if row.is_work else "━"
    for span in row.spans:
        first = min(columns - 1, int(scale.place(span.start) * columns))
        last = max(first + 1, round(scale.place(span.end) * columns))
        for cell in range(first, min(columns, last)):
            cells[cell] = mark
    return "".join(cells)


def _why(row: Row) -> str:
    failed = next(span for span in row.spans if span.status == "error")
    return str(failed.attributes.get("error.type") or failed.status_text)[:40]
