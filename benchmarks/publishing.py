"""What publishing costs: write outage of a switchover and CPU of the daemons.

    python -m benchmarks.publishing --rounds 6

Two clusters, one after the other, each of three members on embedded Raft: one publishes
nothing, one its events and its whole journal to a NATS server with JetStream, and its
events to a webhook as well.
"""

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from regnal.demo.cluster import Amend, Document, Member, as_it_is
from tests.servers.members import EmbeddedRaft, Stage, stage
from tests.servers.nats import NatsServer
from tests.servers.webhook import receiving

IDLE = 60.0
"""Seconds for which nothing happens but heartbeats and the client's rows."""


class Cost(NamedTuple):
    outages: list[float]
    """Seconds without an acknowledged commit, of each switchover."""

    idle_cpu: float
    """Seconds of CPU of the three daemons in IDLE seconds."""

    busy_cpu: float
    """Seconds of CPU of the three daemons, of each switchover."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=6)
    rounds = parser.parse_args().rounds
    show("off", measured(as_it_is, rounds))
    with everything() as on:
        show("on", measured(on, rounds))


@contextlib.contextmanager
def everything() -> Iterator[Amend]:
    with (
        tempfile.TemporaryDirectory() as folder,
        NatsServer(Path(folder)) as server,
        receiving() as receiver,
    ):

        def amend(member: Member, document: Document) -> None:
            document["nats"] = {"servers": [server.url], "journal": True}
            document["webhooks"] = [{"url": receiver.url, "secret": "between us"}]

        yield amend
        print(f"     {server.count('REGNAL_EVENTS')} events in the stream,", end=" ")
        print(f"{server.count('REGNAL_JOURNAL')} records,", end=" ")
        print(f"{len(receiver.received)} calls of the webhook")


def measured(amend: Amend, rounds: int) -> Cost:
    with stage(EmbeddedRaft(), amend) as cluster:
        cluster.wait_until_complete()
        began = cpu(cluster)
        time.sleep(IDLE)
        idle = cpu(cluster) - began
        began = cpu(cluster)
        outages = [switchover(cluster) for _ in range(rounds)]
        return Cost(outages, idle, (cpu(cluster) - began) / rounds)


def switchover(cluster: Stage) -> float:
    former, candidate = cluster.leader(), cluster.replicas()[0]
    before = time.monotonic()
    cluster.ctl(
        "switchover", "--leader", former.name, "--candidate", candidate.name, "--force"
    )
    cluster.wait("the candidate", lambda: cluster.cluster.leader() is candidate)
    cluster.wait_until_complete()
    return cluster.writer.longest_outage(before).seconds


def cpu(cluster: Stage) -> float:
    """Of the daemons, their guards not included."""
    times = [psutil.Process(pid).cpu_times() for pid in cluster.cluster.daemon_pids()]
    return sum(one.user + one.system for one in times)


def show(what: str, cost: Cost) -> None:
    outages = sorted(cost.outages)
    print(
        f"{what:>4} switchover: {statistics.median(outages):.2f} s without a commit "
        f"({outages[0]:.2f} to {outages[-1]:.2f}); CPU of a daemon: "
        f"{cost.idle_cpu / 3:.2f} s a quiet minute, {cost.busy_cpu / 3:.2f} s a switchover"
    )


if __name__ == "__main__":
    main()
