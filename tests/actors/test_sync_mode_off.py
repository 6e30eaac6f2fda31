"""Where synchronous mode is off, or not ours to care for; and a standby."""

import pytest
from pydantic import TypeAdapter

from regnal.actors.sync_standby_manager import SYNC_STANDBY_MANAGER
from regnal.actors.sync_state import SyncManager
from regnal.messages.base import Message
from regnal.messages.lease import LeaderReleased
from regnal.messages.postgres import (
    ObservePostgres,
    PostgresPromoted,
)
from regnal.messages.store import DeleteSync
from tests.actors.builders import (
    BEAT,
    acquired,
    begun,
    configured,
    phase,
    primary,
    seen,
    sender,
    standby,
)
from tests.actors.sync_stories import (
    MEMBERS,
    ON,
    STRICT,
    acts,
    all_acts,
    in_force,
    key,
    leading,
    sets,
    streams,
    written,
)


def test_with_the_mode_off_the_key_goes_and_the_users_value_comes_back() -> None:
    """P-SYNC-12."""
    told = leading("pg2", sync=key("pg2"), value="pg2")
    told = told.hear(configured(synchronous_standby_names="reporting"))
    assert acts(told) == (DeleteSync(if_revision=1, deadline=110.0),)
    told = told.hear(written(None))
    assert sets(told) == "reporting"
    told = told.hear(in_force("reporting"), streams("pg2", value="reporting"))
    assert acts(told) == ()


def test_with_the_mode_always_off_nothing_is_touched() -> None:
    """P-SYNC-12."""
    told = leading("pg2", value="whatever", settings=configured())
    told = told.hear(BEAT, streams("pg2", value="else"), streams("pg2", value="else"))
    assert all_acts(told) == (ObservePostgres(),)


def test_a_standby_cluster_has_no_synchronous_mode() -> None:
    """P-SYNC-11."""
    remote = configured(synchronous_mode="on", standby_cluster={"host": "far"})
    told = begun(
        SYNC_STANDBY_MANAGER,
        remote,
        seen(*MEMBERS),
        phase("standby"),
        acquired(),
        standby(),
    )
    assert all_acts(told) == ()


@pytest.mark.parametrize(("settings", "value"), [(ON, ""), (STRICT, "*")])
def test_a_standby_is_prepared_for_its_promotion(settings: Message, value: str) -> None:
    """SYNC-04."""
    told = begun(
        SYNC_STANDBY_MANAGER,
        settings,
        phase("standby"),
        standby(synchronous_standby_names="pg7"),
    )
    assert sets(told) == value
    prepared = standby(synchronous_standby_names=value)
    assert told.hear(in_force(value), prepared, BEAT, prepared).said == ()


def test_after_a_promotion_strict_is_in_force_from_the_first_commit_on() -> None:
    """SYNC-02, SYNC-04."""
    told = begun(
        SYNC_STANDBY_MANAGER,
        STRICT,
        seen(*MEMBERS, leader=None, sync=key("pg1", leader="pg9")),
        phase("standby"),
        standby(synchronous_standby_names="*"),
        acquired(),
        seen(*MEMBERS, sync=key(at=2)),
        phase("promoting", "standby"),
        PostgresPromoted(timeline=2, lsn=1000, history=()),
        phase("primary", "promoting"),
    )
    assert all_acts(told) == ()
    told = told.hear(
        primary(senders=(sender("pg2"),), synchronous_standby_names="*", timeline=2)
    )
    assert sets(told) == "pg2"


@pytest.mark.parametrize(
    "when",
    [
        pytest.param(LeaderReleased(member="pg1"), id="without the lease"),
        pytest.param(phase("checkpointing", "primary"), id="on the way down"),
        pytest.param(primary(process="unresponsive"), id="without PostgreSQL"),
    ],
)
def test_only_a_healthy_leader_chooses(when: Message) -> None:
    told = leading("pg2", sync=key("pg2"), value="pg2").hear(when)
    assert told.hear(seen("pg1", "pg2", sync=key("pg2"))).said == ()


def test_an_idle_leader_is_silent() -> None:
    told = leading("pg2", sync=key("pg2"), value="pg2")
    again = told.hear(BEAT, streams("pg2", value="pg2"), at=110.0)
    assert all_acts(again) == ()
    assert again.state == told.state


def test_the_state_can_be_written_and_read() -> None:
    adapter = TypeAdapter(SyncManager)
    state = leading("pg2", sync=key()).hear(in_force("pg2")).state
    assert adapter.validate_json(adapter.dump_json(state)) == state
