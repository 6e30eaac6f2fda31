"""Every cause that can be made on real servers, and the verdict on it.

Each test does to a cluster what its name says, lets it recover, and has it explained
from the journals of all members.
"""

import contextlib
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
import yaml

from regnal.demo.cluster import Member
from regnal.replay.explaining.story import Story
from tests.faults.lab import TTL, Lab, wait_a_little
from tests.faults.network import needs_namespaces
from tests.servers.etcd import needs_etcd
from tests.servers.members import postmaster_pid

pytestmark = [pytest.mark.faults, needs_namespaces, needs_etcd]


def test_the_postmaster_is_killed_and_started_again(lab: Lab) -> None:
    leader = lab.stage.leader()
    before = time.monotonic()
    os.kill(postmaster_pid(leader), signal.SIGKILL)
    lab.stage.wait("its end", lambda: not lab.stage.accepts_writes(leader))
    lab.stage.wait_until_complete()
    story = lab.explained()
    assert (story.kind, story.verdict.cause) == (
        "primary_interrupted",
        "postgres_killed",
    )
    assert story.former == story.leader == leader.name
    check_outage(lab, story, before)


def test_the_postmaster_crashes(lab: Lab) -> None:
    leader = lab.stage.leader()
    os.kill(postmaster_pid(leader), signal.SIGSEGV)
    lab.stage.wait("its end", lambda: not lab.stage.accepts_writes(leader))
    lab.stage.wait_until_complete()
    story = lab.explained()
    assert (story.kind, story.verdict.cause) == (
        "primary_interrupted",
        "postgres_crashed",
    )


def test_postgresql_is_stopped_by_hand(lab: Lab) -> None:
    leader = lab.stage.leader()
    pid = postmaster_pid(leader)
    os.kill(pid, signal.SIGINT)
    lab.stage.wait("another postmaster", lambda: postmaster_pid(leader) not in (0, pid))
    lab.stage.wait_until_complete()
    assert lab.explained().verdict.cause == "postgres_stopped_by_hand"


def test_the_host_is_lost(lab: Lab) -> None:
    leader, before = lab.stage.leader(), time.monotonic()
    lab.lose_host(leader)
    successor = lab.stage.wait_for_another_leader(leader)
    lab.stage.wait_for_commits()
    without = lab.investigation(leader)
    story = without.story(without.find("latest"))
    assert story.verdict.cause == "unknown"
    assert leader.name in " ".join(story.verdict.missing)
    assert "host_lost" in story.verdict.alternatives
    lab.return_host(leader)
    lab.stage.wait_until_complete()
    story = lab.explained()
    assert (story.kind, story.verdict.cause) == ("leader_changed", "host_lost")
    assert (story.former, story.leader) == (leader.name, successor.name)
    check_outage(lab, story, before)
    assert any(one.taken and one.member == successor.name for one in story.candidates)


def test_the_daemon_is_killed_and_not_started_again(lab: Lab) -> None:
    leader, before = lab.stage.leader(), time.monotonic()
    lab.cluster.kill_daemon(leader)
    lab.stage.wait_for_another_leader(leader)
    lab.stage.wait_for_commits()
    lab.cluster.start(leader)
    lab.stage.wait_until_complete()
    story = lab.explained()
    assert (story.kind, story.verdict.cause) == ("leader_changed", "daemon_killed")
    check_outage(lab, story, before)


def test_the_daemon_is_frozen(lab: Lab) -> None:
    leader, before = lab.stage.leader(), time.monotonic()
    lab.cluster.signal_daemon(leader, signal.SIGSTOP)
    lab.stage.wait_for_another_leader(leader)
    lab.stage.wait_for_commits()
    lab.cluster.signal_daemon(leader, signal.SIGCONT)
    lab.stage.wait_until_complete()
    story = lab.explained("leader_changed")
    assert story.verdict.cause == "daemon_frozen"
    assert story.former == leader.name
    assert story.verdict.note
    check_outage(lab, story, before)


@pytest.mark.skipif(
    not os.access("/sys/fs/cgroup/cpu/cgroup.procs", os.W_OK),
    reason="needs the CPU controller of cgroup v1",
)
def test_the_daemon_gets_too_little_of_a_cpu(lab: Lab) -> None:
    """It runs, a hundredth of the time, and too late to renew its lease."""
    leader, before = lab.stage.leader(), time.monotonic()
    group = Path("/sys/fs/cgroup/cpu") / f"regnal-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cpu.cfs_period_us").write_text("1000000")
        (group / "cpu.cfs_quota_us").write_text("1000")
        (group / "cgroup.procs").write_text(str(lab.cluster.daemon_pid(leader)))
        lab.stage.wait_for_another_leader(leader)
        lab.stage.wait_for_commits()
    finally:
        (group / "cpu.cfs_quota_us").write_text("-1")
        for left in (group / "cgroup.procs").read_text().split():
            (group.parent / "cgroup.procs").write_text(left)
        group.rmdir()
    lab.stage.wait_until_complete()
    story = lab.explained("leader_changed")
    assert story.verdict.cause == "daemon_stalled"
    assert story.former == leader.name
    check_outage(lab, story, before)


def test_the_leader_is_cut_off_from_the_dcs(lab: Lab) -> None:
    leader, before = lab.stage.leader(), time.monotonic()
    lab.cut_from_dcs(leader)
    lab.stage.wait_for_another_leader(leader)
    lab.stage.wait_for_commits()
    lab.network.heal()
    lab.stage.wait_until_complete()
    story = lab.explained("leader_changed")
    assert story.verdict.cause == "leader_cut_off_from_dcs"
    assert story.former == leader.name
    check_outage(lab, story, before)


def test_the_leader_is_cut_off_from_the_members(lab: Lab) -> None:
    leader = lab.stage.leader()
    lab.cut_from_members(leader)
    lab.stage.wait(
        "the standbys' streams to end",
        lambda: (
            lab.stage.sql(leader, "SELECT count(*) FROM pg_stat_replication")[0][0] == 0
        ),
    )
    wait_a_little(5)
    lab.network.heal()
    lab.stage.wait_until_complete()
    assert lab.stage.leader() is leader
    story = lab.explained("replica_lost")
    assert story.verdict.cause == "leader_cut_off_from_members"


def test_the_dcs_is_down(lab: Lab) -> None:
    leader, before = lab.stage.leader(), time.monotonic()
    assert lab.etcd is not None
    lab.etcd.signal(signal.SIGSTOP)
    lab.stage.wait("the end of writing", lambda: not lab.stage.accepts_writes(leader))
    wait_a_little(3)
    lab.etcd.signal(signal.SIGCONT)
    lab.stage.wait_until_complete()
    story = lab.explained()
    assert story.verdict.cause == "dcs_down"
    assert story.former == leader.name
    check_outage(lab, story, before)
    assert any(one.setting == "failsafe_mode" for one in story.advice)


def test_the_leader_key_is_deleted(lab: Lab) -> None:
    leader = lab.stage.leader()
    assert lab.etcd is not None
    lab.etcd.delete_leader_key("demo")
    wait_a_little(3)
    lab.stage.wait_until_complete()
    story = lab.explained()
    assert story.verdict.cause == "dcs_key_deleted"
    assert story.former == leader.name


def test_a_switchover(lab: Lab) -> None:
    leader, before = lab.stage.leader(), time.monotonic()
    candidate = lab.stage.replicas()[0]
    lab.stage.ctl(
        "switchover", "--leader", leader.name, "--candidate", candidate.name, "--force"
    )
    lab.stage.wait("the candidate", lambda: lab.cluster.leader() is candidate)
    lab.stage.wait_until_complete()
    story = lab.explained("leader_changed")
    assert story.verdict.cause == "switchover"
    assert (story.former, story.leader) == (leader.name, candidate.name)
    assert story.author is not None
    assert story.author.address is not None
    assert story.loss is not None
    assert story.loss.wal_bytes == 0
    check_outage(lab, story, before)


def test_a_scheduled_switchover(lab: Lab) -> None:
    leader = lab.stage.leader()
    candidate = lab.stage.replicas()[0]
    due = datetime.now(UTC) + timedelta(seconds=6)
    lab.stage.ctl(
        "switchover",
        "--leader",
        leader.name,
        "--candidate",
        candidate.name,
        "--scheduled",
        due.isoformat(),
        "--force",
    )
    lab.stage.wait("the candidate", lambda: lab.cluster.leader() is candidate)
    lab.stage.wait_until_complete()
    assert lab.explained("leader_changed").verdict.cause == "scheduled_switchover"


def test_a_failover_by_hand(lab: Lab) -> None:
    candidate = lab.stage.replicas()[0]
    lab.stage.ctl("failover", "--candidate", candidate.name, "--force")
    lab.stage.wait("the candidate", lambda: lab.cluster.leader() is candidate)
    lab.stage.wait_until_complete()
    assert lab.explained("leader_changed").verdict.cause == "manual_failover"


def test_the_leader_is_shut_down(lab: Lab) -> None:
    leader = lab.stage.leader()
    lab.cluster.stop_daemon(leader)
    lab.stage.wait_for_another_leader(leader)
    lab.cluster.start(leader)
    lab.stage.wait_until_complete()
    story = lab.explained("leader_changed")
    assert story.verdict.cause == "leader_shut_down"
    assert story.weight == "notice"


def test_paused_when_the_primary_is_killed(lab: Lab) -> None:
    leader = lab.stage.leader()
    lab.stage.ctl("pause", "--wait")
    pid = postmaster_pid(leader)
    os.kill(pid, signal.SIGKILL)
    lab.stage.wait("its end", lambda: not lab.stage.accepts_writes(leader))
    wait_a_little(TTL + 4)
    try:
        story = lab.explained()
        assert story.verdict.cause == "paused"
        assert story.verdict.root == "postgres_killed"
        assert any(one.setting == "pause" for one in story.advice)
    finally:
        lab.stage.ctl("resume", "--wait")
    lab.stage.wait_until_complete()


def test_a_postgresql_that_cannot_be_started_again(lab: Lab) -> None:
    leader = lab.stage.leader()
    broken = leader.data / "postgresql.auto.conf"
    sound = broken.read_text()
    broken.write_text("no_such_parameter = 1\n")
    os.kill(postmaster_pid(leader), signal.SIGKILL)
    lab.stage.wait_for_another_leader(leader)
    broken.write_text(sound)
    lab.stage.wait_until_complete()
    story = lab.explained("leader_changed")
    assert story.verdict.cause == "start_failed_after_crash"
    assert story.former == leader.name


def test_without_anybody_eligible(lab: Lab) -> None:
    leader = lab.stage.leader()
    for replica in lab.stage.replicas():
        tag(lab, replica, nofailover=True)
    lab.lose_host(leader)
    wait_a_little(TTL + 8)
    try:
        story = lab.explained()
        assert story.verdict.cause == "no_eligible_candidate"
        assert story.kind == "leaderless"
        assert {one.verdict.code for one in story.candidates} >= {
            "CANDIDATE_NOFAILOVER"
        }
    finally:
        for replica in lab.stage.members:
            if replica is not leader:
                tag(lab, replica, nofailover=False)
        lab.return_host(leader)
    lab.stage.wait_until_complete()


def tag(lab: Lab, member: Member, **tags: bool) -> None:
    """Change the member's tags in its file, and let the daemon read it."""

    document = yaml.safe_load(member.configuration.read_text())
    document["tags"] = tags
    lab.cluster.configure(member, document)
    lab.cluster.signal_daemon(member, signal.SIGHUP)
    name = next(iter(tags))
    lab.stage.wait(
        f"its tag {name}",
        lambda: (
            bool(lab.cluster.get(member, "patroni").get("tags", {}).get(name))
            == tags[name]
        ),
    )


TOLERANCE = 1.5
"""Seconds by which a client's outage may differ from what the journals know: it tries
now and then, and connects anew."""


def check_outage(lab: Lab, story: Story, since: float) -> None:
    """What is told of the outage is what a client lived through."""
    lived = lab.stage.writer.longest_outage(since).seconds
    assert story.outage is not None
    assert not [one for one in story.troubles if one.code == "TWO_PRIMARIES"]
    assert story.outage.seconds < lived + TOLERANCE
    if story.outage.certainty == "measured":
        assert story.outage.seconds > lived - 4 * TOLERANCE
    phases = [p.seconds for p in story.phases if p.code != "clients_back"]
    assert sum(phases) == pytest.approx(story.outage.seconds, abs=0.01)
    with contextlib.suppress(psycopg2.Error):
        lab.noted[story.name] = f"{lived:.2f} s by the client"
