"""Rules of fencing: nothing takes writes that could not be ended with the lease.

The `watchdog` actor arms the guard and activates the hardware watchdog, and judges
whether that stands (docs/fencing.md).  In pause, and in a standby cluster, nothing here
takes writes by a lease.
"""

from regnal.actors.election_creation import may_start_again
from regnal.actors.election_race import is_about_to_promote
from regnal.actors.election_rule import Conclusion
from regnal.actors.election_state import Election
from regnal.messages.base import Instant, Seconds
from regnal.messages.fencing import FencingWanted
from regnal.messages.frozen import replace
from regnal.messages.lease import ReleaseLeader
from regnal.messages.operations import DemotePostgres
from regnal.messages.reasons import because

FENCING_WITHIN: Seconds = 5
"""In which fencing must stand once it is wanted; it takes milliseconds."""


def step_down_without_fencing(view: Election, now: Instant) -> Conclusion | None:
    """The guard, or a watchdog that is required, does not work.  We hold the lease and
    can renew it, so there is time to stop in good order."""
    if view.fencing != "failed" or not view.is_writable or not view.has_lease:
        return None
    if view.paused or view.shutdown or view.stepping_down:
        return None
    if view.busy == "demote_postgres" or view.switchover is not None:
        return None
    assert view.fencing_failure is not None
    return Conclusion(
        replace(view, busy="demote_postgres", was_primary=True),
        said=(DemotePostgres(mode="graceful", reason=view.fencing_failure),),
        facts={"reason": view.fencing_failure, "lease_left": view.lease_left(now)},
    )


def want_fencing_before_the_promotion(
    view: Election, now: Instant
) -> Conclusion | None:
    """WDOG-03, law 2: the guard is armed before, not after."""
    if view.fencing != "idle" or not is_about_to_promote(view, now):
        return None
    return _want(view, now)


def wait_for_fencing_before_the_promotion(
    view: Election, now: Instant
) -> Conclusion | None:
    """It was asked for, and takes milliseconds."""
    if not view.awaits_fencing(now) or not is_about_to_promote(view, now):
        return None
    return Conclusion(view)


def want_fencing_before_the_start(view: Election, now: Instant) -> Conclusion | None:
    """The same for a primary that is started again."""
    if not may_start_again(view, now):
        return None
    if view.fencing == "idle":
        return _want(view, now)
    return Conclusion(view) if view.awaits_fencing(now) else None


def release_without_fencing(view: Election, now: Instant) -> Conclusion | None:
    """We hold the lease, and what we promoted could not be ended with it: it is
    somebody else's turn (WDOG-04)."""
    settings = view.settings
    if settings is None or settings.is_standby_cluster or view.paused or view.shutdown:
        return None
    if not view.has_lease or view.asking or view.handed_to is not None:
        return None
    if not view.is_standby:
        return None
    overdue = view.fencing == "wanted" and not view.awaits_fencing(now)
    if view.fencing != "failed" and not overdue:
        return None
    return Conclusion(
        replace(
            view,
            asking="release",
            fencing="failed" if view.fencing == "failed" else "idle",
            stand_back_until=now + settings.loop_wait,
        ),
        said=(
            ReleaseLeader(
                member=view.member,
                last_lsn=None,
                deadline=now + settings.retry_timeout,
            ),
        ),
        facts={
            "reason": view.fencing_failure or because("GUARD_FAILED", error="no answer")
        },
    )


def _want(view: Election, now: Instant) -> Conclusion:
    return Conclusion(
        replace(view, fencing="wanted", fencing_due=now + FENCING_WITHIN),
        said=(FencingWanted(),),
        facts={"lease_left": view.lease_left(now)},
    )
