"""Three Raft nodes in this process, for tests."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from regnal.bridges.contract import Clock
from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.raft_node import RaftNode
from regnal.bridges.dcs.raft_settings import RaftSettings, RaftTimings
from tests.servers.ports import free_port

QUICK = RaftTimings(
    min_timeout=0.35,
    max_timeout=0.8,
    append_entries_period=0.1,
    connection_timeout=2.0,
    connection_retry_time=0.1,
    leader_fallback_timeout=1.0,
)


class SharedNode(RaftNode):
    """A node that outlives the stores on it, and can be frozen."""

    def __init__(self, settings: RaftSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self._running = threading.Event()
        self._running.set()
        self._standing = threading.Event()

    def _look_for_contact(self, raft: Any) -> None:
        """Called at every tick: here the node's thread stands still if frozen."""
        if not self._running.is_set():
            self._standing.set()
            self._running.wait()
            self._standing.clear()
        super()._look_for_contact(raft)

    def freeze(self) -> None:
        """Stands still when this returns."""
        self._running.clear()
        assert self._standing.wait(5)

    def thaw(self) -> None:
        self._running.set()

    @property
    def is_raft_leader(self) -> bool:
        return self._raft is not None and bool(self._raft._isLeader())

    def compact(self) -> None:
        """Write a dump, and cut the journal."""
        assert self._raft is not None
        self._raft.forceLogCompaction()

    def close(self) -> None:
        pass

    def end(self) -> None:
        self.thaw()
        super().close()


def settings_of(
    folder: Path,
    address: str,
    addresses: tuple[str, ...],
    password: str | None = None,
    timings: RaftTimings = QUICK,
) -> RaftSettings:
    return RaftSettings(
        self_addr=address,
        bind_addr=address,
        partner_addrs=tuple(other for other in addresses if other != address),
        data_dir=folder,
        password=password,
        timings=timings,
    )


def start_nodes(folder: Path, password: str | None = None) -> list[SharedNode]:
    addresses = tuple(f"127.0.0.1:{free_port()}" for _ in range(3))
    nodes = [
        SharedNode(settings_of(folder, address, addresses, password), boottime)
        for address in addresses
    ]
    for node in nodes:
        node.start()
    wait_until(lambda: all(node.in_contact for node in nodes), "all nodes in contact")
    return nodes


def wait_until(is_true: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Wait for what no event announces; looks a hundred times a second."""
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"waited {seconds} s for: {what}"
        time.sleep(0.01)
