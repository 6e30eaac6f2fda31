"""What the watchdog knows; nothing is decided here."""

from dataclasses import dataclass, field
from typing import Literal

from regnal.actors.lease_margins import fence_lead, step_down_lead
from regnal.actors.postmaster import Postmaster
from regnal.messages.base import Instant, MemberName, Seconds
from regnal.messages.operations import Phase
from regnal.messages.reasons import Reason, because
from regnal.messages.settings import Settings

_WRITABLE: tuple[Phase, ...] = ("primary", "promoting", "checkpointing")
_SAFE: tuple[Phase, ...] = ("standby", "stopped", "absent")


@dataclass(frozen=True, slots=True)
class Watchdog:
    """Our lease, what PostgreSQL may do, and what was told to guard and device."""

    member: MemberName
    settings: Settings | None = None
    lease_until: Instant | None = None
    """None: the lease is not ours."""

    prolonged: bool = False
    """Whether the message just heard prolonged the lease."""

    phase: Phase = "unknown"
    intent: str | None = None
    """`kind` of what the supervisor carries out."""

    server: Literal["primary", "standby", "absent"] | None = None
    """As last observed, or as the last phase says; None: not known."""

    wanted_primary: bool = False
    """Whether election told PostgreSQL to take writes, and it has not settled."""

    promotion_expected: bool = False
    """Whether the lease was acquired and nothing has come of it yet."""

    armed_until: Instant | None = None
    """Deadline that the guard was last told; None: none by us.  A guard that failed
    is told the next one."""

    disarmed: bool = False
    """Whether the guard was told so.  At the start it may be armed from before."""

    guard: Literal["idle", "asked", "armed", "failed"] = "idle"
    guard_error: str = ""
    postmaster_pid: int | None = None
    """As last observed, for the guard."""

    postmaster: Postmaster = field(default_factory=Postmaster)
    founding: bool = False
    """Whether we create the cluster: its first primary has no lease yet, and nobody
    else can be one."""

    leaderless_since: Instant | None = None
    """Since when PostgreSQL takes writes without a lease and without a deadline of
    ours; None: it does not."""

    device: Literal["idle", "asked", "active", "failed"] = "idle"
    device_timeout: Seconds | None = None
    """That the device was asked for."""

    reset_after: Seconds | None = None
    """That it has, or will have at most; None: it is not active."""

    device_error: str = ""
    failed_at: Instant | None = None
    """When the activation failed; None: the device was not even found, or works."""

    check_due: bool = False
    """Whether to see if the device can be used: `required` must know beforehand."""

    unusable_told: bool = False
    leaving: bool = False
    """Whether PostgreSQL is being demoted, or stopped with the daemon."""

    told: Literal["idle", "stands", "failed"] = "idle"
    """What was last said about the fencing."""

    told_reason: Reason | None = None

    wanted: bool = False
    """Whether election waits for that."""

    @property
    def is_paused(self) -> bool:
        return self.settings is not None and self.settings.paused

    @property
    def step_down_at(self) -> Instant | None:
        """When election begins to stop PostgreSQL; None: we have no lease to end."""
        if self.lease_until is None or self.settings is None:
            return None
        return self.lease_until - step_down_lead(self.settings, self.reset_after)

    @property
    def fence_at(self) -> Instant | None:
        """When the guard must kill PostgreSQL; None: we have no lease to end."""
        if self.lease_until is None or self.settings is None:
            return None
        return self.lease_until - fence_lead(self.settings, self.reset_after)

    @property
    def timeout(self) -> Seconds | None:
        """Of the hardware watchdog (WDOG-02); None: it is off."""
        settings = self.settings
        if settings is None or settings.watchdog_mode == "off":
            return None
        if settings.watchdog_safety_margin < 0:
            return settings.ttl // 2
        return settings.ttl - settings.watchdog_safety_margin

    @property
    def is_usable(self) -> bool:
        """Whether the device is on and would not fire between two heartbeats."""
        settings, timeout = self.settings, self.timeout
        return (
            settings is not None
            and timeout is not None
            and timeout > settings.loop_wait
        )

    @property
    def is_required(self) -> bool:
        return self.settings is not None and self.settings.watchdog_mode == "required"

    @property
    def is_writable(self) -> bool:
        """Whether PostgreSQL takes writes, or is about to."""
        if self.wanted_primary or self.phase in _WRITABLE:
            return True
        return self.server == "primary" and self.phase not in _SAFE

    @property
    def is_harmless(self) -> bool:
        """Whether PostgreSQL is known to be in recovery or stopped."""
        return (
            not self.is_writable
            and self.phase in _SAFE
            and self.server in ("standby", "absent")
        )

    def may_write(self, now: Instant) -> bool:
        """Whether PostgreSQL takes writes or may soon, and we answer for it."""
        if self.settings is None or self.settings.paused:
            return False
        if self.is_writable:
            return True
        if self.settings.is_standby_cluster or self.lease_until is None:
            return False
        # A promotion that never came is not worth a killed standby.
        step_down_at = self.step_down_at
        assert step_down_at is not None
        return self.promotion_expected and now < step_down_at

    def needs_guard(self, now: Instant) -> bool:
        """Whether PostgreSQL must be fenced when the lease ends."""
        return self.settings is not None and self.settings.guard and self.may_write(now)

    def trouble(self) -> Reason | None:
        """Why what takes writes here could not be ended with the lease."""
        settings, timeout = self.settings, self.timeout
        if settings is None or settings.paused:
            return None
        if settings.guard and self.guard == "failed":
            return because("GUARD_FAILED", error=self.guard_error)
        if not self.is_required or timeout is None:
            return None
        if not self.is_usable:
            return because(
                "WATCHDOG_NOT_USABLE", timeout=timeout, loop_wait=settings.loop_wait
            )
        if self.device == "failed":
            return because("WATCHDOG_FAILED", error=self.device_error)
        return None

    def stands(self, now: Instant) -> bool:
        """Whether PostgreSQL may take writes, guarded as the configuration wants."""
        if self.settings is None or not self.may_write(now):
            return False
        guarded = not self.settings.guard or self.guard == "armed"
        # WDOG-03: active before a promotion, or known not to work.
        watched = not self.is_usable or self.device in ("active", "failed")
        return guarded and watched
