"""What guards the data: fencing and the watchdog; and what people decide: pause and the
configuration."""

from typing import ClassVar

from regnal.events.base import Event, EventName
from regnal.messages.base import Seconds


class MemberFenced(Event):
    """The guard killed PostgreSQL, since nobody renewed the lease in time."""

    name: ClassVar[EventName] = "member.fenced"
    pid: int
    late_seconds: Seconds
    """How long after the deadline."""


class GuardFailed(Event):
    """The guard does not work: a primary that freezes is not fenced by it."""

    name: ClassVar[EventName] = "guard.failed"
    error: str


class WatchdogActivated(Event):
    """The hardware watchdog is armed."""

    name: ClassVar[EventName] = "watchdog.activated"
    timeout_seconds: Seconds


class WatchdogFailed(Event):
    """There is no watchdog, or it cannot be used."""

    name: ClassVar[EventName] = "watchdog.failed"
    error: str


class PauseChanged(Event):
    """Automatic failover was switched off, or on again."""

    name: ClassVar[EventName] = "pause.changed"
    of_cluster: ClassVar[bool] = True
    paused: bool


class ConfigurationChanged(Event):
    """The dynamic configuration in the store is another."""

    name: ClassVar[EventName] = "configuration.changed"
    of_cluster: ClassVar[bool] = True
    options: tuple[str, ...] | None = None
    """Names at the top of the document whose values differ; null: it was removed."""

    removed: bool
    """Whether the key is gone; what was in force stays in force."""


class ConfigurationRejected(Event):
    """This member cannot use a new configuration; the old one stays in force."""

    name: ClassVar[EventName] = "configuration.rejected"
    source: str
    """`file` or `dynamic`."""

    error: str
