"""A log line as data: something that happened or was decided, told in a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from regnal.events.spans.span import Attribute, SpanId, TraceId, UnixNanos
from regnal.messages.base import MemberName


@dataclass(frozen=True, slots=True)
class LogLine:
    at: UnixNanos
    severity: Literal["info", "warn", "error"]
    name: str
    """Of its kind, which stays: `regnal.leader.elected`, `regnal.decision`."""

    text: str
    """For people."""

    scope: str
    member: MemberName
    """Whose journal tells it: the resource."""

    trace: TraceId | None = None
    """None: it belongs to no incident."""

    span: SpanId | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
