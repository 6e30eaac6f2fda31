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
from regnal.messages.lease import LeaderReleased, LeaseRefused
from regnal.messages.operations import (
    BecomePrimary,
    BootstrapCluster,
    DemotePostgres,
    IntentFailed,
    StartAsPrimary,
)
from regnal.messages.postgres import PostgresStarted, PostmasterExited
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
    pid=4, exit_status=None, signal=9, expected=False, control=None
)
LOST = LeaseRefused(action="renew", holder="pg2")
GUARD_ONLY = configured(watchdog_mode="off")

STANDBY = begun(WATCHDOG, GUARD_ONLY, standby(), phase("standby"))
NEW_PRIMARY = begun(
    WATCHDOG, GUARD_ONLY, primary(postmaster_pid=4), phase("primary"), acquired(130.0)
)
PRIMARY = NEW_PRIMARY.hear(GuardArmed(guard_pid=7))
WITH_DEVICE = begun(
    WATCHDOG, configured(), primary(), phase("primary"), acquired(130.0)
).hear(GuardArmed(guard_pid=7), WatchdogActivated(timeout=25))
STANDS = FencingJudged(verdict="stands")


def arming(deadline: float, lease: float, pid: int | None = None) -> ArmGuard:
    return ArmGuard(deadline=deadline, lease_until=lease, postmaster_pid=pid)


def guard_words(told: Told[Watchdog]) -> tuple[Message, ...]:
    return told.of(ArmGuard) + told.of(DisarmGuard)


def test_the_guard_comes_after_the_daemons_own_step_down() -> None:
    """Law 2: election steps down 5 s before the end, the guard fences at 2.5 s."""
    assert NEW_PRIMARY.said == (arming(127.5, 130.0, pid=4),)
    assert PRIMARY.said == (STANDS,)


def test_the_margin_is_at_most_a_quarter_of_the_ttl() -> None:
    told = begun(
        WATCHDOG, configured(ttl=8, watchdog_mode="off"), primary(), phase("primary")
    ).hear(acquired(108.0))
    assert told.said == (arming(107.0, 108.0),)


def test_the_guard_is_armed_before_a_promotion() -> None:
    """WDOG-03: with the lease in hand, before anybody says a word of promoting."""
    won = STANDBY.hear(acquired(130.0))
    assert won.said == (arming(127.5, 130.0),)
    assert won.hear(GuardArmed(guard_pid=7)).said == (STANDS,)


def test_it_is_armed_before_a_start_as_primary() -> None:
    crashed = PRIMARY.hear(CRASH, phase("stopped", "primary", "crashed"))
    assert crashed.said == (DisarmGuard(), FencingJudged(verdict="idle"))
    wanted = crashed.hear(FencingWanted())
    assert wanted.said == (arming(127.5, 130.0),)
    armed = wanted.hear(GuardArmed(guard_pid=7))
    assert armed.said == (STANDS,)
    start = StartAsPrimary(timeout=300, reason=REASON)
    failed = armed.hear(start, IntentFailed(intent="start_as_primary", reason=REASON))
    assert failed.said == (DisarmGuard(), FencingJudged(verdict="idle"))


def test_a_started_postmaster_is_told_to_the_guard_with_the_next_deadline() -> None:
    started = PostgresStarted(role="primary", postmaster_pid=9)
    told = PRIMARY.hear(started, renewed(140.0))
    assert told.said == (arming(137.5, 140.0, pid=9),)


def test_each_renewal_moves_the_deadline_and_an_idle_one_is_routine() -> None:
    told = PRIMARY.hear(renewed(140.0))
    assert told.said == (arming(137.5, 140.0, pid=4),)
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
    assert guard_words(told.hear(phase("stopped", "stopping"))) == (DisarmGuard(),)


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
    assert told.said == (DisarmGuard(), FencingJudged(verdict="idle"))
    assert told.hear(renewed(140.0)).said == ()
    assert told.hear(GUARD_ONLY).said == (arming(127.5, 130.0, pid=4),)


def test_what_ended_in_pause_has_time_to_get_a_lease_at_its_end() -> None:
    """Election waits retry_timeout (10 s) for it; the guard stands behind that."""
    told = PRIMARY.hear(configured(paused=True, watchdog_mode="off"))
    (arm,) = told.hear(GUARD_ONLY, at=500.0).of(ArmGuard)
    assert arm.deadline == 515.0
    assert arm.unless_armed


def test_a_primary_that_is_found_without_a_lease_is_guarded() -> None:
    """Law 2: the daemon may freeze before it has asked for one.  What the guard was
    told in an earlier life is not put off; a lease that is won moves it."""
    told = begun(WATCHDOG, GUARD_ONLY, primary(postmaster_pid=4))
    assert told.said == (ArmGuard(deadline=115.0, postmaster_pid=4, unless_armed=True),)
    assert told.hear(primary(postmaster_pid=4), at=103.0).of(ArmGuard) == ()
    assert told.hear(acquired(133.0)).of(ArmGuard) == (arming(130.5, 133.0, pid=4),)


def test_the_first_primary_of_a_new_cluster_needs_no_lease_yet() -> None:
    founding = begun(
        WATCHDOG,
        GUARD_ONLY,
        BootstrapCluster(reason=REASON),
        primary(),
        phase("primary", intent="bootstrap_cluster"),
    )
    assert founding.of(ArmGuard) == ()
    assert founding.hear(acquired(130.0)).of(ArmGuard) == (arming(127.5, 130.0),)


def test_the_guard_can_be_switched_off() -> None:
    told = PRIMARY.hear(configured(guard=False, watchdog_mode="off"))
    assert told.said == (DisarmGuard(),)
    assert told.state.told == "stands", "nobody wants more"
    ready = STANDBY.hear(configured(guard=False, watchdog_mode="off"), acquired(130.0))
    assert ready.said == (STANDS,)


def test_all_members_together_prolong_the_lease() -> None:
    """P-FSAFE-01, P-FSAFE-05."""
    votes = (FailsafeVote(name="pg2", accepted=True),)
    told = WITH_DEVICE.hear(FailsafeAnswered(votes=votes, asked_at=120.0))
    assert told.said == (arming(142.5, 150.0), PetWatchdog())
    missing = FailsafeVote(name="pg3", accepted=False)
    told = WITH_DEVICE.hear(FailsafeAnswered(votes=(*votes, missing), asked_at=120.0))
    assert told.said == ()


def test_the_guard_works_without_the_device_and_the_device_without_the_guard() -> None:
    told = begun(
        WATCHDOG, configured(guard=False), primary(), phase("primary"), acquired(130.0)
    )
    assert told.said == (ActivateWatchdog(timeout=25),)
    assert told.hear(WatchdogActivated(timeout=25)).said == (STANDS,)


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
    """With the renewal from which on the lease is longer, too."""
    told = WITH_DEVICE.hear(configured(ttl=60))
    assert told.of(ActivateWatchdog) == ()
    told = told.hear(renewed(170.0))
    assert told.of(ActivateWatchdog) == (ActivateWatchdog(timeout=55),)


def test_another_mode_counts_at_once() -> None:
    """CFG-12, WDOG-01: off closes the device, required looks for it."""
    told = WITH_DEVICE.hear(configured(watchdog_mode="off"))
    assert told.of(DisableWatchdog) == (DisableWatchdog(),)
    assert told.of(ArmGuard) == (arming(127.5, 130.0),), "nothing is reset any more"
    told = told.hear(renewed(140.0))
    assert told.of(PetWatchdog) == ()
    told = told.hear(REQUIRED)
    assert told.of(CheckWatchdog)
    assert told.of(ActivateWatchdog)


def test_another_margin_counts_from_the_next_renewal() -> None:
    told = WITH_DEVICE.hear(configured(watchdog_safety_margin=8), renewed(140.0))
    assert told.of(ActivateWatchdog) == (ActivateWatchdog(timeout=22),)


def test_another_device_is_opened_with_the_next_renewal() -> None:
    """CFG-12."""
    told = WITH_DEVICE.hear(configured(watchdog_device="/dev/watchdog1"))
    told = told.hear(renewed(140.0))
    assert told.of(ActivateWatchdog) == (
        ActivateWatchdog(timeout=25, device="/dev/watchdog1"),
    )


@pytest.mark.parametrize(
    ("settings", "leads"),
    [
        ({}, (10, 7.5, 5)),
        ({"watchdog_safety_margin": -1}, (17.5, 16.25, 15)),
        ({"watchdog_safety_margin": 0}, (5, 2.5, 0)),
        ({"ttl": 20, "loop_wait": 2}, (10, 7.5, 5)),
    ],
)
def test_the_device_stands_behind_the_guard_and_the_guard_behind_the_daemon(
    settings: dict[str, Any], leads: tuple[float, float, float]
) -> None:
    """Law 2, WDOG-02: seconds before the end of the lease at which election steps down,
    the guard fences, the host is reset; no outage of the store alone resets a host."""
    told = begun(WATCHDOG, configured(**settings), primary(), phase("primary"))
    told = told.hear(acquired(130.0))
    state, timeout = told.state, told.of(ActivateWatchdog)[0].timeout
    told = told.hear(WatchdogActivated(timeout=timeout))
    assert state.settings is not None
    assert state.step_down_at == 130 - leads[0]
    assert told.state.fence_at == 130 - leads[1]
    assert 130 - (state.settings.ttl - timeout) == 130 - leads[2]


def test_a_device_that_took_a_shorter_timeout_brings_the_fencing_forward() -> None:
    """WDOG-07: what it says counts, not what it was asked for."""
    told = begun(WATCHDOG, configured(), primary(), phase("primary"), acquired(130.0))
    assert told.of(ArmGuard) == (arming(122.5, 130.0),)
    told = told.hear(WatchdogActivated(timeout=20))
    assert told.of(ArmGuard) == (arming(117.5, 130.0),)


def test_a_device_that_would_fire_between_heartbeats_is_let_go() -> None:
    """WDOG-02, WDOG-07: it took a shorter timeout than loop_wait."""
    told = begun(WATCHDOG, configured(), primary(), phase("primary"), acquired(130.0))
    told = told.hear(WatchdogActivated(timeout=10))
    assert told.of(DisableWatchdog) == (DisableWatchdog(),)
    assert told.state.device == "failed"
    assert told.hear(renewed(140.0)).of(ActivateWatchdog) == ()


REQUIRED = configured(watchdog_mode="required")
NEEDY = begun(WATCHDOG, REQUIRED, standby(), phase("standby"))
BROKEN = NEEDY.hear(WatchdogFailed(error="no device"))


def test_who_requires_a_device_looks_for_it_before_it_is_needed() -> None:
    """WDOG-04."""
    check = CheckWatchdog(device="/dev/watchdog", driver="default")
    assert begun(WATCHDOG, REQUIRED).of(CheckWatchdog) == (check,)
    (judged,) = BROKEN.of(FencingJudged)
    assert judged.verdict == "failed"
    assert "no device" in str(judged.reason)
    assert BROKEN.hear(standby()).of(CheckWatchdog) == (check,)
    assert BROKEN.hear(WatchdogFound()).of(FencingJudged) == (
        FencingJudged(verdict="idle"),
    )
    automatic = begun(WATCHDOG, configured(), standby(), phase("standby"))
    assert not [m for m in automatic.all_said if isinstance(m, CheckWatchdog)]


def test_a_required_device_that_cannot_be_activated_fails_the_holder() -> None:
    """WDOG-04; and is not tried again at once, or the lease would go to and fro."""
    told = NEEDY.hear(acquired(130.0), GuardArmed(guard_pid=7))
    assert told.of(FencingJudged) == (), "it is not known yet"
    told = told.hear(WatchdogFailed(error="busy"))
    assert [m.verdict for m in told.of(FencingJudged)] == ["failed"]
    told = told.hear(LeaderReleased(member="pg1"), WatchdogFound(), at=130.0)
    assert told.state.device == "failed"
    assert told.hear(WatchdogFound(), at=161.0).state.device == "idle"


def test_a_required_device_with_too_short_a_timeout_forbids_to_lead() -> None:
    """WDOG-02, WDOG-04; where it is not required it is just not used."""
    short: dict[str, Any] = {"ttl": 20, "loop_wait": 10, "watchdog_safety_margin": 10}
    told = begun(WATCHDOG, configured(watchdog_mode="required", **short))
    assert [m.verdict for m in told.of(FencingJudged)] == ["failed"]
    told = begun(WATCHDOG, configured(**short))
    assert told.of(FencingJudged) == ()


@pytest.mark.parametrize("mode", ["off", "automatic"])
def test_a_device_that_is_not_required_forbids_nothing(mode: str) -> None:
    told = begun(
        WATCHDOG, configured(watchdog_mode=mode), standby(), phase("standby")
    ).hear(acquired(130.0), GuardArmed(guard_pid=7))
    if mode == "automatic":
        assert told.of(FencingJudged) == (), "WDOG-03: before a promotion"
        told = told.hear(WatchdogFailed(error="no device"))
    assert told.of(FencingJudged) == (STANDS,)


def test_a_guard_that_does_not_work_forbids_to_lead_until_it_does() -> None:
    """Law 2: on a standby, too, so that it is no candidate."""
    for member in (STANDBY, PRIMARY):
        told = member.hear(GuardFailed(error="no memory"))
        (judged,) = told.of(FencingJudged)
        assert judged.verdict == "failed"
        assert "no memory" in str(judged.reason)
        told = told.hear(
            GuardStarted(pid=7, taken_over=False, memory_locked=True, schedule="normal")
        )
        assert told.of(FencingJudged) == (FencingJudged(verdict="idle"),)
    assert told.of(ArmGuard) == (arming(127.5, 130.0, pid=4),)
    assert told.hear(GuardArmed(guard_pid=8)).of(FencingJudged) == (STANDS,)


def test_in_pause_nothing_is_said_against_a_guard() -> None:
    told = PRIMARY.hear(
        configured(paused=True, watchdog_mode="required"), GuardFailed(error="x")
    )
    assert told.state.told == "idle"


def test_who_asks_is_answered_though_nothing_has_changed() -> None:
    assert PRIMARY.hear(FencingWanted()).said == (STANDS,)
    assert BROKEN.hear(FencingWanted()).of(FencingJudged)


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
    FencingWanted(),
    GuardArmed(guard_pid=7),
    GuardFailed(error=""),
    GuardStarted(pid=7, taken_over=False, memory_locked=True, schedule="normal"),
    BootstrapCluster(reason=REASON),
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
            if state.fence_at is not None and not isinstance(message, GuardFailed):
                assert state.armed_until == state.fence_at
        if state.told == "stands":
            assert state.guard == "armed" or not (
                state.settings and state.settings.guard
            )
        if state.is_paused:
            assert not told.of(ArmGuard)
            assert not told.of(ActivateWatchdog)


def test_the_state_can_be_written_and_read() -> None:
    adapter = TypeAdapter(Watchdog)
    assert adapter.validate_json(adapter.dump_json(PRIMARY.state)) == PRIMARY.state
