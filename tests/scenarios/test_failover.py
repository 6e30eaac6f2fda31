"""The main stories, on real PostgreSQL and on both stores: who leads, and who lost what."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml

from regnal.demo.cluster import Member
from regnal.messages.host import StallNoticed
from regnal.replay.autopsy import diagnose
from regnal.runtime.stalls import NAP, STALL
from tests.scenarios.conftest import STORES
from tests.scenarios.journals import assert_explained, assert_traced
from tests.servers.members import (
    PATIENCE,
    TTL,
    Stage,
    backends,
    heard,
    last_record,
    postmaster_pid,
)
from tests.servers.ports import free_port

pytestmark = pytest.mark.server

OUTAGE_LIMIT = 60.0
"""Seconds; a bound on correctness, not a measure: a lease and a busy machine."""


@pytest.fixture(scope="module", params=STORES)
def store_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_three_members_make_one_cluster(cluster: Stage) -> None:
    """BOOT-01, BOOT-02, BOOT-16, CFG-10, REPL-06, REPL-14"""
    leader = cluster.leader()
    assert cluster.dynamic()["ttl"] == TTL
    created = {m.name for m in cluster.members if heard(m, "database_initialised")}
    assert created == {leader.name}
    assert len({identity(cluster, member) for member in cluster.members}) == 1
    for replica in cluster.replicas():
        assert heard(replica, "postgres_cloned")
        assert not cluster.accepts_writes(replica)
    streaming = cluster.sql(leader, "SELECT application_name FROM pg_stat_replication")
    assert sorted(streaming) == sorted((m.name,) for m in cluster.replicas())


def test_a_switchover_makes_the_named_candidate_the_primary(cluster: Stage) -> None:
    former, (candidate, other) = cluster.leader(), cluster.replicas()
    before, timeline = time.monotonic(), cluster.timeline(former)
    cluster.ctl(
        "switchover", "--leader", former.name, "--candidate", candidate.name, "--force"
    )
    cluster.wait("the candidate", lambda: cluster.cluster.leader() is candidate)
    cluster.wait_until_complete()
    assert cluster.timeline(candidate) == timeline + 1
    assert cluster.note_outage("switchover", before) < OUTAGE_LIMIT
    assert cluster.writer.missing() == []
    assert not heard(former, "rewind_postgres"), "its shutdown record was replicated"
    assert other in cluster.replicas()
    assert_explained(cluster.members, "switchover", former=former, leader=candidate)
    assert_traced(cluster.members, "switchover", former=former, leader=candidate)


def test_a_killed_postmaster_is_started_again(cluster: Stage) -> None:
    """FAIL: PostgreSQL crashes, its host is alive."""
    leader = cluster.leader()
    before, pid = time.monotonic(), postmaster_pid(leader)
    os.kill(pid, signal.SIGKILL)
    cluster.wait("its end", lambda: not psutil.pid_exists(pid))
    cluster.wait("a primary", lambda: postmaster_pid(cluster.leader()) != pid)
    cluster.wait_until_complete()
    assert cluster.note_outage("postmaster killed", before) < OUTAGE_LIMIT
    assert cluster.writer.missing() == []
    now = cluster.leader()
    assert_explained(cluster.members, "postgres_killed", former=leader, leader=now)


def test_a_daemon_killed_alone_leaves_postgresql_running(cluster: Stage) -> None:
    leader, (replica, _) = cluster.leader(), cluster.replicas()
    pids = {m.name: postmaster_pid(m) for m in cluster.members}
    timeline, before = cluster.timeline(leader), time.monotonic()
    for member in (leader, replica):
        cluster.cluster.kill_daemon(member)
        cluster.wait_for_commits()
        cluster.cluster.start(member)
        cluster.wait("an answer", lambda m=member: is_well(cluster, m))  # type: ignore[misc]
    cluster.wait_until_complete()
    assert cluster.leader() is leader
    assert cluster.timeline(leader) == timeline
    assert {m.name: postmaster_pid(m) for m in cluster.members} == pids
    cluster.note_outage("daemon killed alone", before)
    assert cluster.writer.missing() == []


def test_a_killed_host_is_replaced_and_rejoins_by_rewind(cluster: Stage) -> None:
    """Rows that only the former primary has are gone after it has rejoined."""
    victim = cluster.leader()
    timeline, begin = cluster.timeline(victim), last_record(victim)
    cluster.sql(victim, "CREATE TABLE IF NOT EXISTS diverged (id int)")
    cluster.wait(
        "the table", lambda: all(has_table(cluster, m) for m in cluster.members)
    )
    for sender in backends(victim, "walsender"):
        sender.suspend()
    cluster.sql(victim, "INSERT INTO diverged VALUES (1)")
    before = time.monotonic()
    cluster.cluster.kill(victim)
    successor = cluster.wait_for_another_leader(victim)
    cluster.wait_for_commits()
    assert cluster.timeline(successor) == timeline + 1
    assert cluster.note_outage("host killed", before) < OUTAGE_LIMIT
    cluster.cluster.start(victim)
    cluster.wait_until_complete()
    assert cluster.leader() is successor
    assert heard(victim, "postgres_rewound", begin)
    assert not heard(victim, "postgres_cloned", begin)
    for member in cluster.members:
        assert cluster.sql(member, "SELECT count(*) FROM diverged") == [(0,)]
    assert_explained(cluster.members, "host_lost", former=victim, leader=successor)
    trace = assert_traced(cluster.members, "failover", former=victim, leader=successor)
    by = {(span.name, span.member): span for span in trace.spans}
    elected, promoted = (by[name, successor.name] for name in ("elect", "promote"))
    assert by["detect", successor.name].end <= elected.start
    assert elected.end <= promoted.start
    assert promoted.end < by["rewind_postgres", victim.name].start


def test_nobody_writes_without_the_store(cluster: Stage) -> None:
    """The leader steps down before its lease ends; when the store is back somebody
    leads again, with the same data."""
    leader = cluster.leader()
    system, before = identity(cluster, leader), time.monotonic()
    cluster.store.stop(cluster)
    cluster.wait("the end of writing", lambda: not cluster.accepts_writes(leader))
    stopped_after = time.monotonic() - before
    assert stopped_after < TTL
    assert cluster.cluster.status(leader, "primary") != 200
    assert not any(map(cluster.accepts_writes, cluster.members))
    cluster.store.go_on(cluster)
    cluster.wait_until_complete()
    cluster.note_outage(
        f"store stopped (writing ended after {stopped_after:.1f} s)", before
    )
    assert identity(cluster, cluster.leader()) == system
    assert not any(heard(m, "data_directory_removed") for m in cluster.members)


def test_a_daemon_that_was_stopped_writes_down_what_the_kernel_counted(
    cluster: Stage,
) -> None:
    replica = cluster.replicas()[0]
    before = last_record(replica)
    cluster.cluster.signal_daemon(replica, signal.SIGSTOP)
    time.sleep(STALL + 2 * NAP)
    cluster.cluster.signal_daemon(replica, signal.SIGCONT)
    cluster.wait("its report", lambda: bool(heard(replica, "stall_noticed", before)))
    stall = StallNoticed.model_validate(
        heard(replica, "stall_noticed", before)[0]["data"]
    )
    assert stall.missing > STALL
    assert diagnose(stall).code == "stopped", stall


def test_a_replica_is_rebuilt_when_asked(cluster: Stage) -> None:
    """BOOT-29"""
    replica = cluster.replicas()[0]
    (replica.data / "left-over").touch()
    cluster.ctl("reinit", "demo", replica.name, "--force", "--wait")
    cluster.wait_until_complete()
    assert not (replica.data / "left-over").exists()


def test_a_replica_that_comes_back_without_data_is_rebuilt(cluster: Stage) -> None:
    """REPL-06: as after its disk was replaced."""
    replica = cluster.replicas()[0]
    begin = last_record(replica)
    cluster.cluster.kill(replica)
    shutil.rmtree(replica.data)
    cluster.cluster.start(replica)
    # Its member key says for a while yet that it streams.
    cluster.wait("its clone", lambda: bool(heard(replica, "postgres_cloned", begin)))
    cluster.wait("its answer", lambda: is_well(cluster, replica))
    cluster.wait_until_complete()


@pytest.mark.slow
def test_a_replica_whose_data_directory_was_removed_is_rebuilt(cluster: Stage) -> None:
    """BOOT-33.  Slow: PostgreSQL itself looks once a minute whether its own is there."""
    replica = cluster.replicas()[0]
    pid, begin = postmaster_pid(replica), last_record(replica)
    with contextlib.suppress(OSError):  # PostgreSQL still writes into it
        shutil.rmtree(replica.data)
    cluster.wait("its clone", lambda: bool(heard(replica, "postgres_cloned", begin)))
    cluster.wait_until_complete()
    assert postmaster_pid(replica) != pid
    assert not psutil.pid_exists(pid)


def test_a_second_daemon_of_the_same_name_is_refused(
    cluster: Stage, store_name: str
) -> None:
    """P-ELEC-14"""
    if store_name == "raft":
        pytest.skip("a twin has an address of its own, which the others do not know")
    member = cluster.replicas()[0]
    document = yaml.safe_load(member.configuration.read_text())
    elsewhere = member.directory / "twin"
    document["postgresql"]["data_dir"] = str(elsewhere / "data")
    document["journal"]["dir"] = str(elsewhere / "journal")
    for section in ("postgresql", "restapi"):
        address = f"127.0.0.1:{free_port()}"
        document[section] |= {"listen": address, "connect_address": address}
    twin = member.directory / "twin.yml"
    twin.write_text(yaml.safe_dump(document))
    second = run_as_owner(member, "run", str(twin))
    assert second.returncode == 1
    assert f"'{member.name}'" in second.stderr
    assert not (elsewhere / "data").exists()
    cluster.wait_until_complete()


def identity(cluster: Stage, member: Member) -> int:
    found = cluster.sql(member, "SELECT system_identifier FROM pg_control_system()")
    identifier: int = found[0][0]
    return identifier


def has_table(cluster: Stage, member: Member) -> bool:
    found = cluster.sql(member, "SELECT to_regclass('diverged') IS NOT NULL")
    return bool(found[0][0])


def is_well(cluster: Stage, member: Member) -> bool:
    return cluster.cluster.status(member, "health") == 200


def run_as_owner(member: Member, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`regnal` as the user of the member's files."""
    owner = member.directory.stat()
    return subprocess.run(
        [sys.executable, "-m", "regnal", *arguments],
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[],
        cwd=member.directory,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
