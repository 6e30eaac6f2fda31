"""Slots as configured: physical, and logical that survive a failover."""

from regnal.actors.slot_manager import SLOT_MANAGER
from regnal.messages.cluster import LeaderStatus, SlotPosition
from regnal.messages.postgres import (
    AdvanceSlot,
    CopyLogicalSlots,
    CreateSlot,
    SlotChanged,
    SlotRefused,
)
from regnal.messages.settings import PermanentSlot
from regnal.messages.slots import (
    LogicalSlotMismatched,
    LogicalSlotsNotSupported,
)
from regnal.messages.store import WriteStatus
from tests.actors.builders import (
    acquired,
    begun,
    configured,
    member,
    phase,
    primary,
    seen,
    slot,
    standby,
    tags,
)
from tests.actors.slot_stories import (
    CDC,
    advanced,
    created,
    dropped,
    leader,
    next_beat,
    replica,
    with_permanent,
)


def test_permanent_slots_are_created_and_never_dropped() -> None:
    """SLOT-06."""
    told = leader().hear(configured(slots=(PermanentSlot(name="backup"), CDC)))
    assert told.said == (
        CreateSlot(name="backup"),
        CreateSlot(name="cdc", slot_type="logical", database="app", plugin="pgoutput"),
    )
    cdc = slot("cdc", type="logical", database="app", plugin="pgoutput")
    told = next_beat(told, primary(slots=(slot("backup"), cdc)))
    assert dropped(told) == []


def test_permanent_slots_exist_on_members_that_may_lead() -> None:
    """P-SLOT-05."""
    backup = PermanentSlot(name="backup")
    told = with_permanent(backup, positions={"backup": 100})
    assert created(told) == ["backup"]
    held = (slot("backup", 50),)
    told = told.hear(SlotChanged(name="backup", change="created"))
    assert advanced(told.hear(standby(slots=held))) == {"backup": 100}
    unwilling = with_permanent(
        backup, positions={"backup": 100}, tags=tags(nofailover=True)
    )
    assert created(unwilling) == []


def test_a_slot_belongs_on_one_kind_of_cluster() -> None:
    """P-SLOT-06."""
    here = PermanentSlot(name="here", cluster_type="primary")
    there = PermanentSlot(name="there", cluster_type="standby")
    told = leader().hear(configured(slots=(here, there)))
    assert told.of(CreateSlot) == (CreateSlot(name="here"),)


def test_a_name_that_no_slot_may_have_is_left_out() -> None:
    told = leader().hear(configured(slots=(PermanentSlot(name="No-Slot"),)))
    assert told.of(CreateSlot) == ()


def test_logical_slots_need_eleven() -> None:
    """SLOT-09."""
    told = begun(
        SLOT_MANAGER,
        configured(slots=(CDC,)),
        seen("pg1"),
        phase("primary"),
        acquired(),
        primary(server_version=100023),
    )
    assert told.said == (
        LogicalSlotsNotSupported(names=("cdc",), server_version=100023),
        WriteStatus(status=LeaderStatus(optime=1000), deadline=110.0),
    )
    assert told.hear(primary(server_version=100023)).said == ()


def test_another_slot_of_the_name_is_reported_and_left_alone() -> None:
    """P-SLOT-13."""
    other = slot("cdc", type="logical", database="app", plugin="wal2json")
    told = leader(held=[other], slots=(CDC,))
    assert told.of(LogicalSlotMismatched) == (
        LogicalSlotMismatched(
            name="cdc",
            found="logical/app/wal2json",
            configured="logical/app/pgoutput",
        ),
    )
    assert created(told) == dropped(told) == []
    assert told.hear(primary(slots=(other,))).said == ()


def test_logical_slots_are_copied_from_the_leader() -> None:
    """SLOT-08."""
    told = with_permanent(CDC, positions={"cdc": 400})
    assert told.of(CopyLogicalSlots) == (
        CopyLogicalSlots(
            names=("cdc",), leader_conn_url="postgres://pg1:5432/postgres"
        ),
    )
    assert told.of(CreateSlot) == ()
    assert next_beat(told, standby()).of(CopyLogicalSlots) == ()


def test_a_copy_that_failed_is_not_tried_again_under_this_leader() -> None:
    """Each try restarts PostgreSQL."""
    told = with_permanent(CDC, positions={"cdc": 400})
    told = told.hear(SlotRefused(name="cdc", change="copied", error="no such slot"))
    assert next_beat(told, standby()).of(CopyLogicalSlots) == ()
    status = LeaderStatus(optime=1, slots=(SlotPosition(name="cdc", lsn=400),))
    told = told.hear(seen("pg2", "pg3", leader="pg3", status=status))
    assert len(told.of(CopyLogicalSlots)) == 1


def test_a_lost_copy_is_copied_once_more() -> None:
    """P-SLOT-14."""
    lost = slot(
        "cdc",
        None,
        type="logical",
        database="app",
        plugin="pgoutput",
        wal_status="lost",
    )
    told = with_permanent(CDC, positions={"cdc": 400}, held=[lost])
    assert len(told.of(CopyLogicalSlots)) == 1
    told = told.hear(SlotChanged(name="cdc", change="copied"), standby(slots=(lost,)))
    assert next_beat(told, standby(slots=(lost,))).of(CopyLogicalSlots) == ()
    well = lost.model_copy(update={"wal_status": "reserved"})
    told = told.hear(standby(slots=(well,)), standby(slots=(lost,)))
    assert len(told.of(CopyLogicalSlots)) == 1


def test_a_copied_slot_follows_the_leaders() -> None:
    """SLOT-08, P-SLOT-12."""
    copy = slot(
        "cdc",
        type="logical",
        database="app",
        plugin="pgoutput",
        confirmed_flush_lsn=300,
    )
    told = with_permanent(CDC, positions={"cdc": 400}, held=[copy])
    assert told.of(AdvanceSlot) == (AdvanceSlot(name="cdc", lsn=400, database="app"),)
    theirs = copy.model_copy(update={"failover": True, "synced": True})
    told = with_permanent(CDC, positions={"cdc": 400}, held=[theirs])
    assert next_beat(told, standby(slots=(theirs,))).of(AdvanceSlot) == ()


def test_logical_slots_are_not_copied_where_they_would_be_too_old() -> None:
    """P-SLOT-21, P-SLOT-17."""
    positions = {"cdc": 400}
    archive = member("pg3", tags=tags(nostream=True))
    behind = replica(
        archive, positions=positions, slots=(CDC,), tags=tags(replicatefrom="pg3")
    )
    assert behind.of(CopyLogicalSlots) == ()
    remote = with_permanent(CDC, positions=positions, standby_cluster={"host": "far"})
    assert remote.of(CopyLogicalSlots) == ()


def test_slots_with_the_failover_flag_are_postgresqls_own() -> None:
    """P-SLOT-15."""
    mine = slot("f", type="logical", failover=True, synced=True)
    left = slot("g", type="logical", failover=True, synced=False)
    told = replica(held=[mine, left], server={"server_version": 170002})
    assert dropped(told) == ["g"]
    told = begun(
        SLOT_MANAGER,
        configured(),
        seen("pg1"),
        phase("primary"),
        acquired(),
        primary(slots=(mine, left), server_version=170002),
    )
    assert dropped(told) == []
