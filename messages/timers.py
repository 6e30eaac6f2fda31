"""Timers: the only way in which an actor waits."""

from typing import ClassVar, Literal

from regnal.messages.base import Command, Instant, Observation


class SetTimer(Command):
    """Say `TimerFired(name)` at `at`; replaces an earlier timer of that name."""

    kind: Literal["set_timer"] = "set_timer"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset({"at"})
    name: str
    at: Instant


class CancelTimer(Command):
    """Forget the timer; no harm if there is none."""

    kind: Literal["cancel_timer"] = "cancel_timer"
    name: str


class TimerFired(Observation):
    """The instant that a timer was set to has come."""

    kind: Literal["timer_fired"] = "timer_fired"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset({"due_at"})
    name: str
    due_at: Instant
