"""A cluster begins: who creates it, who joins it, what is found."""

import pytest

from regnal.actors.cast import DECIDERS
from regnal.replay.simulation.world import World
from tests.examples import usually
from tests.scenarios.simulated.builders import (
    assert_at_rest,
    forget_the_past,
    others,
    phases_of,
    primary_of,
    rules_of,
    run_until,
    running,
)


@pytest.mark.parametrize("seed", usually(range(4), 2))
def test_one_of_three_creates_the_cluster_and_the_others_join(seed: int) -> None:
    """BOOT-01, REPL-01."""
    world = running(seed=seed)
    leader = primary_of(world)
    assert_at_rest(world)
    assert "bootstrap_the_cluster" in rules_of(world, leader)
    for name in others(world, leader):
        assert "bootstrap_the_cluster" not in rules_of(world, name)
        assert "clone_this_member" in rules_of(world, name)
    assert world.store.initialize == "7301234567890123456"


def test_who_may_not_lead_does_not_create_the_cluster() -> None:
    """BOOT-01, ELEC-09."""
    world = World(("a", "b"), DECIDERS, tags={"nofailover": True})
    world.start()
    world.run(60)
    assert world.primaries == set()
    assert world.store.initialize is None


def test_who_starts_later_joins() -> None:
    """REPL-01."""
    world = World(("a", "b"), DECIDERS)
    world.start("a")
    world.begin_traffic()
    world.run(20)
    assert world.primaries == {"a"}
    world.start("b")
    run_until(world, lambda: world.postgres["b"].streaming, 20, "b streams")
    assert_at_rest(world)


def test_a_daemon_that_dies_alone_and_comes_back_finds_its_primary() -> None:
    """OPS: PostgreSQL is not restarted, nobody else leads, and clients notice nothing."""
    world = running()
    leader = primary_of(world)
    pid, timeline = world.postgres[leader].pid, world.postgres[leader].timeline
    world.write_gaps.clear()
    forget_the_past(world)
    world.kill_daemon(leader)
    world.run(5)
    world.start(leader)
    world.run(60)
    assert primary_of(world) == leader
    assert world.postgres[leader].pid == pid
    assert world.postgres[leader].timeline == timeline
    assert world.write_gaps == []
    assert world.fenced == []
    assert phases_of(world, leader) == ["primary"]
    assert "take_up_our_lease" in rules_of(world, leader)


def test_all_daemons_restart_in_pause_and_nothing_happens() -> None:
    """PAUSE-16: an upgrade of the daemons."""
    world = running()
    leader = primary_of(world)
    pids = {name: server.pid for name, server in world.postgres.items()}
    world.configure(paused=True)
    world.run(5)
    for name in world.members:
        world.shut_down(name)
    world.run(40)
    assert world.primaries == {leader}
    for name in world.members:
        world.kill_daemon(name)
        world.start(name)
    world.run(20)
    world.configure(paused=False)
    world.run(60)
    assert_at_rest(world)
    assert primary_of(world) == leader
    assert pids == {name: server.pid for name, server in world.postgres.items()}


def test_a_store_that_is_not_there_yet_is_waited_for() -> None:
    """P-ELEC-15."""
    world = World(("a", "b"), DECIDERS)
    world.lose_the_store()
    world.start()
    world.begin_traffic()
    world.run(60)
    assert world.primaries == set()
    world.heal()
    world.run(30)
    assert_at_rest(world)
