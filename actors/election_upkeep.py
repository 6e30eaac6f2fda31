"""What election keeps up besides its decisions: the heartbeat, the lease, the timer.

Upkeep follows every decision in the same step.  It never decides anything about
PostgreSQL.
"""

from regnal.actors.election_learning import HEARTBEAT
from regnal.actors.election_lease import FAILSAFE_TIMEOUT
from regnal.actors.election_shutdown import HAND_OVER_DEADLINE, SHUTDOWN_PATIENCE
from regnal.actors.election_state import (
    COUNTED_WITHIN,
    LOOK_EVERY,
    PROBE_FRESH_FOR,
    STREAM_WITHIN,
    Election,
)
from regnal.messages.base import Instant, Message
from regnal.messages.frozen import replace
from regnal.messages.lease import RenewLeader
from regnal.messages.postgres import ObservePostgres
from regnal.messages.timers import SetTimer

WAKE = "election:wake"


def keep_up(view: Election, now: Instant) -> tuple[Election, tuple[Message, ...]]:
    """The state after all chores that are due, and what they say."""
    said: list[Message] = []
    view = _beat(view, now, said)
    view = _look(view, said)
    view = _renew(view, now, said)
    view = _set_alarm(view, now, said)
    return view, tuple(said)


def _beat(view: Election, now: Instant, said: list[Message]) -> Election:
    """The heartbeat: look at PostgreSQL, renew the lease, set the next one."""
    if view.settings is None:
        return view
    if view.heartbeat_at is not None and now < view.heartbeat_at:
        return view
    # The next beat counts from the last, or beats would drift and a lease that was
    # renewed late would be renewed later still.
    interval = view.settings.loop_wait
    due = (view.heartbeat_at or now) + interval
    if due <= now:
        due = now + interval
    said += (SetTimer(name=HEARTBEAT, at=due), ObservePostgres())
    return replace(view, heartbeat_at=due, renewal_due=True)


def _look(view: Election, said: list[Message]) -> Election:
    """A standby came: see at once how far it is, for the choice of synchronous ones."""
    if not view.look_due:
        return view
    if ObservePostgres() not in said:
        said.append(ObservePostgres())
    return replace(view, look_due=False)


def _renew(view: Election, now: Instant, said: list[Message]) -> Election:
    """Renew the lease that we hold and want to keep."""
    if not view.renewal_due or not keeps_the_lease(view):
        return view
    assert view.settings is not None
    assert view.lease_until is not None
    last_moment = view.lease_until - view.margin
    deadline = min(now + view.settings.retry_timeout, last_moment)
    if view.paused or deadline <= now:
        deadline = now + view.settings.retry_timeout
    said.append(
        RenewLeader(member=view.member, ttl=view.settings.ttl, deadline=deadline)
    )
    return replace(view, renewal_due=False, asking="renew")


def keeps_the_lease(view: Election) -> bool:
    """Whether our last word is that the lease shall stay ours."""
    return (
        view.has_lease
        and not view.lease_refused
        and view.asking is None
        and view.handed_to is None
        and not view.stepping_down
        and not view.shutdown_said
    )


def _set_alarm(view: Election, now: Instant, said: list[Message]) -> Election:
    """One timer, for the earliest moment at which a rule may begin to apply."""
    wake_at = next_moment(view, now)
    if wake_at is None or wake_at == view.wake_at:
        return view
    said.append(SetTimer(name=WAKE, at=wake_at))
    return replace(view, wake_at=wake_at)


def next_moment(view: Election, now: Instant) -> Instant | None:
    """The earliest future moment that a rule waits for; None: only events count."""
    moments: list[Instant | None] = [
        view.race_after,
        view.retry_at,
        view.stand_back_until,
        view.poll_at,
        view.schedule_at,
        view.promised_until,
        view.must_lead_by,
        view.answer_by,
        view.fencing_due,
    ]
    if now - view.told_to_follow_at < STREAM_WITHIN:
        moments.append(view.looked_at + LOOK_EVERY)
    if view.lease_until is not None and view.settings is not None:
        last_moment = view.lease_until - view.margin
        moments.append(last_moment)
        if view.settings.failsafe_mode:
            moments.append(last_moment - 2 * FAILSAFE_TIMEOUT)
    if view.hold is not None:
        moments.append(view.hold.until)
    if view.crashed_at is not None:
        moments.append(view.crashed_at + COUNTED_WITHIN)
    if view.handed_at is not None:
        moments.append(view.handed_at + HAND_OVER_DEADLINE)
    if view.shutdown_waits_since is not None:
        moments.append(view.shutdown_waits_since + SHUTDOWN_PATIENCE)
    if view.suspicious_since is not None or view.leader_gone_at is not None:
        moments.append(view.peers_at + PROBE_FRESH_FOR)
    future = [moment for moment in moments if moment is not None and moment > now]
    return min(future) if future else None
