"""A span as data: what a trace is made of, before any library of OpenTelemetry sees it.

Names and units are those of https://opentelemetry.io/docs/specs/otel/trace/api/.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from regnal.messages.base import MemberName

UnixNanos: TypeAlias = int
"""Nanoseconds since 1970-01-01 00:00 UTC."""

TraceId: TypeAlias = str
"""32 hexadecimal digits."""

SpanId: TypeAlias = str
"""16 hexadecimal digits."""

Attribute: TypeAlias = str | bool | int | float | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """To a span of another trace, or of this one that is no parent."""

    trace: TraceId
    span: SpanId
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened within a span and took no time: an event of the span."""

    name: str
    at: UnixNanos
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time, on one member; ended, as only those are exported."""

    trace: TraceId
    span: SpanId
    parent: SpanId | None
    """None: the root of its trace."""

    name: str
    start: UnixNanos
    end: UnixNanos
    scope: str
    member: MemberName
    """Whose journal tells it: the resource."""

    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    moments: tuple[Moment, ...] = ()
    links: tuple[Link, ...] = ()
    status: Literal["unset", "ok", "error"] = "unset"
    status_text: str = ""
    """Why, with `error`."""
