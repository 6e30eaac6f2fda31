"""Rules of planned changes: switchover, hand-over, and the daemon's own end.

ELEC-12, ELEC-16, ELEC-18, ELEC-25, P-ELEC-02, P-ELEC-04, P-ELEC-17, PAUSE-02, PAUSE-16,
SCHED-01, SCHED-02, SYNC-01, P-SYNC-01, P-SYNC-02, P-QUORUM-07.
"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from regnal.actors import election_shutdown as rules
from regnal.actors.election_learning import learn
from regnal.actors.election_state import Election, Switchover
from regnal.messages.cluster import ClusterObserved, FailoverRequest
from regnal.messages.daemon import ShutdownCompleted, ShutdownRequested
from regnal.messages.lease import (
    HandOverLeader,
    LeaderHandedOver,
    LeaderReleased,
    LeaseRefused,
    LeaseUnconfirmed,
    ReleaseLeader,
    RenewLeader,
    WithdrawHandOver,
)
from regnal.messages.operations import (
    DemotePostgres,
    IntentFailed,
    IntentFulfilled,
    PhaseChanged,
    StopForShutdown,
)
from regnal.messages.postgres import PostgresStopped, ShutdownCheckpointed
from regnal.messages.probes import PeersProbed, ProbePeers
from regnal.messages.reasons import because
from regnal.messages.store import WriteFailover
from tests.actors.builders import WALL, envelope, member, tags, view
from tests.actors.election_views import (
    CRASHED,
    DOWN,
    LEADER,
    MEMBERS,
    NEWCOMER,
    NOW,
    STANDBY,
    Case,
    asked,
    check_that_it_is_silent,
    check_that_it_speaks,
    decide,
    peer,
    request,
    stopped_at,
    sync,
    with_cluster,
    with_settings,
)

BOTH = (peer("pg2"), peer("pg3", position=800))
PROBED = replace(LEADER, peers=BOTH, peers_at=NOW)
WANTED = asked(PROBED, leader="pg1")
"""A switchover to the best was asked for, and everybody answered."""

REGNAL = tuple(member(name, hlc="x") for name in MEMBERS)
HANDING = replace(
    with_cluster(LEADER, *REGNAL),
    phase="stopped",
    switchover=Switchover(candidate="pg2", asked_by_failover=False, stopping=True),
    shutdown_lsn=1100,
)
"""PostgreSQL stopped for the switchover to pg2."""

LEAVING = replace(
    with_cluster(LEADER, *REGNAL), shutdown=True, shutdown_waits_since=NOW - 1
)
LEFT = replace(LEAVING, phase="stopped", shutdown_lsn=1100)
HANDED = replace(
    with_cluster(LEADER, *REGNAL, leader="pg2"),
    phase="stopped",
    lease_until=None,
    handed_to="pg2",
    handed_at=NOW - 5,
)
STARTING = asked(
    replace(CRASHED, phase="starting", busy="start_as_primary"), candidate="pg2"
)


def scheduled(given: Election, late: float, text: str | None = None) -> Election:
    """With a switchover that was due `late` seconds ago; who answered did so since."""
    due = datetime.fromtimestamp(WALL / 1e6 + NOW - late, UTC)
    wanted = FailoverRequest(
        leader="pg1",
        candidate=None,
        scheduled_at=text or due.isoformat(),
        revision=7,
    )
    clustered = with_cluster(given, failover=wanted)
    assert clustered.cluster is not None
    known = learn(given, envelope(ClusterObserved(view=clustered.cluster), NOW))
    return replace(known, peers_at=given.peers_at)


SPEAKS = {
    "PAUSE-16: the daemon ends in pause": Case(
        rules.leave_postgres_alone_when_paused,
        with_settings(LEAVING, paused=True),
        (ShutdownCompleted,),
    ),
    "ELEC-16: its PostgreSQL is stopped first": Case(
        rules.stop_postgres_for_the_shutdown, LEAVING, (StopForShutdown,)
    ),
    "ELEC-16: also before all is known": Case(
        rules.stop_postgres_for_the_shutdown,
        replace(LEAVING, cluster=None),
        (StopForShutdown,),
    ),
    "ELEC-16: whatever it was busy with": Case(
        rules.stop_postgres_for_the_shutdown,
        replace(LEAVING, phase="following", busy="follow_leader", lease_until=None),
        (StopForShutdown,),
    ),
    "flows 4: the key goes to the candidate": Case(
        rules.hand_the_lease_over,
        HANDING,
        (
            HandOverLeader(
                member="pg1", to="pg2", last_lsn=1100, ttl=30, deadline=NOW + 10
            ),
        ),
    ),
    "P-ELEC-02: at the daemon's end to who streamed last": Case(
        rules.hand_the_lease_over, LEFT, (HandOverLeader,)
    ),
    "flows 4: the peer knows no hand-over": Case(
        rules.hand_the_lease_over,
        with_cluster(HANDING, *MEMBERS),
        (ReleaseLeader(member="pg1", last_lsn=1100, deadline=NOW + 10),),
    ),
    "flows 4: PostgreSQL crashed while it stopped": Case(
        rules.give_the_switchover_up_after_a_crash,
        replace(HANDING, shutdown_lsn=None),
        (WriteFailover,),
    ),
    "flows 4: nobody took it": Case(
        rules.withdraw_an_unanswered_hand_over,
        HANDED,
        (WithdrawHandOver, WriteFailover),
    ),
    "ELEC-16: the end of a standby's daemon": Case(
        rules.complete_the_shutdown,
        replace(STANDBY, shutdown=True, phase="stopped", postgres=DOWN),
        (ShutdownCompleted,),
    ),
    "P-ELEC-02: nobody has our last record, so the key stays": Case(
        rules.complete_the_shutdown,
        replace(LEFT, postgres=DOWN),
        (ShutdownCompleted,),
    ),
    "ELEC-18: the store does not answer": Case(
        rules.complete_the_shutdown,
        replace(LEFT, asking="hand_over", shutdown_waits_since=NOW - 6),
        (ShutdownCompleted,),
    ),
    "P-ELEC-02: after the last word the key is not released either": Case(
        rules.complete_the_shutdown,
        replace(LEFT, postgres=DOWN, shutdown_said=True),
    ),
    "ELEC-25: first everybody is asked": Case(
        rules.probe_before_the_switchover,
        replace(WANTED, peers_at=NOW - 60),
        (ProbePeers,),
    ),
    "ELEC-25: and waited for": Case(
        rules.probe_before_the_switchover, replace(WANTED, probing=True)
    ),
    "ELEC-25: the best can take over": Case(
        rules.begin_the_switchover, WANTED, (DemotePostgres,)
    ),
    "ELEC-25: the candidate can take over": Case(
        rules.begin_the_switchover,
        asked(PROBED, leader="pg1", candidate="pg3"),
        (DemotePostgres,),
    ),
    "ELEC-25: a failover of a healthy cluster": Case(
        rules.begin_the_switchover, asked(PROBED, candidate="pg3"), (DemotePostgres,)
    ),
    "SCHED-01: it is due": Case(
        rules.begin_the_switchover, scheduled(PROBED, late=0.5), (DemotePostgres,)
    ),
    "PAUSE-02: to a named member in pause": Case(
        rules.begin_the_switchover,
        asked(with_settings(PROBED, paused=True), leader="pg1", candidate="pg2"),
        (DemotePostgres,),
    ),
    "P-ELEC-17: nobody can": Case(
        rules.begin_the_switchover,
        replace(WANTED, peers=(peer("pg2", nofailover=True),)),
        (WriteFailover,),
    ),
    "P-SYNC-01: not to an asynchronous member": Case(
        rules.begin_the_switchover,
        with_cluster(
            with_settings(PROBED, synchronous_mode="on"),
            sync=sync("pg1", "pg2"),
            failover=request(leader="pg1", candidate="pg3"),
        ),
        (WriteFailover,),
    ),
    "P-SYNC-02: a failover may": Case(
        rules.begin_the_switchover,
        with_cluster(
            with_settings(PROBED, synchronous_mode="on"),
            sync=sync("pg1", "pg2"),
            failover=request(candidate="pg3"),
        ),
        (DemotePostgres,),
    ),
    "P-QUORUM-07: not enough voters answer": Case(
        rules.begin_the_switchover,
        with_cluster(
            with_settings(
                replace(PROBED, peers=(peer("pg2"), peer("pg3", answered=False))),
                synchronous_mode="quorum",
            ),
            sync=sync("pg1", "pg2", "pg3", quorum=1),
            failover=request(leader="pg1"),
        ),
        (WriteFailover,),
    ),
    "P-QUORUM-07: a named candidate needs no votes": Case(
        rules.begin_the_switchover,
        with_cluster(
            with_settings(
                replace(PROBED, peers=(peer("pg2"), peer("pg3", answered=False))),
                synchronous_mode="quorum",
            ),
            sync=sync("pg1", "pg2", "pg3", quorum=1),
            failover=request(leader="pg1", candidate="pg2"),
        ),
        (DemotePostgres,),
    ),
    "SCHED-02: it is stale": Case(
        rules.drop_a_stale_schedule, scheduled(PROBED, late=15.1), (WriteFailover,)
    ),
    "SCHED-02: also in pause": Case(
        rules.drop_a_stale_schedule,
        scheduled(with_settings(PROBED, paused=True), late=15.1),
        (WriteFailover,),
    ),
    "SCHED-01: a time without a zone never comes": Case(
        rules.drop_a_stale_schedule,
        scheduled(PROBED, late=0, text="2030-03-17T17:46:40"),
        (WriteFailover,),
    ),
    "SCHED-01: no time at all": Case(
        rules.drop_a_stale_schedule,
        scheduled(PROBED, late=0, text="soon"),
        (WriteFailover,),
    ),
    "ELEC-12: a failover while our PostgreSQL starts": Case(
        rules.make_way_for_a_request_while_starting, STARTING, (DemotePostgres,)
    ),
    "ELEC-25: we are the candidate, and lead": Case(
        rules.clear_a_request_that_is_done,
        asked(LEADER, candidate="pg1"),
        (WriteFailover,),
    ),
    "ELEC-25: the leader that it names is none": Case(
        rules.clear_a_request_that_is_done,
        asked(LEADER, leader="pg2", candidate="pg3"),
        (WriteFailover,),
    ),
}
SILENT = {
    "PAUSE-16: not in pause": Case(rules.leave_postgres_alone_when_paused, LEAVING),
    "PAUSE-16: no end": Case(
        rules.leave_postgres_alone_when_paused, with_settings(LEADER, paused=True)
    ),
    "ELEC-16: it is being stopped": Case(
        rules.stop_postgres_for_the_shutdown,
        replace(LEAVING, busy="stop_for_shutdown"),
    ),
    "ELEC-16: it does not run": Case(
        rules.stop_postgres_for_the_shutdown, replace(NEWCOMER, shutdown=True)
    ),
    "ELEC-16: it stops at once for the lease": Case(
        rules.stop_postgres_for_the_shutdown,
        replace(LEAVING, stepping_down=True, busy="demote_postgres"),
    ),
    "P-ELEC-02: PostgreSQL has not stopped": Case(
        rules.hand_the_lease_over, replace(HANDING, shutdown_lsn=None)
    ),
    "P-ELEC-02: nobody is to take over": Case(
        rules.hand_the_lease_over, replace(HANDING, switchover=None)
    ),
    "P-ELEC-02: nobody has the last record": Case(
        rules.hand_the_lease_over, replace(LEFT, postgres=DOWN)
    ),
    "ELEC-09: who has it may not lead": Case(
        rules.hand_the_lease_over,
        with_cluster(
            LEFT,
            *(member(n, hlc="x", tags=tags(nofailover=True)) for n in MEMBERS),
        ),
    ),
    "the store is asked already": Case(
        rules.hand_the_lease_over, replace(HANDING, asking="renew")
    ),
    "flows 4: it stopped in good order": Case(
        rules.give_the_switchover_up_after_a_crash, HANDING
    ),
    "flows 4: it has not stopped yet": Case(
        rules.give_the_switchover_up_after_a_crash,
        replace(HANDING, shutdown_lsn=None, phase="stopping", busy="demote_postgres"),
    ),
    "flows 4: there is time yet": Case(
        rules.withdraw_an_unanswered_hand_over, replace(HANDED, handed_at=NOW - 4)
    ),
    "flows 4: we are asking": Case(
        rules.withdraw_an_unanswered_hand_over, replace(HANDED, asking="withdraw")
    ),
    "ELEC-16: PostgreSQL has not stopped": Case(rules.complete_the_shutdown, LEAVING),
    "ELEC-18: the answer may still come": Case(
        rules.complete_the_shutdown, replace(LEFT, asking="hand_over")
    ),
    "ELEC-16: nobody wants an end": Case(rules.complete_the_shutdown, CRASHED),
    "ELEC-25: fresh answers are there": Case(rules.probe_before_the_switchover, WANTED),
    "ELEC-25: nothing was asked for": Case(rules.begin_the_switchover, PROBED),
    "P-ELEC-17: another leads": Case(
        rules.begin_the_switchover, asked(PROBED, leader="pg2")
    ),
    "PAUSE-02: in pause only to a named member": Case(
        rules.begin_the_switchover,
        asked(with_settings(PROBED, paused=True), leader="pg1"),
    ),
    "PAUSE-02: nothing scheduled in pause": Case(
        rules.begin_the_switchover,
        scheduled(with_settings(PROBED, paused=True), late=1),
    ),
    "SCHED-01: it is not due": Case(
        rules.begin_the_switchover, scheduled(PROBED, late=-1)
    ),
    "SCHED-02: late, but not stale": Case(
        rules.drop_a_stale_schedule, scheduled(PROBED, late=14.9)
    ),
    "SCHED-02: not due": Case(
        rules.drop_a_stale_schedule, scheduled(PROBED, late=-3600)
    ),
    "SCHED-01: a standby clears nothing": Case(
        rules.drop_a_stale_schedule, scheduled(STANDBY, late=60)
    ),
    "ELEC-12: nobody stands by": Case(
        rules.make_way_for_a_request_while_starting,
        with_cluster(STARTING, "pg1", failover=request(candidate="pg2")),
    ),
    "ELEC-12: nothing was asked for": Case(
        rules.make_way_for_a_request_while_starting,
        replace(STARTING, cluster=LEADER.cluster),
    ),
    "ELEC-25: the request is for another": Case(
        rules.clear_a_request_that_is_done, WANTED
    ),
    "ELEC-25: it is being cleared": Case(
        rules.clear_a_request_that_is_done,
        replace(asked(LEADER, candidate="pg1"), clearing_failover=True),
    ),
}


@pytest.mark.parametrize("case", SPEAKS.values(), ids=list(SPEAKS))
def test_it_speaks(case: Case) -> None:
    check_that_it_speaks(case)


@pytest.mark.parametrize("case", SILENT.values(), ids=list(SILENT))
def test_it_is_silent(case: Case) -> None:
    check_that_it_is_silent(case)


def test_a_switchover_from_request_to_hand_over() -> None:
    """ELEC-25, P-ELEC-02, flows 4: answers, graceful stop, last record, key."""
    told = decide(asked(with_cluster(LEADER, *REGNAL), leader="pg1")).state
    assert told.probing
    told = decide(told, PeersProbed(peers=BOTH, asked_at=NOW)).state
    assert told.switchover == Switchover("pg2", asked_by_failover=False, stopping=True)
    told = decide(
        told, PhaseChanged(phase="stopping", previous="primary", state="", intent=None)
    ).state
    stopped = decide(told, ShutdownCheckpointed(control=stopped_at(1100)))
    (order,) = (m for m in stopped.said if isinstance(m, HandOverLeader))
    assert (order.to, order.last_lsn) == ("pg2", 1100)
    handed = decide(stopped.state, LeaderHandedOver(to="pg2")).state
    assert not handed.has_lease
    assert handed.handed_to == "pg2"


def test_the_lease_is_renewed_until_it_is_handed_over() -> None:
    """P-ELEC-02: a stop may take long."""
    stopping = replace(HANDING, phase="stopping", shutdown_lsn=None, heartbeat_at=NOW)
    assert any(isinstance(m, RenewLeader) for m in decide(stopping).said)
    handing = replace(HANDING, heartbeat_at=NOW)
    assert not any(isinstance(m, RenewLeader) for m in decide(handing).said)


@pytest.mark.parametrize("state", ["shut down in recovery", "in production"])
def test_only_a_clean_shutdown_of_a_primary_is_handed_over(state: str) -> None:
    """P-ELEC-03: the position that others must reach is that of its checkpoint."""
    told = replace(HANDING, shutdown_lsn=None, phase="stopping")
    control = stopped_at(1100).model_copy(update={"state": state})
    step = decide(told, PostgresStopped(control=control))
    assert step.state.shutdown_lsn is None
    assert step.rule != "hand_the_lease_over"


def test_a_refused_hand_over_leaves_us_without_the_lease() -> None:
    """ELEC-02: the key is somebody else's."""
    asking = replace(HANDING, asking="hand_over", handed_to="pg2", handed_at=NOW)
    told = decide(asking, LeaseRefused(action="hand_over", holder="pg3")).state
    assert not told.has_lease
    assert told.handed_to is None


def test_a_hand_over_without_an_answer_may_have_happened() -> None:
    """Nothing is done with the lease until the time for the other to take it is over."""
    asking = replace(HANDING, asking="hand_over", handed_to="pg2", handed_at=NOW)
    told = decide(asking, LeaseUnconfirmed(action="hand_over", error="")).state
    assert told.handed_to == "pg2"
    assert decide(told, at=NOW + 5).rule == "withdraw_an_unanswered_hand_over"


def test_the_new_leader_ends_the_waiting() -> None:
    """Flows 4: it has taken the key over into a session of its own."""
    given = replace(HANDED, own_session="s1")
    for session, taken in (("s1", False), ("s2", True)):
        cluster = view(*REGNAL, leader="pg2")
        assert cluster.leader is not None
        key = cluster.leader.model_copy(update={"session": session})
        cluster = cluster.model_copy(update={"leader": key})
        told = decide(replace(given, handed_at=NOW), ClusterObserved(view=cluster))
        assert (told.state.handed_to is None) == taken


def test_a_withdrawn_hand_over_lets_anybody_race() -> None:
    """Flows 4: the key is gone then, and our view of it is older."""
    told = decide(replace(HANDED, asking="withdraw"), LeaderReleased(member="pg1"))
    assert told.state.handed_to is None
    assert told.state.disowned


def test_a_standby_never_hands_over() -> None:
    """ELEC-16: only this node's own key."""
    told = decide(STANDBY, ShutdownRequested(signal=15)).state
    stopped = replace(told, phase="stopped", busy=None, postgres=DOWN)
    step = decide(stopped)
    assert [type(m) for m in step.said if not hasattr(m, "name")] == [ShutdownCompleted]


def test_a_primary_that_could_not_be_stopped_for_a_switchover_leads_on() -> None:
    """ELEC-27."""
    switching = replace(
        LEADER,
        busy="demote_postgres",
        switchover=Switchover("pg2", asked_by_failover=False, stopping=True),
    )
    reason = because("STOP_TIMEOUT", seconds=60.0)
    told = decide(
        switching, IntentFailed(intent="demote_postgres", reason=reason)
    ).state
    assert told.busy is None
    assert told.has_lease


def test_a_demotion_that_found_nothing_to_do_is_over() -> None:
    """`stepping_down` ends with it: else nothing would ever be renewed again."""
    told = decide(
        replace(STANDBY, lease_until=None, stepping_down=True, busy="demote_postgres"),
        IntentFulfilled(intent="demote_postgres"),
    ).state
    assert not told.stepping_down


def test_the_time_of_a_schedule_is_that_of_our_own_clock() -> None:
    """SCHED-01: told in wall time, waited for in ours."""
    given = replace(scheduled(PROBED, late=-20), lease_until=NOW + 60)
    assert given.schedule_at == pytest.approx(NOW + 20)
    assert decide(given, at=NOW + 20.1).rule == "probe_before_the_switchover"


def test_who_could_take_over_is_asked_after_the_request() -> None:
    """ELEC-25: an answer of a moment before may be that of a member that was starting."""
    fresh = replace(PROBED, cluster=WANTED.cluster, peers_at=NOW)
    before = replace(fresh, cluster=PROBED.cluster)
    assert WANTED.cluster is not None
    known = learn(before, envelope(ClusterObserved(view=WANTED.cluster), NOW))
    assert not known.peers_are_fresh(NOW)
    again = learn(fresh, envelope(ClusterObserved(view=WANTED.cluster), NOW))
    assert again.peers_are_fresh(NOW)


def test_a_member_whose_clock_is_hours_ahead_does_not_hurry_our_schedule() -> None:
    """Our stamps follow its clock; our wall clock does not."""
    due = datetime.fromtimestamp(WALL / 1e6 + NOW + 20, UTC).isoformat()
    wanted = FailoverRequest(leader="pg1", candidate=None, scheduled_at=due, revision=7)
    clustered = with_cluster(PROBED, failover=wanted)
    assert clustered.cluster is not None
    ordinary = envelope(ClusterObserved(view=clustered.cluster), NOW)
    hours_us = 5 * 3_600_000_000
    follows = replace(
        ordinary,
        hlc=replace(ordinary.hlc, wall_us=ordinary.hlc.wall_us + hours_us),
        ahead_us=hours_us,
    )
    assert learn(PROBED, follows).schedule_at == pytest.approx(NOW + 20)
