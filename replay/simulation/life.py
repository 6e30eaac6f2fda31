"""The life of a simulated cluster: it begins, suffers its faults, and comes to rest.

    lived = live(Life(names=("a", "b", "c"), seed=7, schedule=faults, settings={}))

While it lasts the safety laws are checked after every event.  Once no fault is left the
cluster must be well within `TO_REST`: one leader, that everybody follows, and in
synchronous mode every acknowledged row on it.
"""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from regnal.actors.cast import DECIDERS
from regnal.messages.base import Instant, MemberName, Seconds
from regnal.replay.simulation.faults import Schedule, last_end
from regnal.replay.simulation.laws import LawBroken
from regnal.replay.simulation.world import World

BEGINNING: Seconds = 30.0
"""In which a new cluster comes to be; faults come later."""

TO_REST: Seconds = 180.0
"""Seconds that a cluster without faults may need to be well: some leases, the timeout of
a WAL receiver, a rebuild."""

LOOK_EVERY: Seconds = 1.0
AT_REST_FOR: Seconds = 12.0
"""How long it must stay well: longer than a heartbeat."""


@dataclass(frozen=True)
class Life:
    """All that a run depends on: the same life is lived the same way, to the bit."""

    names: tuple[MemberName, ...]
    seed: int
    schedule: Schedule
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Settings`, for all members."""

    own: Mapping[MemberName, Mapping[str, Any]] = field(default_factory=dict)
    """The same for single members."""


class Outage(NamedTuple):
    """Writes stopped."""

    began: Instant
    duration: Seconds
    after: str
    """The fault before it; empty: none."""


@dataclass(frozen=True)
class Lived:
    """What became of it."""

    broken: Literal["", "safety", "liveness", "error"]
    """Empty: nothing.  error: a decider raised."""

    why: str
    outages: tuple[Outage, ...]
    stranded: tuple[MemberName, ...]
    """Who waits for a person: their data diverged, and may be neither rewound nor
    removed."""

    played: Seconds
    acknowledged: int
    lost: int
    """Acknowledged rows that are not there at the end (only asynchronous ones)."""

    @property
    def is_broken(self) -> bool:
        return bool(self.broken)


def live(life: Life, journals: Path | None = None) -> Lived:
    """Never raises, whatever goes wrong in it; OSError of `journals` apart."""
    world = World(
        life.names,
        DECIDERS,
        seed=life.seed,
        schedule=life.schedule,
        journals=journals,
        own=life.own,
        **life.settings,
    )
    broken: Literal["", "safety", "liveness", "error"] = ""
    why = ""
    try:
        world.start()
        world.begin_traffic()
        _suffer(world, max(BEGINNING, last_end(life.schedule)))
        world.mend()
        _acknowledge(world)
        why = _come_to_rest(world)
        if why:
            broken = "liveness"
    except LawBroken as error:
        broken, why = "safety", str(error)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - a decider's mistake is what we look for
        broken = "error"
        why = "".join(traceback.format_exception(error))
    finally:
        for recorder in world.recorders.values():
            recorder.close()
    return _told(world, broken, why)


def _suffer(world: World, until: Instant) -> None:
    """Until the last fault has ended; one that is aimed may end, or lapse, earlier."""
    world.run(BEGINNING)
    while world.now < until and not world.trouble.is_over:
        world.run(min(LOOK_EVERY, until - world.now))


def _acknowledge(world: World) -> None:
    """A person looks at the incidents, where policy waits for that."""
    for name in world.members:
        settings = world.settings_of(name)
        if settings.crash_loop_limit or settings.min_time_between_failovers:
            world.acknowledge(name)


def _come_to_rest(world: World) -> str:
    """Why it is not at rest in time; empty: it is."""
    until = world.now + TO_REST
    well_since: Instant | None = None
    why = ""
    while world.now < until:
        world.run(LOOK_EVERY)
        why = _why_not_well(world)
        if why:
            well_since = None
        elif well_since is None:
            well_since = world.now
        elif world.now >= well_since + AT_REST_FOR:
            break
    if why:
        return f"{world.now:.3f}: not well {TO_REST:g} s after the last fault: {why}"
    (leader,) = world.primaries
    if world.settings_of(leader).is_synchronous:
        world.check_nothing_is_lost(leader)
    return ""


def _why_not_well(world: World) -> str:
    primaries = sorted(world.primaries)
    if len(primaries) != 1:
        return f"primaries: {primaries}"
    (leader,) = primaries
    lock = world.store.lock
    if lock is None or lock.name != leader:
        return f"{leader} is primary, the leader key says {lock and lock.name}"
    for name, member in world.members.items():
        if member.exited is not None and member.daemon is None:
            return f"the daemon of {name} ended: {member.exited}"
        server = world.postgres[name]
        if name != leader and not server.streaming and not is_stranded(world, name):
            return f"{name} does not stream"
    if world.clients.silence(world.now) > 2 * LOOK_EVERY and not _may_not_write(world):
        return "no write is acknowledged"
    return ""


def _may_not_write(world: World) -> bool:
    """Strict synchronous mode keeps writes waiting for a standby that nobody is."""
    (leader,) = world.primaries
    others = [name for name in world.members if name != leader]
    strict = world.settings_of(leader).synchronous_mode_strict
    return strict and all(not world.postgres[name].streaming for name in others)


def is_stranded(world: World, name: MemberName) -> bool:
    """Whether its data diverged and nothing may be done about it by itself: rewinding is
    off, or cannot help since both servers began a timeline of the same number."""
    server, settings = world.postgres[name], world.settings_of(name)
    leaders = [world.postgres[leader] for leader in world.primaries]
    if len(leaders) != 1 or not server.has_diverged_from(leaders[0]):
        return False
    if settings.remove_data_directory_on_diverged_timelines:
        return False
    return not settings.use_pg_rewind or server.timeline >= leaders[0].timeline


def _told(
    world: World, broken: Literal["", "safety", "liveness", "error"], why: str
) -> Lived:
    gaps = list(world.write_gaps)
    silence = world.clients.silence(world.now)
    if silence > 2 and broken != "safety":
        gaps.append((world.now, silence))
    leaders = sorted(world.primaries)
    rows = world.rows(leaders[0]) if leaders else set[int]()
    return Lived(
        broken=broken,
        why=why,
        outages=tuple(
            Outage(at - gap, gap, _fault_before(world, at - gap, at))
            for at, gap in gaps
        ),
        stranded=tuple(n for n in world.members if is_stranded(world, n)),
        played=world.now,
        acknowledged=len(world.acknowledged),
        lost=len(set(world.acknowledged) - rows) if leaders else 0,
    )


def _fault_before(world: World, began: Instant, ended: Instant) -> str:
    """The last fault that began before writes stopped, or just after the last of them."""
    named = [fault for fault in world.trouble.begun if fault[0] <= began + 1.0]
    if not named:
        named = [fault for fault in world.trouble.begun if fault[0] <= ended][:1]
    if not named:
        return ""
    _, kind, targets = named[-1]
    return " ".join((kind, *targets))
