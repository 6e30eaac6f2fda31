"""Log lines from records: public events, and what election and the keeper of
synchronous standbys decided.

One reader follows one member's journal; what it remembers between two records is a
small text, with which another can go on.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from regnal.events.cloud import CloudEvent, Reporter
from regnal.events.log_line import LogLine
from regnal.events.spans.span import Attribute, SpanId, TraceId, UnixNanos
from regnal.events.telling import values_told, weight_of
from regnal.events.tracing import TraceName, root_id, trace_id
from regnal.journal.decoding import StepTaken, Undecodable, step_of
from regnal.journal.event_layout import name_of
from regnal.journal.places import RecordNumber
from regnal.journal.public_events import EventReader
from regnal.journal.reader import Record
from regnal.journal.stamps import Microseconds, parse_hlc
from regnal.messages.base import JsonText

_STEP = re.compile(
    rb'"kind":"step","actor":"(election|sync_standby_manager)",[^{]*"rule":"(\w+)'
)
"""Of a step of these, in the head of its record: most others need not be parsed."""

QUIET_RULES = (
    "keep_leading",
    "keep_following",
    "keep_hands_off_in_pause",
    "look_whether_we_stream",
)
"""They say that nothing is to be done."""

OF_INCIDENTS = ("failover", "incident", "leader", "switchover")
"""What events of these are about is an incident, which has a trace."""

_SEVERITIES: Mapping[str, Literal["info", "warn", "error"]] = {
    "bad": "error",
    "doubtful": "warn",
}


class _Memory(BaseModel):
    events: JsonText | None = None
    rules: dict[str, str] = {}
    """The last rule of each actor: said again and again, it is told once."""


class LogReader:
    """Tells of each record what belongs into a log; records in their order."""

    def __init__(self, reporter: Reporter, memory: JsonText | None = None) -> None:
        """`memory` of another reader, up to the same record; None, or one that cannot
        be read: from the beginning, or unknown."""
        known = _Memory()
        if memory is not None:
            try:
                known = _Memory.model_validate_json(memory)
            except ValidationError:
                known = _Memory()
        self._events = EventReader(reporter, known.events)
        self._rules = dict(known.rules)
        self._reporter = reporter

    @property
    def memory(self) -> JsonText:
        return _Memory(events=self._events.memory, rules=self._rules).model_dump_json(
            exclude_defaults=True
        )

    def read(self, record: Record) -> Sequence[LogLine]:
        """What is held, and what this program does not know, tells nothing."""
        if record.is_held:
            return ()
        if record.kind == "message":
            before = self._events.incident
            events = self._events.read(record)
            going_on = (before, self._events.incident)
            return [self._of_event(one, _at(record), going_on) for one in events]
        return list(self._of_step(record)) if record.kind == "step" else ()

    def gap(
        self, first: RecordNumber, last: RecordNumber, wall: Microseconds
    ) -> LogLine:
        """These records are gone."""
        event = self._events.gap(first, last, wall)
        return self._of_event(event, 1000 * wall, (self._events.incident,))

    def _of_event(
        self, event: CloudEvent, at: UnixNanos, going_on: Sequence[TraceName | None]
    ) -> LogLine:
        """`going_on`: incidents.  An event has a trace in any case; a line one that can be
        looked at."""
        name = name_of(event.type)
        trace = event.traceparent.split("-")[1]
        spans = dict(self._root(one) for one in going_on if one is not None)
        is_told = trace in spans or name.partition(".")[0] in OF_INCIDENTS
        told = " ".join((event.subject, *values_told(event.data, event.subject)))
        return LogLine(
            at=at,
            severity=_SEVERITIES.get(weight_of(name), "info"),
            name=f"regnal.{name}",
            text=f"{name}: {told}",
            scope=self._reporter.scope,
            member=self._reporter.member,
            trace=trace if is_told else None,
            span=spans.get(trace),
            attributes={
                "regnal.event.id": event.id,
                "regnal.event.subject": event.subject,
                "regnal.journal.id": event.journalid,
                **_attributes("regnal.event.data", event.data),
            },
        )

    def _of_step(self, record: Record) -> Iterator[LogLine]:
        found = _STEP.search(record.line)
        if found is None:
            return
        actor, rule = found[1].decode(), found[2].decode()
        is_news = self._rules.get(actor) != rule
        self._rules[actor] = rule
        if rule in QUIET_RULES or not is_news:
            return
        try:
            step = step_of(record)
        except Undecodable:
            return
        if step.said:
            yield self._of_decision(step, _at(record))

    def _of_decision(self, step: StepTaken, at: UnixNanos) -> LogLine:
        rule = step.rule or ""
        told = " ".join(values_told(step.facts, ""))
        incident = self._events.incident
        trace, span = self._root(incident) if incident is not None else (None, None)
        return LogLine(
            at=at,
            severity="info",
            name="regnal.decision",
            text=f"{step.actor}: {rule.replace('_', ' ')}"
            + (f": {told}" if told else ""),
            scope=self._reporter.scope,
            member=self._reporter.member,
            trace=trace,
            span=span,
            attributes={
                "regnal.actor": step.actor,
                "regnal.rule": rule,
                "regnal.heard": step.heard,
                **_attributes("regnal.fact", step.facts),
            },
        )

    def _root(self, incident: TraceName) -> tuple[TraceId, SpanId]:
        """Of the trace of that incident, as regnal.events.spans tells it."""
        scope = self._reporter.scope
        return trace_id(scope, incident), root_id(scope, incident)


def _at(record: Record) -> UnixNanos:
    """By the member's own clock, as far as a microsecond tells."""
    fields = record.fields
    ahead = fields.get("ahead", 0)
    try:
        wall = parse_hlc(fields["hlc"]).wall_us
    except ValueError:
        return 0
    return 1000 * (wall - (ahead if isinstance(ahead, int) else 0))


def _attributes(prefix: str, values: Mapping[str, Any]) -> dict[str, Attribute]:
    """What there is; of what is no plain value, JSON."""
    return {
        f"{prefix}.{name}": value
        if isinstance(value, str | bool | int | float)
        else to_json(value, inf_nan_mode="strings").decode()
        for name, value in values.items()
        if value is not None and value != []
    }
