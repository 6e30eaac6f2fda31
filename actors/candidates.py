"""Who may lead: each candidate of a race with why it was taken or passed over.

Pure functions on what the members answered.  The order of the checks is the
order in which an operator would ask.
"""

from dataclasses import dataclass

from regnal.messages.base import LSN, MemberName, Timeline
from regnal.messages.cluster import ClusterView, SyncState
from regnal.messages.frozen import replace
from regnal.messages.probes import PeerStatus
from regnal.messages.reasons import Reason, because
from regnal.messages.settings import Settings


@dataclass(frozen=True, slots=True)
class Candidate:
    """One member in a race, and the verdict on it."""

    member: MemberName
    verdict: Reason
    position: LSN | None = None
    timeline: Timeline | None = None
    priority: int = 1

    @property
    def may_lead(self) -> bool:
        return self.verdict.code in MAY_LEAD


MAY_LEAD = ("BEST", "CANDIDATE_BEHIND", "CANDIDATE_LOWER_PRIORITY", "CANDIDATE_LEVEL")
"""Verdicts of candidates that could lead if the better ones were not there."""


def myself(
    settings: Settings,
    position: LSN,
    timeline: Timeline,
    *,
    unfenced: bool,
    barred: bool,
) -> PeerStatus:
    """This member, as the others would see it."""
    return PeerStatus(
        name=settings.name,
        answered=True,
        role="replica",
        state="running",
        timeline=timeline,
        position=position,
        nofailover=not settings.tags.may_lead,
        failover_priority=settings.tags.failover_priority,
        watchdog_failed=unfenced,
        barred=barred,
    )


def judge(
    peers: tuple[PeerStatus, ...],
    cluster: ClusterView,
    settings: Settings,
    *,
    asked_for: MemberName | None,
    any_sync: bool,
    former: MemberName | None = None,
) -> tuple[Candidate, ...]:
    """Every member with its verdict, the best first.

    `asked_for`: the candidate of a manual request; nobody else may then lead.
    `any_sync`: a manual failover may go to an asynchronous member, and to one that has
    diverged.
    `former`: the last leader, whose higher priority counts for nothing (P-ELEC-01).
    """
    judged = [
        Candidate(
            member=peer.name,
            verdict=_verdict(peer, cluster, settings, asked_for, any_sync),
            position=peer.position,
            timeline=peer.timeline,
            priority=peer.failover_priority,
        )
        for peer in peers
    ]
    able = _without_precedence([c for c in judged if c.may_lead], former)
    able.sort(key=lambda c: (-(c.position or 0), -c.priority, c.member))
    rest = sorted((c for c in judged if not c.may_lead), key=lambda c: c.member)
    return (*_compare(able), *rest)


def _without_precedence(
    able: list[Candidate], former: MemberName | None
) -> list[Candidate]:
    """The former leader is no better than the least of the others."""
    least = min((c.priority for c in able if c.member != former), default=None)
    return [
        replace(c, priority=min(c.priority, least))
        if c.member == former and least is not None
        else c
        for c in able
    ]


def _compare(able: list[Candidate]) -> tuple[Candidate, ...]:
    """Say of each able candidate why it is not the best."""
    if not able:
        return ()
    best = able[0]
    return (
        Candidate(
            best.member, because("BEST"), best.position, best.timeline, best.priority
        ),
        *(
            Candidate(c.member, _why_not(c, best), c.position, c.timeline, c.priority)
            for c in able[1:]
        ),
    )


def _why_not(candidate: Candidate, best: Candidate) -> Reason:
    behind = (best.position or 0) - (candidate.position or 0)
    if behind > 0:
        return because(
            "CANDIDATE_BEHIND",
            member=candidate.member,
            lag=behind,
            best=best.member,
        )
    if candidate.priority < best.priority:
        return because(
            "CANDIDATE_LOWER_PRIORITY", member=candidate.member, best=best.member
        )
    return because("CANDIDATE_LEVEL", member=candidate.member, best=best.member)


def _verdict(
    peer: PeerStatus,
    cluster: ClusterView,
    settings: Settings,
    asked_for: MemberName | None,
    any_sync: bool,
) -> Reason:
    name = peer.name
    if asked_for is not None and name != asked_for:
        return because("CANDIDATE_NOT_ASKED_FOR", member=name)
    if not peer.answered or peer.position is None:
        return because("CANDIDATE_NOT_REACHABLE", member=name)
    if peer.state not in ("running", None):
        return because("CANDIDATE_NOT_RUNNING", member=name)
    if peer.nofailover or peer.failover_priority <= 0:
        return because("CANDIDATE_NOFAILOVER", member=name)
    if peer.watchdog_failed:
        return because("CANDIDATE_WATCHDOG", member=name)
    if peer.barred:
        return because("CANDIDATE_BARRED", member=name)
    if not any_sync and not _sync_allows(cluster.sync, settings, name):
        return because("CANDIDATE_NOT_SYNCHRONOUS", member=name)
    if not _failsafe_allows(cluster, settings, name):
        return because("CANDIDATE_NOT_IN_FAILSAFE", member=name)
    left_at = _left_at(peer, cluster)
    if left_at is not None and not any_sync:
        return because(
            "CANDIDATE_DIVERGED", member=name, timeline=peer.timeline, left_at=left_at
        )
    wanted = cluster.timeline
    if settings.check_timeline and peer.timeline and peer.timeline < wanted:
        return because(
            "CANDIDATE_TIMELINE", member=name, timeline=peer.timeline, wanted=wanted
        )
    lag = (cluster.status.optime if cluster.status else 0) - peer.position
    if lag > settings.maximum_lag_on_failover:
        return because(
            "CANDIDATE_LAG",
            member=name,
            lag=lag,
            limit=settings.maximum_lag_on_failover,
        )
    return because("BEST")


def _left_at(peer: PeerStatus, cluster: ClusterView) -> LSN | None:
    """Law 3: where it went on by itself on a timeline that the cluster had left; None: it
    has not, as far as the history knows.  It would begin a timeline that there is."""
    for line in cluster.history or ():
        if line.timeline == peer.timeline and (peer.position or 0) > line.lsn:
            return line.lsn
    return None


def _sync_allows(
    sync: SyncState | None, settings: Settings, member: MemberName
) -> bool:
    """SYNC-01: automatic failover only to the last leader or a member of `sync`; in quorum
    mode also to one that the voters may elect, if there are enough of them at all."""
    if not settings.is_synchronous or sync is None or sync.leader is None:
        return True
    if settings.synchronous_mode == "quorum" and len(sync.standbys) > sync.quorum:
        return True
    return sync.allows(member)


def _failsafe_allows(
    cluster: ClusterView, settings: Settings, member: MemberName
) -> bool:
    """P-FSAFE-03: a member that the failsafe key does not name must not race."""
    if not settings.failsafe_mode or not cluster.failsafe:
        return True
    return any(listed.name == member for listed in cluster.failsafe)


def running_primary(peers: tuple[PeerStatus, ...], me: MemberName) -> PeerStatus | None:
    """Another member that says it still runs as primary (P-ELEC-06), or whose PostgreSQL
    does where nobody fences it."""
    for peer in peers:
        is_primary = peer.answered and peer.role in ("primary", "promoted")
        if peer.name != me and (is_primary or peer.takes_writes):
            return peer
    return None
