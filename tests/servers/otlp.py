"""A receiver of OTLP that really listens, over HTTP or gRPC, decodes what it gets and
answers as the test says.

with http_collector() as collector:
    ...
    assert collector.spans
"""

import gzip
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_service
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2 as metrics_service,
)
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2_grpc as metrics_grpc,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.collector.trace.v1 import (
    trace_service_pb2_grpc as trace_grpc,
)

from tests.servers.certificates import Certificates

PROTOBUF = "application/x-protobuf"

Attributes = Mapping[str, Any]


class ReceivedSpan(NamedTuple):
    resource: Attributes
    trace: str
    span: str
    parent: str | None
    name: str
    start: int
    end: int
    attributes: Attributes
    moments: Sequence[tuple[str, int, Attributes]]
    links: Sequence[tuple[str, str, Attributes]]
    status: str
    status_text: str

    @property
    def member(self) -> str:
        return str(self.resource["service.instance.id"])


class ReceivedLog(NamedTuple):
    resource: Attributes
    at: int
    severity: str
    name: str
    text: str
    trace: str
    span: str
    attributes: Attributes


class ReceivedPoint(NamedTuple):
    resource: Attributes
    metric: str
    kind: str
    """`gauge` or `sum`."""

    since: int
    at: int
    value: float
    attributes: Attributes


class Collector:
    """What was taken, and how the next request is answered."""

    def __init__(self) -> None:
        self.port = 0
        self.scheme = "http"
        self.status = 200
        """Over gRPC as well: 200 is OK, 400 INVALID_ARGUMENT, all else UNAVAILABLE."""

        self.content_type = PROTOBUF
        self.text = b""
        """The body of the answer; empty: what a receiver says."""

        self.retry_after: str | None = None
        self.rejects = 0
        """How many of each request are refused; the whole is kept all the same."""

        self.message = ""
        self.lets_go = threading.Event()
        """Until then no request is answered."""

        self.lets_go.set()
        self.attempts = 0
        self.headers: list[Mapping[str, str]] = []
        self.spans: list[ReceivedSpan] = []
        self.logs: list[ReceivedLog] = []
        self.points: list[ReceivedPoint] = []

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def take_traces(self, request: Any) -> Any:
        self.spans += spans_of(request)
        return trace_service.ExportTraceServiceResponse(
            partial_success=trace_service.ExportTracePartialSuccess(
                rejected_spans=self.rejects, error_message=self.message
            )
        )

    def take_logs(self, request: Any) -> Any:
        self.logs += logs_of(request)
        return logs_service.ExportLogsServiceResponse(
            partial_success=logs_service.ExportLogsPartialSuccess(
                rejected_log_records=self.rejects, error_message=self.message
            )
        )

    def take_metrics(self, request: Any) -> Any:
        self.points += points_of(request)
        return metrics_service.ExportMetricsServiceResponse(
            partial_success=metrics_service.ExportMetricsPartialSuccess(
                rejected_data_points=self.rejects, error_message=self.message
            )
        )


_PATHS: Mapping[str, tuple[Any, Callable[[Collector, Any], Any]]] = {
    "/v1/traces": (trace_service.ExportTraceServiceRequest, Collector.take_traces),
    "/v1/logs": (logs_service.ExportLogsServiceRequest, Collector.take_logs),
    "/v1/metrics": (
        metrics_service.ExportMetricsServiceRequest,
        Collector.take_metrics,
    ),
}


@contextmanager
def http_collector(
    tls: Certificates | None = None, *, port: int = 0
) -> Iterator[Collector]:
    """`tls`: a client must show a certificate of the same authority."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.attempts += 1
            collector.headers.append({k.lower(): v for k, v in self.headers.items()})
            collector.lets_go.wait()
            status, said = self._answer(body)
            self.send_response(status)
            self.send_header("content-type", collector.content_type)
            self.send_header("content-length", str(len(said)))
            if collector.retry_after is not None:
                self.send_header("retry-after", collector.retry_after)
            self.end_headers()
            self.wfile.write(said)

        def _answer(self, body: bytes) -> tuple[int, bytes]:
            if self.path not in _PATHS:
                return 404, b"nothing here"
            if collector.status != 200 or collector.text:
                return collector.status, collector.text
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.headers["content-type"] == PROTOBUF
            request, take = _PATHS[self.path]
            return 200, take(collector, request.FromString(body)).SerializeToString()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that went away, or whose handshake failed."""

    server = Server(("127.0.0.1", port), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls.server)
        context.load_verify_locations(tls.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
        collector.scheme = "https"
    collector.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield collector
    finally:
        collector.lets_go.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Traces(trace_grpc.TraceServiceServicer):
    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer = answer

    def Export(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, Collector.take_traces)


class _Logs(logs_grpc.LogsServiceServicer):
    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer = answer

    def Export(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, Collector.take_logs)


class _Metrics(metrics_grpc.MetricsServiceServicer):
    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer = answer

    def Export(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, Collector.take_metrics)


@contextmanager
def grpc_collector(
    tls: Certificates | None = None, *, port: int = 0
) -> Iterator[Collector]:
    """`tls`: a client must show a certificate of the same authority."""
    collector = Collector()

    def answer(request: Any, context: Any, take: Callable[..., Any]) -> Any:
        collector.attempts += 1
        collector.headers.append(dict(context.invocation_metadata()))
        collector.lets_go.wait()
        if collector.status != 200:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT
                if collector.status == 400
                else grpc.StatusCode.UNAVAILABLE,
                collector.text.decode(),
            )
        return take(collector, request)

    server = grpc.server(ThreadPoolExecutor(4))
    services: Any = (
        (trace_grpc.add_TraceServiceServicer_to_server, _Traces),
        (logs_grpc.add_LogsServiceServicer_to_server, _Logs),
        (metrics_grpc.add_MetricsServiceServicer_to_server, _Metrics),
    )
    for add, service in services:
        add(service(answer), server)
    address = f"127.0.0.1:{port}"
    if tls is None:
        collector.port = server.add_insecure_port(address)
    else:
        certificate, key = (file.read_bytes() for file in tls.server)
        credentials = grpc.ssl_server_credentials(
            [(key, certificate)], tls.authority.read_bytes(), require_client_auth=True
        )
        collector.port = server.add_secure_port(address, credentials)
        collector.scheme = "https"
    server.start()
    try:
        yield collector
    finally:
        collector.lets_go.set()
        server.stop(0).wait(5)


def spans_of(request: Any) -> Iterator[ReceivedSpan]:
    for group in request.resource_spans:
        resource = _plain(group.resource.attributes)
        for one in (span for scoped in group.scope_spans for span in scoped.spans):
            yield ReceivedSpan(
                resource=resource,
                trace=one.trace_id.hex(),
                span=one.span_id.hex(),
                parent=one.parent_span_id.hex() or None,
                name=one.name,
                start=one.start_time_unix_nano,
                end=one.end_time_unix_nano,
                attributes=_plain(one.attributes),
                moments=[
                    (m.name, m.time_unix_nano, _plain(m.attributes)) for m in one.events
                ],
                links=[
                    (link.trace_id.hex(), link.span_id.hex(), _plain(link.attributes))
                    for link in one.links
                ],
                status=("unset", "ok", "error")[one.status.code],
                status_text=one.status.message,
            )


def logs_of(request: Any) -> Iterator[ReceivedLog]:
    for group in request.resource_logs:
        resource = _plain(group.resource.attributes)
        for one in (r for scoped in group.scope_logs for r in scoped.log_records):
            yield ReceivedLog(
                resource=resource,
                at=one.time_unix_nano,
                severity=one.severity_text,
                name=one.event_name,
                text=one.body.string_value,
                trace=one.trace_id.hex(),
                span=one.span_id.hex(),
                attributes=_plain(one.attributes),
            )


def points_of(request: Any) -> Iterator[ReceivedPoint]:
    for group in request.resource_metrics:
        resource = _plain(group.resource.attributes)
        for metric in (m for scoped in group.scope_metrics for m in scoped.metrics):
            kind = metric.WhichOneof("data")
            for point in getattr(metric, kind).data_points:
                yield ReceivedPoint(
                    resource=resource,
                    metric=metric.name,
                    kind=kind,
                    since=point.start_time_unix_nano,
                    at=point.time_unix_nano,
                    value=getattr(point, point.WhichOneof("value")),
                    attributes=_plain(point.attributes),
                )


def _plain(pairs: Any) -> Attributes:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(one) for one in value.array_value.values)
    return getattr(value, kind)
