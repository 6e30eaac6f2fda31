"""What goes wrong in the model, how it is mended, and what people ask for."""

from collections.abc import Callable, Iterator

from regnal.messages.cluster import FailoverRequest
from regnal.messages.daemon import ShutdownRequested
from regnal.messages.postgres import PostmasterExited
from regnal.replay.model.bounds import RECOVERIES, Bounds, Fault, Recovery
from regnal.replay.model.scene import Scene, Surroundings
from regnal.replay.model.state import Move, State

Made = tuple[Move, Scene]


def faults(around: Surroundings, bounds: Bounds, state: State) -> Iterator[Made]:
    """Every fault that may happen now."""
    if state.faults == 0:
        return
    left = state._replace(faults=state.faults - 1)
    for index in range(len(state.hosts)):
        for kind in bounds.kinds:
            if kind in FAULTS_OF_A_MEMBER:
                scene = Scene(around, left)
                if FAULTS_OF_A_MEMBER[kind](scene, index):
                    yield Move(kind, index), scene
    if "cut from peer" in bounds.kinds:
        yield from _cuts(around, left)
    if "delete leader key" in bounds.kinds and state.store.lock is not None:
        scene = Scene(around, left)
        scene.changed(state.store._replace(lock=None))
        yield Move("delete leader key"), scene


def _kill_daemon(scene: Scene, index: int) -> bool:
    if scene.hosts[index].daemon is None:
        return False
    scene.end_daemon(index)
    return True


def _freeze(scene: Scene, index: int) -> bool:
    host = scene.hosts[index]
    if host.daemon is None or host.frozen:
        return False
    scene.change(index, frozen=True)
    return True


def _crash_postgres(scene: Scene, index: int) -> bool:
    if scene.hosts[index].server.phase == "down":
        return False
    scene.crash(index)
    return True


def _kill_host(scene: Scene, index: int) -> bool:
    if scene.hosts[index].daemon is None:
        return False
    scene.end_daemon(index)
    scene.crash(index)
    scene.change(index, guard=None)
    return True


def _cut_from_store(scene: Scene, index: int) -> bool:
    if not scene.hosts[index].linked:
        return False
    scene.change(index, linked=False)
    return True


def _hold_request(scene: Scene, index: int) -> bool:
    """The request that is on its way, or its answer, is late or lost."""
    host = scene.hosts[index]
    for lane in ("lease", "keys"):
        requests = getattr(host, lane)
        if requests and not requests[0].held:
            late = requests[0]._replace(held=True)
            scene.change(index, **{lane: (late, *requests[1:])})
            return True
    return False


def _hold_order(scene: Scene, index: int) -> bool:
    operations = scene.hosts[index].operations
    if not operations or operations[0].held:
        return False
    late = operations[0]._replace(held=True)
    scene.change(index, operations=(late, *operations[1:]))
    return True


def _hold_watch(scene: Scene, index: int) -> bool:
    host = scene.hosts[index]
    if host.watch_held or not host.views:
        return False
    scene.change(index, watch_held=True)
    return True


def _hold_end(scene: Scene, index: int) -> bool:
    """Meanwhile the monitor sees that there is no postmaster, or another."""
    host = scene.hosts[index]
    if host.late_end is not None or not host.events:
        return False
    if not isinstance(host.events[0].value, PostmasterExited):
        return False
    scene.change(index, events=host.events[1:], late_end=host.events[0])
    scene.observe(index)
    return True


def _hold_stream(scene: Scene, index: int) -> bool:
    host = scene.hosts[index]
    if host.stream_held or not host.server.streaming:
        return False
    scene.change(index, stream_held=True)
    return True


FAULTS_OF_A_MEMBER: dict[Fault, Callable[[Scene, int], bool]] = {
    "kill daemon": _kill_daemon,
    "freeze daemon": _freeze,
    "crash postgres": _crash_postgres,
    "kill host": _kill_host,
    "cut from store": _cut_from_store,
    "late request": _hold_request,
    "late order": _hold_order,
    "late watch": _hold_watch,
    "late stream": _hold_stream,
    "late end": _hold_end,
}
"""Each says whether there is anything that it could happen to."""


def _cuts(around: Surroundings, left: State) -> Iterator[Made]:
    for one in range(len(left.hosts)):
        for other in range(one + 1, len(left.hosts)):
            if (one, other) not in left.cut:
                cut = tuple(sorted((*left.cut, (one, other))))
                scene = Scene(around, left._replace(cut=cut))
                yield Move("cut from peer", one, around.names[other]), scene


def recoveries(
    around: Surroundings, state: State, mended: tuple[Recovery, ...] = RECOVERIES
) -> Iterator[Made]:
    """What is broken is mended; that costs nothing, and may never happen."""
    for index, host in enumerate(state.hosts):
        scene = Scene(around, state)
        if host.daemon is None:
            if "start daemon" in mended:
                scene.start_daemon(index)
                yield Move("the daemon starts", index), scene
        elif host.frozen:
            if "thaw daemon" in mended:
                scene.change(index, frozen=False)
                scene.see_to_keys(index)
                yield Move("the daemon goes on", index), scene
        elif not host.linked and "reach store" in mended:
            view = around.view(state.store)
            scene.change(index, linked=True, views=(view,), view=view)
            scene.see_to_keys(index)
            yield Move("reaches the store again", index), scene
    if "reach peer" in mended:
        yield from _reached_again(around, state)


def _reached_again(around: Surroundings, state: State) -> Iterator[Made]:
    for pair in state.cut:
        cut = tuple(other for other in state.cut if other != pair)
        scene = Scene(around, state._replace(cut=cut))
        yield Move("reaches its peer again", pair[0], around.names[pair[1]]), scene


def wishes(around: Surroundings, bounds: Bounds, state: State) -> Iterator[Made]:
    """What a person may ask for."""
    if state.wishes == 0:
        return
    left = state._replace(wishes=state.wishes - 1)
    lock = state.store.lock
    if "switchover" in bounds.wished and lock is not None:
        revision = state.store.revision + 1
        request = FailoverRequest(
            leader=lock.name, candidate=None, scheduled_at=None, revision=revision
        )
        scene = Scene(around, left)
        scene.changed(
            state.store._replace(failover=around.tokens.of(request), revision=revision)
        )
        yield Move("a person asks for a switchover"), scene
    if "shutdown" in bounds.wished:
        for index, host in enumerate(state.hosts):
            if host.daemon is not None and not host.frozen:
                scene = Scene(around, left)
                scene.tell(index, ShutdownRequested(signal=15))
                yield Move("the daemon is told to end", index), scene
