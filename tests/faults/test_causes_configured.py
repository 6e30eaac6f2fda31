"""Causes that need a configuration, a disk or a store of their own; each has its cluster."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from regnal.demo.cluster import Document, Member
from tests.faults.lab import LOOP_WAIT, TTL, Lab, laboratory, wait_a_little
from tests.faults.network import needs_namespaces
from tests.servers.etcd import needs_etcd
from tests.servers.members import backends, postmaster_pid

pytestmark = [pytest.mark.faults, needs_namespaces, needs_etcd]

DISK = 220 * 1024 * 1024
"""Bytes of the small disk; a fresh cluster and a few segments of WAL fit."""


def test_pre_promote_refuses() -> None:
    def refuse(member: Member, document: Document) -> None:
        document["postgresql"]["pre_promote"] = "/bin/false"

    with laboratory(amend=refuse) as lab:
        leader = lab.stage.leader()
        lab.lose_host(leader)
        wait_a_little(TTL + 6)
        story = lab.explained()
        assert story.verdict.cause == "pre_promote_refused"
        assert story.kind == "leaderless"
        assert not any(map(lab.stage.accepts_writes, lab.stage.members))


def test_the_candidate_cannot_be_promoted() -> None:
    def be_impatient(member: Member, document: Document) -> None:
        document["postgresql"]["pg_ctl_timeout"] = 4

    with laboratory(amend=be_impatient) as lab:
        leader, replicas = lab.stage.leader(), lab.stage.replicas()
        stuck = [p for replica in replicas for p in backends(replica, "startup")]
        for process in stuck:
            process.suspend()
        lab.lose_host(leader)
        lab.stage.wait(
            "a promotion to fail",
            lambda: lab.explained().verdict.cause == "promotion_failed",
        )
        for process in stuck:
            process.resume()
        lab.stage.wait_for_another_leader(leader)
        lab.return_host(leader)
        lab.stage.wait_until_complete()
        story = lab.explained("leader_changed")
        assert story.verdict.cause == "host_lost"
        assert "promotion_failed" in story.verdict.hindrances


def test_the_disk_is_full() -> None:
    with small_disks() as prepare, laboratory(prepare=prepare) as lab:
        leader = lab.stage.leader()
        filler = leader.data / "filler"
        with filler.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1024 * 1024))
                file.flush()
        lab.stage.wait("the end of writing", lambda: _exhausts(lab, leader))
        wait_a_little(3)
        filler.unlink()
        lab.stage.wait_until_complete()
        story = lab.explained()
        assert story.verdict.root == "disk_full"
        assert story.former == leader.name


def _exhausts(lab: Lab, member: Member) -> bool:
    """Make WAL; True once PostgreSQL does not take any."""
    try:
        lab.stage.sql(
            member,
            "SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000)) "
            "FROM generate_series(1, 20)",
        )
        lab.stage.sql(member, "CHECKPOINT")
    except psycopg2.Error:
        return not lab.stage.accepts_writes(member)
    return False


@contextlib.contextmanager
def small_disks() -> Iterator[Callable[[Member], None]]:
    """Prepares members: their data directories are on small disks in memory."""
    mounted: list[Path] = []

    def prepare(member: Member) -> None:
        member.data.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "regnal-test", member.data],
            check=True,
        )
        mounted.append(member.data)
        member.data.chmod(0o700)

    try:
        yield prepare
    finally:
        for path in mounted:
            subprocess.run(["umount", "-l", path], check=False)


def test_the_dcs_is_slow() -> None:
    """It answers now and then, and mostly too late."""
    with laboratory() as lab:
        leader = lab.stage.leader()
        assert lab.etcd is not None
        for _ in range(3):
            lab.etcd.signal(signal.SIGSTOP)
            wait_a_little(6.5)
            lab.etcd.signal(signal.SIGCONT)
            wait_a_little(0.3)
        # By then it may have been lucky each time.
        lab.etcd.signal(signal.SIGSTOP)
        lab.stage.wait("no writes", lambda: not lab.stage.accepts_writes(leader))
        lab.etcd.signal(signal.SIGCONT)
        lab.stage.wait_until_complete()
        outages = [
            one.cause
            for one in lab.investigation().listed()
            if one.weight == "outage" and one.member == leader.name
        ]
        assert outages
        assert set(outages) == {"dcs_slow"}


def test_the_leader_is_cut_off_where_the_members_are_the_store() -> None:
    with laboratory("raft") as lab:
        leader = lab.stage.leader()
        lab.cut_from_members(leader)
        lab.stage.wait_for_another_leader(leader)
        lab.network.heal()
        lab.stage.wait_until_complete()
        story = lab.explained("leader_changed")
        assert story.verdict.cause == "leader_cut_off_from_dcs"
        assert story.former == leader.name


def test_a_host_is_lost_in_synchronous_mode() -> None:
    with laboratory(synchronous=True) as lab:
        leader = lab.stage.leader()
        lab.lose_host(leader)
        lab.stage.wait_for_another_leader(leader)
        lab.return_host(leader)
        lab.stage.wait_until_complete()
        story = lab.explained("leader_changed")
        assert story.verdict.cause == "host_lost"
        assert story.loss is not None
        assert story.loss.acknowledged == 0
        assert lab.stage.writer.missing() == []


MEMORY = Path("/sys/fs/cgroup/memory")


@pytest.mark.skipif(
    not (MEMORY / "cgroup.procs").exists() or not os.access(MEMORY, os.W_OK),
    reason="needs the memory controller of cgroup v1",
)
def test_the_kernel_kills_postgresql_for_want_of_memory() -> None:
    group = MEMORY / f"regnal-test-{os.getpid()}"
    with laboratory() as lab:
        leader = lab.stage.leader()
        pid = postmaster_pid(leader)
        group.mkdir()
        try:
            (group / "cgroup.procs").write_text(str(pid))
            wait_a_little(2 * LOOP_WAIT)  # until it was seen there
            Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
            (group / "memory.limit_in_bytes").write_text(str(1024 * 1024))
            with contextlib.suppress(psycopg2.Error):
                lab.stage.sql(leader, "SELECT 1")
            lab.stage.wait(
                "another postmaster", lambda: postmaster_pid(leader) not in (0, pid)
            )
            lab.stage.wait_until_complete()
            assert lab.explained().verdict.cause == "postgres_oom_killed"
        finally:
            (group / "memory.limit_in_bytes").write_text("-1")
            for left in (group / "cgroup.procs").read_text().split():
                (MEMORY / "cgroup.procs").write_text(left)
            group.rmdir()
