"""Fencing: making sure that a former primary cannot write.

The guard is a process of its own that kills PostgreSQL when the lease ends; the
hardware watchdog stands behind it.
"""

from typing import ClassVar, Literal, TypeAlias

from regnal.messages.base import (
    Command,
    Decision,
    Instant,
    Observation,
    Outcome,
    Seconds,
)
from regnal.messages.reasons import Reason

WatchdogDriver: TypeAlias = Literal["default", "testing"]
"""testing: a pipe or file, to which the timeout is written as a line."""


class ArmGuard(Command):
    """Fence PostgreSQL at `deadline` unless armed anew before."""

    kind: Literal["arm_guard"] = "arm_guard"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset({"deadline", "lease_until"})
    deadline: Instant
    """The end of the lease less the margin."""

    lease_until: Instant | None = None
    """When PostgreSQL must have ended, whatever it costs.  None: at the deadline."""

    postmaster_pid: int | None = None
    """As last seen; None: not known, the guard looks for itself."""

    unless_armed: bool = False
    """Whether a guard that has a deadline already keeps it: we have no lease that
    would allow a later one."""


class DisarmGuard(Command):
    """PostgreSQL is known to be in recovery or stopped, or we are paused."""

    kind: Literal["disarm_guard"] = "disarm_guard"


class GuardStarted(Observation):
    """A guard process runs and obeys us."""

    kind: Literal["guard_started"] = "guard_started"
    pid: int
    taken_over: bool
    """Whether it was there already, from an earlier life of the daemon."""

    memory_locked: bool | None
    """Whether it can not be swapped out; None: not known, it was taken over."""

    schedule: Literal["realtime", "preferred", "normal"] | None
    """preferred: nice -20.  None: as above."""


class GuardArmed(Outcome):
    """The guard has a deadline, and had none before.  Not said of the orders that only
    move it."""

    kind: Literal["guard_armed"] = "guard_armed"
    guard_pid: int


class GuardFailed(Outcome):
    """The guard could not be started or reached, several times: nothing that takes
    writes is fenced by it."""

    kind: Literal["guard_failed"] = "guard_failed"
    error: str


class GuardFenced(Observation):
    """The guard killed PostgreSQL (told by its own small journal)."""

    kind: Literal["guard_fenced"] = "guard_fenced"
    postmaster_pid: int
    at: Instant
    late_by: Seconds
    wall_us: int | None = None
    """The same moment on the wall clock, microseconds since 1970: a host that was
    started anew since has another clock for `at`."""

    left: int = 0
    """Processes that did not end at once, since the kernel held them (state D)."""


class FencingWanted(Decision):
    """PostgreSQL is about to take writes: fencing must stand before it does."""

    kind: Literal["fencing_wanted"] = "fencing_wanted"


class FencingJudged(Decision):
    """Whether what takes writes here will be ended with the lease.

    idle: nothing has to be, and nothing is known that would prevent it.  stands: the
    guard is armed and the watchdog active, as far as the configuration wants them.
    failed: one of them does not work; this member must not lead.
    """

    kind: Literal["fencing_judged"] = "fencing_judged"
    verdict: Literal["idle", "stands", "failed"]
    reason: Reason | None = None
    """Of `failed`."""


class CheckWatchdog(Command):
    """See whether the hardware watchdog could be opened, without opening it: that
    would start its timer."""

    kind: Literal["check_watchdog"] = "check_watchdog"
    routine: ClassVar[bool] = True
    device: str
    driver: WatchdogDriver


class ActivateWatchdog(Command):
    """Open the hardware watchdog with this timeout; one that is open is set anew."""

    kind: Literal["activate_watchdog"] = "activate_watchdog"
    timeout: Seconds
    device: str = "/dev/watchdog"
    driver: WatchdogDriver = "default"


class PetWatchdog(Command):
    """Keep-alive; nothing if the watchdog is not active."""

    kind: Literal["pet_watchdog"] = "pet_watchdog"
    routine: ClassVar[bool] = True


class DisableWatchdog(Command):
    """Magic close: PostgreSQL has reached a safe point."""

    kind: Literal["disable_watchdog"] = "disable_watchdog"


class WatchdogFound(Outcome):
    """The device is there and we may write to it."""

    kind: Literal["watchdog_found"] = "watchdog_found"
    routine: ClassVar[bool] = True


class WatchdogActivated(Outcome):
    kind: Literal["watchdog_activated"] = "watchdog_activated"
    timeout: Seconds
    """As the device reports it back: not longer than it was asked for."""


class WatchdogFailed(Outcome):
    """The device is missing, not writable, cannot be switched off again or refuses the
    timeout.  It is closed."""

    kind: Literal["watchdog_failed"] = "watchdog_failed"
    routine: ClassVar[bool] = True
    error: str


class WatchdogNotUsable(Decision):
    """With these settings the watchdog would fire between two heartbeats (WDOG-02):
    it is not used."""

    kind: Literal["watchdog_not_usable"] = "watchdog_not_usable"
    timeout: Seconds
    loop_wait: Seconds
