"""A cluster in a hostile world: faults drawn by a seed, mended now and then.

While it lasts the safety laws are checked after every event; when everything is
mended the cluster must come to rest: one leader, everybody streams from it, and in
synchronous mode nothing that was acknowledged is lost.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from regnal.actors.cast import DECIDERS
from regnal.replay.simulation.world import World

NAMES = ("a", "b", "c")
TO_REST = 150.0
"""Seconds that a mended cluster may need to come to rest: some leases and loops."""


@dataclass
class Life:
    """What happened to a cluster, so that a failing seed can be read."""

    world: World
    chance: random.Random
    log: list[tuple[float, str, str]] = field(default_factory=list)
    down: set[str] = field(default_factory=set)

    def note(self, fault: str, name: str = "") -> None:
        self.log.append((round(self.world.scheduler.now, 3), fault, name))

    def victim(self) -> str:
        """Anybody, but as often the primary."""
        primaries = sorted(self.world.primaries)
        if not primaries or self.chance.random() < 0.5:
            return self.chance.choice(NAMES)
        return primaries[0]

    def mend(self) -> None:
        """Everything is well again, and who was down is started."""
        self.note("mend", "".join(sorted(self.down)))
        self.world.lossy = 0.0
        self.world.heal()
        if self.world.settings.get("paused"):
            self.world.configure(paused=False)
        for name in self.world.members:
            self.world.thaw(name)
        for name in sorted(self.down):
            self.world.kill_daemon(name)
            self.world.start(name)
        self.down.clear()


def _kill_host(life: Life, name: str) -> None:
    life.world.kill_host(name)
    life.down.add(name)


def _kill_daemon(life: Life, name: str) -> None:
    life.world.kill_daemon(name)
    life.down.add(name)


def _shut_down(life: Life, name: str) -> None:
    life.world.shut_down(name)
    life.down.add(name)


def _kill_postgres(life: Life, name: str) -> None:
    if life.world.postgres[name].running:
        life.world.kill_postgres(name)


def _cut_peer(life: Life, name: str) -> None:
    other = life.chance.choice([other for other in NAMES if other != name])
    life.world.partition(name, other)


def _ask_for_another(life: Life, name: str) -> None:
    candidate = life.chance.choice((None, *NAMES))
    if candidate != name:
        life.world.request_switchover(name, candidate)


def _fail_over(life: Life, name: str) -> None:
    if life.world.settings.get("paused"):
        return  # a person's word against that of a primary whose daemon is down
    life.world.request_switchover(None, name)


def _lose_answers(life: Life, name: str) -> None:
    life.world.lossy = 0.3


def _wipe(life: Life, name: str) -> None:
    """What the keys knew is lost, so that a primary must be there to tell it again."""
    world = life.world
    primaries = sorted(world.primaries)
    if not primaries or not world.reaches(primaries[0], "store"):
        return
    if world.daemon_answers(primaries[0]):
        world.store.wipe()
        world.run(12)


def _pause(life: Life, name: str) -> None:
    life.world.configure(paused=True)


def _restart_daemon(life: Life, name: str) -> None:
    life.world.kill_daemon(name)
    life.world.run(life.chance.uniform(0, 5))
    life.world.start(name)
    life.down.discard(name)


FAULTS: dict[str, Callable[[Life, str], None]] = {
    "kill host": _kill_host,
    "kill daemon": _kill_daemon,
    "kill postgres": _kill_postgres,
    "cut from store": lambda life, name: life.world.partition(name, "store"),
    "cut from peer": _cut_peer,
    "freeze": lambda life, name: life.world.members[name].freeze(),
    "switchover": _ask_for_another,
    "failover": _fail_over,
    "shut down": _shut_down,
    "lose store": lambda life, name: life.world.lose_the_store(),
    "lose answers": _lose_answers,
    "wipe store": _wipe,
    "pause": _pause,
    "restart daemon": _restart_daemon,
    "wait": lambda life, name: None,
}


def live(
    seed: int,
    *,
    faults: int = 12,
    without: tuple[str, ...] = (),
    acknowledging: bool = False,
    **settings: Any,
) -> Life:
    """A life of this seed, up to its end; raises `AssertionError` where a law breaks.

    `acknowledging`: in the end a person acknowledges all incidents, so that policy
    keeps nobody from leading.
    """
    world = World(NAMES, DECIDERS, seed=seed, **settings)
    life = Life(world, random.Random(seed * 7919 + 1))
    try:
        _suffer(life, faults, without)
        _come_to_rest(life, acknowledging=acknowledging)
    except AssertionError as broken:
        broken.add_note(f"seed {seed}, {settings}: {life.log}")
        raise
    return life


def _suffer(life: Life, faults: int, without: tuple[str, ...]) -> None:
    world, chance = life.world, life.chance
    world.start()
    world.begin_traffic()
    world.run(30)
    kinds = [kind for kind in FAULTS if kind not in without]
    for _ in range(faults):
        kind, name = chance.choice(kinds), life.victim()
        life.note(kind, name)
        FAULTS[kind](life, name)
        world.run(chance.uniform(0.01, 60))
        if chance.random() < 0.6:
            life.mend()
            world.run(chance.uniform(1, 60))


def _come_to_rest(life: Life, *, acknowledging: bool) -> None:
    world = life.world
    life.mend()
    for name, member in world.members.items():
        if member.daemon is None:
            world.start(name)
        if acknowledging:
            world.acknowledge(name)
    world.run(TO_REST)
    life.note("rest")
    exited = {name: m.exited for name, m in world.members.items() if m.exited}
    assert not exited, exited
    assert len(world.primaries) == 1, f"liveness: primaries {sorted(world.primaries)}"
    (leader,) = world.primaries
    assert world.store.lock is not None
    assert world.store.lock.name == leader
    for name, server in world.postgres.items():
        assert name == leader or server.streaming, f"{name} does not stream"
    if world.settings.get("synchronous_mode", "off") != "off":
        world.check_nothing_is_lost(leader)
        assert world.store.sync is not None
        assert world.store.sync.leader == leader
        assert world.store.sync.standbys
