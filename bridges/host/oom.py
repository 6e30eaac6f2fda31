"""Whether the kernel killed a process for want of memory, as surely as it tells.

It does not say why a process got SIGKILL, but counts whom it has killed: in every
cgroup, and on the whole host.  It counts before it sends the signal.
"""

import signal
from pathlib import Path
from typing import NamedTuple

from regnal.bridges.host import kernel_files
from regnal.bridges.host.cgroups import PROC, cgroup_directories, mounts_of

VERSION_1 = "memory.oom_control"
COUNTS = ("memory.events.local", "memory.events", VERSION_1)
"""Of a cgroup, the best first: its own processes in version 2, with those of cgroups
inside it (before 5.2), version 1."""


class Counts(NamedTuple):
    """How many were killed, at one moment."""

    cgroup: Path | None
    """What counts for the cgroup of the process; None: nothing does, or it is gone."""

    in_cgroup: int | None
    on_host: int | None
    """None: kernels of this age do not count."""


class OomKills:
    """The counts that concern one process, from when it runs until it has ended."""

    def __init__(self, pid: int, proc: Path = PROC) -> None:
        self._pid = pid
        self._host = proc / "vmstat"
        self._proc = proc
        self._mounts = mounts_of(proc)
        self._noted = self.count()

    def count(self) -> Counts:
        """While the process is there (as a zombie at the end): somebody may have moved
        it to another cgroup."""
        on_host = _kills(self._host)
        directories = cgroup_directories(
            "memory", str(self._pid), self._proc, self._mounts
        )
        for here in directories[:1]:
            for name in COUNTS:
                kills = _kills(here / name)
                if kills is not None:
                    return Counts(here / name, kills, on_host)
        return Counts(None, None, on_host)

    def note(self, counts: Counts) -> None:
        """The process was seen to run after these."""
        self._noted = counts

    def killed(self, now: Counts, status: int | None) -> bool | None:
        """Whether the process, or one of its children, was killed after those noted;
        None: it cannot be known.

        `now` is counted before anybody reaps it; `status` is as Popen has it, None
        where the kernel tells it to somebody else.
        """
        grown = _has_grown(self._noted, now)
        if not grown:
            return grown
        if status == -signal.SIGKILL:
            return True
        # It ended by itself, or we do not know how, and somebody was killed: where that
        # was in its own cgroup, a child of it, after which it may end.
        return True if now.cgroup is not None and status is not None else None


def _has_grown(before: Counts, now: Counts) -> bool | None:
    """Whether somebody was killed in its cgroup, or else on the host."""
    host = _grown(before.on_host, now.on_host)
    if now.cgroup is None and before.cgroup is None:
        return host
    if now.cgroup == before.cgroup:
        return _grown(before.in_cgroup, now.in_cgroup)
    if now.cgroup is not None and now.cgroup.name != VERSION_1:
        # Moved since: what was counted there before is not known.
        return host if now.in_cgroup else False
    # Reaped; or a zombie, which version 1 shows in the root, wherever it was.  It was
    # in the one we knew, if nobody moved it.
    own = None
    if before.cgroup is not None:
        own = _grown(before.in_cgroup, _kills(before.cgroup))
    return own if own or host is False else None


def _grown(before: int | None, now: int | None) -> bool | None:
    return None if before is None or now is None else now != before


def _kills(file: Path) -> int | None:
    """None: there is no such file, or kernels of its age do not count in it."""
    try:
        return kernel_files.oom_kills(file.read_text())
    except OSError:
        return None
