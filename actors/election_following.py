"""Rules of members that do not lead, and of requests to a single member."""

from regnal.actors.election_rule import Conclusion
from regnal.actors.election_state import LOOK_EVERY, STREAM_WITHIN, Election
from regnal.actors.upstreams import (
    remote_upstream,
    source_to_clone,
    upstream_from,
    upstream_to_follow,
)
from regnal.messages.base import Instant
from regnal.messages.frozen import replace
from regnal.messages.lease import ReleaseLeader
from regnal.messages.operations import (
    FollowLeader,
    ReinitializeMember,
    RestartInPlace,
)
from regnal.messages.postgres import ObservePostgres, Upstream
from regnal.messages.reasons import because

COMPARE_AGAIN_AFTER = 30.0
"""Seconds without streaming after which histories are compared even though the
timelines look alike: two members may have made the same number of their own."""


def wait_for_the_supervisor(view: Election, now: Instant) -> Conclusion | None:
    """One thing at a time: the supervisor carries out what we said before."""
    if view.busy is None:
        return None
    if view.reinitialize is not None and view.reinitialize.force:
        return None
    if _leader_changed_while_following(view):
        return None
    return Conclusion(view)


def wait_no_longer_for_a_leader_that_is_gone(
    view: Election, now: Instant
) -> Conclusion | None:
    """RWD-05: our stopped data were to be compared with a leader's who does not answer
    and does not lead any more."""
    if view.busy != "follow_leader" or view.phase != "checking" or view.shutdown:
        return None
    if view.following is None or view.leader is not None or view.paused:
        return None
    if view.postgres is None or view.postgres.process != "absent":
        return None
    return Conclusion(
        replace(view, following=None),
        said=(
            FollowLeader(
                upstream=None,
                check_divergence=True,
                reason=because("WAITING_FOR_LEADER"),
            ),
        ),
        facts={"before": view.following},
    )


def release_a_lease_that_found_us_waiting(
    view: Election, now: Instant
) -> Conclusion | None:
    """The lease was handed to us while our PostgreSQL was down: our data wait for a look
    at the history of a member that waits for ours, and nobody would ever lead."""
    if not view.has_lease or view.asking or view.settings is None or view.paused:
        return None
    if view.busy != "follow_leader" or view.phase != "checking":
        return None
    if view.following is None or view.following.member in (None, view.leader):
        return None
    if view.postgres is None or view.postgres.process != "absent":
        return None
    return Conclusion(
        replace(view, asking="release"),
        said=(
            ReleaseLeader(
                member=view.member,
                last_lsn=None,
                deadline=now + view.settings.retry_timeout,
            ),
        ),
        facts={"following": view.following},
    )


def reinitialize_this_member(view: Election, now: Instant) -> Conclusion | None:
    """BOOT-29, BOOT-30: a rebuild that a person asked for."""
    wanted, settings, cluster = view.reinitialize, view.settings, view.cluster
    if wanted is None or settings is None or cluster is None or view.has_lease:
        return None
    leader = cluster.leader_member
    source = source_to_clone(cluster, settings)
    if wanted.from_leader and leader is not None:
        source = upstream_from(leader, settings, is_leader=True)
    if source is None:
        return None
    return Conclusion(
        replace(view, busy="reinitialize_member", reinitialize=None, following=source),
        said=(
            ReinitializeMember(
                source=source,
                force=wanted.force,
                request=wanted.request,
                reason=because("REINITIALIZE_REQUESTED"),
            ),
        ),
        facts={"source": source},
    )


def restart_this_member(view: Election, now: Instant) -> Conclusion | None:
    """A restart that a person asked for."""
    wanted, settings = view.restart, view.settings
    if wanted is None or settings is None or view.busy is not None:
        return None
    if view.phase not in ("primary", "standby"):
        return None
    return Conclusion(
        replace(view, busy="restart_in_place", restart=None),
        said=(
            RestartInPlace(
                timeout=wanted.timeout or settings.start_timeout,
                request=wanted.request,
                reason=because("RESTART_REQUESTED"),
            ),
        ),
    )


def follow_the_leader(view: Election, now: Instant) -> Conclusion | None:
    """Our standby streams from somebody else than it should."""
    if view.phase not in ("standby", "following", "checking") or view.has_lease:
        return None
    if view.settings is None or view.cluster is None or now < view.retry_at:
        return None
    wanted = wanted_upstream(view)
    if wanted is None or _follows(view, wanted):
        return None
    return Conclusion(
        replace(
            view,
            busy="follow_leader",
            following=wanted,
            followed_timeline=_leader_timeline(view),
            told_to_follow_at=now,
        ),
        said=(
            FollowLeader(
                upstream=wanted,
                check_divergence=view.was_primary,
                reason=because("LEADER_CHANGED", leader=view.leader),
            ),
        ),
        facts={"upstream": wanted, "before": view.following},
    )


def look_whether_we_stream(view: Election, now: Instant) -> Conclusion | None:
    """After we were told to follow: an old observation proves nothing, and others
    wait to hear that we stream."""
    postgres = view.postgres
    if view.phase != "standby" or view.busy is not None or view.has_lease:
        return None
    if postgres is None or postgres.replication_state == "streaming":
        return None
    if now - view.told_to_follow_at > STREAM_WITHIN + LOOK_EVERY:
        return None
    if now - view.looked_at < LOOK_EVERY:
        return None
    return Conclusion(replace(view, looked_at=now), said=(ObservePostgres(),))


def compare_histories_of_a_standby_that_does_not_stream(
    view: Election, now: Instant
) -> Conclusion | None:
    """RWD-02, P-ELEC-18: the leader is on a newer timeline and we do not get there by
    streaming: our history may have left its."""
    if view.phase != "standby" or view.busy is not None or view.has_lease:
        return None
    cluster, postgres = view.cluster, view.postgres
    if cluster is None or postgres is None or now < view.retry_at:
        return None
    if view.observed_at < view.told_to_follow_at + STREAM_WITHIN:
        return None
    leader = cluster.leader_member
    if leader is None or leader.role != "primary" or not leader.timeline:
        return None
    if postgres.replication_state == "streaming" or not postgres.is_accepting:
        return None
    waited = view.observed_at - view.told_to_follow_at
    if postgres.timeline >= leader.timeline and waited < COMPARE_AGAIN_AFTER:
        return None
    wanted = wanted_upstream(view)
    if wanted is None or not wanted.is_leader:
        return None
    return Conclusion(
        replace(view, busy="follow_leader", following=wanted, told_to_follow_at=now),
        said=(
            FollowLeader(
                upstream=wanted,
                check_divergence=True,
                reason=because("LEADER_CHANGED", leader=leader.name),
            ),
        ),
        facts={"timeline": postgres.timeline, "leader_timeline": leader.timeline},
    )


def keep_leading(view: Election, now: Instant) -> Conclusion | None:
    """Nothing is to be done by the leader."""
    return Conclusion(view) if view.has_lease else None


def keep_following(view: Election, now: Instant) -> Conclusion | None:
    """Nothing is to be done by a member that does not lead."""
    return Conclusion(view)


def wanted_upstream(view: Election) -> Upstream | None:
    """Whom we should stream from; None: nobody is there."""
    assert view.cluster is not None
    assert view.settings is not None
    settings = view.settings
    if settings.is_standby_cluster and view.leader in (None, settings.name):
        return remote_upstream(settings)
    return upstream_to_follow(view.cluster, settings)


def _follows(view: Election, wanted: Upstream) -> bool:
    if view.following == wanted:
        return True
    status = view.postgres
    return (
        view.following is None
        and status is not None
        and status.primary_conninfo_host == wanted.host
        and status.primary_conninfo_port == wanted.port
        and not view.was_primary
    )


def _leader_changed_while_following(view: Election) -> bool:
    if view.busy != "follow_leader" or view.cluster is None or view.settings is None:
        return False
    if view.phase not in ("following", "checking"):
        return False
    wanted = wanted_upstream(view)
    return wanted is not None and wanted != view.following


def _leader_timeline(view: Election) -> int:
    leader = view.cluster.leader_member if view.cluster else None
    return leader.timeline or 0 if leader else 0
