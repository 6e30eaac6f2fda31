"""Rules of the race: the leader is gone, who leads next.

Suspicion makes the members look early; only the missing key makes them act.
The best candidate, by its own view, asks for the lease at once, the others later
the worse they are placed: the store picks one, and there is no stampede.
"""

from regnal.actors.candidates import (
    Candidate,
    judge,
    myself,
    running_primary,
)
from regnal.actors.election_lease import ask_for_the_lease
from regnal.actors.election_probe import probe_all
from regnal.actors.election_rule import Conclusion
from regnal.actors.election_shutdown import clear_failover
from regnal.actors.election_state import PROMOTION_RESERVE, AwaitedRecord, Election
from regnal.messages.base import Instant, MemberName
from regnal.messages.frozen import replace
from regnal.messages.lease import ReleaseLeader
from regnal.messages.operations import BecomePrimary
from regnal.messages.postgres import ObservePostgres
from regnal.messages.reasons import because
from regnal.messages.store import WriteSync

DELAY_PER_RANK = 0.5
"""Seconds that each better candidate is given before we try ourselves."""

LAST_RECORD_POLL = 0.02
"""Seconds between two looks at our position while the last records arrive."""

LAST_RECORD_PATIENCE = 0.5
"""Seconds without a byte of them after which no more are on their way.  A host without
power, or cut off in one direction, closes no connection: WAL receivers seem to stream
from it for wal_receiver_timeout (60 s)."""

STAND_BACK_FOR = 2.0
"""Seconds until a member that must not lead looks again."""


def probe_the_members_on_suspicion(view: Election, now: Instant) -> Conclusion | None:
    """The leader may be gone: see in advance where everybody stands.  Nothing is
    acquired on suspicion."""
    if view.suspicious_since is None and view.leader is not None:
        return None
    if view.probing or view.peers_are_fresh(now) or view.has_lease:
        return None
    if not view.is_standby or view.cluster is None or view.asking:
        return None
    if not view.cluster.is_initialized or view.paused or view.shutdown:
        return None
    targets = probe_all(view)
    return Conclusion(
        replace(view, probing=True),
        said=(targets,),
        facts={"leader": view.leader, "suspicious_since": view.suspicious_since},
    )


def wait_for_the_answers(view: Election, now: Instant) -> Conclusion | None:
    """The race is decided on fresh answers only."""
    if not _may_race(view, now) or not view.probing or view.peers_are_fresh(now):
        return None
    return Conclusion(view)


def stay_out_of_the_race(view: Election, now: Instant) -> Conclusion | None:
    """The key is gone, and we must not lead: say so, for whoever asks why nobody does."""
    settings = view.settings
    if not _race_is_on(view, now) or settings is None or settings.tags.may_lead:
        return None
    if view.race_after is not None and now < view.race_after:
        return None
    own = Candidate(
        member=view.member,
        verdict=because("CANDIDATE_NOFAILOVER", member=view.member),
        position=view.position,
        timeline=view.postgres.timeline if view.postgres else 0,
        priority=settings.tags.failover_priority,
    )
    return Conclusion(
        replace(view, race_after=now + STAND_BACK_FOR),
        facts={"leader_gone_at": view.leader_gone_at, "candidates": (own,)},
    )


def stand_back_for_a_running_primary(view: Election, now: Instant) -> Conclusion | None:
    """P-ELEC-06: the old leader still runs as primary; it must retake the key or
    stop before anybody promotes.  After a pause it may run without its daemon."""
    if not _may_race(view, now) or not view.peers_are_fresh(now):
        return None
    primary = running_primary(view.peers, view.member)
    if primary is None:
        return None
    why = "PRIMARY_STILL_RUNS" if primary.answered else "PRIMARY_WITHOUT_DAEMON"
    facts = {"reason": because(why, member=primary.name)}
    if view.race_after is not None and now < view.race_after:
        return Conclusion(view, facts=facts)
    return Conclusion(replace(view, race_after=now + STAND_BACK_FOR), facts=facts)


def acquire_as_the_best_candidate(view: Election, now: Instant) -> Conclusion | None:
    """The key is gone, and by our view nobody is better placed."""
    if not _may_race(view, now) or not view.peers_are_fresh(now):
        return None
    candidates = race(view)
    if candidates[0].member != view.member or not candidates[0].may_lead:
        return None
    if not _has_the_votes(view):
        return None
    return Conclusion(
        replace(view, asking="acquire", race_after=None),
        said=(ask_for_the_lease(view, now),),
        facts={"leader_gone_at": view.leader_gone_at, "candidates": candidates},
    )


def acquire_as_the_next_candidate(view: Election, now: Instant) -> Conclusion | None:
    """Those that were better placed had their time and did not take the lease.

    Only one that is level may do so: who is behind stays behind, since the better
    one answered and its rows would be lost.
    """
    if not _may_race(view, now) or view.race_after is None or now < view.race_after:
        return None
    if not view.peers_are_fresh(now):
        return None
    own = _own(race(view), view)
    if own is None or own.verdict.code not in (
        "CANDIDATE_LEVEL",
        "CANDIDATE_LOWER_PRIORITY",
    ):
        return None
    if not _has_the_votes(view):
        return None
    return Conclusion(
        replace(view, asking="acquire", race_after=None),
        said=(ask_for_the_lease(view, now),),
        facts={"leader_gone_at": view.leader_gone_at, "candidates": race(view)},
    )


def leave_the_race_to_a_better_one(view: Election, now: Instant) -> Conclusion | None:
    """Somebody else is better placed, or we must not lead."""
    if not _may_race(view, now) or not view.peers_are_fresh(now):
        return None
    if view.race_after is not None and now < view.race_after:
        return Conclusion(view)
    candidates = race(view)
    rank = [candidate.member for candidate in candidates].index(view.member)
    delay = max(DELAY_PER_RANK * rank, DELAY_PER_RANK)
    return Conclusion(
        replace(view, race_after=now + delay),
        facts={"leader_gone_at": view.leader_gone_at, "candidates": candidates},
    )


def leave_the_lease_to_a_primary_without_a_store(
    view: Election, now: Instant
) -> Conclusion | None:
    """P-FSAFE-06: it goes on because we let it, though its lease has expired.  What we
    asked for before we said yes is given back."""
    if not view.has_promised(now) or view.settings is None or view.asking:
        return None
    if not view.is_standby or view.paused or view.shutdown:
        return None
    facts = {"promised_until": view.promised_until, "known": view.promise_is_known}
    if not view.has_lease:
        if view.leader is not None or not view.peers_are_fresh(now):
            return None
        return Conclusion(view, facts=facts)
    return Conclusion(
        replace(view, asking="release"),
        said=(
            ReleaseLeader(
                member=view.member,
                last_lsn=None,
                deadline=now + view.settings.retry_timeout,
            ),
        ),
        facts=facts,
    )


def claim_the_sync_key(view: Election, now: Instant) -> Conclusion | None:
    """SYNC-02: before we take writes nobody else may be promoted by `sync`."""
    cluster, settings = view.cluster, view.settings
    if cluster is None or settings is None or not settings.is_synchronous:
        return None
    if not is_about_to_promote(view, now) or _sync_is_ours(view):
        return None
    if view.claiming_sync:
        return Conclusion(view)
    sync = cluster.sync
    return Conclusion(
        replace(view, claiming_sync=True),
        said=(
            WriteSync(
                leader=view.member,
                standbys=(),
                quorum=0,
                if_revision=sync.revision if sync else None,
                deadline=now + settings.retry_timeout,
            ),
        ),
        facts={"sync": sync},
    )


def wait_for_the_last_record(view: Election, now: Instant) -> Conclusion | None:
    """The old leader's last records are still on their way to us: while they come we
    may yet receive them all, and promoting would cut them off."""
    if not is_about_to_promote(view, now):
        return None
    assert view.cluster is not None
    assert view.postgres is not None
    wanted = view.cluster.status.optime if view.cluster.status else 0
    if view.position >= wanted or view.postgres.replication_state != "streaming":
        return None
    awaited = view.awaited
    if awaited is None or (awaited.wanted, awaited.position) != (wanted, view.position):
        awaited = AwaitedRecord(wanted=wanted, position=view.position, since=now)
    if now >= awaited.since + LAST_RECORD_PATIENCE:
        return None
    facts = {"wanted": wanted, "position": view.position}
    if view.poll_at is not None:
        return Conclusion(replace(view, awaited=awaited), facts=facts)
    return Conclusion(
        replace(view, poll_at=now + LAST_RECORD_POLL, awaited=awaited),
        said=(ObservePostgres(),),
        facts=facts,
    )


def promote_with_the_lease(view: Election, now: Instant) -> Conclusion | None:
    """Law 3: with the lease in hand and time to spare; law 2: fencing stands."""
    if not is_about_to_promote(view, now) or view.fencing != "stands":
        return None
    is_synchronous = view.settings is not None and view.settings.is_synchronous
    if is_synchronous and not _sync_is_ours(view):
        return None
    return Conclusion(
        replace(view, busy="become_primary"),
        said=(
            BecomePrimary(
                not_after=view.last_moment,
                reason=because("LEADER_CHANGED", leader=view.member),
            ),
        ),
        facts={
            "lease_left": view.lease_left(now),
            "position": view.position,
            "timeline": view.postgres.timeline if view.postgres else 0,
        },
    )


def take_a_promotion_for_done(view: Election, now: Instant) -> Conclusion | None:
    """Nobody confirmed the promotion, and yet PostgreSQL was a primary when it ended.

    It has begun a timeline, which another member would begin anew, and nobody could tell
    the two apart: so it is a primary that crashed, to be started again (ELEC-11).
    """
    if not view.has_lease or view.failed_intent != "become_primary" or view.asking:
        return None
    if view.phase != "stopped" or view.control is None or view.control.is_of_a_standby:
        return None
    return Conclusion(
        replace(view, failed_intent=None, was_primary=True),
        said=(ObservePostgres(),),
        facts={"reason": view.failure, "control": view.control},
    )


def release_after_a_failed_promotion(view: Election, now: Instant) -> Conclusion | None:
    """We hold the lease and cannot use it (CB-08, ELEC-14).

    Then it is somebody else's turn: we stand back for a while, and a request that
    named us as the candidate has failed; left there it would keep the others out.
    """
    if not view.has_lease or view.failed_intent != "become_primary" or view.asking:
        return None
    if view.settings is None or view.phase == "primary":
        return None
    request = view.cluster.failover if view.cluster else None
    names_us = request is not None and request.candidate == view.member
    return Conclusion(
        replace(
            view,
            asking="release",
            failed_intent=None,
            retry_at=now + view.settings.loop_wait,
            stand_back_until=now + view.settings.loop_wait,
            clearing_failover=view.clearing_failover or names_us,
        ),
        said=(
            *((clear_failover(view, now),) if names_us else ()),
            ReleaseLeader(
                member=view.member,
                last_lsn=None,
                deadline=now + view.settings.retry_timeout,
            ),
        ),
        facts={"reason": view.failure, "request": request if names_us else None},
    )


def race(view: Election) -> tuple[Candidate, ...]:
    """All members as they answered, and ourselves, the best first.

    A candidate that was asked for keeps the others from leading only if it is there
    and may lead itself.
    """
    assert view.cluster is not None
    assert view.settings is not None
    request = view.cluster.failover
    asked_for = request.candidate if request else None
    # A failover may go to an asynchronous member, a switchover may not (P-SYNC-02).
    any_sync = request is not None and request.leader is None
    if asked_for is not None:
        candidates = _judge_all(view, asked_for, any_sync)
        if candidates[0].may_lead:
            return candidates
    return _judge_all(view, None, False)


def _judge_all(
    view: Election, asked_for: MemberName | None, any_sync: bool
) -> tuple[Candidate, ...]:
    assert view.cluster is not None
    assert view.settings is not None
    own = myself(
        view.settings,
        view.position,
        view.postgres.timeline if view.postgres else 0,
        unfenced=view.fencing == "failed",
        barred=view.is_barred,
    )
    peers = tuple(peer for peer in view.peers if peer.name != view.member)
    return judge(
        (own, *peers),
        view.cluster,
        view.settings,
        asked_for=asked_for,
        any_sync=any_sync,
        former=view.last_leader,
    )


def _own(candidates: tuple[Candidate, ...], view: Election) -> Candidate | None:
    for candidate in candidates:
        if candidate.member == view.member:
            return candidate
    return None


def _has_the_votes(view: Election) -> bool:
    """P-QUORUM-03: enough voters are not ahead of us.  True outside quorum mode."""
    settings, cluster = view.settings, view.cluster
    if settings is None or cluster is None or settings.synchronous_mode != "quorum":
        return True
    sync = cluster.sync
    if sync is None or sync.leader is None or sync.leader == view.member:
        return True
    voters = {name.lower() for name in sync.standbys}
    votes = sum(
        1
        for peer in view.peers
        if peer.name.lower() in voters
        and peer.answered
        and peer.position is not None
        and peer.position <= view.position
    )
    needed = sync.quorum if view.member.lower() in voters else sync.quorum + 1
    return votes >= needed


def _may_race(view: Election, now: Instant) -> bool:
    """The race is on, and no tag of ours forbids that we lead."""
    settings = view.settings
    return settings is not None and settings.tags.may_lead and _race_is_on(view, now)


def _race_is_on(view: Election, now: Instant) -> bool:
    """The key is gone, and our PostgreSQL is a standby that could be promoted."""
    settings, cluster = view.settings, view.cluster
    if settings is None or cluster is None or not view.is_informed:
        return False
    if view.leader is not None or view.asking or view.has_lease or view.paused:
        return False
    if now < view.stand_back_until:
        return False
    if view.is_barred or view.failover_is_held(now):
        return False
    if not cluster.is_initialized or view.shutdown or view.store_lost_at is not None:
        return False
    return view.is_standby


def is_about_to_promote(view: Election, now: Instant) -> bool:
    """The lease is ours with time to spare, and PostgreSQL is a standby."""
    settings = view.settings
    if settings is None or settings.is_standby_cluster or view.paused or view.shutdown:
        return False
    if view.is_barred or view.given_up:
        return False
    if (
        not view.is_standby
        or view.handed_to is not None
        or view.asking in ("release", "hand_over")
    ):
        return False
    if view.failed_intent == "become_primary" or view.leader not in (None, view.member):
        return False
    return view.lease_left(now) >= view.margin + PROMOTION_RESERVE


def _sync_is_ours(view: Election) -> bool:
    """Whether the key lets nobody but us be promoted.  What we wrote ourselves may name
    standbys, from when we led before: we are about to take writes that wait for none."""
    sync = view.cluster.sync if view.cluster else None
    return sync is not None and sync.leader == view.member and not sync.standbys
