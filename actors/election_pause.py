"""Rules of pause: automatic failover is off, a person is at work (PAUSE-01..10)."""

from regnal.actors.candidates import running_primary
from regnal.actors.election_lease import ask_for_the_lease
from regnal.actors.election_probe import probe_all
from regnal.actors.election_rule import Conclusion
from regnal.actors.election_state import Election
from regnal.messages.base import Instant
from regnal.messages.frozen import replace
from regnal.messages.lease import ReleaseLeader
from regnal.messages.operations import BecomePrimary
from regnal.messages.reasons import because


def take_the_free_lease_in_pause(view: Election, now: Instant) -> Conclusion | None:
    """PAUSE-03: a running primary takes a lease that nobody has; PAUSE-06: not one
    whose data belong to another cluster."""
    if not view.paused or view.leader is not None or view.asking:
        return None
    if view.phase != "primary" or view.busy is not None or view.shutdown:
        return None
    if view.may_be_told_late or now < view.stand_back_until:
        return None
    if has_foreign_data(view):
        return None
    return Conclusion(
        replace(view, asking="acquire"), said=(ask_for_the_lease(view, now),)
    )


def release_the_lease_in_pause(view: Election, now: Instant) -> Conclusion | None:
    """PAUSE-03: a holder that is not a primary any more, and was not asked to become
    one, gives the lease up."""
    if not view.paused or not view.has_lease or view.asking:
        return None
    settings = view.settings
    if settings is None or settings.is_standby_cluster or view.busy is not None:
        return None
    still_primary = view.phase == "primary" and not has_foreign_data(view)
    if still_primary or _was_asked_to_lead(view):
        return None
    return Conclusion(
        replace(view, asking="release"),
        said=(
            ReleaseLeader(
                member=view.member,
                last_lsn=None,
                deadline=now + settings.retry_timeout,
            ),
        ),
        facts={"phase": view.phase},
    )


def promote_the_candidate_in_pause(view: Election, now: Instant) -> Conclusion | None:
    """PAUSE-02: a manual failover to a named member works in pause."""
    if not view.paused or not view.has_lease or view.phase != "standby":
        return None
    if view.busy is not None or not _was_asked_to_lead(view):
        return None
    if not view.lease_is_safe(now) or view.given_up:
        return None
    return Conclusion(
        replace(view, busy="become_primary"),
        said=(BecomePrimary(reason=because("FAILOVER", candidate=view.member)),),
    )


def race_for_the_candidate_in_pause(view: Election, now: Instant) -> Conclusion | None:
    """The named candidate of a manual failover takes the free lease, unless somebody
    still runs as primary: in pause that may be one whose daemon is being restarted."""
    if not view.paused or view.leader is not None or view.asking or view.shutdown:
        return None
    if view.phase != "standby" or not _was_asked_to_lead(view):
        return None
    if now < view.stand_back_until:
        return None
    if view.probing:
        return Conclusion(view)
    if not view.peers_are_fresh(now):
        return Conclusion(replace(view, probing=True), said=(probe_all(view),))
    if _may_still_be_led(view):
        return None
    return Conclusion(
        replace(view, asking="acquire"),
        said=(ask_for_the_lease(view, now),),
        facts={"request": view.cluster.failover if view.cluster else None},
    )


def _may_still_be_led(view: Election) -> bool:
    """Whether a primary answered, or the leader of the switchover does not answer and
    was one when it was seen last."""
    if running_primary(view.peers, view.member) is not None:
        return True
    request = view.cluster.failover if view.cluster else None
    if request is None or request.leader is None:
        return False
    answered = {peer.name for peer in view.peers if peer.answered}
    return any(
        member.name == request.leader
        and member.name not in answered
        and member.role == "primary"
        and member.is_running
        for member in view.known_members
    )


def keep_hands_off_in_pause(view: Election, now: Instant) -> Conclusion | None:
    """Nothing is started, stopped, promoted or demoted by itself."""
    if not view.paused:
        return None
    if view.restart is not None or view.reinitialize is not None:
        return None
    if view.cluster is not None and view.cluster.failover is not None:
        # A switchover to a named member is carried out by the rules below.
        if view.has_lease and view.phase == "primary":
            return None
        if view.switchover is not None:
            return None
    return Conclusion(view)


def has_foreign_data(view: Election) -> bool:
    """Whether our data directory belongs to another cluster than the store's."""
    cluster, postgres = view.cluster, view.postgres
    if cluster is None or postgres is None or not cluster.initialize:
        return False
    local = postgres.system_identifier or ""
    return len(local) >= 10 and local.isdigit() and local != cluster.initialize


def _was_asked_to_lead(view: Election) -> bool:
    request = view.cluster.failover if view.cluster else None
    return request is not None and request.candidate == view.member
