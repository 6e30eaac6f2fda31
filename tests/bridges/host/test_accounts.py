"""The accounts of this kernel, and of one that tells nothing."""

import os
import subprocess
import time
from pathlib import Path

from regnal.bridges.host.accounts import Accounts, Reading, grown
from regnal.messages.host import KernelAccount


def test_what_this_kernel_counts_while_others_want_our_cpu() -> None:
    """Two processes on one CPU: each waits for half of the time."""
    cpu = min(os.sched_getaffinity(0))
    before_all = os.sched_getaffinity(0)
    hog = subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"])
    try:
        os.sched_setaffinity(hog.pid, {cpu})
        os.sched_setaffinity(0, {cpu})
        accounts = Accounts()
        before = accounts.read()
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            pass
        found = accounts.since(before, ran=0.25)
        accounts.close()
    finally:
        os.sched_setaffinity(0, before_all)
        hog.kill()
        hog.wait()
    assert 0.5 <= found.over < 5.0
    assert found.waited is None or found.waited > 0.05
    assert found.cpu_pressure is None or found.cpu_pressure > 0.05


def test_a_kernel_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    accounts = Accounts(proc=tmp_path)
    found = accounts.since(accounts.read(), ran=0.0)
    accounts.close()
    assert found.major_faults is not None
    assert found == KernelAccount(
        ran=0.0, over=found.over, cpus=found.cpus, major_faults=found.major_faults
    )


def test_what_was_not_told_at_one_of_both_moments_is_not_known() -> None:
    before = Reading(1.0, {"waited": None, "stolen": 1.0}, {"7": 2.0, "8": None})
    after = Reading(3.5, {"waited": 7.0, "stolen": 1.25}, {"8": 9.0, "9": 9.0})
    found = grown(before, after, ran=0.5, cpus=2)
    assert found == KernelAccount(ran=0.5, over=2.5, cpus=2, stolen=0.25)


def test_of_other_threads_the_one_that_waited_longest_counts() -> None:
    before = Reading(1.0, {}, {"7": 2.0, "8": 5.0})
    after = Reading(3.5, {}, {"7": 4.0, "8": 5.5, "9": 9.0})
    assert grown(before, after, ran=0.0, cpus=2).another_waited == 2.0


def test_delays_are_unknown_where_nobody_says_that_they_are_counted(
    tmp_path: Path,
) -> None:
    """A 0 of a kernel that does not count is no evidence that there was no delay."""
    stat = Path("/proc/thread-self/stat").read_text()
    (tmp_path / "thread-self").mkdir()
    (tmp_path / "thread-self" / "stat").write_text(stat)
    (tmp_path / "sys" / "kernel").mkdir(parents=True)
    switch = tmp_path / "sys" / "kernel" / "task_delayacct"
    told = []
    for text in (None, "0\n", "1\n"):
        if text is not None:
            switch.write_text(text)
        accounts = Accounts(proc=tmp_path)
        told.append(accounts.read().counters["blocked_on_io"])
        accounts.close()
    assert told == [None, None, 0.0]
