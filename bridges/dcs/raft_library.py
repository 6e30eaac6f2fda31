"""What we put into pysyncobj, and what of it we replace."""

import socket
import time
from typing import Any

from pysyncobj import SyncObj, SyncObjConf, SyncObjConsumer, dns_resolver, replicated
from pysyncobj.tcp_connection import CONNECTION_STATE
from pysyncobj.transport import TCPTransport

from regnal.bridges.dcs.host_names import HostNames
from regnal.bridges.dcs.raft_entries import without_repetition
from regnal.bridges.dcs.raft_map import Answer, Change, Condition, RaftMap
from regnal.bridges.dcs.raft_settings import RaftSettings
from regnal.messages.base import Seconds

PING_PERIOD: Seconds = 1.0
"""Two followers have nothing to say to each other.  Without a ping their connection
would be taken for dead just when they need it: to vote for a new Raft leader."""

CONNECT_LIMIT: Seconds = 2.0
"""For a connection to be established, before it is tried anew: the kernel alone
would go on for minutes with ever longer pauses, and miss that the host is back."""

BIND_LOOK_UP: Seconds = 1.0
"""For the name in `bind_addr`."""


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


def write_only_changes(raft: SyncObj) -> None:
    """Let the journal's file of numbers rest while nothing happens.

    pysyncobj would write and rename it every second, since every heartbeat tells the
    same commit index again.
    """
    journal = getattr(raft, "_SyncObj__raftLog", None)
    note = getattr(journal, "setRaftCommitIndex", None)
    if journal is None or note is None:
        return
    noted = -1

    def note_if_new(index: int) -> None:
        nonlocal noted
        if index != noted:
            noted = index
            note(index)

    journal.setRaftCommitIndex = note_if_new


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
    return f"{names.addresses(host, int(port), BIND_LOOK_UP)[0].place[0]}:{port}"


def check_port(bind_addr: str | None, self_addr: str) -> None:
    """Raises OSError if somebody listens there: pysyncobj would keep files open."""
    host, _, port = (bind_addr or self_addr).rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Without bind_addr it listens on all addresses.
        probe.bind((host if bind_addr else "", int(port)))
