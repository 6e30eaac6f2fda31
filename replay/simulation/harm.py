"""Harm: what each kind of fault does to a simulated world, and what ends it."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from regnal.messages.base import Command, MemberName, Message, Seconds
from regnal.messages.postgres import (
    CheckpointPostgres,
    PromotePostgres,
    RestartPostgres,
    StartPostgres,
    StopPostgres,
)
from regnal.messages.requests import Caller, ReinitializeRequested, RestartRequested
from regnal.replay.simulation.faults import FaultKind
from regnal.replay.simulation.host import Host
from regnal.replay.simulation.member import SimulatedMember
from regnal.replay.simulation.network import OUTSIDE, STORE, Network
from regnal.replay.simulation.postgres import SimulatedPostgres
from regnal.replay.simulation.scheduler import Scheduler
from regnal.replay.simulation.store import SimulatedStore
from regnal.replay.simulation.store_bridge import SimulatedStoreBridge

ANN = Caller(address="192.0.2.1", username="ann", user_agent="simulation")


class Stage(Protocol):
    """What faults need of a world."""

    scheduler: Scheduler
    network: Network
    store: SimulatedStore
    hosts: dict[MemberName, Host]
    members: dict[MemberName, SimulatedMember]
    postgres: dict[MemberName, SimulatedPostgres]
    store_bridges: dict[MemberName, SimulatedStoreBridge]
    last_primary: MemberName | None
    lossy: float
    clocks_differ: bool

    @property
    def is_paused(self) -> bool: ...
    @property
    def primaries(self) -> set[MemberName]: ...
    def start(self, *names: MemberName) -> None: ...
    def kill_host(self, name: MemberName) -> None: ...
    def suspend_host(self, name: MemberName) -> None: ...
    def resume_host(self, name: MemberName) -> None: ...
    def freeze(self, name: MemberName) -> None: ...
    def thaw(self, name: MemberName) -> None: ...
    def kill_daemon(self, name: MemberName) -> None: ...
    def kill_postgres(self, name: MemberName, signal: int = 9) -> None: ...
    def shut_down(self, name: MemberName) -> None: ...
    def ask(self, name: MemberName, message: Message, part: str = "http") -> None: ...
    def next_request(self) -> str: ...
    def request_switchover(
        self, leader: MemberName | None, candidate: MemberName | None
    ) -> None: ...
    def configure(self, **settings: Any) -> None: ...
    def daemon_answers(self, name: MemberName) -> bool: ...
    def reaches(self, one: str, other: str) -> bool: ...


LOOK_AGAIN_AFTER: Seconds = 5.0
"""When a person looks again who wants to resume, or to start what is still stopping."""

End = Callable[[], None]


Begin = Callable[[Stage, tuple[str, ...], float], End | None]


def _kill_host(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    (name,) = names
    stage.kill_host(name)
    return lambda: _start(stage, name)


def _suspend_host(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    (name,) = names
    stage.suspend_host(name)
    return lambda: stage.resume_host(name)


def _kill_daemon(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    (name,) = names
    stage.kill_daemon(name)
    return lambda: _start(stage, name)


def _freeze_daemon(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    (name,) = names
    stage.freeze(name)
    return lambda: stage.thaw(name)


def _stop_daemon(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    (name,) = names
    member = stage.members[name]
    stopped = member.incarnation
    stage.shut_down(name)

    def start_again() -> None:
        """It may still wait for its PostgreSQL to stop."""
        if member.daemon is None:
            _start(stage, name)
        elif member.incarnation == stopped:
            stage.scheduler.after(LOOK_AGAIN_AFTER, start_again)

    return start_again


def _start(stage: Stage, name: MemberName) -> None:
    if stage.members[name].daemon is None and not stage.hosts[name].is_suspended:
        stage.start(name)


def _kill_postgres(stage: Stage, names: tuple[str, ...], amount: float) -> None:
    stage.kill_postgres(names[0])


def _slower(*commands: type[Command]) -> Begin:
    """These commands take longer."""

    def begin(stage: Stage, names: tuple[str, ...], amount: float) -> End:
        extra = stage.hosts[names[0]].extra
        extra.update(dict.fromkeys(commands, amount))

        def end() -> None:
            for command in commands:
                extra.pop(command, None)

        return end

    return begin


def _late_end(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    host = stage.hosts[names[0]]
    host.late_end = amount

    def end() -> None:
        host.late_end = 0.0

    return end


def _slow_disk(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    host = stage.hosts[names[0]]
    host.disk_slowness = max(1.0, amount)
    return lambda: setattr(host, "disk_slowness", 1.0)


def _full_disk(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    host = stage.hosts[names[0]]
    host.disk_is_full = True
    return lambda: setattr(host, "disk_is_full", False)


def _cut(stage: Stage, *pairs: tuple[str, str]) -> End:
    cut = {frozenset(pair) for pair in pairs}
    stage.network.cut |= cut

    def end() -> None:
        stage.network.cut -= cut
        _reconnect(stage)

    return end


def _cut_directions(stage: Stage, *directions: tuple[str, str]) -> End:
    stage.network.one_way |= set(directions)

    def end() -> None:
        stage.network.one_way -= set(directions)
        _reconnect(stage)

    return end


def _reconnect(stage: Stage) -> None:
    for bridge in stage.store_bridges.values():
        bridge.reconnect_soon()


def _peers(stage: Stage, name: str) -> tuple[str, ...]:
    return tuple(other for other in stage.members if other != name)


def _everybody(stage: Stage, name: str) -> tuple[str, ...]:
    """Whom it could talk to."""
    return (*_peers(stage, name), STORE, OUTSIDE)


def _cut_from_store(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    return _cut(stage, (names[0], STORE))


def _cut_from_peers(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    (name,) = names
    return _cut(stage, *((name, other) for other in _peers(stage, name)))


def _cut_off(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    (name,) = names
    return _cut(stage, *((name, other) for other in _everybody(stage, name)))


def _cut_pair(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    return _cut(stage, (names[0], names[1]))


def _cut_one_way(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    return _cut_directions(stage, (names[0], names[1]))


def _mute(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    (name,) = names
    directions = ((name, other) for other in _everybody(stage, name))
    return _cut_directions(stage, *directions)


def _deafen(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    (name,) = names
    directions = ((other, name) for other in _everybody(stage, name))
    return _cut_directions(stage, *directions)


def _slow_network(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    stage.network.slow[names[0]] = amount
    return lambda: _forget(stage.network.slow, names[0])


def _lossy_network(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    stage.network.loss[names[0]] = amount
    return lambda: _forget(stage.network.loss, names[0])


def _forget(numbers: dict[str, float], name: str) -> None:
    numbers.pop(name, None)


def _store_down(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    stage.store.go_down()

    def end() -> None:
        stage.store.come_back()
        _reconnect(stage)

    return end


def _store_unreachable(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    return _cut(stage, *((name, STORE) for name in stage.members))


def _lose_answers(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    stage.lossy = amount
    return lambda: setattr(stage, "lossy", 0.0)


def _slow_watch(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    stage.store.watch_lag = amount
    return lambda: setattr(stage.store, "watch_lag", 0.0)


def _wipe_store(stage: Stage, names: tuple[str, ...], amount: float) -> None:
    """Only while a primary is there that can tell again what is lost with the keys."""
    for name in stage.primaries:
        if stage.daemon_answers(name) and stage.reaches(name, STORE):
            stage.store.wipe()
            return


def _delete_leader_key(stage: Stage, names: tuple[str, ...], amount: float) -> None:
    """Only while the primary answers the others: else a person answers for two."""
    for name in stage.primaries:
        others = _peers(stage, name)
        if stage.daemon_answers(name) and all(stage.reaches(name, o) for o in others):
            stage.store.delete_leader_key()
            return


def _set_clock(stage: Stage, names: tuple[str, ...], amount: float) -> None:
    stage.clocks_differ = True
    stage.hosts[names[0]].wall_step_us += int(amount * 1e6)


def _switchover(stage: Stage, names: tuple[str, ...], amount: float) -> None:
    leader = stage.store.lock.name if stage.store.lock else None
    candidate = names[0] if names else None
    if leader is not None and candidate != leader:
        stage.request_switchover(leader, candidate)


def _failover(stage: Stage, names: tuple[str, ...], amount: float) -> None:
    if not stage.is_paused:  # in pause a person answers for two primaries
        stage.request_switchover(None, names[0])


def _pause(stage: Stage, names: tuple[str, ...], amount: float) -> End:
    stage.configure(paused=True)
    return lambda: _resume(stage)


def _resume(stage: Stage, *, looked: bool = False) -> None:
    """A person looks first, twice: a primary whose daemon is down, or that does not hear
    of it, would go on writing beside the next one."""
    if not stage.is_paused:
        return
    is_well = all(_hears_of_it(stage, name) for name in stage.postgres)
    if is_well and looked:
        stage.configure(paused=False)
        return
    stage.scheduler.after(LOOK_AGAIN_AFTER, lambda: _resume(stage, looked=is_well))


def _hears_of_it(stage: Stage, name: MemberName) -> bool:
    server = stage.postgres[name]
    if not server.running or server.role != "primary":
        return True
    return stage.daemon_answers(name) and stage.reaches(name, STORE)


def _restart_postgres(stage: Stage, names: tuple[str, ...], amount: float) -> None:
    asked = RestartRequested(
        request=stage.next_request(),
        caller=ANN,
        schedule=None,
        role=None,
        postgres_version=None,
        timeout=None,
        restart_pending=False,
        unknown_filter=None,
    )
    stage.ask(names[0], asked)


def _reinitialize(stage: Stage, names: tuple[str, ...], amount: float) -> None:
    asked = ReinitializeRequested(
        request=stage.next_request(), caller=ANN, force=False, from_leader=True
    )
    stage.ask(names[0], asked)


def _set_ttl(stage: Stage, names: tuple[str, ...], amount: float) -> None:
    stage.configure(ttl=amount)


BEGINNINGS: Mapping[FaultKind, Begin] = {
    "kill_host": _kill_host,
    "suspend_host": _suspend_host,
    "kill_daemon": _kill_daemon,
    "freeze_daemon": _freeze_daemon,
    "kill_postgres": _kill_postgres,
    "slow_start": _slower(StartPostgres, RestartPostgres),
    "slow_stop": _slower(StopPostgres),
    "slow_checkpoint": _slower(CheckpointPostgres),
    "late_promotion": _slower(PromotePostgres),
    "late_end": _late_end,
    "slow_disk": _slow_disk,
    "full_disk": _full_disk,
    "cut_from_store": _cut_from_store,
    "cut_from_peers": _cut_from_peers,
    "cut_off": _cut_off,
    "cut_pair": _cut_pair,
    "cut_one_way": _cut_one_way,
    "mute": _mute,
    "deafen": _deafen,
    "slow_network": _slow_network,
    "lossy_network": _lossy_network,
    "store_down": _store_down,
    "store_unreachable": _store_unreachable,
    "lose_answers": _lose_answers,
    "slow_watch": _slow_watch,
    "wipe_store": _wipe_store,
    "delete_leader_key": _delete_leader_key,
    "set_clock": _set_clock,
    "switchover": _switchover,
    "failover": _failover,
    "pause": _pause,
    "stop_daemon": _stop_daemon,
    "restart_postgres": _restart_postgres,
    "reinitialize": _reinitialize,
    "set_ttl": _set_ttl,
}
"""What begins each kind; it returns what ends it, or None."""
