"""What publishing costs: write outage of a switchover and CPU of the daemons.

    python -m benchmarks.publishing --rounds 6
    python -m benchmarks.publishing --rounds 2 --quiet 15 off everything

Clusters, one after the other, each of three members on embedded Raft: `off` publishes
nothing; `published` its events and its whole journal to a NATS server with JetStream, and
its events to a webhook; `everything` besides its traces (all of quiet life, too), metrics
(every 10 s) and logs to a receiver of OTLP over HTTP.  Servers and receivers share the
machine.
"""

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import psutil

from regnal.demo.cluster import Amend, Document, Member, as_it_is
from regnal.messages.base import Seconds
from tests.servers.members import EmbeddedRaft, Stage, stage
from tests.servers.nats import NatsServer
from tests.servers.otlp import http_collector
from tests.servers.webhook import receiving

MINUTE = 60.0


class Cost(NamedTuple):
    outages: list[float]
    """Seconds without an acknowledged commit, of each switchover."""

    idle_cpu: float
    """Seconds of CPU of the three daemons in a minute in which nothing happens but
    heartbeats and the client's rows."""

    busy_cpu: float
    """Seconds of CPU of the three daemons, of each switchover."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=6, help="switchovers of each")
    parser.add_argument("--quiet", type=float, default=MINUTE, help="seconds of it")
    parser.add_argument("which", nargs="*", default=list(WHICH), metavar="WHICH")
    wanted = parser.parse_args()
    for which in wanted.which:
        if which not in WHICH:
            parser.error(f"{which!r} is none of {', '.join(WHICH)}")
    for which in wanted.which:
        with WHICH[which]() as amend:
            show(which, measured(amend, wanted.rounds, wanted.quiet))


@contextlib.contextmanager
def off() -> Iterator[Amend]:
    yield as_it_is


@contextlib.contextmanager
def published() -> Iterator[Amend]:
    with (
        tempfile.TemporaryDirectory() as folder,
        NatsServer(Path(folder)) as server,
        receiving() as receiver,
    ):

        def amend(member: Member, document: Document) -> None:
            document["nats"] = {"servers": [server.url], "journal": True}
            document["webhooks"] = [{"url": receiver.url, "secret": "between us"}]

        yield amend
        print(
            f"{'':>10} {server.count('REGNAL_EVENTS')} events in the stream,", end=" "
        )
        print(f"{server.count('REGNAL_JOURNAL')} records,", end=" ")
        print(f"{len(receiver.received)} calls of the webhook")


@contextlib.contextmanager
def everything() -> Iterator[Amend]:
    with published() as publish, http_collector() as collector:

        def amend(member: Member, document: Document) -> None:
            publish(member, document)
            document["otel"] = {
                "endpoint": collector.endpoint,
                "metrics": "on",
                "logs": "on",
                "sampling": 1,
                "metrics_interval": 10,
            }

        yield amend
        print(
            f"{'':>10} {len(collector.spans)} spans, {len(collector.logs)} log", end=" "
        )
        print(f"records, {len(collector.points)} points of metrics")


WHICH: Mapping[str, Callable[[], AbstractContextManager[Amend]]] = {
    "off": off,
    "published": published,
    "everything": everything,
}


def measured(amend: Amend, rounds: int, quiet: Seconds) -> Cost:
    with stage(EmbeddedRaft(), amend) as cluster:
        cluster.wait_until_complete()
        began = cpu(cluster)
        time.sleep(quiet)
        idle = (cpu(cluster) - began) * MINUTE / quiet
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
        f"{what:>10} switchover: {1000 * statistics.median(outages):.0f} ms without a "
        f"commit ({1000 * outages[0]:.0f} to {1000 * outages[-1]:.0f}); CPU of a daemon: "
        f"{cost.idle_cpu / 3:.2f} s a quiet minute, {cost.busy_cpu / 3:.2f} s a switchover"
    )


if __name__ == "__main__":
    main()
