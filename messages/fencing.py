"""Fencing: making sure that a former primary cannot write.

The guard is a process of its own that kills PostgreSQL when the lease ends; the
hardware watchdog stands behind it.
"""

from typing import ClassVar, Literal

from regnal.messages.base import (
    Command,
    Decision,
    Instant,
    Observation,
    Outcome,
    Seconds,
)


class ArmGuard(Command):
    """Fence PostgreSQL at `deadline` unless armed anew before."""

    kind: Literal["arm_guard"] = "arm_guard"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset({"deadline"})
    deadline: Instant
    """The end of the lease less the margin."""


class DisarmGuard(Command):
    """PostgreSQL is known to be in recovery or stopped, or we are paused."""

    kind: Literal["disarm_guard"] = "disarm_guard"


class GuardFailed(Outcome):
    """The guard could not be started or reached: a primary is not fenced by it."""

    kind: Literal["guard_failed"] = "guard_failed"
    error: str


class GuardFenced(Observation):
    """The guard killed PostgreSQL (told by its own small journal)."""

    kind: Literal["guard_fenced"] = "guard_fenced"
    postmaster_pid: int
    at: Instant
    late_by: Seconds


class ActivateWatchdog(Command):
    """Open the hardware watchdog with this timeout."""

    kind: Literal["activate_watchdog"] = "activate_watchdog"
    timeout: Seconds


class PetWatchdog(Command):
    """Keep-alive; nothing if the watchdog is not active."""

    kind: Literal["pet_watchdog"] = "pet_watchdog"
    routine: ClassVar[bool] = True


class DisableWatchdog(Command):
    """Magic close: PostgreSQL has reached a safe point."""

    kind: Literal["disable_watchdog"] = "disable_watchdog"


class WatchdogActivated(Outcome):
    kind: Literal["watchdog_activated"] = "watchdog_activated"
    timeout: Seconds
    """As the device reports it back."""


class WatchdogFailed(Outcome):
    """The device is missing, not writable or refuses the timeout."""

    kind: Literal["watchdog_failed"] = "watchdog_failed"
    error: str


class WatchdogNotUsable(Decision):
    """With these settings the watchdog would fire between two heartbeats (WDOG-02):
    it is not used."""

    kind: Literal["watchdog_not_usable"] = "watchdog_not_usable"
    timeout: Seconds
    loop_wait: Seconds
