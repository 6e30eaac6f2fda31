"""What holds for all spans, of whatever journals."""

from collections import defaultdict
from collections.abc import Iterable

from regnal.events.spans import naming
from regnal.events.spans.span import Span, SpanId
from regnal.events.tracing import root_id


def broken(spans: Iterable[Span]) -> list[str]:
    """Each in a sentence; empty: all laws hold."""
    by_trace: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        by_trace[span.trace].append(span)
    return [law for told in by_trace.values() for law in _broken(told)]


def _broken(spans: list[Span]) -> list[str]:
    found = []
    by_id: dict[SpanId, Span] = {}
    names = {str(s.attributes.get(naming.INCIDENT)) for s in spans} - {"None"}
    roots = {root_id(span.scope, name) for span in spans[:1] for name in names}
    for span in spans:
        if span.span in by_id:
            found.append(f"{span.name} of {span.member} has the id of another span")
        by_id[span.span] = span
        if span.end < span.start:
            found.append(f"{span.name} ends before it begins")
    for span in spans:
        parent = by_id.get(span.parent or "")
        if span.parent is None or parent is None:
            if span.parent is not None and span.parent not in roots:
                found.append(f"nobody knows the parent of {span.name}")
            continue
        if naming.INCIDENT in span.attributes:
            continue  # another part of the same member, which comes later
        is_within = parent.start <= span.start and span.end <= parent.end
        if parent.member == span.member and not is_within:
            found.append(f"{span.name} is not within {parent.name}")
    if sum(span.parent is None for span in spans) > 1:
        found.append(f"{names} has several roots")
    return found
