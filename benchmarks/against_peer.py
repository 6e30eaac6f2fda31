"""The main figures, beside the peer: same machine, same run, same configuration.

    python -m benchmarks.against_peer --peer /path/to/a/venv/with/patroni

Each product runs three members on one real three-node etcd.  A client inserts a row
every 5 ms through a multi-host connection; the figure is the longest gap between two
acknowledged commits.  Products take turns, so that a drifting machine hits both.
"""

import argparse
import contextlib
import json
import os
import pwd
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import urllib3
import yaml

from regnal.demo.binaries import postgres_directory
from regnal.demo.cluster import free_ports
from regnal.demo.writer import Writer

USER = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
HTTP = urllib3.PoolManager(retries=False, timeout=3.0)
SETTLE = 1.0
"""Seconds of writing before each fault."""


@dataclass(frozen=True)
class Product:
    name: str
    daemon: tuple[str, ...]
    ctl: tuple[str, ...]


@dataclass(frozen=True)
class Timings:
    name: str
    ttl: int
    loop_wait: int
    retry_timeout: int


DEFAULT = Timings("default", 30, 10, 10)
LOWEST = Timings("lowest", 20, 1, 3)


class Etcd:
    """Three real servers."""

    def __init__(self, directory: Path, program: Path) -> None:
        clients, peers = free_ports(3), free_ports(3)
        self.hosts = [f"127.0.0.1:{port}" for port in clients]
        cluster = ",".join(f"e{i}=http://127.0.0.1:{p}" for i, p in enumerate(peers))
        self._processes = [
            subprocess.Popen(
                [
                    program,
                    f"--name=e{i}",
                    f"--data-dir={directory}/e{i}",
                    f"--listen-client-urls=http://127.0.0.1:{clients[i]}",
                    f"--advertise-client-urls=http://127.0.0.1:{clients[i]}",
                    f"--listen-peer-urls=http://127.0.0.1:{peers[i]}",
                    f"--initial-advertise-peer-urls=http://127.0.0.1:{peers[i]}",
                    f"--initial-cluster={cluster}",
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for i in range(3)
        ]
        wait_for("etcd", 20, self._is_healthy)

    def requests(self) -> float:
        """Requests of clients so far, on all servers, but those of streams."""
        total = 0.0
        for host in self.hosts:
            text = HTTP.request("GET", f"http://{host}/metrics").data.decode()
            for line in text.splitlines():
                if line.startswith("grpc_server_started_total") and "unary" in line:
                    total += float(line.rsplit(" ", 1)[1])
        return total

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _is_healthy(self) -> bool:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            answer = HTTP.request("GET", f"http://{self.hosts[0]}/health")
            return b"true" in answer.data
        return False


class Members:
    """Three members of one product."""

    def __init__(
        self, product: Product, etcd: Etcd, timings: Timings, **dynamic: Any
    ) -> None:
        self.product = product
        self.directory = Path(tempfile.mkdtemp(prefix=f"bench-{product.name}-"))
        self.directory.chmod(0o755)
        ports = free_ports(6)
        self.postgres_ports, self.rest_ports = ports[:3], ports[3:]
        self.daemons: dict[int, subprocess.Popen[bytes]] = {}
        for i in range(3):
            (self.directory / f"m{i}").mkdir()
            self.config(i).write_text(
                yaml.safe_dump(self._configuration(i, etcd, timings, dynamic))
            )
        if USER is not None:
            for path in (self.directory, *self.directory.rglob("*")):
                os.chown(path, USER.pw_uid, USER.pw_gid)
        for i in range(3):
            self.start(i)
        wait_for("three members", 90, self.is_complete)

    def config(self, i: int) -> Path:
        return self.directory / f"m{i}.yml"

    def start(self, i: int) -> None:
        with (self.directory / f"m{i}.log").open("ab") as log:
            self.daemons[i] = subprocess.Popen(
                [*self.product.daemon, str(self.config(i))],
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={**os.environ, "HOME": str(self.directory)},
                user=USER.pw_uid if USER else None,
                group=USER.pw_gid if USER else None,
                extra_groups=[] if USER else None,
                start_new_session=True,
            )

    def leader(self) -> int | None:
        for i in range(3):
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                url = f"http://127.0.0.1:{self.rest_ports[i]}/primary"
                if HTTP.request("GET", url).status == 200:
                    return i
        return None

    def is_complete(self) -> bool:
        leader = self.leader()
        if leader is None:
            return False
        with contextlib.suppress(urllib3.exceptions.HTTPError, ValueError):
            url = f"http://127.0.0.1:{self.rest_ports[leader]}/cluster"
            members = json.loads(HTTP.request("GET", url).data)["members"]
            return sorted(m["state"] for m in members) == [
                "running",
                "streaming",
                "streaming",
            ]
        return False

    def switchover(self) -> None:
        leader = self.leader()
        assert leader is not None
        HTTP.request(
            "POST",
            f"http://127.0.0.1:{self.rest_ports[leader]}/switchover",
            body=json.dumps({"leader": f"m{leader}"}),
            timeout=60,
        )

    def kill_postmaster(self) -> None:
        leader = self.leader()
        assert leader is not None
        os.kill(self._postmaster(leader), signal.SIGKILL)

    def kill_host(self) -> int:
        leader = self.leader()
        assert leader is not None
        self.daemons[leader].kill()
        self._kill_postgres(leader)
        self.daemons[leader].wait()
        return leader

    def writer(self) -> Writer:
        hosts = ",".join(["127.0.0.1"] * 3)
        ports = ",".join(map(str, self.postgres_ports))
        return Writer(
            f"host={hosts} port={ports} user=postgres password=secret dbname=postgres "
            "target_session_attrs=read-write connect_timeout=2"
        )

    def stop(self) -> None:
        for daemon in self.daemons.values():
            daemon.kill()
            daemon.wait()
        for i in range(3):
            self._kill_postgres(i)
        subprocess.run(["rm", "-rf", str(self.directory)], check=False)

    def _postmaster(self, i: int) -> int:
        text = (self.directory / f"m{i}" / "data" / "postmaster.pid").read_text()
        return int(text.split("\n")[0])

    def _kill_postgres(self, i: int) -> None:
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            postmaster = psutil.Process(self._postmaster(i))
            for process in (postmaster, *postmaster.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    process.kill()

    def _configuration(
        self, i: int, etcd: Etcd, timings: Timings, dynamic: dict[str, Any]
    ) -> dict[str, Any]:
        home = self.directory / f"m{i}"
        account = {"password": "secret"}
        return {
            "scope": f"bench-{self.product.name}-{self.directory.name[-6:]}",
            "name": f"m{i}",
            "etcd3": {"hosts": etcd.hosts},
            "restapi": {
                "listen": f"127.0.0.1:{self.rest_ports[i]}",
                "connect_address": f"127.0.0.1:{self.rest_ports[i]}",
            },
            "bootstrap": {
                "dcs": {
                    "ttl": timings.ttl,
                    "loop_wait": timings.loop_wait,
                    "retry_timeout": timings.retry_timeout,
                    **dynamic,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "parameters": {"max_connections": 50, "shared_buffers": "32MB"},
                    },
                },
                "initdb": [{"encoding": "UTF8"}, "data-checksums"],
                "pg_hba": [
                    "host replication replicator 127.0.0.1/32 scram-sha-256",
                    "host all all 127.0.0.1/32 scram-sha-256",
                ],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.postgres_ports[i]}",
                "connect_address": f"127.0.0.1:{self.postgres_ports[i]}",
                "data_dir": str(home / "data"),
                "bin_dir": str(postgres_directory()),
                "pgpass": str(home / "pgpass"),
                "authentication": {
                    "superuser": {"username": "postgres", **account},
                    "replication": {"username": "replicator", **account},
                    "rewind": {"username": "rewinder", **account},
                },
                "parameters": {"unix_socket_directories": str(home)},
            },
        }


def wait_for(what: str, seconds: float, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def outage(members: Members, writer: Writer, fault: Callable[[], Any]) -> float:
    """The longest gap between commits that the fault makes."""
    begun = time.monotonic()
    wait_for("writes", 60, lambda: writer.commits_since(begun) > 100)
    since = time.monotonic()
    fault()
    wait_for("a member less or more", 90, lambda: members.leader() is not None)
    wait_for("writes after it", 90, lambda: _writes_again(writer, since))
    return writer.longest_outage(since).seconds


def _writes_again(writer: Writer, since: float) -> bool:
    gap = writer.longest_outage(since)
    return gap.seconds > 0.03 and writer.commits_since(gap.began_at + gap.seconds) > 100


def failover_figures(members: Members, rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"switchover": [], "postmaster killed": []}
    writer = members.writer()
    writer.start()
    try:
        for _ in range(rounds):
            found["switchover"].append(outage(members, writer, members.switchover))
            wait_for("health", 90, members.is_complete)
            found["postmaster killed"].append(
                outage(members, writer, members.kill_postmaster)
            )
            wait_for("health", 90, members.is_complete)
        killed: list[int] = []
        found["host killed"] = [
            outage(members, writer, lambda: killed.append(members.kill_host()))
        ]
    finally:
        writer.stop()
    return found


def idle_figures(members: Members, etcd: Etcd, seconds: int) -> dict[str, list[float]]:
    """CPU and requests per minute, and memory, of one idle member."""
    processes = [psutil.Process(d.pid) for d in members.daemons.values()]
    before = [_cpu(process) for process in processes]
    requests = etcd.requests()
    time.sleep(seconds)
    minutes = seconds / 60
    cpu = [_cpu(p) - b for p, b in zip(processes, before, strict=True)]
    return {
        "idle CPU s/min": [statistics.mean(cpu) / minutes],
        "idle DCS requests/min": [(etcd.requests() - requests) / minutes / 3],
        "memory MiB": [
            statistics.mean(p.memory_full_info().uss for p in processes) / 2**20
        ],
    }


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def ctl_figures(members: Members) -> dict[str, list[float]]:
    took = []
    for _ in range(5):
        began = time.monotonic()
        subprocess.run(
            [*members.product.ctl, "-c", str(members.config(0)), "list"],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        took.append(time.monotonic() - began)
    return {"ctl list": took}


def http_figures(members: Members) -> dict[str, list[float]]:
    """`GET /primary`, a new connection each, as load balancers ask."""
    leader = members.leader()
    assert leader is not None
    url = f"http://127.0.0.1:{members.rest_ports[leader]}/primary"
    result = subprocess.run(
        ["ab", "-q", "-n", "5000", "-c", "8", url],
        capture_output=True,
        text=True,
        check=False,
    )
    rate = re.search(r"Requests per second:\s+([\d.]+)", result.stdout)
    p99 = re.search(r"99%\s+(\d+)", result.stdout)
    if rate is None or p99 is None:
        return {}
    return {
        "GET /primary per s": [float(rate[1])],
        "GET /primary p99 ms": [float(p99[1])],
    }


def measure(
    product: Product, etcd: Etcd, timings: Timings, rounds: int, idle: int
) -> Iterator[tuple[str, list[float]]]:
    members = Members(product, etcd, timings)
    try:
        if timings is DEFAULT:
            yield from http_figures(members).items()
            yield from ctl_figures(members).items()
            yield from idle_figures(members, etcd, idle).items()
        yield from failover_figures(members, rounds).items()
    finally:
        members.stop()
    if timings is DEFAULT:
        members = Members(product, etcd, timings, primary_start_timeout=0)
        writer = members.writer()
        writer.start()
        try:
            fault = members.kill_postmaster
            yield "postmaster killed, failover", [outage(members, writer, fault)]
        finally:
            writer.stop()
            members.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="a venv with the peer in it")
    parser.add_argument("--etcd", type=Path, required=True, help="the etcd program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=int, default=60, help="seconds")
    given = parser.parse_args()
    here = Path(sys.executable).parent
    products = [
        Product("regnal", (str(here / "regnal"),), (str(here / "regnalctl"),)),
    ]
    if given.peer:
        bin_ = given.peer / "bin"
        products.append(
            Product("patroni", (str(bin_ / "patroni"),), (str(bin_ / "patronictl"),))
        )
    with tempfile.TemporaryDirectory() as directory:
        etcd = Etcd(Path(directory), given.etcd)
        try:
            for timings in (DEFAULT, LOWEST):
                for product in products:
                    for figure, values in measure(
                        product, etcd, timings, given.rounds, given.idle
                    ):
                        print(
                            f"{timings.name:8} {figure:30} {product.name:8} "
                            f"{statistics.median(values):10.3f}  "
                            f"(of {len(values)}: {min(values):.3f} to {max(values):.3f})",
                            flush=True,
                        )
        finally:
            etcd.stop()


if __name__ == "__main__":
    main()
