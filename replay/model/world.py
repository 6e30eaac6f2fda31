"""What may happen next in a state of the model.

A move is *prompt* if it happens before time passes: an answer that is on its way, a
timer that is due.  All orders of them are tried.  What a fault has made late may
happen at any later time, or never.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from regnal.actors.step import Decider
from regnal.messages.base import Command, Message
from regnal.messages.cluster import ClusterObserved
from regnal.messages.lease import (
    HandOverLeader,
    LeaderAcquired,
    LeaderRenewed,
    ReleaseLeader,
)
from regnal.messages.postgres import PromotePostgres, StartPostgres, StopPostgres
from regnal.messages.probes import PeersProbed, PeerStatus, ProbeTarget
from regnal.messages.timers import TimerFired
from regnal.replay.model.bounds import Bounds
from regnal.replay.model.daemon import CAST, Daemons
from regnal.replay.model.faults import faults, recoveries, wishes
from regnal.replay.model.laws import (
    check_fencing,
    check_promotion,
    check_release,
    check_start,
)
from regnal.replay.model.operator import GO_ON, begun, done, failed, outcome
from regnal.replay.model.postgres import Server, has_diverged, promoted, shutdown_record
from regnal.replay.model.scene import Hears, Passes, Scene, Serves, Surroundings
from regnal.replay.model.state import Host, Move, Request, State, Stray
from regnal.replay.model.store import (
    AT_ONCE,
    LEASE_ACTIONS,
    key_command,
    lease_command,
    unconfirmed,
)
from regnal.replay.model.values import NOW, Token, Tokens

Made = tuple[Move, Scene]


class World:
    """The rules of the game; holds no state of it."""

    def __init__(self, bounds: Bounds, cast: Sequence[Decider[Any]] = CAST) -> None:
        tokens = Tokens()
        self.bounds = bounds
        self.around = Surroundings(
            names=bounds.names,
            settings=tuple(bounds.settings_of(name) for name in bounds.names),
            tokens=tokens,
            daemons=Daemons(tokens, cast, interleaved=bounds.interleaved),
        )

    def empty(self) -> State:
        """Nothing exists, every daemon has just started."""
        hosts = tuple(Host(Server()) for _ in self.bounds.names)
        scene = Scene(self.around, State(hosts))
        for index in range(self.bounds.members):
            scene.start_daemon(index)
        return scene.done()

    def moves(self, state: State) -> Iterator[Made]:
        """Everything that may happen next."""
        waits = True
        for move, scene in self._ordered(state):
            waits = False
            yield move, scene
        yield from self.late(state)
        if waits:
            passed = self.later(state)
            if passed is not None:
                yield passed
        yield from faults(self.around, self.bounds, state)
        yield from self._recoveries(state, quiet=waits)
        yield from wishes(self.around, self.bounds, state)
        yield from self._writes(state)

    def _recoveries(self, state: State, *, quiet: bool) -> Iterator[Made]:
        """Before time passes; in the middle of something else it is an overtaking."""
        left = state
        if not quiet and state.reorderings is not None:
            if state.reorderings == 0:
                return
            left = state._replace(reorderings=state.reorderings - 1)
        yield from recoveries(self.around, left, self.bounds.mended)

    def _ordered(self, state: State) -> Iterator[Made]:
        """The prompt moves, as far as they may come in another order than by default."""
        moves = self.prompt(state)
        if state.reorderings is None:
            yield from moves
            return
        first = next(moves, None)
        if first is None:
            return
        yield first
        if state.reorderings > 0:
            left = state._replace(reorderings=state.reorderings - 1)
            moves = self.prompt(left)
            next(moves)
            yield from moves

    def prompt(self, state: State) -> Iterator[Made]:
        """What happens before time passes."""
        for index, host in enumerate(state.hosts):
            for request in _first(host.lease):
                if not request.held:
                    yield from self._request(state, index, "lease", request)
            for request in _first(host.keys):
                if not request.held:
                    yield from self._request(state, index, "keys", request)
            yield from self._give_up(state, index)
            if not (host.operations and host.operations[0].held):
                yield from self._postgres(state, index)
            if not host.stream_held:
                yield from self._stream(state, index)
            yield from self._bridges(state, index)
            yield from self._guard(state, index)
        yield from self._expiry(state)

    def late(self, state: State) -> Iterator[Made]:
        """What a fault has held up, and may happen now or later."""
        for index, host in enumerate(state.hosts):
            for request in _first(host.lease):
                if request.held:
                    yield from self._request(state, index, "lease", request)
            for request in _first(host.keys):
                if request.held:
                    yield from self._request(state, index, "keys", request)
            if host.operations and host.operations[0].held:
                yield from self._postgres(state, index)
            if host.stream_held:
                yield from self._stream(state, index)
            if host.watch_held and host.views:
                yield from self._watch(state, index)
            if host.late_end is not None and not host.frozen:
                scene = Scene(self.around, state)
                scene.told_of_the_end(index, host.late_end)
                yield Move("the end of a postmaster is told late", index), scene
        for number, stray in enumerate(state.strays):
            yield self._stray(state, number, stray)

    # The store.

    def _request(
        self, state: State, index: int, lane: str, request: Request
    ) -> Iterator[Made]:
        host = state.hosts[index]
        command = request.command.value
        if not host.linked:
            return
        kind = type(command).model_fields["kind"].default
        if isinstance(command, AT_ONCE):
            if request.held or not host.frozen:
                scene = Scene(self.around, state)
                scene.change(index, keys=(request._replace(held=False), *host.keys[1:]))
                scene.see_to_keys(index)
                if scene.hosts[index].keys[:1] != host.keys[:1]:
                    yield Move("the store answers", index, kind), scene
            return
        if request.answer is None:
            scene = Scene(self.around, state)
            answer = self._take_effect(scene, index, command, request.age)
            first = request._replace(answer=self.around.tokens.of(answer))
            requests = getattr(scene.hosts[index], lane)
            scene.change(index, **{lane: (first, *requests[1:])})
            yield Move("the store carries out", index, kind), scene
        elif not host.frozen and host.daemon is not None:
            scene = Scene(self.around, state)
            self._next(scene, index, lane)
            scene.answered(index)
            scene.tell(index, _in_time(command, request))
            scene.see_to_keys(index)
            yield Move("the store answers", index, kind), scene

    def _take_effect(
        self, scene: Scene, index: int, command: Command, age: int
    ) -> Message:
        name = self.around.names[index]
        check_release(scene, index, command)
        if type(command) in LEASE_ACTIONS:
            store, answer = lease_command(scene.store, name, command, age)
        else:
            store, answer = key_command(scene.store, command, self.around.tokens)
        scene.changed(store)
        if isinstance(answer, LeaderAcquired | LeaderRenewed):
            left = int(answer.valid_until - NOW)
            known = scene.hosts[index].lease_left
            scene.change(index, lease_left=max(known, left))
            scene.state = scene.state._replace(founded=True)
        return answer

    def _next(self, scene: Scene, index: int, lane: str) -> None:
        scene.change(index, **{lane: getattr(scene.hosts[index], lane)[1:]})

    def _give_up(self, state: State, index: int) -> Iterator[Made]:
        """The deadline of a request has passed: nobody knows what becomes of it."""
        host = state.hosts[index]
        if host.frozen or host.daemon is None:
            return
        for lane in ("lease", "keys"):
            requests: tuple[Request, ...] = getattr(host, lane)
            if not requests or requests[0].expires_in > 0:
                continue
            request = requests[0]
            scene = Scene(self.around, state)
            self._next(scene, index, lane)
            if request.held and request.answer is None:
                stray = Stray(index, request.command)
                scene.state = state._replace(strays=(*state.strays, stray))
            command = request.command.value
            if isinstance(command, ReleaseLeader | HandOverLeader):
                scene.end_session(index)  # nobody knows whether it let go
            scene.not_answered(index)
            scene.tell(index, unconfirmed(command))
            scene.see_to_keys(index)
            kind = type(command).model_fields["kind"].default
            yield Move("no answer in time", index, kind), scene

    def _stray(self, state: State, number: int, stray: Stray) -> Made:
        strays = (*state.strays[:number], *state.strays[number + 1 :])
        scene = Scene(self.around, state._replace(strays=strays))
        command = stray.command.value
        # Its answer is read by nobody: it grants nothing.
        name = self.around.names[stray.member]
        if type(command) in LEASE_ACTIONS:
            store, _ = lease_command(
                scene.store, name, command, 0, is_current=stray.is_current
            )
        else:
            store, _ = key_command(scene.store, command, self.around.tokens)
        scene.changed(store)
        kind = type(command).model_fields["kind"].default
        return Move("the store carries out, long after", stray.member, kind), scene

    def _expiry(self, state: State) -> Iterator[Made]:
        store = state.store
        if store.lock is not None and store.lock.ends_in <= 0:
            scene = Scene(self.around, state)
            scene.changed(store._replace(lock=None))
            yield Move("the lease expires", scene.index(store.lock.name)), scene
        for key in store.members:
            if key.ends_in <= 0:
                scene = Scene(self.around, state)
                left = tuple(other for other in store.members if other is not key)
                scene.changed(store._replace(members=left))
                yield Move("the member key expires", scene.index(key.name)), scene

    # PostgreSQL.

    def _postgres(self, state: State, index: int) -> Iterator[Made]:
        host = state.hosts[index]
        if host.server.phase == "starting":
            scene = Scene(self.around, state)
            scene.server(index, host.server._replace(phase="up"))
            yield Move("PostgreSQL accepts connections", index, host.server.role), scene
        if host.server.promoting:
            scene = Scene(self.around, state)
            scene.server(index, promoted(host.server, index))
            yield Move("PostgreSQL takes writes", index), scene
        if not host.operations or host.frozen or host.daemon is None:
            return
        command = host.operations[0].command.value
        kind = type(command).model_fields["kind"].default
        scene = Scene(self.around, state)
        if host.operations[0].begun:
            answer = outcome(host.server, command)
            if answer is not None:
                self._end(scene, index, answer)
                yield Move("the operator answers", index, kind), scene
        elif isinstance(command, GO_ON):
            self._begin(scene, index, command)
            yield Move("the operator begins", index, kind), scene
        else:
            self._do(scene, index, command)
            yield Move("the operator carries out", index, kind), scene

    def _begin(self, scene: Scene, index: int, command: Command) -> None:
        host = scene.hosts[index]
        not_after = getattr(command, "not_after", None)
        if not_after is not None and not_after < NOW:
            self._end(scene, index, failed(command, "LEASE_ENDING"))
            return
        server = begun(host.server, command)
        if server is None:
            self._end(scene, index, failed(command))
            return
        match command:
            case PromotePostgres():
                check_promotion(scene, index)
            case StartPostgres():
                check_start(scene, index, command)
        first = host.operations[0]._replace(begun=True, held=False)
        scene.change(index, server=server, operations=(first, *host.operations[1:]))

    def _do(self, scene: Scene, index: int, command: Command) -> None:
        server = scene.hosts[index].server
        if isinstance(command, StopPostgres) and command.mode != "immediate":
            self._flush(scene, index)
            server = scene.hosts[index].server
        upstream = getattr(command, "upstream", None) or getattr(
            command, "source", None
        )
        source = scene.index(upstream.host) if upstream else None
        there = source is not None and scene.reaches(index, source)
        other = scene.hosts[source].server if source is not None and there else None
        changed, answer = done(server, command, other)
        scene.server(index, changed)
        self._end(scene, index, answer)

    def _flush(self, scene: Scene, index: int) -> None:
        """A fast shutdown waits until every attached standby has the last record."""
        server = scene.hosts[index].server
        if not server.takes_writes:
            return
        record = shutdown_record(server.timeline, index)
        server = server._replace(log=(*server.log, record))
        scene.server(index, server)
        name = self.around.names[index]
        for other, host in enumerate(scene.hosts):
            if host.server.streaming and host.server.upstream == name:
                scene.server(other, host.server._replace(log=server.log))

    def _end(self, scene: Scene, index: int, answer: Message) -> None:
        scene.change(index, operations=scene.hosts[index].operations[1:])
        scene.tell(index, answer)
        scene.observe(index)

    def _stream(self, state: State, index: int) -> Iterator[Made]:
        server = state.hosts[index].server
        scene = Scene(self.around, state)
        source = scene.index(server.upstream)
        if server.phase != "up" or server.role != "standby" or source is None:
            return
        other = state.hosts[source].server
        if other.phase != "up" or not scene.reaches(index, source):
            return
        if has_diverged(server, other):
            return
        if server.streaming and server.log == other.log:
            return
        scene.change(
            index,
            server=server._replace(
                streaming=True, log=other.log, timeline=other.timeline
            ),
            stream_held=False,
        )
        yield Move("WAL arrives", index), scene

    # What the bridges of a member say.

    def _guard(self, state: State, index: int) -> Iterator[Made]:
        host = state.hosts[index]
        if host.guard == 0:
            scene = Scene(self.around, state)
            check_fencing(scene, index)
            scene.change(index, guard=None)
            scene.crash(index)
            yield Move("the guard's deadline passes", index), scene

    def _bridges(self, state: State, index: int) -> Iterator[Made]:
        host = state.hosts[index]
        if host.daemon is None or host.frozen:
            return
        if host.linked and host.views and not host.watch_held:
            yield from self._watch(state, index)
        for token in _first(host.events):
            scene = Scene(self.around, state)
            scene.change(index, events=host.events[1:])
            scene.tell(index, token.value)
            scene.observe(index)
            kind = type(token.value).model_fields["kind"].default
            yield Move("the monitor says", index, kind), scene
        for name, due in host.daemon.value.timers:
            if due == 0:
                scene = Scene(self.around, state)
                fired = self.around.daemons.fire(host.daemon, name)
                scene.witnessed.append(Hears(index, TimerFired(name=name, due_at=NOW)))
                scene.learned(index, fired)
                yield Move("a timer fires", index, name), scene
        if host.probe is not None and host.probe.due_in == 0:
            yield self._probed(state, index)
        for actor, box in enumerate(host.daemon.value.boxes):
            if box:
                scene = Scene(self.around, state)
                scene.witnessed.append(Serves(index, actor))
                scene.learned(index, self.around.daemons.serve(host.daemon, actor))
                name = self.around.daemons.actor_name(actor)
                kind = type(box[0]).model_fields["kind"].default
                yield Move("an actor hears", index, f"{name}: {kind}"), scene

    def _watch(self, state: State, index: int) -> Iterator[Made]:
        host = state.hosts[index]
        if host.daemon is None or host.frozen or not host.linked:
            return
        scene = Scene(self.around, state)
        scene.change(index, views=host.views[1:], watch_held=False)
        scene.answered(index)
        scene.tell(index, _observed(host.views[0]))
        leader = host.views[0].value.leader_name
        yield Move("the watch shows", index, f"leader {leader or 'nobody'}"), scene

    def _probed(self, state: State, index: int) -> Made:
        probe = state.hosts[index].probe
        assert probe is not None
        scene = Scene(self.around, state)
        scene.change(index, probe=None)
        peers = tuple(
            self._peer(scene, index, target) for target in probe.command.value.targets
        )
        scene.tell(index, PeersProbed(peers=peers, asked_at=NOW - probe.age))
        return Move("the others answer", index), scene

    def _peer(self, scene: Scene, index: int, target: ProbeTarget) -> PeerStatus:
        other = scene.index(target.name)
        host = scene.hosts[other] if other is not None else None
        silent = host is None or host.daemon is None or host.frozen
        if silent or host is None or not scene.reaches(index, other or 0):
            return PeerStatus(name=target.name, answered=False, error="refused")
        server = host.server
        up = server.phase == "up"
        return PeerStatus(
            name=target.name,
            answered=True,
            role="primary" if server.takes_writes else "replica",
            state="running" if up else "stopped",
            timeline=server.timeline if up else 0,
            position=server.lsn if up else None,
        )

    # Clients, and time.

    def _writes(self, state: State) -> Iterator[Made]:
        if state.writes == 0:
            return
        for index, host in enumerate(state.hosts):
            if not host.server.takes_writes:
                continue
            row = state.next_row
            after = state._replace(
                next_row=row + 1,
                writes=state.writes - 1,
                waiting=(*state.waiting, (row, index)),
            )
            scene = Scene(self.around, after)
            server = host.server
            scene.server(index, server._replace(log=(*server.log, row)))
            yield Move("a client writes", index, f"row {row}"), scene

    def later(self, state: State) -> Made | None:
        """Time passes until something is due; None: nothing ever will be."""
        seconds = min(_dues(state), default=None)
        if seconds is None:
            return None
        scene = Scene(self.around, state)
        scene.witnessed.append(Passes(seconds))
        daemons = self.around.daemons
        for index, host in enumerate(state.hosts):
            scene.hosts[index] = self._host_later(host, seconds)
            if host.daemon is not None:
                scene.change(index, daemon=daemons.later(host.daemon, seconds))
        store = state.store
        lock = store.lock
        scene.store = store._replace(
            lock=lock._replace(ends_in=lock.ends_in - seconds) if lock else None,
            members=tuple(
                key._replace(ends_in=key.ends_in - seconds) for key in store.members
            ),
        )
        return Move("time passes", None, f"{seconds} s"), scene

    def _host_later(self, host: Host, seconds: int) -> Host:
        probe = host.probe
        return host._replace(
            guard=None if host.guard is None else max(0, host.guard - seconds),
            lease=tuple(self._request_later(r, seconds) for r in host.lease),
            keys=tuple(self._request_later(r, seconds) for r in host.keys),
            operations=tuple(
                o._replace(command=self._token_later(o.command, seconds))
                for o in host.operations
            ),
            probe=probe._replace(
                age=probe.age + seconds, due_in=max(0, probe.due_in - seconds)
            )
            if probe
            else None,
            lease_left=max(0, host.lease_left - seconds),
        )

    def _request_later(self, request: Request, seconds: int) -> Request:
        return request._replace(
            age=min(request.age + seconds, 60),
            expires_in=max(0, request.expires_in - seconds),
            answer=self._token_later(request.answer, seconds)
            if request.answer
            else None,
        )

    def _token_later(self, token: Token[Any], seconds: int) -> Token[Any]:
        return self.around.daemons.value_later(token, seconds)


def _first(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return items[:1]


def _observed(view: Token[Any]) -> Message:
    return ClusterObserved(view=view.value)


def _in_time(command: Command, request: Request) -> Message:
    """The answer, unless the lease that it grants has ended on its way."""
    assert request.answer is not None
    answer = request.answer.value
    if isinstance(answer, LeaderAcquired | LeaderRenewed) and answer.valid_until <= NOW:
        return unconfirmed(command)
    return answer


def _dues(state: State) -> Iterator[int]:
    """When something is due, in seconds from now."""
    for host in state.hosts:
        yield from _dues_of(host)
    if state.store.lock is not None:
        yield state.store.lock.ends_in
    for key in state.store.members:
        yield key.ends_in


def _dues_of(host: Host) -> Iterator[int]:
    if host.guard is not None:
        yield host.guard
    if host.daemon is None or host.frozen:
        return
    for _, due in host.daemon.value.timers:
        yield due
    for request in (*host.lease[:1], *host.keys[:1]):
        yield request.expires_in
    if host.probe is not None:
        yield host.probe.due_in
