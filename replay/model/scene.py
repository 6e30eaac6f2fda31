"""One move of the model, while it is made: what everybody does in answer to it.

A daemon that hears something goes on until it waits for somebody else; what it orders
of the guard and of its observer is done at once, what it orders of the store and of
PostgreSQL is on its way from then on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple

from regnal.messages.base import Command, Message
from regnal.messages.cluster import ClusterView, StoreAnswered, StoreUnreachable
from regnal.messages.daemon import ExitDaemon, ShutdownCompleted
from regnal.messages.fencing import ArmGuard, DisarmGuard, GuardArmed
from regnal.messages.postgres import (
    CancelOperation,
    ObservePostgres,
    OperationCancelled,
    PostgresObserved,
    PostmasterExited,
    ReplicationEnded,
    SetSynchronousStandbys,
    SynchronousStandbysSet,
)
from regnal.messages.probes import ProbePeers
from regnal.messages.settings import ConfigurationApplied, Settings
from regnal.messages.store import ReadCluster
from regnal.replay.model.daemon import Daemons, Heard
from regnal.replay.model.operator import OPERATIONS
from regnal.replay.model.postgres import (
    Server,
    control_of,
    crashed,
    has_diverged,
    how_many,
    names_in,
    status_of,
)
from regnal.replay.model.state import Host, Operation, Probe, Request, State, Store
from regnal.replay.model.store import (
    AT_ONCE,
    KEYS,
    LEASE_ACTIONS,
    key_command,
    session_ended,
    view_of,
)
from regnal.replay.model.values import NOW, Token, Tokens


class Begins(NamedTuple):
    """The daemon of this member starts."""

    member: int


class Ends(NamedTuple):
    """It is gone."""

    member: int


class Hears(NamedTuple):
    """A bridge says something to it."""

    member: int
    message: Message


class Serves(NamedTuple):
    """One of its actors hears what is first in its mailbox."""

    member: int
    actor: int


class Passes(NamedTuple):
    """Time does."""

    seconds: int


Witnessed = Begins | Ends | Hears | Serves | Passes


@dataclass(slots=True)
class Surroundings:
    """What is the same in every state."""

    names: tuple[str, ...]
    settings: tuple[Settings, ...]
    tokens: Tokens
    daemons: Daemons
    views: dict[Store, Token[ClusterView]] = field(default_factory=dict)
    witness: Callable[[Sequence[Witnessed]], None] | None = None
    """Who is told what happened to the daemons in each move that is made; None: nobody."""

    def view(self, store: Store) -> Token[ClusterView]:
        """What a watcher sees of these keys."""
        timeless = store._replace(
            lock=store.lock._replace(ends_in=0) if store.lock else None,
            members=tuple(key._replace(ends_in=0) for key in store.members),
        )
        known = self.views.get(timeless)
        if known is None:
            known = self.views[timeless] = self.tokens.of(view_of(store))
        return known

    @property
    def is_synchronous(self) -> bool:
        return self.settings[0].is_synchronous


class Scene:
    """A state that is being changed."""

    def __init__(self, around: Surroundings, state: State) -> None:
        self.around = around
        self.state = state
        self.hosts = list(state.hosts)
        self.store = state.store
        self._at_keys: set[int] = set()
        self.rules: list[tuple[int, str, str]] = []
        """Member, actor and rule of what was decided in this move."""

        self.witnessed: list[Witnessed] = []
        """What happened to the daemons in this move."""

        self.broken: str | None = None
        """Which law this move breaks, if it does."""

    def done(self) -> State:
        """The state after the move."""
        if self.around.witness is not None:
            self.around.witness(self.witnessed)
        self._end_streams()
        self._acknowledge()
        return self.state._replace(hosts=tuple(self.hosts), store=self.store)

    # The pieces.

    def change(self, index: int, **fields: Any) -> Host:
        host = self.hosts[index] = self.hosts[index]._replace(**fields)
        return host

    def server(self, index: int, server: Server) -> None:
        self.change(index, server=server)

    def index(self, name: str | None) -> int | None:
        names = self.around.names
        return names.index(name) if name in names else None

    def reaches(self, one: int, other: int) -> bool:
        return (min(one, other), max(one, other)) not in self.state.cut

    def breaks(self, law: str) -> None:
        if self.broken is None:
            self.broken = law

    # Talking to a daemon.

    def tell(self, index: int, message: Message) -> None:
        """A bridge says something to the daemon, if there is one."""
        mind = self.hosts[index].daemon
        if mind is not None:
            self.witnessed.append(Hears(index, message))
            token: Token[Message] = self.around.tokens.of(message)
            self.learned(index, self.around.daemons.hear(mind, token))

    def learned(self, index: int, heard: Heard) -> None:
        """The daemon knows more now, and these are its orders."""
        mind, orders, rules = heard
        self.rules += [(index, actor, rule) for actor, rule in rules]
        self.change(index, daemon=mind)
        for order in orders:
            self._obey(index, order)

    def observe(self, index: int) -> None:
        """The monitor looks at PostgreSQL."""
        names = self.around.names
        servers = {
            name: host.server
            for name, host in zip(names, self.hosts, strict=True)
            if name != names[index]
        }
        status = status_of(self.hosts[index].server, names[index], servers)
        self.tell(index, PostgresObserved(status=status))

    def start_daemon(self, index: int) -> None:
        settings = self.around.settings[index]
        self.witnessed.append(Begins(index))
        view = self.around.view(self.store)
        linked = self.hosts[index].linked
        self.change(
            index,
            daemon=self.around.daemons.new(settings.name),
            views=(view,) if linked else (),
            view=view if linked else None,
            silent=not linked,
        )
        applied = ConfigurationApplied(
            settings=settings, document="{}", postgres_changed=False, dynamic=None
        )
        self.tell(index, applied)
        self.observe(index)
        if not linked:
            self.tell(index, _unreachable())

    def end_daemon(self, index: int) -> None:
        """It is gone, with everything that was on its way to it or in its queues."""
        self.witnessed.append(Ends(index))
        self.end_session(index)
        self.change(
            index,
            daemon=None,
            frozen=False,
            lease=(),
            keys=(),
            operations=(),
            views=(),
            view=None,
            watch_held=False,
            events=(),
            late_end=None,
            probe=None,
            silent=False,
        )

    def end_session(self, index: int) -> None:
        """What was asked of the store in it is refused from now on where another session
        has the leader key."""
        self.store = session_ended(self.store, self.around.names[index])
        strays = tuple(
            stray._replace(is_current=False) if stray.member == index else stray
            for stray in self.state.strays
        )
        self.state = self.state._replace(strays=strays)

    def answered(self, index: int) -> None:
        """The store has answered something."""
        if self.hosts[index].silent:
            self.change(index, silent=False)
            self.tell(index, StoreAnswered())

    def not_answered(self, index: int) -> None:
        if not self.hosts[index].silent:
            self.change(index, silent=True)
            self.tell(index, _unreachable())

    # PostgreSQL.

    def crash(self, index: int) -> None:
        """The postmaster is gone; the monitor knows at once."""
        host = self.hosts[index]
        if host.server.phase == "down":
            return
        self.server(index, crashed(host.server))
        self.event(index, self._exited(index, expected=False))

    def event(self, index: int, message: Message) -> None:
        host = self.hosts[index]
        if host.daemon is not None:
            token = self.around.tokens.of(message)
            self.change(index, events=(*host.events, token))

    def told_of_the_end(self, index: int, ended: Token[Message]) -> None:
        """Of a postmaster, later than of what has happened since."""
        self.change(index, late_end=None)
        self.tell(index, ended.value)
        self.observe(index)

    def _exited(self, index: int, *, expected: bool) -> Message:
        return PostmasterExited(
            pid=self.hosts[index].server.pid,
            exit_status=None,
            signal=9,
            expected=expected,
            control=control_of(self.hosts[index].server),
        )

    # The store.

    def changed(self, store: Store) -> None:
        """The store has other keys than before: every watcher will be told."""
        before, self.store = self.around.view(self.store), store
        token = self.around.view(store)
        if before is token:
            return
        for index, host in enumerate(self.hosts):
            if host.daemon is not None and host.view is not token:
                self.change(index, views=(*host.views[:1], token), view=token)

    def see_to_keys(self, index: int) -> None:
        """What is first in the queue of keys, as far as nothing can come in between."""
        if index in self._at_keys:
            return
        self._at_keys.add(index)
        while self._answer_next_key(index):
            pass
        self._at_keys.discard(index)

    def _answer_next_key(self, index: int) -> bool:
        host = self.hosts[index]
        if not host.keys or not host.linked or host.frozen:
            return False
        request = host.keys[0]
        command = request.command.value
        if not isinstance(command, AT_ONCE) or request.held:
            return False
        self.change(index, keys=host.keys[1:])
        store, outcome = key_command(self.store, command, self.around.tokens)
        self.changed(store)
        self.answered(index)
        self.tell(index, outcome)
        return True

    # Orders.

    def _obey(self, index: int, order: Token[Message]) -> None:
        host, command = self.hosts[index], order.value
        if host.daemon is None:
            return
        match command:
            case ArmGuard():
                self._arm(index, command)
            case DisarmGuard():
                self.change(index, guard=None)
            case ObservePostgres():
                self.observe(index)
            case ReadCluster():
                self._read(index)
            case ProbePeers():
                self._probe(index, order, command)
            case SetSynchronousStandbys(value=value):
                self._set_standbys(index, value)
            case CancelOperation():
                self._cancel(index)
            case ExitDaemon() | ShutdownCompleted():
                self.end_daemon(index)
            case Command() if type(command) in LEASE_ACTIONS:
                self.change(index, lease=(*host.lease, self._request(command)))
            case Command() if type(command) in KEYS:
                self.change(index, keys=(*host.keys, self._request(command)))
                self.see_to_keys(index)
            case _ if isinstance(command, OPERATIONS):
                operation = Operation(order)  # type: ignore[arg-type]
                self.change(index, operations=(*host.operations, operation))

    def _arm(self, index: int, command: ArmGuard) -> None:
        before = self.hosts[index].guard
        if before is None or not command.unless_armed:
            self.change(index, guard=max(0, ceil(command.deadline - NOW)))
        if before is None:
            self.tell(index, GuardArmed(guard_pid=1))

    def _request(self, command: Command) -> Request:
        deadline = command.deadline  # type: ignore[attr-defined]
        timeless = command.model_copy(update={"deadline": NOW})
        return Request(
            command=self.around.tokens.of(timeless),
            age=0,
            expires_in=max(1, ceil(deadline - NOW)),
        )

    def _read(self, index: int) -> None:
        if self.hosts[index].linked:
            view = self.around.view(self.store)
            self.change(index, views=(*self.hosts[index].views[:1], view), view=view)

    def _probe(self, index: int, order: Token[Message], command: ProbePeers) -> None:
        targets = [self.index(target.name) for target in command.targets]
        there = all(
            target is not None
            and self.reaches(index, target)
            and not self.hosts[target].frozen
            for target in targets
        )
        due_in = 0 if there else ceil(command.timeout)
        self.change(index, probe=Probe(order, 0, due_in))  # type: ignore[arg-type]

    def _set_standbys(self, index: int, value: str) -> None:
        server = self.hosts[index].server
        if server.phase != "up":
            return
        self.server(index, server._replace(names=value))
        self.tell(index, SynchronousStandbysSet(value=value, lsn=server.lsn))
        self.observe(index)

    def _cancel(self, index: int) -> None:
        """What PostgreSQL was told already goes on."""
        operations = self.hosts[index].operations
        if not operations:
            return
        self.change(index, operations=operations[1:])
        kind = type(operations[0].command.value).model_fields["kind"].default
        self.tell(index, OperationCancelled(command=kind))
        self.observe(index)

    # What follows by itself.

    def _end_streams(self) -> None:
        """A stream ends with its source."""
        for index, host in enumerate(self.hosts):
            server = host.server
            if not server.streaming:
                continue
            source = self.index(server.upstream)
            if (
                server.phase == "up"
                and source is not None
                and self.hosts[source].server.phase == "up"
                and self.reaches(index, source)
                and not has_diverged(server, self.hosts[source].server)
            ):
                continue
            self.server(index, server._replace(streaming=False))
            if server.phase == "up":
                self.event(index, ReplicationEnded(received_lsn=server.lsn))

    def _acknowledge(self) -> None:
        """Rows are acknowledged as soon as all that must have them do."""
        if not self.state.waiting:
            return
        still, acknowledged = [], list(self.state.acknowledged)
        for row, writer in self.state.waiting:
            server = self.hosts[writer].server
            if not server.takes_writes or row not in server.rows:
                continue  # the client will never know
            if self._is_safe(row, writer):
                acknowledged.append(row)
            else:
                still.append((row, writer))
        self.state = self.state._replace(
            waiting=tuple(still), acknowledged=tuple(sorted(acknowledged))
        )

    def _is_safe(self, row: int, writer: int) -> bool:
        value = self.hosts[writer].server.names
        wanted = names_in(value)
        having = [
            name
            for name, host in zip(self.around.names, self.hosts, strict=True)
            if host.server.streaming
            and host.server.upstream == self.around.names[writer]
            and row in host.server.rows
            and (name in wanted or "*" in wanted)
        ]
        return len(having) >= how_many(value)


def _unreachable() -> Message:
    return StoreUnreachable(error="no answer", unanswered_for=0.0)
