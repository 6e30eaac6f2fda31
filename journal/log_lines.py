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
from regnal.events.spans.span import Attribute, UnixNanos
from regnal.events.telling import values_told, weight_of
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
            events = self._events.read(record)
            return [self._of_event(event, _at(record)) for event in events]
        return list(self._of_step(record)) if record.kind == "step" else ()

    def gap(
        self, first: RecordNumber, last: RecordNumber, wall: Microseconds
    ) -> LogLine:
        """These records are gone."""
        return self._of_event(self._events.gap(first, last, wall), 1000 * wall)

    def _of_event(self, event: CloudEvent, at: UnixNanos) -> LogLine:
        name = name_of(event.type)
        _, trace, span, _ = event.traceparent.split("-")
        told = " ".join((event.subject, *values_told(event.data, event.subject)))
        return LogLine(
            at=at,
            severity=_SEVERITIES.get(weight_of(name), "info"),
            name=f"regnal.{name}",
            text=f"{name}: {told}",
            scope=self._reporter.scope,
            member=self._reporter.member,
            trace=trace,
            span=span,
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
        return LogLine(
            at=at,
            severity="info",
            name="regnal.decision",
            text=f"{step.actor}: {rule.replace('_', ' ')}"
            + (f": {told}" if told else ""),
            scope=self._reporter.scope,
            member=self._reporter.member,
            trace=self._events.trace,
            attributes={
                "regnal.actor": step.actor,
                "regnal.rule": rule,
                "regnal.heard": step.heard,
                **_attributes("regnal.fact", step.facts),
            },
        )


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
