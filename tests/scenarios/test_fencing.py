"""Fencing on real members: whatever befalls the daemon of a primary, its PostgreSQL has
ended before another member leads (docs/fencing.md).

What may be lost.  The guard ends PostgreSQL at once, and its WAL senders with it: what
they had not sent yet is on no standby.  An asynchronous primary has acknowledged it all
the same.  So after each test rows may be missing only if somebody was fenced in it, only
such as were acknowledged within UNSENT before that, and no more than the former leader
itself found in its WAL after the point at which the successor's history left it.  In
synchronous mode nothing may be missing.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from regnal.bridges.dcs.clock import boottime
from regnal.demo.cluster import Document, Member
from regnal.journal.chain_check import Damage
from regnal.journal.reader import scan
from regnal.replay.explaining.explain import Investigation
from tests.scenarios.test_failover import is_well
from tests.servers.members import (
    EmbeddedRaft,
    Stage,
    backends,
    heard,
    last_record,
    postmaster_pid,
    stage,
)
from tests.servers.watchdog_device import Traits, WatchdogDevice

pytestmark = [pytest.mark.server, pytest.mark.slow]

FREEZER = Path("/sys/fs/cgroup/freezer")

UNSENT = 1.0
"""Seconds that an acknowledged row may take on a busy machine to reach a standby."""

Hold = Callable[[int], contextlib.AbstractContextManager[None]]
"""Keeps a process from running for the length of a block."""


@contextlib.contextmanager
def by_signal(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def by_the_kernel(pid: int) -> Iterator[None]:
    """In a frozen control group: it hangs in the kernel, and no signal reaches it."""
    group = FREEZER / f"regnal-{pid}"
    group.mkdir()
    (group / "cgroup.procs").write_text(str(pid))
    (group / "freezer.state").write_text("FROZEN")
    yield
    (group / "freezer.state").write_text("THAWED")
    deadline = time.monotonic() + 10
    while tasks := (group / "cgroup.procs").read_text().split():
        for task in tasks:
            with contextlib.suppress(ProcessLookupError):
                (FREEZER / "cgroup.procs").write_text(task)
        assert time.monotonic() < deadline, "tasks do not leave the group"
    _remove_group(group, deadline)


def _remove_group(group: Path, deadline: float) -> None:
    """The kernel may be busy with a task that has just left it, or ended in it."""
    while True:
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        assert time.monotonic() < deadline, f"{group} stays busy"


HOLDS = [
    pytest.param(by_signal, id="SIGSTOP"),
    pytest.param(
        by_the_kernel,
        id="stuck in the kernel",
        marks=pytest.mark.skipif(
            not os.access(FREEZER / "cgroup.procs", os.W_OK),
            reason="needs root and a freezer of version 1 of control groups",
        ),
    ),
]


@pytest.fixture
def cluster(cluster: Stage, synchronous: bool) -> Iterator[Stage]:
    """In the end nothing is lost but what may be."""
    known = set(cluster.writer.missing())
    told = {member.name: last_record(member) for member in cluster.members}
    counts = {member.name: len(fencings(member)) for member in cluster.members}
    yield cluster
    lost = [row for row in cluster.writer.missing() if row not in known]
    try:
        assert not lost or not synchronous
        check_that_they_had_not_been_sent(cluster, lost, told, counts)
    except AssertionError:
        cluster.is_evidence = True
        raise


def check_that_they_had_not_been_sent(
    cluster: Stage, lost: list[int], told: dict[str, int], counts: dict[str, int]
) -> None:
    """See the top.  `told`, `counts`: of each member, the last record and the number of
    fencings before the test."""
    offset = time.time() - time.monotonic()
    ends = [
        (fencing["wall"] - offset, fencing["wall"] + fencing["took"] - offset)
        for member in cluster.members
        for fencing in fencings(member)[counts[member.name] :]
    ]
    for row in lost:
        at = cluster.writer.acknowledged_at(row)
        assert any(begun - UNSENT < at < end for begun, end in ends), (row, at, ends)
    found = [
        checked["data"]["lost_commits"]
        for member in cluster.members
        for checked in heard(member, "divergence_checked", told[member.name])
    ]
    assert len(lost) <= sum(count or 0 for count in found), (lost, found)


def guard_of(member: Member) -> psutil.Process:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if "guard_process.py" in words and f"{member.directory}/" in words:
                return process
    raise AssertionError(f"{member.name} has no guard")


@contextlib.contextmanager
def in_place_of_the_guard(member: Member) -> Iterator[None]:
    """The guard is dead, and nobody can listen at its address."""
    guard = guard_of(member)
    address = guard.cmdline()[5]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as taken:
        guard.kill()
        deadline = time.monotonic() + 5
        while True:
            with contextlib.suppress(OSError):
                taken.bind("\0" + address)
                break
            assert time.monotonic() < deadline, "the daemon was faster"
        taken.listen()
        yield


def fencings(member: Member) -> list[dict[str, Any]]:
    """What the guard itself wrote down."""
    try:
        lines = (member.journal / "guard.jsonl").read_text().splitlines()
    except OSError:
        return []
    return [json.loads(line) for line in lines]


def armed_until(member: Member) -> float:
    """The guard's deadline, by the boot clock; also of a record that is held back."""
    return max(
        float(item.fields["data"]["deadline"])
        for item in scan(member.journal, with_held=True)
        if not isinstance(item, Damage)
        and item.kind == "message"
        and item.fields["type"] == "arm_guard"
    )


def root_cause(cluster: Stage) -> str:
    """Of the last outage, as explain finds it."""
    told = Investigation({m.name: m.journal for m in cluster.members})
    return told.story(told.find("latest")).verdict.root


def acquired_at(member: Member, after: int) -> float:
    """When it got the lease, in seconds since 1970."""
    stamp = heard(member, "leader_acquired", after)[-1]["hlc"].partition("Z")[0]
    return datetime.fromisoformat(stamp + "+00:00").timestamp()


@pytest.mark.parametrize("hold", HOLDS)
def test_a_frozen_daemon_s_postgres_ends_before_another_leads(
    cluster: Stage, hold: Hold
) -> None:
    """Laws 1 and 2."""
    leader = cluster.leader()
    postmaster = psutil.Process(postmaster_pid(leader))
    before, count = last_record(leader), len(fencings(leader))
    began = time.monotonic()
    with hold(cluster.cluster.daemon_pid(leader)):
        cluster.wait("the fencing", lambda: len(fencings(leader)) > count)
        assert not postmaster.is_running() or postmaster.status() == "zombie"
        successor = cluster.wait_for_another_leader(leader)
    fencing = fencings(leader)[-1]
    assert fencing["wall"] + fencing["took"] < acquired_at(successor, 0)
    assert fencing["pid"] == postmaster.pid
    assert fencing["left"] == 0
    cluster.wait_until_complete()
    cluster.note_outage("daemon frozen, fenced by the guard", began)
    told = heard(leader, "guard_fenced", before)
    assert [each["data"]["postmaster_pid"] for each in told] == [postmaster.pid]
    assert cluster.leader() is not leader
    assert root_cause(cluster) == "daemon_frozen"


def test_a_killed_daemon_that_is_not_started_again_is_fenced(cluster: Stage) -> None:
    leader = cluster.leader()
    pid, count = postmaster_pid(leader), len(fencings(leader))
    before = last_record(leader)
    guard = guard_of(leader)
    cluster.cluster.kill_daemon(leader)
    assert guard.is_running()
    cluster.wait("the fencing", lambda: len(fencings(leader)) > count)
    cluster.wait("the guard's end", lambda: not guard.is_running())
    cluster.wait_for_another_leader(leader)
    cluster.cluster.start(leader)
    cluster.wait_until_complete()
    told = heard(leader, "guard_fenced", before)
    assert [each["data"]["postmaster_pid"] for each in told] == [pid]
    assert root_cause(cluster) == "daemon_killed"


def test_a_daemon_that_is_started_in_time_takes_the_guard_over(cluster: Stage) -> None:
    """No gap, and no fencing."""
    leader = cluster.leader()
    pid, count = postmaster_pid(leader), len(fencings(leader))
    before, guard = last_record(leader), guard_of(leader)
    cluster.cluster.kill_daemon(leader)
    cluster.cluster.start(leader)
    cluster.wait("an answer", lambda: is_well(cluster, leader))
    cluster.wait_until_complete()
    assert cluster.leader() is leader
    assert postmaster_pid(leader) == pid
    assert guard_of(leader).pid == guard.pid
    (started,) = heard(leader, "guard_started", before)
    assert started["data"]["taken_over"] is True
    assert len(fencings(leader)) == count


def test_a_killed_guard_is_replaced_and_nobody_notices(cluster: Stage) -> None:
    leader = cluster.leader()
    pid, before = postmaster_pid(leader), last_record(leader)
    guard_of(leader).kill()
    cluster.wait("its report", lambda: bool(heard(leader, "guard_armed", before)))
    assert guard_of(leader).is_running()
    assert cluster.leader() is leader
    assert postmaster_pid(leader) == pid


def test_a_primary_whose_guard_cannot_be_replaced_gives_the_lead_up(
    cluster: Stage,
) -> None:
    """In good order, so that nothing is lost; and it leads again once it has a guard."""
    leader = cluster.leader()
    owner = leader.directory.stat().st_uid
    if owner == os.geteuid():
        pytest.skip("needs root, who takes the guard's place")
    before = last_record(leader)
    with in_place_of_the_guard(leader):
        cluster.wait_for_another_leader(leader)
    assert heard(leader, "guard_failed", before)
    (order, *_) = heard(leader, "demote_postgres", before)
    assert order["data"]["mode"] == "graceful"
    assert order["data"]["reason"]["code"] == "GUARD_FAILED"
    cluster.wait_until_complete()
    cluster.wait(
        "another guard",
        lambda: (
            heard(leader, "fencing_judged", before)[-1]["data"]["verdict"] == "idle"
        ),
    )
    assert root_cause(cluster) == "fencing_failed"


def test_only_what_no_standby_had_received_is_lost(cluster: Stage) -> None:
    """And explain says how much that was.  The WAL senders stand still shortly before the
    guard ends them with the rest."""
    leader = cluster.leader()
    count, known = len(fencings(leader)), set(cluster.writer.missing())
    with by_signal(cluster.cluster.daemon_pid(leader)):
        deadline = armed_until(leader)
        cluster.wait("the end of sending", lambda: boottime() > deadline - UNSENT / 2)
        for sender in backends(leader, "walsender"):
            sender.suspend()
        stood_still = time.monotonic()
        cluster.wait("the fencing", lambda: len(fencings(leader)) > count)
        cluster.wait_for_another_leader(leader)
    assert fencings(leader)[-1]["left"] == 0
    cluster.wait_until_complete()
    lost = [row for row in cluster.writer.missing() if row not in known]
    assert lost
    assert all(
        cluster.writer.acknowledged_at(row) > stood_still - UNSENT for row in lost
    )
    told = Investigation({m.name: m.journal for m in cluster.members})
    loss = told.story(told.find("latest")).loss
    assert loss is not None
    assert (loss.acknowledged or 0) >= len(lost)


@pytest.mark.parametrize("synchronous", [True], indirect=True)
def test_nothing_is_lost_in_synchronous_mode(cluster: Stage) -> None:
    """Law 4, with the same standstill of the WAL senders."""
    leader = cluster.leader()
    count = len(fencings(leader))
    with by_signal(cluster.cluster.daemon_pid(leader)):
        for sender in backends(leader, "walsender"):
            sender.suspend()
        cluster.wait("the fencing", lambda: len(fencings(leader)) > count)
        cluster.wait_for_another_leader(leader)
    cluster.wait_until_complete()
    assert cluster.writer.missing() == []


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="regnal-device-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(
    shutil.which("gcc") is None or os.geteuid() != 0,
    reason="the emulated device needs a C compiler and root, for its node",
)
def test_a_host_that_hangs_with_its_guard_is_reset_by_the_watchdog(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WDOG-02, WDOG-03: daemon and guard do not run, PostgreSQL does; the emulated
    device resets the machine before another member leads."""
    playing: list[Stage] = []
    resets: list[float] = []

    def reset() -> None:
        resets.append(time.time())
        playing[0].cluster.kill(needy(playing[0]))

    device = WatchdogDevice(open_folder, Traits(), reset)
    device.open_to_everybody()
    for name, value in device.environment.items():
        monkeypatch.setenv(name, value)

    def amend(member: Member, document: Document) -> None:
        document["watchdog"] = {"mode": "off"}
        if member.name == "pg1":
            document["watchdog"] = {"mode": "required", "device": str(device.path)}

    def needy(cluster: Stage) -> Member:
        return next(m for m in cluster.members if m.name == "pg1")

    with stage(EmbeddedRaft(), amend) as cluster:
        playing.append(cluster)
        member = needy(cluster)
        if cluster.leader() is not member:
            cluster.ctl("switchover", "--candidate", "pg1", "--force")
            cluster.wait("pg1 to lead", lambda: cluster.cluster.leader() is member)
        cluster.wait_until_complete()
        cluster.wait("the device", lambda: device.is_active)
        assert device.heard[:2] == ["open", "timeout 15"]
        guard_of(member).suspend()
        cluster.cluster.signal_daemon(member, signal.SIGSTOP)
        successor = cluster.wait_for_another_leader(member)
        assert device.was_reset
        assert resets[0] < acquired_at(successor, 0)
        cluster.cluster.start(member)
        cluster.wait_until_complete()
        cluster.wait("its end, on a standby", lambda: not device.is_active)
    device.close()
