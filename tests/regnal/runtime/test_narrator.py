"""What the log tells: the lines that monitoring matches, and the rule behind a decision."""

import json
import logging
from typing import Any

import pytest

from regnal.actors.election import RULES
from regnal.actors.step import Step
from regnal.configuration.log_format import Formats, make_formatter
from regnal.messages.base import Message
from regnal.messages.incidents import (
    ExplanationFailed,
    FailoverHeld,
    FailoverReleased,
    IncidentAcknowledged,
    IncidentJudged,
    IncidentLapsed,
    IncidentOpened,
    IncidentSettled,
    LeadershipAllowed,
    LeadershipBarred,
)
from regnal.messages.lease import ReleaseLeader
from regnal.messages.postgres import ObservePostgres
from regnal.messages.reasons import because
from regnal.messages.status import PublishIncidents
from regnal.runtime.narrator import QUIET, RESULTS, Narrator
from tests.actors.builders import BEAT, configured, envelope, seen

ORDER = ReleaseLeader(member="pg1", last_lsn=None, deadline=1.0)


@pytest.fixture(autouse=True)
def every_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "regnal")


def narrator(**settings: Any) -> Narrator:
    told = Narrator("pg1")
    told("dcs", envelope(seen("pg1", "pg2", leader="pg2")), None)
    told("configuration_files", envelope(configured(**settings)), None)
    return told


def decide(told: Narrator, rule: str, *said: Message, when: Message = BEAT) -> None:
    told("election", envelope(when), Step(None, said, rule))


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("keep_leading", "no action. I am (pg1), the leader with the lock"),
        (
            "keep_following",
            "no action. I am (pg1), a secondary, and following a leader (pg2)",
        ),
    ],
)
def test_a_heartbeat_s_line_is_what_monitoring_matches(
    rule: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Contracts, section 10."""
    decide(narrator(), rule, ObservePostgres())
    (record,) = caplog.records
    assert make_formatter(Formats()).format(record).endswith(f"INFO: {line}")


def test_in_pause_it_says_so(caplog: pytest.LogCaptureFixture) -> None:
    decide(narrator(paused=True), "keep_hands_off_in_pause")
    assert caplog.messages[-1] == "PAUSE: no action. I am (pg1)"


@pytest.mark.parametrize("rule", [r.__name__ for r in RULES if r.__name__ not in QUIET])
def test_every_decision_names_its_rule(
    rule: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As the journal and explain call it, behind the text that monitoring matches."""
    decide(narrator(), rule, ORDER)
    owner, line = (make_formatter(Formats()).format(r) for r in caplog.records)
    assert owner.endswith("INFO: Lock owner: pg2; I am pg1")
    line = line.partition("INFO: ")[2]
    assert line.endswith(f" rule={rule}")
    text = RESULTS.get(rule, rule.replace("_", " "))
    assert line.startswith(text.partition("{")[0])
    as_json = make_formatter(Formats(type="json")).format(caplog.records[-1])
    assert json.loads(as_json)["rule"] == rule


def opened(weight: Any) -> IncidentOpened:
    return IncidentOpened(
        incident="reign-7",
        what="reign_ended",
        weight=weight,
        member="pg1",
        began="",
        began_at=0.0,
        text="pg2 holds the leader key, which pg1 had",
        includes=(),
    )


def judged(cause: str) -> IncidentJudged:
    return IncidentJudged(
        incident="reign-7",
        cause=cause,
        root=cause,
        sentence="Somebody killed PostgreSQL of pg1; pg2 took over",
        outage=0.5,
        author=None,
    )


ACKNOWLEDGED = IncidentAcknowledged(incident="reign-7", by="ann", at="", comment="ok")
BARRED = LeadershipBarred(incident="reign-7", reason=because("SHUTDOWN"))


@pytest.mark.parametrize(
    ("message", "level", "words"),
    [
        (opened("outage"), "WARNING", "open until `regnalctl ack reign-7`"),
        (opened("notice"), "INFO", "as it was wanted: pg2 holds the leader key"),
        (
            IncidentSettled(incident="reign-7", leader="pg2", settled="", lasted=1.25),
            "INFO",
            "is settled after 1.2 s",
        ),
        (ACKNOWLEDGED, "INFO", "was acknowledged by ann: ok"),
        (IncidentLapsed(incident="reign-7", at=""), "WARNING", "too many are open"),
        (judged("postgres_killed"), "WARNING", "pg2 took over [postgres_killed]"),
        (judged("switchover"), "INFO", "pg2 took over [switchover]"),
        (
            ExplanationFailed(incident="reign-7", error="too long"),
            "WARNING",
            "could not be explained: too long",
        ),
        (
            FailoverHeld(incident="reign-7", leader="pg2", until=1.0),
            "WARNING",
            "min_time_between_failovers",
        ),
        (FailoverReleased(incident="reign-7"), "INFO", "possible again"),
        (BARRED, "ERROR", "I must not lead (crash_loop_limit): the daemon is stopping"),
        (LeadershipAllowed(incident="reign-7"), "INFO", "I may lead again"),
    ],
)
def test_an_incident_has_one_line_for_each_thing_to_know(
    message: Message, level: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    is_outcome = isinstance(message, IncidentJudged | ExplanationFailed)
    if is_outcome:
        narrator()("incident_keeper", envelope(message), None)
    else:
        step = Step(None, (message, PublishIncidents(document="[]")), "x")
        narrator()("incidents", envelope(BEAT), step)
    (record,) = caplog.records
    assert record.levelname == level
    assert words in record.getMessage()
