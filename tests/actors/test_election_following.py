"""Rules of members that follow: whom, when it changes, and when nobody is left.

REPL-10, RWD-04, RWD-05, P-ELEC-18, SBY-07, BOOT-30.
"""

from dataclasses import replace

import pytest

from regnal.actors import election_following as rules
from regnal.messages.cluster import ClusterObserved
from regnal.messages.lease import ReleaseLeader
from regnal.messages.operations import FollowLeader, IntentFulfilled, IntentRefused
from regnal.messages.reasons import because
from tests.actors.builders import member, seen, tags
from tests.actors.election_views import (
    LEADER,
    NOW,
    PG2,
    PG3,
    STANDBY,
    STOPPED,
    Case,
    check_that_it_is_silent,
    check_that_it_speaks,
    decide,
    with_cluster,
    with_settings,
)

NEW_LEADER = with_cluster(STANDBY, leader="pg3")
FORMER = replace(STANDBY, following=None, was_primary=True)
CHECKING = replace(
    with_cluster(STOPPED, leader=None),
    phase="checking",
    busy="follow_leader",
    following=PG2,
)
"""Our stopped data are to be compared with pg2's, who does not lead any more."""

HANDED = replace(with_cluster(CHECKING, leader="pg1"), lease_until=NOW + 20)
"""Meanwhile pg2, which ended, has handed us the lease: it waits for us in its turn."""


def follow(upstream: object, check: bool, leader: str) -> FollowLeader:
    return FollowLeader(
        upstream=upstream,  # type: ignore[arg-type]
        check_divergence=check,
        reason=because("LEADER_CHANGED", leader=leader),
    )


SPEAKS = {
    "REPL-10: the leader is another": Case(
        rules.follow_the_leader, NEW_LEADER, (follow(PG3, False, "pg3"),)
    ),
    "RWD-04: a former primary compares first": Case(
        rules.follow_the_leader, FORMER, (follow(PG2, True, "pg2"),)
    ),
    "RWD-04: another leader while we compare": Case(
        rules.follow_the_leader,
        replace(NEW_LEADER, phase="checking", busy="follow_leader", was_primary=True),
        (follow(PG3, True, "pg3"),),
    ),
    "REPL-10: the member of our tag runs": Case(
        rules.follow_the_leader,
        with_settings(STANDBY, tags=tags(replicatefrom="pg3")),
        (follow(PG3.model_copy(update={"is_leader": False}), False, "pg2"),),
    ),
    "RWD-05: the leader to compare with is gone": Case(
        rules.wait_no_longer_for_a_leader_that_is_gone, CHECKING, (FollowLeader,)
    ),
    "ELEC-14: the lease found us waiting for another who waits for us": Case(
        rules.release_a_lease_that_found_us_waiting, HANDED, (ReleaseLeader,)
    ),
}
SILENT = {
    "REPL-10: it follows": Case(rules.follow_the_leader, STANDBY),
    "PAUSE-09: nobody leads": Case(
        rules.follow_the_leader, with_cluster(STANDBY, leader=None)
    ),
    "PAUSE-09: not in pause": Case(
        rules.follow_the_leader, with_settings(NEW_LEADER, paused=True)
    ),
    "we lead": Case(rules.follow_the_leader, LEADER),
    "P-ELEC-08: not at once": Case(
        rules.follow_the_leader, replace(NEW_LEADER, retry_at=NOW + 1)
    ),
    "REPL-10: tagged nostream": Case(
        rules.follow_the_leader, with_settings(NEW_LEADER, tags=tags(nostream=True))
    ),
    "RWD-05: it may still answer": Case(
        rules.wait_no_longer_for_a_leader_that_is_gone,
        with_cluster(CHECKING, leader="pg2"),
    ),
    "RWD-05: our standby runs meanwhile": Case(
        rules.wait_no_longer_for_a_leader_that_is_gone,
        replace(CHECKING, postgres=STANDBY.postgres),
    ),
    "ELEC-14: we wait for nobody, and shall lead": Case(
        rules.release_a_lease_that_found_us_waiting, replace(HANDED, following=None)
    ),
    "ELEC-14: we wait for the leader": Case(
        rules.release_a_lease_that_found_us_waiting,
        with_cluster(HANDED, leader="pg2"),
    ),
    "ELEC-14: our standby runs, and can be promoted": Case(
        rules.release_a_lease_that_found_us_waiting,
        replace(HANDED, postgres=STANDBY.postgres),
    ),
    "ELEC-14: the lease is not ours": Case(
        rules.release_a_lease_that_found_us_waiting, replace(HANDED, lease_until=None)
    ),
    "RWD-05: nobody to compare with was found": Case(
        rules.wait_no_longer_for_a_leader_that_is_gone,
        replace(CHECKING, following=None),
    ),
}


@pytest.mark.parametrize("case", SPEAKS.values(), ids=list(SPEAKS))
def test_it_speaks(case: Case) -> None:
    check_that_it_speaks(case)


@pytest.mark.parametrize("case", SILENT.values(), ids=list(SILENT))
def test_it_is_silent(case: Case) -> None:
    check_that_it_is_silent(case)


def test_a_standby_that_was_compared_has_no_history_of_its_own() -> None:
    """Law 5: then it follows the next leader without another look."""
    busy = replace(FORMER, busy="follow_leader", following=PG2)
    told = decide(busy, IntentFulfilled(intent="follow_leader")).state
    assert not told.was_primary


def test_following_nobody_compares_nothing() -> None:
    """Law 5."""
    busy = replace(FORMER, busy="follow_leader", following=None)
    told = decide(busy, IntentFulfilled(intent="follow_leader")).state
    assert told.was_primary


def test_the_end_of_another_intent_is_not_ours() -> None:
    """One thing at a time: answers of the supervisor to what was given up."""
    busy = replace(STANDBY, busy="become_primary")
    assert decide(busy, IntentFulfilled(intent="follow_leader")).state.busy == (
        "become_primary"
    )


def test_what_the_supervisor_refused_is_said_again() -> None:
    """ELEC-27: nothing waits for ever."""
    told = decide(NEW_LEADER).state
    assert told.busy == "follow_leader"
    reason = because("IN_PROGRESS", action="restart_in_place")
    told = decide(told, IntentRefused(intent="follow_leader", reason=reason)).state
    assert told.busy is None
    assert decide(told, at=told.retry_at).rule == "follow_the_leader"


def test_a_leader_that_moved_is_followed_to_its_new_address() -> None:
    """REPL-10."""
    moved = member("pg2", conn_url="postgres://elsewhere:5433/postgres")
    step = decide(STANDBY, ClusterObserved(view=seen("pg1", moved, leader="pg2").view))
    (order,) = (m for m in step.said if isinstance(m, FollowLeader))
    assert order.upstream is not None
    assert (order.upstream.host, order.upstream.port) == ("elsewhere", "5433")
