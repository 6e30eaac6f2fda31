"""OTLP over gRPC: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc

from regnal.bridges.otlp.batch import Signal
from regnal.bridges.otlp.options import OtlpOptions
from regnal.bridges.otlp.sending import SHOWN, Refused
from regnal.bridges.outgoing import NotSent

DEFAULT_PORT = 4317

METHODS: Mapping[Signal, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}

REMEDIES: Mapping[grpc.StatusCode, str] = {
    grpc.StatusCode.UNIMPLEMENTED: "is otel.endpoint an OTLP receiver?",
    grpc.StatusCode.UNAUTHENTICATED: "see otel.headers",
    grpc.StatusCode.PERMISSION_DENIED: "see otel.headers",
    grpc.StatusCode.UNAVAILABLE: "see otel.endpoint, and where it has TLS the "
    "certificates of otel.cafile and otel.certfile",
}

_OPTIONS = (
    # Whoever sends decides when it is tried again, and then it is.
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


class GrpcTransport:
    """See `regnal.bridges.otlp.sending.Transport`."""

    def __init__(self, options: OtlpOptions) -> None:
        self._options = options
        self._channel: Any = None

    def post(self, signal: Signal, body: bytes) -> bytes:
        """Raises NotSent, Refused."""
        options = self._options
        try:
            if self._channel is None:
                self._channel = self._open()
            call = self._channel.unary_unary(METHODS[signal])  # both sides as bytes
            answer: bytes = call(
                body,
                timeout=options.timeout,
                metadata=tuple(options.headers.items()),
                compression=grpc.Compression.Gzip if options.gzip else None,
            )
        except grpc.RpcError as error:
            self.close()  # a new one connects at once; this one would wait by itself
            self._judge(error)
        except (OSError, ValueError) as error:  # a file; closed meanwhile
            raise NotSent(f"{options.shown}: {error}") from error
        return answer

    def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            with contextlib.suppress(grpc.RpcError):
                channel.close()

    def _judge(self, error: Any) -> None:
        """Raises NotSent, Refused."""
        code, details = error.code(), error.details() or ""
        said = details.rpartition("last error: ")[2][:SHOWN]  # of several addresses
        options = self._options
        if code is grpc.StatusCode.INVALID_ARGUMENT:
            raise Refused(f"{options.shown}: {said}") from error
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            raise NotSent(f"{options.shown}: it does not answer in time") from error
        remedy = REMEDIES.get(code, "")
        name = code.name.lower().replace("_", " ")
        parts = [part for part in (name, said, remedy) if part]
        raise NotSent(f"{options.shown}: {': '.join(parts)}") from error

    def _open(self) -> Any:
        """Connects when it is used.  Raises OSError where a file cannot be read."""
        options = self._options
        options.check_files()
        parts = urlsplit(options.endpoint)
        host = (
            f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        )
        target = f"{host}:{parts.port or DEFAULT_PORT}"
        if not options.wants_tls:
            return grpc.insecure_channel(target, _OPTIONS)
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_content(options.cafile),
            private_key=_content(options.keyfile or options.certfile),
            certificate_chain=_content(options.certfile),
        )
        return grpc.secure_channel(target, credentials, _OPTIONS)


def _content(file: Path | None) -> bytes | None:
    return file.read_bytes() if file is not None else None
