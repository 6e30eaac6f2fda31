"""What each kind of fault does to a world, and that it ends."""

import pytest

from regnal.actors.cast import DECIDERS
from regnal.messages.lease import LeaderRenewed
from regnal.replay.simulation.faults import in_order, parse_fault
from regnal.replay.simulation.world import World


def world_with(*faults: str, seed: int = 3, until: float = 40.0) -> World:
    world = World(
        ("a", "b", "c"),
        DECIDERS,
        seed=seed,
        schedule=in_order(map(parse_fault, faults)),
    )
    world.start()
    world.begin_traffic()
    world.run(until)
    return world


def primary_of(world: World) -> str:
    assert world.last_primary is not None
    return world.last_primary


def test_a_host_without_power_neither_answers_nor_refuses() -> None:
    world = world_with("35 kill_host @standby 10")
    (victim,) = world.network.down
    assert not world.hosts[victim].is_up
    assert not world.postgres[victim].running
    assert not world.reaches(victim, "store")
    world.run(30)
    assert world.network.down == set()
    assert world.postgres[victim].streaming


def test_a_suspended_primary_is_fenced_when_it_wakes_and_before_it_can_write() -> None:
    """Law 2: the guard's clock goes on during suspend."""
    world = world_with("35 suspend_host @primary 60", until=34)
    old = primary_of(world)
    world.run(70)
    assert [name for _, name in world.fenced] == [old]
    assert primary_of(world) != old


def test_what_is_sent_one_way_is_lost_the_other_way_arrives() -> None:
    world = world_with("35 cut_one_way a,b 10")
    assert not world.network.carries("a", "b")
    assert world.network.carries("b", "a")
    assert not world.reaches("b", "a")
    world.run(10)
    assert world.reaches("a", "b")


def test_the_store_lets_leases_begin_anew_when_it_comes_back() -> None:
    """As etcd does: its new leader does not know when they were renewed last."""
    world = world_with("35 store_down 40", until=74)
    assert world.store.lock is not None
    world.run(1.5)
    assert world.store.lock is not None
    assert world.store.lock.ends_at == pytest.approx(105, abs=0.5)


def test_a_full_disk_ends_a_primary_that_writes() -> None:
    world = world_with("35 full_disk @primary 20", until=34)
    old = primary_of(world)
    world.run(2)
    assert not world.postgres[old].takes_writes
    world.run(40)
    assert len(world.primaries) == 1


def test_a_slow_watch_keeps_the_order() -> None:
    world = world_with("20 slow_watch 30 2", until=21)
    seen: list[int] = []
    world.store.watch("x", lambda view: seen.append(int(view.initialize or 0)))
    for number in range(5):
        world.store.initialize = str(number)
        world.store.changed()
    world.run(1)
    assert seen == []
    world.run(2)
    assert seen == [0, 1, 2, 3, 4]


def test_a_clock_that_is_set_moves_the_stamps_alone() -> None:
    world = world_with("35 set_clock a 3600")
    assert world.hosts["a"].wall() - world.hosts["b"].wall() == 3_600_000_000
    assert len(world.primaries) == 1
    assert world.write_gaps == []


def test_a_late_promotion_is_late() -> None:
    """The successor has the lease and takes writes only after a while."""
    world = world_with(
        "31 late_promotion a 120 8",
        "31 late_promotion b 120 8",
        "31 late_promotion c 120 8",
        "35 switchover -",
        until=90,
    )
    assert max(gap for _, gap in world.write_gaps) > 8
    assert len(world.primaries) == 1


def test_a_paused_cluster_is_resumed_at_the_end() -> None:
    world = world_with("35 pause 20")
    assert world.settings["paused"]
    world.run(20)
    assert not world.settings["paused"]
    assert len(world.primaries) == 1


def test_a_slow_start_is_slow() -> None:
    world = world_with("31 slow_start @primary 20 5", "32 restart_postgres @primary")
    assert max(gap for _, gap in world.write_gaps) > 5
    assert len(world.primaries) == 1


def test_an_end_that_is_told_late_ends_nothing_that_runs() -> None:
    """Law 1: meanwhile PostgreSQL was started again."""
    world = world_with(
        "30 late_end @primary 9 4", "33 kill_postgres @primary", until=45
    )
    old = primary_of(world)
    assert world.primaries == {old}
    rules = [step.step.rule for step in world.members[old].steps]
    assert rules.count("start_the_primary_again") == 1
    assert rules.count("postmaster_exited") == 0


def test_a_slow_stop_is_slow() -> None:
    world = world_with("31 slow_stop @primary 20 5", "32 switchover -", until=45)
    assert max(gap for _, gap in world.write_gaps) > 5
    assert len(world.primaries) == 1


def test_the_checkpoint_of_a_daemon_that_ends_does_not_outlast_its_lease() -> None:
    """Laws 1 and 2: when its lease ends it stops PostgreSQL at once, though it is about to
    stop it already; it said so over and over, and was refused."""
    world = world_with("31 slow_checkpoint @primary 90 80", until=33)
    old = primary_of(world)
    world.shut_down(old)
    world.partition(old, "store")
    world.members[old].steps.clear()
    world.run(40)
    assert not world.postgres[old].running
    assert primary_of(world) != old
    rules = [step.step.rule for step in world.members[old].steps]
    assert "interrupt" in rules
    assert rules.count("step_down_before_the_lease_ends") == 1


def test_before_a_switchover_a_slow_checkpoint_costs_no_writes() -> None:
    world = world_with("31 slow_checkpoint @primary 20 5", "32 switchover -", until=36)
    old = primary_of(world)
    assert world.primaries == {old}
    world.run(9)
    assert world.primaries not in (set(), {old})
    assert all(gap < 3 for _, gap in world.write_gaps)


def test_a_slot_is_made_before_its_member_streams() -> None:
    world = world_with()
    leader = primary_of(world)
    others = sorted(set(world.members) - {leader})
    assert sorted(world.postgres[leader].slots) == others
    assert all(world.postgres[name].slot_name == name for name in others)


def test_clients_outside_do_not_reach_a_primary_that_is_mute() -> None:
    """Though it goes on writing for those beside it, until its lease ends."""
    world = world_with("31 mute @primary 15", until=50)
    assert max(gap for _, gap in world.write_gaps) > 14
    assert len(world.acknowledged) > 300


def test_an_aimed_fault_waits_for_its_moment() -> None:
    """The successor is stopped with the order to promote still in its hands."""
    world = world_with(
        "31 kill_host @primary 90", "31:promote_postgres freeze_daemon @sender 15"
    )
    assert not world.trouble.is_over
    assert [kind for _, kind, _ in world.trouble.begun] == ["kill_host"]
    world.run(25)
    (_, kind, (stopped,)) = world.trouble.begun[-1]
    assert kind == "freeze_daemon"
    assert world.store.lock is not None
    assert world.store.lock.name == stopped
    assert not world.primaries
    world.run(15)
    assert world.primaries == {stopped}


def test_an_answer_that_comes_to_a_stopped_daemon_is_heard_when_it_goes_on() -> None:
    world = world_with("31:leader_renewed freeze_daemon @sender 5", until=47)
    (began, _, (leader,)) = world.trouble.begun[-1]
    heard = [
        recorded.heard.at
        for recorded in world.members[leader].steps
        if isinstance(recorded.heard.message, LeaderRenewed)
    ]
    assert not [at for at in heard if began <= at < began + 5]
    assert [at for at in heard if began + 5 <= at < began + 5.01]


def test_an_aimed_fault_whose_moment_does_not_come_lapses() -> None:
    world = world_with("31:hand_over_leader kill_host @sender 5", until=70)
    waited = not world.trouble.is_over
    world.run(10)
    assert waited
    assert world.trouble.is_over
    assert world.trouble.begun == []


def test_all_keys_of_a_member_end_together() -> None:
    """As those that are bound to one lease of etcd."""
    world = world_with("35 kill_host @primary 60", until=34)
    leader = primary_of(world)
    seen: list[tuple[bool, bool]] = []
    world.store.watch(
        "x",
        lambda view: seen.append(
            (view.leader is None, leader not in {m.name for m in view.members})
        ),
    )
    world.run(40)
    gone = [one for one in seen if any(one)]
    assert gone[0] == (True, True)


def test_a_leader_key_that_was_deleted_is_taken_again_by_its_leader() -> None:
    world = world_with("35 delete_leader_key", until=34)
    leader = primary_of(world)
    world.run(6)
    assert world.primaries == {leader}
    assert world.store.lock is not None
    assert world.store.lock.name == leader


def test_a_daemon_that_stops_for_longer_than_its_fault_is_started_all_the_same() -> (
    None
):
    """Its PostgreSQL waits for a standby that is silent."""
    world = world_with("33 cut_pair @primary,@standby 9", "34 stop_daemon @primary 10")
    old = primary_of(world)
    world.run(10)
    assert world.members[old].daemon is not None
    assert world.members[old].incarnation == 1
    world.run(70)
    assert world.members[old].incarnation == 2
    assert world.postgres[old].running
