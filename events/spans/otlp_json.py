"""Spans in the JSON encoding of OTLP: what collectors read from files.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids are hexadecimal,
integers of 64 bits are texts, enumerations are numbers.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from regnal.events.spans import naming
from regnal.events.spans.span import Attribute, Link, Moment, Span

Json: TypeAlias = dict[str, Any]

INTERNAL = 1
"""SPAN_KIND_INTERNAL: of all our spans."""

_STATUS = {"unset": 0, "ok": 1, "error": 2}


def export_request(spans: Iterable[Span]) -> Json:
    """An ExportTraceServiceRequest; members in the order in which they come."""
    by_resource: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for span in spans:
        by_resource[span.scope, span.member].append(span)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(naming.resource(*resource))},
                "scopeSpans": [
                    {
                        "scope": {"name": naming.SCOPE_NAME},
                        "spans": [_span(span) for span in told],
                    }
                ],
            }
            for resource, told in by_resource.items()
        ]
    }


def _span(span: Span) -> Json:
    found: Json = {
        "traceId": span.trace,
        "spanId": span.span,
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _attributes(span.attributes),
        "events": [_moment(moment) for moment in span.moments],
        "links": [_link(link) for link in span.links],
        "status": _status(span),
    }
    if span.parent is not None:
        found["parentSpanId"] = span.parent
    return {name: value for name, value in found.items() if value not in ([], {})}


def _status(span: Span) -> Json:
    if span.status == "unset":
        return {}
    told: Json = {"code": _STATUS[span.status]}
    return {**told, "message": span.status_text} if span.status_text else told


def _moment(moment: Moment) -> Json:
    told = {"name": moment.name, "timeUnixNano": str(moment.at)}
    return _with_attributes(told, moment.attributes)


def _link(link: Link) -> Json:
    told = {"traceId": link.trace, "spanId": link.span}
    return _with_attributes(told, link.attributes)


def _with_attributes(told: Json, attributes: Mapping[str, Attribute]) -> Json:
    return {**told, "attributes": _attributes(attributes)} if attributes else told


def _attributes(attributes: Mapping[str, Attribute]) -> list[Json]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Attribute) -> Json:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
        case tuple():
            return {"arrayValue": {"values": [_value(one) for one in value]}}
