"""The guard, on a process that looks like a postmaster: its working directory is
the data directory, and postmaster.pid names it."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from regnal.bridges.guard.bridge import GuardBridge
from regnal.journal.stamps import Clocks, Stamper
from regnal.messages.base import Command, Message
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import ArmGuard, DisarmGuard, GuardFenced

STUBBORN = "import signal, time; signal.signal(signal.SIGQUIT, signal.SIG_IGN); "
SLEEP = "import time; time.sleep(60)"


class Said:
    """A voice that remembers."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def say(self, message: Message, cause: Envelope[Message] | None = None) -> None:
        self.messages.append(message)


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def order(command: Command) -> Envelope[Command]:
    stamper = Stamper("pg1", 1, Clocks())
    return stamper.envelope(command, said_by="watchdog", cause=None, trace=None)


def ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    pidfd = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(int(seconds * 1000)))
    finally:
        os.close(pidfd)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    return directory


def postmaster(data: Path, code: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", code], cwd=data)
    (data / "postmaster.pid").write_text(f"{process.pid}\n{data}\n")
    return process


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def guard(data: Path, tmp_path: Path, said: Said) -> Iterator[GuardBridge]:
    bridge = GuardBridge(data, tmp_path / "guard.jsonl", said, now)
    bridge.start()
    yield bridge
    bridge.perform(order(DisarmGuard()))
    bridge.stop()


@pytest.mark.parametrize("code", [SLEEP, STUBBORN + SLEEP], ids=["quits", "stubborn"])
def test_an_armed_guard_kills_postgres_at_the_deadline(
    guard: GuardBridge, data: Path, code: str
) -> None:
    """Law 2: fencing needs nobody but the guard."""
    process = postmaster(data, code)

    guard.perform(order(ArmGuard(deadline=now() + 0.2)))

    assert ended_within(process, 3)
    assert process.wait() in (-signal.SIGQUIT, -signal.SIGKILL)


def test_a_guard_that_is_armed_anew_waits_for_the_later_deadline(
    guard: GuardBridge, data: Path
) -> None:
    process = postmaster(data, SLEEP)

    guard.perform(order(ArmGuard(deadline=now() + 0.3)))
    guard.perform(order(ArmGuard(deadline=now() + 60)))

    assert not ended_within(process, 0.8)
    process.kill()
    process.wait()


def test_a_disarmed_guard_fences_nobody(guard: GuardBridge, data: Path) -> None:
    process = postmaster(data, SLEEP)

    guard.perform(order(ArmGuard(deadline=now() + 0.3)))
    guard.perform(order(DisarmGuard()))

    assert not ended_within(process, 0.8)
    process.kill()
    process.wait()


def test_the_guard_outlives_its_daemon_and_the_next_one_hears_of_it(
    data: Path, tmp_path: Path, said: Said
) -> None:
    """A dead daemon renews nothing, so PostgreSQL must end with the lease."""
    process = postmaster(data, SLEEP)
    first = GuardBridge(data, tmp_path / "guard.jsonl", said, now)
    first.start()
    first.perform(order(ArmGuard(deadline=now() + 0.4)))
    first.stop()

    assert ended_within(process, 3)
    process.wait()
    second = GuardBridge(data, tmp_path / "guard.jsonl", said, now)
    wait_for_the_record(tmp_path)
    second.start()
    second.stop()

    fenced = [m for m in said.messages if isinstance(m, GuardFenced)]
    assert [f.postmaster_pid for f in fenced] == [process.pid]


def test_a_daemon_that_was_frozen_hears_of_it_when_it_goes_on(
    guard: GuardBridge, data: Path, tmp_path: Path, said: Said
) -> None:
    process = postmaster(data, SLEEP)
    guard.perform(order(ArmGuard(deadline=now() + 0.2)))
    assert ended_within(process, 3)
    process.wait()
    wait_for_the_record(tmp_path)

    guard.perform(order(DisarmGuard()))
    guard.perform(order(DisarmGuard()))

    fenced = [m for m in said.messages if isinstance(m, GuardFenced)]
    assert [f.postmaster_pid for f in fenced] == [process.pid]


def wait_for_the_record(directory: Path) -> None:
    """The guard writes it down after the deed."""
    deadline, record = now() + 3, directory / "guard.jsonl"
    while not (record.exists() and record.read_text()):
        assert now() < deadline, "nothing was written down"
        select.select([], [], [], 0.01)


def test_a_restarted_daemon_takes_the_armed_guard_over(
    data: Path, tmp_path: Path, said: Said
) -> None:
    """No gap: the new daemon moves the deadline of the guard that is there."""
    process = postmaster(data, SLEEP)
    first = GuardBridge(data, tmp_path / "guard.jsonl", said, now)
    first.start()
    first.perform(order(ArmGuard(deadline=now() + 0.5)))
    first.stop()

    second = GuardBridge(data, tmp_path / "guard.jsonl", said, now)
    second.start()
    second.perform(order(ArmGuard(deadline=now() + 60)))

    assert not ended_within(process, 1)
    second.perform(order(DisarmGuard()))
    second.stop()
    process.kill()
    process.wait()


def test_a_process_that_is_not_the_postmaster_is_left_alone(
    guard: GuardBridge, data: Path, tmp_path: Path
) -> None:
    """PG-03: the pid in a stale postmaster.pid may belong to anybody by now."""
    stranger = subprocess.Popen([sys.executable, "-c", SLEEP], cwd=tmp_path)
    (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n")

    guard.perform(order(ArmGuard(deadline=now() + 0.2)))

    assert not ended_within(stranger, 0.8)
    stranger.kill()
    stranger.wait()
