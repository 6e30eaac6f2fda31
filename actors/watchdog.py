"""The watchdog: keeps the guard process armed, and the hardware watchdog alive.

Who ends a primary whose lease runs out, in this order:

    valid_until - margin        election steps down, in good order
    valid_until - margin / 2    the guard process kills PostgreSQL, whatever the
                                daemon does (flows, "Lease and guard")
    valid_until - safety margin of the device, in the hardware watchdog's own
                                clock: the machine is reset (WDOG-02)
    valid_until                 another member may lead

where margin is `lease_margin`, but at most a quarter of the ttl, as in election.

The guard is armed from the moment at which the lease is acquired, so before any
promotion or start as primary, and anew at every renewal while PostgreSQL takes
writes.  It is disarmed only when PostgreSQL is known to be in recovery or stopped,
or in pause.  A lease that is lost while PostgreSQL takes writes leaves it armed.
"""

from dataclasses import replace

from regnal.actors.rule_list import Remark, all_that_apply
from regnal.actors.step import Decider, Step
from regnal.actors.watchdog_state import Watchdog, learn
from regnal.messages.base import Instant, MemberName, Message
from regnal.messages.daemon import ShutdownRequested
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import (
    ActivateWatchdog,
    ArmGuard,
    DisableWatchdog,
    DisarmGuard,
    PetWatchdog,
    WatchdogActivated,
    WatchdogFailed,
    WatchdogNotUsable,
)
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
    PhaseChanged,
    StartAsPrimary,
)
from regnal.messages.postgres import PostgresObserved, PostmasterExited
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
        replace(watchdog, armed_until=deadline, disarmed=False),
        said=(ArmGuard(deadline=deadline),),
        facts={"lease_until": watchdog.lease_until, "fence_at": deadline},
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
        replace(watchdog, armed_until=None, disarmed=True),
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
    if timeout > settings.loop_wait:
        return None
    return Remark(
        replace(watchdog, unusable_told=True),
        said=(WatchdogNotUsable(timeout=timeout, loop_wait=settings.loop_wait),),
        facts={"ttl": settings.ttl},
    )


def activate_the_watchdog(watchdog: Watchdog, now: Instant) -> Remark[Watchdog] | None:
    """WDOG-03: before a promotion, and on a primary that gets the lock."""
    settings, timeout = watchdog.settings, watchdog.timeout
    if settings is None or timeout is None or timeout <= settings.loop_wait:
        return None
    if watchdog.is_paused or watchdog.lease_until is None:
        return None
    if not watchdog.may_write(now) or watchdog.device == "failed":
        return None
    if watchdog.device in ("asked", "active") and watchdog.device_timeout == timeout:
        return None
    return Remark(
        replace(watchdog, device="asked", device_timeout=timeout),
        said=(ActivateWatchdog(timeout=timeout),),
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
        replace(watchdog, device="idle", device_timeout=None),
        said=(DisableWatchdog(),),
        facts={"phase": watchdog.phase, "paused": watchdog.is_paused},
    )


RULES = (
    arm_the_guard,
    disarm_the_guard,
    tell_that_the_watchdog_is_not_usable,
    activate_the_watchdog,
    pet_the_watchdog,
    disable_the_watchdog,
)


def initial(member: MemberName) -> Watchdog:
    return Watchdog(member=member)


WATCHDOG = Decider(
    name="watchdog",
    hears=(
        ConfigurationApplied,
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
        WatchdogActivated,
        WatchdogFailed,
        ShutdownRequested,
    ),
    state=Watchdog,
    initial=initial,
    handle=handle,
)
