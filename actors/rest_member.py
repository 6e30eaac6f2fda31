"""Requests to this one member: reinitialise it, keep its primary in failsafe mode."""

from regnal.actors.rest_answers import Conclusion, Moment, answer, finish, refuse, wait
from regnal.actors.rest_restart import ACTIONS
from regnal.actors.rest_state import ReinitializeAsked, Rest
from regnal.messages.base import Message, RequestId
from regnal.messages.frozen import replace
from regnal.messages.operations import (
    IntentFailed,
    IntentFulfilled,
    IntentRefused,
    PhaseChanged,
)
from regnal.messages.requests import (
    AnswerHeader,
    FailsafePosted,
    ReinitializeRequested,
    ReinitializeWanted,
)
from regnal.messages.timers import CancelTimer, SetTimer, TimerFired

FAILSAFE_TIMER = "rest:failsafe"
START_TIMER = "rest:reinitialize:"
"""Followed by the request."""

START_WITHIN = 60.0
"""Seconds in which a reinitialise must have begun; PostgreSQL may have to be stopped
first, or a weaker intent be ended."""


def reinitialize_on_request(
    rest: Rest, asked: ReinitializeRequested, moment: Moment
) -> Conclusion:
    """REST-20."""
    if rest.leader is None:
        return refuse(
            rest, asked.request, 503, "Cluster has no leader, can not reinitialize"
        )
    if rest.leader == rest.member or rest.leads(moment.now):
        return refuse(rest, asked.request, 503, "I am the leader, can not reinitialize")
    action = ACTIONS.get(rest.own.phase)
    if action is not None and not asked.force:
        return refuse(rest, asked.request, 503, f"{action} already in progress")
    return Conclusion(
        wait(rest, ReinitializeAsked(asked.request)),
        (
            ReinitializeWanted(
                request=asked.request, force=asked.force, from_leader=asked.from_leader
            ),
            SetTimer(name=START_TIMER + asked.request, at=moment.now + START_WITHIN),
        ),
    )


def reinitialize_has_begun(
    rest: Rest, changed: PhaseChanged, moment: Moment
) -> Conclusion:
    """The caller does not wait for the end: a clone may take hours."""
    said: tuple[Message, ...] = ()
    if changed.intent == "reinitialize_member":
        for waiting in rest.pending:
            if isinstance(waiting, ReinitializeAsked):
                begun = _end(rest, waiting.request, 200, "reinitialize started")
                rest, said = begun.rest, said + begun.said
    return Conclusion(rest, said)


def reinitialize_ended(
    rest: Rest,
    waiting: ReinitializeAsked,
    outcome: IntentFulfilled | IntentFailed | IntentRefused,
) -> Conclusion:
    match outcome:
        case IntentFulfilled():
            return _end(rest, waiting.request, 200, "reinitialize started")
        case IntentFailed(reason=reason) | IntentRefused(reason=reason):
            return _end(rest, waiting.request, 503, str(reason))


def give_the_reinitialize_up(
    rest: Rest, fired: TimerFired, moment: Moment
) -> Conclusion:
    request = fired.name.removeprefix(START_TIMER)
    if not isinstance(rest.waiting(request), ReinitializeAsked):
        return Conclusion(rest)
    return finish(
        rest, request, 503, "reinitialize has not begun; it may still be in progress"
    )


def _end(rest: Rest, request: RequestId, status: int, text: str) -> Conclusion:
    ended = finish(rest, request, status, text)
    return ended._replace(said=(*ended.said, CancelTimer(name=START_TIMER + request)))


def accept_the_primary(rest: Rest, asked: FailsafePosted, moment: Moment) -> Conclusion:
    """P-FSAFE-04: a primary without a store asks whether it may go on.

    Our yes holds for ttl: so long this member will not take part in a race.
    """
    settings, status = rest.settings, rest.own.postgres
    if settings is None or not settings.failsafe_mode:
        return refuse(rest, asked.request, 502, "failsafe_mode is off")
    if rest.leads(moment.now) or (status is not None and status.is_primary):
        return refuse(rest, asked.request, 500, "Running as a leader")
    position = status.position if status is not None else 0
    # P-FSAFE-08: so that the primary can advance slots of those who follow us.
    headers = (AnswerHeader(name="lsn", value=str(position)),) if position else ()
    until = moment.now + settings.ttl
    return Conclusion(
        replace(rest, failsafe_active=True, failsafe_until=until),
        (
            answer(asked.request, 200, "Accepted", headers),
            SetTimer(name=FAILSAFE_TIMER, at=until),
        ),
        {"primary": asked.name},
    )


def forget_failsafe_mode(rest: Rest, fired: TimerFired, moment: Moment) -> Conclusion:
    """Nobody has spoken of it for ttl."""
    if moment.now < rest.failsafe_until:
        return Conclusion(rest)
    return Conclusion(replace(rest, failsafe_active=False))
