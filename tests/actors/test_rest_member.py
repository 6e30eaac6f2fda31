"""Requests to one member: reinitialise, failsafe (docs/contracts.md 4.9)."""

import json

import pytest

from regnal.actors.rest_state import Rest
from regnal.messages.operations import IntentRefused, Phase
from regnal.messages.reasons import because
from regnal.messages.requests import AnswerHeader, ReinitializeWanted, RequestAnswered
from regnal.messages.timers import SetTimer, TimerFired
from tests.actors.builders import Told, phase, renewed, seen
from tests.actors.rest_requests import (
    FAILSAFE,
    answers,
    leader,
    reinitialize,
    replica,
    snapshot,
)

BEGUN = phase("stopping", "standby", "stopping", intent="reinitialize_member")


def test_a_reinitialise_is_answered_when_it_has_begun() -> None:
    """REST-20: a clone may take hours, and the caller sees it in the state."""
    told = replica().hear(reinitialize(force=True, from_leader=True))
    assert told.of(ReinitializeWanted) == (
        ReinitializeWanted(request="r1", force=True, from_leader=True),
    )
    assert not answers(told)
    begun = told.hear(BEGUN)
    assert answers(begun) == [(200, "reinitialize started")]
    assert not begun.state.pending


@pytest.mark.parametrize(
    ("given", "text"),
    [
        pytest.param(
            replica(seen=seen("pg1", "pg2", leader=None)),
            "Cluster has no leader, can not reinitialize",
            id="no leader",
        ),
        pytest.param(leader(), "I am the leader, can not reinitialize", id="leader"),
        pytest.param(
            replica(phase("cloning")),
            "creating replica already in progress",
            id="busy",
        ),
    ],
)
def test_refusals(given: Told[Rest], text: str) -> None:
    """REST-20, BOOT-29."""
    told = given.hear(reinitialize())
    assert answers(told) == [(503, text)]
    assert not told.of(ReinitializeWanted)


@pytest.mark.parametrize("busy", ["cloning", "rewinding", "starting", "removing"])
def test_force_ends_what_is_in_progress(busy: Phase) -> None:
    """BOOT-30."""
    assert replica(phase(busy)).hear(reinitialize(force=True)).of(ReinitializeWanted)


def test_the_supervisor_may_refuse() -> None:
    """REST-20."""
    refused = IntentRefused(
        intent="reinitialize_member",
        reason=because("IN_PROGRESS", action="promote"),
        request="r1",
    )
    told = replica(reinitialize()).hear(refused)
    assert answers(told) == [(503, "promote already in progress")]


def test_a_phase_of_another_intent_is_no_beginning() -> None:
    told = replica(reinitialize()).hear(phase("following", intent="follow_leader"))
    assert not answers(told)


def test_nobody_waits_for_ever() -> None:
    """REST-20."""
    told = replica().hear(reinitialize())
    (timer,) = told.of(SetTimer)
    fired = told.hear(TimerFired(name=timer.name, due_at=timer.at), at=timer.at)
    assert [status for status, _ in answers(fired)] == [503]


# Failsafe mode.


def test_a_replica_accepts_and_tells_its_position() -> None:
    """P-FSAFE-04, P-FSAFE-08, P-FSAFE-10."""
    told = replica(failsafe_mode=True).hear(FAILSAFE)
    (answered,) = told.of(RequestAnswered)
    assert (answered.status, answered.body) == (200, "Accepted")
    assert answered.headers == (AnswerHeader(name="lsn", value="900"),)
    assert json.loads(snapshot(told).document)["failsafe_mode_is_active"] is True
    assert json.loads(snapshot(told).metrics)["patroni_failsafe_mode_is_active"] == 1


def test_what_was_accepted_holds_for_ttl() -> None:
    """P-FSAFE-04: then nothing was heard of the primary, and it is over."""
    told = replica(failsafe_mode=True).hear(FAILSAFE)
    (timer,) = told.of(SetTimer)
    assert timer.at == 130.0
    again = told.hear(FAILSAFE, at=120.0)
    early = again.hear(TimerFired(name=timer.name, due_at=130.0), at=130.0)
    assert "failsafe_mode_is_active" in snapshot(early).document
    late = early.hear(TimerFired(name=timer.name, due_at=150.0), at=150.0)
    assert "failsafe_mode_is_active" not in snapshot(late).document


@pytest.mark.parametrize(
    ("given", "status", "text"),
    [
        pytest.param(
            leader(failsafe_mode=True), 500, "Running as a leader", id="a leader"
        ),
        pytest.param(replica(), 502, "failsafe_mode is off", id="off"),
    ],
)
def test_who_does_not_accept(given: Told[Rest], status: int, text: str) -> None:
    """P-FSAFE-04."""
    assert answers(given.hear(FAILSAFE)) == [(status, text)]


def test_a_primary_without_a_lease_does_not_accept_either() -> None:
    """P-FSAFE-04, law 1: two who run as primary must not confirm each other."""
    told = leader(renewed(140.0), failsafe_mode=True).hear(FAILSAFE, at=150.0)
    assert answers(told) == [(500, "Running as a leader")]
