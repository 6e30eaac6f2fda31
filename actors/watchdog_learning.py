"""How the watchdog learns from messages; nothing is decided here."""

from typing import Literal

from regnal.actors.postmaster import heard_of
from regnal.actors.watchdog_state import Watchdog
from regnal.messages.base import Instant, Message, Seconds
from regnal.messages.daemon import ShutdownRequested
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import (
    FencingWanted,
    GuardArmed,
    GuardFailed,
    GuardStarted,
    WatchdogActivated,
    WatchdogFailed,
    WatchdogFound,
)
from regnal.messages.frozen import replace
from regnal.messages.lease import (
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseRefused,
)
from regnal.messages.operations import (
    BecomePrimary,
    BootstrapCluster,
    DemotePostgres,
    IntentFailed,
    IntentRefused,
    Phase,
    PhaseChanged,
    StartAsPrimary,
)
from regnal.messages.postgres import (
    PostgresObserved,
    PostgresStarted,
    PostmasterExited,
)
from regnal.messages.probes import FailsafeAnswered
from regnal.messages.settings import ConfigurationApplied, Settings

FAILED_FOR: Seconds = 60
"""How long a device whose activation failed is not tried again, where it is required:
a member that takes the lease and has to give it back keeps the others from leading."""


def learn(watchdog: Watchdog, envelope: Envelope[Message]) -> Watchdog:
    """The watchdog after the message, before any rule looks at it."""
    known = _learn(watchdog, envelope.message, envelope.at)
    return replace(known, leaderless_since=_leaderless_since(known, envelope.at))


def _learn(watchdog: Watchdog, message: Message, now: Instant) -> Watchdog:
    match message:
        case ConfigurationApplied(settings=settings):
            return _learn_settings(watchdog, settings)
        case ShutdownRequested() | DemotePostgres():
            return replace(watchdog, leaving=True)
        case FencingWanted():
            return replace(
                watchdog,
                wanted=True,
                leaving=False,
                promotion_expected=not watchdog.is_writable,
            )
        case GuardArmed() | GuardFailed() | GuardStarted():
            return _learn_of_guard(watchdog, message)
        case WatchdogActivated() | WatchdogFailed() | WatchdogFound():
            return _learn_of_device(watchdog, message, now)
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


def _leaderless_since(watchdog: Watchdog, now: Instant) -> Instant | None:
    """A primary that was found running, or whose lease ended in pause."""
    if watchdog.settings is None or watchdog.is_paused or watchdog.founding:
        return None
    if not watchdog.is_writable or watchdog.armed_until is not None:
        return None
    if watchdog.lease_until is not None and now < watchdog.lease_until:
        return None
    return now if watchdog.leaderless_since is None else watchdog.leaderless_since


def _learn_of_guard(watchdog: Watchdog, message: Message) -> Watchdog:
    match message:
        case GuardArmed() if watchdog.armed_until is not None:
            return replace(watchdog, guard="armed")
        case GuardFailed(error=error):
            return replace(
                watchdog, guard="failed", guard_error=error, armed_until=None
            )
        case GuardStarted() if watchdog.guard == "failed":
            return replace(watchdog, guard="idle", armed_until=None)
        case _:
            return watchdog


def _learn_of_device(watchdog: Watchdog, message: Message, now: Instant) -> Watchdog:
    match message:
        case WatchdogActivated(timeout=timeout) if watchdog.device == "asked":
            return replace(
                watchdog, device="active", reset_after=timeout, failed_at=None
            )
        case WatchdogFailed(error=error):
            was_opened = watchdog.device in ("asked", "active")
            return replace(
                watchdog,
                device="failed",
                device_timeout=None,
                reset_after=None,
                device_error=error,
                failed_at=now if was_opened else watchdog.failed_at,
            )
        case WatchdogFound() if watchdog.device == "failed":
            failed_at = watchdog.failed_at
            if failed_at is not None and now < failed_at + FAILED_FOR:
                return watchdog
            return replace(watchdog, device="idle", failed_at=None)
        case _:
            return watchdog


def _learn_settings(watchdog: Watchdog, settings: Settings) -> Watchdog:
    """Another configuration gives a device that failed another chance."""
    known = replace(watchdog, settings=settings)
    before = watchdog.settings
    if before is not None and _of_device(before) == _of_device(settings):
        return known
    device = "idle" if watchdog.device == "failed" else watchdog.device
    timeout = watchdog.device_timeout
    if before is None or before.watchdog_device != settings.watchdog_device:
        timeout = None  # the other device is opened with the next renewal
    return replace(
        known,
        device=device,
        device_timeout=timeout,
        failed_at=None,
        unusable_told=False,
        check_due=settings.watchdog_mode == "required",
    )


def _of_device(settings: Settings) -> tuple[object, ...]:
    return (
        settings.ttl,
        settings.loop_wait,
        settings.watchdog_mode,
        settings.watchdog_device,
        settings.watchdog_driver,
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
                founding=False,
                device=_tried_again(watchdog),
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


def _tried_again(watchdog: Watchdog) -> Literal["idle", "asked", "active", "failed"]:
    """Who needs the device waits for a check of it to succeed."""
    if watchdog.device == "failed" and not watchdog.is_required:
        return "idle"
    return watchdog.device


def _learn_of_postgres(watchdog: Watchdog, message: Message) -> Watchdog:
    if watchdog.postmaster.is_late(message):
        return watchdog
    postmaster = heard_of(watchdog.postmaster, message)
    if postmaster is not watchdog.postmaster:
        watchdog = replace(watchdog, postmaster=postmaster)
    match message:
        case BecomePrimary() | StartAsPrimary():
            return replace(watchdog, wanted_primary=True)
        case BootstrapCluster():
            return replace(watchdog, founding=True)
        case PostgresStarted(postmaster_pid=pid):
            return replace(watchdog, postmaster_pid=pid)
        case IntentFailed(intent=intent) | IntentRefused(intent=intent):
            if intent not in ("become_primary", "start_as_primary"):
                return watchdog
            return replace(watchdog, wanted_primary=False, promotion_expected=False)
        case PhaseChanged(phase=phase, intent=intent):
            return _learn_phase(watchdog, phase, intent)
        case PostmasterExited():
            return replace(watchdog, server="absent", postmaster_pid=None)
        case PostgresObserved(status=status):
            watchdog = replace(
                watchdog,
                postmaster_pid=status.postmaster_pid,
                check_due=watchdog.is_required and watchdog.device == "failed",
            )
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
