"""A real cluster whose telemetry goes to a real receiver: a switchover and a failover of
three hosts arrive as one trace each, whatever befell the collector meanwhile."""

import time
from collections.abc import Iterator

import pytest
import urllib3

from regnal.demo.cluster import Amend, Document, Member
from regnal.events.cloud import Reporter
from regnal.journal.spans import SpanReader
from tests.servers.members import Stage, records
from tests.servers.otlp import Collector, ReceivedSpan, http_collector

pytestmark = pytest.mark.server

SCOPE = "demo"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with http_collector() as running:
        yield running


@pytest.fixture(scope="module")
def amend(collector: Collector) -> Amend:
    def export(member: Member, document: Document) -> None:
        document["otel"] = {
            "endpoint": collector.endpoint,
            "metrics": "on",
            "logs": "on",
            "metrics_interval": 1,
        }

    return export


def told(cluster: Stage) -> set[str]:
    """The spans that the journals tell."""
    found: set[str] = set()
    for member in cluster.members:
        reader = SpanReader(Reporter(SCOPE, member.name))
        for record in records(member):
            found |= {f"{s.trace}/{s.span}" for s in reader.read(record)}
    return found


def received(collector: Collector) -> set[str]:
    return {f"{span.trace}/{span.span}" for span in collector.spans}


def trace_of(
    cluster: Stage, collector: Collector, root: str, since: int
) -> list[ReceivedSpan]:
    """Spans of the trace whose root has this name and began since; waits for all three
    members."""
    found: list[ReceivedSpan] = []

    def is_whole() -> bool:
        roots = {
            span.trace
            for span in collector.spans
            if span.parent is None and span.name == root and span.start >= since
        }
        found[:] = [span for span in collector.spans if span.trace in roots]
        return {span.member for span in found} == {m.name for m in cluster.members}

    cluster.wait(f"the trace of the {root}", is_whole)
    assert len({span.trace for span in found}) == 1
    return found


def assert_is_a_tree(spans: list[ReceivedSpan]) -> None:
    by_id = {span.span: span for span in spans}
    (root,) = (span for span in spans if span.parent is None)
    for span in spans:
        assert span.start <= span.end
        assert span.parent is None or span.parent in by_id, span
    assert root.end - root.start < 120e9


def test_a_switchover_arrives_from_all_members_as_one_trace(
    cluster: Stage, collector: Collector
) -> None:
    former, candidate = cluster.leader(), cluster.replicas()[0]
    since = time.time_ns()
    cluster.ctl(
        "switchover", "--leader", former.name, "--candidate", candidate.name, "--force"
    )
    cluster.wait("the candidate", lambda: cluster.cluster.leader() is candidate)
    cluster.wait_until_complete()
    spans = trace_of(cluster, collector, "switchover", since)
    cluster.wait("every span", lambda: told(cluster) <= received(collector))
    spans = trace_of(cluster, collector, "switchover", since)
    assert_is_a_tree(spans)
    promotions = [span for span in spans if span.name == "promote"]
    assert [span.member for span in promotions] == [candidate.name]

    logs = [log for log in collector.logs if log.trace == spans[0].trace]
    assert {log.resource["service.instance.id"] for log in logs} >= {candidate.name}

    def primaries() -> set[str]:
        last = {
            point.resource["service.instance.id"]: point.value
            for point in collector.points
            if point.metric == "patroni_primary"
        }
        return {name for name, value in last.items() if value}

    cluster.wait("its metric", lambda: primaries() == {candidate.name})


@pytest.mark.slow
def test_a_failover_while_the_collector_hangs_costs_no_moment_and_no_span(
    cluster: Stage, collector: Collector
) -> None:
    """The daemon that leads next is restarted before anything was taken."""
    collector.lets_go.clear()
    before, since = time.monotonic(), time.time_ns()
    former = cluster.leader()
    cluster.cluster.kill(former)
    successor = cluster.wait_for_another_leader(former)
    cluster.cluster.start(former)
    cluster.wait_until_complete()
    cluster.note_outage("member killed, the collector hangs", before)
    collector.status = 503
    collector.lets_go.set()

    def metrics() -> str:
        url = f"http://127.0.0.1:{successor.rest_port}/metrics"
        return urllib3.request("GET", url).data.decode()

    down = 'regnal_outbox_up{scope="demo",name="%s",consumer="otlp-traces"} 0'
    cluster.wait("the metric", lambda: down % successor.name in metrics())
    cluster.cluster.kill_daemon(successor)
    cluster.cluster.start(successor)
    cluster.wait(
        "its answer", lambda: cluster.cluster.status(successor, "health") == 200
    )
    cluster.wait_until_complete()
    collector.status = 200
    cluster.wait("every span", lambda: told(cluster) <= received(collector))
    spans = trace_of(cluster, collector, "failover", since)
    assert_is_a_tree(spans)
    assert [s.member for s in spans if s.name == "promote"] == [successor.name]
