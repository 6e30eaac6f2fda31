"""Rules of fencing: nothing takes writes that could not be ended with the lease."""

from dataclasses import replace
from typing import Any

import pytest

from regnal.actors import election_fencing as rules
from regnal.actors.election import ELECTION
from regnal.messages.fencing import (
    DisableWatchdog,
    FencingJudged,
    FencingWanted,
    WatchdogActivated,
)
from regnal.messages.lease import ReleaseLeader, RenewLeader
from regnal.messages.operations import BecomePrimary, DemotePostgres, StartAsPrimary
from regnal.messages.postgres import ObservePostgres
from regnal.messages.reasons import because
from regnal.messages.timers import SetTimer
from tests.actors.builders import (
    BEAT,
    acquired,
    begun,
    configured,
    phase,
    seen,
    standby,
)
from tests.actors.election_views import (
    CHOSEN,
    CRASHED,
    LEADER,
    NOW,
    Case,
    check_that_it_is_silent,
    check_that_it_speaks,
    decide,
    with_settings,
)

REASON = because("GUARD_FAILED", error="it ended")
FAILED: dict[str, Any] = {"fencing": "failed", "fencing_failure": REASON}
WANTED: dict[str, Any] = {"fencing": "wanted", "fencing_due": NOW + 1}
OVERDUE: dict[str, Any] = {"fencing": "wanted", "fencing_due": NOW - 1}

SPEAKS = {
    "law 2, WDOG-04: a leader whose guard does not work": Case(
        rules.step_down_without_fencing,
        replace(LEADER, **FAILED),
        said=(DemotePostgres(mode="graceful", reason=REASON),),
    ),
    "law 2: a promotion under way": Case(
        rules.step_down_without_fencing,
        replace(CHOSEN, phase="promoting", busy="become_primary", **FAILED),
        said=(DemotePostgres(mode="graceful", reason=REASON),),
    ),
    "law 2: about to promote": Case(
        rules.want_fencing_before_the_promotion,
        replace(CHOSEN, fencing="idle"),
        said=(FencingWanted(),),
    ),
    "WDOG-03: the guard is not armed yet": Case(
        rules.wait_for_fencing_before_the_promotion, replace(CHOSEN, **WANTED)
    ),
    "law 2: about to start again": Case(
        rules.want_fencing_before_the_start,
        replace(CRASHED, fencing="idle"),
        said=(FencingWanted(),),
    ),
    "law 2: not armed yet for the start": Case(
        rules.want_fencing_before_the_start, replace(CRASHED, **WANTED)
    ),
    "WDOG-04: who won the lease cannot be fenced": Case(
        rules.release_without_fencing,
        replace(CHOSEN, **FAILED),
        said=(ReleaseLeader,),
    ),
    "law 2: nobody says that it stands": Case(
        rules.release_without_fencing,
        replace(CHOSEN, **OVERDUE),
        said=(ReleaseLeader,),
    ),
}

SILENT = {
    "in pause a person is at work": Case(
        rules.step_down_without_fencing,
        replace(with_settings(LEADER, paused=True), **FAILED),
    ),
    "it stops already": Case(
        rules.step_down_without_fencing,
        replace(LEADER, busy="demote_postgres", **FAILED),
    ),
    "fencing stands": Case(rules.step_down_without_fencing, LEADER),
    "it stands before the promotion": Case(
        rules.want_fencing_before_the_promotion, CHOSEN
    ),
    "it need not be waited for": Case(
        rules.wait_for_fencing_before_the_promotion, CHOSEN
    ),
    "the answer is overdue": Case(
        rules.wait_for_fencing_before_the_promotion, replace(CHOSEN, **OVERDUE)
    ),
    "it stands before the start": Case(rules.want_fencing_before_the_start, CRASHED),
    "it does not work, so there is no start": Case(
        rules.want_fencing_before_the_start, replace(CRASHED, **FAILED)
    ),
    "a standby leader writes nothing": Case(
        rules.release_without_fencing,
        replace(with_settings(CHOSEN, standby_cluster={"host": "far"}), **FAILED),
    ),
    "it may yet be said": Case(
        rules.release_without_fencing, replace(CHOSEN, **WANTED)
    ),
}


@pytest.mark.parametrize("case", SPEAKS.values(), ids=SPEAKS)
def test_it_speaks(case: Case) -> None:
    check_that_it_speaks(case)


@pytest.mark.parametrize("case", SILENT.values(), ids=SILENT)
def test_it_is_silent(case: Case) -> None:
    check_that_it_is_silent(case)


@pytest.mark.parametrize("fencing", ["idle", "wanted", "failed"])
def test_nothing_takes_writes_before_fencing_stands(fencing: str) -> None:
    """Law 2."""
    given: dict[str, Any] = {
        "fencing": fencing,
        "fencing_failure": REASON,
        "fencing_due": NOW + 1,
    }
    for situation in (CHOSEN, CRASHED):
        said = decide(replace(situation, **given)).said
        assert not [m for m in said if isinstance(m, BecomePrimary | StartAsPrimary)]
    assert BecomePrimary in [type(m) for m in decide(CHOSEN).said]
    assert StartAsPrimary in [type(m) for m in decide(CRASHED).said]


def test_the_winner_of_the_lease_promotes_when_fencing_stands() -> None:
    told = begun(
        ELECTION,
        configured(),
        phase("standby"),
        standby(receiver=None),
        seen("pg1", "pg2", leader="pg1"),
        acquired(until=130.0),
    )
    assert told.of(FencingWanted)
    assert not told.of(BecomePrimary)
    assert not told.hear(FencingJudged(verdict="idle")).of(BecomePrimary)
    assert told.hear(FencingJudged(verdict="stands")).of(BecomePrimary)
    late = told.hear(BEAT, at=106.0)
    assert late.of(ReleaseLeader)


def test_a_leader_without_fencing_renews_until_it_has_stopped() -> None:
    """It stops in good order, so nobody else may lead meanwhile."""
    step = decide(replace(LEADER, **FAILED))
    told = decide(replace(step.state, heartbeat_at=NOW), BEAT)
    assert RenewLeader in [type(message) for message in told.said]
    assert ObservePostgres in [type(message) for message in told.said]


def test_with_a_hardware_watchdog_a_leader_steps_down_before_it_is_reset() -> None:
    """WDOG-02: the host would be reset 5 s before the lease ends, so that a mere outage
    of the store must have ended PostgreSQL by then."""
    step = decide(LEADER, WatchdogActivated(timeout=25))
    alarms = [m.at for m in step.said if isinstance(m, SetTimer)]
    assert NOW + 15 in alarms
    step = decide(replace(step.state, store_lost_at=NOW), BEAT, at=NOW + 15)
    assert step.rule == "step_down_before_the_lease_ends"
    off = decide(LEADER, WatchdogActivated(timeout=25)).state
    assert decide(off, DisableWatchdog()).state.margin == 5
