"""Rules of a planned change: switchover, hand-over, and the daemon's own end.

A switchover is a graceful stop followed by a hand-over of the leader key to a
member that has everything; the same hand-over ends the life of a leader whose
daemon is stopped.
"""

from dataclasses import replace

from regnal.actors.candidates import Candidate, judge
from regnal.actors.election_probe import probe_all
from regnal.actors.election_rule import Conclusion
from regnal.actors.election_state import Election, Switchover
from regnal.messages.base import Instant, MemberName
from regnal.messages.daemon import ShutdownCompleted
from regnal.messages.lease import HandOverLeader, ReleaseLeader, WithdrawHandOver
from regnal.messages.operations import DemotePostgres, StopForShutdown
from regnal.messages.postgres import WalSender
from regnal.messages.probes import PeerStatus
from regnal.messages.reasons import because
from regnal.messages.store import WriteFailover

HAND_OVER_DEADLINE = 5.0
"""Seconds in which the new leader must have taken the key that it was handed."""

STALE_AFTER = 1.5
"""Loops by which a scheduled switchover may be late."""

SHUTDOWN_PATIENCE = 5.0
"""Seconds for which the daemon's end waits for a store that does not answer."""


def leave_postgres_alone_when_paused(view: Election, now: Instant) -> Conclusion | None:
    """PAUSE-16: in pause the daemon ends, PostgreSQL and the key stay."""
    if not view.shutdown or not view.paused:
        return None
    return _completed(view, {"paused": True})


def stop_postgres_for_the_shutdown(view: Election, now: Instant) -> Conclusion | None:
    """The daemon ends, so its PostgreSQL is stopped."""
    if not view.shutdown or view.busy == "stop_for_shutdown":
        return None
    if view.phase in ("stopped", "absent") and view.busy is None:
        return None
    if view.stepping_down:
        return None
    return Conclusion(
        replace(view, busy="stop_for_shutdown"),
        said=(StopForShutdown(reason=because("SHUTDOWN")),),
        facts={"phase": view.phase},
    )


def hand_the_lease_over(view: Election, now: Instant) -> Conclusion | None:
    """PostgreSQL stopped cleanly, and somebody has its last record (P-ELEC-02)."""
    if not view.has_lease or view.asking or view.settings is None:
        return None
    if view.shutdown_lsn is None or view.handed_to is not None:
        return None
    if not view.shutdown and view.switchover is None:
        return None
    chosen, candidates = successor(view)
    if chosen is None:
        return None
    facts = {"shutdown_lsn": view.shutdown_lsn, "candidates": candidates}
    member = view.cluster.member(chosen) if view.cluster else None
    deadline = now + view.settings.retry_timeout
    if member is None or not member.runs_regnal:
        # The peer product does not know a hand-over; the failover key names it.
        return Conclusion(
            replace(view, asking="release"),
            said=(
                ReleaseLeader(
                    member=view.member, last_lsn=view.shutdown_lsn, deadline=deadline
                ),
            ),
            facts=facts,
        )
    return Conclusion(
        replace(view, asking="hand_over", handed_to=chosen, handed_at=now),
        said=(
            HandOverLeader(
                member=view.member,
                to=chosen,
                last_lsn=view.shutdown_lsn,
                ttl=view.settings.ttl,
                deadline=deadline,
            ),
        ),
        facts=facts,
    )


def give_the_switchover_up_after_a_crash(
    view: Election, now: Instant
) -> Conclusion | None:
    """PostgreSQL crashed, or was fenced, before it stopped for a switchover: nobody can be
    shown to have its last record.  A failed switchover ends where it began (flow 4)."""
    if view.switchover is None:
        return None
    if view.phase != "stopped" or view.busy is not None or not view.has_lease:
        return None
    if view.shutdown_lsn is not None or view.handed_to is not None or view.asking:
        return None
    return Conclusion(
        replace(view, switchover=None, clearing_failover=True),
        said=(clear_failover(view, now),),
        facts={"candidate": view.switchover.candidate, "control": view.control},
    )


def withdraw_an_unanswered_hand_over(view: Election, now: Instant) -> Conclusion | None:
    """Whom we handed the key to did not take it: a failed switchover must not
    leave the cluster without a leader, and is not tried again by itself."""
    if view.handed_to is None or view.handed_at is None or view.asking:
        return None
    if view.settings is None or now - view.handed_at < HAND_OVER_DEADLINE:
        return None
    return Conclusion(
        replace(view, asking="withdraw"),
        said=(
            WithdrawHandOver(
                member=view.member,
                to=view.handed_to,
                deadline=now + view.settings.retry_timeout,
            ),
            clear_failover(view, now),
        ),
        facts={"handed_to": view.handed_to, "waited": now - view.handed_at},
    )


def complete_the_shutdown(view: Election, now: Instant) -> Conclusion | None:
    """PostgreSQL has stopped.  Where nobody has our last record the key is left to
    expire: released, it would invite a member that lacks rows."""
    if not view.shutdown:
        return None
    if view.shutdown_said:
        return Conclusion(view)  # the last word: no rule below may speak after it
    if view.phase not in ("stopped", "absent"):
        return None
    if view.asking is not None:
        started = view.shutdown_waits_since
        if started is not None and now - started < SHUTDOWN_PATIENCE:
            return None
    return _completed(view, {"lease_kept": view.has_lease})


def _completed(view: Election, facts: dict[str, bool]) -> Conclusion | None:
    if view.shutdown_said:
        return Conclusion(view)
    return Conclusion(
        replace(view, shutdown_said=True), said=(ShutdownCompleted(),), facts=facts
    )


def probe_before_the_switchover(view: Election, now: Instant) -> Conclusion | None:
    """A request is there and we lead: first see who could take over."""
    if not _switchover_is_due(view) or view.switchover is not None:
        return None
    if view.peers_are_fresh(now) or view.probing:
        return Conclusion(view) if view.probing else None
    return Conclusion(
        replace(view, probing=True),
        said=(probe_all(view),),
        facts={"request": view.cluster.failover if view.cluster else None},
    )


def drop_a_stale_schedule(view: Election, now: Instant) -> Conclusion | None:
    """SCHED-02: more than 1.5 loops late nobody expects it any more; and a time that
    nobody can read never comes."""
    cluster, settings = view.cluster, view.settings
    if cluster is None or cluster.failover is None or settings is None:
        return None
    request = cluster.failover
    if request.scheduled_at is None or view.clearing_failover or not view.has_lease:
        return None
    if view.switchover is not None or view.busy is not None or view.shutdown:
        return None
    due_at = view.schedule_at
    if due_at is not None and now - due_at <= STALE_AFTER * settings.loop_wait:
        return None
    return Conclusion(
        replace(view, clearing_failover=True),
        said=(clear_failover(view, now),),
        facts={
            "request": request,
            "late": None if due_at is None else now - due_at,
        },
    )


def make_way_for_a_request_while_starting(
    view: Election, now: Instant
) -> Conclusion | None:
    """ELEC-12: a request to fail over does not wait until our PostgreSQL has started,
    or has not; the lease is then released like that of a dead primary."""
    if view.busy != "start_as_primary" or not view.has_lease or view.paused:
        return None
    if not view.request_is_due or not view.candidates_stand_by:
        return None
    request = view.cluster.failover if view.cluster else None
    assert request is not None
    return Conclusion(
        replace(view, busy="demote_postgres", stepping_down=True, was_primary=True),
        said=(
            DemotePostgres(
                mode="immediate",
                reason=because("SWITCHOVER", candidate=request.candidate),
            ),
        ),
        facts={"request": request},
    )


def begin_the_switchover(view: Election, now: Instant) -> Conclusion | None:
    """Somebody can take over: stop gracefully for it."""
    if not _switchover_is_due(view) or view.switchover is not None:
        return None
    assert view.cluster is not None
    assert view.cluster.failover is not None
    request = view.cluster.failover
    switchover = Switchover(
        candidate=request.candidate, asked_by_failover=request.leader is None
    )
    candidates = _candidates(view, switchover)
    best = candidates[0] if candidates and candidates[0].may_lead else None
    if request.candidate is None and not _enough_voters(view):
        best = None
    facts = {"request": request, "candidates": candidates}
    if best is None:
        return Conclusion(
            replace(view, clearing_failover=True),
            said=(clear_failover(view, now),),
            facts={**facts, "refused": True},
        )
    return Conclusion(
        replace(
            view,
            switchover=replace(switchover, candidate=best.member, stopping=True),
            busy="demote_postgres",
            was_primary=True,
            shutdown_lsn=None,
        ),
        said=(
            DemotePostgres(
                mode="graceful", reason=because("SWITCHOVER", candidate=best.member)
            ),
        ),
        facts=facts,
    )


def clear_a_request_that_is_done(view: Election, now: Instant) -> Conclusion | None:
    """We lead, and the request in the failover key is about us, or about a leader
    that is not one any more."""
    cluster = view.cluster
    if cluster is None or cluster.failover is None or not view.has_lease:
        return None
    if view.clearing_failover or view.phase != "primary" or view.busy is not None:
        return None
    request = cluster.failover
    if request.candidate is None and request.leader is None:
        return None
    stale_leader = request.leader not in (None, view.member)
    if request.candidate != view.member and not stale_leader:
        return None
    return Conclusion(
        replace(view, clearing_failover=True),
        said=(clear_failover(view, now),),
        facts={"request": request},
    )


def clear_failover(view: Election, now: Instant) -> WriteFailover:
    """Clear the failover key as last observed."""
    assert view.cluster is not None
    assert view.settings is not None
    request = view.cluster.failover
    return WriteFailover(
        leader=None,
        candidate=None,
        scheduled_at=None,
        if_revision=request.revision if request else None,
        deadline=now + view.settings.retry_timeout,
    )


def successor(view: Election) -> tuple[MemberName | None, tuple[Candidate, ...]]:
    """Who takes over from a leader that stopped: the candidate of the switchover,
    else the best member that streamed from us to the end.

    A fast shutdown ends only when every attached standby has our last record
    (PostgreSQL manual, "Shutting Down the Server").
    """
    if view.switchover is not None:
        return view.switchover.candidate, ()
    candidates = _candidates(view, Switchover(candidate=None, asked_by_failover=False))
    if candidates and candidates[0].may_lead:
        return candidates[0].member, candidates
    return None, candidates


def _candidates(view: Election, switchover: Switchover) -> tuple[Candidate, ...]:
    assert view.cluster is not None
    assert view.settings is not None
    asked_for = switchover.candidate
    peers = view.peers if not view.shutdown else _streaming_peers(view)
    return judge(
        tuple(peer for peer in peers if peer.name != view.member),
        view.cluster,
        view.settings,
        asked_for=asked_for,
        any_sync=switchover.asked_by_failover and asked_for is not None,
    )


def _streaming_peers(view: Election) -> tuple[PeerStatus, ...]:
    """Members that stream from us, as the last observation shows them."""
    assert view.cluster is not None
    assert view.postgres is not None
    return tuple(
        PeerStatus(
            name=member.name,
            answered=True,
            state=member.state,
            timeline=member.timeline,
            position=_sent(view.postgres.senders, member.name),
            nofailover=not member.tags.may_lead,
            failover_priority=member.tags.failover_priority,
            barred=member.barred,
        )
        for member in view.cluster.members
        if member.name != view.member
    )


def _sent(senders: tuple[WalSender, ...], member: MemberName) -> int | None:
    for sender in senders:
        if sender.application_name == member and sender.state == "streaming":
            return sender.flush_lsn
    return None


def _enough_voters(view: Election) -> bool:
    """P-QUORUM-07: whoever takes over will need the votes of the others."""
    settings, cluster = view.settings, view.cluster
    if settings is None or cluster is None or settings.synchronous_mode != "quorum":
        return True
    sync = cluster.sync
    if sync is None or sync.leader is None:
        return True
    voters = {name.lower() for name in sync.standbys}
    healthy = sum(
        1
        for peer in view.peers
        if peer.name.lower() in voters and peer.answered and peer.state == "running"
    )
    return healthy > sync.quorum


def _switchover_is_due(view: Election) -> bool:
    if not view.has_lease or view.phase != "primary" or view.busy is not None:
        return False
    return view.request_is_due
