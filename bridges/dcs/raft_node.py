"""One node of the embedded Raft: the thread that drives pysyncobj.

pysyncobj's own thread dies with the thread that made it and wakes late, so `doTick`
is called from here: it sleeps in `poll` until a message, a command or the next tick
comes.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pysyncobj import FAIL_REASON, SyncObj, SyncObjException

from regnal.bridges.contract import Clock
from regnal.bridges.dcs.contract import StoreUnavailable
from regnal.bridges.dcs.host_names import HostNames
from regnal.bridges.dcs.raft_library import (
    ReplicatedMap,
    Transport,
    check_port,
    configuration_of,
    use_names,
    write_only_changes,
)
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

BIND_RETRY: Seconds = 1.0
"""Between attempts to listen, if somebody else has the port."""

JOIN_LIMIT: Seconds = 1.5
"""For the thread to end: at most one sleep and the closing of files."""

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
            self._thread.join(timeout=JOIN_LIMIT)

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
            check_port(configuration.bindAddress, settings.self_addr)
        replica = ReplicatedMap(self.map)
        raft = SyncObj(
            settings.self_addr,
            settings.partner_addrs,
            configuration,
            consumers=[replica],
            transportClass=Transport,
        )
        write_only_changes(raft)
        self._replica = replica
        return raft

    def _drive(self, raft: SyncObj) -> None:
        pause = self._settings.timings.append_entries_period
        while not self._closing.is_set():
            try:
                # The sleep ends with a message, a command or the next heartbeat.
                raft.doTick(pause)
                self._look_for_contact(raft)
                if raft._isLeader():
                    self._end_leases()
            except Exception:  # the edge of the thread: go on
                logger.exception("A tick of the embedded Raft failed.")
                self._closing.wait(pause)

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
