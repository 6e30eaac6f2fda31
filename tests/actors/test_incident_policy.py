"""What the history of incidents forbids, and when the leader explains an incident."""

import json
from typing import Any

import pytest

from regnal.actors.incidents import INCIDENTS
from regnal.actors.incidents_learning import ATTEMPTS, RETRY_AFTER
from regnal.actors.incidents_state import Incidents
from regnal.messages.base import Message
from regnal.messages.incidents import (
    CrashCounted,
    DropExplanation,
    ExplainIncident,
    ExplanationFailed,
    FailoverHeld,
    FailoverReleased,
    IncidentJudged,
    IncidentsRecalled,
    LeadershipAllowed,
    LeadershipBarred,
)
from regnal.messages.status import PublishIncidents
from regnal.messages.timers import SetTimer
from tests.actors.builders import Told, begun, configured, phase
from tests.actors.incident_stories import (
    WAKE,
    acknowledged,
    exited,
    held_by,
    leader,
    lost,
    stalled,
    standby,
)

HOLDING: dict[str, Any] = {"min_time_between_failovers": 600}
LIMITED: dict[str, Any] = {"crash_loop_limit": 3, "crash_loop_window": 600}
POLICY_WORDS = (
    FailoverHeld,
    FailoverReleased,
    CrashCounted,
    LeadershipBarred,
    LeadershipAllowed,
)


def rules(told: Told[Incidents]) -> list[str]:
    return (told.step.rule or "").split("+")


def words_of_policy(told: Told[Incidents]) -> list[Message]:
    return [message for message in told.all_said if isinstance(message, POLICY_WORDS)]


def crashed(told: Told[Incidents], times: int, every: float = 20.0) -> Told[Incidents]:
    """PostgreSQL ends unasked, and is started again each time."""
    for number in range(times):
        at = told.at if number == 0 else told.at + every
        told = told.hear(phase("primary"), at=at).hear(exited())
    return told


def test_by_default_there_is_no_policy() -> None:
    told = lost(standby()).hear(held_by("pg1", 50), phase("primary"))
    told = crashed(told, 9).hear(WAKE, acknowledged(), at=900.0)
    assert words_of_policy(told) == []


# The time between failovers.


def test_a_failover_holds_the_next_one_up() -> None:
    told = lost(standby(**HOLDING))
    assert rules(told)[-1] == "hold_the_next_failover"
    assert told.of(FailoverHeld) == (
        FailoverHeld(incident="reign-10", leader="pg3", until=700.0),
    )


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(held_by("pg3", 33, session="pg2"), id="planned"),
        pytest.param(held_by(None), id="nobody leads yet"),
    ],
)
def test_what_is_no_failover_holds_nothing_up(change: Message) -> None:
    told = standby(**HOLDING).hear(change).hear(WAKE, at=102.0)
    assert words_of_policy(told) == []


def test_time_ends_the_hold() -> None:
    told = lost(standby(**HOLDING)).hear(WAKE, at=110.0)
    assert [timer.at for timer in told.of(SetTimer)] == [700.0]
    told = told.hear(WAKE, at=700.0)
    assert rules(told)[-1] == "release_the_next_failover"
    assert told.of(FailoverReleased) == (FailoverReleased(incident="reign-10"),)


def test_an_acknowledgement_ends_the_hold() -> None:
    told = lost(standby(**HOLDING)).hear(acknowledged("reign-10"), at=130.0)
    assert len(told.of(FailoverReleased)) == 1


def test_switching_it_off_ends_the_hold() -> None:
    told = lost(standby(**HOLDING)).hear(configured())
    assert len(told.of(FailoverReleased)) == 1


def test_another_time_takes_effect_at_once() -> None:
    told = lost(standby(**HOLDING)).hear(configured(min_time_between_failovers=60))
    assert told.of(FailoverHeld)[0].until == 160.0


# The crash loop.


def test_a_crash_is_counted_and_the_last_one_bars() -> None:
    told = crashed(leader(**LIMITED), 2)
    assert "bar_the_leadership_after_too_many_crashes" in rules(told)
    assert told.of(CrashCounted) == (CrashCounted(crashes=2, limit=3),)
    told = crashed(told.hear(phase("starting"), at=140.0), 1)
    barred = told.of(LeadershipBarred)[0]
    assert told.state.memory.incidents[-1].name == barred.incident
    assert str(barred.reason).startswith("PostgreSQL of pg1 ended unasked as primary 3")
    assert told.of(CrashCounted) == ()


def test_crashes_long_ago_do_not_count() -> None:
    told = crashed(leader(**LIMITED), 4, every=400.0)
    assert [m for m in told.all_said if isinstance(m, LeadershipBarred)] == []


@pytest.mark.parametrize(
    ("told", "last"),
    [
        pytest.param(leader(paused=True, **LIMITED), exited(), id="in pause"),
        pytest.param(leader(**LIMITED), exited(clean=True), id="shut down by hand"),
        pytest.param(standby(**LIMITED), exited(), id="a standby"),
    ],
)
def test_whoever_waits_for_the_count_is_answered(
    told: Told[Incidents], last: Message
) -> None:
    """Election waits before it starts PostgreSQL again."""
    for _ in range(5):
        told = told.hear(last)
        assert len(told.of(CrashCounted)) == 1


def test_the_bar_goes_on_when_the_crash_becomes_part_of_a_reign_s_end() -> None:
    told = crashed(leader(**LIMITED), 3)
    told = told.hear(held_by("pg2", 33))
    assert "bar_the_leadership_as_before" in rules(told)
    assert told.of(LeadershipBarred)[0].incident == "reign-10"
    told = told.hear(acknowledged("reign-10"))
    assert told.of(LeadershipAllowed) == (LeadershipAllowed(incident="reign-10"),)


def test_an_acknowledgement_lifts_the_bar_and_the_count_begins_anew() -> None:
    told = crashed(leader(**LIMITED), 3).hear(acknowledged())
    assert rules(told) == ["acknowledge_on_request", "lift_the_bar"]
    told = crashed(told, 1)
    assert told.of(CrashCounted) == (CrashCounted(crashes=1, limit=3),)


def test_switching_it_off_lifts_the_bar() -> None:
    told = crashed(leader(**LIMITED), 3).hear(configured())
    assert len(told.of(LeadershipAllowed)) == 1


def test_what_was_forbidden_before_a_restart_is_so_before_anything_is_known() -> None:
    """The settings come later; the daemon must not act before."""
    both = crashed(leader(**LIMITED, **HOLDING), 3).hear(held_by("pg2", 33), at=150.0)
    found = both.state.memory
    recalled = IncidentsRecalled(
        incidents=found.incidents, crashes=found.crashes, reign=None, trouble=None
    )
    told = begun(INCIDENTS).hear(recalled, at=160.0)
    assert told.of(LeadershipBarred)[0].incident == "reign-10"
    assert told.of(FailoverHeld)[0].until == 750.0
    told = told.hear(configured(**LIMITED, **HOLDING))
    assert words_of_policy(told)[2:] == []
    told = told.hear(configured())
    assert len(told.of(LeadershipAllowed)) == 1
    assert len(told.of(FailoverReleased)) == 1


# Explanations.


def settled_leader(**settings: Any) -> Told[Incidents]:
    """pg1 took over from pg2, and all has been well for a heartbeat."""
    told = standby(**settings).hear(held_by("pg1", 33), phase("primary"))
    return told.hear(WAKE, at=110.0)


def explained(told: Told[Incidents]) -> list[str]:
    return [command.incident for command in told.of(ExplainIncident)]


def judged(name: str = "reign-10") -> IncidentJudged:
    return IncidentJudged(
        incident=name,
        cause="host_lost",
        root="host_lost",
        sentence="The host of pg2 was lost",
        outage=16.9,
        author=None,
    )


def failed(name: str = "reign-10") -> ExplanationFailed:
    return ExplanationFailed(incident=name, error="it took longer than 120 s")


def test_the_leader_explains_what_is_settled() -> None:
    told = settled_leader()
    assert rules(told) == ["settle_what_is_over", "explain_what_has_settled"]
    assert explained(told) == ["reign-10"]
    (command,) = told.of(ExplainIncident)
    assert command.since < told.state.memory.incidents[0].began
    told = told.hear(judged())
    found = told.state.memory.find("reign-10")
    assert found is not None
    assert found.verdict is not None
    assert found.verdict.cause == "host_lost"
    assert told.hear(WAKE, at=999.0).of(ExplainIncident) == ()


def test_a_planned_change_is_explained_too_for_the_history() -> None:
    told = standby().hear(held_by("pg1", 33, session="pg2"), phase("primary"))
    assert len(told.hear(WAKE, at=110.0).of(ExplainIncident)) == 1


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(lost(standby()).hear(WAKE, at=111.0), id="another leads"),
        pytest.param(settled_leader(explain_incidents=False), id="switched off"),
    ],
)
def test_nobody_else_explains(told: Told[Incidents]) -> None:
    assert told.state.memory.unsettled == ()
    assert told.of(ExplainIncident) == ()


def test_one_is_explained_after_the_other() -> None:
    told = standby(stalled(20.0)).hear(held_by("pg1", 33), phase("primary"))
    told = told.hear(WAKE, at=110.0)
    assert len(told.state.unexplained) == 2
    assert len(told.of(ExplainIncident)) == 1
    first = told.of(ExplainIncident)[0].incident
    told = told.hear(judged(first))
    assert told.of(ExplainIncident)[0].incident != first


def test_an_explanation_that_fails_is_tried_again_twice() -> None:
    told, tries = settled_leader(), 1
    for _ in range(5):
        told = told.hear(failed())
        told = told.hear(WAKE, at=told.at + RETRY_AFTER)
        tries += len(told.of(ExplainIncident))
    assert tries == ATTEMPTS == 3
    assert told.state.unexplained == ()


def test_nothing_is_explained_while_something_happens() -> None:
    told = settled_leader().hear(exited())
    assert "let_the_explanation_wait" in rules(told)
    assert told.of(DropExplanation) == (DropExplanation(incident="reign-10"),)
    told = told.hear(failed())  # what the dropped one says is no failure
    told = told.hear(phase("primary"), at=130.0).hear(WAKE, at=140.0)
    assert explained(told) == ["reign-10"]


def test_who_leads_no_more_explains_no_more() -> None:
    told = settled_leader().hear(held_by("pg3", 44), at=112.0)
    assert "leave_the_explaining_to_the_leader" in rules(told)
    assert told.of(DropExplanation) == (DropExplanation(incident="reign-10"),)


# What is served.


def test_the_list_is_published_when_it_changes_alone() -> None:
    told = lost(standby())
    assert len(told.of(PublishIncidents)) == 1
    assert told.hear(held_by("pg3", 33)).of(PublishIncidents) == ()


def test_the_list_has_the_newest_first_and_says_how_it_stands() -> None:
    told = lost(standby(stalled(20.0), **HOLDING))
    (published,) = told.of(PublishIncidents)
    newest, oldest = _documents(published)
    assert newest["name"] == "reign-10"
    assert newest["state"] == "ongoing, open"
    assert newest["holds_failover_until"] > newest["began"]
    assert oldest["what"] == "stall"
    told = told.hear(acknowledged()).hear(WAKE, at=999.0)
    (published,) = told.of(PublishIncidents)
    assert {d["state"] for d in _documents(published)} == {"acknowledged"}
    assert {d["acknowledged_by"] for d in _documents(published)} == {"ann"}


def test_why_a_member_must_not_lead_is_in_the_list() -> None:
    told = crashed(leader(**LIMITED), 3)
    (published,) = told.of(PublishIncidents)
    assert "to let it lead again" in _documents(published)[0]["bars_leadership"]


def _documents(published: PublishIncidents) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(published.document)
    return found
