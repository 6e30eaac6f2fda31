"""Restarts by request, at once or later (docs/contracts.md 4.8; SCHED-03 to 06)."""

import json
import re

from regnal.actors.rest_answers import Conclusion, Moment, answer, finish, refuse, wait
from regnal.actors.rest_document import scheduled_document
from regnal.actors.rest_schedule import BadSchedule, parse_schedule
from regnal.actors.rest_state import (
    Rest,
    RestartFilters,
    RestartUnderWay,
    ScheduledRestart,
)
from regnal.messages.base import JsonText, Message
from regnal.messages.frozen import replace
from regnal.messages.operations import IntentFailed, IntentFulfilled, IntentRefused
from regnal.messages.requests import (
    RestartCancelRequested,
    RestartRequested,
    RestartWanted,
    ScheduledRestartChanged,
)
from regnal.messages.timers import CancelTimer, SetTimer, TimerFired

TIMER = "rest:restart"

LATE = 1.5
"""Loops.  A restart that is due longer (the machine slept) is not made up for: whoever
chose the hour did not choose this one (as SCHED-02)."""

ROLES = ("primary", "standby_leader", "replica")

_DURATION = re.compile(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|min|h|d)?\s*", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_VERSION = re.compile(r"(\d{1,2})\.(\d{1,2})(?:\.(\d{1,2}))?", re.ASCII)

ACTIONS = {
    "promoting": "promote",
    "checkpointing": "stop",
    "stopping": "stop",
    "restarting": "restart",
    "following": "follow",
    "checking": "follow",
    "recovering": "crash recovery",
    "rewinding": "pg_rewind",
    "removing": "reinitialize",
    "cloning": "creating replica",
    "bootstrapping": "bootstrap",
    "starting": "start",
}
"""What is in progress, by the supervisor's phase."""


class BadRestart(Exception):
    """The request cannot be granted: answer with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def restart_on_request(
    rest: Rest, asked: RestartRequested, moment: Moment
) -> Conclusion:
    try:
        filters, timeout = _read(rest, asked)
        if asked.schedule is not None:
            return _schedule(rest, asked, filters, timeout, moment)
    except (BadRestart, BadSchedule) as bad:
        return refuse(rest, asked.request, bad.status, bad.text)
    trouble = why_not(rest, filters)
    if trouble is not None:
        return refuse(rest, asked.request, 503, trouble)
    return Conclusion(
        wait(rest, RestartUnderWay(asked.request)),
        (RestartWanted(request=asked.request, timeout=timeout),),
    )


def _read(rest: Rest, asked: RestartRequested) -> tuple[RestartFilters, float | None]:
    """Raises BadRestart."""
    if asked.schedule is not None and rest.paused:
        raise BadRestart(500, "Can't schedule restart in the paused state")
    role = "primary" if asked.role == "master" else asked.role
    if role is not None and role not in ROLES:
        raise BadRestart(
            400,
            "PostgreSQL role should be either primary, standby_leader, or replica",
        )
    if asked.postgres_version is not None:
        version_number(asked.postgres_version)
    timeout = None
    if asked.timeout is not None:
        timeout = duration(asked.timeout)
        if timeout is None or timeout <= 0:
            raise BadRestart(400, "Timeout should be a positive number of seconds")
    if asked.unknown_filter is not None:
        raise BadRestart(
            400, f"Unknown filter for the scheduled restart: {asked.unknown_filter}"
        )
    return RestartFilters(role, asked.postgres_version, asked.restart_pending), timeout


def _schedule(
    rest: Rest,
    asked: RestartRequested,
    filters: RestartFilters,
    timeout: float | None,
    moment: Moment,
) -> Conclusion:
    """SCHED-04: one per member.  Raises BadSchedule."""
    assert asked.schedule is not None
    schedule = parse_schedule(asked.schedule, "restart", moment.wall_us)
    if rest.scheduled is not None:
        return refuse(rest, asked.request, 409, "Another restart is already scheduled")
    status = rest.own.postgres
    scheduled = ScheduledRestart(
        at=schedule.at,
        due_us=schedule.due_us,
        filters=filters,
        timeout=timeout,
        postmaster_started_at=status.postmaster_started_at if status else None,
    )
    return Conclusion(
        replace(rest, scheduled=scheduled),
        (
            answer(asked.request, 202, "Restart scheduled"),
            ScheduledRestartChanged(document=published_schedule(scheduled)),
            _timer(scheduled, moment),
        ),
        {"schedule": schedule.at},
    )


def published_schedule(scheduled: ScheduledRestart) -> JsonText:
    """As the member key has it (docs/contracts.md 2.1)."""
    content = scheduled_document(scheduled)
    if scheduled.postmaster_started_at is not None:
        content["postmaster_start_time"] = scheduled.postmaster_started_at
    return json.dumps(content)


def cancel_the_scheduled_restart(
    rest: Rest, asked: RestartCancelRequested, moment: Moment
) -> Conclusion:
    """REST-19, SCHED-05."""
    if rest.scheduled is None:
        return refuse(rest, asked.request, 404, "no restarts are scheduled")
    dropped = drop_the_scheduled_restart(rest, "deleted")
    return Conclusion(
        dropped.rest,
        (answer(asked.request, 200, "scheduled restart deleted"), *dropped.said),
    )


def drop_the_scheduled_restart(rest: Rest, why: str) -> Conclusion:
    assert rest.scheduled is not None
    return Conclusion(
        replace(rest, scheduled=None),
        (ScheduledRestartChanged(document=None), CancelTimer(name=TIMER)),
        {"schedule": rest.scheduled.at, "dropped": why},
    )


def look_at_the_schedule(rest: Rest, heard: Message, moment: Moment) -> Conclusion:
    """Whether the scheduled restart is due, or has no sense any more."""
    scheduled, status = rest.scheduled, rest.own.postgres
    if scheduled is None:
        return Conclusion(rest)
    started_at = status.postmaster_started_at if status is not None else None
    known = scheduled.postmaster_started_at
    if None not in (known, started_at) and known != started_at:
        return drop_the_scheduled_restart(rest, "PostgreSQL was restarted meanwhile")
    late = (moment.wall_us - scheduled.due_us) / 1e6
    if late < 0 and known is None and started_at is not None:
        # It had only just started when the restart was asked for.
        scheduled = replace(scheduled, postmaster_started_at=started_at)
        document = published_schedule(scheduled)
        return Conclusion(
            replace(rest, scheduled=scheduled),
            (ScheduledRestartChanged(document=document),),
        )
    if late < 0:
        return _wait_on(rest, scheduled, heard, moment)
    dropped = drop_the_scheduled_restart(rest, "it is due")
    if rest.paused:
        return drop_the_scheduled_restart(rest, "it is due in pause")
    if rest.settings is not None and late > LATE * rest.settings.loop_wait:
        return drop_the_scheduled_restart(rest, f"it is {late:.0f} seconds late")
    trouble = why_not(rest, scheduled.filters)
    if trouble is not None:
        return drop_the_scheduled_restart(rest, trouble)
    wanted = RestartWanted(request=None, timeout=scheduled.timeout)
    return Conclusion(dropped.rest, (*dropped.said, wanted), dropped.facts)


def _wait_on(
    rest: Rest, scheduled: ScheduledRestart, heard: Message, moment: Moment
) -> Conclusion:
    if isinstance(heard, TimerFired):
        # The wall clock was set back since the timer was set.
        return Conclusion(rest, (_timer(scheduled, moment),))
    return Conclusion(rest)


def _timer(scheduled: ScheduledRestart, moment: Moment) -> SetTimer:
    left = (scheduled.due_us - moment.wall_us) / 1e6
    return SetTimer(name=TIMER, at=moment.now + left)


def why_not(rest: Rest, filters: RestartFilters) -> str | None:
    """Why PostgreSQL is not to be restarted now; None: it is."""
    own, status = rest.own, rest.own.postgres
    if any(isinstance(known, RestartUnderWay) for known in rest.pending):
        return "restart already in progress"
    if own.phase == "starting" or (status is not None and status.process == "starting"):
        return "postgres is still starting"
    if own.phase in ACTIONS:
        return f"{ACTIONS[own.phase]} already in progress"
    if not satisfied(rest, filters):
        return "restart conditions are not satisfied"
    if own.phase not in ("primary", "standby") or status is None:
        return "restart failed"
    return None


def satisfied(rest: Rest, filters: RestartFilters) -> bool:
    """SCHED-03."""
    status = rest.own.postgres
    if filters.role is not None and (
        rest.settings is None or rest.own.role != filters.role
    ):
        return False
    if filters.restart_pending and (status is None or not status.pending_restart):
        return False
    if filters.postgres_version is None:
        return True
    version = status.server_version if status is not None else 0
    return 0 < version < version_number(filters.postgres_version)


def restart_ended(
    rest: Rest,
    waiting: RestartUnderWay,
    outcome: IntentFulfilled | IntentFailed | IntentRefused,
) -> Conclusion:
    match outcome:
        case IntentFulfilled():
            return finish(rest, waiting.request, 200, "restarted successfully")
        case IntentFailed():
            return finish(rest, waiting.request, 503, "restart failed")
        case IntentRefused(reason=reason):
            return finish(rest, waiting.request, 503, str(reason))


def duration(text: str) -> float | None:
    """Seconds; a number without unit is in seconds.  None if it cannot be read."""
    match = _DURATION.fullmatch(text)
    return float(match[1]) * _UNITS[match[2] or "s"] if match else None


def version_number(text: str) -> int:
    """`15.4` as 150004, `9.6.3` as 90603.  Raises BadRestart."""
    match = _VERSION.fullmatch(text.strip())
    if match is not None:
        major, minor = int(match[1]), int(match[2])
        if major >= 10 and match[3] is None:
            return major * 10000 + minor
        if major < 10 and match[3] is not None:
            return major * 10000 + minor * 100 + int(match[3])
    raise BadRestart(
        400,
        f"Invalid PostgreSQL version {text[:40]!r}: write X.Y, or X.Y.Z before 10",
    )
