"""What the kernel's files say: pure functions from their text to a number.

Each returns None where the text has no such number: another kernel, or another
configuration of it.  Formats: proc(5), Documentation/accounting/psi.rst,
Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of the kernel.
"""

import re

from regnal.messages.base import Seconds

_NANO = 1e-9
_MICRO = 1e-6

IO_DELAY_FIELD = 42
STEAL_COLUMN = 8
"""Counted from 1, as proc(5) does, the name of the line being the first column."""

_PRESSURE = re.compile(r"^(some|full) .*\btotal=(\d+)$", re.MULTILINE)
_THROTTLED = re.compile(r"^(throttled_usec|throttled_time) (\d+)$", re.MULTILINE)
_FROZEN = re.compile(r"^frozen_usec (\d+)$", re.MULTILINE)
_OOM_KILL = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def waited_for_a_cpu(schedstat: str) -> Seconds | None:
    """/proc/…/schedstat: how long the thread was ready to run and did not."""
    fields = schedstat.split()
    if len(fields) < 2 or not fields[1].isdecimal():
        return None
    return int(fields[1]) * _NANO


def blocked_on_io(stat: str, ticks_per_second: int) -> Seconds | None:
    """/proc/…/stat: how long the thread waited for block devices, 0 while the kernel
    keeps no delay accounts."""
    # The name of the program, in parentheses, may hold anything.
    fields = stat.rpartition(")")[2].split()
    index = IO_DELAY_FIELD - 3  # the state, after the name, is field 3
    if len(fields) <= index or not fields[index].isdecimal():
        return None
    return int(fields[index]) / ticks_per_second


def stolen(proc_stat: str, ticks_per_second: int) -> Seconds | None:
    """/proc/stat: for how long, over all CPUs, the hypervisor ran somebody else."""
    fields = proc_stat.partition("\n")[0].split()
    if len(fields) <= STEAL_COLUMN or fields[0] != "cpu":
        return None
    return int(fields[STEAL_COLUMN]) / ticks_per_second


def pressure(text: str, share: str) -> Seconds | None:
    """/proc/pressure/…: for how long `some` or all (`full`) tasks were stalled."""
    for found, total in _PRESSURE.findall(text):
        if found == share:
            return int(total) * _MICRO
    return None


def throttled(cpu_stat: str) -> Seconds | None:
    """cpu.stat of a cgroup: for how long, over all CPUs, its quota held it back."""
    found = _THROTTLED.search(cpu_stat)
    if found is None:
        return None
    return int(found[2]) * (_MICRO if found[1] == "throttled_usec" else _NANO)


def frozen(cgroup_stat_local: str) -> Seconds | None:
    """cgroup.stat.local of version 2: for how long the cgroup, or one around it, was
    frozen (a container was paused)."""
    found = _FROZEN.search(cgroup_stat_local)
    return int(found[1]) * _MICRO if found else None


def oom_kills(text: str) -> int | None:
    """/proc/vmstat, memory.events or memory.oom_control: how many processes the kernel
    has killed for want of memory."""
    found = _OOM_KILL.search(text)
    return int(found[1]) if found else None
