"""Spans as OTLP has them: with the ids that members agree on, not with new ones."""

from collections.abc import Mapping, Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from regnal.bridges.otlp.batch import Batch, plain_text, plain_values
from regnal.bridges.otlp.resources import Resources
from regnal.events.spans.span import Span, SpanId, TraceId

_STATUS: Mapping[str, StatusCode] = {
    "unset": StatusCode.UNSET,
    "ok": StatusCode.OK,
    "error": StatusCode.ERROR,
}


def batch_of_spans(spans: Sequence[Span], resources: Resources) -> Batch:
    """They may be of several members."""
    readable = [_readable(span, resources) for span in spans]
    return Batch("traces", encode_spans(readable).SerializeToString(), len(spans))


def _readable(span: Span, resources: Resources) -> ReadableSpan:
    start = max(0, span.start)
    return ReadableSpan(
        name=plain_text(span.name),
        context=_context(span.trace, span.span),
        parent=_context(span.trace, span.parent) if span.parent is not None else None,
        resource=resources.of(span.scope, span.member),
        attributes=plain_values(span.attributes),
        events=[
            Event(
                plain_text(moment.name),
                plain_values(moment.attributes),
                max(0, moment.at),
            )
            for moment in span.moments
        ],
        links=[
            Link(_context(link.trace, link.span), plain_values(link.attributes))
            for link in span.links
        ],
        kind=SpanKind.INTERNAL,
        status=_status(span),
        start_time=start,
        end_time=max(start, span.end),  # a clock that was set back ends nothing early
        instrumentation_scope=resources.library,
    )


def _context(trace: TraceId, span: SpanId) -> SpanContext:
    return SpanContext(
        int(trace, 16),
        int(span, 16),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _status(span: Span) -> Status:
    code = _STATUS[span.status]
    text = plain_text(span.status_text) if code is StatusCode.ERROR else None
    return Status(code, text)
