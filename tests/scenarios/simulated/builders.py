"""Clusters in virtual time, and what is asked of them."""

from collections.abc import Callable
from typing import Any

from regnal.actors.cast import DECIDERS
from regnal.messages.base import MemberName
from regnal.messages.operations import PhaseChanged
from regnal.replay.simulation.world import World


def running(*names: MemberName, seed: int = 0, **settings: Any) -> World:
    """A cluster at rest, after 30 s, with clients that write."""
    world = World(names or ("a", "b", "c"), DECIDERS, seed=seed, **settings)
    world.start()
    world.begin_traffic()
    world.run(30)
    assert len(world.primaries) == 1
    return world


def primary_of(world: World) -> MemberName:
    (name,) = world.primaries
    return name


def others(world: World, *names: MemberName) -> tuple[MemberName, ...]:
    return tuple(name for name in world.members if name not in names)


def run_until(
    world: World, reached: Callable[[], bool], within: float, what: str
) -> float:
    """Let time pass until it is so; the seconds that it took, to a hundredth."""
    began = world.scheduler.now
    while not reached():
        assert world.scheduler.now - began < within, f"{what} within {within} s"
        world.run(0.01)
    return world.scheduler.now - began


def wait_for_another_primary(world: World, old: MemberName, within: float) -> float:
    return run_until(
        world,
        lambda: bool(world.primaries - {old}),
        within,
        f"another primary than {old}",
    )


def assert_at_rest(world: World) -> None:
    """One leader, which the store names, and everybody streams from it."""
    leader = primary_of(world)
    assert world.store.lock is not None
    assert world.store.lock.name == leader
    for name in others(world, leader):
        server = world.postgres[name]
        assert server.streaming, f"{name} does not stream"
        assert server.upstream == leader


def rules_of(world: World, name: MemberName, actor: str = "election") -> list[str]:
    """Names of the rules that spoke, each once, in the order of their first word."""
    steps = (s for s in world.members[name].steps if s.actor == actor)
    return list(dict.fromkeys(s.step.rule for s in steps if s.step.rule))


def phases_of(world: World, name: MemberName) -> list[str]:
    return [
        message.phase
        for recorded in world.members[name].steps
        for message in recorded.step.said
        if isinstance(message, PhaseChanged)
    ]


def forget_the_past(world: World) -> None:
    """From now on `rules_of` and `phases_of` tell what is new."""
    for member in world.members.values():
        member.steps.clear()
