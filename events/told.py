"""What a message is told as."""

from typing import NamedTuple

from regnal.events.base import Event
from regnal.events.tracing import TraceName


class Told(NamedTuple):
    event: Event
    identity: str | None = None
    """What every member that tells it agrees on; None: one member tells it, and the id of
    its message is the event's."""

    trace: TraceName | None = None
    """None: that of the incident that is not settled, else of the message."""
