"""Rules of the lease: who may not write any more, and who still may.

ELEC-01 to ELEC-04, ELEC-21, P-ELEC-05, P-FSAFE-01, P-FSAFE-05, P-FSAFE-12, PAUSE-07,
SYNC-01.
"""

import json
from dataclasses import replace

import pytest

from regnal.actors import election_lease as rules
from regnal.actors.election_state import Election
from regnal.actors.step import Step
from regnal.messages.cluster import FailsafeMember, HistoryLine
from regnal.messages.lease import (
    AcquireLeader,
    LeaseRefused,
    LeaseUnconfirmed,
    RenewLeader,
)
from regnal.messages.operations import DemotePostgres
from regnal.messages.probes import AskFailsafe, FailsafeAnswered, FailsafeVote
from tests.actors.builders import acquired, renewed, seen, view
from tests.actors.election_views import (
    LEADER,
    MEMBERS,
    NOW,
    STANDBY,
    Case,
    check_that_it_is_silent,
    check_that_it_speaks,
    decide,
    sync,
    with_cluster,
    with_settings,
)

REFUSED = replace(LEADER, lease_until=None, lease_refused=True, disowned=True)
ROBBED = replace(LEADER, cluster=view(*MEMBERS, leader="pg2"), lease_until=None)
ENDING = replace(LEADER, lease_until=NOW + 4.9)
UNLEASED = replace(LEADER, lease_until=None, must_lead_by=NOW)
FOUND = replace(LEADER, lease_until=None)
"""A primary that a new daemon found; the key carries its name."""

KEYLESS = with_cluster(LEADER, leader=None)
FAILSAFE = replace(
    with_cluster(
        with_settings(LEADER, failsafe_mode=True),
        failsafe=tuple(
            FailsafeMember(name=name, api_url=f"http://{name}:8008/patroni")
            for name in MEMBERS
        ),
    ),
    lease_until=NOW + 8,
    store_lost_at=NOW - 10,
)
BEHIND = (HistoryLine(timeline=1, lsn=1, reason=""),)

SPEAKS = {
    "ELEC-02: the store said no": Case(
        rules.step_down_when_the_lease_is_refused, REFUSED, (DemotePostgres,)
    ),
    "ELEC-02: another leads": Case(
        rules.step_down_when_another_leads, ROBBED, (DemotePostgres,)
    ),
    "ELEC-02: another leads, and our lease was only promised": Case(
        rules.step_down_when_another_leads,
        replace(ROBBED, lease_until=NOW + 20, failsafe_active=True),
        (DemotePostgres,),
    ),
    "ELEC-01: the lease ends": Case(
        rules.step_down_before_the_lease_ends, ENDING, (DemotePostgres,)
    ),
    "ELEC-01: the lease has ended, the view is old": Case(
        rules.step_down_before_the_lease_ends,
        replace(LEADER, lease_until=NOW - 60),
        (DemotePostgres,),
    ),
    "ELEC-01: with a short ttl the margin is a quarter of it": Case(
        rules.step_down_before_the_lease_ends,
        replace(with_settings(LEADER, ttl=8), lease_until=NOW + 1.9),
        (DemotePostgres,),
    ),
    "ELEC-03: found running, and no store": Case(
        rules.step_down_without_a_lease,
        replace(UNLEASED, cluster=None, store_lost_at=NOW - 11),
        (DemotePostgres,),
    ),
    "ELEC-04: the store does not give the lease": Case(
        rules.step_down_without_a_lease, UNLEASED, (DemotePostgres,)
    ),
    "P-FSAFE-01: all members are asked": Case(
        rules.ask_the_members_before_stepping_down, FAILSAFE, (AskFailsafe,)
    ),
    "P-FSAFE-01: also where only the renewal fails": Case(
        rules.ask_the_members_before_stepping_down,
        replace(FAILSAFE, store_lost_at=None, renewal_failed=True),
        (AskFailsafe,),
    ),
    "OPS: the key carries our name": Case(
        rules.take_up_our_lease, FOUND, (AcquireLeader,)
    ),
    "flows 4: the key was handed to us": Case(
        rules.take_up_our_lease,
        with_cluster(STANDBY, leader="pg1"),
        (AcquireLeader,),
    ),
    "ELEC-21: the key is gone": Case(
        rules.retake_a_deleted_lease, KEYLESS, (AcquireLeader,)
    ),
    "ELEC-21: the renewal says that it is gone, the view does not yet": Case(
        rules.retake_a_deleted_lease,
        replace(LEADER, lease_until=None, disowned=True),
        (AcquireLeader,),
    ),
    "P-ELEC-05: a stale primary does not retake it": Case(
        rules.retake_a_deleted_lease,
        with_cluster(FOUND, leader=None, history=BEHIND),
        (DemotePostgres,),
    ),
    "SYNC-01: nor one outside the sync key": Case(
        rules.retake_a_deleted_lease,
        with_cluster(
            with_settings(FOUND, synchronous_mode="on"),
            leader=None,
            sync=sync("pg2", "pg3"),
        ),
        (DemotePostgres,),
    ),
}
SILENT = {
    "ELEC-02: already stopping": Case(
        rules.step_down_when_the_lease_is_refused,
        replace(REFUSED, stepping_down=True),
    ),
    "PAUSE-07: refused in pause": Case(
        rules.step_down_when_the_lease_is_refused, with_settings(REFUSED, paused=True)
    ),
    "ELEC-02: refused, but it does not write": Case(
        rules.step_down_when_the_lease_is_refused,
        replace(STANDBY, lease_refused=True),
    ),
    "an older view than our renewal": Case(
        rules.step_down_when_another_leads, replace(ROBBED, lease_until=NOW + 20)
    ),
    "PAUSE-03: parallel primaries in pause": Case(
        rules.step_down_when_another_leads, with_settings(ROBBED, paused=True)
    ),
    "a standby where another leads": Case(rules.step_down_when_another_leads, STANDBY),
    "ELEC-25: it starts to follow, and was last seen as a primary": Case(
        rules.step_down_when_another_leads,
        replace(ROBBED, phase="starting", busy="follow_leader"),
    ),
    "ELEC-01: time to spare": Case(
        rules.step_down_before_the_lease_ends, replace(LEADER, lease_until=NOW + 5.1)
    ),
    "PAUSE-07: the lease ends in pause": Case(
        rules.step_down_before_the_lease_ends, with_settings(ENDING, paused=True)
    ),
    "P-FSAFE-12: already stopping": Case(
        rules.step_down_before_the_lease_ends, replace(ENDING, stepping_down=True)
    ),
    "the lease of a standby ends": Case(
        rules.step_down_before_the_lease_ends, replace(STANDBY, lease_until=NOW + 1)
    ),
    "ELEC-03: there is time yet": Case(
        rules.step_down_without_a_lease, replace(UNLEASED, must_lead_by=NOW + 1)
    ),
    "PAUSE-07: without a lease in pause": Case(
        rules.step_down_without_a_lease, with_settings(UNLEASED, paused=True)
    ),
    "P-FSAFE-01: the mode is off": Case(
        rules.ask_the_members_before_stepping_down,
        with_settings(FAILSAFE, failsafe_mode=False),
    ),
    "P-FSAFE-01: the store said no": Case(
        rules.ask_the_members_before_stepping_down,
        replace(FAILSAFE, lease_refused=True),
    ),
    "P-FSAFE-01: the store answers": Case(
        rules.ask_the_members_before_stepping_down,
        replace(FAILSAFE, store_lost_at=None),
    ),
    "P-FSAFE-01: too early": Case(
        rules.ask_the_members_before_stepping_down,
        replace(FAILSAFE, lease_until=NOW + 20),
    ),
    "P-FSAFE-05: they are being asked": Case(
        rules.ask_the_members_before_stepping_down,
        replace(FAILSAFE, failsafe_asked=True),
    ),
    "we hold it already": Case(rules.take_up_our_lease, LEADER),
    "it was just released, the view is older": Case(
        rules.take_up_our_lease, replace(FOUND, disowned=True)
    ),
    "we handed it over": Case(rules.take_up_our_lease, replace(FOUND, handed_to="pg2")),
    "CB-08: we cannot use it and stand back": Case(
        rules.take_up_our_lease, replace(FOUND, stand_back_until=NOW + 1)
    ),
    "the daemon is stopping": Case(
        rules.take_up_our_lease, replace(FOUND, shutdown=True)
    ),
    "ELEC-02: refused": Case(
        rules.take_up_our_lease, replace(STANDBY, lease_refused=True)
    ),
    "P-ELEC-13: a standby": Case(
        rules.retake_a_deleted_lease, with_cluster(STANDBY, leader=None)
    ),
    "we lead": Case(rules.retake_a_deleted_lease, LEADER),
    "PAUSE-03 has a rule of its own": Case(
        rules.retake_a_deleted_lease, with_settings(KEYLESS, paused=True)
    ),
    "P-ELEC-13: a cluster that is not initialized is taken over otherwise": Case(
        rules.retake_a_deleted_lease, with_cluster(FOUND, leader=None, initialize=None)
    ),
}


@pytest.mark.parametrize("case", SPEAKS.values(), ids=list(SPEAKS))
def test_it_speaks(case: Case) -> None:
    check_that_it_speaks(case)


@pytest.mark.parametrize("case", SILENT.values(), ids=list(SILENT))
def test_it_is_silent(case: Case) -> None:
    check_that_it_is_silent(case)


def demotion(case: str) -> DemotePostgres:
    (order,) = (
        message
        for message in check_that_it_speaks(SPEAKS[case]).said
        if isinstance(message, DemotePostgres)
    )
    return order


def test_who_lost_the_lease_stops_at_once_and_who_may_lose_it_offline() -> None:
    """ELEC-02, ELEC-03: the operator then starts it read-only."""
    assert demotion("ELEC-02: the store said no").mode == "immediate"
    assert demotion("ELEC-01: the lease ends").mode == "offline"
    assert demotion("ELEC-04: the store does not give the lease").mode == "offline"


def test_the_reason_says_how_long_the_lease_had() -> None:
    assert str(demotion("ELEC-01: the lease ends").reason) == (
        "the lease ends in 4.9 s and was not renewed"
    )


def test_a_refused_renewal_stops_the_primary_where_another_leads() -> None:
    """ELEC-02."""
    step = decide(LEADER, LeaseRefused(action="renew", holder="pg2"))
    assert step.rule == "step_down_when_the_lease_is_refused"


def test_a_refused_renewal_of_a_key_that_nobody_has_is_no_reason_to_stop() -> None:
    """ELEC-21: the key was deleted; it is taken again while the lease has time."""
    step = decide(LEADER, LeaseRefused(action="renew", holder=None))
    assert step.rule == "retake_a_deleted_lease"
    assert step.state.must_lead_by == NOW + 10  # retry_timeout, the lease has 25 s
    late = decide(
        replace(LEADER, lease_until=NOW + 7), LeaseRefused(action="renew", holder=None)
    )
    assert late.state.must_lead_by == NOW + 2  # the lease had 7 s, the margin is 5


def test_a_primary_that_is_refused_the_lease_stops() -> None:
    """ELEC-04: it asked again for a key that vanished, and another was faster."""
    asking = replace(FOUND, asking="acquire", must_lead_by=NOW + 9)
    step = decide(asking, LeaseRefused(action="acquire", holder="pg2"))
    assert step.rule == "step_down_when_the_lease_is_refused"


def test_a_standby_that_is_refused_the_lease_may_have_the_next() -> None:
    """ELEC-07: the loser of the race."""
    step = decide(
        replace(STANDBY, asking="acquire"), LeaseRefused(action="acquire", holder="pg2")
    )
    assert step.state.asking is None
    assert not step.state.lease_refused


def asks_for_the_lease(step: Step[Election]) -> bool:
    return any(isinstance(message, AcquireLeader) for message in step.said)


def test_a_lease_that_the_watch_does_not_show_yet_is_not_asked_for_again() -> None:
    """ELEC-21: a view that is older than the answer is no deleted key.  Until the watch
    had shown it, the store was asked over and over."""
    given = decide(replace(KEYLESS, asking="acquire"), acquired()).state
    assert not asks_for_the_lease(decide(given))
    deleted = decide(given, seen(*MEMBERS, leader=None))
    assert deleted.rule == "retake_a_deleted_lease"
    refused = decide(given, LeaseRefused(action="renew", holder=None))
    assert refused.rule == "retake_a_deleted_lease"


def test_a_refused_lease_is_not_asked_for_again_at_once() -> None:
    """The view that shows nobody is older than the refusal."""
    racing = replace(
        with_cluster(STANDBY, leader=None),
        asking="acquire",
        leader_gone_at=NOW - 1,
        peers_at=NOW,
        known_members=(),
    )
    refused = decide(racing, LeaseRefused(action="acquire", holder="pg2"))
    assert not asks_for_the_lease(refused)
    assert asks_for_the_lease(decide(refused.state, at=NOW + 0.5))


def test_no_answer_is_neither_yes_nor_no() -> None:
    """ELEC-01: the lease goes on, and is asked for again at once."""
    asking = replace(LEADER, asking="renew")
    step = decide(asking, LeaseUnconfirmed(action="renew", error="timeout"))
    assert step.state.lease_until == LEADER.lease_until
    assert [type(m) for m in step.said if isinstance(m, RenewLeader)] == [RenewLeader]
    assert not any(isinstance(m, DemotePostgres) for m in step.said)


def test_a_primary_without_a_lease_has_retry_timeout_to_get_one() -> None:
    """ELEC-03."""
    founding = replace(FOUND, cluster=view(leader=None, initialize=""))
    assert decide(replace(founding, initialize="asked")).state.must_lead_by is None
    told = decide(FOUND).state
    assert told.must_lead_by == NOW + 10
    later = decide(replace(told, asking=None), at=NOW + 10)
    assert later.rule == "step_down_without_a_lease"


def test_the_failsafe_question_names_us_and_goes_to_all_others() -> None:
    """P-FSAFE-04, P-FSAFE-05: also to a member that is not in the key yet."""
    given = with_cluster(
        with_settings(FAILSAFE, failsafe_mode=True),
        *MEMBERS,
        "pg4",
        failsafe=FAILSAFE.cluster.failsafe if FAILSAFE.cluster else (),
    )
    (question,) = (m for m in decide(given).said if isinstance(m, AskFailsafe))
    assert [target.name for target in question.targets] == ["pg2", "pg3", "pg4"]
    document = json.loads(question.document)
    assert document["name"] == "pg1"
    assert document["slots"] == {"pg1": 1000}


ACCEPTED = (
    FailsafeVote(name="pg2", accepted=True),
    FailsafeVote(name="pg3", accepted=True),
)


def test_all_members_together_prolong_the_lease_by_ttl() -> None:
    """P-FSAFE-01: from the moment of asking."""
    given = replace(FAILSAFE, failsafe_asked=True)
    step = decide(given, FailsafeAnswered(votes=ACCEPTED, asked_at=NOW - 2))
    assert step.state.lease_until == NOW + 28
    assert step.state.failsafe_active
    assert not step.state.failsafe_asked


def test_one_missing_vote_prolongs_nothing() -> None:
    """P-FSAFE-05."""
    given = replace(FAILSAFE, failsafe_asked=True)
    votes = (ACCEPTED[0], FailsafeVote(name="pg3", accepted=False))
    step = decide(given, FailsafeAnswered(votes=votes, asked_at=NOW - 2))
    assert step.state.lease_until == FAILSAFE.lease_until
    ending = decide(step.state, at=NOW + 3.5)
    assert ending.rule == "step_down_before_the_lease_ends"


def test_a_renewal_ends_failsafe_mode() -> None:
    """P-FSAFE-07."""
    given = replace(FAILSAFE, failsafe_active=True, asking="renew", renewal_failed=True)
    state = decide(
        given,
        seen(*MEMBERS),
    ).state
    assert state.failsafe_active
    from_store = decide(given, renewed()).state
    assert not from_store.failsafe_active
    assert not from_store.renewal_failed
