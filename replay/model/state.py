"""The state of the model: everything that can make a difference, and nothing else.

All times are whole seconds from now.
"""

from typing import NamedTuple

from regnal.messages.base import Command, MemberName, Message
from regnal.messages.cluster import (
    ClusterView,
    FailoverRequest,
    HistoryLine,
    MemberView,
    SyncState,
)
from regnal.messages.probes import ProbePeers
from regnal.replay.model.daemon import Mind
from regnal.replay.model.postgres import Server
from regnal.replay.model.values import Token


class Request(NamedTuple):
    """A command to the store that is not answered yet."""

    command: Token[Command]
    """Its deadline is in `expires_in`."""

    age: int
    expires_in: int
    answer: Token[Message] | None = None
    """None: it has not taken effect."""

    held: bool = False
    """Whether it is late: then time may pass meanwhile."""


class Operation(NamedTuple):
    """A command to the operator of PostgreSQL that is not answered yet."""

    command: Token[Command]
    begun: bool = False
    """Whether PostgreSQL was told, and now goes on by itself."""

    held: bool = False


class Probe(NamedTuple):
    """A question to the other members."""

    command: Token[ProbePeers]
    age: int
    due_in: int


class Host(NamedTuple):
    """A member: its PostgreSQL, its daemon, and what is on the way to and from it."""

    server: Server
    daemon: Token[Mind] | None = None
    """None: it does not run."""

    frozen: bool = False
    guard: int | None = None
    """When the guard process kills PostgreSQL; None: it is not armed."""

    lease: tuple[Request, ...] = ()
    keys: tuple[Request, ...] = ()
    operations: tuple[Operation, ...] = ()
    views: tuple[Token[ClusterView], ...] = ()
    """What the watch has not delivered: at most one that is old, and the last."""

    view: Token[ClusterView] | None = None
    """The last one that is delivered, or on its way."""

    watch_held: bool = False
    events: tuple[Token[Message], ...] = ()
    """What the monitor has not delivered."""

    late_end: Token[Message] | None = None
    """The end of a postmaster whose children do not end: told when they have."""

    probe: Probe | None = None
    linked: bool = True
    """Whether the store can be reached."""

    silent: bool = False
    """Whether the bridge has said that the store does not answer."""

    stream_held: bool = False
    lease_left: int = 0
    """Until when it may at most believe that it has the lease."""


class Lock(NamedTuple):
    """The leader key."""

    name: MemberName
    owner: MemberName
    """Whose session it is bound to: after a hand-over still the old leader's."""

    ends_in: int
    bound: bool = True
    """Whether that is the session which the owner's daemon has now, and no earlier one."""


class MemberKey(NamedTuple):
    name: MemberName
    view: Token[MemberView]
    ends_in: int


class Store(NamedTuple):
    lock: Lock | None = None
    initialize: str | None = None
    config: str | None = None
    failover: Token[FailoverRequest] | None = None
    sync: Token[SyncState] | None = None
    history: Token[tuple[HistoryLine, ...]] | None = None
    optime: int | None = None
    members: tuple[MemberKey, ...] = ()
    revision: int = 0
    """Of the last change of `sync` or `failover`."""


class Stray(NamedTuple):
    """A request that its sender has given up; it may yet take effect."""

    member: int
    command: Token[Command]
    is_current: bool = True
    """Whether it is of the session that the daemon has now."""


class State(NamedTuple):
    hosts: tuple[Host, ...]
    store: Store = Store()
    founded: bool = False
    """Whether there ever was a lease: the first primary exists a moment before it."""

    strays: tuple[Stray, ...] = ()
    cut: tuple[tuple[int, int], ...] = ()
    """Pairs of members that do not reach each other."""

    waiting: tuple[tuple[int, int], ...] = ()
    """Rows of clients that are not acknowledged, each with who wrote it."""

    acknowledged: tuple[int, ...] = ()
    next_row: int = 1
    faults: int = 0
    """How many may yet happen."""

    writes: int = 0
    reorderings: int | None = None
    wishes: int = 0
    """How often a person may yet ask for something."""


class Move(NamedTuple):
    """What happened between two states."""

    kind: str
    member: int | None = None
    what: str = ""
