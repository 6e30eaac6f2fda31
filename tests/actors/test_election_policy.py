"""Rules of policy: what the history of incidents forbids, and that nothing is permitted
by it.  Without a word of the incidents actor all is as it would be without policy.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.actors import election_policy as rules
from regnal.actors import election_race
from regnal.actors.election_state import (
    COUNTED_WITHIN,
    Election,
    Hold,
    Restart,
)
from regnal.messages.base import Instant, Message
from regnal.messages.cluster import FailoverRequest
from regnal.messages.incidents import (
    CrashCounted,
    FailoverHeld,
    FailoverReleased,
    LeadershipAllowed,
    LeadershipBarred,
)
from regnal.messages.lease import AcquireLeader, ReleaseLeader
from regnal.messages.operations import BecomePrimary, DemotePostgres, StartAsPrimary
from regnal.messages.postgres import PostmasterExited
from regnal.messages.reasons import because
from regnal.messages.settings import StandbyCluster
from tests.actors.builders import phase
from tests.actors.election_views import (
    CHOSEN,
    CRASHED,
    LEADER,
    NOW,
    RACER,
    SILENT_PG2,
    STANDBY,
    STOPPED,
    Case,
    asked,
    check_that_it_is_silent,
    check_that_it_speaks,
    decide,
    peer,
    with_cluster,
    with_settings,
)

LOOP = because("CRASH_LOOP", member="pg1", crashes=3, seconds=600, incident="reign-7")
HELD = replace(RACER, hold=Hold("reign-7", leader="pg2", until=NOW + 60))
"""pg2 took over a while ago, and is gone again."""

BARRED = replace(RACER, barred=LOOP)
BARRED_CRASHED = replace(CRASHED, barred=LOOP)
BARRED_CHOSEN = replace(CHOSEN, barred=LOOP)
STARTING = replace(
    CRASHED,
    phase="starting",
    busy="start_as_primary",
    barred=LOOP,
    lease_until=NOW + 25,
)
UNCOUNTED = replace(with_settings(CRASHED, crash_loop_limit=3), crashed_at=NOW - 0.01)
FAR: dict[str, Any] = {"standby_cluster": StandbyCluster(host="far")}

RELEASE = (ReleaseLeader,)
"""What the rules that give the lease up say."""

SPEAKS = {
    "an unasked end is waited for until it is counted": Case(
        rules.wait_until_the_crash_is_counted, UNCOUNTED
    ),
    "a late word ends the start": Case(
        rules.stop_the_start_after_too_many_crashes,
        STARTING,
        (DemotePostgres(mode="immediate", reason=LOOP),),
    ),
    "a crashed primary that is barred gives the lease up": Case(
        rules.give_the_lease_up_after_too_many_crashes, BARRED_CRASHED, RELEASE
    ),
    "also where nobody stands by": Case(
        rules.give_the_lease_up_after_too_many_crashes,
        with_cluster(BARRED_CRASHED, "pg1"),
        RELEASE,
    ),
    "a barred standby that got the lease gives it up": Case(
        rules.give_the_lease_up_after_too_many_crashes, BARRED_CHOSEN, RELEASE
    ),
    "a barred member that is handed the key gives it up": Case(
        rules.give_the_lease_up_after_too_many_crashes,
        replace(with_cluster(BARRED, leader="pg1"), leader_gone_at=None),
        RELEASE,
    ),
    "a barred member does not race": Case(
        rules.leave_the_lead_to_others_after_too_many_crashes, BARRED
    ),
    "not even for a request that names it": Case(
        rules.leave_the_lead_to_others_after_too_many_crashes,
        asked(BARRED, candidate="pg1"),
    ),
    "nobody takes over while failovers are held": Case(
        rules.hold_the_failover_after_a_recent_one, HELD
    ),
    "nor for a request that names another": Case(
        rules.hold_the_failover_after_a_recent_one, asked(HELD, candidate="pg3")
    ),
    "nor for a switchover whose time has not come": Case(
        rules.hold_the_failover_after_a_recent_one,
        replace(
            with_cluster(
                HELD,
                failover=FailoverRequest(
                    leader="pg2",
                    candidate="pg1",
                    scheduled_at="2099-01-01T00:00:00+00:00",
                    revision=7,
                ),
            ),
            schedule_at=NOW + 1e6,
        ),
    ),
}

SILENT = {
    "there is no lease to lose": Case(
        rules.wait_until_the_crash_is_counted, replace(UNCOUNTED, lease_until=None)
    ),
    "it runs again": Case(
        rules.wait_until_the_crash_is_counted, replace(UNCOUNTED, phase="primary")
    ),
    "the count never came": Case(
        rules.wait_until_the_crash_is_counted,
        replace(UNCOUNTED, crashed_at=NOW - COUNTED_WITHIN),
    ),
    "nothing is barred": Case(
        rules.stop_the_start_after_too_many_crashes, replace(STARTING, barred=None)
    ),
    "a barred primary that runs is left alone": Case(
        rules.give_the_lease_up_after_too_many_crashes, replace(LEADER, barred=LOOP)
    ),
    "in pause there is no bar": Case(
        rules.give_the_lease_up_after_too_many_crashes,
        with_settings(BARRED_CRASHED, paused=True),
    ),
    "a standby cluster has no primary": Case(
        rules.give_the_lease_up_after_too_many_crashes,
        with_settings(BARRED_CHOSEN, **FAR),
    ),
    "the key was given up": Case(
        rules.give_the_lease_up_after_too_many_crashes,
        replace(with_cluster(BARRED, leader="pg1"), disowned=True),
    ),
    "somebody leads": Case(
        rules.leave_the_lead_to_others_after_too_many_crashes,
        replace(STANDBY, barred=LOOP),
    ),
    "a barred member is restarted when a person asks": Case(
        rules.leave_the_lead_to_others_after_too_many_crashes,
        replace(BARRED, restart=Restart(None, None)),
    ),
    "what is held is restarted when a person asks": Case(
        rules.hold_the_failover_after_a_recent_one,
        replace(HELD, restart=Restart(None, None)),
    ),
    "time has passed": Case(
        rules.hold_the_failover_after_a_recent_one,
        replace(HELD, hold=Hold("reign-7", leader="pg2", until=NOW)),
    ),
    "it led before": Case(
        rules.hold_the_failover_after_a_recent_one, replace(HELD, last_leader="pg1")
    ),
    "it leads since that failover": Case(
        rules.hold_the_failover_after_a_recent_one,
        replace(HELD, hold=Hold("reign-7", leader="pg1", until=NOW + 60)),
    ),
    "in pause nothing is held": Case(
        rules.hold_the_failover_after_a_recent_one, with_settings(HELD, paused=True)
    ),
    "a person asked for us": Case(
        rules.hold_the_failover_after_a_recent_one, asked(HELD, candidate="pg1")
    ),
    "a person asked for anybody": Case(
        rules.hold_the_failover_after_a_recent_one, asked(HELD, leader="pg2")
    ),
}


@pytest.mark.parametrize("case", SPEAKS.values(), ids=SPEAKS)
def test_it_speaks(case: Case) -> None:
    check_that_it_speaks(case)


@pytest.mark.parametrize("case", SILENT.values(), ids=SILENT)
def test_it_is_silent(case: Case) -> None:
    check_that_it_is_silent(case)


@pytest.mark.parametrize(
    ("given_view", "at"),
    [
        pytest.param(asked(HELD, candidate="pg1"), NOW, id="a person asked for us"),
        pytest.param(asked(HELD, leader="pg2"), NOW, id="for anybody but the leader"),
        pytest.param(replace(HELD, peers_at=NOW + 60), NOW + 60, id="time has passed"),
        pytest.param(replace(HELD, last_leader="pg1"), NOW, id="it led before"),
        pytest.param(replace(HELD, hold=None), NOW, id="it was acknowledged"),
    ],
)
def test_who_is_not_held_takes_over(given_view: Election, at: Instant) -> None:
    """A way out: time, a person's word for a member, an acknowledgement."""
    step = decide(given_view, at=at)
    assert step.rule == election_race.acquire_as_the_best_candidate.__name__
    assert any(isinstance(message, AcquireLeader) for message in step.said)


def test_the_members_are_probed_meanwhile() -> None:
    """So that there is no delay when the time has passed."""
    step = decide(replace(HELD, peers_at=NOW - 60))
    assert step.rule == election_race.probe_the_members_on_suspicion.__name__


def test_election_wakes_up_when_the_time_has_passed() -> None:
    step = decide(replace(HELD, peers_at=NOW + 50, heartbeat_at=NOW + 100))
    assert step.state.wake_at is not None
    assert step.state.wake_at <= NOW + 60


def test_a_barred_member_that_is_ahead_keeps_nobody_from_leading() -> None:
    ahead = replace(RACER, peers=(SILENT_PG2, peer("pg3", position=999, barred=True)))
    step = decide(ahead)
    assert step.rule == election_race.acquire_as_the_best_candidate.__name__
    assert step.facts["candidates"][-1].verdict.code == "CANDIDATE_BARRED"


def test_the_word_on_a_crash_decides_about_the_start() -> None:
    counted = decide(UNCOUNTED, CrashCounted(crashes=2, limit=3))
    assert counted.rule == "start_the_primary_again"
    barred = decide(UNCOUNTED, LeadershipBarred(incident="reign-7", reason=LOOP))
    assert barred.rule == rules.give_the_lease_up_after_too_many_crashes.__name__


def test_without_a_limit_nobody_waits_for_the_word() -> None:
    exited = PostmasterExited(
        pid=1, exit_status=None, signal=9, expected=False, control=None
    )
    told = decide(replace(LEADER, phase="primary"), exited)
    assert told.state.crashed_at is None
    with_limit = decide(with_settings(LEADER, crash_loop_limit=3), exited)
    assert with_limit.state.crashed_at == NOW
    paused = with_settings(LEADER, crash_loop_limit=3, paused=True)
    assert decide(paused, exited).state.crashed_at is None


def test_what_is_held_or_barred_is_so_until_the_other_word() -> None:
    held = decide(RACER, FailoverHeld(incident="reign-7", leader="pg2", until=NOW + 9))
    assert held.rule == rules.hold_the_failover_after_a_recent_one.__name__
    released = decide(held.state, FailoverReleased(incident="reign-7"))
    assert released.rule == election_race.acquire_as_the_best_candidate.__name__
    barred = decide(RACER, LeadershipBarred(incident="reign-7", reason=LOOP))
    allowed = decide(barred.state, LeadershipAllowed(incident="reign-7"))
    assert allowed.rule == election_race.acquire_as_the_best_candidate.__name__


VIEWS = (
    BARRED,
    BARRED_CHOSEN,
    BARRED_CRASHED,
    STARTING,
    replace(STOPPED, barred=LOOP),
    replace(LEADER, barred=LOOP),
    with_cluster(BARRED_CRASHED, "pg1"),
    asked(BARRED, candidate="pg1"),
    asked(BARRED_CHOSEN, candidate="pg1"),
)
HEARD: tuple[Message, ...] = (
    phase("stopped", previous="primary"),
    phase("standby", previous="starting"),
    CrashCounted(crashes=1, limit=3),
    FailoverReleased(incident="reign-7"),
    PostmasterExited(pid=1, exit_status=None, signal=9, expected=False, control=None),
)


@given(
    view=st.sampled_from(VIEWS),
    story=st.lists(st.tuples(st.sampled_from(HEARD), st.floats(0, 60)), max_size=6),
)
def test_who_is_barred_is_never_started_nor_promoted(
    view: Election, story: list[tuple[Message, float]]
) -> None:
    """A law, whatever it hears but that it may lead again."""
    at = NOW
    for message, wait in story:
        at += wait
        step = decide(view, message, at)
        view = step.state
        assert not any(isinstance(m, BecomePrimary | StartAsPrimary) for m in step.said)
