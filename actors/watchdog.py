"""The watchdog: keeps the guard process armed, and the hardware watchdog alive.

Who ends a primary whose lease runs out, and when, is in `lease_margins`.

The guard is armed from the moment at which the lease is acquired, so before any
promotion or start as primary, and anew at every renewal while PostgreSQL takes
writes.  It is disarmed only when PostgreSQL is known to be in recovery or stopped,
or in pause.  A lease that is lost while PostgreSQL takes writes leaves it armed.

Whether all this works is said as `FencingJudged`: election lets nothing take writes
before it stands.
"""

from typing import Literal

from regnal.actors.rule_list import Remark, all_that_apply
from regnal.actors.step import Decider, Step
from regnal.actors.watchdog_learning import learn
from regnal.actors.watchdog_state import Watchdog
from regnal.messages.base import Instant, MemberName, Message
from regnal.messages.daemon import ShutdownRequested
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import (
    ActivateWatchdog,
    ArmGuard,
    CheckWatchdog,
    DisableWatchdog,
    DisarmGuard,
    FencingJudged,
    FencingWanted,
    GuardArmed,
    GuardFailed,
    GuardStarted,
    PetWatchdog,
    WatchdogActivated,
    WatchdogFailed,
    WatchdogFound,
    WatchdogNotUsable,
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
    PhaseChanged,
    StartAsPrimary,
)
from regnal.messages.postgres import (
    PostgresObserved,
    PostgresStarted,
    PostmasterExited,
)
from regnal.messages.probes import FailsafeAnswered
from regnal.messages.settings import ConfigurationApplied


def handle(watchdog: Watchdog, envelope: Envelope[Message]) -> Step[Watchdog]:
    """One message; see RULES."""
    step = all_that_apply(RULES, learn(watchdog, envelope), envelope.at)
    state = replace(step.state, prolonged=False)
    if all(message.routine for message in step.said):
        return Step(state, step.said, step.rule)
    return Step(state, step.said, step.rule, step.facts)


def arm_the_guard(watchdog: Watchdog, now: Instant) -> Remark[Watchdog] | None:
    """PostgreSQL takes writes, or may soon: by this deadline it must not."""
    deadline = watchdog.fence_at
    if deadline is None or not watchdog.needs_guard(now):
        return None
    if watchdog.armed_until == deadline or deadline <= now:
        # A renewal that comes too late grants nothing, and what ended in pause is
        # not a reason to kill: election decides about it.
        return None
    return Remark(
        replace(watchdog, armed_until=deadline, disarmed=False, guard=_asked(watchdog)),
        said=(
            ArmGuard(
                deadline=deadline,
                lease_until=watchdog.lease_until,
                postmaster_pid=watchdog.postmaster_pid,
            ),
        ),
        facts={"lease_until": watchdog.lease_until, "fence_at": deadline},
    )


def arm_the_guard_without_a_lease(
    watchdog: Watchdog, now: Instant
) -> Remark[Watchdog] | None:
    """PostgreSQL was found taking writes, and we have no lease.  Election gives the
    store `retry_timeout` to grant one (ELEC-03), then it steps down; this stands
    behind that.  A deadline from an earlier life of the daemon is not put off."""
    settings, since = watchdog.settings, watchdog.leaderless_since
    if settings is None or since is None or not settings.guard:
        return None
    deadline = since + settings.retry_timeout + settings.lease_margin
    return Remark(
        replace(
            watchdog,
            armed_until=deadline,
            disarmed=False,
            leaderless_since=None,
            guard=_asked(watchdog),
        ),
        said=(
            ArmGuard(
                deadline=deadline,
                postmaster_pid=watchdog.postmaster_pid,
                unless_armed=True,
            ),
        ),
        facts={"leaderless_since": since, "fence_at": deadline},
    )


def disarm_the_guard(watchdog: Watchdog, now: Instant) -> Remark[Watchdog] | None:
    """There is nothing to fence, or a person took over."""
    if watchdog.disarmed or watchdog.settings is None:
        return None
    unwanted = watchdog.is_paused or not watchdog.settings.guard
    harmless = watchdog.is_harmless and not watchdog.needs_guard(now)
    if not unwanted and not harmless:
        return None
    return Remark(
        replace(
            watchdog,
            armed_until=None,
            disarmed=True,
            guard="failed" if watchdog.guard == "failed" else "idle",
        ),
        said=(DisarmGuard(),),
        facts={"phase": watchdog.phase, "paused": watchdog.is_paused},
    )


def tell_that_the_watchdog_is_not_usable(
    watchdog: Watchdog, now: Instant
) -> Remark[Watchdog] | None:
    """WDOG-02: it would fire between two heartbeats."""
    settings, timeout = watchdog.settings, watchdog.timeout
    if settings is None or timeout is None or watchdog.unusable_told:
        return None
    if watchdog.is_usable:
        return None
    return Remark(
        replace(watchdog, unusable_told=True),
        said=(WatchdogNotUsable(timeout=timeout, loop_wait=settings.loop_wait),),
        facts={"ttl": settings.ttl},
    )


def check_the_watchdog(watchdog: Watchdog, now: Instant) -> Remark[Watchdog] | None:
    """WDOG-04: who needs a device and has none that works is no candidate."""
    settings = watchdog.settings
    if settings is None or not watchdog.check_due:
        return None
    checked = replace(watchdog, check_due=False)
    if not watchdog.is_usable or watchdog.device in ("asked", "active"):
        return Remark(checked)
    return Remark(
        checked,
        said=(
            CheckWatchdog(
                device=settings.watchdog_device, driver=settings.watchdog_driver
            ),
        ),
    )


def activate_the_watchdog(watchdog: Watchdog, now: Instant) -> Remark[Watchdog] | None:
    """WDOG-03: before a promotion, and on a primary that gets the lock."""
    settings, timeout = watchdog.settings, watchdog.timeout
    if settings is None or timeout is None or not watchdog.is_usable:
        return None
    if watchdog.is_paused or watchdog.lease_until is None:
        return None
    if not watchdog.may_write(now) or watchdog.device == "failed":
        return None
    opened = watchdog.device in ("asked", "active")
    if opened and (watchdog.device_timeout == timeout or not watchdog.prolonged):
        # Another ttl counts from the next renewal, for the lease and for the device.
        return None
    return Remark(
        replace(watchdog, device="asked", device_timeout=timeout, reset_after=timeout),
        said=(
            ActivateWatchdog(
                timeout=timeout,
                device=settings.watchdog_device,
                driver=settings.watchdog_driver,
            ),
        ),
        facts={"mode": settings.watchdog_mode},
    )


def pet_the_watchdog(watchdog: Watchdog, now: Instant) -> Remark[Watchdog] | None:
    """WDOG-03, WDOG-05: after each renewal that the store, or all members in
    failsafe mode, agreed to; never a device that is not active."""
    if not watchdog.prolonged or watchdog.device != "active":
        return None
    return Remark(watchdog, said=(PetWatchdog(),))


def disable_the_watchdog(watchdog: Watchdog, now: Instant) -> Remark[Watchdog] | None:
    """WDOG-03, PAUSE-11: at a safe point after a demotion or a stop, and in pause."""
    settings = watchdog.settings
    if settings is None or watchdog.device not in ("asked", "active"):
        return None
    leaves = watchdog.lease_until is None or watchdog.leaving
    safe = watchdog.is_harmless and leaves and not watchdog.promotion_expected
    off = settings.watchdog_mode == "off"
    if not (watchdog.is_paused or off or safe):
        return None
    return Remark(
        replace(watchdog, device="idle", device_timeout=None, reset_after=None),
        said=(DisableWatchdog(),),
        facts={"phase": watchdog.phase, "paused": watchdog.is_paused},
    )


def judge_the_fencing(watchdog: Watchdog, now: Instant) -> Remark[Watchdog] | None:
    """Whether what takes writes here ends with the lease."""
    reason = watchdog.trouble()
    verdict: Literal["idle", "stands", "failed"] = "idle"
    if reason is not None:
        verdict = "failed"
    elif watchdog.stands(now):
        verdict = "stands"
    answers = watchdog.wanted and verdict != "idle"
    if (verdict, reason) == (watchdog.told, watchdog.told_reason) and not answers:
        return None
    return Remark(
        replace(
            watchdog,
            told=verdict,
            told_reason=reason,
            wanted=watchdog.wanted and not answers,
        ),
        said=(FencingJudged(verdict=verdict, reason=reason),),
        facts={"guard": watchdog.guard, "device": watchdog.device},
    )


def disable_a_watchdog_that_fires_between_heartbeats(
    watchdog: Watchdog, now: Instant
) -> Remark[Watchdog] | None:
    """WDOG-02, WDOG-07: the device took a shorter timeout than it was asked for."""
    settings, seconds = watchdog.settings, watchdog.reset_after
    if settings is None or seconds is None or watchdog.device != "active":
        return None
    if seconds > settings.loop_wait:
        return None
    return Remark(
        replace(
            watchdog,
            device="failed",
            device_timeout=None,
            reset_after=None,
            failed_at=now,
            device_error=f"its timeout of {seconds:.0f} s is not longer than loop_wait",
        ),
        said=(DisableWatchdog(),),
        facts={"timeout": seconds, "loop_wait": settings.loop_wait},
    )


RULES = (
    tell_that_the_watchdog_is_not_usable,
    check_the_watchdog,
    disable_the_watchdog,
    disable_a_watchdog_that_fires_between_heartbeats,
    activate_the_watchdog,
    arm_the_guard,
    arm_the_guard_without_a_lease,
    disarm_the_guard,
    pet_the_watchdog,
    judge_the_fencing,
)


def _asked(watchdog: Watchdog) -> Literal["idle", "asked", "armed", "failed"]:
    """An order that moves the deadline asks nothing, and one to a guard that failed
    does not mend it."""
    return "asked" if watchdog.guard == "idle" else watchdog.guard


def initial(member: MemberName) -> Watchdog:
    return Watchdog(member=member)


WATCHDOG = Decider(
    name="watchdog",
    hears=(
        ConfigurationApplied,
        FencingWanted,
        GuardStarted,
        GuardArmed,
        GuardFailed,
        LeaderAcquired,
        LeaderRenewed,
        LeaderReleased,
        LeaderHandedOver,
        LeaseRefused,
        FailsafeAnswered,
        BecomePrimary,
        StartAsPrimary,
        DemotePostgres,
        IntentFailed,
        IntentRefused,
        PhaseChanged,
        PostgresObserved,
        PostmasterExited,
        PostgresStarted,
        BootstrapCluster,
        WatchdogFound,
        WatchdogActivated,
        WatchdogFailed,
        ShutdownRequested,
    ),
    state=Watchdog,
    initial=initial,
    handle=handle,
)
