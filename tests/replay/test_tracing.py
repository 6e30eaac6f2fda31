"""Traces of whole clusters, from the journals of the museum."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from regnal.events.cloud import Reporter
from regnal.events.spans import naming
from regnal.events.spans.span import Span
from regnal.events.tracing import trace_id
from regnal.journal.reader import Record, scan
from regnal.journal.spans import SpanReader
from regnal.replay.case import opened
from regnal.replay.explaining.explain import Investigation
from regnal.replay.simulation.faults import in_order, parse_fault
from regnal.replay.simulation.life import Life, live
from regnal.replay.tracing import NoSuchTrace, Trace, find, spans_of, traces_of
from tests.events.spans.laws import broken

MUSEUM = Path(__file__).parents[1] / "journals"
NAMES = ["0.1.0-demo", "0.1.0-fencing"]


@cache
def told(name: str) -> tuple[Trace, ...]:
    with opened([str(MUSEUM / name)]) as case:
        return traces_of(spans_of(case))


def part_of(trace: Trace, span: Span) -> Iterator[str]:
    """Names from the span up to the root."""
    by_id = {one.span: one for one in trace.spans}
    while True:
        yield span.name
        if span.parent is None:
            return
        span = by_id[span.parent]


@pytest.mark.parametrize("name", NAMES)
def test_every_law_of_spans_holds(name: str) -> None:
    spans = [span for trace in told(name) for span in trace.spans]
    assert len(spans) > 90
    assert broken(spans) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", ["failover", "switchover"])
def test_a_change_of_leader_is_one_trace_of_three_members_with_one_root(
    name: str, what: str
) -> None:
    (trace,) = [one for one in told(name) if one.title == what]
    assert trace.members == ("pg1", "pg2", "pg3")
    assert trace.id == trace_id("demo", trace.name)
    assert trace.root is not None
    assert trace.root.member == trace.root.attributes[naming.LEADER]
    for span in trace.spans:
        assert list(part_of(trace, span))[-1] == what  # every parent is there


@pytest.mark.parametrize("name", NAMES)
def test_a_failover_shows_detection_decision_promotion_and_rejoin_in_order(
    name: str,
) -> None:
    trace = find(told(name), "latest")
    assert trace.root is not None
    leader, former = (
        trace.root.attributes[key] for key in (naming.LEADER, naming.FORMER)
    )
    by_name = {(span.name, span.member): span for span in trace.spans}
    detected, elected, promoted = (
        by_name[phase, str(leader)] for phase in ("detect", "elect", "promote")
    )
    assert detected.end <= elected.start < elected.end <= promoted.start
    assert elected.attributes[naming.RULE] == "acquire_as_the_best_candidate"
    assert f"{leader} BEST" in elected.attributes[naming.CANDIDATES]  # type: ignore[operator]
    rejoined = by_name["rejoin", str(former)]
    assert rejoined.start > promoted.end
    assert list(part_of(trace, by_name["rewind_postgres", str(former)])) == [
        "rewind_postgres",
        "follow_leader",
        "rejoin",
        "failover",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_trace_and_the_explanation_agree_on_the_promotion(name: str) -> None:
    journals = {member: MUSEUM / name / member for member in ("pg1", "pg2", "pg3")}
    investigation = Investigation(journals)
    story = investigation.story(investigation.find("reign-10"))
    (phase,) = [one for one in story.phases if one.code == "promotion"]
    trace = find(told(name), "reign-10")
    (span,) = [one for one in trace.spans if one.name == "promote"]
    assert phase.seconds is not None
    assert abs(span.start / 1e9 - phase.began) < 0.001
    assert abs((span.end - span.start) / 1e9 - phase.seconds) < 0.001


@pytest.mark.parametrize("name", NAMES)
def test_what_members_link_to_is_there(name: str) -> None:
    for trace in told(name):
        ids = {span.span for span in trace.spans}
        for span in trace.spans:
            assert {link.span for link in span.links} <= ids
    trace = next(one for one in told(name) if one.title == "switchover")
    causes = {link.attributes[naming.LINK] for s in trace.spans for link in s.links}
    assert causes == {"leader_elected", "handed_over"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("member", ["pg1", "pg2", "pg3"])
def test_reading_goes_on_where_another_reader_left_off(name: str, member: str) -> None:
    records = [r for r in scan(MUSEUM / name / member) if isinstance(r, Record)]
    whole, parts = SpanReader(Reporter("demo", member)), None
    expected = [span for record in records for span in whole.read(record)]
    found: list[Span] = []
    memory = None
    for number, record in enumerate(records):
        if parts is None or number % 5 == 0:
            parts = SpanReader(Reporter("demo", member), memory)
        found += parts.read(record)
        memory = parts.memory
    assert found == expected
    assert len(found) > 20


def test_without_the_new_leader_the_root_is_missing_and_told_so() -> None:
    with opened([str(MUSEUM / "0.1.0-demo" / "pg3")]) as case:
        traces = traces_of(spans_of(case))
    trace = find(traces, "reign-10")
    assert trace.root is None
    assert trace.id == find(told("0.1.0-demo"), "reign-10").id
    assert trace.members == ("pg3",)


def test_clocks_that_differ_are_brought_together(tmp_path: Path) -> None:
    faults = map(parse_fault, ("30 set_clock pg3 100", "45 kill_host @primary 30"))
    live(Life(("pg1", "pg2", "pg3"), 1, in_order(faults)), tmp_path)
    with opened([str(tmp_path)]) as case:
        together = [one for one in traces_of(spans_of(case)) if one.title == "failover"]
    with opened([str(tmp_path / "pg3")]) as case:
        alone = {span.span: span for span in spans_of(case)}
    (trace,) = together
    (span,) = [one for one in trace.spans if one.name == "follow"]
    assert trace.root is not None
    assert abs(span.start - trace.root.start) < 1e9
    assert alone[span.span].start - span.start > 90e9


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("latest", "reign-10"),
        ("reign-33", "reign-33"),
        ("5", "reign-33"),
        (trace_id("demo", "reign-33"), "reign-33"),
    ],
)
def test_a_trace_is_found_by(wanted: str, name: str) -> None:
    assert find(told("0.1.0-demo"), wanted).name == name


@pytest.mark.parametrize("wanted", ["latest~1", "0", "99", "reign-11", ""])
def test_what_is_not_there_is_refused_with_a_remedy(wanted: str) -> None:
    with pytest.raises(NoSuchTrace, match="regnal trace export --list"):
        find(told("0.1.0-demo"), wanted)


def test_without_traces_that_is_said() -> None:
    with pytest.raises(NoSuchTrace, match="nothing in these journals"):
        find((), "latest")
