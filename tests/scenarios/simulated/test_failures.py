"""Failures: what fails, who leads afterwards, and how long nobody does.

The safety laws are checked after every event of the simulation.
"""

import pytest

from regnal.replay.simulation.world import World
from tests.scenarios.simulated.builders import (
    assert_at_rest,
    forget_the_past,
    others,
    phases_of,
    primary_of,
    rules_of,
    run_until,
    running,
    wait_for_another_primary,
)

TTL = 30.0
MARGIN = 5.0
"""Defaults of the settings."""

SILENT_HOST = 1.5
"""What a host without power costs beyond its lease: half a second for its answer to a
probe (PROBE_GONE_WITHIN), half a second for records that still seem to be on their way
(LAST_RECORD_PATIENCE), and a promotion of up to 0.3 s."""


def test_a_primary_whose_host_dies_is_replaced_when_its_lease_ends() -> None:
    """ELEC-28: ttl, and what silence costs; RWD-04: it comes back by rewind."""
    world = running()
    old = primary_of(world)
    for name in others(world, old):
        world.partition(old, name)  # the last rows reach nobody
    world.run(1)
    world.kill_host(old)
    world.heal()
    took = wait_for_another_primary(world, old, within=TTL + SILENT_HOST)
    assert took > TTL - 10 - 1.5  # renewed every 10 s
    world.run(10)
    world.start(old)
    world.run(30)
    assert_at_rest(world)
    assert primary_of(world) != old
    assert "rewinding" in phases_of(world, old)


def test_a_former_primary_that_may_not_be_rewound_is_rebuilt_if_allowed() -> None:
    """RWD-17."""
    world = running(
        use_pg_rewind=False, remove_data_directory_on_diverged_timelines=True
    )
    old = primary_of(world)
    world.partition(old, others(world, old)[0])
    world.partition(old, others(world, old)[1])
    world.run(1)
    world.kill_host(old)
    world.run(40)
    world.heal()
    world.start(old)
    world.run(40)
    assert_at_rest(world)
    assert "cloning" in phases_of(world, old)


def test_a_postmaster_that_dies_is_started_again_on_its_timeline() -> None:
    """P-ELEC-11, ELEC-11."""
    world = running()
    leader = primary_of(world)
    timeline = world.postgres[leader].timeline
    forget_the_past(world)
    world.kill_postgres(leader)
    run_until(world, lambda: leader in world.primaries, 3, "the primary is back")
    world.run(30)
    assert_at_rest(world)
    assert primary_of(world) == leader
    assert world.postgres[leader].timeline == timeline
    assert "start_the_primary_again" in rules_of(world, leader)


def test_with_no_start_timeout_a_crash_fails_over_at_once() -> None:
    """ELEC-11."""
    world = running(primary_start_timeout=0)
    old = primary_of(world)
    world.kill_postgres(old)
    assert wait_for_another_primary(world, old, within=3) < 3
    world.run(30)
    assert_at_rest(world)


def test_with_no_start_timeout_a_lonely_primary_is_started_again() -> None:
    """ELEC-11: where no candidate stands by."""
    world = running("a", primary_start_timeout=0)
    world.kill_postgres("a")
    world.run(10)
    assert world.primaries == {"a"}
    assert world.postgres["a"].timeline == 1


def test_a_primary_cut_off_from_the_store_stops_before_its_lease_ends() -> None:
    """ELEC-01, ELEC-03, P-ELEC-09: and another leads when it has ended."""
    world = running()
    old = primary_of(world)
    world.partition(old, "store")
    took = run_until(world, lambda: not world.primaries, TTL, "the primary stops")
    assert took <= TTL - MARGIN + 0.1
    wait_for_another_primary(world, old, within=MARGIN + 10.5)
    assert world.fenced == []
    world.heal()
    world.run(40)
    assert_at_rest(world)


def test_a_frozen_daemon_is_fenced_by_its_guard() -> None:
    """Law 2, P-ELEC-05: thawed long after, it does not come back as primary."""
    world = running()
    old = primary_of(world)
    world.members[old].freeze()
    wait_for_another_primary(world, old, within=TTL + 0.5)
    assert [name for _, name in world.fenced] == [old]
    world.run(30)
    world.members[old].thaw()
    world.run(40)
    assert_at_rest(world)
    assert primary_of(world) != old


def test_a_short_freeze_costs_nothing() -> None:
    """Architecture 6: a stall of some seconds is not a failover."""
    world = running()
    leader = primary_of(world)
    world.write_gaps.clear()
    world.members[leader].freeze()
    world.run(9)
    world.members[leader].thaw()
    world.run(30)
    assert primary_of(world) == leader
    assert world.fenced == []
    assert world.write_gaps == []


def test_an_outage_of_the_store_ends_with_one_primary() -> None:
    """ELEC-03: everybody is cut off; law 7."""
    world = running()
    world.lose_the_store()
    world.run(TTL + 35)
    assert world.primaries == set()
    world.heal()
    world.run(30)
    assert_at_rest(world)


def test_a_short_outage_of_the_store_costs_nothing() -> None:
    """ELEC-01: no answer is not a no."""
    world = running()
    leader = primary_of(world)
    world.write_gaps.clear()
    world.lose_the_store()
    world.run(10)
    world.heal()
    world.run(40)
    assert primary_of(world) == leader
    assert world.write_gaps == []


def test_a_wiped_store_is_filled_again_and_nobody_else_leads() -> None:
    """ELEC-21, P-ELEC-13, P-SYNC-18, CFG-17: law 7."""
    world = running()
    leader = primary_of(world)
    world.request_switchover(leader, others(world, leader)[0])
    world.run(20)
    leader, history = primary_of(world), world.store.history
    world.write_gaps.clear()
    forget_the_past(world)
    world.store.wipe()
    world.run(60)
    assert_at_rest(world)
    assert primary_of(world) == leader
    assert world.write_gaps == []
    assert world.store.initialize == "7301234567890123456"
    assert world.store.history == history
    assert world.store.config is not None
    assert phases_of(world, leader) == []


def test_a_deleted_leader_key_is_taken_back_by_the_primary() -> None:
    """ELEC-21, P-ELEC-06."""
    world = running()
    leader = primary_of(world)
    world.store.delete_leader_key()
    world.run(1)
    assert world.store.lock is not None
    assert world.store.lock.name == leader
    assert world.primaries == {leader}


def test_a_deleted_leader_key_that_another_took_ends_the_primary() -> None:
    """ELEC-02: a definite no; law 1."""
    world = running()
    leader = primary_of(world)
    other = others(world, leader)[0]
    for name in others(world, leader):
        world.partition(leader, name)
    world.store.delete_leader_key()
    assert world.store.acquire(other, TTL)
    run_until(world, lambda: leader not in world.primaries, 0.2, "it stops")
    world.store.release(other, None)
    world.heal()
    world.run(60)
    assert_at_rest(world)


@pytest.mark.parametrize("moment", [0.0, 0.001, 0.003, 0.01])
def test_a_key_that_vanishes_at_a_heartbeat_is_taken_back(moment: float) -> None:
    """ELEC-21: the renewal is refused, and nobody has the key."""
    world = running()
    leader = primary_of(world)
    world.run(10 - 0.002)
    world.write_gaps.clear()
    world.run(moment)
    world.store.wipe()
    world.run(40)
    assert_at_rest(world)
    assert primary_of(world) == leader
    assert world.write_gaps == []


def test_a_member_that_is_cut_off_from_the_leader_catches_up() -> None:
    """P-SLOT, REPL: streaming goes on by itself."""
    world = running()
    leader = primary_of(world)
    standby = others(world, leader)[0]
    world.partition(leader, standby)
    world.run(70)  # longer than wal_receiver_timeout
    assert not world.postgres[standby].streaming
    world.heal()
    world.run(15)
    assert_at_rest(world)


def test_old_members_take_part_in_the_race() -> None:
    """ELEC-20: their keys went with the leader's, their daemons answer."""
    world = running()
    old = primary_of(world)
    behind, ahead = others(world, old)
    world.partition(old, behind)
    world.run(20)
    world.kill_host(old)
    wait_for_another_primary(world, old, within=TTL + SILENT_HOST)
    assert world.primaries == {ahead}


def test_a_member_that_lags_too_far_does_not_lead() -> None:
    """ELEC-07: maximum_lag_on_failover."""
    world = running("a", "b", maximum_lag_on_failover=1000)
    old = primary_of(world)
    (behind,) = others(world, old)
    world.partition(old, behind)
    world.run(30)
    world.kill_host(old)
    world.run(120)
    assert world.primaries == set()
    world.heal()
    world.start(old)
    world.run(30)
    assert primary_of(world) == old


def test_nobody_tagged_nofailover_leads() -> None:
    """ELEC-09."""
    world = running()
    old = primary_of(world)
    world.configure(tags={"nofailover": True})
    world.run(20)
    world.kill_host(old)
    world.run(90)
    assert world.primaries == set()


def in_failsafe_mode() -> World:
    world = running(failsafe_mode=True)
    world.run(15)
    assert world.store.failsafe is not None
    return world


def test_in_failsafe_mode_an_outage_of_the_store_costs_nothing() -> None:
    """P-FSAFE-01, P-FSAFE-02, P-FSAFE-05, P-FSAFE-06, P-FSAFE-07."""
    world = in_failsafe_mode()
    leader = primary_of(world)
    world.write_gaps.clear()
    world.lose_the_store()
    world.run(200)
    assert primary_of(world) == leader
    world.heal()
    world.run(60)
    assert_at_rest(world)
    assert primary_of(world) == leader
    assert world.write_gaps == []


def test_in_failsafe_mode_one_member_that_does_not_answer_ends_the_primary() -> None:
    """P-FSAFE-05."""
    world = in_failsafe_mode()
    leader = primary_of(world)
    world.lose_the_store()
    world.run(40)
    assert primary_of(world) == leader
    world.kill_daemon(others(world, leader)[0])
    run_until(world, lambda: not world.primaries, TTL, "the primary stops")


def test_in_failsafe_mode_a_standby_that_said_yes_does_not_race() -> None:
    """P-FSAFE-06: it reaches the store again, and the primary does not."""
    world = in_failsafe_mode()
    leader = primary_of(world)
    world.lose_the_store()
    world.run(50)
    for name in others(world, leader):
        world.cut.discard(frozenset((name, "store")))
        world.store_bridges[name].reconnect()
    world.run(60)
    assert primary_of(world) == leader


def test_in_failsafe_mode_a_lonely_member_goes_on() -> None:
    """P-FSAFE-05: nobody is to be asked."""
    world = running("a", failsafe_mode=True)
    world.lose_the_store()
    world.run(120)
    assert world.primaries == {"a"}
