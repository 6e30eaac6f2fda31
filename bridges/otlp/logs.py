"""Log lines as OTLP has them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.logs.v1.logs_pb2 import (
    LogRecord,
    ResourceLogs,
    ScopeLogs,
    SeverityNumber,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from regnal.bridges.otlp.batch import Batch, Value, plain_text, plain_values
from regnal.bridges.otlp.resources import Resources
from regnal.events.log_line import LogLine
from regnal.messages.base import MemberName

_SEVERITY: Mapping[str, "SeverityNumber.ValueType"] = {
    "info": SeverityNumber.SEVERITY_NUMBER_INFO,
    "warn": SeverityNumber.SEVERITY_NUMBER_WARN,
    "error": SeverityNumber.SEVERITY_NUMBER_ERROR,
}


def batch_of_logs(lines: Sequence[LogLine], resources: Resources) -> Batch:
    """The library's own encoder of logs is private to it; those of the other signals
    are not."""
    by_member: dict[tuple[str, MemberName], list[LogRecord]] = defaultdict(list)
    for line in lines:
        by_member[line.scope, line.member].append(_record(line))
    library = InstrumentationScope(
        name=resources.library.name, version=resources.version
    )
    request = ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(
                resource=Resource(
                    attributes=_pairs(resources.of(*member).attributes)  # type: ignore[arg-type]
                ),
                scope_logs=[ScopeLogs(scope=library, log_records=records)],
            )
            for member, records in by_member.items()
        ]
    )
    return Batch("logs", request.SerializeToString(), len(lines))


def _record(line: LogLine) -> LogRecord:
    at = max(0, line.at)
    return LogRecord(
        time_unix_nano=at,
        observed_time_unix_nano=at,
        severity_number=_SEVERITY[line.severity],
        severity_text=line.severity.upper(),
        event_name=line.name,
        body=AnyValue(string_value=plain_text(line.text)),
        attributes=_pairs(plain_values(line.attributes)),
        trace_id=bytes.fromhex(line.trace or ""),
        span_id=bytes.fromhex(line.span or ""),
        flags=1 if line.trace else 0,
    )


def _pairs(values: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_any(value)) for name, value in values.items()]


def _any(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case tuple():
            return AnyValue(array_value=ArrayValue(values=[_any(one) for one in value]))
