"""What the watchdog knows, and how it learns; nothing is decided here."""

from dataclasses import dataclass, replace
from typing import Literal

from regnal.messages.base import Instant, MemberName, Message, Seconds
from regnal.messages.daemon import ShutdownRequested
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import WatchdogActivated, WatchdogFailed
from regnal.messages.lease import (
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseRefused,
)
from regnal.messages.operations import (
    BecomePrimary,
    DemotePostgres,
    IntentFailed,
    IntentRefused,
    Phase,
    PhaseChanged,
    StartAsPrimary,
)
from regnal.messages.postgres import PostgresObserved, PostmasterExited
from regnal.messages.probes import FailsafeAnswered
from regnal.messages.settings import ConfigurationApplied, Settings

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

    device: Literal["idle", "asked", "active", "failed"] = "idle"
    device_timeout: Seconds | None = None
    unusable_told: bool = False
    leaving: bool = False
    """Whether PostgreSQL is being demoted, or stopped with the daemon."""

    @property
    def is_paused(self) -> bool:
        return self.settings is not None and self.settings.paused

    @property
    def margin(self) -> Seconds:
        """How long before the end of the lease election begins to step down."""
        assert self.settings is not None
        return min(self.settings.lease_margin, self.settings.ttl / 4)

    @property
    def fence_at(self) -> Instant | None:
        """When the guard must kill PostgreSQL; None: we have no lease to end."""
        if self.lease_until is None or self.settings is None:
            return None
        return self.lease_until - self.margin / 2

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
        return self.promotion_expected and now < self.lease_until - self.margin

    def needs_guard(self, now: Instant) -> bool:
        """Whether PostgreSQL must be fenced when the lease ends."""
        return self.settings is not None and self.settings.guard and self.may_write(now)


def learn(watchdog: Watchdog, envelope: Envelope[Message]) -> Watchdog:
    """The watchdog after the message, before any rule looks at it."""
    message = envelope.message
    match message:
        case ConfigurationApplied(settings=settings):
            return _learn_settings(watchdog, settings)
        case ShutdownRequested() | DemotePostgres():
            return replace(watchdog, leaving=True)
        case WatchdogActivated() if watchdog.device == "asked":
            return replace(watchdog, device="active")
        case WatchdogFailed():
            return replace(watchdog, device="failed", device_timeout=None)
        case (
            LeaderAcquired()
            | LeaderRenewed()
            | LeaderReleased()
            | LeaderHandedOver()
            | LeaseRefused()
            | FailsafeAnswered()
        ):
            return _learn_of_lease(watchdog, message)
        case _:
            return _learn_of_postgres(watchdog, message)


def _learn_settings(watchdog: Watchdog, settings: Settings) -> Watchdog:
    """Another configuration gives a device that failed another chance."""
    known = replace(watchdog, settings=settings)
    before = watchdog.settings
    if before is None or _of_device(before) == _of_device(settings):
        return known
    device = "idle" if watchdog.device == "failed" else watchdog.device
    return replace(known, device=device, unusable_told=False)


def _of_device(settings: Settings) -> tuple[object, ...]:
    return (
        settings.ttl,
        settings.loop_wait,
        settings.watchdog_mode,
        settings.watchdog_safety_margin,
    )


def _learn_of_lease(watchdog: Watchdog, message: Message) -> Watchdog:
    match message:
        case LeaderAcquired(member=member, valid_until=until) if (
            member == watchdog.member
        ):
            return replace(
                watchdog,
                lease_until=until,
                prolonged=True,
                promotion_expected=not watchdog.is_writable,
                device="idle" if watchdog.device == "failed" else watchdog.device,
                leaving=False,
            )
        case LeaderRenewed(member=member, valid_until=until) if (
            member == watchdog.member
        ):
            latest = max(until, watchdog.lease_until or until)
            return replace(watchdog, lease_until=latest, prolonged=True)
        case FailsafeAnswered(votes=votes, asked_at=asked_at):
            settings, own = watchdog.settings, watchdog.lease_until
            if settings is None or own is None:
                return watchdog
            if not all(vote.accepted for vote in votes):
                return watchdog
            return replace(
                watchdog,
                lease_until=max(own, asked_at + settings.ttl),
                prolonged=True,
            )
        case LeaderReleased() | LeaderHandedOver() | LeaseRefused():
            return replace(watchdog, lease_until=None, promotion_expected=False)
        case _:
            return watchdog


def _learn_of_postgres(watchdog: Watchdog, message: Message) -> Watchdog:
    match message:
        case BecomePrimary() | StartAsPrimary():
            return replace(watchdog, wanted_primary=True)
        case IntentFailed(intent=intent) | IntentRefused(intent=intent):
            if intent not in ("become_primary", "start_as_primary"):
                return watchdog
            return replace(watchdog, wanted_primary=False, promotion_expected=False)
        case PhaseChanged(phase=phase, intent=intent):
            return _learn_phase(watchdog, phase, intent)
        case PostmasterExited():
            return replace(watchdog, server="absent")
        case PostgresObserved(status=status):
            if status.process == "absent":
                return replace(watchdog, server="absent")
            if status.in_recovery is None:
                return watchdog
            return replace(
                watchdog, server="standby" if status.in_recovery else "primary"
            )
        case _:
            return watchdog


def _learn_phase(watchdog: Watchdog, phase: Phase, intent: str | None) -> Watchdog:
    wanted = watchdog.wanted_primary and phase != "primary"
    if phase == "standby" and intent is None:
        wanted = False
    server = watchdog.server
    if phase == "primary":
        server = "primary"
    elif phase == "standby":
        server = "standby"
    elif phase in ("stopped", "absent"):
        server = "absent"
    return replace(
        watchdog,
        phase=phase,
        intent=intent,
        server=server,
        wanted_primary=wanted,
        promotion_expected=watchdog.promotion_expected and phase != "primary",
        leaving=watchdog.leaving and phase != "standby",
    )
