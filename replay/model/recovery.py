"""Liveness: once everything is mended, the cluster comes to rest.

From a state all that is broken is mended and nothing goes wrong any more; then, in the
order in which things happen by default, within some time one member leads and takes
writes and all others stream from it.
"""

from regnal.messages.base import Seconds
from regnal.replay.model.faults import recoveries
from regnal.replay.model.postgres import Server, has_diverged
from regnal.replay.model.sameness import Sameness
from regnal.replay.model.scene import Scene
from regnal.replay.model.state import State
from regnal.replay.model.world import World

AT_REST_WITHIN: Seconds = 150
"""Some leases and loops."""

MOVES_TO_REST = 3000
"""More is a loop in which no time passes."""


class Recovery:
    """Remembers from which states the cluster is known to come to rest."""

    def __init__(self, world: World, sameness: Sameness) -> None:
        self._world = world
        self._sameness = sameness
        self._known: set[int] = set()

    def law_that_is_broken(self, state: State) -> str | None:
        passed = 0
        keys: list[int] = []
        for _ in range(MOVES_TO_REST):
            if not keys or any(host.daemon is None for host in state.hosts):
                # Also a daemon that was told to end, and has ended since.
                state = self._mended(state)
            key = self._sameness.key(state)
            if key in self._known or is_at_rest(self._world, state):
                self._known.update(keys, (key,))
                return None
            keys.append(key)
            state, seconds = step_by_default(self._world, state)
            passed += seconds
            if passed > AT_REST_WITHIN:
                break
        return f"liveness: no rest within {AT_REST_WITHIN:.0f} s after all is mended"

    def _mended(self, state: State) -> State:
        around = self._world.around
        mended = next(recoveries(around, state), None)
        while mended is not None:
            state = mended[1].done()
            mended = next(recoveries(around, state), None)
        scene = Scene(around, state._replace(faults=0, wishes=0, writes=0))
        for index, host in enumerate(scene.hosts):
            scene.change(
                index,
                lease=tuple(r._replace(held=False) for r in host.lease),
                keys=tuple(r._replace(held=False) for r in host.keys),
                operations=tuple(o._replace(held=False) for o in host.operations),
                watch_held=False,
                stream_held=False,
            )
            if host.late_end is not None:
                scene.told_of_the_end(index, host.late_end)
            scene.see_to_keys(index)
        return scene.done()


def is_at_rest(world: World, state: State) -> bool:
    """One leads and takes writes, and all others stream from it, or cannot be helped:
    both have begun a timeline of the same number, and a rewind cannot tell them apart."""
    lock, names = state.store.lock, world.around.names
    if lock is None or lock.name not in names:
        return False
    leader = state.hosts[names.index(lock.name)]
    return leader.server.takes_writes and all(
        (host.server.streaming and host.server.upstream == lock.name)
        or is_stranded(host.server, leader.server)
        for host in state.hosts
        if host is not leader
    )


def is_stranded(server: Server, leader: Server) -> bool:
    """Whether a person has to rebuild it."""
    return has_diverged(server, leader) and server.timeline >= leader.timeline


def step_by_default(world: World, state: State) -> tuple[State, int]:
    """The next state where nothing goes wrong, and the seconds that passed."""
    made = next(world.prompt(state), None)
    if made is not None:
        return made[1].done(), 0
    passed = world.later(state)
    assert passed is not None, "nothing will ever happen"
    return passed[1].done(), int(passed[0].what.split()[0])
