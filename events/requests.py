"""What people asked for: switchover and failover by hand."""

from typing import ClassVar

from regnal.events.base import Event, EventName
from regnal.messages.base import MemberName


class SwitchoverRequested(Event):
    """Somebody asked this member for another leader."""

    name: ClassVar[EventName] = "switchover.requested"
    request: str
    """Names the request in the events that follow."""

    action: str
    """`switchover`: away from a leader that leads; `failover`: to this candidate."""

    leader: MemberName | None = None
    candidate: MemberName | None = None
    """null: whoever is best."""

    scheduled_at: str | None = None
    """As it was written; null: at once."""

    by: str
    """The user, or where there is none the address."""


class SwitchoverScheduled(Event):
    """It will be done at the time that was asked for."""

    name: ClassVar[EventName] = "switchover.scheduled"
    request: str
    scheduled_at: str | None = None


class SwitchoverRefused(Event):
    """What was asked for is impossible or not allowed; nothing was done."""

    name: ClassVar[EventName] = "switchover.refused"
    request: str | None = None
    """null: it was turned down before it got a name."""

    status: int
    """Of the HTTP answer."""

    reason: str


class SwitchoverFailed(Event):
    """It was begun, and did not come to its end, as far as this member knows."""

    name: ClassVar[EventName] = "switchover.failed"
    request: str
    status: int
    reason: str


class SwitchoverCancelled(Event):
    """A scheduled switchover was deleted."""

    name: ClassVar[EventName] = "switchover.cancelled"
    by: str
