"""An exporter: spans, log lines and measurements to one collector.

exporter = open_exporter(options)
parcel = exporter.pack_spans(spans)
exporter.send(parcel)      # NotSent: send the same again; PartlyTaken: do not
"""

import importlib
import os
import time
from collections.abc import Sequence
from typing import Any

from regnal.bridges.metric import Measured
from regnal.bridges.otlp.batch import Batch
from regnal.bridges.otlp.http_transport import HttpTransport
from regnal.bridges.otlp.logs import batch_of_logs
from regnal.bridges.otlp.metrics import Meter
from regnal.bridges.otlp.options import OtlpOptions
from regnal.bridges.otlp.resources import Resources
from regnal.bridges.otlp.sending import OtlpSender, Transport
from regnal.bridges.otlp.spans import batch_of_spans
from regnal.events.log_line import LogLine
from regnal.events.spans.span import Span
from regnal.messages.base import MemberName

_GRPC = "regnal.bridges.otlp.grpc_transport"


class Exporter:
    """Used by one thread, but for `close`."""

    def __init__(self, options: OtlpOptions, transport: Transport) -> None:
        self._resources = Resources(options.resource_attributes)
        self._sender = OtlpSender(options, transport)
        self._meters: dict[tuple[str, MemberName], Meter] = {}

    def pack_spans(self, spans: Sequence[Span]) -> Batch:
        return batch_of_spans(spans, self._resources)

    def pack_logs(self, lines: Sequence[LogLine]) -> Batch:
        return batch_of_logs(lines, self._resources)

    def pack_metrics(
        self, whose: tuple[str, MemberName], measured: Sequence[Measured]
    ) -> Batch:
        """`whose`: scope and member."""
        meter = self._meters.get(whose)
        if meter is None:
            meter = self._meters[whose] = Meter(whose, self._resources, time.time_ns)
        return meter.batch(measured)

    def send(self, batch: Batch) -> int:
        """One attempt.  How many were taken: all.  Raises NotSent, PartlyTaken."""
        return self._sender.send(batch)

    def close(self) -> None:
        """From any thread."""
        self._sender.close()


def open_exporter(options: OtlpOptions) -> Exporter:
    """Connects when something is sent.  For gRPC its library must be installed."""
    if not options.is_grpc:
        return Exporter(options, HttpTransport(options))
    # That library writes errors past our log, and they are told by us.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    library: Any = importlib.import_module(_GRPC)
    transport: Transport = library.GrpcTransport(options)
    return Exporter(options, transport)
