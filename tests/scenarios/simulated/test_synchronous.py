"""Synchronous mode in virtual time: nothing that was acknowledged is ever lost."""

from typing import Any

import pytest

from regnal.replay.simulation.world import World
from tests.examples import usually
from tests.scenarios.simulated.builders import (
    assert_at_rest,
    others,
    primary_of,
    run_until,
    running,
    wait_for_another_primary,
)

MODES = pytest.mark.parametrize("mode", ["on", "quorum"])


def synchronous(mode: str = "on", **settings: Any) -> World:
    """A cluster whose `sync` key names a standby."""
    world = running(synchronous_mode=mode, **settings)
    world.run(15)
    assert standbys_of(world)
    return world


def standbys_of(world: World) -> tuple[str, ...]:
    assert world.store.sync is not None
    assert world.store.sync.leader == primary_of(world)
    return world.store.sync.standbys


@MODES
@pytest.mark.parametrize("seed", usually(range(3), 1))
def test_a_failover_goes_to_who_has_everything(mode: str, seed: int) -> None:
    """SYNC-01, SYNC-02, P-QUORUM-03, law 4."""
    world = synchronous(mode, seed=seed)
    old = primary_of(world)
    allowed = standbys_of(world)
    world.kill_host(old)
    wait_for_another_primary(world, old, within=31)
    assert primary_of(world) in allowed
    world.check_nothing_is_lost(primary_of(world))
    world.start(old)
    world.run(40)
    assert_at_rest(world)
    assert standbys_of(world)


def test_nobody_outside_the_sync_key_leads() -> None:
    """SYNC-01, P-SYNC-01: the leader and its synchronous standby are both gone."""
    world = synchronous()
    old = primary_of(world)
    (sync,) = standbys_of(world)
    world.kill_host(sync)
    world.kill_host(old)
    world.run(120)
    assert world.primaries == set()
    world.start(sync)
    world.run(40)
    assert world.primaries == {sync}
    world.check_nothing_is_lost(sync)


def test_a_person_may_fail_over_to_an_asynchronous_member() -> None:
    """P-SYNC-02: knowing what that may cost."""
    world = synchronous()
    old = primary_of(world)
    (sync,) = standbys_of(world)
    (other,) = others(world, old, sync)
    world.kill_host(sync)
    world.kill_host(old)
    world.request_switchover(None, other)
    world.run(60)
    assert world.primaries == {other}


def test_a_switchover_to_an_asynchronous_member_is_refused() -> None:
    """P-SYNC-01."""
    world = synchronous()
    leader = primary_of(world)
    (other,) = others(world, leader, *standbys_of(world))
    world.request_switchover(leader, other)
    world.run(30)
    assert primary_of(world) == leader
    assert world.store.failover is None


@MODES
def test_a_switchover_loses_nothing(mode: str) -> None:
    """SYNC-02, P-QUORUM-07."""
    world = synchronous(mode)
    old = primary_of(world)
    world.request_switchover(old, None)
    wait_for_another_primary(world, old, within=5)
    world.check_nothing_is_lost(primary_of(world))
    world.run(40)
    assert_at_rest(world)
    assert standbys_of(world)


def test_a_synchronous_standby_that_dies_is_replaced_and_writes_go_on() -> None:
    """SYNC-01."""
    world = synchronous()
    leader = primary_of(world)
    (sync,) = standbys_of(world)
    world.kill_host(sync)
    world.run(60)
    assert primary_of(world) == leader
    assert standbys_of(world) == others(world, leader, sync)
    before = len(world.acknowledged)
    world.run(5)
    assert len(world.acknowledged) > before


@pytest.mark.parametrize("seed", range(3))
def test_a_standby_that_fell_silent_is_replaced_before_the_leader_falls(
    seed: int,
) -> None:
    """SYNC-01, SYNC-13: its WAL sender looks alive for a minute.  At no moment does the
    key name nobody."""
    world = synchronous(seed=seed, loop_wait=2, ttl=20, retry_timeout=5)
    old = primary_of(world)
    (sync,) = standbys_of(world)
    (other,) = others(world, old, sync)
    for peer in (old, other, "store"):
        world.partition(sync, peer)

    def is_replaced() -> bool:
        assert standbys_of(world)
        return standbys_of(world) == (other,)

    run_until(world, is_replaced, within=4.5, what="another synchronous standby")
    world.kill_host(old)
    wait_for_another_primary(world, old, within=21)
    assert world.primaries == {other}
    world.check_nothing_is_lost(other)


def test_without_standbys_the_mode_degrades_unless_strict() -> None:
    """SYNC-01, SYNC-03."""
    for strict in (False, True):
        world = synchronous(synchronous_mode_strict=strict)
        for name in others(world, primary_of(world)):
            world.kill_host(name)
        world.run(90)
        before = len(world.acknowledged)
        world.run(5)
        assert (len(world.acknowledged) == before) == strict


def test_a_crashed_leader_that_comes_back_ahead_leads_again() -> None:
    """SYNC-11, P-ELEC-11: no timeline is spent."""
    world = synchronous()
    leader = primary_of(world)
    timeline = world.postgres[leader].timeline
    world.kill_postgres(leader)
    world.run(30)
    assert primary_of(world) == leader
    assert world.postgres[leader].timeline == timeline
    world.check_nothing_is_lost(leader)


def test_the_key_is_written_again_after_a_wiped_store() -> None:
    """P-SYNC-18, P-SYNC-07."""
    world = synchronous()
    leader = primary_of(world)
    world.store.wipe()
    world.run(60)
    assert primary_of(world) == leader
    assert standbys_of(world)
