"""The watchdog: a primary whose lease ends is fenced, and nobody else is."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from regnal.actors.watchdog import WATCHDOG
from regnal.actors.watchdog_state import Watchdog
from regnal.messages.base import Message
from regnal.messages.daemon import ShutdownRequested
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
from regnal.messages.lease import LeaderReleased, LeaseRefused
from regnal.messages.operations import (
    BecomePrimary,
    DemotePostgres,
    IntentFailed,
    StartAsPrimary,
)
from regnal.messages.postgres import PostmasterExited
from regnal.messages.probes import FailsafeAnswered, FailsafeVote
from regnal.messages.reasons import because
from tests.actors.builders import (
    Told,
    acquired,
    begun,
    configured,
    phase,
    primary,
    renewed,
    standby,
)

REASON = because("SHUTDOWN")
CRASH = PostmasterExited(
    pid=1, exit_status=None, signal=9, expected=False, control=None
)
LOST = LeaseRefused(action="renew", holder="pg2")
GUARD_ONLY = configured(watchdog_mode="off")

STANDBY = begun(WATCHDOG, GUARD_ONLY, standby(), phase("standby"))
PRIMARY = begun(WATCHDOG, GUARD_ONLY, primary(), phase("primary"), acquired(130.0))
WITH_DEVICE = begun(
    WATCHDOG, configured(), primary(), phase("primary"), acquired(130.0)
).hear(WatchdogActivated(timeout=25))


def guard_words(told: Told[Watchdog]) -> tuple[Message, ...]:
    return told.of(ArmGuard) + told.of(DisarmGuard)


def test_the_guard_comes_after_the_daemons_own_step_down() -> None:
    """Law 2: election steps down 5 s before the end, the guard fences at 2.5 s."""
    assert PRIMARY.said == (ArmGuard(deadline=127.5),)


def test_the_margin_is_at_most_a_quarter_of_the_ttl() -> None:
    told = begun(
        WATCHDOG, configured(ttl=8, watchdog_mode="off"), primary(), phase("primary")
    ).hear(acquired(108.0))
    assert told.said == (ArmGuard(deadline=107.0),)


def test_the_guard_is_armed_before_a_promotion() -> None:
    """WDOG-03: with the lease in hand, before anybody says a word of promoting."""
    assert STANDBY.hear(acquired(130.0)).said == (ArmGuard(deadline=127.5),)


def test_it_is_armed_before_a_start_as_primary() -> None:
    crashed = PRIMARY.hear(CRASH, phase("stopped", "primary", "crashed"))
    assert crashed.said == (DisarmGuard(),)
    start = StartAsPrimary(timeout=300, reason=REASON)
    assert crashed.hear(start).said == (ArmGuard(deadline=127.5),)
    failed = crashed.hear(start, IntentFailed(intent="start_as_primary", reason=REASON))
    assert failed.said == (DisarmGuard(),)


def test_each_renewal_moves_the_deadline_and_an_idle_one_is_routine() -> None:
    told = PRIMARY.hear(renewed(140.0))
    assert told.said == (ArmGuard(deadline=137.5),)
    assert not told.step.facts
    assert all(message.routine for message in told.said)


def test_a_standby_that_leads_nothing_is_not_guarded() -> None:
    assert STANDBY.all_said == (DisarmGuard(),)
    assert STANDBY.hear(standby(), renewed(140.0)).said == ()


def test_a_lost_lease_leaves_the_guard_armed_while_writes_are_possible() -> None:
    told = PRIMARY.hear(LOST)
    assert told.said == ()
    demote = DemotePostgres(mode="immediate", reason=REASON)
    told = told.hear(demote, phase("stopping", "primary", "stopping"), primary())
    assert guard_words(told) == ()
    assert told.hear(phase("stopped", "stopping")).said == (DisarmGuard(),)


def test_an_observation_from_before_the_stop_does_not_disarm() -> None:
    told = STANDBY.hear(acquired(130.0), phase("promoting", "standby"), standby())
    assert guard_words(told) == ()


def test_a_promotion_that_fails_disarms_when_the_lease_is_given_back() -> None:
    """CB-08."""
    told = STANDBY.hear(acquired(130.0), BecomePrimary(reason=REASON))
    told = told.hear(
        phase("promoting", "standby", intent="become_primary"),
        phase("standby", "promoting"),
        IntentFailed(intent="become_primary", reason=REASON),
    )
    told = told.hear(LeaderReleased(member="pg1"))
    assert DisarmGuard() in told.all_said[2:]


def test_a_standby_is_not_killed_for_a_promotion_that_never_came() -> None:
    told = STANDBY.hear(acquired(130.0)).hear(standby(), at=126.0)
    assert told.said == (DisarmGuard(),)


def test_pause_disarms_and_resume_arms_again() -> None:
    told = PRIMARY.hear(configured(paused=True, watchdog_mode="off"))
    assert told.said == (DisarmGuard(),)
    assert told.hear(renewed(140.0)).said == ()
    assert told.hear(GUARD_ONLY).said == (ArmGuard(deadline=127.5),)


def test_what_ended_in_pause_is_not_fenced_at_its_end() -> None:
    told = PRIMARY.hear(configured(paused=True, watchdog_mode="off"))
    assert told.hear(GUARD_ONLY, at=500.0).of(ArmGuard) == ()


def test_the_guard_can_be_switched_off() -> None:
    assert PRIMARY.hear(configured(guard=False, watchdog_mode="off")).said == (
        DisarmGuard(),
    )


def test_all_members_together_prolong_the_lease() -> None:
    """P-FSAFE-01, P-FSAFE-05."""
    votes = (FailsafeVote(name="pg2", accepted=True),)
    told = WITH_DEVICE.hear(FailsafeAnswered(votes=votes, asked_at=120.0))
    assert told.said == (ArmGuard(deadline=147.5), PetWatchdog())
    missing = FailsafeVote(name="pg3", accepted=False)
    told = WITH_DEVICE.hear(FailsafeAnswered(votes=(*votes, missing), asked_at=120.0))
    assert told.said == ()


def test_the_guard_works_without_the_device_and_the_device_without_the_guard() -> None:
    told = begun(
        WATCHDOG, configured(guard=False), primary(), phase("primary"), acquired(130.0)
    )
    assert told.said == (ActivateWatchdog(timeout=25),)


# The hardware watchdog.


@pytest.mark.parametrize(
    ("settings", "timeout"),
    [
        ({}, 25),
        ({"watchdog_safety_margin": -1}, 15),
        ({"ttl": 25, "watchdog_safety_margin": -1}, 12),
        ({"watchdog_safety_margin": 0}, 30),
    ],
)
def test_the_timeout_of_the_device(settings: dict[str, Any], timeout: float) -> None:
    """WDOG-01, WDOG-02."""
    told = begun(WATCHDOG, configured(**settings), standby(), phase("standby"))
    told = told.hear(acquired(130.0))
    assert told.of(ActivateWatchdog) == (ActivateWatchdog(timeout=timeout),)


def test_a_timeout_within_a_heartbeat_is_not_used() -> None:
    """WDOG-02."""
    told = begun(WATCHDOG, configured(ttl=20, loop_wait=10, watchdog_safety_margin=10))
    assert told.said == (WatchdogNotUsable(timeout=10, loop_wait=10),)
    told = told.hear(primary(), phase("primary"), acquired(130.0))
    assert not told.of(ActivateWatchdog)
    assert not told.of(WatchdogNotUsable)


def test_the_device_is_kept_alive_after_each_renewal() -> None:
    """WDOG-03, WDOG-05."""
    assert WITH_DEVICE.of(PetWatchdog) == ()
    assert WITH_DEVICE.hear(renewed(140.0)).of(PetWatchdog) == (PetWatchdog(),)
    assert WITH_DEVICE.hear(primary()).said == ()
    not_yet = begun(WATCHDOG, configured(), primary(), phase("primary"), acquired())
    assert not_yet.hear(renewed(140.0)).of(PetWatchdog) == ()


def test_a_lost_lease_is_not_kept_alive() -> None:
    assert WITH_DEVICE.hear(LOST).said == ()


def test_the_device_is_disabled_at_the_safe_point() -> None:
    """WDOG-03."""
    told = WITH_DEVICE.hear(
        LOST,
        DemotePostgres(mode="immediate", reason=REASON),
        phase("stopping", "primary", "stopping", "demote_postgres"),
    )
    assert told.said == ()
    told = told.hear(phase("stopped", "stopping", "stopped"))
    assert told.of(DisableWatchdog) == (DisableWatchdog(),)


def test_the_daemons_end_disables_it_though_the_lease_is_kept() -> None:
    told = WITH_DEVICE.hear(
        ShutdownRequested(signal=15), phase("stopped", "stopping", "stopped")
    )
    assert told.of(DisableWatchdog) == (DisableWatchdog(),)


def test_a_crash_under_the_lease_leaves_it_active() -> None:
    told = WITH_DEVICE.hear(CRASH, phase("stopped", "primary", "crashed"))
    assert told.of(DisableWatchdog) == ()
    assert told.hear(renewed(140.0)).of(PetWatchdog) == (PetWatchdog(),)


def test_pause_disables_it_and_never_activates_it() -> None:
    """WDOG-06, PAUSE-11."""
    told = WITH_DEVICE.hear(configured(paused=True))
    assert told.of(DisableWatchdog) == (DisableWatchdog(),)
    told = told.hear(renewed(140.0), acquired(150.0))
    assert told.of(ActivateWatchdog) == ()
    assert told.hear(configured()).of(ActivateWatchdog) == (
        ActivateWatchdog(timeout=25),
    )


def test_a_device_that_fails_is_tried_again_with_the_next_lease() -> None:
    told = begun(WATCHDOG, configured(), standby(), phase("standby"), acquired(130.0))
    told = told.hear(WatchdogFailed(error="no such device"), renewed(140.0))
    assert told.of(ActivateWatchdog) == ()
    told = told.hear(LeaderReleased(member="pg1"), acquired(150.0))
    assert told.of(ActivateWatchdog) == (ActivateWatchdog(timeout=25),)


def test_another_ttl_sets_another_timeout() -> None:
    told = WITH_DEVICE.hear(configured(ttl=60))
    assert told.of(ActivateWatchdog) == (ActivateWatchdog(timeout=55),)


ANYTHING: tuple[Message, ...] = (
    GUARD_ONLY,
    configured(paused=True),
    configured(guard=False),
    primary(),
    standby(),
    standby(process="absent", in_recovery=None),
    acquired(150.0),
    acquired(150.0, name="pg2"),
    renewed(160.0),
    LOST,
    LeaderReleased(member="pg1"),
    BecomePrimary(reason=REASON),
    StartAsPrimary(timeout=1, reason=REASON),
    IntentFailed(intent="become_primary", reason=REASON),
    DemotePostgres(mode="immediate", reason=REASON),
    ShutdownRequested(signal=15),
    CRASH,
    phase("primary"),
    phase("promoting"),
    phase("stopping"),
    phase("stopped"),
    phase("standby"),
    phase("starting", intent="start_as_primary"),
    WatchdogActivated(timeout=25),
    WatchdogFailed(error=""),
)


@given(st.lists(st.sampled_from(ANYTHING), max_size=25))
def test_whatever_happens_what_takes_writes_is_guarded(
    messages: Sequence[Message],
) -> None:
    """Law 2."""
    told = begun(WATCHDOG)
    for message in messages:
        told = told.hear(message)
        state = told.state
        writable = state.is_writable and state.settings is not None
        if writable and state.settings and state.settings.guard and not state.is_paused:
            assert told.of(DisarmGuard) == ()
            if state.fence_at is not None:
                assert state.armed_until == state.fence_at
        if state.is_paused:
            assert not told.of(ArmGuard)
            assert not told.of(ActivateWatchdog)


def test_the_state_can_be_written_and_read() -> None:
    adapter = TypeAdapter(Watchdog)
    assert adapter.validate_json(adapter.dump_json(PRIMARY.state)) == PRIMARY.state
