"""Whether the kernel killed a process for want of memory, as surely as it tells.

It does not say why a process got SIGKILL, but counts whom it has killed: in every
cgroup, and on the whole host.  It counts before it sends the signal.
"""

import signal
from pathlib import Path
from typing import NamedTuple

from regnal.bridges.host import kernel_files
from regnal.bridges.host.cgroups import PROC, cgroup_directories, mounts_of

COUNTS = ("memory.events.local", "memory.events", "memory.oom_control")
"""Of a cgroup, the best first: its own processes in version 2, with those of cgroups
inside it (before 5.2), version 1."""


class Count(NamedTuple):
    """Of all kills that may concern a process."""

    file: Path
    kills: int | None
    """None: the kernel does not count, or the cgroup is gone."""


class OomKills:
    """The count that concerns one process, from when it runs until it has ended."""

    def __init__(self, pid: int, proc: Path = PROC) -> None:
        self._pid = pid
        self._host = proc / "vmstat"
        self._proc = proc
        self._mounts = mounts_of(proc)
        self._noted = self.count()

    def count(self) -> Count:
        """While it runs: it may have been moved to another cgroup."""
        directories = cgroup_directories(
            "memory", str(self._pid), self._proc, self._mounts
        )
        for here in directories[:1]:
            for name in COUNTS:
                kills = _kills(here / name)
                if kills is not None:
                    return Count(here / name, kills)
        return Count(self._host, _kills(self._host))

    def note(self, count: Count) -> None:
        """The process was seen to run after these."""
        self._noted = count

    def killed(self, status: int | None) -> bool | None:
        """Whether the process, or one of its children, was killed after those noted;
        None: it cannot be known.

        `status` is as Popen has it; None: the kernel tells it to somebody else.
        """
        file, noted = self._noted
        kills = _kills(file)
        if kills is None or noted is None:
            return None
        if kills == noted:
            return False
        if status == -signal.SIGKILL:
            return True
        # It ended by itself, or we do not know how, and somebody was killed: where that
        # was in its own cgroup, a child of it, after which it may end.
        return True if file != self._host and status is not None else None


def _kills(file: Path) -> int | None:
    """None: there is no such file, or kernels of its age do not count in it."""
    try:
        return kernel_files.oom_kills(file.read_text())
    except OSError:
        return None
