"""Log lines of records: what is told, how bad it is, and that a restart changes nothing."""

from pathlib import Path

import pytest

from regnal.events.cloud import Reporter
from regnal.events.log_line import LogLine
from regnal.events.tracing import root_id, trace_id
from regnal.journal.log_lines import QUIET_RULES, LogReader
from regnal.journal.reader import Record, scan
from regnal.messages.changes import LeaderLost, StoreBack, StoreLost
from regnal.messages.cluster import ClusterObserved
from regnal.messages.incidents import IncidentSettled
from tests.events.test_translate import NOBODY, opened
from tests.journal.builders import Member

MUSEUM = Path(__file__).parents[1] / "journals"
REPORTER = Reporter("demo", "pg2")


@pytest.fixture(scope="module")
def records() -> list[Record]:
    journal = MUSEUM / "0.1.0-demo" / "pg2"
    return [item for item in scan(journal) if isinstance(item, Record)]


@pytest.fixture(scope="module")
def lines(records: list[Record]) -> list[LogLine]:
    reader = LogReader(REPORTER)
    return [line for record in records for line in reader.read(record)]


def test_decisions_and_events_are_told_in_the_order_of_the_journal(
    lines: list[LogLine],
) -> None:
    texts = [line.text.partition(":")[0] for line in lines]
    told = [
        "leader.lost",
        "leader.elected",
        "postgres.promoted",
        "switchover.requested",
        "daemon.stopped",
    ]
    assert [text for text in texts if text in told] == [
        "leader.elected",
        "leader.lost",
        "leader.elected",
        "postgres.promoted",
        "switchover.requested",
        "leader.elected",
        "daemon.stopped",
    ]
    rules = [line.attributes.get("regnal.rule") for line in lines]
    assert rules.index("acquire_as_the_best_candidate") < rules.index(
        "promote_with_the_lease"
    )
    assert not set(QUIET_RULES) & set(rules)
    assert all(line.at > 10**18 for line in lines)
    assert [line.at for line in lines] == sorted(line.at for line in lines)


def test_what_a_decision_was_made_on_is_told(lines: list[LogLine]) -> None:
    (promoted,) = (
        line
        for line in lines
        if line.attributes.get("regnal.rule") == "promote_with_the_lease"
    )
    assert promoted.attributes["regnal.actor"] == "election"
    assert promoted.attributes["regnal.fact.timeline"] == 1
    (chosen,) = (line for line in lines if "best candidate" in line.text)
    assert str(chosen.attributes["regnal.fact.candidates"]).startswith('[{"member"')


def test_it_is_said_how_bad_it_is(lines: list[LogLine]) -> None:
    severities = {line.name: line.severity for line in lines}
    assert severities["regnal.leader.lost"] == "error"
    assert severities["regnal.member.left"] == "warn"
    assert severities["regnal.leader.elected"] == "info"
    assert severities["regnal.decision"] == "info"


def test_only_what_belongs_to_an_incident_has_a_trace(lines: list[LogLine]) -> None:
    traces = {line.name: line.trace for line in lines}
    assert traces["regnal.leader.lost"]
    assert traces["regnal.daemon.started"] is None
    assert traces["regnal.member.state_changed"] is None


def test_while_an_incident_goes_on_lines_point_to_the_root_of_its_trace(
    tmp_path: Path,
) -> None:
    member = Member(tmp_path).open()
    opening = opened()
    for message in (
        StoreLost(error="away"),
        opening,
        ClusterObserved(view=NOBODY),
        LeaderLost(previous="pg1"),
        settled(opening.incident),
        StoreBack(away_for=1.0),
    ):
        member.enter(message)
    member.ledger.write()
    reader = LogReader(Reporter("demo", "pg1"))
    lines = [
        line
        for item in scan(tmp_path)
        if isinstance(item, Record)
        for line in reader.read(item)
    ]
    root = (trace_id("demo", "reign-10"), root_id("demo", "reign-10"))
    assert [(line.name, (line.trace, line.span) == root) for line in lines] == [
        ("regnal.dcs.lost", False),
        ("regnal.incident.opened", True),
        ("regnal.failover.started", True),
        ("regnal.leader.lost", True),
        ("regnal.incident.settled", True),
        ("regnal.dcs.back", False),
    ]


def settled(incident: str) -> IncidentSettled:
    return IncidentSettled(
        incident=incident,
        leader="pg2",
        settled="2026-11-23T07:31:09Z",
        lasted=8.5,
    )


def test_a_reader_goes_on_where_another_ended(
    records: list[Record], lines: list[LogLine]
) -> None:
    found: list[LogLine] = []
    reader = LogReader(REPORTER)
    for record in records:
        found += reader.read(record)
        reader = LogReader(REPORTER, reader.memory)
    assert found == lines


@pytest.mark.parametrize("memory", ["", "{", '{"events": 7}', '{"rules": []}', "null"])
def test_a_memory_that_cannot_be_read_is_none(
    memory: str, records: list[Record], lines: list[LogLine]
) -> None:
    reader = LogReader(REPORTER, memory)
    assert [line for r in records for line in reader.read(r)] == lines


def test_a_gap_is_told() -> None:
    line = LogReader(REPORTER).gap(3, 9, 1_000_000)
    assert (line.severity, line.at) == ("error", 10**9)
    assert line.text == "journal.gap: pg2 first=3 last=9"
