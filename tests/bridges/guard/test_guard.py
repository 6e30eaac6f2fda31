"""The guard process, on processes that look like PostgreSQL: what it kills, and what not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from regnal.bridges.guard import guard_process
from regnal.bridges.guard.bridge import GuardBridge
from regnal.bridges.guard.guard_process import Guard
from regnal.journal.stamps import boot_clock as now
from regnal.messages.fencing import ArmGuard, DisarmGuard, GuardFenced, GuardStarted
from tests.bridges.guard.pretending import (
    PARENT,
    SLEEP,
    STUBBORN,
    Said,
    a_bridge,
    end,
    ended_within,
    order,
    postmaster,
    wait_for,
    write_pid_file,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    return directory


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def guard(data: Path, said: Said) -> Iterator[GuardBridge]:
    bridge = a_bridge(data, said)
    bridge.start()
    yield bridge
    bridge.perform(order(DisarmGuard()))
    bridge.stop()


def arm(
    guard: GuardBridge,
    within: float,
    *,
    lease: float | None = None,
    pid: int | None = None,
) -> None:
    guard.perform(
        order(
            ArmGuard(
                deadline=now() + within,
                lease_until=None if lease is None else now() + lease,
                postmaster_pid=pid,
            )
        )
    )


def process_of(said: Said) -> psutil.Process:
    """The guard that was started last."""
    started = [m for m in said.messages if isinstance(m, GuardStarted)]
    return psutil.Process(started[-1].pid)


@pytest.mark.parametrize("code", [SLEEP, STUBBORN + SLEEP], ids=["quits", "stubborn"])
def test_an_armed_guard_kills_postgres_at_the_deadline(
    guard: GuardBridge, data: Path, code: str
) -> None:
    """Law 2: fencing needs nobody but the guard."""
    process = postmaster(data, code)
    arm(guard, 0.2, lease=60)
    assert ended_within(process, 3)
    assert process.wait() in (-signal.SIGQUIT, -signal.SIGKILL)


def test_a_lease_that_has_ended_leaves_no_time_for_a_shutdown(
    guard: GuardBridge, data: Path
) -> None:
    """The host was suspended: by now another member may lead."""
    process = postmaster(data)
    arm(guard, -5, lease=-2)
    assert ended_within(process, 3)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_backends_end_with_their_postmaster(
    guard: GuardBridge, data: Path, stopped: bool
) -> None:
    """They may be in the middle of a transaction, and in sessions of their own."""
    process = postmaster(data, PARENT)
    parent = psutil.Process(process.pid)
    wait_for("backends", lambda: len(parent.children()) == 3)
    backends = parent.children()
    for one in (parent, *backends) if stopped else ():
        one.suspend()
    arm(guard, 0.1, lease=1)
    assert ended_within(process, 3)
    assert not psutil.wait_procs(backends, timeout=3)[1]
    process.wait()


def test_what_works_in_the_data_directory_and_is_no_server_lives_on(
    guard: GuardBridge, data: Path
) -> None:
    """A person's shell, a backup: no other process can be hit."""
    process = postmaster(data)
    backup = subprocess.Popen(["sleep", "60"], cwd=data)
    arm(guard, 0.1)
    assert ended_within(process, 3)
    assert not ended_within(backup, 0.3)
    end(backup)
    process.wait()


def test_a_process_that_is_not_the_postmaster_is_left_alone(
    guard: GuardBridge, data: Path
) -> None:
    """PG-03: the pid in a stale postmaster.pid may belong to anybody by now."""
    stranger = subprocess.Popen([sys.executable, "-c", SLEEP], cwd=data.parent)
    write_pid_file(data, stranger.pid)
    arm(guard, 0.1, pid=stranger.pid)
    assert not ended_within(stranger, 0.6)
    end(stranger)


def test_a_program_in_the_data_directory_with_a_recycled_pid_is_left_alone(
    guard: GuardBridge, data: Path
) -> None:
    """PG-04: it began long after the server that wrote the file."""
    stranger = subprocess.Popen([sys.executable, "-c", SLEEP], cwd=data)
    (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n1000000000\n")
    arm(guard, 0.1, pid=stranger.pid)
    assert not ended_within(stranger, 0.6)
    end(stranger)


def test_a_guard_that_is_armed_anew_waits_for_the_later_deadline(
    guard: GuardBridge, data: Path
) -> None:
    process = postmaster(data)
    arm(guard, 0.3)
    arm(guard, 60)
    assert not ended_within(process, 0.6)
    end(process)


def test_a_disarmed_guard_fences_nobody(guard: GuardBridge, data: Path) -> None:
    process = postmaster(data)
    arm(guard, 0.3)
    guard.perform(order(DisarmGuard()))
    assert not ended_within(process, 0.6)
    end(process)


def test_the_postmaster_of_a_restart_is_fenced_though_nobody_told_its_pid(
    guard: GuardBridge, data: Path
) -> None:
    former = postmaster(data)
    arm(guard, 0.6)
    end(former)
    process = postmaster(data)
    assert ended_within(process, 3)
    process.wait()


def test_a_postmaster_that_is_starting_at_the_deadline_is_fenced_when_it_shows(
    guard: GuardBridge, data: Path
) -> None:
    """The daemon was frozen just after it started PostgreSQL as primary: at the
    deadline there is no pid file yet."""
    process = subprocess.Popen([sys.executable, "-c", SLEEP], cwd=data)
    began = int(time.time())
    arm(guard, 0.1)
    assert not ended_within(process, 0.5)
    (data / "postmaster.pid").write_text(f"{process.pid}\n{data}\n{began}\n")
    assert ended_within(process, 3)
    process.wait()


def test_a_postmaster_that_somebody_starts_after_the_deadline_is_left_alone(
    guard: GuardBridge, data: Path, said: Said
) -> None:
    """A person without a daemon knows what he does."""
    arm(guard, 0.05)
    time.sleep(0.1)
    process = postmaster(data)
    assert not ended_within(process, 0.6)
    end(process)


def test_the_guard_stands_for_itself(
    guard: GuardBridge, data: Path, said: Said
) -> None:
    """Little memory, which stays; a session and group of its own; nobody's child."""
    process = process_of(said)
    assert process.memory_info().rss < 24 * 1024**2
    assert os.getsid(process.pid) != os.getsid(0)
    assert os.getpgid(process.pid) != os.getpgid(0)
    assert psutil.Process().pid not in [parent.pid for parent in process.parents()]
    status = Path(f"/proc/{process.pid}/status").read_text()
    locked = int(status.split("VmLck:")[1].split()[0])
    started = [m for m in said.messages if isinstance(m, GuardStarted)]
    assert (locked > 0) is started[0].memory_locked
    assert started[0].schedule in ("realtime", "preferred", "normal")
    arm(guard, 60)
    assert process.cpu_times().user < 5


def test_its_clock_goes_on_while_the_host_is_suspended(
    guard: GuardBridge, data: Path, said: Said
) -> None:
    """timerfd on CLOCK_BOOTTIME (7), with the deadline as it is; nothing else wakes
    it, so there is no timeout that a suspend could stretch."""
    arm(guard, 3600)
    pid = process_of(said).pid
    timers = [
        text
        for entry in Path(f"/proc/{pid}/fdinfo").iterdir()
        if "clockid" in (text := entry.read_text())
    ]
    assert len(timers) == 1
    assert "clockid: 7" in timers[0]


def test_a_deadline_that_passed_during_a_suspend_is_fenced_on_waking(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = postmaster(data)
    guard = Guard(str(data), str(tmp_path / "guard.jsonl"))
    began = now()
    guard.obey(f"arm {began + 3600!r} {began + 3602!r} 0".encode())
    guard.look()
    assert not ended_within(process, 0)
    monkeypatch.setattr(guard_process, "now", lambda: now() + 8000)
    guard.look()
    assert ended_within(process, 3)
    assert process.wait() == -signal.SIGKILL


def test_an_order_that_waited_while_the_guard_could_not_run_counts(
    guard: GuardBridge, data: Path, said: Said
) -> None:
    """The lease was renewed in time; only the guard came late to hear of it."""
    process, frozen = postmaster(data), process_of(said)
    arm(guard, 0.3)
    frozen.suspend()
    time.sleep(0.4)
    waker = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -CONT {frozen.pid}"])
    arm(guard, 60)
    assert not ended_within(process, 0.3)
    waker.wait()
    end(process)


@pytest.mark.parametrize(
    "packet",
    [b"", b"arm", b"arm soon 1 1", b"arm 1 1", b"quit", b"\xff\xfe", b"x" * 256],
)
def test_what_is_no_order_is_answered_and_changes_nothing(
    data: Path, tmp_path: Path, packet: bytes
) -> None:
    guard = Guard(str(data), str(tmp_path / "guard.jsonl"))
    assert guard.obey(packet).startswith(b"error ")
    assert not guard.is_armed


def test_it_writes_down_what_it_did(guard: GuardBridge, data: Path, said: Said) -> None:
    process = postmaster(data)
    before, wall = now(), time.time()
    arm(guard, 0.1)
    assert ended_within(process, 3)
    process.wait()
    guard.perform(order(DisarmGuard()))
    wait_for("the report", lambda: said.count(GuardFenced) == 1)
    (fenced,) = [m for m in said.messages if isinstance(m, GuardFenced)]
    assert fenced.postmaster_pid == process.pid
    assert before < fenced.at < now()
    assert 0 <= fenced.late_by < 1
    assert fenced.wall_us is not None
    assert abs(fenced.wall_us / 1e6 - wall) < 5
    assert fenced.left == 0
