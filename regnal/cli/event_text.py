"""An event as a line for people."""

from collections.abc import Mapping

import click

from regnal.events.cloud import CloudEvent
from regnal.events.telling import Weight, values_told, weight_of
from regnal.journal.event_layout import name_of

_COLOURS: Mapping[Weight, str] = {"bad": "red", "doubtful": "yellow", "good": "green"}


def line_of(event: CloudEvent) -> str:
    """`2026-11-23 07:31:02.114  pg2  leader.elected  previous=pg1 …`, with colours,
    which are taken out where nobody sees them."""
    when = event.time[:23].replace("T", " ")
    name = name_of(event.type)
    shown = " ".join(values_told(event.data, event.subject))
    if event.reporter != event.subject:
        shown += click.style(f"  (told by {event.reporter})", dim=True)
    padded = click.style(f"{name:<28}", fg=_COLOURS.get(weight_of(name)))
    return f"{when}  {event.subject:<12}  {padded}  {shown}".rstrip()
