"""Planned changes: switchover, failover by hand, shutdown, pause, restart."""

import pytest

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


def test_a_switchover_goes_to_the_best_and_needs_no_rewind() -> None:
    """ELEC-25, P-ELEC-02: the whole takes a few seconds, most of it a stop."""
    world = running()
    old = primary_of(world)
    forget_the_past(world)
    world.request_switchover(old, None)
    wait_for_another_primary(world, old, within=5)
    world.run(20)
    assert_at_rest(world)
    assert "rewinding" not in phases_of(world, old)
    assert world.store.failover is None


@pytest.mark.parametrize("position", [0, 1])
def test_a_switchover_goes_to_the_candidate_that_was_named(position: int) -> None:
    """ELEC-25, P-ELEC-04."""
    world = running()
    old = primary_of(world)
    candidate = others(world, old)[position]
    world.request_switchover(old, candidate)
    world.run(20)
    assert_at_rest(world)
    assert primary_of(world) == candidate
    assert world.store.failover is None


def test_a_switchover_loses_nothing_in_asynchronous_mode_either() -> None:
    """P-ELEC-02: a fast stop ends when every standby has everything."""
    world = running()
    world.request_switchover(primary_of(world), None)
    world.run(20)
    world.check_nothing_is_lost(primary_of(world))


def test_a_switchover_whose_candidate_does_not_come_ends_where_it_began() -> None:
    """Flows, 4: nobody confirms; the key is taken back, the request is forgotten."""
    world = running()
    old = primary_of(world)
    candidate = others(world, old)[0]
    world.request_switchover(old, candidate)
    run_until(world, lambda: not world.primaries, 10, "the primary stops")
    world.members[candidate].freeze()
    world.run(20)
    assert world.primaries != {candidate}
    assert len(world.primaries) == 1
    assert world.store.failover is None
    world.members[candidate].thaw()
    world.run(20)
    assert_at_rest(world)
    assert primary_of(world) != candidate


def test_a_candidate_that_dies_with_the_key_is_replaced_when_its_lease_ends() -> None:
    """ELEC-27."""
    world = running()
    old = primary_of(world)
    candidate = others(world, old)[0]
    world.request_switchover(old, candidate)
    wait_for_another_primary(world, old, within=10)
    world.run(1)  # nobody can rewind to a timeline that two servers began
    world.kill_host(candidate)
    wait_for_another_primary(world, candidate, within=35)
    world.run(10)
    world.start(candidate)
    world.run(30)
    assert_at_rest(world)


def test_a_switchover_to_a_dead_candidate_is_refused() -> None:
    """P-ELEC-17: before anything is stopped."""
    world = running()
    old = primary_of(world)
    candidate = others(world, old)[0]
    world.kill_host(candidate)
    world.write_gaps.clear()
    world.request_switchover(old, candidate)
    world.run(20)
    assert primary_of(world) == old
    assert world.store.failover is None
    assert world.write_gaps == []


def test_a_switchover_by_somebody_who_thinks_another_leads_is_forgotten() -> None:
    """ELEC-25."""
    world = running()
    leader = primary_of(world)
    world.request_switchover(others(world, leader)[0], None)
    world.run(20)
    assert primary_of(world) == leader
    assert world.store.failover is None


def test_a_failover_by_hand_goes_to_the_candidate() -> None:
    """ELEC-25: of a healthy cluster."""
    world = running()
    old = primary_of(world)
    candidate = others(world, old)[1]
    world.request_switchover(None, candidate)
    world.run(20)
    assert_at_rest(world)
    assert primary_of(world) == candidate


def test_a_failover_by_hand_works_without_a_leader() -> None:
    """ELEC-25."""
    world = running()
    old = primary_of(world)
    candidate = others(world, old)[1]
    world.configure(maximum_lag_on_failover=0)
    world.kill_host(old)
    world.request_switchover(None, candidate)
    world.run(40)
    assert world.primaries == {candidate}
    assert world.store.failover is None


def test_a_failover_to_somebody_who_is_not_there_leaves_the_race_to_the_others() -> (
    None
):
    """ELEC-27."""
    world = running()
    old = primary_of(world)
    dead, alive = others(world, old)
    world.kill_host(dead)
    world.kill_host(old)
    world.request_switchover(None, dead)
    world.run(45)
    assert world.primaries == {alive}


def test_a_leader_that_is_shut_down_hands_over() -> None:
    """ELEC-16, P-ELEC-02: at once, not when the lease ends."""
    world = running()
    old = primary_of(world)
    world.shut_down(old)
    wait_for_another_primary(world, old, within=5)
    world.run(20)
    world.check_nothing_is_lost(primary_of(world))
    world.kill_daemon(old)
    world.start(old)
    world.run(20)
    assert_at_rest(world)


def test_a_standby_that_is_shut_down_leaves_the_lease_alone() -> None:
    """ELEC-16."""
    world = running()
    leader = primary_of(world)
    standby = others(world, leader)[0]
    world.write_gaps.clear()
    world.shut_down(standby)
    world.run(40)
    assert primary_of(world) == leader
    assert not world.postgres[standby].running
    assert world.write_gaps == []


def test_a_leader_is_shut_down_while_the_store_is_away() -> None:
    """ELEC-18: PostgreSQL stops, and the daemon's end waits for nobody."""
    world = running()
    leader = primary_of(world)
    world.lose_the_store()
    world.run(1)
    world.shut_down(leader)
    run_until(world, lambda: not world.postgres[leader].running, 5, "PostgreSQL stops")
    ended = run_until(
        world,
        lambda: "complete_the_shutdown" in rules_of(world, leader),
        10,
        "the daemon may end",
    )
    assert ended < 10


def test_in_pause_nobody_fails_over() -> None:
    """PAUSE-01, PAUSE-03, PAUSE-09."""
    world = running()
    leader = primary_of(world)
    standby = others(world, leader)[0]
    world.configure(paused=True)
    world.run(5)
    world.kill_host(leader)
    forget_the_past(world)
    world.run(120)
    assert world.primaries == set()
    assert phases_of(world, standby) == []
    world.configure(paused=False)
    world.run(30)
    assert len(world.primaries) == 1


@pytest.mark.parametrize("daemon_is", ["killed", "frozen"])
def test_after_pause_nobody_is_promoted_beside_a_primary_without_a_daemon(
    daemon_is: str,
) -> None:
    """Law 1: in pause nothing fences it, so the others ask it themselves."""
    world = running()
    leader = primary_of(world)
    standby = others(world, leader)[0]
    world.configure(paused=True)
    world.run(5)
    if daemon_is == "killed":
        world.kill_daemon(leader)
    else:
        world.freeze(leader)
    world.run(60)
    assert world.store.lock is None
    world.configure(paused=False)
    world.resumed_at = float("inf")  # a person answers for a primary without a lease
    world.run(60)
    assert world.primaries == {leader}
    assert "stand_back_for_a_running_primary" in rules_of(world, standby)
    if daemon_is == "killed":
        world.start(leader)
    else:
        world.thaw(leader)
    world.run(30)
    assert world.primaries == {leader}
    assert world.store.lock is not None


def test_in_pause_a_postgres_stopped_by_hand_stays_stopped() -> None:
    """PAUSE-10, PAUSE-03: and the lease is given up."""
    world = running()
    leader = primary_of(world)
    world.configure(paused=True)
    world.run(5)
    world.kill_postgres(leader)
    world.run(60)
    assert world.primaries == set()
    assert not world.postgres[leader].running
    assert world.store.lock is None


def test_in_pause_an_outage_of_the_store_stops_nobody() -> None:
    """PAUSE-07."""
    world = running()
    leader = primary_of(world)
    world.configure(paused=True)
    world.run(5)
    world.write_gaps.clear()
    world.lose_the_store()
    world.run(120)
    assert world.primaries == {leader}
    world.heal()
    world.run(20)
    world.configure(paused=False)
    world.run(30)
    assert_at_rest(world)
    assert primary_of(world) == leader
    assert world.write_gaps == []


def test_in_pause_a_failover_to_a_named_member_works() -> None:
    """PAUSE-02, PAUSE-03."""
    world = running()
    leader = primary_of(world)
    candidate = others(world, leader)[0]
    world.configure(paused=True)
    world.run(5)
    world.kill_host(leader)
    world.run(40)
    assert world.primaries == set()
    world.request_switchover(None, candidate)
    world.run(10)
    assert world.primaries == {candidate}


def test_in_pause_a_switchover_to_a_named_member_works() -> None:
    """PAUSE-02."""
    world = running()
    leader = primary_of(world)
    candidate = others(world, leader)[0]
    world.configure(paused=True)
    world.run(5)
    world.request_switchover(leader, candidate)
    world.run(20)
    assert world.primaries == {candidate}
