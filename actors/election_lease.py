"""Rules of the lease: who may not write any more, and who still may.

They come first in the table, since nothing else matters while they apply.
"""

import json

from regnal.actors.election_rule import Conclusion
from regnal.actors.election_state import Election
from regnal.messages.base import Instant, MemberName
from regnal.messages.cluster import ClusterView
from regnal.messages.frozen import replace
from regnal.messages.lease import AcquireLeader
from regnal.messages.operations import DemotePostgres
from regnal.messages.probes import AskFailsafe, ProbeTarget
from regnal.messages.reasons import Reason, because

FAILSAFE_TIMEOUT = 2.0
"""Seconds that the members have to answer (docs/contracts.md 4.11)."""


def step_down_when_another_leads(view: Election, now: Instant) -> Conclusion | None:
    """The leader key is somebody else's: our PostgreSQL must not take writes."""
    if not view.is_writable or view.paused or _is_stopping(view):
        return None
    leader = view.leader
    if leader is None or leader == view.member:
        return None
    renewed = view.lease_is_safe(now) and not view.failsafe_active
    if renewed and not view.lease_refused:
        # An older view than our own renewal; the next one tells.
        return None
    return _demote(view, "immediate", because("LEASE_LOST", holder=leader))


def step_down_when_the_lease_is_refused(
    view: Election, now: Instant
) -> Conclusion | None:
    """The store said a definite no (ELEC-02)."""
    if not view.lease_refused or view.paused or _is_stopping(view):
        return None
    if not view.is_writable or view.asking == "acquire":
        return None
    return _demote(view, "immediate", because("LEASE_GONE"))


def ask_the_members_before_stepping_down(
    view: Election, now: Instant
) -> Conclusion | None:
    """P-FSAFE-01: with failsafe_mode all members together may prolong the lease."""
    settings, cluster = view.settings, view.cluster
    if settings is None or cluster is None or not settings.failsafe_mode:
        return None
    if view.paused or not view.is_writable or view.lease_until is None:
        return None
    if view.failsafe_asked or view.lease_refused:
        return None
    if view.store_lost_at is None and not view.renewal_failed:
        return None
    if view.lease_left(now) > view.margin + 2 * FAILSAFE_TIMEOUT:
        return None
    targets = _whom_to_ask(cluster, view.member)
    document = json.dumps(
        {
            "name": view.member,
            "conn_url": settings.conn_url,
            "api_url": settings.api_url,
            "slots": {view.member: view.position},
        },
        separators=(",", ":"),
    )
    return Conclusion(
        replace(view, failsafe_asked=True),
        said=(
            AskFailsafe(targets=targets, document=document, timeout=FAILSAFE_TIMEOUT),
        ),
        facts={"lease_left": view.lease_left(now)},
    )


def _whom_to_ask(cluster: ClusterView, me: MemberName) -> tuple[ProbeTarget, ...]:
    """Everybody who may race: those in the key, and members that a write on its way
    may add to it."""
    urls = {member.name: member.api_url for member in cluster.members if member.api_url}
    urls |= {listed.name: listed.api_url for listed in cluster.failsafe or ()}
    return tuple(
        ProbeTarget(name=name, api_url=urls[name])
        for name in sorted(urls)
        if name != me
    )


def step_down_before_the_lease_ends(view: Election, now: Instant) -> Conclusion | None:
    """Law 1: no writes after the lease; stopping takes up to the margin."""
    if not view.is_writable or view.paused or _is_stopping(view):
        return None
    if view.lease_until is None or view.lease_is_safe(now):
        return None
    left = max(0.0, view.lease_until - now)
    return _demote(view, "offline", because("LEASE_ENDING", seconds=left))


def step_down_without_a_lease(view: Election, now: Instant) -> Conclusion | None:
    """A primary that we found running, or whose key vanished, and a store that does
    not give us the lease in time (ELEC-03, ELEC-04)."""
    if view.must_lead_by is None or now < view.must_lead_by:
        return None
    if view.paused or not view.is_writable or _is_stopping(view):
        return None
    error = "no answer" if view.store_lost_at is not None else "no lease"
    return _demote(view, "offline", because("STORE_UNREACHABLE", error=error))


def take_up_our_lease(view: Election, now: Instant) -> Conclusion | None:
    """The key carries our name, from before a restart or by a hand-over to us."""
    settings = view.settings
    if settings is None or not view.is_informed or view.leader != view.member:
        return None
    if view.has_lease or view.asking or view.lease_refused or view.shutdown:
        return None
    if view.handed_to is not None or view.disowned or now < view.stand_back_until:
        return None
    return Conclusion(
        replace(view, asking="acquire"),
        said=(ask_for_the_lease(view, now),),
        facts={"leader": view.leader, "phase": view.phase},
    )


def retake_a_deleted_lease(view: Election, now: Instant) -> Conclusion | None:
    """We run as primary and nobody leads: the key was deleted, or all of them were
    (ELEC-21).  Not on a timeline that the cluster has left (P-ELEC-05)."""
    cluster = view.cluster
    if not view.is_informed or cluster is None:
        return None
    if view.leader is not None and not view.disowned:
        return None
    if view.may_be_told_late:
        return None
    if view.phase != "primary" or view.asking or view.shutdown or view.paused:
        return None
    if view.busy is not None or not cluster.is_initialized:
        return None
    if view.is_outside_the_sync_key:
        # Another led since, and may have acknowledged what we do not have.
        return _demote(
            view, "immediate", because("CANDIDATE_NOT_SYNCHRONOUS", member=view.member)
        )
    timeline = view.postgres.timeline if view.postgres else 0
    if timeline and cluster.timeline and timeline < cluster.timeline:
        return _demote(
            view,
            "immediate",
            because(
                "CANDIDATE_TIMELINE",
                member=view.member,
                timeline=timeline,
                wanted=cluster.timeline,
            ),
        )
    return Conclusion(
        replace(view, asking="acquire"),
        said=(ask_for_the_lease(view, now),),
        facts={"timeline": timeline, "cluster_timeline": cluster.timeline},
    )


def ask_for_the_lease(view: Election, now: Instant) -> AcquireLeader:
    """The command; its deadline is the retry_timeout."""
    assert view.settings is not None
    return AcquireLeader(
        member=view.member,
        ttl=view.settings.ttl,
        deadline=now + view.settings.retry_timeout,
    )


def _is_stopping(view: Election) -> bool:
    """Whether PostgreSQL was already told to stop at once."""
    return view.stepping_down


def _demote(view: Election, mode: str, reason: Reason) -> Conclusion:
    return Conclusion(
        replace(
            view,
            busy="demote_postgres",
            stepping_down=True,
            switchover=None,
            was_primary=True,
        ),
        said=(DemotePostgres(mode=mode, reason=reason),),  # type: ignore[arg-type]
        facts={
            "phase": view.phase,
            "leader": view.leader,
            "lease_until": view.lease_until,
            "margin": view.margin if view.settings else None,
        },
    )
