"""What operators do to a running cluster, and what they do wrong, on real servers."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from regnal.cli.journal import journal_command
from regnal.demo.cluster import Amend, Document, Member
from regnal.journal.verification import verify
from regnal.replay.case import opened
from tests.replay.sources.cases import lines_in
from tests.scenarios.journals import assert_explained
from tests.servers.members import (
    TTL,
    Stage,
    heard,
    last_record,
    postmaster_pid,
)

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def amend() -> Amend:
    return refuse_to_promote_if_told


def refuse_to_promote_if_told(member: Member, document: Document) -> None:
    document["postgresql"]["pre_promote"] = f"test ! -e {refusal(member)}"


def refusal(member: Member) -> Path:
    """While this file is there, the member's pre_promote script fails."""
    return member.directory / "refuse-promotion"


def test_a_paused_cluster_leaves_a_dead_primary_alone(cluster: Stage) -> None:
    """In pause nobody is promoted or started; afterwards all is mended."""
    leader = cluster.leader()
    cluster.ctl("pause", "--wait")
    assert cluster.dynamic()["pause"] is True
    begins = {member.name: last_record(member) for member in cluster.members}
    stop_postgres(leader)
    cluster.wait("its end", lambda: postmaster_pid(leader) == 0)
    cluster.wait(
        "the daemon to know", lambda: cluster.cluster.status(leader, "health") == 503
    )
    cluster.cluster.get(leader, "patroni")
    cluster.ctl("resume", "--wait")
    cluster.wait_until_complete()
    promoted = [
        m for m in cluster.replicas() if heard(m, "promote_postgres", begins[m.name])
    ]
    assert promoted == []


def test_after_pause_nobody_is_promoted_beside_a_primary_without_a_daemon(
    cluster: Stage,
) -> None:
    """Law 1: in pause nothing fences it, so the others ask its PostgreSQL."""
    leader, other = cluster.leader(), cluster.replicas()[0]
    cluster.ctl("pause", "--wait")
    pid = postmaster_pid(leader)
    cluster.cluster.kill_daemon(leader)
    cluster.wait(
        "the leader's key to end",
        lambda: leader.name not in cluster.ctl("list", "-f", "json"),
        TTL + 15,
    )
    cluster.ctl("resume")
    cluster.wait(
        "the log of another to say why nobody leads",
        lambda: f"PostgreSQL of {leader.name} takes writes" in other.log.read_text(),
    )
    cluster.wait_for_commits()
    assert postmaster_pid(leader) == pid
    cluster.cluster.start(leader)
    cluster.wait_until_complete()
    assert cluster.leader() == leader
    assert cluster.writer.missing() == []


def test_a_parameter_that_needs_a_restart_waits_for_one(cluster: Stage) -> None:
    """CFG-09, CFG-11"""
    pids = {member.name: postmaster_pid(member) for member in cluster.members}
    value = 1 + int(cluster.sql(cluster.leader(), "SHOW max_connections")[0][0])
    cluster.ctl("edit-config", "--force", "-p", f"max_connections={value}")
    cluster.wait("all to say so", lambda: all(map(cluster.pends, cluster.members)))
    assert {m.name: postmaster_pid(m) for m in cluster.members} == pids
    cluster.ctl("restart", "demo", cluster.leader().name, "--force")
    cluster.ctl("restart", "demo", "--pending", "--force")
    cluster.wait("nobody to wait", lambda: not any(map(cluster.pends, cluster.members)))
    cluster.wait_until_complete()
    for member in cluster.members:
        assert cluster.sql(member, "SHOW max_connections") == [(str(value),)]
        assert postmaster_pid(member) != pids[member.name]
    assert cluster.writer.missing() == []


def test_a_reload_takes_up_the_file(cluster: Stage) -> None:
    """CFG-12, CFG-13, CFG-39"""
    member = cluster.replicas()[0]
    document = yaml.safe_load(member.configuration.read_text())
    pid = postmaster_pid(member)
    document["tags"] = {"colour": "blue"}
    document["postgresql"]["parameters"]["work_mem"] = "5MB"
    cluster.cluster.configure(member, document)
    cluster.cluster.signal_daemon(member, signal.SIGHUP)
    cluster.wait("the tag", lambda: tags(cluster, member) == {"colour": "blue"})
    cluster.wait(
        "the parameter", lambda: cluster.sql(member, "SHOW work_mem") == [("5MB",)]
    )
    member.configuration.write_text("scope: [")
    cluster.cluster.signal_daemon(member, signal.SIGHUP)
    cluster.wait("the complaint", lambda: "regnal.yml" in member.log.read_text())
    assert tags(cluster, member) == {"colour": "blue"}
    assert postmaster_pid(member) == pid
    cluster.cluster.configure(member, document)


def test_the_journals_of_a_live_cluster_are_had_from_any_member(
    cluster: Stage, tmp_path: Path
) -> None:
    """And no password is in what somebody would send away."""
    bundle = tmp_path / "incident.tar.gz"
    place = f"http://127.0.0.1:{cluster.members[1].rest_port}"
    exported = CliRunner().invoke(journal_command, ["export", place, "-o", str(bundle)])
    assert (exported.exit_code, exported.stderr) == (0, "")
    with opened([str(bundle)]) as case:
        assert case.expected == tuple(member.name for member in cluster.members)
        assert case.troubles == ()
        for journal in case.journals:
            assert journal.configuration is not None
            assert journal.configuration.document["name"] == journal.member
            assert verify(journal.directory).is_whole
            content = b"".join(lines_in(journal.directory))
            for member in cluster.members:
                for password in passwords(member):
                    assert password.encode() not in content
                    assert password not in str(journal.configuration.document)


def passwords(member: Member) -> set[str]:
    document = yaml.safe_load(member.configuration.read_text())
    accounts = document["postgresql"]["authentication"].values()
    found = {account["password"] for account in accounts if "password" in account}
    assert found
    return found


def test_a_leader_that_is_stopped_hands_over(cluster: Stage) -> None:
    """SIGTERM: PostgreSQL is stopped, and the lease given on with its last record."""
    leader, before = cluster.leader(), time.monotonic()
    assert cluster.cluster.stop_daemon(leader) == 0
    assert postmaster_pid(leader) == 0
    successor = cluster.wait_for_another_leader(leader)
    cluster.wait_for_commits()
    assert cluster.note_outage("leader stopped by SIGTERM", before) < TTL
    assert cluster.writer.missing() == []
    begin = last_record(leader)
    cluster.cluster.start(leader)
    cluster.wait_until_complete()
    assert not heard(leader, "rewind_postgres", begin)
    assert_explained(
        cluster.members, "leader_shut_down", former=leader, leader=successor
    )


def test_a_member_whose_script_refuses_is_not_promoted(cluster: Stage) -> None:
    """pre_promote fails on the candidate: somebody else leads."""
    former, (candidate, _) = cluster.leader(), cluster.replicas()
    begin, before = last_record(candidate), time.monotonic()
    refusal(candidate).touch()
    try:
        cluster.cluster.ctl(
            "switchover",
            "--leader",
            former.name,
            "--candidate",
            candidate.name,
            "--force",
        )
        cluster.wait(
            "the refusal", lambda: bool(heard(candidate, "pre_promote_ended", begin))
        )
        cluster.wait_until_complete()
    finally:
        refusal(candidate).unlink()
    assert cluster.leader() is not candidate
    assert not heard(candidate, "promote_postgres", begin)
    assert cluster.writer.missing() == []
    cluster.note_outage("switchover refused by pre_promote", before)


def test_a_frozen_daemon_is_fenced_before_another_leads(cluster: Stage) -> None:
    """The guard ends its PostgreSQL at the deadline; then its lease expires."""
    frozen, before = cluster.leader(), time.monotonic()
    cluster.cluster.signal_daemon(frozen, signal.SIGSTOP)
    cluster.wait("the guard", lambda: not cluster.accepts_writes(frozen))
    fenced_after = time.monotonic() - before
    assert fenced_after < TTL
    successor = cluster.wait_for_another_leader(frozen)
    assert not cluster.accepts_writes(frozen)
    cluster.wait_for_commits()
    cluster.cluster.signal_daemon(frozen, signal.SIGCONT)
    cluster.wait_until_complete()
    assert cluster.leader() is not frozen
    assert_explained(cluster.members, "daemon_frozen", former=frozen, leader=successor)
    cluster.note_outage(f"daemon frozen (fenced after {fenced_after:.1f} s)", before)


def stop_postgres(member: Member) -> None:
    """As an operator would, behind the daemon's back."""
    pid = postmaster_pid(member)
    subprocess.run(["kill", "-INT", str(pid)], check=True)


def tags(cluster: Stage, member: Member) -> object:
    return cluster.cluster.get(member, "patroni").get("tags")
