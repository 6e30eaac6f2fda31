"""Sending to a collector: one attempt, with a limit, and what its answer means.

    sender = OtlpSender(options, HttpTransport(options))
    sender.send(batch)         # NotSent: send the same again; PartlyTaken: do not

The exporters of the library try again by themselves for a while, tell the log of it and
pass over what a collector says of a part; here whoever sends has one policy for all.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from regnal.bridges.otlp.batch import Batch, Signal, plain_text
from regnal.bridges.otlp.options import OtlpOptions
from regnal.bridges.outgoing import NotSent, PartlyTaken


class Refused(Exception):
    """The collector does not want this request, now or later; the text says why."""


class Transport(Protocol):
    def post(self, signal: Signal, body: bytes) -> bytes:
        """The answer to a request.  Raises NotSent, Refused."""
        ...

    def close(self) -> None:
        """From any thread."""
        ...


class OtlpSender:
    """Used by one thread, but for `close`."""

    def __init__(self, options: OtlpOptions, transport: Transport) -> None:
        self._shown = options.shown
        self._transport = transport

    def send(self, batch: Batch) -> int:
        """How many spans, log records or points were taken: all.  Raises NotSent,
        PartlyTaken."""
        try:
            answer = self._transport.post(batch.signal, batch.body)
        except Refused as error:
            raise PartlyTaken(str(error), taken=0, refused=batch.number) from error
        try:
            refused, why = _READERS[batch.signal](answer)
        except DecodeError:
            raise NotSent(f"{self._shown}: {NO_RECEIVER}") from None
        if refused or why:
            taken = max(0, batch.number - refused)
            raise PartlyTaken(
                f"{self._shown} took a part"
                + (f" and says {plain_text(why)[:SHOWN]!r}" if why else ""),
                taken=taken,
                refused=refused,
            )
        return batch.number

    def close(self) -> None:
        self._transport.close()


NO_RECEIVER = (
    "its answer is none of an OTLP receiver; see otel.endpoint and otel.protocol"
)

SHOWN = 200
"""Characters of an answer that a message quotes."""


def _of_traces(answer: bytes) -> tuple[int, str]:
    """How many were refused, and why."""
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    return partial.rejected_spans, partial.error_message


def _of_metrics(answer: bytes) -> tuple[int, str]:
    partial = ExportMetricsServiceResponse.FromString(answer).partial_success
    return partial.rejected_data_points, partial.error_message


def _of_logs(answer: bytes) -> tuple[int, str]:
    partial = ExportLogsServiceResponse.FromString(answer).partial_success
    return partial.rejected_log_records, partial.error_message


_READERS: Mapping[Signal, Callable[[bytes], tuple[int, str]]] = {
    "traces": _of_traces,
    "metrics": _of_metrics,
    "logs": _of_logs,
}
