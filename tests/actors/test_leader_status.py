"""The status key: written by a healthy leader, when it changed."""

import pytest

from regnal.actors.slot_manager import SLOT_MANAGER
from regnal.messages.base import Message
from regnal.messages.cluster import KeyUnconfirmed, LeaderStatus, SlotPosition
from regnal.messages.postgres import (
    PostgresPromoted,
)
from regnal.messages.store import WriteStatus
from tests.actors.builders import (
    acquired,
    begun,
    configured,
    phase,
    primary,
    renewed,
    seen,
    slot,
    standby,
)
from tests.actors.slot_stories import leader, next_beat, replica


def test_the_leader_publishes_its_position_and_its_slots() -> None:
    """P-SLOT-03; wire contract 2.5, 13."""
    held = (slot("pg2", 83886408), slot("x", active=True))
    told = next_beat(leader("pg2", held=held), primary(slots=held, write_lsn=83886500))
    assert told.of(WriteStatus)[0].status == LeaderStatus(
        optime=83886500,
        slots=(
            SlotPosition(name="pg1", lsn=83886500),
            SlotPosition(name="pg2", lsn=83886408),
        ),
        retain_slots=("pg1", "pg2"),
    )


def test_an_unchanged_status_is_not_written() -> None:
    """P-DCS-20."""
    told = leader()
    assert len(told.of(WriteStatus)) == 1
    told = next_beat(told, primary())
    assert told.said == ()
    assert next_beat(told, KeyUnconfirmed(key="status", error="x"), primary()).of(
        WriteStatus
    )


def test_a_position_is_written_once_a_beat() -> None:
    told = leader().hear(primary(write_lsn=2000))
    assert told.said == ()
    told = next_beat(told, primary(write_lsn=2000))
    assert len(told.of(WriteStatus)) == 1
    assert all(message.routine for message in told.said)
    assert not told.step.facts


def test_a_new_leader_does_not_wait_for_a_beat() -> None:
    told = replica().hear(
        acquired(name="pg2"),
        phase("promoting", "standby"),
        PostgresPromoted(timeline=2, lsn=6000, history=()),
    )
    assert told.of(WriteStatus) == ()
    told = told.hear(phase("primary", "promoting"))
    assert told.of(WriteStatus)[0].status.optime == 6000
    assert told.hear(renewed(name="pg2")).said == ()


@pytest.mark.parametrize(
    "when",
    [
        pytest.param(primary(process="starting"), id="starting"),
        pytest.param(primary(process="unresponsive"), id="unresponsive"),
        pytest.param(primary(write_lsn=None), id="no position"),
        pytest.param(standby(), id="in recovery"),
    ],
)
def test_only_a_healthy_leader_writes(when: Message) -> None:
    """ELEC-05."""
    assert next_beat(leader(), when).of(WriteStatus) == ()


def test_a_standby_writes_nothing() -> None:
    assert next_beat(replica(), standby(replayed_lsn=899)).of(WriteStatus) == ()


def test_the_standby_leader_publishes_how_far_it_has_replicated() -> None:
    told = begun(
        SLOT_MANAGER,
        configured(standby_cluster={"host": "far"}),
        seen("pg1"),
        phase("standby"),
        acquired(),
        standby(),
    )
    assert told.of(WriteStatus)[0].status.optime == 900
