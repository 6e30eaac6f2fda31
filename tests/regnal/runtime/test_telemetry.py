"""Real journals of three members through a real receiver of OTLP: nothing is lost, nothing
comes twice without need, trouble is told once, and nobody waits."""

import logging
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from regnal.actors.cast import DECIDERS
from regnal.bridges.metric import Measured, Metric, Sample
from regnal.bridges.otlp.options import OtlpOptions
from regnal.events.cloud import Reporter
from regnal.events.spans.span import Span
from regnal.journal.ledger import Identity
from regnal.journal.log_lines import LogReader
from regnal.journal.outbox import Outbox
from regnal.journal.reader import Record, scan
from regnal.journal.spans import SpanReader
from regnal.journal.stamps import wall_clock
from regnal.journal.writer import JournalWriter
from regnal.messages.changes import StoreLost
from regnal.runtime import publisher, telemetry
from regnal.runtime.outgoing_options import OtelSection
from regnal.runtime.publisher import Publisher
from regnal.runtime.publishing import publishers
from regnal.runtime.telemetry import (
    LogsToCollector,
    SpansToCollector,
    consumers_of,
    metrics_to_collector,
)
from tests.servers.otlp import Collector, http_collector
from tests.servers.ports import free_port

MUSEUM = Path(__file__).parents[2] / "journals" / "0.1.0-demo"
"""A failover and a switchover of three members."""

NAMES = ("pg1", "pg2", "pg3")
PATIENCE = 30.0


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "FIRST_BACKOFF", 0.02)
    monkeypatch.setattr(publisher, "LONGEST_BACKOFF", 0.05)
    monkeypatch.setattr(publisher, "IDLE", 0.02)
    for consumer in (SpansToCollector, LogsToCollector):
        monkeypatch.setattr(consumer, "linger", 0.0)
    monkeypatch.setattr(publisher, "DRAIN_WITHIN", 0.3)
    monkeypatch.setattr(publisher, "CLOSE_WITHIN", 0.3)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with http_collector() as running:
        yield running


def section(endpoint: str, **differences: Any) -> OtelSection:
    whole = {
        "client": OtlpOptions(endpoint=endpoint, timeout=5.0),
        "traces": True,
        "metrics": False,
        "logs": True,
        "sampling": 0.0,
        "metrics_interval": 0.02,
    }
    return OtelSection(**{**whole, **differences})


def records(journal: Path) -> list[Record]:
    return [item for item in scan(journal) if isinstance(item, Record)]


@cache
def spans_told(*names: str, share: float = 0.0) -> Counter[str]:
    """Ids of the spans that the journals tell, and how often."""
    found: Counter[str] = Counter()
    for name in names:
        reader = SpanReader(Reporter("demo", name), share=share)
        for record in records(MUSEUM / name):
            found.update(key(span) for span in reader.read(record))
    return found


def key(span: Span) -> str:
    return f"{span.trace}/{span.span}"


def received(collector: Collector) -> Counter[str]:
    return Counter(f"{span.trace}/{span.span}" for span in collector.spans)


@contextmanager
def publishing(
    directory: Path, name: str, wanted: OtelSection
) -> Iterator[list[Publisher[Any]]]:
    """All that there is of this member's journal, from where it ended before."""
    head = records(directory)[-1].n

    def wait_beyond(number: int, timeout: float) -> bool:
        time.sleep(timeout)  # stands for the writer, which has nothing new
        return False

    running = [
        Publisher[Any](
            consumer,
            Outbox(directory, consumer.name, begin_after=None),
            lambda: head,
            wait_beyond,
        )
        for consumer in consumers_of(
            wanted, Reporter("demo", name), wall_clock, lambda: 0.0
        )
    ]
    for one in running:
        one.start()
    try:
        yield running
    finally:
        for one in running:
            one.stop()


def copied(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(MUSEUM / name, folder / name))


def wait(what: str, is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)


def test_three_journals_become_one_trace_for_each_incident(
    collector: Collector, tmp_path: Path
) -> None:
    told = spans_told(*NAMES)
    with ExitStack() as stack:
        for name in NAMES:
            wanted = section(collector.endpoint)
            stack.enter_context(publishing(copied(name, tmp_path), name, wanted))
        wait("all spans", lambda: received(collector).keys() >= told.keys())
    assert received(collector) == told, "each once, none unknown"
    members: dict[str, set[str]] = {}
    for span in collector.spans:
        members.setdefault(span.trace, set()).add(span.member)
    shared = [trace for trace, who in members.items() if who == set(NAMES)]
    assert len(shared) == 2, "the failover and the switchover"
    for trace in shared:
        spans = {span.span: span for span in collector.spans if span.trace == trace}
        roots = [span for span in spans.values() if span.parent is None]
        assert [span.name for span in roots] in (["failover"], ["switchover"])
        assert all(s.parent in spans for s in spans.values() if s.parent is not None)


def test_logs_have_decisions_and_events_with_the_trace_of_their_incident(
    collector: Collector, tmp_path: Path
) -> None:
    reader = LogReader(Reporter("demo", "pg2"))
    told = [line for r in records(MUSEUM / "pg2") for line in reader.read(r)]
    wanted = section(collector.endpoint, traces=False)
    with publishing(copied("pg2", tmp_path), "pg2", wanted):
        wait("all lines", lambda: len(collector.logs) >= len(told))
    assert [log.text for log in collector.logs] == [line.text for line in told]
    assert {log.severity for log in collector.logs} == {"INFO", "WARN", "ERROR"}
    decided = [log for log in collector.logs if log.name == "regnal.decision"]
    promoted = next(
        log
        for log in decided
        if log.attributes["regnal.rule"] == "promote_with_the_lease"
    )
    assert promoted.attributes["regnal.actor"] == "election"
    assert promoted.text.startswith("election: promote with the lease: lease_left=")
    assert not any(
        log.attributes["regnal.rule"] in ("keep_leading", "keep_following")
        for log in decided
    )
    lost = next(log for log in collector.logs if log.name == "regnal.leader.lost")
    assert lost.severity == "ERROR"
    assert lost.trace in {key.partition("/")[0] for key in spans_told(*NAMES)}


def test_an_outage_loses_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    told, port = spans_told("pg2"), free_port()
    wanted = section(f"http://127.0.0.1:{port}", logs=False)
    with publishing(copied("pg2", tmp_path), "pg2", wanted) as (one,):
        wait("attempts", lambda: one.tally.failures > 3)
        assert one.waiting > 0
        assert one.tally.trouble is not None
        with http_collector(port=port) as collector:
            collector.status = 503
            wait("its answer", lambda: collector.attempts > 2)
            collector.status = 200
            wait("all spans", lambda: received(collector).keys() >= told.keys())
            wait("the end of the trouble", lambda: one.tally.trouble is None)
            wait("their count", lambda: one.tally.sent == told.total())
            assert received(collector) == told
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert f"the collector at http://127.0.0.1:{port}" in warnings[0].getMessage()
    assert "works again" in caplog.text


def test_a_restart_goes_on_at_the_cursor_in_the_middle_of_an_incident(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small portions, and an end after each of them that sent something."""
    monkeypatch.setattr("regnal.journal.outbox.MAXIMUM_RECORDS", 40)
    told, journal = spans_told("pg2"), copied("pg2", tmp_path)
    wanted = section(collector.endpoint, logs=False)
    lives = 0
    while received(collector).total() < told.total():
        before = received(collector).total()
        collector.status = 200
        with publishing(journal, "pg2", wanted) as (one,):
            wait("more", lambda n=before: received(collector).total() > n)  # type: ignore[misc]
            collector.status = 503  # what comes next waits for the next life
            if received(collector).total() < told.total():
                wait("the next", lambda o=one: o.tally.failures > 0)  # type: ignore[misc]
        lives += 1
        assert lives < 50
    assert received(collector) == told, "each once: the places were kept"
    assert lives > 3


def test_sampling_leaves_out_quiet_life_and_never_an_incident(
    collector: Collector, tmp_path: Path
) -> None:
    incidents, everything = spans_told("pg2"), spans_told("pg2", share=1.0)
    assert incidents.total() < everything.total()
    for share, told in ((0.0, incidents), (1.0, everything)):
        collector.spans.clear()
        wanted = section(collector.endpoint, logs=False, sampling=share)
        journal = copied("pg2", tmp_path / str(share))
        with publishing(journal, "pg2", wanted):
            wait("its spans", lambda t=told: received(collector) >= t)  # type: ignore[misc]
        assert received(collector) == told
        assert incidents <= received(collector)


def test_what_the_collector_refuses_is_told_once_and_counted(
    collector: Collector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collector.rejects, collector.message = 1, "too many attributes"
    wanted = section(collector.endpoint, logs=False)
    with publishing(copied("pg2", tmp_path), "pg2", wanted) as (one,):
        everything = spans_told("pg2").total()
        wait("all of it", lambda: one.tally.sent + one.tally.refused == everything)
        assert one.tally.refused > 1
        assert one.tally.trouble is None
    told = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(told) == 1
    assert "too many attributes" in told[0].getMessage()


def test_without_the_library_the_log_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(telemetry, "LIBRARIES", ("opentelemetry.no_such.thing",))
    wanted = section("http://127.0.0.1:1", logs=False)
    with publishing(copied("pg2", tmp_path), "pg2", wanted) as (one,):
        wait("attempts", lambda: one.tally.failures > 2)
    assert "pip install 'regnal[otel]'" in caplog.text
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1


class Configured:
    def __init__(self, **otel: Any) -> None:
        whole = {
            "protocol": "http/protobuf",
            "compression": "none",
            "timeout": 60.0,
            "traces": "on",
            "metrics": "off",
            "logs": "on",
            "sampling": 1.0,
            "metrics_interval": 60,
        }
        self.document = {"otel": {**whole, **otel}}


def test_a_collector_that_hangs_delays_no_word_of_the_journal(
    collector: Collector, tmp_path: Path
) -> None:
    collector.lets_go.clear()
    writer = JournalWriter(
        tmp_path / "pg1", Identity("pg1", "demo", (("regnal", "0"),), "boot"), DECIDERS
    )
    wanted = Configured(endpoint=collector.endpoint)
    running = publishers(wanted, ("demo", "pg1"), tmp_path / "pg1", writer)
    assert [one.name for one in running] == ["otlp-traces", "otlp-logs"]
    for one in running:
        one.start()
    say(writer)
    wait("a request", lambda: collector.attempts > 0)
    began = time.monotonic()
    for _ in range(50):
        say(writer)
    assert time.monotonic() - began < 2.0
    began = time.monotonic()
    for one in running:
        one.finish()
    for one in running:
        one.stop()
    assert time.monotonic() - began < 10.0, "the end does not wait for it, either"
    writer.close()


def say(writer: JournalWriter) -> None:
    """A message that is on the disk when this returns."""
    lost, before = StoreLost(error="away"), writer.head.number
    writer.message(
        writer.stamper.envelope(lost, said_by="dcs_watcher", cause=None, trace=None)
    )
    assert writer.wait_beyond(before, 5.0)


def test_who_exports_nothing_imports_nothing_of_it() -> None:
    """And who exports over HTTP nothing of gRPC."""
    program = (
        "import sys, regnal.runtime.deferred, regnal.runtime.telemetry\n"
        "from regnal.bridges.otlp.options import OtlpOptions\n"
        "def there(*names):\n"
        "    return {m.partition('.')[0] for m in sys.modules}.intersection(names)\n"
        "assert not there('opentelemetry', 'google', 'grpc'), there('opentelemetry')\n"
        "exporter = regnal.runtime.telemetry.exporter_to(OtlpOptions('http://x:1'))\n"
        "assert there('opentelemetry', 'grpc') == {'opentelemetry'}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


# Metrics.


def measured() -> list[Measured]:
    sent = Metric("regnal_outbox_sent_total", "counter", "Messages.")
    return [Measured(sent, [Sample(7, {"consumer": "otlp-traces"})])]


def test_metrics_are_sent_again_and_again(collector: Collector) -> None:
    wanted = section(collector.endpoint)
    meter = metrics_to_collector(wanted, ("demo", "pg1"), measured)
    meter.start()
    try:
        wait("three of them", lambda: len(collector.points) >= 3)
    finally:
        meter.stop()
    assert collector.points[0].metric == "regnal_outbox_sent_total"
    assert collector.points[0].resource["service.instance.id"] == "pg1"
    assert meter.tally.sent >= 3


def test_trouble_with_metrics_is_told_once_and_measured(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    collector.status = 503
    wanted = section(collector.endpoint)
    meter = metrics_to_collector(wanted, ("demo", "pg1"), measured)
    meter.start()
    try:
        wait("attempts", lambda: meter.tally.failures > 3)
        assert meter.tally.trouble is not None
        collector.status = 200
        wait("the end of the trouble", lambda: meter.tally.trouble is None)
    finally:
        meter.stop()
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1
    assert "works again" in caplog.text


def test_our_own_mistake_does_not_end_the_metrics(collector: Collector) -> None:
    answers = iter([[Measured(Metric("x", "gauge", ""), [Sample("no number")])]])
    wanted = section(collector.endpoint)
    meter = metrics_to_collector(
        wanted, ("demo", "pg1"), lambda: next(answers, measured())
    )
    meter.start()
    try:
        wait("the mistake, and what follows", lambda: meter.tally.sent > 0)
    finally:
        meter.stop()
    assert meter.tally.failures == 1
