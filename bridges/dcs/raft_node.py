"""One node of the embedded Raft: the thread that drives pysyncobj.

pysyncobj's own thread dies with the thread that made it and wakes late, so `doTick`
is called from here: it sleeps in `poll` until a message, a command or the next tick
comes.
"""

import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pysyncobj import (
    FAIL_REASON,
    SyncObj,
    SyncObjConf,
    SyncObjConsumer,
    SyncObjException,
    dns_resolver,
    replicated,
)
from pysyncobj.tcp_connection import CONNECTION_STATE
from pysyncobj.transport import TCPTransport

from regnal.bridges.contract import Clock
from regnal.bridges.dcs.contract import StoreUnavailable
from regnal.bridges.dcs.host_names import HostNames
from regnal.bridges.dcs.raft_entries import without_repetition
from regnal.bridges.dcs.raft_map import (
    Answer,
    Change,
    Condition,
    EntryFacts,
    RaftMap,
)
from regnal.bridges.dcs.raft_pickle import accept_plain_values_only
from regnal.bridges.dcs.raft_settings import RaftSettings
from regnal.messages.base import Instant, Seconds

logger = logging.getLogger(__name__)

TICK: Seconds = 0.05
"""The longest sleep: elections and the Raft leader's heartbeat are noticed that late
at most."""

BIND_RETRY: Seconds = 1.0
"""Between attempts to listen, if somebody else has the port."""

PING_PERIOD: Seconds = 1.0
"""Two followers have nothing to say to each other.  Without a ping their connection
would be taken for dead just when they need it: to vote for a new Raft leader."""

CONNECT_LIMIT: Seconds = 2.0
"""For a connection to be established, before it is tried anew: the kernel alone
would go on for minutes with ever longer pauses, and miss that the host is back."""

ATTEMPT_LIMIT: Seconds = 1.0
"""To wait for one command; a command sent to a Raft leader that died is not answered.
Then it is sent again: all transactions are written so that twice is as good as once."""

FIRST_PAUSE: Seconds = 0.01
LAST_PAUSE: Seconds = 0.25
"""Between attempts while there is no Raft leader; each pause is double the one before,
less a random part."""

REASONS = {
    value: name for name, value in vars(FAIL_REASON).items() if isinstance(value, int)
}


class Reply(NamedTuple):
    """What became of a transaction."""

    held: bool
    """Whether the conditions held at the last attempt, and the changes were made."""

    facts: dict[str, EntryFacts | None]
    asked_at: Instant
    """When the attempt that was answered began."""

    is_first: bool
    """False: an attempt before was not answered, and may have been made."""


class RaftNode:
    """Takes commands from any thread and applies what the majority agreed on."""

    def __init__(self, settings: RaftSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._names = HostNames()
        self._listeners: tuple[Callable[[], None], ...] = ()
        self.map = RaftMap(clock, self._on_change)
        self._replica: ReplicatedMap | None = None
        self._raft: SyncObj | None = None
        self._trouble = "no contact to the other Raft nodes yet"
        self._closing = threading.Event()
        self._started = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="raft", daemon=True)
        self.in_contact = False
        """Whether a majority and the Raft leader are connected, and all that they
        agreed on before we came is in the map."""

    def start(self) -> None:
        """Start the thread, unless it runs."""
        with self._started:
            if not self._thread.ident and not self._closing.is_set():
                self._thread.start()

    def call_on_change(self, listener: Callable[[], None]) -> None:
        """`listener` is called in the node's thread when the map or the contact
        changed; it must not block."""
        self._listeners = (*self._listeners, listener)

    def close(self) -> None:
        self._closing.set()
        with self._started:
            running = self._thread.ident is not None
        if running and threading.current_thread() is not self._thread:
            self._thread.join(timeout=2 * TICK + 1)

    def transact(
        self,
        conditions: Sequence[Condition],
        changes: Sequence[Change],
        deadline: Instant,
    ) -> Reply:
        """The majority's answer; raises StoreUnavailable at `deadline`.

        The transaction may be made more than once.
        """
        pause = FIRST_PAUSE
        is_first = True
        reason = "no attempt was made"
        while not self._closing.is_set():
            asked_at = self._clock()
            remaining = deadline - asked_at
            if remaining <= 0:
                raise StoreUnavailable(f"raft: {reason}")
            attempt = Attempt()
            replica = self._replica
            if replica is None:
                reason = self._trouble
            else:
                replica.transact(
                    list(conditions), list(changes), time.time(), callback=attempt.end
                )
                answer = attempt.wait(min(remaining, ATTEMPT_LIMIT))
                if answer is not None:
                    return Reply(*answer, asked_at, is_first)
                reason = attempt.reason
                is_first = False
            # Pauses of several members must not coincide; nothing rests on chance.
            self._closing.wait(min(remaining, pause * random.uniform(0.5, 1)))  # noqa: S311
            pause = min(2 * pause, LAST_PAUSE)
        raise StoreUnavailable("raft: this node is being closed")

    def _on_change(self) -> None:
        for listener in self._listeners:
            listener()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._raft = self._join()
            except (OSError, SyncObjException) as error:
                address = self._settings.bind_addr or self._settings.self_addr
                self._trouble = f"cannot listen on {address}: {error}"
                logger.warning("Raft cannot listen on %s: %s", address, error)
                self._closing.wait(BIND_RETRY)
                continue
            self._drive(self._raft)
            self._raft.destroy()

    def _join(self) -> SyncObj:
        accept_plain_values_only()
        use_names(self._names)
        settings = self._settings
        configuration = configuration_of(settings, self._names)
        if settings.self_addr is not None:
            _check_port(configuration.bindAddress, settings.self_addr)
        replica = ReplicatedMap(self.map)
        raft = SyncObj(
            settings.self_addr,
            settings.partner_addrs,
            configuration,
            consumers=[replica],
            transportClass=Transport,
        )
        self._replica = replica
        return raft

    def _drive(self, raft: SyncObj) -> None:
        while not self._closing.is_set():
            try:
                raft.doTick(TICK)
                self._look_for_contact(raft)
                if raft._isLeader():
                    self._end_leases()
            except Exception:  # the edge of the thread: go on
                logger.exception("A tick of the embedded Raft failed.")
                self._closing.wait(TICK)

    def _look_for_contact(self, raft: SyncObj) -> None:
        leader = raft._getLeader()
        in_contact = (
            leader is not None
            and raft.hasQuorum
            and raft.isReady()
            and (leader == raft.selfNode or raft.isNodeConnected(leader))
        )
        if in_contact != self.in_contact:
            self.in_contact = in_contact
            self._on_change()

    def _end_leases(self) -> None:
        """The Raft leader alone does this; a mistaken one cannot commit."""
        assert self._replica is not None
        for path, lease in self.map.ended_leases():
            if self._replica.may_propose(path, lease):
                self._replica.transact(
                    [(path, "lease", lease)], [("delete", path)], time.time()
                )


class ReplicatedMap(SyncObjConsumer):  # type: ignore[misc]  # untyped library
    """Puts the map behind pysyncobj.

    `transact` is the one replicated method: pysyncobj numbers them by their order.
    """

    PROPOSAL_LIMIT: Seconds = 1.0

    def __init__(self, state: RaftMap) -> None:
        super().__init__()
        self._state = state
        self._proposed: dict[str, tuple[int, float]] = {}

    @replicated  # type: ignore[untyped-decorator]  # untyped library
    def transact(
        self, conditions: list[Condition], changes: list[Change], wrote_at: float
    ) -> Answer:
        return self._state.transact(conditions, changes, wrote_at)

    def may_propose(self, path: str, lease: int) -> bool:
        """Once per lease, and again if nothing came of it."""
        now = time.monotonic()
        lease_before, at = self._proposed.get(path, (None, 0.0))
        if lease_before == lease and now < at + self.PROPOSAL_LIMIT:
            return False
        self._proposed[path] = (lease, now)
        return True

    def _serialize(self) -> dict[str, Any]:
        return self._state.dump()

    def _deserialize(self, data: dict[str, Any]) -> None:
        self._state.load(data)


class Transport(TCPTransport):  # type: ignore[misc]  # untyped library
    """As pysyncobj's, but notices early that a connection leads nowhere."""

    def __init__(self, *arguments: Any) -> None:
        self._pinged_at = 0.0
        super().__init__(*arguments)

    def _onTick(self) -> None:  # noqa: N802  # the library's name
        now = time.monotonic()
        if now >= self._pinged_at + PING_PERIOD:
            self._pinged_at = now
            for node in list(self._nodes):
                self._see_to(node)
        super()._onTick()

    def _onMessageReceived(self, node: Any, message: Any) -> None:  # noqa: N802
        # The log is private to the library.
        log = getattr(self._syncObj, "_SyncObj__raftLog", None)
        if log is not None and message["type"] == "append_entries":
            message = without_repetition(log, message)
        super()._onMessageReceived(node, message)

    def _see_to(self, node: Any) -> None:
        connection = self._connections.get(node)
        if connection is None:
            return
        if connection.state == CONNECTION_STATE.CONNECTED:
            # A type that no node knows: received, and passed over.
            self.send(node, {"type": "ping"})
        elif connection.state == CONNECTION_STATE.CONNECTING:
            began_at = self._lastConnectAttempt.get(node, 0.0)
            if time.monotonic() > began_at + CONNECT_LIMIT:
                connection.disconnect()


class Resolver:
    """What pysyncobj asks for addresses: it must not wait in the node's thread."""

    def __init__(self, names: HostNames) -> None:
        self._names = names

    def resolve(self, host: str) -> str | None:
        """None: not known yet; the node tries again soon."""
        try:
            return self._names.addresses(host, 0, within=0.0)[0].place[0]
        except OSError:
            return None

    def setTimeouts(self, *_: float) -> None:  # noqa: N802  # the library's name
        """`HostNames` has its own."""

    def setPreferredAddrFamily(self, _: object) -> None:  # noqa: N802
        """The order of the host's resolver holds."""


def use_names(names: HostNames) -> None:
    """Names are looked up beside the node, and again when an address has changed."""
    dns_resolver._g_resolver = Resolver(names)


class Attempt:
    """One command on its way, until it is answered."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._answer: Answer | None = None
        self.reason = "no majority answered in time"

    def end(self, answer: Answer | None, failure: int) -> None:
        if failure == FAIL_REASON.SUCCESS:
            self._answer = answer
        else:
            self.reason = REASONS.get(failure, str(failure)).lower().replace("_", " ")
        self._done.set()

    def wait(self, seconds: Seconds) -> Answer | None:
        """None: it failed, or may still be under way."""
        self._done.wait(seconds)
        return self._answer


def configuration_of(settings: RaftSettings, names: HostNames) -> SyncObjConf:
    timings = settings.timings
    votes = settings.self_addr is not None
    return SyncObjConf(
        autoTick=False,
        password=settings.password,
        bindAddress=_resolved(settings.bind_addr, names),
        maxBindRetries=1,
        raftMinTimeout=timings.min_timeout,
        raftMaxTimeout=timings.max_timeout,
        appendEntriesPeriod=timings.append_entries_period,
        # Each command is sent at once, and each commit told at once.
        appendEntriesUseBatch=False,
        connectionTimeout=timings.connection_timeout,
        connectionRetryTime=timings.connection_retry_time,
        leaderFallbackTimeout=timings.leader_fallback_timeout,
        # Without a Raft leader a command fails, and we decide when to try again.
        commandsWaitLeader=False,
        journalFile=str(settings.journal_file) if votes else None,
        fullDumpFile=str(settings.dump_file) if votes else None,
        # The map is small, and a fork of a process with threads may hang.
        useFork=False,
    )


def _resolved(address: str | None, names: HostNames) -> str | None:
    """With the host's number instead of its name; raises OSError."""
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    return f"{names.addresses(host, int(port), BIND_RETRY)[0].place[0]}:{port}"


def _check_port(bind_addr: str | None, self_addr: str) -> None:
    """Raises OSError if somebody listens there: pysyncobj would keep files open."""
    host, _, port = (bind_addr or self_addr).rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Without bind_addr it listens on all addresses.
        probe.bind((host if bind_addr else "", int(port)))
