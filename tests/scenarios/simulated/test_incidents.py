"""Incidents and their policy in virtual time: who remembers what, and who may not lead.

The safety laws are checked after every event of the simulation.
"""

from typing import Any

import pytest

from regnal.messages.base import MemberName
from regnal.messages.incidents import Incident, IncidentOpened
from regnal.replay.simulation.campaign import Cluster, draw, lives
from regnal.replay.simulation.profiles import PROFILES
from regnal.replay.simulation.world import World
from tests.examples import usually
from tests.scenarios.simulated.builders import (
    assert_at_rest,
    forget_the_past,
    others,
    primary_of,
    rules_of,
    run_until,
    running,
    wait_for_another_primary,
)
from tests.scenarios.simulated.test_lives import NAMES, check

CRASH_AT_ONCE: dict[str, Any] = {"primary_start_timeout": 0}
"""A crash is a failover."""

HELD: dict[str, Any] = {"min_time_between_failovers": 120, **CRASH_AT_ONCE}
LIMITED: dict[str, Any] = {"crash_loop_limit": 2, "crash_loop_window": 600}
TO_SETTLE = 25.0
"""Seconds: the new primary, its standbys, a heartbeat in which all is well."""


def incidents(world: World, name: MemberName) -> dict[str, Incident]:
    daemon = world.members[name].daemon
    assert daemon is not None
    memory = daemon.states["incidents"].memory
    return {incident.name: incident for incident in memory.incidents}


def only(world: World, name: MemberName) -> Incident:
    (incident,) = incidents(world, name).values()
    return incident


def fail_over(world: World) -> MemberName:
    """PostgreSQL of the primary crashes; who leads then."""
    old = primary_of(world)
    world.kill_postgres(old)
    wait_for_another_primary(world, old, within=5)
    world.run(TO_SETTLE)
    return primary_of(world)


def opened(world: World) -> list[IncidentOpened]:
    return [
        message
        for member in world.members.values()
        for recorded in member.steps
        for message in recorded.step.said
        if isinstance(message, IncidentOpened)
    ]


def test_a_failover_is_one_incident_on_every_member_and_settles() -> None:
    world = running(**CRASH_AT_ONCE)
    old = primary_of(world)
    new = fail_over(world)
    names = {only(world, name).name for name in world.members}
    assert len(names) == 1
    assert names.pop().startswith("reign-")
    for name in world.members:
        incident = only(world, name)
        assert (incident.member, incident.leader) == (old, new)
        assert incident.change == "automatic"
        assert incident.is_settled
        assert incident.is_open
    world.acknowledge(old)
    world.run(1)
    assert not only(world, old).is_open


def test_a_switchover_needs_nobody_s_acknowledgement() -> None:
    world = running()
    old = primary_of(world)
    new = others(world, old)[0]
    world.request_switchover(old, new)
    world.run(TO_SETTLE)
    assert primary_of(world) == new
    for name in world.members:
        incident = only(world, name)
        assert incident.weight == "notice"
        assert incident.change == "planned"
        assert not incident.is_open


def test_a_leader_whose_daemon_is_stopped_hands_over_without_an_incident() -> None:
    world = running()
    old = primary_of(world)
    world.shut_down(old)
    wait_for_another_primary(world, old, within=10)
    for name in others(world, old):
        assert only(world, name).weight == "notice"


def test_a_leader_that_is_cut_off_has_one_incident() -> None:
    """The store that it lost, its end as primary and that of its reign are one."""
    world = running()
    old = primary_of(world)
    world.partition(old, "store")
    wait_for_another_primary(world, old, within=60)
    world.run(30)
    world.heal()
    world.run(60)
    assert_at_rest(world)
    incident = only(world, old)
    assert incident.what == "reign_ended"
    assert len(incident.includes) == 1
    assert incident.is_settled
    assert {only(world, name).name for name in world.members} == {incident.name}


def test_an_idle_cluster_has_no_incidents() -> None:
    world = running()
    world.run(120)
    assert opened(world) == []


def test_a_restarted_daemon_remembers_and_a_new_member_knows_nothing() -> None:
    world = running(**CRASH_AT_ONCE)
    fail_over(world)
    standby = others(world, primary_of(world))[0]
    before = only(world, standby)
    world.kill_daemon(standby)
    world.run(5)
    world.start(standby)
    world.run(5)
    assert only(world, standby) == before
    assert [o.incident for o in opened(world) if o.incident == before.name] == (
        [before.name] * 3
    )


def test_by_default_one_failover_follows_another() -> None:
    world = running(**CRASH_AT_ONCE)
    first = fail_over(world)
    assert fail_over(world) != first
    assert_at_rest(world)


def lose_the_host_of_the_primary(world: World) -> MemberName:
    old = primary_of(world)
    world.kill_host(old)
    return old


def test_a_second_failover_is_held_until_its_time() -> None:
    world = running(**HELD)
    fail_over(world)
    lose_the_host_of_the_primary(world)
    forget_the_past(world)
    world.run(80)
    assert world.primaries == set()
    told = [rules_of(world, name) for name in world.members]
    assert any("hold_the_failover_after_a_recent_one" in rules for rules in told)
    run_until(world, lambda: bool(world.primaries), 30, "a primary")


def test_an_acknowledgement_ends_the_hold() -> None:
    world = running(**HELD)
    fail_over(world)
    old = lose_the_host_of_the_primary(world)
    world.run(60)
    assert world.primaries == set()
    for name in others(world, old):
        world.acknowledge(name)
    wait_for_another_primary(world, old, within=5)


def test_a_manual_failover_is_not_held() -> None:
    world = running(**HELD)
    fail_over(world)
    old = lose_the_host_of_the_primary(world)
    world.run(60)
    assert world.primaries == set()
    candidate = others(world, old)[0]
    world.request_switchover(None, candidate)
    run_until(world, lambda: world.primaries == {candidate}, 10, "the candidate")


def test_a_switchover_is_not_held_and_holds_nothing() -> None:
    world = running(**HELD)
    first = fail_over(world)
    candidate = others(world, first)[0]
    world.request_switchover(first, candidate)
    run_until(world, lambda: world.primaries == {candidate}, 10, "the candidate")


def test_the_leader_itself_may_lead_again_while_failovers_are_held() -> None:
    """Its PostgreSQL crashes, and nobody else may take over."""
    world = running(**HELD)
    leader = fail_over(world)
    world.kill_postgres(leader)
    run_until(world, lambda: world.primaries == {leader}, 60, "the same primary")
    world.run(60)
    assert_at_rest(world)


def test_a_restarted_standby_holds_the_failover_still() -> None:
    world = running(**HELD)
    fail_over(world)
    old = lose_the_host_of_the_primary(world)
    for name in others(world, old):
        world.kill_daemon(name)
        world.run(1)
        world.start(name)
    world.run(60)
    assert world.primaries == set()
    for name in others(world, old):
        world.acknowledge(name)
    wait_for_another_primary(world, old, within=5)


def crash_twice(world: World) -> MemberName:
    leader = primary_of(world)
    world.kill_postgres(leader)
    run_until(world, lambda: world.primaries == {leader}, 5, "it is started again")
    world.run(20)
    world.kill_postgres(leader)
    return leader


def test_a_crash_loop_ends_with_another_primary() -> None:
    world = running(**LIMITED)
    old = crash_twice(world)
    assert wait_for_another_primary(world, old, within=5) < 5
    assert "give_the_lease_up_after_too_many_crashes" in rules_of(world, old)
    world.run(60)
    assert_at_rest(world)
    assert world.shows_barred(old)


def test_without_a_limit_it_is_started_again_and_again() -> None:
    world = running()
    leader = crash_twice(world)
    for _ in range(3):
        run_until(world, lambda: world.primaries == {leader}, 5, "it is started again")
        world.run(20)
        world.kill_postgres(leader)


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_who_crashed_too_often_leads_again_when_a_person_says_so(
    names: tuple[str, ...],
) -> None:
    """Nobody else could lead: the way out is the acknowledgement."""
    world = running(*names, **LIMITED)
    old = primary_of(world)
    for name in others(world, old):
        world.kill_host(name)
    assert crash_twice(world) == old
    world.run(100)
    assert world.primaries == set()
    assert "leave_the_lead_to_others_after_too_many_crashes" in rules_of(world, old)
    world.acknowledge(old)
    run_until(world, lambda: world.primaries == {old}, 30, "it leads again")


def test_a_barred_member_that_is_ahead_does_not_keep_others_from_leading() -> None:
    """They come back when it runs as a standby already, with rows that they lack."""
    world = running("a", "b", **LIMITED, maximum_lag_on_failover=1 << 40)
    old = primary_of(world)
    (behind,) = others(world, old)
    world.kill_host(behind)
    crash_twice(world)
    world.run(60)
    assert world.primaries == set()
    world.start(behind)
    run_until(world, lambda: world.primaries == {behind}, 90, "the other leads")


def test_a_barred_member_stays_barred_over_a_restart_of_its_daemon() -> None:
    world = running("a", **LIMITED)
    crash_twice(world)
    world.run(30)
    world.kill_daemon("a")
    world.run(1)
    world.start("a")
    world.run(60)
    assert world.primaries == set()
    world.acknowledge("a")
    run_until(world, lambda: world.primaries == {"a"}, 40, "it leads again")


POLICY: dict[str, Any] = {
    "min_time_between_failovers": 60,
    "crash_loop_limit": 2,
    "crash_loop_window": 120,
}


@pytest.mark.parametrize("seed", usually([101, 102], 1))
def test_no_law_breaks_where_policy_is_on(seed: int) -> None:
    """Whoever is barred at the end is let lead again by a person."""
    schedule = draw(PROFILES["hell"], 0.1, NAMES, seed)
    check(next(lives(Cluster(NAMES, POLICY), schedule, seed)))
