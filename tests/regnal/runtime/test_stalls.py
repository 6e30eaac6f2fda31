"""The watch over the daemon: on real processes, and on clocks that the test turns."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.host.cgroups import VERSION_2, cgroup_directories
from regnal.messages.base import Message, Seconds
from regnal.messages.envelope import Envelope
from regnal.messages.host import ActorsLate, ClockStepped, MailboxAge, StallNoticed
from regnal.replay.autopsy import diagnose
from regnal.runtime import stalls
from regnal.runtime.stalls import (
    LATE,
    NAP,
    STALL,
    STEP,
    Clocks,
    Lateness,
    Look,
    StallWatch,
    absence,
    is_step,
    suspended,
    wall_step,
)

DEADLINE = 30.0
"""Seconds that anything may take on a busy machine."""


class Watched:
    """A process that watches over itself (tests/regnal/runtime/watched.py)."""

    def __init__(self, before_start: Any = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.regnal.runtime.watched"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=before_start,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._lines.get(timeout=DEADLINE) == "ready\n"

    def next(self) -> StallNoticed:
        message = json.loads(self._lines.get(timeout=DEADLINE))
        assert message["kind"] == "stall_noticed", message
        return StallNoticed.model_validate(message)

    def hold_the_interpreter(self, seconds: Seconds) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()

    def threads(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [int(task.name) for task in tasks]

    def end(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=DEADLINE)
        self._reader.join(DEADLINE)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.end()


def test_a_daemon_that_was_stopped_says_so_within_a_nap(watched: Watched) -> None:
    watched.process.send_signal(signal.SIGSTOP)
    time.sleep(STALL + 2 * NAP)
    watched.process.send_signal(signal.SIGCONT)
    began = time.monotonic()

    stall = watched.next()

    assert time.monotonic() - began < NAP + 1.0, "a busy machine gets a second"
    assert STALL < stall.missing < DEADLINE
    assert stall.suspended == 0.0
    assert stall.continued
    assert diagnose(stall).code == "stopped", stall


def test_a_daemon_that_holds_its_own_interpreter_says_so(watched: Watched) -> None:
    watched.hold_the_interpreter(STALL + 1.0)
    stall = watched.next()
    assert stall.account.ran > 1.0, stall
    assert not stall.continued
    # On a machine that is busy with other things it waits for a CPU as well.
    assert diagnose(stall).code in ("busy", "starved"), stall


def test_a_daemon_without_a_cpu_says_so(watched: Watched) -> None:
    """It only gets what others leave, and they leave nothing."""
    cpu = min(os.sched_getaffinity(0))
    with hogs(cpu, count=16):
        for thread in watched.threads():
            os.sched_setaffinity(thread, {cpu})
            os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
        time.sleep(STALL + 1.0)
    stall = watched.next()
    assert diagnose(stall).code == "starved", stall


def test_a_daemon_that_is_held_back_by_a_quota_says_so() -> None:
    with cgroup("cpu") as group:
        limit(group, None)
        watched = Watched(lambda: (group / "cgroup.procs").write_text("0"))
        try:
            watched.hold_the_interpreter(1.0)
            limit(group, 0.001)
            time.sleep(STALL + 1.5)
            limit(group, None)
            stall = watched.next()
        finally:
            watched.end()
    assert diagnose(stall).code == "throttled", stall


def test_a_daemon_in_a_container_that_is_paused_says_so() -> None:
    with cgroup(VERSION_2) as group:
        if not (group / "cgroup.freeze").exists():
            pytest.skip("cgroups of version 2 cannot be frozen here")
        watched = Watched(lambda: (group / "cgroup.procs").write_text("0"))
        try:
            (group / "cgroup.freeze").write_text("1")
            time.sleep(STALL + 2 * NAP)
            (group / "cgroup.freeze").write_text("0")
            stall = watched.next()
        finally:
            watched.end()
    assert not stall.continued
    assert diagnose(stall).code == "stopped", stall


@contextlib.contextmanager
def hogs(cpu: int, count: int) -> Iterator[None]:
    """Processes that use all of one CPU."""
    running = [
        subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"]) for _ in range(count)
    ]
    try:
        for hog in running:
            os.sched_setaffinity(hog.pid, {cpu})
        yield
    finally:
        for hog in running:
            hog.kill()
            hog.wait()


@contextlib.contextmanager
def cgroup(hierarchy: str) -> Iterator[Path]:
    """A cgroup within ours: of a controller, or of version 2."""
    here = cgroup_directories(hierarchy)
    if not here:
        pytest.skip("the cgroup of this process cannot be seen here")
    group = here[0] / f"regnal-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        yield group
    finally:
        remove(group)


def limit(group: Path, share: float | None) -> None:
    """This share of one CPU, given once a second; None: no limit."""
    period = 1_000_000
    given = None if share is None else round(share * period)
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text(f"{given or 'max'} {period}")
    elif (group / "cpu.cfs_quota_us").exists():
        (group / "cpu.cfs_period_us").write_text(str(period))
        (group / "cpu.cfs_quota_us").write_text(str(given or -1))
    else:
        pytest.skip("the cgroup has no CPU quota: the controller is not enabled here")


def remove(group: Path) -> None:
    """A cgroup can be removed once the kernel has buried all its processes."""
    until = time.monotonic() + DEADLINE
    while True:
        try:
            return group.rmdir()
        except OSError:
            assert time.monotonic() < until, f"{group} is still in use"
            time.sleep(0.02)


# On clocks that the test turns.

LOOK = Look(boot=1000.0, monotonic=900.0, wall=1.8e9, ran=1.0)


def later(seconds: Seconds, *, slept: Seconds = 0.0, stepped: Seconds = 0.0) -> Look:
    """So long after LOOK, of which the host was suspended for `slept`."""
    return LOOK._replace(
        boot=LOOK.boot + seconds,
        monotonic=LOOK.monotonic + seconds - slept,
        wall=LOOK.wall + seconds + stepped,
    )


def test_a_suspended_host_is_an_absence() -> None:
    now = later(3600.0, slept=3599.0)
    assert absence(LOOK, now) == pytest.approx(3600.0 - NAP)
    assert suspended(LOOK, now) == pytest.approx(3599.0)
    assert wall_step(LOOK, now) == 0.0


@pytest.mark.parametrize("step", [-3600.0, -0.6, 0.6, 5.0, 86400.0])
def test_a_wall_clock_that_is_set_is_a_step(step: Seconds) -> None:
    assert is_step(LOOK, later(NAP, stepped=step))


@given(passed=st.floats(NAP, 3600.0), rate=st.floats(-0.0834, 0.0834))
def test_a_wall_clock_that_is_slewed_is_none(passed: Seconds, rate: float) -> None:
    """At up to chrony's largest rate, and also over a long absence."""
    assert not is_step(LOOK, later(passed, stepped=passed * rate))


def age(actor: str, oldest: Seconds) -> MailboxAge:
    return MailboxAge(actor=actor, waiting=1, oldest=oldest)


def test_a_late_actor_is_told_of_once_and_again_when_it_is_twice_as_late() -> None:
    lateness = Lateness()
    told = [
        bool(lateness.news((age("rest", s),))) for s in (2.1, 3.0, 4.1, 4.2, 8.3, 8.4)
    ]
    assert told == [True, False, False, True, False, True]


def test_another_actor_that_becomes_late_is_news_with_all_that_are() -> None:
    lateness = Lateness()
    lateness.news((age("rest", 2.1),))
    both = (age("rest", 2.3), age("election", 2.1))
    assert lateness.news(both) == both
    assert lateness.news(both) == ()


def test_an_actor_that_was_in_time_meanwhile_is_news_again() -> None:
    lateness = Lateness()
    lateness.news((age("rest", 2.1),))
    lateness.news(())
    assert lateness.news((age("rest", 2.1),))


class Voice:
    def __init__(self) -> None:
        self.said: queue.Queue[Message] = queue.Queue()

    def say(self, message: Message, cause: Envelope[Message] | None = None) -> None:
        self.said.put(message)


class TurnedClocks:
    """The clocks of this host, and what the test adds to them."""

    def __init__(self) -> None:
        self.suspended = 0.0
        self.stepped = 0.0

    def clocks(self) -> Clocks:
        return Clocks(
            boot=lambda: time.clock_gettime(time.CLOCK_BOOTTIME) + self.suspended,
            monotonic=time.monotonic,
            wall=lambda: time.time() + self.suspended + self.stepped,
        )


@contextlib.contextmanager
def watching(
    turned: TurnedClocks, mailboxes: stalls.Mailboxes = lambda: ()
) -> Iterator[Voice]:
    voice = Voice()
    watch = StallWatch(voice, mailboxes, turned.clocks())
    watch.start()
    try:
        yield voice
    finally:
        watch.stop()


def test_a_wall_clock_that_is_set_while_the_daemon_runs_is_told() -> None:
    turned = TurnedClocks()
    with watching(turned) as voice:
        turned.stepped = -30.0
        told = voice.said.get(timeout=DEADLINE)
    assert isinstance(told, ClockStepped)
    assert told.step == pytest.approx(-30.0, abs=STEP)
    assert voice.said.empty(), "once"


def test_a_suspended_host_is_told_as_that() -> None:
    turned = TurnedClocks()
    with watching(turned) as voice:
        turned.suspended = 600.0
        told = voice.said.get(timeout=DEADLINE)
    assert isinstance(told, StallNoticed)
    assert told.suspended == pytest.approx(600.0, abs=1.0)
    assert told.wall_step == pytest.approx(0.0, abs=STEP)
    assert diagnose(told).code == "suspended"


def test_actors_that_are_late_are_told_with_what_the_kernel_counted() -> None:
    ages = (age("election", LATE + 1), age("rest", LATE / 2))
    # Nobody is late for what came before the watch began.
    with watching(TurnedClocks(), lambda: ages) as voice:
        told = voice.said.get(timeout=DEADLINE)
    assert isinstance(told, ActorsLate)
    assert told.mailboxes == ages[:1]
    assert told.account.over > 0
