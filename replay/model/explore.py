"""Exploring the model: every state that can be reached, breadth first.

So the first path that is found to a broken law is a shortest one.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from regnal.messages.base import Seconds
from regnal.replay.model.laws import law_that_is_broken
from regnal.replay.model.recovery import Recovery, step_by_default
from regnal.replay.model.sameness import Sameness
from regnal.replay.model.scene import Scene
from regnal.replay.model.state import Move, State
from regnal.replay.model.world import World

SETTLED_WITHIN = 400
"""Moves in which a new cluster comes to rest."""

REST: Seconds = 60


@dataclass
class Report:
    """What an exploration found."""

    states: int = 0
    transitions: int = 0
    depth: int = 0
    seconds: Seconds = 0.0
    """Of processor time."""

    exhausted: bool = False
    """Whether every state within the bounds was reached; else the limit cut it."""

    broken: str | None = None
    path: tuple[Move, ...] = ()
    """To the state in which the law is broken."""

    daemon_states: int = 0
    rules: set[tuple[str, str]] = field(default_factory=set)
    """Actor and rule of every step."""


@dataclass(frozen=True)
class Limits:
    """Where an exploration is cut off."""

    states: int | None = None
    seconds: Seconds | None = None
    """Of processor time."""

    depth: int | None = None


Progress = Callable[[Report], None]


Start = Literal["settled", "empty", "alone", "leaderless", "uneven", "diverged"]
"""Where an exploration begins.

settled: one leads, the others stream, nothing has gone wrong.
empty: nothing exists yet.
alone: only the leader runs, the others have been gone for long.
leaderless: the host of the leader has just died.
uneven: the same, and of the others only the first has the last acknowledged row.
diverged: the former leader is gone with a row that nobody else has, another leads.
"""


def beginning(world: World, start: Start) -> State:
    """The state from which everything that may happen is tried."""
    state = world.empty()
    if start == "empty":
        return _bounded(world, state)
    state = _at_rest(world, state)
    if start == "alone":
        state = _without(world, state, range(1, world.bounds.members))
        state = _at_rest(world, state)
    elif start == "leaderless":
        state = _without(world, state, (0,))
    elif start == "uneven":
        state = _ahead(world, state, (0, 1))._replace(acknowledged=(1,))
        state = _without(world, state, (0,))
    elif start == "diverged":
        state = _at_rest(world, _without(world, _ahead(world, state, (0,)), (0,)))
    return _bounded(world, state)


def _without(world: World, state: State, gone: Iterable[int]) -> State:
    """The hosts of these members die."""
    scene = Scene(world.around, state)
    for index in gone:
        scene.end_daemon(index)
        scene.crash(index)
        scene.change(index, guard=None)
    return scene.done()


def _ahead(world: World, state: State, having: Iterable[int]) -> State:
    """Only these members have the last row."""
    scene = Scene(world.around, state._replace(next_row=2))
    for index in having:
        server = scene.hosts[index].server
        scene.server(index, server._replace(log=(*server.log, 1)))
    return scene.done()


def _at_rest(world: World, state: State) -> State:
    rested = 0
    for _ in range(SETTLED_WITHIN * world.bounds.members):
        state, seconds = step_by_default(world, state)
        rested += seconds
        if rested >= REST:
            break
    return state


def _bounded(world: World, state: State) -> State:
    bounds = world.bounds
    return state._replace(
        faults=bounds.faults,
        writes=bounds.writes,
        wishes=bounds.wishes,
        reorderings=bounds.reorderings,
    )


def explore(
    world: World,
    start: State,
    limits: Limits = Limits(),
    progress: Progress | None = None,
    *,
    recovers: bool = False,
) -> Report:
    """Every state that can be reached from `start`, up to the first broken law.

    `recovers`: from each of them, too, the cluster comes to rest once all is mended.
    """
    began = time.process_time()
    around = world.around
    sameness = Sameness(around.names, around.tokens, symmetric=world.bounds.symmetric)
    recovery = Recovery(world, sameness) if recovers else None
    report = Report()
    first = sameness.key(start)
    reached: dict[int, tuple[int, Move] | None] = {first: None}
    frontier = deque([(start, first, 0)])
    while frontier:
        state, key, depth = frontier.popleft()
        report.depth = depth
        if limits.depth is not None and depth >= limits.depth:
            break
        for move, scene in world.moves(state):
            report.transitions += 1
            after = scene.done()
            law = broken_law(world, scene, after)
            new = sameness.key(after)
            if law is None and recovery is not None and new not in reached:
                law = recovery.law_that_is_broken(after)
            if law is not None:
                reached.setdefault(new, (key, move))
                report.broken = law
                report.path = (*_path(reached, key), move)
                return _finished(report, world, reached, began)
            if new not in reached:
                reached[new] = key, move
                frontier.append((after, new, depth + 1))
        if progress is not None and report.transitions % 1000 < 10:
            report.states = len(reached)
            report.seconds = time.process_time() - began
            progress(report)
        if _is_cut(limits, len(reached), time.process_time() - began):
            return _finished(report, world, reached, began)
    report.exhausted = not frontier
    return _finished(report, world, reached, began)


def broken_law(world: World, scene: Scene, after: State) -> str | None:
    if scene.broken is not None:
        return scene.broken
    around = world.around
    return law_that_is_broken(after, around.names, sync=around.is_synchronous)


def _is_cut(limits: Limits, states: int, seconds: Seconds) -> bool:
    if limits.states is not None and states >= limits.states:
        return True
    return limits.seconds is not None and seconds >= limits.seconds


def _finished(
    report: Report,
    world: World,
    reached: dict[int, tuple[int, Move] | None],
    began: float,
) -> Report:
    report.states = len(reached)
    report.seconds = time.process_time() - began
    report.rules = set(world.around.daemons.spoken)
    report.daemon_states = len(world.around.tokens)
    return report


def _path(reached: dict[int, tuple[int, Move] | None], key: int) -> tuple[Move, ...]:
    moves: list[Move] = []
    step = reached[key]
    while step is not None:
        key, move = step
        moves.append(move)
        step = reached[key]
    return tuple(reversed(moves))
