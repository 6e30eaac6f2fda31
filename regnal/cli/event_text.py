"""An event as a line for people."""

from collections.abc import Iterator, Mapping
from typing import Any

import click
from pydantic_core import to_json

from regnal.events.cloud import CloudEvent
from regnal.journal.event_layout import name_of

LONGEST_VALUE = 160
"""Characters of a value."""

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


def line_of(event: CloudEvent) -> str:
    """`2026-11-23 07:31:02.114  pg2  leader.elected  previous=pg1 …`, with colours,
    which are taken out where nobody sees them."""
    when = event.time[:23].replace("T", " ")
    name = name_of(event.type)
    shown = " ".join(_values(event.data, event.subject))
    if event.reporter != event.subject:
        shown += click.style(f"  (told by {event.reporter})", dim=True)
    padded = click.style(f"{name:<28}", fg=_colour(name))
    return f"{when}  {event.subject:<12}  {padded}  {shown}".rstrip()


def _colour(name: str) -> str | None:
    for colour, names in (("red", _BAD), ("yellow", _DOUBTFUL), ("green", _GOOD)):
        if name in names:
            return colour
    return None


def _values(data: Mapping[str, Any], subject: str) -> Iterator[str]:
    """What there is; whom it is about stands in front already."""
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
