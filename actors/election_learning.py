"""How election learns from messages; nothing is decided here."""

from dataclasses import replace
from datetime import datetime
from typing import Literal

from regnal.actors.election_lease_learning import ASK_AGAIN_AFTER, learn_of_lease
from regnal.actors.election_state import (
    Election,
    Hold,
    Reinitialize,
    Restart,
)
from regnal.messages.base import Instant, Message
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    MemberView,
    StoreAnswered,
    StoreUnreachable,
)
from regnal.messages.daemon import ShutdownRequested
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import (
    DisableWatchdog,
    FencingJudged,
    WatchdogActivated,
    WatchdogFailed,
)
from regnal.messages.incidents import (
    CrashCounted,
    FailoverHeld,
    FailoverReleased,
    LeadershipAllowed,
    LeadershipBarred,
)
from regnal.messages.operations import (
    IntentFailed,
    IntentFulfilled,
    IntentRefused,
    PhaseChanged,
)
from regnal.messages.postgres import (
    DatabaseInitialised,
    PostgresObserved,
    PostgresPromoted,
    PostgresStopped,
    PostmasterExited,
    ReplicationEnded,
    ShutdownCheckpointed,
)
from regnal.messages.probes import PeersProbed
from regnal.messages.reasons import Reason
from regnal.messages.requests import (
    FailsafePosted,
    ReinitializeWanted,
    RestartWanted,
)
from regnal.messages.settings import ConfigurationApplied, Settings
from regnal.messages.timers import TimerFired

HEARTBEAT = "heartbeat"
"""Name of the timer that beats every loop_wait."""


def learn(view: Election, envelope: Envelope[Message]) -> Election:
    """The view after `envelope`, before any rule looks at it."""
    message, now = envelope.message, envelope.at
    match message:
        case ConfigurationApplied(settings=settings):
            return _learn_settings(view, settings, now)
        case ClusterObserved(view=cluster):
            return _learn_cluster(view, cluster, envelope)
        case StoreUnreachable():
            return replace(view, store_lost_at=view.store_lost_at or now)
        case StoreAnswered():
            return replace(view, store_lost_at=None, renewal_due=True)
        case TimerFired(name=name, due_at=due_at) if name == HEARTBEAT:
            return replace(view, heartbeat_at=due_at)
        case ShutdownRequested():
            return replace(view, shutdown=True, shutdown_waits_since=now)
        case PeersProbed(peers=peers, asked_at=asked_at, request=None):
            return replace(view, probing=False, peers=peers, peers_at=asked_at)
        case FencingJudged(verdict=verdict, reason=reason):
            return _learn_of_fencing(view, verdict, reason)
        case WatchdogActivated(timeout=timeout):
            return replace(view, device_timeout=timeout)
        case WatchdogFailed() | DisableWatchdog():
            return replace(view, device_timeout=None)
        case RestartWanted(request=request, timeout=timeout):
            return replace(view, restart=Restart(request, timeout))
        case FailsafePosted():
            return _learn_of_failsafe(view, message, now)
        case FailoverHeld(incident=incident, leader=leader, until=until):
            return replace(view, hold=Hold(incident, leader, until))
        case FailoverReleased():
            return replace(view, hold=None)
        case LeadershipBarred(reason=reason):
            return replace(view, barred=reason, crashed_at=None)
        case LeadershipAllowed():
            return replace(view, barred=None)
        case CrashCounted():
            return replace(view, crashed_at=None)
        case ReinitializeWanted(request=request, force=force, from_leader=from_leader):
            return replace(view, reinitialize=Reinitialize(request, force, from_leader))
        case _:
            known = learn_of_lease(view, message, now)
            return _learn_of_postgres(_learn_of_keys(known, message, now), message, now)


def _learn_of_fencing(
    view: Election,
    verdict: Literal["idle", "stands", "failed"],
    reason: Reason | None,
) -> Election:
    if verdict == "idle" and view.fencing == "wanted":
        return replace(view, fencing_failure=None)  # it is no answer
    return replace(view, fencing=verdict, fencing_failure=reason, fencing_due=None)


def _learn_settings(view: Election, settings: Settings, now: Instant) -> Election:
    # Another loop_wait takes effect at once, not after a beat of the old length.
    kept = view.settings is not None and view.settings.loop_wait == settings.loop_wait
    known = replace(
        view, settings=settings, heartbeat_at=view.heartbeat_at if kept else None
    )
    if view.settings is not None or not settings.failsafe_mode:
        return known
    return replace(known, promised_until=now + settings.ttl, promise_is_known=False)


def _learn_of_failsafe(view: Election, message: Message, now: Instant) -> Election:
    """Our yes, which the `rest` actor says, holds for ttl; nobody asks a leader."""
    settings = view.settings
    if settings is None or not settings.failsafe_mode or view.lease_left(now) > 0:
        return view
    return replace(view, promised_until=now + settings.ttl, promise_is_known=True)


def _learn_cluster(
    view: Election, cluster: ClusterView, envelope: Envelope[Message]
) -> Election:
    now = envelope.at
    leader = cluster.leader_name
    gone_at = None
    if leader is None:
        gone_at = view.leader_gone_at if view.leader_gone_at is not None else now
    changed = leader is not None and leader != view.last_leader
    handed_to, handed_at = view.handed_to, view.handed_at
    if handed_to is not None and _was_taken(view, cluster):
        handed_to, handed_at = None, None
    return replace(
        view,
        cluster=cluster,
        store_lost_at=None,
        leader_gone_at=gone_at,
        last_leader=leader or view.last_leader,
        left_unfenced=leader is None
        and (view.left_unfenced or view.paused or view.last_leader is None),
        known_members=_merge(view.known_members, cluster),
        suspicious_since=None if changed else view.suspicious_since,
        race_after=None if leader is not None else view.race_after,
        # Who could take over is asked after the request, not before.
        peers_at=view.peers_at
        if not view.has_lease or not _asks_anew(view, cluster)
        else float("-inf"),
        look_due=view.look_due or _shows_another_standby(view, cluster),
        seen_initialized=view.seen_initialized or cluster.is_initialized,
        disowned=view.disowned and leader == view.member,
        is_unseen=False,
        handed_to=handed_to,
        handed_at=handed_at,
        switchover=None if leader not in (None, view.member) else view.switchover,
        clearing_failover=view.clearing_failover and cluster.failover is not None,
        claiming_sync=False
        if view.cluster is not None and view.cluster.sync != cluster.sync
        else view.claiming_sync,
        **_schedule(cluster, envelope),  # type: ignore[arg-type]
    )


def _asks_anew(view: Election, cluster: ClusterView) -> bool:
    """Whether a request to fail over is there that was not there before."""
    before = view.cluster.failover if view.cluster else None
    now = cluster.failover
    return now is not None and (before is None or before.revision != now.revision)


def _schedule(
    cluster: ClusterView, envelope: Envelope[Message]
) -> dict[str, Instant | bool | None]:
    """When a scheduled switchover is due, on our own clock."""
    request = cluster.failover
    unknown: dict[str, Instant | bool | None] = {
        "schedule_at": None,
        "schedule_is_due": False,
    }
    if request is None or request.scheduled_at is None:
        return unknown
    try:
        due = datetime.fromisoformat(request.scheduled_at)
    except ValueError:
        return unknown
    if due.tzinfo is None:
        # What is written without a zone means another moment to everybody.
        return unknown
    wait = due.timestamp() - envelope.wall_us / 1e6
    return {"schedule_at": envelope.at + wait, "schedule_is_due": wait <= 0}


def _was_taken(view: Election, cluster: ClusterView) -> bool:
    """Whether the member that we handed the key to has made it its own."""
    leader = cluster.leader
    if leader is None or leader.name != view.handed_to:
        return leader is not None and leader.name != view.member
    if view.own_session is None:
        return False
    return leader.session != view.own_session


def _shows_another_standby(view: Election, cluster: ClusterView) -> bool:
    """Whether a member says that it streams, and our primary did not know."""
    if view.phase != "primary" or view.postgres is None:
        return False
    known = {sender.application_name for sender in view.postgres.senders}
    before = view.cluster
    return any(
        member.replication_state == "streaming"
        and member.name not in known
        and member.name != view.member
        and (before is None or before.member(member.name) != member)
        for member in cluster.members
    )


def _merge(
    known: tuple[MemberView, ...], cluster: ClusterView
) -> tuple[MemberView, ...]:
    """Members of the view, and those that vanished while there is no leader.  The key of
    the leader's member may end a moment before its lease."""
    present = {member.name for member in cluster.members}
    gone = [
        member
        for member in known
        if member.name not in present and cluster.leader_name in (None, member.name)
    ]
    return tuple(sorted((*cluster.members, *gone), key=lambda member: member.name))


def _learn_of_keys(view: Election, message: Message, now: Instant) -> Election:
    match message:
        case KeyWritten(key="initialize") if view.initialize == "asked":
            existing = view.phase in ("primary", "stopped")
            return replace(view, initialize="created" if existing else "ours")
        case KeyWritten(key="initialize") if view.initialize == "confirming":
            return replace(view, initialize="no", seen_initialized=True)
        case KeyRefused(key="initialize") | KeyUnconfirmed(key="initialize"):
            # What we see of the key is older than this answer: asked again before the
            # watch shows it, the store would answer the same, over and over.
            return replace(view, initialize="no", retry_at=now + ASK_AGAIN_AFTER)
        case KeyRefused(key="sync") | KeyUnconfirmed(key="sync"):
            return replace(view, claiming_sync=False)
        case KeyRefused(key="failover") | KeyUnconfirmed(key="failover"):
            return replace(view, clearing_failover=False)
        case _:
            return view


def _learn_of_postgres(view: Election, message: Message, now: Instant) -> Election:
    match message:
        case PostgresObserved(status=status):
            healthy = status.is_accepting and status.in_recovery is False
            streams = status.replication_state == "streaming"
            return replace(
                view,
                postgres=status,
                observed_at=now,
                suspicious_since=None if streams else view.suspicious_since,
                last_lsn=status.write_lsn if healthy else view.last_lsn,
            )
        case PostmasterExited(control=control, expected=expected):
            counts = not expected and _counts_crashes(view)
            return replace(
                view, control=control, crashed_at=now if counts else view.crashed_at
            )
        case ReplicationEnded():
            if view.suspicious_since is not None:
                return view
            return replace(view, suspicious_since=now)
        case PhaseChanged(phase=phase, control=control):
            stopped = phase in ("stopped", "absent")
            return replace(
                view,
                phase=phase,
                control=control,
                was_primary=view.was_primary or phase == "primary",
                stepping_down=view.stepping_down and not stopped,
                # Whoever does not write may be given the lease again.
                lease_refused=view.lease_refused
                and not (stopped or phase == "standby"),
                shutdown_lsn=None if phase == "primary" else view.shutdown_lsn,
            )
        case ShutdownCheckpointed(control=control) | PostgresStopped(control=control):
            if control is None or control.state != "shut down":
                return view
            return replace(view, shutdown_lsn=control.checkpoint_lsn)
        case DatabaseInitialised(system_identifier=identifier):
            return replace(view, initialize="created", new_identifier=identifier)
        case PostgresPromoted():
            return replace(view, was_primary=True, following=None)
        case _:
            return _learn_of_intents(view, message, now)


def _counts_crashes(view: Election) -> bool:
    settings = view.settings
    return settings is not None and settings.crash_loop_limit > 0 and not view.paused


def _learn_of_intents(view: Election, message: Message, now: Instant) -> Election:
    match message:
        case IntentFulfilled(intent=intent) if intent == view.busy:
            followed = intent in (
                "follow_leader",
                "clone_member",
                "reinitialize_member",
            )
            # Following nobody compares nothing.
            checked = followed and view.following is not None
            return replace(
                view,
                busy=None,
                failure=None,
                failed_intent=None,
                stepping_down=view.stepping_down and intent != "demote_postgres",
                was_primary=False if checked else view.was_primary,
                told_to_follow_at=now if followed else view.told_to_follow_at,
            )
        case IntentFailed(intent=intent, reason=reason) if intent == view.busy:
            wait = view.settings.loop_wait / 2 if view.settings else 1.0
            return replace(
                view,
                busy=None,
                failure=reason,
                failed_intent=intent,
                following=None,
                retry_at=now + wait,
                stepping_down=False,
            )
        case IntentRefused(intent=intent, reason=reason) if intent == view.busy:
            return replace(
                view,
                busy=None,
                failure=reason,
                following=None,
                retry_at=now + 1.0,
                stepping_down=False,
            )
        case _:
            return view
