"""What the kernel says of processes: when one began, whose child it is, where it is.

Linux only (proc(5)).  A process that ends meanwhile is no error: it is not there.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
ZOMBIE_STATES = ("Z", "X")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One process, as it was when it was looked at."""

    pid: int
    parent: int
    state: str
    started_ticks: int
    """Clock ticks since boot: with the pid, the identity of a process."""

    command_line: str
    """As the process shows it; empty for a zombie."""

    directory: Path | None
    """Its working directory; None: not ours to know."""

    executable: Path | None
    """None: not ours to know."""

    @property
    def is_zombie(self) -> bool:
        return self.state in ZOMBIE_STATES

    @property
    def started_at(self) -> float:
        """Seconds since 1970, by today's idea of when the host was booted."""
        return boot_time() + self.started_ticks / TICKS_PER_SECOND


def look_at(pid: int) -> Process | None:
    """None: there is no such process."""
    folder = PROC / str(pid)
    try:
        stat = (folder / "stat").read_text(errors="replace")
        command_line = (folder / "cmdline").read_bytes()
    except OSError:
        return None
    # The name is in parentheses and may itself hold blanks and parentheses.
    fields = stat.rpartition(")")[2].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        state=fields[0],
        started_ticks=int(fields[19]),
        command_line=command_line.replace(b"\0", b" ").decode(errors="replace").strip(),
        directory=_link(folder / "cwd"),
        executable=_link(folder / "exe"),
    )


def pids() -> Iterator[int]:
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def working_in(directory: Path) -> Iterator[Process]:
    """The processes whose working directory it is; zombies have none."""
    try:
        wanted = directory.resolve(strict=True)
    except OSError:
        return
    for pid in pids():
        if _link(PROC / str(pid) / "cwd") == wanted:
            process = look_at(pid)
            if process is not None:
                yield process


def children_of(pid: int) -> tuple[Process, ...]:
    """The direct children, without those that have ended (PG-26)."""
    found = (look_at(candidate) for candidate in pids())
    return tuple(p for p in found if p and p.parent == pid and not p.is_zombie)


def descendants_of(pid: int) -> tuple[Process, ...]:
    """Children, their children and so on, as far as the links still hold."""
    every = [process for process in map(look_at, pids()) if process is not None]
    found: list[Process] = []
    parents = {pid}
    while parents:
        below = [process for process in every if process.parent in parents]
        found += below
        parents = {process.pid for process in below}
    return tuple(found)


def boot_time() -> float:
    """Seconds since 1970; moves when somebody sets the wall clock."""
    for line in (PROC / "stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def kill(process: Process, number: signal.Signals = signal.SIGKILL) -> None:
    """Signal the process, unless its pid belongs to another one by now."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        descriptor = os.pidfd_open(process.pid)
        try:
            now = look_at(process.pid)
            if now is not None and now.started_ticks == process.started_ticks:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def _link(path: Path) -> Path | None:
    try:
        return path.readlink()
    except OSError:
        return None
