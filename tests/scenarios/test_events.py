"""A real cluster whose events and journals are published, while NATS and the members are
killed again and again: none is lost, none is invented."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3
from click.testing import CliRunner

from regnal.cli.explain import explain_command
from regnal.demo.cluster import Amend, Document, Member
from regnal.events.cloud import CloudEvent, Reporter
from regnal.journal.public_events import EventReader
from regnal.journal.stream_layout import STREAM as JOURNALS
from regnal.journal.stream_layout import subject_of
from tests.servers.members import Stage, postmaster_pid, records
from tests.servers.nats import NatsServer, needs_nats

pytestmark = [pytest.mark.server, pytest.mark.slow, needs_nats]

SCOPE = "demo"
ROUNDS = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with NatsServer(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture(scope="module")
def amend(server: NatsServer) -> Amend:
    def publish(member: Member, document: Document) -> None:
        document["nats"] = {"servers": [server.url], "journal": True}

    return publish


def kill_postmaster(cluster: Stage, member: Member) -> None:
    pid = postmaster_pid(member)
    os.kill(pid, signal.SIGKILL)
    cluster.wait("its end", lambda: not psutil.pid_exists(pid))


def kill_what_there_is(
    cluster: Stage, server: NatsServer, *, is_postgres_alone: bool
) -> None:
    """The leader while NATS is away, then another daemon while it sends what waited."""
    former = cluster.leader()
    server.__exit__()  # SIGKILL
    if is_postgres_alone:
        kill_postmaster(cluster, former)
    else:
        cluster.cluster.kill(former)
        server.__enter__()
        cluster.wait_for_another_leader(former)
        server.__exit__()
        cluster.cluster.start(former)
    cluster.wait_until_complete()
    server.__enter__()
    victim = cluster.replicas()[0]
    cluster.cluster.kill_daemon(victim)
    cluster.cluster.start(victim)
    cluster.wait(
        "its answer",
        lambda m=victim: cluster.cluster.status(m, "health") == 200,  # type: ignore[misc]
    )
    cluster.wait_until_complete()


def told(member: Member) -> list[CloudEvent]:
    reader = EventReader(Reporter(SCOPE, member.name))
    return [event for record in records(member) for event in reader.read(record)]


def published(server: NatsServer) -> list[CloudEvent]:
    return [
        CloudEvent.model_validate_json(one.payload)
        for one in server.received("REGNAL_EVENTS")
    ]


def test_nothing_is_lost_while_everything_is_killed(
    cluster: Stage, server: NatsServer, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        kill_what_there_is(cluster, server, is_postgres_alone=number == 1)
    former, candidate = cluster.leader(), cluster.replicas()[0]
    cluster.ctl(
        "switchover", "--leader", former.name, "--candidate", candidate.name, "--force"
    )
    cluster.wait("the candidate", lambda: cluster.cluster.leader() is candidate)
    cluster.wait_until_complete()

    said: dict[str, CloudEvent] = {}

    def is_all_there() -> bool:
        said.clear()
        said.update({e.key: e for m in cluster.members for e in told(m)})
        return {event.key for event in published(server)} >= said.keys()

    cluster.wait("all events", is_all_there)
    received = published(server)
    known = {e.key for m in cluster.members for e in told(m)}  # read after what came
    assert {event.key for event in received} - known == set(), "none unknown"
    kinds = {event.id.partition("/")[0] for event in received}
    assert kinds >= {
        "failover.started",
        "failover.completed",
        "switchover.requested",
        "switchover.completed",
        "postgres.crashed",
        "postgres.promoted",
        "daemon.started",
    }
    for member in cluster.members:
        mine = [e.id for e in received if e.reporter == member.name]
        ours = [e.id for e in told(member)]
        order = [ours.index(identity) for identity in dict.fromkeys(mine)]
        assert order == sorted(order), f"{member.name} keeps its order"
    twice = len(received) - len({event.key for event in received})
    print(  # noqa: T201
        f"\n  {len(said)} events of {ROUNDS} rounds, {len(received)} received, "
        f"{twice} of them twice",
        end="",
    )
    journals_are_all_there(cluster, server)


def journals_are_all_there(cluster: Stage, server: NatsServer) -> None:
    """The copy off the hosts: every line, and it is explained like the journals."""
    for member in cluster.members:
        lines = {r.n: r.line.rstrip(b"\n") for r in records(member)}

        def copy(member: Member = member) -> dict[int, bytes]:
            subject = subject_of(SCOPE, member.name)
            payloads = [
                o.payload for o in server.received(JOURNALS) if o.subject == subject
            ]
            return {json.loads(text)["n"]: text for text in payloads}

        cluster.wait(
            f"the journal of {member.name}",
            lambda lines=lines, copy=copy: lines.items() <= copy().items(),  # type: ignore[misc]
        )
    directories = [str(member.journal) for member in cluster.members]
    assert verdict(f"{server.url}/{SCOPE}") == verdict(*directories)


def verdict(*places: str) -> dict[str, Any]:
    """What is told of the last incident."""
    told = CliRunner().invoke(
        explain_command, ["-f", "json", *places], catch_exceptions=False
    )
    assert told.exit_code == 0, told.output
    story: dict[str, Any] = json.loads(told.stdout)
    assert story["verdict"]["cause"] != "unknown"
    return story["verdict"]  # type: ignore[no-any-return]


def test_an_outage_of_nats_costs_no_failover_a_moment(
    cluster: Stage, server: NatsServer
) -> None:
    server.__exit__()
    try:
        former = cluster.leader()
        before = time.monotonic()
        kill_postmaster(cluster, former)
        cluster.wait_until_complete()
        cluster.note_outage("postmaster killed, NATS away", before)
        url = f"http://127.0.0.1:{former.rest_port}/metrics"
        metrics = urllib3.request("GET", url).data.decode()
        up = [line for line in metrics.splitlines() if "regnal_outbox_up{" in line]
        assert len(up) == 2
        assert all(line.endswith("} 0") for line in up)
    finally:
        server.__enter__()
