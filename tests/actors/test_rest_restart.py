"""Restarts by request, at once and later (docs/contracts.md 4.8)."""

import json
from typing import Any

import pytest

from regnal.actors.rest import REST
from regnal.actors.rest_state import Rest
from regnal.messages.base import Message
from regnal.messages.operations import (
    IntentFailed,
    IntentFulfilled,
    IntentRefused,
    Phase,
    RestartInPlace,
)
from regnal.messages.reasons import because
from regnal.messages.requests import RestartWanted, ScheduledRestartChanged
from regnal.messages.timers import CancelTimer, SetTimer, TimerFired
from tests.actors.builders import (
    Told,
    begun,
    configured,
    phase,
    primary,
    standby,
)
from tests.actors.rest_requests import (
    CANCEL_RESTART,
    answers,
    leader,
    replica,
    restart,
    snapshot,
)

AT = "2030-05-01T02:00:00+00:00"
NOT_SATISFIED = (503, "restart conditions are not satisfied")
BAD_ROLE = (400, "PostgreSQL role should be either primary, standby_leader, or replica")
BAD_TIMEOUT = (400, "Timeout should be a positive number of seconds")
STARTED = "2030-01-01T00:00:00+00:00"


def due_at(told: Told[Rest]) -> float:
    """Instant at which the timer of the scheduled restart is set to fire."""
    return [m for m in told.all_said if isinstance(m, SetTimer)][-1].at


def scheduled(**fields: Any) -> Told[Rest]:
    return leader().hear(
        primary(postmaster_started_at=STARTED),
        restart(schedule="2030-03-17T18:00:00Z", **fields),
    )


FIRED = TimerFired(name="rest:restart", due_at=0)


def test_a_restart_is_asked_of_election_and_answered_when_it_is_done() -> None:
    """REST-18."""
    told = leader().hear(restart(timeout="90"))
    assert told.of(RestartWanted) == (RestartWanted(request="r1", timeout=90.0),)
    assert not answers(told)
    done = told.hear(IntentFulfilled(intent="restart_in_place", request="r1"))
    assert answers(done) == [(200, "restarted successfully")]
    assert not done.state.pending


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        pytest.param(
            IntentFailed(
                intent="restart_in_place",
                reason=because("START_TIMEOUT", seconds=300),
                request="r1",
            ),
            "restart failed",
            id="failed",
        ),
        pytest.param(
            IntentRefused(
                intent="restart_in_place",
                reason=because("IN_PROGRESS", action="reinitialize"),
                request="r1",
            ),
            "reinitialize already in progress",
            id="something stronger is under way",
        ),
    ],
)
def test_a_restart_that_came_to_nothing(outcome: Message, text: str) -> None:
    """REST-18."""
    assert answers(leader(restart()).hear(outcome)) == [(503, text)]


@pytest.mark.parametrize(
    ("given", "fields", "answer"),
    [
        pytest.param(leader(), {"role": "replica"}, NOT_SATISFIED, id="other role"),
        pytest.param(leader(), {"role": "primary"}, None, id="this role"),
        pytest.param(leader(), {"role": "master"}, None, id="its old name"),
        pytest.param(replica(), {"role": "replica"}, None, id="replica"),
        pytest.param(replica(), {"role": "primary"}, NOT_SATISFIED, id="no primary"),
        pytest.param(leader(), {"role": "boss"}, BAD_ROLE, id="no role"),
        pytest.param(
            leader(), {"restart_pending": True}, NOT_SATISFIED, id="not pending"
        ),
        pytest.param(
            leader(primary(pending_restart=True)),
            {"restart_pending": True},
            None,
            id="pending",
        ),
        pytest.param(
            leader(), {"postgres_version": "15.18"}, NOT_SATISFIED, id="as new"
        ),
        pytest.param(leader(), {"postgres_version": "15.19"}, None, id="older"),
        pytest.param(
            leader(), {"postgres_version": "9.6.24"}, NOT_SATISFIED, id="newer"
        ),
        pytest.param(leader(), {"timeout": "0"}, BAD_TIMEOUT, id="no time"),
        pytest.param(leader(), {"timeout": "soon"}, BAD_TIMEOUT, id="no number"),
        pytest.param(leader(), {"timeout": "-1"}, BAD_TIMEOUT, id="negative"),
        pytest.param(leader(), {"timeout": "true"}, BAD_TIMEOUT, id="a boolean"),
        pytest.param(
            leader(),
            {"unknown_filter": "colour"},
            (400, "Unknown filter for the scheduled restart: colour"),
            id="unknown filter",
        ),
    ],
)
def test_filters(
    given: Told[Rest], fields: dict[str, Any], answer: tuple[int, str] | None
) -> None:
    """SCHED-03, SCHED-06, P-NAMES-06: a filter that does not match refuses."""
    told = given.hear(restart(**fields))
    assert answers(told) == ([] if answer is None else [answer])
    assert bool(told.of(RestartWanted)) is (answer is None)


@pytest.mark.parametrize("version", ["15", "15.4.1", "9.6", "x.y", "", "15.-1"])
def test_a_version_that_is_none(version: str) -> None:
    """REST-18."""
    ((status, text),) = answers(leader().hear(restart(postgres_version=version)))
    assert status == 400
    assert "Invalid PostgreSQL version" in text


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [("90", 90.0), ("1.5", 1.5), ("500ms", 0.5), ("2 min", 120.0), ("1h", 3600.0)],
)
def test_a_timeout_may_have_a_unit(timeout: str, seconds: float) -> None:
    """REST-18."""
    (wanted,) = leader().hear(restart(timeout=timeout)).of(RestartWanted)
    assert wanted.timeout == seconds


@pytest.mark.parametrize(
    ("reached", "text"),
    [
        ("starting", "postgres is still starting"),
        ("cloning", "creating replica already in progress"),
        ("promoting", "promote already in progress"),
        ("stopped", "restart failed"),
    ],
)
def test_what_is_under_way_is_not_interrupted(reached: Phase, text: str) -> None:
    """REST-18."""
    told = begun(REST, configured(), primary(), phase(reached)).hear(restart())
    assert answers(told) == [(503, text)]


def test_one_restart_at_a_time() -> None:
    """REST-18."""
    told = leader(restart()).hear(restart(request="r2"))
    assert answers(told) == [(503, "restart already in progress")]


def test_while_it_restarts_the_primary_takes_no_new_clients() -> None:
    """REST-26: load balancers let go before the server does."""
    told = leader(
        RestartInPlace(timeout=60, request="r1", reason=because("RESTART_REQUESTED"))
    )
    assert not snapshot(told).accepts_writes


# Later.


def test_a_restart_is_kept_published_and_acknowledged() -> None:
    """SCHED-04."""
    told = leader().hear(
        primary(postmaster_started_at=STARTED),
        restart(schedule=AT, role="primary", restart_pending=True, timeout="60"),
    )
    assert answers(told) == [(202, "Restart scheduled")]
    (changed,) = told.of(ScheduledRestartChanged)
    assert json.loads(changed.document or "") == {
        "schedule": AT,
        "role": "primary",
        "restart_pending": True,
        "timeout": 60.0,
        "postmaster_start_time": STARTED,
    }
    shown = json.loads(snapshot(told).document)["scheduled_restart"]
    assert shown["schedule"] == AT
    assert "postmaster_start_time" not in shown


def test_the_timer_is_set_to_the_moment() -> None:
    """SCHED-04: 2030-03-17T18:00 is 13,300 s and a bit after instant 0."""
    from_wall = 1_900_000_000
    moment = 1_900_087_200  # 2030-03-18T18:00:00Z
    told = leader().hear(restart(schedule="2030-03-18T18:00:00Z"))
    assert due_at(told) == pytest.approx(moment - from_wall)


def test_a_second_one_is_refused_until_the_first_is_removed() -> None:
    """SCHED-04, SCHED-05, REST-19."""
    told = scheduled()
    again = told.hear(restart(schedule=AT))
    assert answers(again) == [(409, "Another restart is already scheduled")]
    removed = told.hear(CANCEL_RESTART)
    assert answers(removed) == [(200, "scheduled restart deleted")]
    assert removed.of(ScheduledRestartChanged) == (
        ScheduledRestartChanged(document=None),
    )
    assert removed.of(CancelTimer)
    assert "scheduled_restart" not in json.loads(snapshot(removed).document)
    assert answers(removed.hear(restart(schedule=AT)))[0][0] == 202


def test_there_may_be_none_to_remove() -> None:
    """REST-19."""
    assert answers(leader().hear(CANCEL_RESTART)) == [
        (404, "no restarts are scheduled")
    ]


@pytest.mark.parametrize(
    ("given", "fields", "status"),
    [
        pytest.param(leader(paused=True), {"schedule": AT}, 500, id="paused"),
        pytest.param(leader(), {"schedule": "2030-05-01"}, 400, id="no zone"),
        pytest.param(leader(), {"schedule": "2020-05-01T00:00Z"}, 422, id="past"),
        pytest.param(leader(), {"schedule": "soon"}, 422, id="no time"),
        pytest.param(leader(), {"schedule": AT, "role": "boss"}, 400, id="bad role"),
    ],
)
def test_schedules_that_are_refused(
    given: Told[Rest], fields: dict[str, Any], status: int
) -> None:
    """REST-18, PAUSE-02."""
    told = given.hear(restart(**fields))
    assert [status for status, _ in answers(told)] == [status]
    assert not told.of(ScheduledRestartChanged)


def test_the_paused_state_says_so() -> None:
    """PAUSE-02."""
    assert answers(leader(paused=True).hear(restart(schedule=AT))) == [
        (500, "Can't schedule restart in the paused state")
    ]


def test_when_it_is_due_it_is_wanted() -> None:
    """SCHED-04."""
    told = scheduled(timeout="60")
    fired = told.hear(FIRED, at=due_at(told))
    assert fired.of(RestartWanted) == (RestartWanted(request=None, timeout=60.0),)
    assert fired.of(ScheduledRestartChanged) == (
        ScheduledRestartChanged(document=None),
    )
    assert fired.state.scheduled is None


@pytest.mark.parametrize(
    ("news", "late", "why"),
    [
        pytest.param(
            (primary(postmaster_started_at="2030-02-02T00:00:00+00:00"),),
            -10,
            "PostgreSQL was restarted meanwhile",
            id="restarted meanwhile",
        ),
        pytest.param(
            (configured(paused=True), FIRED), 0, "it is due in pause", id="paused"
        ),
        pytest.param((FIRED,), 16, "it is 16 seconds late", id="the machine slept"),
        pytest.param(
            (phase("standby"), standby(postmaster_started_at=STARTED)),
            0,
            "restart conditions are not satisfied",
            id="another role by now",
        ),
    ],
)
def test_a_schedule_that_has_no_sense_any_more_is_dropped(
    news: tuple[Message, ...], late: float, why: str
) -> None:
    """SCHED-03, SCHED-04, PAUSE-02."""
    told = scheduled(role="primary")
    dropped = told.hear(*news, at=due_at(told) + late)
    assert dropped.state.scheduled is None
    assert not dropped.of(RestartWanted)
    assert dropped.of(ScheduledRestartChanged) == (
        ScheduledRestartChanged(document=None),
    )
    assert dropped.step.facts["dropped"] == why


def test_a_wall_clock_that_was_set_back_delays_it() -> None:
    """SCHED-04: the moment is a person's, so it is the person's clock that counts."""
    told = scheduled()
    early = told.hear(FIRED, at=due_at(told) - 3600)
    assert not early.of(RestartWanted)
    assert [timer.name for timer in early.of(SetTimer)] == ["rest:restart"]


def test_a_wall_clock_that_was_set_forward_does_not_hide_it() -> None:
    """SCHED-04: any look at PostgreSQL is a look at the clock, too."""
    told = scheduled()
    looked = told.hear(primary(postmaster_started_at=STARTED), at=due_at(told) + 1)
    assert looked.of(RestartWanted)


def test_a_postmaster_that_had_only_just_started_is_noted_later() -> None:
    """SCHED-04: without it nobody could tell that PostgreSQL was restarted since."""
    told = leader(restart(schedule=AT)).hear(primary(postmaster_started_at=STARTED))
    (changed,) = told.of(ScheduledRestartChanged)
    assert json.loads(changed.document or "")["postmaster_start_time"] == STARTED
    assert not told.hear(primary(postmaster_started_at=STARTED)).said
    restarted = told.hear(primary(postmaster_started_at="2030-02-02T00:00:00+00:00"))
    assert restarted.state.scheduled is None
