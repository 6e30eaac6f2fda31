"""The safety laws, as the model can check them (docs/architecture.md 5)."""

from regnal.actors.election_state import Election
from regnal.messages.base import Command
from regnal.messages.lease import HandOverLeader, ReleaseLeader
from regnal.messages.postgres import StartPostgres, StopPostgres
from regnal.replay.model.postgres import has_diverged, how_many, names_in
from regnal.replay.model.scene import Scene
from regnal.replay.model.state import State
from regnal.replay.safety_laws import (
    law_of_electors,
    law_of_lag,
    law_of_letting_go,
    law_of_promotion,
    law_of_start,
)


def law_that_is_broken(
    state: State, names: tuple[str, ...], *, sync: bool
) -> str | None:
    """In any state."""
    primaries = [i for i, host in enumerate(state.hosts) if host.server.takes_writes]
    if len(primaries) > 1:
        both = " and ".join(names[index] for index in primaries)
        return f"law 1: {both} take writes at the same time"
    for index in primaries:
        if state.founded and state.hosts[index].lease_left <= 0:
            return f"law 1: {names[index]} takes writes after the end of its lease"
        if sync and (law := _sync_law(state, names, index)) is not None:
            return law
        lost = set(state.acknowledged) - state.hosts[index].server.rows
        if sync and lost:
            return (
                f"law 4: {names[index]} leads without the acknowledged row {min(lost)}"
            )
    return None


def _sync_law(state: State, names: tuple[str, ...], leader: int) -> str | None:
    if state.store.sync is None or state.store.sync.value.leader != names[leader]:
        return None
    value = state.hosts[leader].server.names
    acknowledged = set(state.acknowledged)

    def has_everything(name: str) -> bool:
        return acknowledged <= state.hosts[names.index(name)].server.rows

    key = state.store.sync.value
    return law_of_electors(key, value, names_in(value), how_many(value), has_everything)


def check_promotion(scene: Scene, index: int) -> None:
    """Law 3, at the moment at which PostgreSQL is told to promote itself."""
    name, store = scene.around.names[index], scene.store
    restricts = scene.around.is_synchronous and store.sync is not None
    law = law_of_promotion(
        name,
        leads=store.lock is not None and store.lock.name == name,
        sync=store.sync.value if restricts and store.sync is not None else None,
    )
    if law is None and store.failover is None:
        law = law_of_lag(
            name,
            published=store.optime or 0,
            position=scene.hosts[index].server.lsn,
            limit=scene.around.settings[index].maximum_lag_on_failover,
        )
    _break(scene, law)


def check_fencing(scene: Scene, index: int) -> None:
    """Law 2, at the guard's deadline: it stands behind the daemon, not instead of it."""
    host = scene.hosts[index]
    if host.daemon is None or host.frozen or not host.server.takes_writes:
        return
    mind = host.daemon.value
    behind = any(mind.boxes) or any(due == 0 for _, due in mind.timers)
    # A daemon that has just started finds a guard that was armed before.
    leads = any(isinstance(s, Election) and s.has_lease for s in mind.states)
    stopping = any(isinstance(o.command.value, StopPostgres) for o in host.operations)
    if leads and not behind and not stopping:
        name = scene.around.names[index]
        scene.breaks(f"law 2: the guard must fence {name}, whose daemon runs")


def check_release(scene: Scene, index: int, command: Command) -> None:
    """Law 1, at the moment at which the store lets go of a leader."""
    if not isinstance(command, ReleaseLeader | HandOverLeader):
        return
    takes_writes = scene.hosts[index].server.takes_writes
    name = scene.around.names[index]
    _break(scene, law_of_letting_go(name, takes_writes=takes_writes))


def check_start(scene: Scene, index: int, command: StartPostgres) -> None:
    """Laws 1 and 5, at the moment at which PostgreSQL is told to start."""
    name, store = scene.around.names[index], scene.store
    if scene.hosts[index].server.phase != "down":
        return
    if command.role == "primary":
        leads = store.lock is not None and store.lock.name == name
        _break(scene, law_of_start(name, leads=leads))
        return
    upstream = scene.index(command.upstream.host if command.upstream else None)
    if upstream is None:
        return
    server, source = scene.hosts[index].server, scene.hosts[upstream].server
    if source.takes_writes and has_diverged(server, source):
        scene.breaks(f"law 5: {name} starts to follow a history that it has left")


def _break(scene: Scene, law: str | None) -> None:
    if law is not None:
        scene.breaks(law)
