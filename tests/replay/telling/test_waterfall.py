"""Waterfalls, as text and as a picture."""

from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.events.spans.span import Span, UnixNanos
from regnal.replay.case import opened
from regnal.replay.telling.waterfall import (
    duration_text,
    rows_of,
    scale_of,
    waterfall_text,
)
from regnal.replay.telling.waterfall_svg import waterfall_svg
from regnal.replay.tracing import Trace, find, spans_of, traces_of
from tests.examples import examples

DEMO = Path(__file__).parents[2] / "journals" / "0.1.0-demo"
SECOND = 1_000_000_000


@cache
def failover() -> Trace:
    with opened([str(DEMO)]) as case:
        return find(traces_of(spans_of(case)), "reign-10")


def span(
    name: str,
    start: UnixNanos,
    end: UnixNanos,
    parent: str | None = "root",
    member: str = "pg1",
) -> Span:
    return Span(
        trace="t",
        span="root" if parent is None else f"{name}{start}",
        parent=parent,
        name=name,
        start=start,
        end=end,
        scope="demo",
        member=member,
    )


def trace_with(*spans: Span) -> Trace:
    return Trace("t", "reign-1", spans)


def test_the_text_has_a_line_for_each_span_and_its_parts_below_it() -> None:
    lines = waterfall_text(failover(), width=120).splitlines()
    assert lines[0] == "reign-10 · failover pg1 → pg2"
    assert "34 spans of pg1, pg2, pg3" in lines[1]
    names = [line[:34].rstrip() for line in lines[4:]]
    assert names[0] == "failover"
    assert names[names.index("  promote") :][:3] == [
        "  promote",
        "    become_primary",
        "      promote_postgres",
    ]
    assert "    probe_peers ×6" in names  # noqa: RUF001
    assert any("watchdog_failed" in line for line in lines)
    assert lines[-1].startswith("~: nothing was done; 19.")


@pytest.mark.parametrize("width", [20, 80, 300])
def test_the_bars_keep_to_the_width(width: int) -> None:
    lines = waterfall_text(failover(), width=width).splitlines()
    bars = [line for line in lines if "█" in line and "watchdog" not in line]
    assert len(bars) > 10
    assert all(len(line) <= max(width, 90) for line in bars)


def test_waiting_is_cut_out_and_work_is_not() -> None:
    root = span("failover", 0, 100 * SECOND, None)
    work = span("rewind_postgres", 60 * SECOND, 100 * SECOND)
    first = span("acquire_leader", 0, SECOND)
    trace = trace_with(root, first, work)
    scale = scale_of(trace, rows_of(trace))
    (cut,) = scale.cuts
    assert (cut.since, cut.until) == (SECOND, 60 * SECOND)
    assert scale.place(100 * SECOND) - scale.place(60 * SECOND) > 0.9


MOMENTS = st.integers(0, 10**12)


@given(st.lists(st.tuples(MOMENTS, MOMENTS, st.sampled_from("abc")), max_size=12))
@examples(50)
def test_later_is_never_further_left(ends: list[tuple[int, int, str]]) -> None:
    parts = [span(name, min(a, b), max(a, b)) for a, b, name in ends]
    last = max([one.end for one in parts], default=0)
    trace = trace_with(span("failover", 0, last, None), *parts)
    rows = rows_of(trace)
    assert sum(len(row.spans) for row in rows) == len(parts) + 1
    scale = scale_of(trace, rows)
    moments = sorted(moment for one in trace.spans for moment in (one.start, one.end))
    places = [scale.place(moment) for moment in moments]
    assert places == sorted(places)
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    ElementTree.fromstring(waterfall_svg(trace))


def test_the_picture_needs_nothing_else_and_has_every_span() -> None:
    picture = waterfall_svg(failover())
    ElementTree.fromstring(picture)
    assert "<script" not in picture
    assert "href" not in picture
    for word in ("rewind_postgres", "watchdog_failed", "acquire_as_the_best_candidate"):
        assert word in picture


def test_a_name_that_is_markup_stays_a_name() -> None:
    root = span("failover", 0, 5, None, member="<b>&")
    assert "<b>" not in waterfall_svg(trace_with(root))


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0.0 ms"),
        (420_000, "0.4 ms"),
        (86_000_000, "86 ms"),
        (16_983_000_000, "16.98 s"),
        (7_200 * SECOND, "7,200 s"),
    ],
)
def test_durations_are_short_to_read(nanos: int, text: str) -> None:
    assert duration_text(nanos) == text
