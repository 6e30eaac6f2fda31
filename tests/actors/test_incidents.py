"""Incidents: what opens one, what is part of another, and when it is over."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from regnal.actors.incident_memory import (
    LAPSED,
    MAXIMUM_CLOSED,
    MAXIMUM_OPEN,
    Memory,
    remember,
)
from regnal.actors.incident_names import SAME_REIGN
from regnal.actors.incidents import INCIDENTS, RULES
from regnal.actors.incidents_learning import REPEATED
from regnal.actors.incidents_opening import PIN_BEFORE
from regnal.messages.base import Message
from regnal.messages.cluster import FailoverRequest, StoreAnswered, StoreUnreachable
from regnal.messages.daemon import ActorFailed
from regnal.messages.incidents import (
    Incident,
    IncidentAcknowledged,
    IncidentContinued,
    IncidentLapsed,
    IncidentOpened,
    IncidentSettled,
    IncidentsRecalled,
    OwnReign,
    PinJournal,
    SuccessorNoted,
    UnpinJournal,
)
from regnal.messages.lease import LeaderHandedOver
from regnal.messages.requests import RequestAnswered
from regnal.messages.settings import StandbyCluster
from regnal.messages.status import PublishIncidents
from regnal.messages.timers import SetTimer
from tests.actors.builders import Told, begun, configured, phase
from tests.actors.incident_stories import (
    FENCED,
    UNREACHABLE_FOR,
    WAKE,
    acknowledged,
    exited,
    held_by,
    leader,
    lost,
    stalled,
    standby,
)

RETRIED = ActorFailed(
    actor="rest", heard="", error="boom", traceback="", failures=REPEATED
)
SILENT = StoreUnreachable(error="no route", unanswered_for=UNREACHABLE_FOR)
ASKED = FailoverRequest(leader="pg2", candidate="pg3", scheduled_at=None, revision=7)
DUE = ASKED.model_copy(update={"scheduled_at": "2020-01-01T00:00:00+00:00"})
LATER = ASKED.model_copy(update={"scheduled_at": "2099-01-01T00:00:00+00:00"})


def only(found: tuple[Any, ...]) -> Any:
    (one,) = found
    return one


def incidents(told: Told[Any]) -> dict[str, Incident]:
    found: dict[str, Incident] = {i.name: i for i in told.state.memory.incidents}
    return found


def rules(told: Told[Any]) -> list[str]:
    return (told.step.rule or "").split("+")


# The end of a reign.


def test_a_reign_that_ends_is_an_incident_of_the_same_name_everywhere() -> None:
    former = begun(
        INCIDENTS, configured(), phase("primary"), held_by("pg2"), name="pg2"
    )
    names = set()
    for told in (standby(), former):
        opened = only(lost(told).of(IncidentOpened))
        assert (opened.what, opened.weight, opened.member) == (
            "reign_ended",
            "outage",
            "pg2",
        )
        names.add(opened.incident)
    assert names == {"reign-10"}


def test_who_comes_next_is_noted() -> None:
    told = lost(standby())
    assert rules(told) == ["open_when_a_reign_ends", "note_the_successor"]
    noted = only(told.of(SuccessorNoted))
    assert (noted.incident, noted.leader, noted.change) == (
        "reign-10",
        "pg3",
        "automatic",
    )


def test_a_key_that_stays_away_opens_the_incident_before_anybody_leads() -> None:
    told = standby().hear(held_by(None))
    assert told.of(IncidentOpened) == ()
    assert only(told.of(SetTimer)).at == 100.0 + SAME_REIGN
    told = told.hear(WAKE, at=100.0 + SAME_REIGN)
    opened = only(told.of(IncidentOpened))
    assert (opened.incident, opened.began_at) == ("reign-10", 100.0)
    told = told.hear(held_by("pg3", 33), at=130.0)
    assert told.of(IncidentOpened) == ()
    assert only(told.of(SuccessorNoted)).leader == "pg3"


def test_a_key_that_its_holder_writes_anew_at_once_is_no_incident() -> None:
    told = standby(held_by(None))
    told = told.hear(held_by("pg2", 12), at=100.0 + SAME_REIGN / 2)
    told = told.hear(WAKE, at=100.0 + SAME_REIGN)
    assert incidents(told) == {}
    # Its end is then called by the new revision, as in the journal.
    assert only(lost(told).of(IncidentOpened)).incident == "reign-12"


def test_a_view_that_comes_late_is_no_change() -> None:
    told = lost(standby()).hear(held_by("pg2"), at=101.0)
    assert told.of(IncidentOpened) == ()
    assert told.state.leader == "pg3"


def test_a_store_that_was_restored_has_old_revisions_again() -> None:
    told = lost(standby()).hear(held_by("pg2"), at=200.0)
    assert only(told.of(IncidentOpened)).incident == "reign-33"


def test_a_key_that_comes_back_to_its_holder_later_was_lost() -> None:
    told = standby(held_by(None)).hear(WAKE, at=102.0).hear(held_by("pg2", 12))
    assert only(told.of(SuccessorNoted)).change == "none"


@pytest.mark.parametrize(
    ("then", "change", "weight"),
    [
        pytest.param(
            held_by("pg3", 33, failover=ASKED), "planned", "notice", id="asked for"
        ),
        pytest.param(
            held_by("pg3", 33, failover=DUE), "planned", "notice", id="scheduled, due"
        ),
        pytest.param(
            held_by("pg3", 33, session="pg2"), "planned", "notice", id="handed over"
        ),
        pytest.param(
            held_by("pg3", 33, failover=LATER), "automatic", "outage", id="too early"
        ),
        pytest.param(
            held_by("pg3", 33, failover=ASKED, gone=("pg2",)),
            "manual",
            "outage",
            id="the leader had died",
        ),
        pytest.param(
            held_by("pg3", 33, failover=ASKED, pg2={"state": "crashed"}),
            "manual",
            "outage",
            id="PostgreSQL had crashed",
        ),
        pytest.param(held_by("pg3", 33), "automatic", "outage", id="nobody asked"),
    ],
)
def test_a_change_that_was_asked_for_is_told_apart(
    then: Message, change: str, weight: str
) -> None:
    told = standby().hear(then)
    assert only(told.of(IncidentOpened)).weight == weight
    assert only(told.of(SuccessorNoted)).change == change
    assert bool(told.of(PinJournal)) == (weight != "notice")


def test_a_request_that_is_cleared_with_the_change_still_counts() -> None:
    told = standby(held_by("pg2", 10, failover=ASKED), held_by("pg3", 33))
    assert incidents(told)["reign-10"].weight == "notice"


def test_who_handed_over_knows_that_it_was_planned() -> None:
    told = leader(LeaderHandedOver(to="pg2"), held_by("pg2", 33))
    assert incidents(told)["reign-10"].weight == "notice"
    # The next time it leads, nobody has handed anything over.
    told = told.hear(held_by("pg1", 40), held_by("pg2", 50))
    assert incidents(told)["reign-40"].weight == "outage"


def test_a_member_that_joins_later_opens_no_old_incident() -> None:
    told = begun(INCIDENTS, configured(), phase("standby"), held_by(None))
    told = told.hear(WAKE, at=200.0).hear(held_by("pg3", 33))
    assert incidents(told) == {}


def test_in_pause_it_is_an_incident_all_the_same() -> None:
    assert "reign-10" in incidents(lost(standby(paused=True)))


# What befell this member.


@pytest.mark.parametrize(
    ("when", "what", "rule"),
    [
        (exited(), "primary_interrupted", "open_when_a_primary_ends_unasked"),
        (exited(clean=True), "primary_stopped", "open_when_a_primary_ends_unasked"),
        (FENCED, "fenced", "open_when_the_guard_fenced"),
        (stalled(12.0), "stall", "open_when_the_daemon_stalled"),
        (RETRIED, "actor_failed", "open_when_an_actor_fails_again_and_again"),
        (SILENT, "store_outage", "open_when_the_store_stays_away"),
    ],
)
def test_what_befalls_a_leader_is_an_incident(
    when: Message, what: str, rule: str
) -> None:
    told = leader().hear(when)
    assert rules(told) == [rule]
    opened = only(told.of(IncidentOpened))
    assert (opened.what, opened.member) == (what, "pg1")
    assert opened.incident.endswith("-pg1-1-1")
    pin = only(told.of(PinJournal))
    assert pin.incident == opened.incident
    assert pin.since < opened.began


@pytest.mark.parametrize(
    "when",
    [
        pytest.param(exited(expected=True), id="the operator stopped it"),
        pytest.param(stalled(9.0), id="a stall shorter than a heartbeat"),
        pytest.param(
            ActorFailed(actor="rest", heard="", error="", traceback="", failures=2),
            id="a mistake that may not come again",
        ),
        pytest.param(
            StoreUnreachable(error="", unanswered_for=9.0), id="a store that hiccups"
        ),
    ],
)
def test_lesser_things_are_no_incidents(when: Message) -> None:
    assert leader().hear(when).of(IncidentOpened) == ()


def test_the_end_of_a_standby_is_no_incident() -> None:
    assert standby().hear(exited()).of(IncidentOpened) == ()


def test_the_end_counts_also_if_the_phase_changed_first() -> None:
    told = leader(phase("stopped")).hear(exited())
    assert only(told.of(IncidentOpened)).what == "primary_interrupted"


def test_a_stall_began_before_it_was_noticed() -> None:
    opened = only(leader().hear(stalled(12.0)).of(IncidentOpened))
    assert opened.began_at == 88.0


def test_the_store_is_waited_for_a_heartbeat() -> None:
    told = leader().hear(StoreUnreachable(error="", unanswered_for=0.0))
    assert only(told.of(SetTimer)).at == 110.0
    assert told.hear(StoreAnswered()).hear(WAKE, at=110.0).of(IncidentOpened) == ()
    assert only(told.hear(WAKE, at=110.0).of(IncidentOpened)).what == "store_outage"


def test_an_outage_of_the_store_is_told_once() -> None:
    told = leader(SILENT).hear(SILENT, WAKE, at=200.0)
    assert len(incidents(told)) == 1
    assert [m for m in told.all_said if isinstance(m, IncidentContinued)] == []


# What is part of what.


def test_a_crash_that_ends_the_reign_is_part_of_that_incident() -> None:
    told = leader().hear(exited())
    crash = only(told.of(IncidentOpened)).incident
    told = told.hear(held_by("pg2", 33), at=100.5)
    opened = only(told.of(IncidentOpened))
    assert (opened.incident, opened.includes) == ("reign-10", (crash,))
    assert opened.began_at == 100.0
    assert set(incidents(told)) == {"reign-10"}
    assert only(told.of(UnpinJournal)).incident == crash
    assert incidents(told)["reign-10"].is_called(crash)


def test_what_happens_to_others_is_not_the_end_of_their_reign() -> None:
    told = lost(standby(stalled(12.0)))
    assert only(told.of(IncidentOpened)).includes == ()


def test_the_store_that_everybody_lost_is_the_beginning_of_the_end() -> None:
    told = lost(standby(SILENT), at=140.0)
    assert len(only(told.of(IncidentOpened)).includes) == 1


def test_what_happens_before_an_incident_is_settled_is_part_of_it() -> None:
    told = leader(exited()).hear(FENCED)
    continued = only(told.of(IncidentContinued))
    assert continued.what == "fenced"
    assert len(incidents(told)) == 1


def test_a_graver_incident_includes_the_lesser_one() -> None:
    told = leader(stalled(12.0)).hear(exited())
    (incident,) = incidents(told).values()
    assert incident.what == "primary_interrupted"
    assert incident.began_at == 88.0
    assert "did not run" in incident.text


def test_a_crash_is_not_hidden_in_a_planned_change() -> None:
    told = standby(held_by("pg1", 33, session="pg2"), phase("primary"))
    assert incidents(told)["reign-10"].weight == "notice"
    assert only(told.hear(exited()).of(IncidentOpened)).includes == ()


# Its end.


def test_it_is_settled_when_all_was_well_for_a_heartbeat() -> None:
    told = lost(standby()).hear(phase("standby"), at=103.0)
    timer = told.said_before + told.said
    assert any(isinstance(m, SetTimer) and m.at == 110.0 for m in timer)
    assert told.hear(WAKE, at=109.0).of(IncidentSettled) == ()
    settled = told.hear(WAKE, at=110.0)
    assert rules(settled) == ["settle_what_is_over"]
    said = only(settled.of(IncidentSettled))
    assert (said.incident, said.leader, said.lasted) == ("reign-10", "pg3", 0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(held_by(None), id="nobody leads"),
        pytest.param(held_by("pg3", 33, pg3={"role": "replica"}), id="not yet primary"),
        pytest.param(
            held_by("pg3", 33, pg1={"replication_state": None}), id="we do not stream"
        ),
        pytest.param(phase("stopped"), id="we do not run"),
        pytest.param(SILENT, id="the store is away"),
    ],
)
def test_it_is_not_settled_while_something_is_wrong(wrong: Message) -> None:
    told = lost(standby()).hear(wrong).hear(WAKE, at=300.0)
    assert told.of(IncidentSettled) == ()


def test_the_leader_of_a_standby_cluster_is_well_as_a_standby() -> None:
    far = StandbyCluster(host="far")
    told = begun(INCIDENTS, configured(standby_cluster=far), phase("standby"))
    told = told.hear(held_by("pg1"), stalled(20.0)).hear(WAKE, at=110.0)
    assert len(told.of(IncidentSettled)) == 1


def test_a_person_acknowledges_it() -> None:
    told = lost(standby()).hear(acknowledged("reign-10", comment="power cut"))
    assert rules(told) == ["acknowledge_on_request"]
    said = only(told.of(IncidentAcknowledged))
    assert (said.incident, said.by, said.comment) == ("reign-10", "ann", "power cut")
    assert only(told.of(UnpinJournal)).incident == "reign-10"
    answer = only(told.of(RequestAnswered))
    assert answer.status == 200
    assert answer.body == '{"acknowledged": ["reign-10"], "unknown": []}'
    assert not incidents(told)["reign-10"].is_open


def test_the_name_of_its_beginning_is_understood() -> None:
    told = leader().hear(exited())
    crash = only(told.of(IncidentOpened)).incident
    told = told.hear(held_by("pg2", 33)).hear(acknowledged(crash))
    assert only(told.of(IncidentAcknowledged)).incident == "reign-10"


def test_all_that_are_open_are_acknowledged_at_once() -> None:
    told = lost(standby(stalled(12.0))).hear(acknowledged())
    assert len(told.of(IncidentAcknowledged)) == 2
    assert told.hear(acknowledged()).of(IncidentAcknowledged) == ()


@pytest.mark.parametrize(
    ("names", "status", "body"),
    [
        (("x",), 404, '{"acknowledged": [], "unknown": ["x"]}'),
        (("x", "reign-10"), 200, '{"acknowledged": ["reign-10"], "unknown": ["x"]}'),
    ],
)
def test_names_that_nobody_knows_are_answered(
    names: tuple[str, ...], status: int, body: str
) -> None:
    answer = only(lost(standby()).hear(acknowledged(*names)).of(RequestAnswered))
    assert (answer.status, answer.body) == (status, body)


def test_what_was_wanted_needs_nobody_s_word() -> None:
    told = standby(held_by("pg3", 33, session="pg2")).hear(acknowledged("reign-10"))
    assert told.of(IncidentAcknowledged) == ()
    assert only(told.of(RequestAnswered)).status == 404


# The memory.


def recalled(*found: Incident) -> IncidentsRecalled:
    return IncidentsRecalled(incidents=found, crashes=(), reign=None, trouble=None)


def test_what_is_recalled_stays_open_and_pinned() -> None:
    before = incidents(lost(standby()))["reign-10"]
    told = begun(INCIDENTS).hear(recalled(before), at=150.0)
    assert rules(told) == ["keep_what_is_recalled"]
    pin = only(told.of(PinJournal))
    assert pin.incident == "reign-10"
    assert len(told.of(PublishIncidents)) == 1
    # From as long before its beginning as when it began.
    assert PIN_BEFORE > 0
    told = told.hear(configured(), phase("standby"), held_by("pg3", 33))
    assert len(incidents(told)) == 1
    assert len(told.hear(WAKE, at=200.0).of(IncidentSettled)) == 1


def led_until(at: float) -> IncidentsRecalled:
    """pg1 led under the key of revision 10 when its daemon ended."""
    return IncidentsRecalled(
        incidents=(), crashes=(), reign=OwnReign(revision=10, until=at), trouble=None
    )


def test_a_leader_that_died_learns_at_its_start_that_its_reign_has_ended() -> None:
    """Its journal tells best what happened: it is to be kept."""
    told = begun(INCIDENTS).hear(led_until(40.0), configured(), held_by("pg2", 33))
    opened = only(told.of(IncidentOpened))
    assert (opened.incident, opened.member) == ("reign-10", "pg1")
    assert opened.began_at == 40.0
    assert only(told.of(PinJournal)).incident == "reign-10"


@pytest.mark.parametrize("revision", [10, 12])
def test_a_leader_that_still_leads_after_its_start_has_no_incident(
    revision: int,
) -> None:
    told = begun(INCIDENTS).hear(led_until(40.0), configured())
    told = told.hear(held_by("pg1", revision), WAKE, at=150.0)
    assert incidents(told) == {}


def test_what_was_closed_before_the_restart_pins_nothing() -> None:
    told = lost(standby()).hear(acknowledged())
    again = begun(INCIDENTS).hear(recalled(*told.state.memory.incidents))
    assert again.of(PinJournal) == ()


def test_the_memory_is_the_fold_of_what_was_said() -> None:
    """So that the journal gives it back."""
    told = leader(
        exited(), phase("stopped"), held_by("pg2", 33), phase("standby"), stalled(20)
    )
    told = told.hear(held_by("pg3", 44), WAKE, at=150.0)
    told = told.hear(acknowledged("reign-10")).hear(WAKE, at=300.0)
    memory = Memory()
    for message in told.all_said:
        memory = remember(memory, message)
    assert memory == told.state.memory
    assert len(memory.incidents) == 2


def opened(number: int) -> IncidentOpened:
    return IncidentOpened(
        incident=f"stall-{number}",
        what="stall",
        weight="degraded",
        member="pg1",
        began="",
        began_at=float(number),
        text="",
        includes=(),
    )


def settled(number: int) -> IncidentSettled:
    return IncidentSettled(
        incident=f"stall-{number}", leader=None, settled="", lasted=0.0
    )


def test_of_too_many_the_oldest_lapses() -> None:
    memory = Memory()
    for number in range(MAXIMUM_OPEN):
        memory = remember(remember(memory, opened(number)), settled(number))
    told = begun(INCIDENTS, recalled(*memory.incidents), configured())
    told = told.hear(phase("primary"), held_by("pg1"), exited())
    assert rules(told)[-1] == "let_the_oldest_lapse"
    assert only(told.of(IncidentLapsed)).incident == "stall-0"
    assert incidents(told)["stall-0"].acknowledged_by == LAPSED
    assert len(told.state.memory.open) == MAXIMUM_OPEN


def test_of_those_that_are_closed_the_last_are_kept() -> None:
    memory = Memory()
    for number in range(MAXIMUM_CLOSED + 5):
        name = f"stall-{number}"
        memory = remember(memory, opened(number))
        memory = remember(
            memory,
            IncidentAcknowledged(incident=name, by="ann", at="", comment=None),
        )
        memory = remember(memory, settled(number))
    assert len(memory.incidents) == MAXIMUM_CLOSED
    assert memory.incidents[0].name == "stall-5"


def test_the_state_can_be_written_and_read() -> None:
    told = lost(leader(exited())).hear(acknowledged())
    adapter: TypeAdapter[Any] = TypeAdapter(INCIDENTS.state)
    assert adapter.validate_json(adapter.dump_json(told.state)) == told.state


def test_every_rule_is_told_apart_and_says_why() -> None:
    names = [rule.__name__ for rule in RULES]
    assert len(names) == len(set(names))
