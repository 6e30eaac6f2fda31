"""Rules of policy: what the history of incidents forbids (docs/configuration.md).

The incidents actor says what is forbidden, and until when; these rules, and the
conditions `is_barred` and `failover_is_held` of the others, see to it.  They forbid a
promotion or a start, and never permit one.  In pause there is no policy.
"""

from regnal.actors.election_rule import Conclusion
from regnal.actors.election_state import Election
from regnal.messages.base import Instant
from regnal.messages.frozen import replace
from regnal.messages.lease import ReleaseLeader
from regnal.messages.operations import DemotePostgres
from regnal.messages.reasons import because


def wait_until_the_crash_is_counted(view: Election, now: Instant) -> Conclusion | None:
    """The incidents actor, which has heard of the same end, says in a moment whether it
    was one too many."""
    if view.phase != "stopped" or view.busy is not None or not view.has_lease:
        return None
    return Conclusion(view) if view.awaits_the_count(now) else None


def stop_the_start_after_too_many_crashes(
    view: Election, now: Instant
) -> Conclusion | None:
    """The word came late: the start as primary is under way already."""
    if not view.is_barred or view.busy != "start_as_primary":
        return None
    assert view.barred is not None
    return Conclusion(
        replace(view, busy="demote_postgres", stepping_down=True, was_primary=True),
        said=(DemotePostgres(mode="immediate", reason=view.barred),),
        facts={"reason": view.barred},
    )


def give_the_lease_up_after_too_many_crashes(
    view: Election, now: Instant
) -> Conclusion | None:
    """The key is ours and our PostgreSQL must not become primary: whoever is healthy
    may take over, as after a crash with primary_start_timeout 0."""
    if not view.is_barred or view.settings is None or view.shutdown:
        return None
    if view.is_writable or view.asking or view.handed_to is not None:
        return None
    if view.switchover is not None or view.busy in (
        "demote_postgres",
        "become_primary",
    ):
        return None
    is_named = view.leader == view.member and not view.disowned
    if not view.has_lease and not is_named:
        return None
    return Conclusion(
        replace(view, asking="release", failed_intent=None),
        said=(
            ReleaseLeader(
                member=view.member,
                last_lsn=view.last_lsn,
                deadline=now + view.settings.retry_timeout,
            ),
        ),
        facts={"reason": view.barred, "last_lsn": view.last_lsn},
    )


def leave_the_lead_to_others_after_too_many_crashes(
    view: Election, now: Instant
) -> Conclusion | None:
    """Nobody leads, and we do not race until a person has acknowledged the crashes."""
    if not view.is_barred or not _could_race(view):
        return None
    return Conclusion(view, facts={"reason": view.barred})


def hold_the_failover_after_a_recent_one(
    view: Election, now: Instant
) -> Conclusion | None:
    """Nobody leads, and the last automatic failover is so recent that policy wants a
    person, or time."""
    if not view.failover_is_held(now) or not _could_race(view):
        return None
    assert view.hold is not None
    return Conclusion(
        view,
        facts={
            "reason": because("FAILOVER_HELD", incident=view.hold.incident),
            "until": view.hold.until,
        },
    )


def _could_race(view: Election) -> bool:
    """Whether, but for policy, a race might be on.  A restart that a person asked for
    does not wait for its end."""
    return view.leader is None and view.is_standby and view.restart is None
