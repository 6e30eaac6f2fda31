"""The safety laws, as the model can check them (docs/architecture.md 5)."""

from regnal.actors.election_state import Election
from regnal.messages.base import Command
from regnal.messages.lease import HandOverLeader, ReleaseLeader
from regnal.messages.postgres import StartPostgres, StopPostgres
from regnal.replay.model.postgres import has_diverged, how_many, names_in
from regnal.replay.model.scene import Scene
from regnal.replay.model.state import State


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
    """What law 4 rests on (`sync_plan`): nobody whom the key lets be promoted lacks what
    was acknowledged, or may be."""
    if state.store.sync is None or state.store.sync.value.leader != names[leader]:
        return None
    key = state.store.sync.value
    if not key.standbys:
        return None
    value = state.hosts[leader].server.names
    together = {*key.standbys, *names_in(value)}
    if len(together) > key.quorum + how_many(value):
        return f"law 4: {value!r} lets rows be acknowledged that /sync does not protect"
    acknowledged = set(state.acknowledged)
    having = [
        name
        for name in key.standbys
        if acknowledged <= state.hosts[names.index(name)].server.rows
    ]
    if len(having) < len(key.standbys) - key.quorum:
        return f"law 4: /sync names {key.standbys}, who lack an acknowledged row"
    return None


def check_promotion(scene: Scene, index: int) -> None:
    """Law 3, at the moment at which PostgreSQL is told to promote itself."""
    name, store = scene.around.names[index], scene.store
    if store.lock is None or store.lock.name != name:
        scene.breaks(f"law 3: {name} is promoted without the leader lock")
    if scene.around.is_synchronous and store.sync is not None:
        sync = store.sync.value
        if sync.leader is not None and not sync.allows(name):
            scene.breaks(f"law 3: {name} is promoted though /sync does not name it")
        elif sync.leader not in (None, name):
            scene.breaks(f"law 4: {name} is promoted while /sync lets others lead")

    if store.failover is None:
        _check_lag(scene, index)


def _check_lag(scene: Scene, index: int) -> None:
    """maximum_lag_on_failover, by what the leader last published."""
    name = scene.around.names[index]
    lag = (scene.store.optime or 0) - scene.hosts[index].server.lsn
    if lag > scene.around.settings[index].maximum_lag_on_failover:
        scene.breaks(f"law 3: {name} is promoted though it lags by {lag} bytes")


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
    if scene.hosts[index].server.takes_writes:
        name = scene.around.names[index]
        scene.breaks(f"law 1: {name} gives the lock away while it takes writes")


def check_start(scene: Scene, index: int, command: StartPostgres) -> None:
    """Laws 1 and 5, at the moment at which PostgreSQL is told to start."""
    name, store = scene.around.names[index], scene.store
    if scene.hosts[index].server.phase != "down":
        return
    if command.role == "primary":
        if store.lock is None or store.lock.name != name:
            scene.breaks(f"law 1: {name} starts as primary without the leader lock")
        return
    upstream = scene.index(command.upstream.host if command.upstream else None)
    if upstream is None:
        return
    server, source = scene.hosts[index].server, scene.hosts[upstream].server
    if source.takes_writes and has_diverged(server, source):
        scene.breaks(f"law 5: {name} starts to follow a history that it has left")
