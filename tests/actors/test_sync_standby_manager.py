"""The manager of synchronous standbys: who must acknowledge, and who may follow."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from regnal.actors.sync_standby_manager import SYNC_STANDBY_MANAGER
from regnal.actors.sync_state import SyncManager
from regnal.messages.base import Message
from regnal.messages.cluster import (
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    StoreAnswered,
    SyncState,
)
from regnal.messages.lease import LeaderReleased
from regnal.messages.postgres import (
    ObservePostgres,
    PostgresPromoted,
    SetSynchronousStandbys,
    SynchronousStandbysRefused,
    SynchronousStandbysSet,
)
from regnal.messages.store import DeleteSync, ReadCluster, WriteSync
from regnal.messages.timers import SetTimer, TimerFired
from tests.actors.builders import (
    BEAT,
    Told,
    acquired,
    begun,
    configured,
    member,
    phase,
    primary,
    seen,
    sender,
    standby,
    tags,
)

ON = configured(synchronous_mode="on")
STRICT = configured(synchronous_mode="on", synchronous_mode_strict=True)
TWO = configured(synchronous_mode="on", synchronous_node_count=2)
QUORUM = configured(synchronous_mode="quorum")
MEMBERS = ("pg1", "pg2", "pg3")


def key(
    *standbys: str, leader: str | None = "pg1", quorum: int = 0, at: int = 1
) -> SyncState:
    return SyncState(leader=leader, standbys=standbys, quorum=quorum, revision=at)


def streams(*names: str, value: str = "", lsn: int = 1000, **fields: Any) -> Message:
    """The primary, with these attached; those in the value are synchronous."""
    senders = tuple(
        sender(name, lsn, sync_state="sync" if name in value else "async")
        for name in names
    )
    return primary(senders=senders, synchronous_standby_names=value, **fields)


def leading(
    *names: str,
    sync: SyncState | None = None,
    value: str = "",
    settings: Message = ON,
    lsn: int = 1000,
) -> Told[SyncManager]:
    """The primary pg1, which has just seen `names` stream from it."""
    return begun(
        SYNC_STANDBY_MANAGER,
        settings,
        seen(*MEMBERS, sync=sync),
        phase("primary"),
        acquired(),
        streams(*names, value=value, lsn=lsn),
    )


def writes(told: Told[SyncManager]) -> tuple[str, ...] | None:
    """The standbys that the last step writes into the key; None: no write."""
    found = told.of(WriteSync)
    return found[0].standbys if found else None


def sets(told: Told[SyncManager]) -> str | None:
    found = told.of(SetSynchronousStandbys)
    return found[0].value if found else None


def in_force(value: str, lsn: int = 1000) -> SynchronousStandbysSet:
    return SynchronousStandbysSet(value=value, lsn=lsn)


def written(revision: int | None = 2) -> KeyWritten:
    return KeyWritten(key="sync", revision=revision)


def test_the_key_is_created_even_if_nobody_streams() -> None:
    """P-SYNC-07, P-SYNC-18."""
    told = leading()
    assert told.said == (
        WriteSync(
            leader="pg1", standbys=(), quorum=0, if_revision=None, deadline=110.0
        ),
    )
    assert told.step.rule == "claim_the_sync_key"
    assert told.hear(written(), streams()).said == ()


def test_a_standby_goes_into_postgres_before_it_goes_into_the_key() -> None:
    """SYNC-01, SYNC-02, P-SYNC-05."""
    told = leading("pg2", sync=key())
    assert told.said == (SetSynchronousStandbys(value="pg2", timeout=10),)
    told = told.hear(in_force("pg2", lsn=1500))
    assert writes(told) is None
    assert writes(told.hear(streams("pg2", value="pg2", lsn=1499))) is None
    told = told.hear(streams("pg2", value="pg2", lsn=1500))
    assert writes(told) == ("pg2",)
    assert told.hear(written(), streams("pg2", value="pg2")).said == ()


def test_it_must_be_synchronous_by_postgresqls_own_word() -> None:
    """P-SYNC-05."""
    told = leading("pg2", sync=key()).hear(in_force("pg2"))
    told = told.hear(
        primary(senders=(sender("pg2", 2000),), synchronous_standby_names="pg2")
    )
    assert writes(told) is None


def test_nobody_waits_for_the_next_beat_to_see_that_it_has_caught_up() -> None:
    told = leading("pg2", sync=key()).hear(in_force("pg2", lsn=1500))
    look = SetTimer(name="sync_standby_manager:look", at=101.0)
    assert told.said == (ObservePostgres(), look)
    told = told.hear(streams("pg2", value="pg2", lsn=1499))
    told = told.hear(
        TimerFired(name="sync_standby_manager:look", due_at=101.0), at=101.0
    )
    assert told.of(ObservePostgres) == (ObservePostgres(),)


def test_a_lost_standby_leaves_the_key_before_it_leaves_postgres() -> None:
    """SYNC-01, SYNC-02: then the primary works alone."""
    told = leading("pg2", sync=key("pg2"), value="pg2").hear(streams(value="pg2"))
    assert writes(told) == ()
    assert told.of(WriteSync)[0].if_revision == 1
    assert told.hear(streams(value="pg2")).said == ()
    told = told.hear(written())
    assert sets(told) == ""
    assert told.hear(in_force(""), streams()).said == ()


def test_strict_mode_waits_for_whoever_comes() -> None:
    """SYNC-03, SYNC-05."""
    told = leading("pg2", sync=key("pg2"), value="pg2", settings=STRICT)
    told = told.hear(streams(value="pg2"), written())
    assert sets(told) == "*"
    told = told.hear(in_force("*"), primary(synchronous_standby_names="*"))
    assert told.said == ()
    potential = sender("pg3", sync_state="potential")
    told = told.hear(primary(senders=(potential,), synchronous_standby_names="*"))
    assert sets(told) == "pg3"


def test_a_lost_standby_is_replaced_at_once() -> None:
    told = leading("pg2", "pg3", sync=key("pg2"), value="pg2")
    assert told.said == ()
    told = told.hear(streams("pg3", value="pg2"))
    assert writes(told) == ()
    told = told.hear(written())
    assert sets(told) == "pg3"


def test_a_standby_that_leaves_gracefully_is_replaced_without_a_gap() -> None:
    """SYNC-13, P-SYNC-04: it stays until the other one is in the key."""
    told = leading("pg2", "pg3", sync=key("pg2"), value="pg2")
    leaving = member("pg2", tags=tags(nosync=True, sync_priority=0))
    told = told.hear(seen("pg1", leaving, "pg3", sync=key("pg2")))
    assert sets(told) == "2 (pg2,pg3)"
    told = told.hear(in_force("2 (pg2,pg3)"))
    both = streams("pg2", "pg3", value="2 (pg2,pg3)")
    told = told.hear(both)
    assert writes(told) == ("pg3",)
    told = told.hear(written())
    assert sets(told) == "pg3"
    assert told.hear(in_force("pg3"), streams("pg2", "pg3", value="pg3")).said == ()


def test_several_synchronous_standbys() -> None:
    """SYNC-06: reduced to the number of those that are there."""
    told = leading("pg2", "pg3", sync=key(), settings=TWO)
    assert sets(told) == "2 (pg2,pg3)"
    assert sets(leading("pg3", sync=key(), settings=TWO)) == "pg3"
    told = leading(
        "pg2", "pg3", sync=key("pg2", "pg3"), value="2 (pg2,pg3)", settings=TWO
    )
    assert told.said == ()
    told = told.hear(streams("pg3", value="2 (pg2,pg3)"))
    assert writes(told) == ("pg3",)
    assert sets(told.hear(written())) == "pg3"


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        pytest.param([member("pg2", tags=tags(nosync=True))], "pg3", id="SYNC-12"),
        pytest.param(
            [member("pg2", tags=tags(sync_priority=0))], "pg3", id="P-SYNC-04: none"
        ),
        pytest.param(
            [member("pg3", tags=tags(sync_priority=5))], "pg3", id="P-SYNC-04: more"
        ),
        pytest.param([member("pg2", tags=tags(nostream=True))], "pg3", id="P-SLOT-21"),
        pytest.param(
            [member("pg2", tags=tags(nofailover=True))], "pg3", id="P-SYNC-03"
        ),
        pytest.param(
            [member("pg3", tags=tags(failover_priority=2))], "pg3", id="P-SYNC-15"
        ),
        pytest.param([], "pg2", id="by name among equals"),
    ],
)
def test_who_is_chosen(others: list[Any], chosen: str) -> None:
    names = {m.name for m in others}
    members = [*others, *(n for n in MEMBERS if n not in names)]
    told = leading(sync=key()).hear(seen(*members, sync=key()), streams("pg2", "pg3"))
    assert sets(told) == chosen


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(sender("pg2", state="catchup"), id="still catching up"),
        pytest.param(sender("pg2", write_lsn=None), id="SYNC-08: write"),
        pytest.param(sender("pg2", flush_lsn=None), id="SYNC-08: flush"),
        pytest.param(sender("pg2", replay_lsn=None), id="SYNC-08: replay"),
        pytest.param(sender("pg1"), id="P-SYNC-10: our own name"),
        pytest.param(sender("PG1"), id="P-SYNC-10: in any case"),
        pytest.param(sender("pg_basebackup"), id="no member"),
    ],
)
def test_who_is_no_standby(row: Any) -> None:
    told = leading(sync=key()).hear(primary(senders=(row,)))
    assert told.said == ()


def test_names_are_compared_without_regard_to_case() -> None:
    """SYNC-10, P-SYNC-13."""
    told = begun(
        SYNC_STANDBY_MANAGER,
        ON,
        seen("pg1", "Any", sync=key()),
        phase("primary"),
        acquired(),
        primary(senders=(sender("any"),)),
    )
    assert sets(told) == '"Any"'
    reported = sender("ANY", sync_state="sync")
    told = told.hear(
        in_force('"Any"'),
        primary(senders=(reported,), synchronous_standby_names='"Any"'),
    )
    assert writes(told) == ("Any",)


def test_a_standby_that_lags_is_replaced() -> None:
    """SYNC-07."""
    lagging = (sender("pg2", 500, sync_state="sync"), sender("pg3", 1000))
    limited = configured(synchronous_mode="on", maximum_lag_on_syncnode=100)
    told = leading("pg2", "pg3", sync=key("pg2"), value="pg2", settings=limited)
    told = told.hear(primary(senders=lagging, synchronous_standby_names="pg2"))
    assert sets(told) == "2 (pg2,pg3)"
    alone = (sender("pg2", 500, sync_state="sync"),)
    told = leading("pg2", sync=key("pg2"), value="pg2", settings=limited)
    told = told.hear(primary(senders=alone, synchronous_standby_names="pg2"))
    assert writes(told) == ()
    # The default is no limit.
    told = leading("pg2", sync=key("pg2"), value="pg2")
    told = told.hear(primary(senders=alone, synchronous_standby_names="pg2"))
    assert told.said == ()


def test_before_9_6_there_is_one_name_and_no_count() -> None:
    """P-SYNC-16."""
    old = {"server_version": 90524}
    told = begun(
        SYNC_STANDBY_MANAGER,
        TWO,
        seen(*MEMBERS, sync=key("pg2")),
        phase("primary"),
        acquired(),
        streams("pg3", "pg2", value="pg2", **old),
    )
    assert told.said == ()
    leaving = member("pg2", tags=tags(nosync=True))
    told = told.hear(seen("pg1", leaving, "pg3", sync=key("pg2")))
    assert writes(told) == ()
    assert sets(told.hear(written())) == "pg3"


# Key and parameter that are not as we left them.


@pytest.mark.parametrize(
    ("found", "value", "correction"),
    [
        pytest.param(key("pg2", "pg3"), "pg2", ("pg2",), id="one too many in the key"),
        pytest.param(key("pg2"), "", (), id="nobody acknowledges"),
        pytest.param(key("pg2"), "*", (), id="anybody does"),
        pytest.param(key("pg2"), "1 (pg2,pg3)", (), id="either of two does"),
        pytest.param(key("pg2"), "a b", (), id="not readable"),
    ],
)
def test_where_they_disagree_the_key_is_corrected_first(
    found: SyncState, value: str, correction: tuple[str, ...]
) -> None:
    """P-SYNC-08."""
    told = leading("pg2", "pg3", sync=found, value=value)
    assert writes(told) == correction
    assert told.step.rule == "correct_the_sync_key"


def test_another_value_is_looked_at_twice() -> None:
    """P-SYNC-08: the first may be older than our own change."""
    told = leading("pg2", sync=key("pg2"), value="pg2")
    told = told.hear(streams("pg2", value=""))
    assert told.said == (ObservePostgres(),)
    assert told.hear(streams("pg2", value="pg2")).said == ()
    told = told.hear(streams("pg2", value=""))
    assert writes(told) == ()
    assert sets(told.hear(written())) == "pg2"


def test_the_key_of_a_member_that_was_renamed_is_ours_again() -> None:
    """P-SYNC-09."""
    told = leading("pg2", sync=key("pg2", leader="old", at=7), value="pg2")
    assert writes(told) == ()
    assert told.of(WriteSync)[0].if_revision == 7


def test_a_refused_write_makes_us_read() -> None:
    told = leading("pg2", sync=key("pg2"), value="pg2").hear(streams(value="pg2"))
    told = told.hear(KeyRefused(key="sync"))
    assert told.said == (ReadCluster(deadline=110.0),)
    assert told.hear(streams(value="pg2")).said == ()
    told = told.hear(seen(*MEMBERS, sync=key("pg2", at=9)))
    assert told.of(WriteSync)[0].if_revision == 9


def test_a_view_from_before_our_write_changes_nothing() -> None:
    told = leading("pg2", sync=key(), value="pg2")
    assert writes(told) == ("pg2",)
    told = told.hear(written(2), seen(*MEMBERS, sync=key(at=1)))
    assert told.said == ()
    told = told.hear(seen(*MEMBERS, sync=key("pg2", at=2)))
    assert told.said == ()
    # Now that it was seen, another change of it is somebody's.
    told = told.hear(seen(*MEMBERS, sync=None))
    assert writes(told) == ()


def test_an_unanswered_write_counts_as_done_and_as_not_done() -> None:
    told = leading("pg2", sync=key("pg2"), value="pg2").hear(streams(value="pg2"))
    told = told.hear(KeyUnconfirmed(key="sync", error="timeout"), streams(value="pg2"))
    assert told.said == ()
    told = told.hear(StoreAnswered())
    assert writes(told) == ()
    assert sets(told.hear(written())) == ""


def test_a_store_that_tells_no_revision_is_waited_for() -> None:
    told = leading("pg2", sync=key("pg2"), value="pg2").hear(streams(value="pg2"))
    told = told.hear(written(None))
    assert told.said == ()
    assert sets(told.hear(seen(*MEMBERS, sync=key(at=3)))) == ""


def test_what_postgres_refused_is_tried_again_at_the_next_beat() -> None:
    told = leading("pg2", sync=key())
    told = told.hear(SynchronousStandbysRefused(value="pg2", error="x"))
    assert told.hear(streams("pg2")).said == ()
    assert sets(told.hear(BEAT)) == "pg2"


# Quorum.


def test_voters_and_acknowledgements_overlap_from_the_start() -> None:
    """P-QUORUM-01, P-QUORUM-06."""
    told = leading(sync=key(), settings=QUORUM).hear(streams("pg2", "pg3"))
    assert sets(told) == "ANY 1 (pg2,pg3)"
    value = "ANY 1 (pg2,pg3)"
    told = told.hear(in_force(value, lsn=1500), streams("pg2", "pg3", value=value))
    assert told.said == ()
    told = told.hear(streams("pg2", "pg3", value=value, lsn=1500))
    assert told.of(WriteSync)[0].standbys == ("pg2", "pg3")
    assert told.of(WriteSync)[0].quorum == 1
    assert told.hear(written(), streams("pg2", "pg3", value=value)).said == ()


def test_a_newcomer_counts_once_it_has_caught_up() -> None:
    """P-QUORUM-06."""
    value = "ANY 1 (pg2)"
    told = leading("pg2", sync=key("pg2"), value=value, settings=QUORUM)
    senders = (sender("pg2", 1000, sync_state="quorum"), sender("pg3", 10))
    told = told.hear(primary(senders=senders, synchronous_standby_names=value))
    assert told.of(WriteSync) == ()
    told = told.hear(streams("pg2", "pg3", value=value, lsn=1000))
    assert told.of(WriteSync)[0].quorum == 1


def test_a_lost_voter_leaves_postgres_first() -> None:
    """P-QUORUM-02."""
    value = "ANY 1 (pg2,pg3)"
    told = leading(
        "pg2", "pg3", sync=key("pg2", "pg3", quorum=1), value=value, settings=QUORUM
    )
    assert told.said == ()
    told = told.hear(streams("pg2", value=value))
    assert sets(told) == "ANY 1 (pg2)"
    told = told.hear(in_force("ANY 1 (pg2)"))
    assert told.of(WriteSync)[0].standbys == ("pg2",)
    assert told.of(WriteSync)[0].quorum == 0


def test_members_that_cannot_lead_vote_only_if_they_are_needed() -> None:
    """P-QUORUM-04, P-QUORUM-05."""
    unwilling = member("pg3", tags=tags(nofailover=True))
    told = leading(sync=key(), settings=QUORUM)
    told = told.hear(seen("pg1", "pg2", unwilling, sync=key()), streams("pg2", "pg3"))
    assert sets(told) == "ANY 1 (pg2)"
    two = configured(synchronous_mode="quorum", synchronous_node_count=2)
    told = leading(sync=key(), settings=two)
    told = told.hear(seen("pg1", "pg2", unwilling, sync=key()), streams("pg2", "pg3"))
    assert sets(told) == "ANY 2 (pg2,pg3)"


def test_changing_the_mode_keeps_the_guarantee() -> None:
    """P-QUORUM-09."""
    told = leading("pg2", "pg3", sync=key("pg2"), value="pg2")
    told = told.hear(QUORUM)
    assert told.of(WriteSync)[0].quorum == 1
    told = told.hear(written())
    assert sets(told) == "ANY 1 (pg2,pg3)"
    told = told.hear(
        in_force("ANY 1 (pg2,pg3)"), streams("pg2", "pg3", value="ANY 1 (pg2,pg3)")
    )
    assert told.said == ()
    told = told.hear(ON)
    assert sets(told) == "pg2"
    told = told.hear(in_force("pg2"))
    assert (writes(told), told.of(WriteSync)[0].quorum) == (("pg2",), 0)


def test_before_ten_quorum_is_priority() -> None:
    """P-QUORUM-09."""
    told = leading(sync=key(), settings=QUORUM)
    told = told.hear(streams("pg2", "pg3", server_version=90624))
    assert sets(told) == "pg2"


# Not the leader, and off.


def test_with_the_mode_off_the_key_goes_and_the_users_value_comes_back() -> None:
    """P-SYNC-12."""
    told = leading("pg2", sync=key("pg2"), value="pg2")
    told = told.hear(configured(synchronous_standby_names="reporting"))
    assert told.said == (DeleteSync(if_revision=1, deadline=110.0),)
    told = told.hear(written(None))
    assert sets(told) == "reporting"
    told = told.hear(in_force("reporting"), streams("pg2", value="reporting"))
    assert told.said == ()


def test_with_the_mode_always_off_nothing_is_touched() -> None:
    """P-SYNC-12."""
    told = leading("pg2", value="whatever", settings=configured())
    assert told.hear(BEAT, streams("pg2", value="else")).all_said == (
        ObservePostgres(),
    )


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
    assert told.all_said == ()


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
    assert told.all_said == ()
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
    assert again.all_said == ()
    assert again.state == told.state


def test_the_state_can_be_written_and_read() -> None:
    adapter = TypeAdapter(SyncManager)
    state = leading("pg2", sync=key()).hear(in_force("pg2")).state
    assert adapter.validate_json(adapter.dump_json(state)) == state
