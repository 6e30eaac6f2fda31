"""Hosts of our own: network namespaces on a bridge, that can be cut off one by one.

    with Network() as network:
        first, second = network.add("pg1"), network.add("pg2")
        first.lose(second)         # what first sends to second is lost, silently
        first.unplug()             # as when its power or its cable is pulled

A packet is lost by being sent to a hardware address that nobody has: no firewall is
needed, nobody is told, and the other direction is another matter.  The test itself
stays connected to every host but one that is unplugged.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from itertools import count
from types import TracebackType
from typing import Self

import pytest

from regnal.demo.binaries import User
from regnal.demo.cluster import Host

NOBODY = "02:00:00:00:00:01"
"""A hardware address that no host of ours has."""

DEVICE = "eth0"
_numbers = count()


def _is_possible() -> bool:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"regnal-try-{os.getpid()}"
    made = subprocess.run(
        ["ip", "netns", "add", name], capture_output=True, check=False
    )
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return made.returncode == 0


needs_namespaces = pytest.mark.skipif(
    not _is_possible(),
    reason="network namespaces need root, iproute2 and a kernel that lets us",
)


class NetworkHost:
    """One namespace with one address."""

    def __init__(self, name: str, namespace: str, address: str, outside: str) -> None:
        self.name = name
        self.address = address
        self._namespace = namespace
        self._outside = outside
        """The bridge's end of its cable."""

    def host(self, user: User) -> Host:
        """For a member of the demonstration's cluster, as this user."""
        return Host(self.address, self.enter(user))

    def enter(self, user: User | None = None) -> tuple[str, ...]:
        """What comes before a command to have it run here."""
        who: tuple[str, ...] = ()
        if user is not None and user.uid is not None:
            who = ("--setuid", str(user.uid), "--setgid", str(user.gid))
        return ("nsenter", f"--net=/run/netns/{self._namespace}", *who, "--")

    def lose(self, *others: "NetworkHost") -> None:
        """Nothing that we send to these arrives any more."""
        for other in others:
            self._ip("neigh", "replace", other.address, "lladdr", NOBODY, "dev", DEVICE)

    def unplug(self) -> None:
        """Nobody reaches us, and we reach nobody; nobody is told."""
        _run("ip", "link", "set", self._outside, "down")

    def heal(self, others: Iterable["NetworkHost"]) -> None:
        """Everything arrives again."""
        _run("ip", "link", "set", self._outside, "up")
        for other in others:
            with contextlib.suppress(subprocess.CalledProcessError):
                self._ip("neigh", "del", other.address, "dev", DEVICE)

    def _ip(self, *words: str) -> None:
        _run("ip", "-n", self._namespace, *words)


class Network:
    """A bridge with hosts on it; all of it is gone with the block."""

    def __init__(self) -> None:
        number = next(_numbers)
        self._tag = f"{os.getpid() % 100000}n{number}"
        self._prefix = f"10.{200 + number % 50}.{os.getpid() % 250}"
        self._bridge = f"rb{self._tag}"
        self.hosts: list[NetworkHost] = []

    @property
    def subnet(self) -> str:
        return f"{self._prefix}.0/24"

    def __enter__(self) -> Self:
        _run("ip", "link", "add", self._bridge, "type", "bridge")
        _run("ip", "addr", "add", f"{self._prefix}.254/24", "dev", self._bridge)
        _run("ip", "link", "set", self._bridge, "up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for host in self.hosts:
            _run("ip", "netns", "del", host._namespace, check=False)
        _run("ip", "link", "del", self._bridge, check=False)

    def add(self, name: str) -> NetworkHost:
        """Another host on the bridge."""
        number = len(self.hosts) + 1
        namespace = f"regnal-{self._tag}-{name}"
        inside, outside = f"ri{self._tag}x{number}", f"ro{self._tag}x{number}"
        address = f"{self._prefix}.{number}"
        _run("ip", "netns", "add", namespace)
        host = NetworkHost(name, namespace, address, outside)
        self.hosts.append(host)
        _run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside)
        _run("ip", "link", "set", inside, "netns", namespace)
        _run("ip", "link", "set", outside, "master", self._bridge, "up")
        inner = ("ip", "-n", namespace)
        _run(*inner, "link", "set", inside, "name", DEVICE)
        _run(*inner, "addr", "add", f"{address}/24", "dev", DEVICE)
        _run(*inner, "link", "set", DEVICE, "up")
        _run(*inner, "link", "set", "lo", "up")
        return host

    def cut(self, host: NetworkHost, *others: NetworkHost) -> None:
        """Neither reaches the other."""
        host.lose(*others)
        for other in others:
            other.lose(host)

    def heal(self) -> None:
        for host in self.hosts:
            host.heal(other for other in self.hosts if other is not host)


def _run(*words: str, check: bool = True) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise subprocess.CalledProcessError(
            done.returncode, words, done.stdout, done.stderr
        )
