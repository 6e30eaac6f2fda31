"""The exporter against receivers that decode the protobuf: over HTTP and over gRPC."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regnal.bridges.metric import Measured, Metric, Sample
from regnal.bridges.otlp.exporter import Exporter, open_exporter
from regnal.bridges.otlp.options import OtlpOptions
from regnal.bridges.outgoing import NotSent, PartlyTaken
from regnal.events.log_line import LogLine
from regnal.events.spans.span import Link, Moment, Span
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.otlp import PROTOBUF, Collector, grpc_collector, http_collector
from tests.servers.ports import free_port

START = 1_763_900_000_000_000_000

SPAN = Span(
    trace="0123456789abcdef0123456789abcdef",
    span="1111111111111111",
    parent="2222222222222222",
    name="promote",
    start=START,
    end=START + 1_500_000_000,
    scope="demo",
    member="pg2",
    attributes={
        "regnal.rule": "promote_with_the_lease",
        "regnal.unfinished": True,
        "regnal.postgres.timeline": 2,
        "ratio": 0.5,
        "regnal.election.candidates": ("pg1 BEST", "pg3 LAG"),
    },
    moments=(Moment("postmaster exited", START + 7, {"process.pid": 77}),),
    links=(Link("0" * 31 + "1", "0" * 15 + "2", {"regnal.link": "handed_over"}),),
    status="error",
    status_text="it took too long",
)

LINE = LogLine(
    at=START,
    severity="warn",
    name="regnal.leader.lost",
    text="leader.lost: pg1 revision=10",
    scope="demo",
    member="pg2",
    trace=SPAN.trace,
    span=SPAN.span,
    attributes={"regnal.event.subject": "pg1"},
)

Open = Callable[..., AbstractContextManager[Collector]]


@pytest.fixture(params=["http", "grpc"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def serve(protocol: str) -> Open:
    return http_collector if protocol == "http" else grpc_collector


@pytest.fixture
def collector(serve: Open) -> Iterator[Collector]:
    with serve() as running:
        yield running


@contextmanager
def exporting(endpoint: str, protocol: str, **options: Any) -> Iterator[Exporter]:
    exporter = open_exporter(
        OtlpOptions(endpoint=endpoint, is_grpc=protocol == "grpc", **options)
    )
    try:
        yield exporter
    finally:
        exporter.close()


def trouble(exporter: Exporter) -> str:
    with pytest.raises(NotSent) as told:
        exporter.send(exporter.pack_spans([SPAN]))
    return str(told.value)


@pytest.mark.parametrize("gzip", [False, True])
def test_a_span_arrives_as_it_was(
    collector: Collector, protocol: str, *, gzip: bool
) -> None:
    other = replace(SPAN, member="pg1", parent=None, span="2222222222222222")
    with exporting(collector.endpoint, protocol, gzip=gzip) as exporter:
        assert exporter.send(exporter.pack_spans([SPAN, other])) == 2
    first, second = collector.spans
    assert (first.trace, first.span, first.parent) == (
        SPAN.trace,
        SPAN.span,
        SPAN.parent,
    )
    assert (first.name, first.start, first.end) == (SPAN.name, SPAN.start, SPAN.end)
    assert first.attributes == SPAN.attributes
    assert first.moments == [(m.name, m.at, m.attributes) for m in SPAN.moments]
    assert first.links == [
        (link.trace, link.span, link.attributes) for link in SPAN.links
    ]
    assert (first.status, first.status_text) == ("error", SPAN.status_text)
    assert first.resource["service.name"] == "regnal"
    assert first.resource["service.namespace"] == "demo"
    assert (first.member, second.member) == ("pg2", "pg1")
    assert second.parent is None


def test_a_log_line_arrives_with_its_trace(collector: Collector, protocol: str) -> None:
    plain = replace(LINE, trace=None, span=None, severity="info")
    with exporting(collector.endpoint, protocol) as exporter:
        assert exporter.send(exporter.pack_logs([LINE, plain])) == 2
    first, second = collector.logs
    assert (first.at, first.severity, first.name) == (START, "WARN", LINE.name)
    assert (first.text, first.trace, first.span) == (LINE.text, LINE.trace, LINE.span)
    assert first.attributes == LINE.attributes
    assert (second.trace, second.span, second.severity) == ("", "", "INFO")


def test_metrics_arrive_and_a_counter_that_falls_begins_anew(
    collector: Collector, protocol: str
) -> None:
    primary = Metric("patroni_primary", "gauge", "Whether it is.")
    position = Metric("patroni_xlog_location", "counter", "Where.")
    version = Measured(Metric("patroni_version", "gauge", "x"), [Sample("040105")])

    def measured(reached: float) -> list[Measured]:
        samples = [Sample(reached, {"consumer": "x"})]
        return [Measured(primary, [Sample(1)]), Measured(position, samples), version]

    with exporting(collector.endpoint, protocol) as exporter:
        for reached in (100, 200, 0):
            batch = exporter.pack_metrics(("demo", "pg2"), measured(reached))
            assert exporter.send(batch) == 3
    gauges = [p for p in collector.points if p.metric == "patroni_primary"]
    assert [(p.kind, p.value) for p in gauges] == [("gauge", 1.0)] * 3
    assert gauges[0].attributes == {"scope": "demo", "name": "pg2"}
    first, second, third = (
        p for p in collector.points if p.metric == "patroni_xlog_location"
    )
    assert [p.value for p in (first, second, third)] == [100, 200, 0]
    assert first.kind == "sum"
    assert first.attributes["consumer"] == "x"
    assert first.since == second.since <= first.at
    assert third.since == third.at
    assert collector.points[2].value == 40105


def test_headers_go_along(collector: Collector, protocol: str) -> None:
    headers = {"authorization": "Bearer hunter2"}
    with exporting(collector.endpoint, protocol, headers=headers) as exporter:
        exporter.send(exporter.pack_spans([SPAN]))
    assert collector.headers[0]["authorization"] == "Bearer hunter2"


def test_resource_attributes_stand_beside_ours_or_in_their_place(
    collector: Collector, protocol: str
) -> None:
    extra = {"service.name": "postgres-ha", "deployment.environment.name": "lab"}
    with exporting(collector.endpoint, protocol, resource_attributes=extra) as exporter:
        exporter.send(exporter.pack_spans([SPAN]))
    assert extra.items() <= collector.spans[0].resource.items()
    assert collector.spans[0].member == "pg2"


def test_what_no_text_of_protobuf_can_hold_is_sent_all_the_same(
    collector: Collector, protocol: str
) -> None:
    hostile = replace(
        SPAN,
        name="a\ud800b",
        start=-5,
        end=-9,
        attributes={"\udcff": "x" * 100_000, "n": 2**70, "t": ("\ud800",)},
        status_text="\ud800",
    )
    with exporting(collector.endpoint, protocol) as exporter:
        assert exporter.send(exporter.pack_spans([hostile])) == 1
    (span,) = collector.spans
    assert span.start == span.end == 0
    assert len(span.attributes[r"\udcff"]) < 10_000
    assert span.attributes["n"] == str(2**70)


def test_partial_success_is_told(collector: Collector, protocol: str) -> None:
    collector.rejects, collector.message = 1, "its name is too long"
    with exporting(collector.endpoint, protocol) as exporter:
        with pytest.raises(PartlyTaken, match="its name is too long") as told:
            exporter.send(exporter.pack_spans([SPAN, SPAN]))
        assert (told.value.taken, told.value.refused) == (1, 1)
        with pytest.raises(PartlyTaken):
            exporter.send(exporter.pack_logs([LINE]))


def test_what_a_collector_does_not_want_is_not_sent_again(
    collector: Collector, protocol: str
) -> None:
    collector.status = 400
    with exporting(collector.endpoint, protocol) as exporter:
        with pytest.raises(PartlyTaken) as told:
            exporter.send(exporter.pack_spans([SPAN]))
        assert (told.value.taken, told.value.refused) == (0, 1)
        collector.status = 200
        assert exporter.send(exporter.pack_spans([SPAN])) == 1


def test_one_attempt_is_one_attempt(collector: Collector, protocol: str) -> None:
    collector.status, collector.text = 503, b"too much to do"
    collector.content_type = "text/plain"
    with exporting(collector.endpoint, protocol) as exporter:
        assert "too much to do" in trouble(exporter)
        assert collector.attempts == 1
        collector.status, collector.text, collector.content_type = 200, b"", PROTOBUF
        assert exporter.send(exporter.pack_spans([SPAN])) == 1


def test_a_collector_that_hangs_is_not_waited_for(
    collector: Collector, protocol: str
) -> None:
    collector.lets_go.clear()
    with exporting(collector.endpoint, protocol, timeout=0.2) as exporter:
        began = time.monotonic()
        assert "does not answer in time" in trouble(exporter)
        assert time.monotonic() - began < 5


def test_where_nobody_listens_is_said(protocol: str) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    with exporting(endpoint, protocol, timeout=2.0) as exporter:
        assert endpoint in trouble(exporter)


def test_a_collector_that_comes_back_is_found_at_once(
    serve: Open, protocol: str
) -> None:
    port = free_port()
    with exporting(f"http://127.0.0.1:{port}", protocol, timeout=2.0) as exporter:
        for _ in range(3):
            trouble(exporter)
        with serve(port=port) as collector:
            assert exporter.send(exporter.pack_spans([SPAN])) == 1
            assert len(collector.spans) == 1


# TLS.


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("otlp"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Of another authority."""
    return make_certificates(tmp_path_factory.mktemp("strangers"))


def test_over_tls_with_certificates_on_both_sides(
    serve: Open, protocol: str, certificates: Certificates
) -> None:
    certfile, keyfile = certificates.client
    with (
        serve(certificates) as collector,
        exporting(
            collector.endpoint,
            protocol,
            cafile=certificates.authority,
            certfile=certfile,
            keyfile=keyfile,
        ) as exporter,
    ):
        assert collector.endpoint.startswith("https://")
        assert exporter.send(exporter.pack_spans([SPAN])) == 1


@pytest.mark.parametrize("vouches", [False, True])
def test_a_certificate_that_is_refused_is_said(
    serve: Open,
    protocol: str,
    certificates: Certificates,
    strangers: Certificates,
    *,
    vouches: bool,
) -> None:
    """Theirs by us (nobody whom we know vouches for it), ours by them."""
    cafile = certificates.authority if vouches else strangers.authority
    certfile, keyfile = strangers.client
    with (
        serve(certificates) as collector,
        exporting(
            collector.endpoint,
            protocol,
            cafile=cafile,
            certfile=certfile,
            keyfile=keyfile,
            timeout=2.0,
        ) as exporter,
    ):
        assert "certificate" in trouble(exporter).lower()
        assert collector.spans == []


def test_a_file_that_is_not_there_is_named(protocol: str, tmp_path: Path) -> None:
    with exporting(
        "https://127.0.0.1:1", protocol, cafile=tmp_path / "ca.pem"
    ) as exporter:
        assert f"{tmp_path / 'ca.pem'} is not there (otel.cafile)" in trouble(exporter)


# The protocol of another.


def test_what_speaks_something_else_is_said(certificates: Certificates) -> None:
    with (
        http_collector() as web,
        grpc_collector() as rpc,
        http_collector(certificates) as encrypted,
    ):
        for endpoint, protocol, then in (
            (rpc.endpoint, "http", "it does not speak HTTP/1.1 there"),
            (web.endpoint.replace("http", "https"), "http", "does not speak TLS there"),
            (encrypted.endpoint.replace("https", "http"), "http", "does it want TLS"),
            (web.endpoint, "grpc", "Failed parsing HTTP/2"),
        ):
            with exporting(endpoint, protocol, timeout=2.0) as exporter:
                assert then in trouble(exporter)


# HTTP alone.


@pytest.fixture
def web() -> Iterator[Collector]:
    with http_collector() as running:
        yield running


@pytest.mark.parametrize(
    ("status", "content_type", "text", "then"),
    [
        (401, "text/plain", b"who are you?", "who are you?: see otel.headers"),
        (404, "text/html", b"<h1>nginx</h1>", "otel.endpoint"),
        (301, "text/plain", b"", "answered 301"),
        (400, "text/html", b"plain HTTP to HTTPS port", "plain HTTP to HTTPS port"),
        (500, "application/x-protobuf", b"\x08\x0d", "answered 500"),
    ],
)
def test_what_is_wrong_on_the_way_loses_nothing(
    web: Collector, status: int, content_type: str, text: bytes, then: str
) -> None:
    web.status, web.content_type, web.text = status, content_type, text
    with exporting(web.endpoint, "http") as exporter:
        assert then in trouble(exporter)
        assert web.attempts == 1


def test_the_path_of_the_endpoint_is_kept(web: Collector) -> None:
    with exporting(f"{web.endpoint}/behind/a/proxy", "http") as exporter:
        assert "answered 404" in trouble(exporter)


@pytest.mark.parametrize("content_type", ["text/html", "application/x-protobuf"])
def test_an_answer_of_somebody_else_is_none(web: Collector, content_type: str) -> None:
    """A captive portal, the page of a proxy."""
    web.text, web.content_type = b"<html>please log in</html>", content_type
    with exporting(web.endpoint, "http") as exporter:
        assert "none of an OTLP receiver" in trouble(exporter)


def test_any_status_of_success_is_one(web: Collector) -> None:
    web.status = 202
    with exporting(web.endpoint, "http") as exporter:
        assert exporter.send(exporter.pack_spans([SPAN])) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("soon", 0.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0)],
)
def test_a_collector_says_when_to_come_again(
    web: Collector, header: str, seconds: float
) -> None:
    web.status, web.retry_after = 429, header
    with (
        exporting(web.endpoint, "http") as exporter,
        pytest.raises(NotSent) as told,
    ):
        exporter.send(exporter.pack_spans([SPAN]))
    assert told.value.after == seconds


def test_an_exporter_can_be_closed_while_it_sends(
    collector: Collector, protocol: str
) -> None:
    collector.lets_go.clear()
    with exporting(collector.endpoint, protocol, timeout=1.0) as exporter:
        found: list[BaseException] = []

        def send() -> None:
            try:
                exporter.send(exporter.pack_spans([SPAN]))
            except NotSent as error:
                found.append(error)

        sending = threading.Thread(target=send)
        sending.start()
        while not collector.attempts:
            time.sleep(0.005)
        exporter.close()
        sending.join(5)
        assert not sending.is_alive()
        assert found
