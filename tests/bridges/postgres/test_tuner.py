"""Synchronous standbys, slots and replay on real servers."""

from pathlib import Path

import pytest

from regnal.bridges.postgres.synchronous import senders_agree, standby_names
from regnal.messages.postgres import (
    AdvanceSlot,
    CreateSlot,
    DropSlot,
    PostgresPromoted,
    PostgresStarted,
    PostgresStopped,
    PromotePostgres,
    RestartPostgres,
    ResumeReplay,
    SetSynchronousStandbys,
    SlotChanged,
    SlotRefused,
    SynchronousStandbysRefused,
    SynchronousStandbysSet,
)
from tests.bridges.postgres.recorder import (
    START_PRIMARY,
    STOP_FAST,
    Driven,
    NewMember,
    start_standby,
    streams,
)
from tests.bridges.postgres.servers import sql


def with_logical_decoding(playground: Path) -> dict[str, str]:
    return {
        "unix_socket_directories": str(playground),
        "wal_level": "logical",
        "hot_standby_feedback": "on",
    }


def set_to(value: str) -> SetSynchronousStandbys:
    return SetSynchronousStandbys(value=value, timeout=10.0)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", ()),
        ("*", ("*",)),
        ("pg2", ("pg2",)),
        ('"PG-2"', ("pg-2",)),
        ("2 (a,b)", ("a", "b")),
        ('ANY 1 ("any", pg3)', ("any", "pg3")),
        ("FIRST 2 (b, a)", ("b", "a")),
        ('"with ""quotes"", and comma"', ('with "quotes", and comma',)),
    ],
)
def test_standby_names_are_read_as_the_server_reads_them(
    value: str, names: tuple[str, ...]
) -> None:
    assert standby_names(value) == names


def test_every_sender_must_act_on_the_value() -> None:
    assert senders_agree("pg2", [("PG2", 1), ("pg3", 0)])
    assert not senders_agree("pg2", [("pg2", 0)])
    assert not senders_agree("pg2", [("pg2", 1), ("pg3", 1)])
    assert senders_agree("*", [("anybody", 1)])


@pytest.mark.server
def test_synchronous_standbys_are_in_force_when_it_is_said(
    pair: tuple[Driven, Driven],
) -> None:
    primary, _ = pair

    answer = primary.do(set_to("pg2"), SynchronousStandbysSet)

    assert answer.lsn > 0
    status = primary.observe()
    assert status.synchronous_standby_names == "pg2"
    assert [sender.sync_state for sender in status.senders] == ["sync"]


@pytest.mark.server
def test_synchronous_standbys_survive_a_restart(primary: Driven) -> None:
    primary.do(set_to('ANY 1 ("a b",pg3)'), SynchronousStandbysSet)

    restart = RestartPostgres(role="primary", upstream=None, timeout=60.0)
    primary.do(restart, PostgresStarted)

    assert primary.observe().synchronous_standby_names == 'ANY 1 ("a b",pg3)'


@pytest.mark.server
def test_without_a_server_synchronous_standbys_are_refused(
    new_member: NewMember,
) -> None:
    member = new_member.make()

    refused = member.do(set_to("pg2"), SynchronousStandbysRefused)

    assert refused.value == "pg2"


@pytest.mark.server
def test_a_physical_slot_is_reserved_at_once_advanced_and_dropped(
    primary: Driven,
) -> None:
    """SLOT-05."""
    primary.do(CreateSlot(name="pg2"), SlotChanged)
    slot = primary.observe().slots[0]
    assert (slot.name, slot.type, slot.active) == ("pg2", "physical", False)
    assert slot.restart_lsn is not None

    sql(primary.options, "CREATE TABLE t ()")
    position = primary.observe().write_lsn
    assert position is not None
    primary.do(AdvanceSlot(name="pg2", lsn=position), SlotChanged)
    assert primary.observe().slots[0].restart_lsn == position

    primary.do(DropSlot(name="pg2"), SlotChanged)
    assert primary.observe().slots == ()


@pytest.mark.server
def test_what_is_so_already_is_no_error(primary: Driven) -> None:
    primary.do(CreateSlot(name="pg2"), SlotChanged)

    primary.do(CreateSlot(name="pg2"), SlotChanged)
    primary.do(DropSlot(name="nobody"), SlotChanged)


@pytest.mark.server
def test_a_slot_of_another_kind_is_in_the_way(primary: Driven) -> None:
    primary.do(CreateSlot(name="pg2"), SlotChanged)

    refused = primary.do(
        CreateSlot(
            name="pg2",
            slot_type="logical",
            database="postgres",
            plugin="pgoutput",
        ),
        SlotRefused,
    )

    assert refused.change == "created"


@pytest.mark.server
def test_an_active_slot_is_not_dropped(primary: Driven, new_member: NewMember) -> None:
    """SLOT-03, SLOT-04."""
    primary.do(CreateSlot(name="pg2"), SlotChanged)
    standby = new_member.copy(primary, "pg2")
    standby.do(start_standby(primary, slot="pg2"), PostgresStarted)
    standby.observe_until(streams, "streamed")

    refused = primary.do(DropSlot(name="pg2"), SlotRefused)

    assert "active" in refused.error
    assert primary.observe().slots[0].active
    receiver = standby.observe().receiver
    assert receiver is not None
    assert receiver.slot_name == "pg2"


@pytest.mark.server
def test_a_logical_slot_lives_in_its_database(new_member: NewMember) -> None:
    member = new_member.make()
    member.bridge.reconfigure(member.with_parameters(wal_level="logical"))
    member.do(
        RestartPostgres(role="primary", upstream=None, timeout=60.0), PostgresStarted
    )
    sql(member.options, "CREATE DATABASE other")

    member.do(
        CreateSlot(
            name="feed", slot_type="logical", database="other", plugin="pgoutput"
        ),
        SlotChanged,
    )

    slot = member.observe().slots[0]
    assert (slot.type, slot.database, slot.plugin) == (
        "logical",
        "other",
        "pgoutput",
    )
    assert not slot.has_xmin
    position = member.observe().write_lsn
    assert position is not None
    member.do(AdvanceSlot(name="feed", lsn=position, database="other"), SlotChanged)


@pytest.mark.server
def test_a_logical_slot_that_waits_holds_up_nobody(new_member: NewMember) -> None:
    """P-SLOT-11: creating one waits for the transactions that run."""
    member = new_member.make()
    member.bridge.reconfigure(member.with_parameters(wal_level="logical"))
    member.do(
        RestartPostgres(role="primary", upstream=None, timeout=60.0), PostgresStarted
    )
    writer = member.open_transaction("CREATE TABLE t ()")
    waiting = member.order(
        CreateSlot(
            name="feed",
            slot_type="logical",
            database="postgres",
            plugin="pgoutput",
        )
    )

    member.do(set_to(""), SynchronousStandbysSet)
    member.do(CreateSlot(name="pg2"), SlotChanged)

    assert waiting.id not in [said.cause for said in member.voice.said]
    writer.close()
    assert isinstance(member.answer_to(waiting), SlotChanged)


@pytest.mark.server
def test_paused_replay_is_resumed(pair: tuple[Driven, Driven]) -> None:
    """REPL-29."""
    _, standby = pair
    sql(standby.options, "SELECT pg_wal_replay_pause()")
    standby.observe_until(lambda status: status.replay_paused, "paused")

    standby.order(ResumeReplay())

    standby.observe_until(lambda status: not status.replay_paused, "resumed")


@pytest.mark.server
def test_logical_slots_of_the_leader_are_copied(
    new_member: NewMember, playground: Path
) -> None:
    """SLOT-08: the standby has them, and after its promotion they work."""
    parameters = with_logical_decoding(playground)
    primary = new_member.make(parameters=parameters)
    primary.do(START_PRIMARY, PostgresStarted)
    standby = new_member.copy(primary, "pg2", parameters=parameters)
    primary.do(CreateSlot(name="pg2"), SlotChanged)
    standby.do(start_standby(primary, slot="pg2"), PostgresStarted)
    standby.observe_until(streams, "streamed")
    create = CreateSlot(
        name="feed", slot_type="logical", database="postgres", plugin="pgoutput"
    )
    primary.do(create, SlotChanged)

    answers = standby.copy_slots(primary, "feed", "unknown")

    assert answers == {"feed": SlotChanged, "unknown": SlotRefused}
    status = standby.observe()
    assert status.is_standby
    assert [slot.name for slot in status.slots] == ["feed"]
    standby.observe_until(streams, "streamed again")
    primary.do(STOP_FAST, PostgresStopped)
    standby.do(PromotePostgres(timeout=30.0), PostgresPromoted)
    position = standby.observe().write_lsn
    assert position is not None
    advance = AdvanceSlot(name="feed", lsn=position, database="postgres")
    standby.do(advance, SlotChanged)


@pytest.mark.server
def test_a_primary_takes_no_copies(primary: Driven) -> None:
    assert primary.copy_slots(primary, "feed") == {"feed": SlotRefused}
