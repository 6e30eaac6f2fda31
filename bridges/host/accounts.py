"""The kernel's accounts of the daemon and of its host, read at two moments.

Every file stays open, and is read anew from its beginning: all of them together cost
a quarter of a millisecond, where nothing is in the CPU's cache.
"""

import contextlib
import os
import resource
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from regnal.bridges.host import kernel_files
from regnal.bridges.host.cgroups import PROC, VERSION_2, cgroup_directories
from regnal.messages.base import Bytes, Seconds
from regnal.messages.host import KernelAccount

LARGEST: Bytes = 16384
"""Of a file that is read: all of it, or its first line, is much shorter."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters that only grow, at one moment."""

    at: Seconds
    """By the clock that stands still while the host is suspended."""

    counters: Mapping[str, float | None]
    """By the field of `KernelAccount`; None: the kernel does not tell."""

    waits: Mapping[str, Seconds | None]
    """How long each other thread of the daemon has waited for a CPU, by its id."""


class Accounts:
    """Made and used by one thread: how long that one waits is counted."""

    def __init__(self, proc: Path = PROC) -> None:
        self.cpus = os.cpu_count() or 1
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._schedstat = KernelFile(proc / "thread-self" / "schedstat")
        self._stat = KernelFile(proc / "thread-self" / "stat")
        self._tasks = proc / "self" / "task"
        self._task_files: dict[str, KernelFile] = {}
        with KernelFile(proc / "sys" / "kernel" / "task_delayacct") as switch:
            self._counts_delays = switch.text().strip() == "1"
        self._host_stat = KernelFile(proc / "stat")
        self._cpu_stats = tuple(
            KernelFile(directory / "cpu.stat")
            for directory in cgroup_directories("cpu", proc=proc)
        )
        own = next(iter(cgroup_directories(VERSION_2, proc=proc)), None)
        self._freezer = KernelFile(own / "cgroup.stat.local" if own else None)
        self._cpu_pressure = KernelFile(proc / "pressure" / "cpu")
        self._memory_pressure = KernelFile(proc / "pressure" / "memory")
        self._io_pressure = KernelFile(proc / "pressure" / "io")

    def read(self) -> Reading:
        blocked = kernel_files.blocked_on_io(self._stat.text(), self._ticks)
        if not blocked and not self._counts_delays:
            blocked = None  # kernels before 5.14 may count without a switch
        throttled = [kernel_files.throttled(file.text()) for file in self._cpu_stats]
        counters = {
            "waited": kernel_files.waited_for_a_cpu(self._schedstat.text()),
            "blocked_on_io": blocked,
            "major_faults": resource.getrusage(resource.RUSAGE_SELF).ru_majflt,
            "stolen": kernel_files.stolen(self._host_stat.text(), self._ticks),
            "throttled": _sum(throttled),
            "frozen": kernel_files.frozen(self._freezer.text()),
            "cpu_pressure": kernel_files.pressure(self._cpu_pressure.text(), "some"),
            "memory_pressure": kernel_files.pressure(
                self._memory_pressure.text(), "full"
            ),
            "io_pressure": kernel_files.pressure(self._io_pressure.text(), "full"),
        }
        return Reading(time.monotonic(), counters, self._waits())

    def since(self, before: Reading, ran: Seconds) -> KernelAccount:
        """What was counted from then on; `ran`: see `KernelAccount`."""
        return grown(before, self.read(), ran=ran, cpus=self.cpus)

    def close(self) -> None:
        for file in (
            self._schedstat,
            self._stat,
            *self._task_files.values(),
            self._host_stat,
            *self._cpu_stats,
            self._freezer,
            self._cpu_pressure,
            self._memory_pressure,
            self._io_pressure,
        ):
            file.close()

    def _waits(self) -> dict[str, Seconds | None]:
        """Threads end seldom, and few begin after the start."""
        try:
            present = os.listdir(self._tasks)  # noqa: PTH208 - ids, thirty at a time
        except OSError:
            return {}
        for gone in self._task_files.keys() - present:
            self._task_files.pop(gone).close()
        own = str(threading.get_native_id())
        for task in present:
            if task not in self._task_files and task != own:
                path = self._tasks / task / "schedstat"
                self._task_files[task] = KernelFile(path)
        return {
            task: kernel_files.waited_for_a_cpu(file.text())
            for task, file in self._task_files.items()
        }


def grown(before: Reading, after: Reading, *, ran: Seconds, cpus: int) -> KernelAccount:
    """By how much the counters have grown, those that were told at both moments."""
    account: dict[str, float | None] = {
        "ran": round(ran, 6),
        "over": round(after.at - before.at, 3),
        "cpus": cpus,
    }
    for name, count in after.counters.items():
        earlier = before.counters[name]
        if count is not None and earlier is not None:
            account[name] = round(count - earlier, 6)
    account["another_waited"] = _longest(before.waits, after.waits)
    return KernelAccount.model_validate(account)


def _longest(
    before: Mapping[str, Seconds | None], after: Mapping[str, Seconds | None]
) -> Seconds | None:
    """Of the threads that were there at both moments; None: there is none."""
    waits = [
        waited - earlier
        for task, waited in after.items()
        if waited is not None and (earlier := before.get(task)) is not None
    ]
    return round(max(waits), 6) if waits else None


def _sum(values: Iterable[Seconds | None]) -> Seconds | None:
    """Of those that are known; None: none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


class KernelFile:
    """A file of /proc or /sys that is read over and over; a missing one is empty."""

    def __init__(self, path: Path | None) -> None:
        self._descriptor = -1
        if path is not None:
            with contextlib.suppress(OSError):
                self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def text(self) -> str:
        if self._descriptor < 0:
            return ""
        try:
            return os.pread(self._descriptor, LARGEST, 0).decode(errors="replace")
        except OSError:
            return ""  # its cgroup was removed, or the kernel refuses

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "KernelFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
