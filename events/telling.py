"""Events for people: how bad one is, and its values as text."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from pydantic_core import to_json

from regnal.events.base import EventName

LONGEST_VALUE = 160
"""Characters of a value."""

Weight: TypeAlias = Literal["bad", "doubtful", "good", "plain"]

_BAD = (
    "failover.started",
    "leader.lost",
    "postgres.crashed",
    "postgres.diverged",
    "postgres.operation_failed",
    "member.fenced",
    "switchover.failed",
    "dcs.lost",
    "journal.gap",
)
_DOUBTFUL = (
    "guard.failed",
    "watchdog.failed",
    "configuration.rejected",
    "switchover.refused",
    "slot.refused",
    "member.left",
    "pause.changed",
    "incident.opened",
)
_GOOD = (
    "failover.completed",
    "failover.averted",
    "switchover.completed",
    "leader.elected",
    "postgres.promoted",
    "incident.settled",
    "dcs.back",
)


def weight_of(name: EventName) -> Weight:
    if name in _BAD:
        return "bad"
    if name in _DOUBTFUL:
        return "doubtful"
    return "good" if name in _GOOD else "plain"


def values_told(data: Mapping[str, Any], subject: str) -> Iterator[str]:
    """`name=value` of what there is; `subject` stands in front already."""
    for name, value in data.items():
        if value is None or value == subject or value == []:
            continue
        text = value if isinstance(value, str) else to_json(value).decode()
        if len(text) > LONGEST_VALUE:
            text = f"{text[:LONGEST_VALUE]}…"
        # Whatever stands in it, a line stays a line, and a terminal what it was.
        yield f"{name}={_harmless(text)}"


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
