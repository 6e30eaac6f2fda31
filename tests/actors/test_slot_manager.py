"""The slot manager: slots are where they are needed, and nowhere else."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from regnal.actors.slot_manager import SLOT_MANAGER
from regnal.actors.slot_state import SlotManager
from regnal.messages.base import Message
from regnal.messages.cluster import LeaderStatus
from regnal.messages.lease import LeaderReleased
from regnal.messages.postgres import (
    CreateSlot,
    DropSlot,
    PostgresPromoted,
    PostgresStarted,
    SlotChanged,
    SlotRefused,
)
from regnal.messages.settings import PermanentSlot, SlotMatcher
from regnal.messages.slots import (
    SlotNameClash,
    SlotNamesClash,
)
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
    PG9,
    advanced,
    created,
    dropped,
    leader,
    next_beat,
    published,
    replica,
)


def test_the_leader_has_a_slot_for_each_member_but_itself() -> None:
    """SLOT-01, SLOT-02."""
    assert created(leader("pg2", "pg-3.b")) == ["pg2", "pg_3_b"]


def test_a_new_member_has_its_slot_as_soon_as_it_has_a_key() -> None:
    """Flows 7: before its WAL receiver asks for it."""
    told = leader("pg2", held=[slot("pg2")])
    assert created(told) == []
    assert told.hear(seen("pg1", "pg2", "pg3")).said == (CreateSlot(name="pg3"),)


def test_what_is_not_answered_is_not_repeated() -> None:
    told = leader("pg2")
    assert told.of(CreateSlot) == (CreateSlot(name="pg2"),)
    told = told.hear(primary(), at=110.0).hear(seen("pg1", "pg2", "pg3"))
    assert created(told) == ["pg2", "pg3"]


def test_what_was_refused_is_tried_again_at_the_next_beat() -> None:
    told = leader("pg2").hear(
        SlotRefused(name="pg2", change="created", error="no free slot")
    )
    assert told.hear(primary(), seen("pg1", "pg2", "pg3")).of(CreateSlot) == (
        CreateSlot(name="pg3"),
    )
    assert CreateSlot(name="pg2") in next_beat(told, primary()).said


def test_a_list_of_slots_from_before_the_answer_changes_nothing() -> None:
    told = leader("pg2").hear(SlotChanged(name="pg2", change="created"), primary())
    assert created(told) == ["pg2"]


def test_a_new_postmaster_is_asked_again() -> None:
    """SLOT-12."""
    told = leader("pg2").hear(PostgresStarted(role="primary", postmaster_pid=8))
    assert told.of(CreateSlot) == (CreateSlot(name="pg2"),)


def test_before_eleven_a_member_that_cascades_has_its_slot_upstream() -> None:
    """SLOT-01."""
    cascading = member("pg3", tags=tags(replicatefrom="pg2"))
    assert created_by_nine("pg2", cascading) == ["pg2"]
    assert created(replica(cascading, server=PG9)) == ["pg3"]


def created_by_nine(*members: Any) -> list[str]:
    told = begun(
        SLOT_MANAGER,
        configured(),
        seen("pg1", *members),
        phase("primary"),
        acquired(),
        primary(**PG9),
    )
    return created(told)


def test_who_names_an_absent_upstream_streams_from_the_leader() -> None:
    """REPL-10, SLOT-01."""
    lost = member("pg3", tags=tags(replicatefrom="pg9"))
    stopped = member("pg4", state="stopped")
    behind = member("pg5", tags=tags(replicatefrom="pg4"))
    assert created_by_nine(lost, stopped, behind) == ["pg3", "pg4", "pg5"]


def test_cyclic_tags_and_no_leader_are_survived() -> None:
    """P-SLOT-20."""
    first = member("pg3", tags=tags(replicatefrom="pg4"))
    second = member("pg4", tags=tags(replicatefrom="pg3"))
    told = replica(first, second, held=[slot("x")])
    told = told.hear(seen("pg2", first, second, leader=None), standby())
    assert told.of(DropSlot) == ()


def test_a_member_without_streaming_has_no_slot() -> None:
    """P-SLOT-21."""
    assert created(leader(member("pg2", tags=tags(nostream=True)))) == []


def test_no_member_has_a_slot_for_itself() -> None:
    """SLOT-07, P-SLOT-23."""
    told = begun(
        SLOT_MANAGER,
        configured("ABC-us.1", slots=(PermanentSlot(name="abc_us_1"),)),
        seen("ABC-us.1", "pg2", leader="ABC-us.1"),
        phase("primary"),
        acquired(name="ABC-us.1"),
        primary(slots=(slot("abc_us_1"), slot("pg2"))),
        name="ABC-us.1",
    )
    assert created(told) == []
    assert dropped(told) == ["abc_us_1"]


def test_without_use_slots_nothing_is_touched() -> None:
    told = leader("pg2", held=[slot("x")], use_slots=False)
    assert created(told) == dropped(told) == []


def test_two_members_with_one_slot_name_are_reported_once() -> None:
    """SLOT-02."""
    told = leader("pg-2", "pg.2")
    clash = SlotNameClash(slot="pg_2", members=("pg-2", "pg.2"))
    assert [m for m in told.all_said if isinstance(m, SlotNamesClash)] == [
        SlotNamesClash(clashes=(clash,))
    ]
    assert created(told) == ["pg_2"]
    assert told.hear(seen("pg1", "pg-2", "pg.2")).said == ()
    assert told.hear(seen("pg1", "pg-2")).of(SlotNamesClash) == (
        SlotNamesClash(clashes=()),
    )


# Retention.


def test_every_member_that_may_lead_keeps_slots_for_all_the_others() -> None:
    """P-SLOT-02."""
    told = replica("pg3", positions={"pg1": 4000, "pg3": 3000})
    assert created(told) == ["pg1", "pg3"]
    assert created(replica("pg3", tags=tags(nofailover=True))) == []


def test_a_slot_whose_position_is_unknown_is_not_created_where_nobody_uses_it() -> None:
    """It would keep all WAL."""
    assert created(replica("pg3")) == []


def test_a_leader_that_publishes_no_positions_is_helped_by_the_members() -> None:
    """P-SLOT-24."""
    told = replica(member("pg3", xlog_location=700), held=[slot("pg3", 100)])
    assert advanced(told) == {"pg3": 700}


def test_unused_slots_are_advanced_once_a_beat_and_never_beyond_our_replay() -> None:
    """P-SLOT-02, P-SLOT-12."""
    held = (slot("pg1", 100), slot("pg3", 100), slot("pg4", 100, active=True))
    told = replica("pg3", "pg4", held=held, positions={"pg1": 4000, "pg3": 500})
    assert advanced(told) == {"pg1": 890, "pg3": 500}
    answers = [SlotChanged(name=name, change="advanced") for name in ("pg1", "pg3")]
    told = told.hear(*answers, standby(slots=held, replayed_lsn=895))
    assert told.said == ()
    told = next_beat(told, standby(slots=held, replayed_lsn=895))
    assert advanced(told) == {"pg1": 895, "pg3": 500}


def test_the_leader_advances_slots_of_members_that_cascade() -> None:
    cascading = member("pg3", tags=tags(replicatefrom="pg2"), xlog_location=900)
    held = (slot("pg2", 100), slot("pg3", 100))
    told = leader("pg2", cascading, held=held)
    assert advanced(told) == {"pg3": 900}


def test_the_slot_of_an_absent_member_is_kept_for_a_while() -> None:
    """P-SLOT-01, P-SLOT-04."""
    held = (slot("pg2"),)
    told = leader("pg2", held=held).hear(seen("pg1"), at=1000.0)
    told = told.hear(primary(slots=held), at=2700.0)
    assert dropped(told) == []
    assert published(told).retain_slots == ("pg1", "pg2")
    told = told.hear(primary(slots=held), at=2900.0)
    assert dropped(told) == ["pg2"]
    assert published(told).retain_slots == ("pg1",)


def test_a_member_that_comes_back_starts_a_new_absence() -> None:
    held = (slot("pg2"),)
    told = leader("pg2", held=held).hear(seen("pg1"), at=1000.0)
    told = told.hear(seen("pg1", "pg2"), at=2000.0).hear(seen("pg1"), at=2500.0)
    assert dropped(told.hear(primary(slots=held), at=3000.0)) == []


def test_without_retention_it_goes_at_once() -> None:
    """P-SLOT-01."""
    told = leader("pg2", held=[slot("pg2")], member_slots_ttl=0).hear(seen("pg1"))
    assert dropped(told) == ["pg2"]


def test_the_former_leaders_slot_survives_a_failover() -> None:
    """P-SLOT-04: its member key expires at the same moment as the lease."""
    held = (slot("pg1", 100), slot("pg3", 100), slot("gone", 100))
    status = LeaderStatus(optime=5000, retain_slots=("gone", "pg1", "pg2", "pg3"))
    told = replica("pg3", held=held, retain=("gone", "pg1", "pg2", "pg3"))
    told = told.hear(
        seen("pg2", "pg3", leader=None, status=status),
        acquired(name="pg2"),
        seen("pg2", "pg3", leader="pg2", status=status),
        phase("promoting", "standby"),
        PostgresPromoted(timeline=2, lsn=6000, history=()),
        phase("primary", "promoting"),
        primary(slots=held, timeline=2),
    )
    assert dropped(told) == []
    later = told.hear(primary(slots=held, timeline=2), at=2000.0)
    assert sorted(dropped(later)) == ["gone", "pg1"]


def test_a_standby_keeps_what_the_leader_says() -> None:
    """P-SLOT-04."""
    told = replica(held=[slot("gone"), slot("other")], retain=("gone", "pg1"))
    assert dropped(told) == ["other"]


# Dropping.


def test_unknown_slots_are_dropped_active_ones_never() -> None:
    """SLOT-03, SLOT-04, SLOT-11."""
    told = leader(held=[slot("x"), slot("y", active=True), slot("l", type="logical")])
    assert sorted(dropped(told)) == ["l", "x"]
    told = told.hear(SlotRefused(name="x", change="dropped", error="slot is active"))
    assert told.hear(primary(slots=(slot("x"),))).of(DropSlot) == ()


@pytest.mark.parametrize(
    "matcher",
    [
        SlotMatcher(name="x"),
        SlotMatcher(type="logical"),
        SlotMatcher(database="app", plugin="wal2json"),
        SlotMatcher(name="x", type="logical", database="app", plugin="wal2json"),
    ],
)
def test_ignored_slots_stay(matcher: SlotMatcher) -> None:
    """SLOT-10."""
    ours = slot("x", type="logical", database="app", plugin="wal2json")
    assert dropped(leader(held=[ours], ignore_slots=(matcher,))) == []
    other = matcher.model_copy(update={"plugin": "test_decoding"})
    assert dropped(leader(held=[ours], ignore_slots=(other,))) == ["x"]


def test_in_pause_nothing_is_dropped_and_after_it_everything() -> None:
    """P-SLOT-18, SLOT-13."""
    told = leader("pg2", held=[slot("x")], paused=True)
    assert dropped(told) == []
    assert created(told) == ["pg2"]
    assert told.hear(configured()).of(DropSlot) == (DropSlot(name="x"),)


def test_nothing_is_dropped_while_nobody_leads() -> None:
    told = begun(
        SLOT_MANAGER,
        configured("pg2"),
        seen("pg2", leader=None),
        phase("standby"),
        standby(slots=(slot("x"),)),
        name="pg2",
    )
    assert dropped(told) == []
    assert dropped(told.hear(seen("pg1", "pg2"))) == ["x"]


def test_a_primary_without_the_lease_drops_nothing() -> None:
    told = leader(held=[]).hear(
        LeaderReleased(member="pg1"), primary(slots=(slot("x"),))
    )
    assert dropped(told) == []


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(slot("pg2", None), id="P-SLOT-08"),
        pytest.param(slot("pg2", wal_status="lost"), id="P-SLOT-09"),
    ],
)
def test_a_slot_that_lost_what_it_is_for_is_created_anew(broken: Any) -> None:
    told = leader("pg2", held=[broken])
    assert told.of(DropSlot) == (DropSlot(name="pg2"),)
    told = told.hear(SlotChanged(name="pg2", change="dropped"))
    assert told.said == (CreateSlot(name="pg2"),)
    # An observation from before must not drop the new one.
    told = told.hear(
        SlotChanged(name="pg2", change="created"), primary(slots=(broken,))
    )
    assert told.of(DropSlot) == ()


def test_an_unused_slot_that_holds_an_xmin_is_created_anew() -> None:
    """P-SLOT-07."""
    held = slot("pg3", has_xmin=True)
    told = replica("pg3", held=[held], positions={"pg3": 800})
    assert dropped(told) == ["pg3"]
    told = leader("pg3", held=[held])
    assert dropped(told) == []
    cascading = member("pg3", tags=tags(replicatefrom="pg2"), xlog_location=1)
    assert dropped(leader("pg2", cascading, held=[held])) == ["pg3"]


NAMES = ("pg2", "pg-2", "pg3", "x")
EVENTS: tuple[Message, ...] = (
    acquired(),
    LeaderReleased(member="pg1"),
    phase("primary"),
    phase("standby"),
    phase("stopping"),
    configured(paused=True),
    configured(member_slots_ttl=0),
    configured(slots=(CDC, PermanentSlot(name="x"))),
    seen("pg1"),
    seen("pg1", "pg2", "pg-2"),
    seen("pg1", "pg3", leader=None),
    seen("pg1", member("pg3", tags=tags(replicatefrom="pg2")), leader="pg3"),
    primary(),
    primary(slots=(slot("x"), slot("pg2", active=True))),
    standby(slots=(slot("x", active=True), slot("pg2", None))),
    *(SlotChanged(name=name, change="created") for name in NAMES),
    *(SlotChanged(name=name, change="dropped") for name in NAMES),
    SlotRefused(name="x", change="dropped", error=""),
    PostgresPromoted(timeline=2, lsn=1, history=()),
)


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_whatever_happens_no_active_or_wanted_slot_is_dropped(
    messages: Sequence[Message],
) -> None:
    """SLOT-03, SLOT-06; and nothing is asked twice."""
    told = begun(SLOT_MANAGER, configured())
    for message in messages:
        asked = told.state.asked
        told = told.hear(message)
        active = {s.name for s in told.state.slots if s.active}
        names = [m.name for m in told.of(CreateSlot)]
        names += [m.name for m in told.of(DropSlot)]
        assert not active.intersection(m.name for m in told.of(DropSlot))
        assert len(names) == len(set(names))
        for drop in told.of(DropSlot):
            assert ("dropped", drop.name) not in asked
            assert told.state.settings is not None
            assert not told.state.settings.paused


def test_the_state_can_be_written_and_read() -> None:
    adapter = TypeAdapter(SlotManager)
    state = leader("pg2", held=[slot("x")]).state
    assert adapter.validate_json(adapter.dump_json(state)) == state
