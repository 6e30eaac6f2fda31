"""What election keeps up besides its decisions: heartbeat, renewal, alarm, answers.

ELEC-01, ELEC-06, ELEC-18, P-ELEC-08, P-ELEC-15, OPS.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import to_json

from regnal.actors.election import ELECTION
from regnal.actors.election_state import Election
from regnal.actors.election_upkeep import WAKE, next_moment
from regnal.messages.base import Instant, Message
from regnal.messages.cluster import StoreAnswered, StoreUnreachable
from regnal.messages.daemon import ExitDaemon
from regnal.messages.fencing import WatchdogFailed
from regnal.messages.lease import (
    LeaderReleased,
    LeaseCommand,
    LeaseRefused,
    LeaseUnconfirmed,
    RenewLeader,
)
from regnal.messages.operations import (
    BecomePrimary,
    DemotePostgres,
    IntentFailed,
    IntentFulfilled,
    IntentRefused,
    StartAsPrimary,
)
from regnal.messages.postgres import ObservePostgres, PostmasterExited, ReplicationEnded
from regnal.messages.probes import PeersProbed
from regnal.messages.reasons import because
from regnal.messages.timers import SetTimer, TimerFired
from tests.actors.builders import (
    acquired,
    begun,
    configured,
    phase,
    primary,
    renewed,
    seen,
    standby,
)
from tests.actors.election_views import (
    LEADER,
    MEMBERS,
    NOW,
    RACER,
    STANDBY,
    decide,
    peer,
    sync,
    with_settings,
)
from tests.examples import examples

DUE = replace(LEADER, heartbeat_at=NOW)
WHY = because("SHUTDOWN")


def timers(step_said: tuple[Message, ...]) -> dict[str, Instant]:
    return {m.name: m.at for m in step_said if isinstance(m, SetTimer)}


def renewals(given: Election, at: Instant = NOW) -> list[RenewLeader]:
    said = decide(given, TimerFired(name="heartbeat", due_at=at), at).said
    return [m for m in said if isinstance(m, RenewLeader)]


def test_a_beat_looks_at_postgres_and_sets_the_next() -> None:
    """Flows 1."""
    said = decide(replace(STANDBY, heartbeat_at=NOW)).said
    assert timers(said)["heartbeat"] == NOW + 10
    assert any(isinstance(m, ObservePostgres) for m in said)


def test_beats_do_not_drift() -> None:
    """Flows 1: the next counts from when this one was due."""
    said = decide(replace(STANDBY, heartbeat_at=NOW - 0.4)).said
    assert timers(said)["heartbeat"] == NOW + 9.6


def test_after_a_stall_beats_begin_anew() -> None:
    """Architecture 6: those that were missed are not made up for."""
    said = decide(replace(STANDBY, heartbeat_at=NOW - 35)).said
    assert timers(said)["heartbeat"] == NOW + 10


def test_another_loop_wait_takes_effect_at_once() -> None:
    """CFG: dynamic configuration."""
    said = decide(STANDBY, configured(loop_wait=3)).said
    assert timers(said)["heartbeat"] == NOW + 3


def test_the_leader_renews_with_every_beat() -> None:
    """ELEC-01: retried up to retry_timeout, never beyond the moment to step down."""
    (renewal,) = renewals(DUE)
    assert renewal.deadline == NOW + 10
    (renewal,) = renewals(replace(DUE, lease_until=NOW + 12))
    assert renewal.deadline == NOW + 7


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(replace(STANDBY, heartbeat_at=NOW), id="we do not lead"),
        pytest.param(replace(DUE, asking="renew"), id="one is under way"),
        pytest.param(replace(DUE, lease_refused=True), id="ELEC-02: refused"),
        pytest.param(
            replace(DUE, stepping_down=True, busy="demote_postgres"),
            id="ELEC-02: we step down",
        ),
        pytest.param(replace(DUE, handed_to="pg2"), id="flows 4: handed over"),
        pytest.param(replace(DUE, shutdown_said=True), id="ELEC-16: the daemon ends"),
    ],
)
def test_nothing_is_renewed(given: Election) -> None:
    """Flows 2: a renewal means that our last word is to keep the lease."""
    assert renewals(given) == []


def test_the_lease_is_renewed_in_pause() -> None:
    """PAUSE-01, PAUSE-07: also when it has expired."""
    given = with_settings(replace(DUE, lease_until=NOW - 5), paused=True)
    assert len(renewals(given)) == 1


def test_a_store_that_answers_again_is_asked_at_once() -> None:
    """Flows 6."""
    given = replace(LEADER, store_lost_at=NOW - 3)
    step = decide(given, StoreAnswered())
    assert any(isinstance(m, RenewLeader) for m in step.said)
    assert step.state.store_lost_at is None


def test_an_answer_that_comes_late_does_not_shorten_the_lease() -> None:
    """Flows 2."""
    told = decide(replace(LEADER, asking="renew"), renewed(NOW + 20)).state
    assert told.lease_until == NOW + 25


def test_an_answer_that_is_not_heard_is_missed() -> None:
    """`asking` is never stuck: a handler may have failed on the answer."""
    told = decide(DUE).state
    assert told.asking == "renew"
    assert told.answer_by == NOW + 12
    assert next_moment(told, NOW + 11) == NOW + 12
    later = decide(told, at=NOW + 12.1)
    assert any(isinstance(m, RenewLeader) for m in later.said)


def test_one_alarm_for_the_first_moment_that_matters() -> None:
    """House style 3: a timer is the only way to wait."""
    given = replace(STANDBY, retry_at=NOW + 3, race_after=NOW + 2)
    step = decide(given)
    assert timers(step.said)[WAKE] == NOW + 2
    assert WAKE not in timers(decide(step.state).said)


def test_the_leader_wakes_when_it_must_step_down() -> None:
    """Law 1: also if no message comes any more."""
    assert next_moment(replace(LEADER, wake_at=None), NOW) == NOW + 20


def test_before_anything_is_known_nothing_is_said_but_the_beat() -> None:
    """P-ELEC-15."""
    told = begun(ELECTION, configured())
    assert {type(m) for m in told.said} == {SetTimer, ObservePostgres}
    assert told.step.rule == "wait_to_be_informed"


def test_when_all_is_known_the_first_rule_speaks() -> None:
    """OPS: a daemon that starts beside a running primary takes its lease up."""
    told = begun(ELECTION, configured(), seen(*MEMBERS), primary(), phase("primary"))
    assert told.step.rule == "take_up_our_lease"


FRESH = begun(ELECTION, configured()).state
"""A daemon that has only read its configuration: nothing is asked before."""

INTENTS = ("become_primary", "follow_leader", "demote_postgres", "start_as_primary")
ANYTHING: tuple[Message, ...] = (
    TimerFired(name="heartbeat", due_at=NOW),
    TimerFired(name=WAKE, due_at=NOW),
    configured(),
    configured(paused=True),
    configured(failsafe_mode=True, synchronous_mode="on"),
    configured(ttl=5, loop_wait=1, retry_timeout=2, synchronous_mode="quorum"),
    seen(*MEMBERS),
    seen(*MEMBERS, leader="pg2"),
    seen(*MEMBERS, leader=None),
    seen("pg1", leader=None, initialize=None, config=None, history=None),
    seen(*MEMBERS, leader=None, sync=sync("pg2", "pg1")),
    seen(*MEMBERS, sync=sync("pg1")),
    StoreUnreachable(error="", unanswered_for=0),
    StoreAnswered(),
    acquired(NOW + 30),
    renewed(NOW + 31),
    LeaderReleased(member="pg1"),
    LeaseRefused(action="renew", holder=None),
    LeaseRefused(action="renew", holder="pg2"),
    LeaseRefused(action="acquire", holder="pg2"),
    LeaseUnconfirmed(action="acquire", error=""),
    LeaseUnconfirmed(action="renew", error=""),
    primary(),
    standby(),
    standby(receiver=None, timeline=0),
    standby(process="absent", in_recovery=None),
    standby(process="absent", data_directory="missing", in_recovery=None),
    *(
        phase(p)
        for p in ("primary", "standby", "stopped", "absent", "promoting", "stopping")
    ),
    PostmasterExited(pid=1, exit_status=None, signal=9, expected=False, control=None),
    ReplicationEnded(received_lsn=None),
    *(IntentFulfilled(intent=intent) for intent in INTENTS),
    *(IntentFailed(intent=intent, reason=WHY) for intent in INTENTS),
    *(IntentRefused(intent=intent, reason=WHY) for intent in INTENTS),
    PeersProbed(peers=RACER.peers, asked_at=NOW),
    PeersProbed(peers=(peer("pg2", role="primary"),), asked_at=NOW),
    WatchdogFailed(error=""),
)


@given(
    story=st.lists(st.tuples(st.sampled_from(ANYTHING), st.floats(0, 15)), max_size=40),
    begin=st.sampled_from((FRESH, LEADER, STANDBY, RACER)),
)
@examples(60)
def test_whatever_happens_the_laws_of_the_lease_hold(
    story: list[tuple[Message, float]], begin: Election
) -> None:
    """It never raises; asks the store one thing at a time; lets PostgreSQL take writes
    only with time left on the lease; its state can be kept."""
    view, now = begin, NOW
    for message, passed in story:
        now += passed
        before = view
        step = decide(view, message, now)
        view = step.state
        asked = [m for m in step.said if isinstance(m, LeaseCommand)]
        assert len(asked) <= 1
        assert not asked or view.asking is not None
        for said in step.said:
            if isinstance(said, BecomePrimary | StartAsPrimary):
                assert view.lease_is_safe(now), (before, message)
                assert not view.handed_to
            if isinstance(said, ExitDaemon | DemotePostgres):
                assert not view.paused or not isinstance(said, ExitDaemon)
    adapter: TypeAdapter[Election] = TypeAdapter(Election)
    written = to_json(view, inf_nan_mode="strings")
    assert adapter.validate_json(written) == view
