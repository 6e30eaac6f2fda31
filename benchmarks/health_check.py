"""Requests per second, and how long the slowest one in a hundred takes, of `GET /primary`.

    python -m benchmarks.health_check                     our REST API, on one core
    python -m benchmarks.health_check --url http://host:8008/primary    any other

The client has one core and the server another, where there are two.  The client is
Python as well; it is the slower of the two, so that the requests per second are a
lower bound.  An open-loop client, at a fixed rate, then shows the latency that a load
balancer sees.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple
from urllib.parse import urlsplit

from regnal.bridges.http.bridge import HttpBridge
from regnal.bridges.http.loops import new_event_loop
from regnal.bridges.http.options import ClientOptions, RestOptions
from regnal.bridges.http.reads import nothing_known
from regnal.journal.stamps import Clocks, Stamper
from regnal.messages.base import Instant, Message
from regnal.messages.envelope import Envelope, HybridTime
from regnal.messages.status import PublishStatus
from regnal.runtime.other_clocks import OtherClocks

OPTIONS = RestOptions(
    listen_host="127.0.0.1",
    listen_port=0,
    connect_host="127.0.0.1",
    connect_port=8008,
    tls=None,
    credentials=None,
    allowlist=(),
    allowlist_include_members=False,
    http_extra_headers={},
    https_extra_headers={},
    server_tokens="original",
    request_queue_size=5,
    thread_pool_size=5,
)
CLIENT = ClientOptions(
    credentials=None,
    insecure=False,
    cacert=None,
    certfile=None,
    keyfile=None,
    keyfile_password=None,
)
STATUS = {
    "state": "running",
    "postmaster_start_time": "2030-04-30 11:02:03.123456+00:00",
    "role": "primary",
    "server_version": 160004,
    "xlog": {"location": 83886408},
    "timeline": 3,
    "replication": [
        {
            "usename": "replicator",
            "application_name": name,
            "client_addr": "10.1.0.12",
            "state": "streaming",
            "sync_state": "async",
            "sync_priority": 0,
        }
        for name in ("n2", "n3")
    ],
    "database_system_identifier": "7301234567890123456",
    "patroni": {"version": "4.1.5", "scope": "demo", "name": "n1"},
}


class Result(NamedTuple):
    name: str
    requests: int
    seconds: float
    latencies: list[float]
    """Seconds, sorted."""

    failed: int
    """Not answered 200."""

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        return self.latencies[
            min(len(self.latencies) - 1, int(share * len(self.latencies)))
        ]

    def __str__(self) -> str:
        return (
            f"{self.name:<40} {self.rate:>9,.0f}/s"
            f"   p50 {self.percentile(0.5) * 1000:7.3f} ms"
            f"   p99 {self.percentile(0.99) * 1000:7.3f} ms"
            f"   longest {self.latencies[-1] * 1000:7.2f} ms"
            f"   failed {self.failed}"
        )


class Client(asyncio.Protocol):
    """Asks again and again, on one connection or on a new one each time."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass
        if self._load.keep:
            self.ask()
        else:
            transport.write(self._load.request)  # type: ignore[attr-defined]

    def ask(self) -> None:
        assert self._transport is not None
        self._begun = time.perf_counter()
        self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._load.keep:
            return
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _length(head):
            return
        self._load.answered(self._begun, self._received)
        self._received = b""
        if self._load.goes_on():
            self.ask()
        elif self._transport is not None:
            self._transport.close()

    def begin(self, at: float) -> None:
        self._begun = at

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._load.keep:
            self._load.answered(self._begun, self._received)
        self._load.left()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


class Load:
    """One measurement."""

    def __init__(
        self, address: tuple[str, int], path: str, *, keep: bool, clients: int
    ) -> None:
        version = "1.1" if keep else "1.0"
        self.request = (
            f"GET {path} HTTP/{version}\r\nHost: {address[0]}\r\n\r\n".encode()
        )
        self.keep = keep
        self._address = address
        self._clients = clients
        self._latencies: list[float] = []
        self._failed = 0
        self._until = 0.0
        self._present = 0
        self._done = asyncio.Event()

    def answered(self, begun: float, reply: bytes) -> None:
        self._latencies.append(time.perf_counter() - begun)
        self._failed += reply[9:12] != b"200"

    def goes_on(self) -> bool:
        return time.perf_counter() < self._until

    def left(self) -> None:
        if not self.keep and self.goes_on():
            self._connect()
            return
        self._present -= 1
        if self._present == 0:
            self._done.set()

    def _connect(self) -> None:
        asyncio.get_running_loop().create_task(self._connecting())

    async def _connecting(self) -> None:
        begun = time.perf_counter()
        client = Client(self)
        client.begin(begun)
        await asyncio.get_running_loop().create_connection(
            lambda: client, *self._address
        )

    async def run(self, name: str, seconds: float) -> Result:
        """As many requests as the clients can."""
        begun = time.perf_counter()
        self._until = begun + seconds
        self._present = self._clients
        for _ in range(self._clients):
            self._connect()
        await self._done.wait()
        return self._result(name, begun)

    async def run_at(self, name: str, seconds: float, rate: float) -> Result:
        """New connections at a fixed rate; a late answer delays no later question."""
        begun = time.perf_counter()
        for number in range(int(seconds * rate)):
            delay = begun + number / rate - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            self._present += 1
            self._connect()
        await self._done.wait()
        return self._result(name, begun)

    def _result(self, name: str, begun: float) -> Result:
        took = time.perf_counter() - begun
        return Result(
            name, len(self._latencies), took, sorted(self._latencies), self._failed
        )


class Silence:
    """Nobody hears what the API says."""

    def say(self, message: Message, cause: Envelope[Message] | None = None) -> None:
        raise AssertionError(message)


def boot_clock() -> Instant:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def serve(pipe: Connection, core: int | None) -> None:
    """The server's process."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    bridge = HttpBridge(
        member="n1",
        scope="demo",
        incarnation=1,
        peer_version="4.1.5",
        options=OPTIONS,
        client=CLIENT,
        voice=Silence(),
        clock=boot_clock,
        hybrid_clock=OtherClocks(Stamper("n1", 1, Clocks())),
        journal=None,
        explain=None,
        ask_postgres=lambda conn_url, timeout: None,
    )
    snapshot = nothing_known("n1", "demo", "4.1.5", boot_clock()).model_copy(
        update={
            "document": json.dumps(STATUS),
            "role": "primary",
            "accepts_writes": True,
            "leader_until": boot_clock() + 3600,
        }
    )
    bridge.perform(
        Envelope(
            id="n1/1/1",
            hlc=HybridTime(0, 0, "n1"),
            at=boot_clock(),
            said_by="rest",
            cause=None,
            trace=None,
            message=PublishStatus(snapshot=snapshot),
        )
    )
    bridge.start()
    pipe.send(bridge.port)
    pipe.recv()
    times = os.times()
    pipe.send(times.user + times.system)
    bridge.stop()


def measure(
    address: tuple[str, int], path: str, seconds: float, report: Callable[[str], None]
) -> list[Result]:
    async def all_loads() -> list[Result]:
        results = []
        for keep, name in ((True, "kept connections"), (False, "new connections")):
            load = Load(address, path, keep=keep, clients=16)
            results.append(await load.run(f"{name}, 16 clients", seconds))
            report(str(results[-1]))
        load = Load(address, path, keep=False, clients=0)
        results.append(
            await load.run_at("new connections, 1,000 a second", seconds, 1000)
        )
        report(str(results[-1]))
        return results

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(all_loads())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="of each measurement"
    )
    parser.add_argument("--url", help="measure this instead of a server of our own")
    arguments = parser.parse_args()
    if arguments.url:
        parts = urlsplit(arguments.url)
        address = (parts.hostname or "127.0.0.1", parts.port or 80)
        measure(address, parts.path or "/", arguments.seconds, print)
        return
    cores = sorted(os.sched_getaffinity(0))
    ours, theirs = multiprocessing.Pipe()
    core = cores[0] if len(cores) > 1 else None
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, core), daemon=True
    )
    process.start()
    if core is not None:
        os.sched_setaffinity(0, set(cores[1:]))
    address = ("127.0.0.1", ours.recv())
    results = measure(address, "/primary", arguments.seconds, print)
    ours.send(None)
    requests = sum(result.requests for result in results)
    print(f"server: {ours.recv() / requests * 1e6:.1f} µs of CPU for a request")
    process.join()


if __name__ == "__main__":
    main()
