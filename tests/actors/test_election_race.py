"""Rules of the race: the leader is gone, who leads next.

ELEC-05, ELEC-07 to ELEC-09, ELEC-20, ELEC-25, ELEC-27, P-ELEC-01, P-ELEC-06, P-ELEC-22,
SYNC-01, SYNC-02, SYNC-10, SYNC-11, P-SYNC-01, P-SYNC-02, P-QUORUM-03, P-FSAFE-03,
P-FSAFE-06, WDOG-04, CB-08, REPL-10.
"""

from dataclasses import replace
from typing import Any

import pytest

from regnal.actors import election_race as rules
from regnal.actors.election_state import AwaitedRecord, Election
from regnal.messages.cluster import FailsafeMember, HistoryLine, LeaderStatus
from regnal.messages.lease import (
    AcquireLeader,
    LeaderAcquired,
    LeaderRenewed,
    LeaseRefused,
    LeaseUnconfirmed,
    ReleaseLeader,
    RenewLeader,
)
from regnal.messages.operations import BecomePrimary, IntentFailed
from regnal.messages.postgres import ObservePostgres, ReplicationEnded
from regnal.messages.probes import PeersProbed, PeerStatus, ProbePeers
from regnal.messages.reasons import because
from regnal.messages.requests import Caller, FailsafePosted
from regnal.messages.store import WriteFailover, WriteSync
from tests.actors.builders import acquired, configured, seen, tags
from tests.actors.election_views import (
    CHOSEN,
    LEADER,
    MEMBERS,
    NOW,
    RACER,
    SILENT_PG2,
    STANDBY,
    Case,
    asked,
    check_that_it_is_silent,
    check_that_it_speaks,
    decide,
    peer,
    sync,
    with_cluster,
    with_postgres,
    with_settings,
)
from tests.actors.operator_model import control

FAILED = because("PRE_PROMOTE_REFUSED", status=1)


def against(*peers: PeerStatus, given: Election = RACER, **settings: Any) -> Election:
    """Our standby at 900, and what the others answered just now."""
    changed = with_settings(given, **settings) if settings else given
    return replace(changed, peers=peers)


def synchronous(
    *standbys: str, leader: str = "pg2", mode: str = "on", quorum: int = 0
) -> Election:
    return with_cluster(
        with_settings(RACER, synchronous_mode=mode),
        sync=sync(leader, *standbys, quorum=quorum),
    )


AHEAD = against(SILENT_PG2, peer("pg3", position=901))
LEVEL = against(SILENT_PG2, peer("pg0"))
"""pg0 has what we have, and its name comes first."""

RUNNING = against(peer("pg2", role="primary", position=5000), peer("pg3"))
WITHOUT_DAEMON = against(
    SILENT_PG2.model_copy(update={"takes_writes": True}), peer("pg3")
)
WAITING = replace(LEVEL, race_after=NOW)
"""It had its time."""

TAGGED = with_settings(RACER, tags=tags(nofailover=True))
PAUSED = with_settings(STANDBY, paused=True)
FAILSAFE = with_settings(RACER, failsafe_mode=True)
PROMISED = replace(FAILSAFE, promised_until=NOW + 20)
SYNC_CHOSEN = with_cluster(
    with_settings(CHOSEN, synchronous_mode="on"), sync=sync("pg2", "pg1", "pg3")
)
SYNC_OURS = with_cluster(SYNC_CHOSEN, sync=sync("pg1"))
SYNC_OF_BEFORE = with_cluster(SYNC_CHOSEN, sync=sync("pg1", "pg2"))
"""We led before, and stepped down; the standbys that our commits waited for then are
still named."""

ARRIVING = with_cluster(CHOSEN, leader="pg1", status=LeaderStatus(optime=950))
STUCK = replace(
    ARRIVING, awaited=AwaitedRecord(wanted=950, position=900, since=NOW - 2)
)
FAILED_PROMOTION = replace(CHOSEN, failed_intent="become_primary", failure=FAILED)
PROMOTED_AND_DOWN = replace(
    FAILED_PROMOTION, phase="stopped", control=control("in production")
)
SUSPICIOUS = replace(STANDBY, suspicious_since=NOW - 1)
LAGGING = with_cluster(RACER, status=LeaderStatus(optime=900 + 1048577))

SPEAKS = {
    "ELEC-07: nobody is ahead": Case(
        rules.acquire_as_the_best_candidate, RACER, (AcquireLeader,)
    ),
    "ELEC-09: whoever is ahead may not lead": Case(
        rules.acquire_as_the_best_candidate,
        against(SILENT_PG2, peer("pg3", position=999, nofailover=True)),
        (AcquireLeader,),
    ),
    "P-ELEC-22: whoever is ahead does not run": Case(
        rules.acquire_as_the_best_candidate,
        against(SILENT_PG2, peer("pg3", position=999, state="starting")),
        (AcquireLeader,),
    ),
    "WDOG-04: whoever is ahead has no watchdog that it needs": Case(
        rules.acquire_as_the_best_candidate,
        against(SILENT_PG2, peer("pg3", position=999, watchdog_failed=True)),
        (AcquireLeader,),
    ),
    "P-ELEC-01: level, and of higher priority": Case(
        rules.acquire_as_the_best_candidate,
        against(SILENT_PG2, peer("pg0"), tags=tags(failover_priority=2)),
        (AcquireLeader,),
    ),
    "P-ELEC-01: the former leader's priority counts for nothing": Case(
        rules.acquire_as_the_best_candidate,
        against(peer("pg2", failover_priority=9)),
        (AcquireLeader,),
    ),
    "ELEC-07: nobody answers": Case(
        rules.acquire_as_the_best_candidate,
        against(SILENT_PG2, peer("pg3", answered=False, position=None)),
        (AcquireLeader,),
    ),
    "ELEC-08: whoever is ahead is on an old timeline": Case(
        rules.acquire_as_the_best_candidate,
        with_cluster(
            with_postgres(
                against(SILENT_PG2, peer("pg3", position=999), check_timeline=True),
                timeline=2,
            ),
            history=(HistoryLine(timeline=1, lsn=500, reason=""),),
        ),
        (AcquireLeader,),
    ),
    "law 3: whoever is ahead has diverged": Case(
        rules.acquire_as_the_best_candidate,
        with_cluster(
            with_postgres(against(SILENT_PG2, peer("pg3", position=999)), timeline=2),
            history=(HistoryLine(timeline=1, lsn=998, reason=""),),
        ),
        (AcquireLeader,),
    ),
    "SYNC-01: a synchronous standby": Case(
        rules.acquire_as_the_best_candidate, synchronous("pg1"), (AcquireLeader,)
    ),
    "SYNC-10: whatever the case of its name": Case(
        rules.acquire_as_the_best_candidate, synchronous("PG1"), (AcquireLeader,)
    ),
    "SYNC-01: whoever is ahead is not synchronous": Case(
        rules.acquire_as_the_best_candidate,
        replace(synchronous("pg1"), peers=(peer("pg3", position=5000),)),
        (AcquireLeader,),
    ),
    "P-SYNC-18: no key restricts nobody": Case(
        rules.acquire_as_the_best_candidate,
        with_settings(RACER, synchronous_mode="on"),
        (AcquireLeader,),
    ),
    "P-SYNC-02: a failover by hand to an asynchronous member": Case(
        rules.acquire_as_the_best_candidate,
        asked(synchronous("pg3"), candidate="pg1"),
        (AcquireLeader,),
    ),
    "P-QUORUM-03: enough voters are not ahead": Case(
        rules.acquire_as_the_best_candidate,
        synchronous("pg1", "pg3", mode="quorum", quorum=1),
        (AcquireLeader,),
    ),
    "P-QUORUM-03: the last leader may return if nobody is ahead": Case(
        rules.acquire_as_the_best_candidate,
        synchronous("pg2", "pg3", leader="pg1", mode="quorum", quorum=2),
        (AcquireLeader,),
    ),
    "P-FSAFE-03: listed": Case(
        rules.acquire_as_the_best_candidate,
        with_cluster(
            FAILSAFE, failsafe=(FailsafeMember(name="pg1", api_url="http://pg1"),)
        ),
        (AcquireLeader,),
    ),
    "ELEC-25: the candidate that was asked for, though behind": Case(
        rules.acquire_as_the_best_candidate,
        asked(AHEAD, candidate="pg1"),
        (AcquireLeader,),
    ),
    "ELEC-27: the candidate that was asked for may not lead": Case(
        rules.acquire_as_the_best_candidate,
        asked(
            against(SILENT_PG2, peer("pg3", position=800, nofailover=True)),
            candidate="pg3",
        ),
        (AcquireLeader,),
    ),
    "flows 3: level, and the first had its time": Case(
        rules.acquire_as_the_next_candidate, WAITING, (AcquireLeader,)
    ),
    "P-ELEC-01: of lower priority, and the first had its time": Case(
        rules.acquire_as_the_next_candidate,
        replace(against(SILENT_PG2, peer("pg3", failover_priority=5)), race_after=NOW),
        (AcquireLeader,),
    ),
    "ELEC-07: somebody is ahead": Case(rules.leave_the_race_to_a_better_one, AHEAD),
    "ELEC-07: we lag too far": Case(rules.leave_the_race_to_a_better_one, LAGGING),
    "ELEC-08: we are on an old timeline": Case(
        rules.leave_the_race_to_a_better_one,
        with_cluster(
            with_settings(RACER, check_timeline=True),
            history=(HistoryLine(timeline=1, lsn=500, reason=""),),
        ),
    ),
    "SYNC-01: we are not synchronous": Case(
        rules.leave_the_race_to_a_better_one, synchronous("pg3")
    ),
    "P-SYNC-01: nor for a switchover": Case(
        rules.leave_the_race_to_a_better_one,
        asked(synchronous("pg3"), leader="pg2", candidate="pg1"),
    ),
    "P-QUORUM-03: too few voters answered": Case(
        rules.leave_the_race_to_a_better_one,
        replace(
            synchronous("pg1", "pg3", mode="quorum", quorum=1), peers=(SILENT_PG2,)
        ),
    ),
    "P-QUORUM-03: who is no voter needs one more": Case(
        rules.leave_the_race_to_a_better_one,
        synchronous("pg3", "pg4", mode="quorum", quorum=1),
    ),
    "P-FSAFE-03: not listed": Case(
        rules.leave_the_race_to_a_better_one,
        with_cluster(
            FAILSAFE, failsafe=(FailsafeMember(name="pg3", api_url="http://pg3"),)
        ),
    ),
    "WDOG-04: our guard or our watchdog does not work": Case(
        rules.leave_the_race_to_a_better_one,
        replace(RACER, fencing="failed"),
    ),
    "ELEC-25: another was asked for": Case(
        rules.leave_the_race_to_a_better_one, asked(RACER, candidate="pg3")
    ),
    "ELEC-07: our tags forbid that we lead": Case(rules.stay_out_of_the_race, TAGGED),
    "P-ELEC-06: the old leader still runs": Case(
        rules.stand_back_for_a_running_primary, RUNNING
    ),
    "P-ELEC-06: it takes writes, and its daemon does not answer": Case(
        rules.stand_back_for_a_running_primary, WITHOUT_DAEMON
    ),
    "P-FSAFE-06: a primary goes on without a store": Case(
        rules.leave_the_lease_to_a_primary_without_a_store, PROMISED
    ),
    "P-FSAFE-06: we promised while we asked for the lease": Case(
        rules.leave_the_lease_to_a_primary_without_a_store,
        replace(PROMISED, lease_until=NOW + 30),
        (ReleaseLeader,),
    ),
    "SYNC-02: the key first": Case(
        rules.claim_the_sync_key,
        SYNC_CHOSEN,
        (
            WriteSync(
                leader="pg1",
                standbys=(),
                quorum=0,
                if_revision=3,
                deadline=NOW + 10,
            ),
        ),
    ),
    "law 4: the key of our own reign before first": Case(
        rules.claim_the_sync_key, SYNC_OF_BEFORE, (WriteSync,)
    ),
    "SYNC-02: and waited for": Case(
        rules.claim_the_sync_key, replace(SYNC_CHOSEN, claiming_sync=True)
    ),
    "P-SYNC-07: there is none yet": Case(
        rules.claim_the_sync_key,
        with_settings(CHOSEN, synchronous_mode="quorum"),
        (WriteSync,),
    ),
    "P-ELEC-02: the last records are on their way": Case(
        rules.wait_for_the_last_record, ARRIVING, (ObservePostgres,)
    ),
    "law 3: with the lease in hand": Case(
        rules.promote_with_the_lease, CHOSEN, (BecomePrimary,)
    ),
    "SYNC-02: and the sync key": Case(
        rules.promote_with_the_lease, SYNC_OURS, (BecomePrimary,)
    ),
    "ELEC-27: the last records come nearer": Case(
        rules.wait_for_the_last_record,
        replace(STUCK, awaited=AwaitedRecord(wanted=950, position=890, since=NOW - 9)),
        (ObservePostgres,),
    ),
    "ELEC-27: what was awaited of another leader does not count": Case(
        rules.wait_for_the_last_record,
        replace(STUCK, awaited=AwaitedRecord(wanted=940, position=900, since=NOW - 9)),
        (ObservePostgres,),
    ),
    "ELEC-27: the stream looks alive, and nothing comes": Case(
        rules.promote_with_the_lease, STUCK, (BecomePrimary,)
    ),
    "ELEC-27: the last records will not come any more": Case(
        rules.promote_with_the_lease,
        with_postgres(ARRIVING, receiver=None),
        (BecomePrimary,),
    ),
    "CB-08: the promotion failed": Case(
        rules.release_after_a_failed_promotion, FAILED_PROMOTION, (ReleaseLeader,)
    ),
    "ELEC-11: it was promoted, and ended before anybody was told": Case(
        rules.take_a_promotion_for_done, PROMOTED_AND_DOWN, (ObservePostgres,)
    ),
    "CB-08: and the request that named us": Case(
        rules.release_after_a_failed_promotion,
        asked(FAILED_PROMOTION, candidate="pg1"),
        (WriteFailover, ReleaseLeader),
    ),
    "flows 3: the receiver lost the leader": Case(
        rules.probe_the_members_on_suspicion,
        replace(SUSPICIOUS, peers_at=NOW - 60),
        (ProbePeers,),
    ),
    "flows 3: the key is gone": Case(
        rules.probe_the_members_on_suspicion,
        replace(RACER, peers_at=NOW - 3),
        (ProbePeers,),
    ),
    "ELEC-07: the answers are not there": Case(
        rules.wait_for_the_answers, replace(RACER, peers_at=NOW - 3, probing=True)
    ),
}
SILENT = {
    "law 3: whoever is ahead is on an old timeline, and has not diverged": Case(
        rules.acquire_as_the_best_candidate,
        with_cluster(
            with_postgres(against(SILENT_PG2, peer("pg3", position=999)), timeline=2),
            history=(HistoryLine(timeline=1, lsn=999, reason=""),),
        ),
    ),
    "law 3: we have diverged": Case(
        rules.acquire_as_the_best_candidate,
        with_cluster(RACER, history=(HistoryLine(timeline=1, lsn=899, reason=""),)),
    ),
    "ELEC-07: there is a leader": Case(rules.acquire_as_the_best_candidate, STANDBY),
    "ELEC-07: the answers are old": Case(
        rules.acquire_as_the_best_candidate, replace(RACER, peers_at=NOW - 3)
    ),
    "ELEC-09: we are tagged nofailover": Case(
        rules.acquire_as_the_best_candidate,
        TAGGED,
    ),
    "P-ELEC-22: we are starting": Case(
        rules.acquire_as_the_best_candidate,
        with_postgres(replace(RACER, phase="starting"), process="starting"),
    ),
    "PAUSE-03: in pause": Case(
        rules.acquire_as_the_best_candidate, with_settings(RACER, paused=True)
    ),
    "P-ELEC-13: the store was wiped": Case(
        rules.acquire_as_the_best_candidate, with_cluster(RACER, initialize=None)
    ),
    "flows 6: the store does not answer": Case(
        rules.acquire_as_the_best_candidate, replace(RACER, store_lost_at=NOW - 1)
    ),
    "the daemon ends": Case(
        rules.acquire_as_the_best_candidate, replace(RACER, shutdown=True)
    ),
    "CB-08: we failed just now": Case(
        rules.acquire_as_the_best_candidate, replace(RACER, stand_back_until=NOW + 1)
    ),
    "flows 3: level, and the first has its time": Case(
        rules.acquire_as_the_next_candidate, replace(LEVEL, race_after=NOW + 0.1)
    ),
    "ELEC-07: behind, for ever": Case(
        rules.acquire_as_the_next_candidate, replace(AHEAD, race_after=NOW - 60)
    ),
    "ELEC-07: we are the best": Case(rules.leave_the_race_to_a_better_one, RACER),
    "ELEC-07: no tag forbids that we lead": Case(rules.stay_out_of_the_race, RACER),
    "ELEC-07: we said so just now": Case(
        rules.stay_out_of_the_race, replace(TAGGED, race_after=NOW + 1)
    ),
    "P-ELEC-06: it does not answer": Case(
        rules.stand_back_for_a_running_primary, RACER
    ),
    "P-ELEC-06: what does not answer takes no writes": Case(
        rules.stand_back_for_a_running_primary,
        against(SILENT_PG2.model_copy(update={"takes_writes": False})),
    ),
    "SYNC-11: the former leader is ahead and a standby": Case(
        rules.stand_back_for_a_running_primary,
        against(peer("pg2", position=5000)),
    ),
    "P-FSAFE-06: the promise is over": Case(
        rules.leave_the_lease_to_a_primary_without_a_store,
        replace(FAILSAFE, promised_until=NOW),
    ),
    "law 4: it is ours, and lets a standby lead": Case(
        rules.promote_with_the_lease, SYNC_OF_BEFORE
    ),
    "SYNC-02: it is ours": Case(rules.claim_the_sync_key, SYNC_OURS),
    "SYNC-02: we do not lead": Case(
        rules.claim_the_sync_key, replace(SYNC_CHOSEN, lease_until=None)
    ),
    "P-SYNC-11: off in a standby cluster": Case(
        rules.claim_the_sync_key,
        with_settings(
            SYNC_CHOSEN, synchronous_mode="on", standby_cluster={"host": "far"}
        ),
    ),
    "P-ELEC-02: all is there": Case(
        rules.wait_for_the_last_record,
        with_cluster(ARRIVING, status=LeaderStatus(optime=900)),
    ),
    "ELEC-27: nothing of it came for too long": Case(
        rules.wait_for_the_last_record, STUCK
    ),
    "law 3: the lease has not the time": Case(
        rules.promote_with_the_lease, replace(CHOSEN, lease_until=NOW + 6.9)
    ),
    "law 3: no lease": Case(rules.promote_with_the_lease, RACER),
    "law 3: the key is another's": Case(
        rules.promote_with_the_lease, with_cluster(CHOSEN, leader="pg3")
    ),
    "SYNC-02: before the sync key is ours": Case(
        rules.promote_with_the_lease, SYNC_CHOSEN
    ),
    "SBY-01: a standby leader": Case(
        rules.promote_with_the_lease,
        with_settings(CHOSEN, standby_cluster={"host": "far"}),
    ),
    "PAUSE-03: not by itself in pause": Case(
        rules.promote_with_the_lease, with_settings(CHOSEN, paused=True)
    ),
    "CB-08: it failed before": Case(rules.promote_with_the_lease, FAILED_PROMOTION),
    "CB-08: it ended in recovery": Case(
        rules.take_a_promotion_for_done,
        replace(PROMOTED_AND_DOWN, control=control("in archive recovery")),
    ),
    "CB-08: it did not fail": Case(rules.release_after_a_failed_promotion, CHOSEN),
    "flows 3: no reason": Case(
        rules.probe_the_members_on_suspicion, replace(STANDBY, peers_at=NOW - 60)
    ),
    "flows 3: being asked": Case(
        rules.probe_the_members_on_suspicion,
        replace(SUSPICIOUS, peers_at=NOW - 60, probing=True),
    ),
    "ELEC-07: the answers are there": Case(rules.wait_for_the_answers, RACER),
}


@pytest.mark.parametrize("case", SPEAKS.values(), ids=list(SPEAKS))
def test_it_speaks(case: Case) -> None:
    check_that_it_speaks(case)


@pytest.mark.parametrize("case", SILENT.values(), ids=list(SILENT))
def test_it_is_silent(case: Case) -> None:
    check_that_it_is_silent(case)


def test_whoever_never_may_lead_acquires_nothing_however_long_it_takes() -> None:
    """ELEC-07, SYNC-01: for each of the situations in which we leave the race."""
    for name, case in SPEAKS.items():
        if case.rule is not rules.leave_the_race_to_a_better_one:
            continue
        waited = replace(case.given, race_after=NOW - 100)
        assert not any(isinstance(m, AcquireLeader) for m in decide(waited).said), name


def test_the_journal_tells_why_each_was_taken_or_passed_over() -> None:
    """Architecture 3: a verdict per candidate."""
    given = against(SILENT_PG2, peer("pg3", position=800), peer("pg4", nofailover=True))
    verdicts = {c.member: c.verdict.code for c in decide(given).facts["candidates"]}
    assert verdicts == {
        "pg1": "BEST",
        "pg2": "CANDIDATE_NOT_REACHABLE",
        "pg3": "CANDIDATE_BEHIND",
        "pg4": "CANDIDATE_NOFAILOVER",
    }


def test_those_who_vanished_with_the_leader_are_asked_too() -> None:
    """ELEC-20."""
    told = decide(STANDBY, seen("pg1", leader=None)).state
    (probe,) = (
        m
        for m in decide(replace(told, probing=False, peers_at=NOW - 60)).said
        if isinstance(m, ProbePeers)
    )
    assert [target.name for target in probe.targets] == ["pg2", "pg3"]


@pytest.mark.parametrize(
    ("members", "within"),
    [
        pytest.param(("pg1", "pg3"), 0.5, id="its key is gone: its lease ended"),
        pytest.param(("pg1", "pg2", "pg3"), None, id="its key is there: it may lead"),
    ],
)
def test_the_former_leader_is_not_waited_for_in_full(
    members: tuple[str, ...], within: float | None
) -> None:
    """A host that is gone answers nothing, and refuses nothing."""
    given = with_cluster(
        replace(STANDBY, last_leader="pg2", peers_at=NOW - 60),
        *(there for there in STANDBY.known_members if there.name in members),
        leader=None,
    )
    (probe,) = (m for m in decide(given).said if isinstance(m, ProbePeers))
    found = {target.name: target.within for target in probe.targets}
    assert found == {"pg2": within, "pg3": None}


@pytest.mark.parametrize(
    ("before", "asked_for"),
    [
        pytest.param({"last_leader": "pg2"}, None, id="its guard has ended it"),
        pytest.param(
            {"last_leader": "pg2", "settings": PAUSED.settings},
            "postgres://pg2:5432/postgres",
            id="nothing fences in pause",
        ),
        pytest.param(
            {"last_leader": None, "cluster": None},
            "postgres://pg2:5432/postgres",
            id="nobody knows how the last one ended",
        ),
    ],
)
def test_a_leader_that_nothing_fenced_is_asked_itself_whether_it_takes_writes(
    before: dict[str, Any], asked_for: str | None
) -> None:
    """Law 1: though its daemon may be down."""
    given = replace(STANDBY, peers_at=NOW - 60, **before)
    told = decide(given, seen(*STANDBY.known_members, leader=None)).state
    resumed = replace(told, settings=STANDBY.settings, probing=False)
    (probe,) = (m for m in decide(resumed).said if isinstance(m, ProbePeers))
    asked_of = {target.name: target.conn_url for target in probe.targets}
    assert asked_of["pg2"] == asked_for
    # And no longer, once somebody leads again.
    led = decide(resumed, seen(*STANDBY.known_members, leader="pg3")).state
    assert not led.left_unfenced


def test_who_takes_writes_without_a_daemon_is_named_and_what_to_do() -> None:
    reason = decide(WITHOUT_DAEMON).facts["reason"]
    assert (reason.code, reason.parameters[0].value) == (
        "PRIMARY_WITHOUT_DAEMON",
        "pg2",
    )


def test_members_that_only_the_failsafe_key_knows_are_asked_too() -> None:
    """P-FSAFE-03."""
    given = with_cluster(
        replace(FAILSAFE, peers_at=NOW - 60),
        failsafe=(FailsafeMember(name="pg9", api_url="http://pg9"),),
    )
    (probe,) = (m for m in decide(given).said if isinstance(m, ProbePeers))
    assert [target.name for target in probe.targets] == ["pg2", "pg3", "pg9"]


def test_nothing_is_acquired_on_suspicion() -> None:
    """Flows 3: the members look early and decide late."""
    told = decide(STANDBY, ReplicationEnded(received_lsn=900))
    assert [type(m) for m in told.said if isinstance(m, ProbePeers)] == [ProbePeers]
    answered = decide(told.state, PeersProbed(peers=RACER.peers, asked_at=NOW))
    assert not any(isinstance(m, AcquireLeader) for m in answered.said)
    gone = decide(answered.state, seen(*MEMBERS, leader=None))
    assert [type(m) for m in gone.said if isinstance(m, AcquireLeader)]


def test_the_loser_of_the_race_follows_the_winner() -> None:
    """ELEC-07."""
    asking = replace(RACER, asking="acquire")
    refused = decide(asking, LeaseRefused(action="acquire", holder="pg3")).state
    told = decide(refused, seen(*MEMBERS, leader="pg3"))
    assert told.rule == "follow_the_leader"


def test_a_worse_place_waits_longer() -> None:
    """Flows 3: the store sees one winner and not a stampede."""
    waits = []
    for peers in ((peer("pg0"),), (peer("pg0"), peer("pg00", position=950))):
        told = decide(against(*peers)).state
        assert told.race_after is not None
        waits.append(told.race_after - NOW)
    assert waits == sorted(set(waits))


def posted() -> FailsafePosted:
    return FailsafePosted(
        request="r",
        caller=Caller(address="pg2", username=None, user_agent=None),
        name="pg2",
        conn_url="",
        api_url="",
        slots=(),
    )


def test_a_promise_holds_for_ttl_and_forbids_the_race() -> None:
    """P-FSAFE-06."""
    told = decide(FAILSAFE, posted()).state
    assert told.promised_until == NOW + 30
    fresh = replace(told, peers_at=NOW + 29)
    assert decide(fresh, at=NOW + 29).rule == (
        "leave_the_lease_to_a_primary_without_a_store"
    )
    fresh = replace(told, peers_at=NOW + 30)
    assert decide(fresh, at=NOW + 30).rule == "acquire_as_the_best_candidate"


def test_a_leader_promises_nothing() -> None:
    """P-FSAFE-04: the `rest` actor refuses; we lead."""
    given = with_settings(LEADER, failsafe_mode=True)
    assert decide(given, posted()).state.promised_until is None


def test_where_the_mode_is_off_nothing_is_promised() -> None:
    assert decide(RACER, posted()).state.promised_until is None


def test_a_lease_that_comes_after_the_promise_is_given_back() -> None:
    """P-FSAFE-06: the request was on its way when we said yes."""
    asking = replace(FAILSAFE, asking="acquire")
    told = decide(asking, posted()).state
    step = decide(told, acquired(NOW + 30))
    assert any(isinstance(m, ReleaseLeader) for m in step.said)
    assert not any(isinstance(m, BecomePrimary) for m in step.said)


@pytest.mark.parametrize(
    ("peers", "races"),
    [
        pytest.param((peer("pg2"), peer("pg3", position=800)), True, id="all answer"),
        pytest.param(
            (SILENT_PG2, peer("pg3", position=800)), False, id="one is silent"
        ),
    ],
)
def test_after_a_start_nobody_remembers_what_was_promised(
    peers: tuple[PeerStatus, ...], races: bool
) -> None:
    """P-FSAFE-06: the daemon was restarted within ttl of its yes."""
    listed = tuple(FailsafeMember(name=n, api_url=f"http://{n}") for n in MEMBERS)
    fresh = replace(FAILSAFE, settings=None, cluster=FAILSAFE.cluster)
    told = decide(fresh, configured(failsafe_mode=True)).state
    assert told.promised_until == NOW + 30
    told = replace(with_cluster(told, failsafe=listed), peers=peers, peers_at=NOW)
    step = decide(told)
    assert any(isinstance(m, AcquireLeader) for m in step.said) == races


def test_a_failed_promotion_leaves_the_race_to_others_for_a_loop() -> None:
    """CB-08, ELEC-14."""
    busy = replace(CHOSEN, busy="become_primary")
    told = decide(busy, IntentFailed(intent="become_primary", reason=FAILED)).state
    assert told.asking == "release"
    assert told.stand_back_until == NOW + 10


def test_the_lease_is_asked_for_once() -> None:
    """`asking` ends with the answer, whatever it is."""
    told = decide(RACER).state
    assert told.asking == "acquire"
    assert not any(isinstance(m, AcquireLeader) for m in decide(told).said)
    assert (
        decide(told, LeaderAcquired(member="pg1", valid_until=NOW + 30)).state.asking
        is None
    )


def test_the_lag_is_that_behind_the_status_key() -> None:
    """ELEC-05, ELEC-07: exactly the limit is allowed."""
    status = LeaderStatus(optime=900 + 1048576)
    given = with_cluster(RACER, status=status)
    assert decide(given).rule == "acquire_as_the_best_candidate"


@pytest.mark.parametrize("action", ["release", "hand_over"])
def test_a_lease_that_we_may_have_given_up_promotes_nobody_before_it_is_renewed(
    action: Any,
) -> None:
    """Law 3: the store may have done what it did not answer."""
    unanswered = LeaseUnconfirmed(action=action, error="no answer")
    unknown = decide(replace(CHOSEN, asking=action), unanswered)
    said = [type(message) for message in unknown.said]
    assert RenewLeader in said
    assert BecomePrimary not in said
    renewed = LeaderRenewed(member="pg1", valid_until=NOW + 30)
    said = [type(message) for message in decide(unknown.state, renewed).said]
    assert BecomePrimary in said


def test_a_lease_that_we_have_given_up_is_gone() -> None:
    unanswered = LeaseUnconfirmed(action="release", error="no answer")
    unknown = decide(replace(CHOSEN, asking="release"), unanswered).state
    refused = decide(unknown, LeaseRefused(action="renew", holder=None)).state
    assert not refused.has_lease
    assert not refused.given_up


def test_who_claimed_the_key_and_was_not_promoted_leads_though_another_is_ahead() -> (
    None
):
    """P-QUORUM-03: nobody can vote for the other, and each would wait for the other."""
    claimed = synchronous(leader="pg1", mode="quorum")
    ahead = against(SILENT_PG2, peer("pg3", position=901), given=claimed)
    check_that_it_speaks(
        Case(rules.acquire_as_the_best_candidate, ahead, (AcquireLeader,))
    )
    others = synchronous("pg1", "pg3", mode="quorum", quorum=1)
    voted = against(SILENT_PG2, peer("pg3", position=901), given=others)
    check_that_it_is_silent(Case(rules.acquire_as_the_best_candidate, voted))
