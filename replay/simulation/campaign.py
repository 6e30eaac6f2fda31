"""A campaign: many hours of a cluster's life under a fault profile.

Faults come by chance over all the hours.  Those that follow each other closely make an
*episode*, which is played as a life of its own; the quiet between episodes, in which a
cluster at rest only repeats its heartbeat, is counted and not played.  So an hour costs
what its faults cost.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

from regnal.journal.progress import Progress, unheard
from regnal.messages.base import MemberName, Seconds
from regnal.messages.frozen import replace
from regnal.replay.simulation.faults import Fault, Schedule, last_end
from regnal.replay.simulation.life import BEGINNING, Life, Lived, live
from regnal.replay.simulation.profiles import HOUR, Profile

QUIET: Seconds = 150.0
"""A fault that comes so long after the end of those before finds a cluster at rest."""

MOST_FAULTS = 12
"""In one episode; where faults never end, lives are cut off so."""

SEEDS_APART = 1_000_003
"""Seeds of the episodes of two campaigns do not meet before so many episodes."""


@dataclass(frozen=True)
class Cluster:
    """Whose life it is."""

    names: tuple[MemberName, ...]
    settings: Mapping[str, Any]
    own: Mapping[MemberName, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Episode:
    """A life, and what became of it."""

    life: Life
    lived: Lived


def draw(
    profile: Profile, hours: float, names: Sequence[MemberName], seed: int
) -> Schedule:
    """The faults of so many hours, from their beginning."""
    chance = random.Random(seed)  # noqa: S311 - a simulation, to be repeated
    faults: list[Fault] = []
    at = chance.expovariate(profile.per_hour) * HOUR
    while at < hours * HOUR:
        faults += profile.draw(chance, round(at, 2), names)
        at += chance.expovariate(profile.per_hour) * HOUR
    return tuple(faults)


def lives(cluster: Cluster, schedule: Schedule, seed: int) -> Iterator[Life]:
    """The episodes of the schedule, each with a seed of its own."""
    for number, faults in enumerate(_episodes(schedule)):
        shift = faults[0].at - BEGINNING - faults[0].at % _beat(cluster)
        moved = tuple(replace(fault, at=round(fault.at - shift, 2)) for fault in faults)
        yield Life(
            names=cluster.names,
            seed=seed * SEEDS_APART + number,
            schedule=moved,
            settings=cluster.settings,
            own=cluster.own,
        )


def play(
    todo: Sequence[Life], workers: int, progress: Progress = unheard
) -> Iterator[Episode]:
    """Live all of them, in their order; several at a time.  Of what fails the caller
    may stop early."""
    total = len(todo)
    if workers <= 1 or total <= 1:
        for done, life in enumerate(todo):
            progress("simulating", done, total)
            yield Episode(life, live(life))
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(live, life): number for number, life in enumerate(todo)}
        ready: dict[int, Lived] = {}
        following = 0
        try:
            for done, future in enumerate(as_completed(futures), 1):
                ready[futures[future]] = future.result()
                progress("simulating", done, total)
                while following in ready:
                    yield Episode(todo[following], ready.pop(following))
                    following += 1
        finally:
            pool.shutdown(cancel_futures=True)


def _episodes(schedule: Schedule) -> Iterator[Schedule]:
    together: list[Fault] = []
    for fault in schedule:
        late = together and fault.at > last_end(tuple(together)) + QUIET
        full = len(together) >= MOST_FAULTS and fault.at > together[-1].at
        if late or full:
            yield tuple(together)
            together = []
        together.append(fault)
    if together:
        yield tuple(together)


def _beat(cluster: Cluster) -> Seconds:
    """Faults come anywhere in a heartbeat."""
    return float(cluster.settings.get("loop_wait", 10))
