"""postmaster.pid: who holds the data directory, and is that process a postmaster?"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from regnal.bridges.postgres.processes import Process, look_at

PID_FILE = "postmaster.pid"
START_TOLERANCE_SECONDS = 3.0
"""Between the start of the process and what it wrote into the file."""

HIGHEST_PID = 1 << 31
LATEST_START = 1 << 40
"""Seconds since 1970: far beyond what any server writes."""

logger = logging.getLogger(__name__)

ServerPhase = Literal["starting", "stopping", "ready", "standby"]
"""The last line of the file (10 and later); standby: up, but hot_standby is off."""

PHASES: dict[str, ServerPhase] = {
    "starting": "starting",
    "stopping": "stopping",
    "ready": "ready",
    "standby": "standby",
}


@dataclass(frozen=True, slots=True)
class PidFile:
    pid: int
    data_dir: Path
    started_at: int
    """Seconds since 1970."""

    phase: ServerPhase | None
    """None: not written yet, or the server is older than 10."""


def read_pid_file(data_dir: Path) -> PidFile | None:
    """None: it is missing, not readable or not complete."""
    try:
        text = (data_dir / PID_FILE).read_text(errors="replace")
    except OSError:
        return None
    return parse_pid_file(text)


def parse_pid_file(text: str) -> PidFile | None:
    """None: not complete, as while it is being written.

    A single-user server writes its pid with a minus sign.
    """
    lines = text.splitlines()
    try:
        pid, started_at = abs(int(lines[0])), int(lines[2])
    except (IndexError, ValueError):
        return None
    if not 0 < pid < HIGHEST_PID or not 0 <= started_at < LATEST_START:
        return None
    phase = PHASES.get(lines[7].strip()) if len(lines) > 7 else None
    return PidFile(pid, Path(lines[1]), started_at, phase)


def find_postmaster(data_dir: Path) -> Process | None:
    """The process that runs this data directory; None: nobody does (PG-02)."""
    file = read_pid_file(data_dir)
    if file is None:
        return None
    process = look_at(file.pid)
    if process is None:
        return None
    doubt = why_not_postmaster(process, file, data_dir)
    if doubt is None:
        return process
    logger.warning(
        "postmaster.pid is stale: process %s is not the postmaster: %s.",
        file.pid,
        doubt,
    )
    return None


def recycled_pid(data_dir: Path) -> int | None:
    """A pid in the file that belongs to an unrelated live process (PG-03)."""
    file = read_pid_file(data_dir)
    if file is None:
        return None
    process = look_at(file.pid)
    if process is None or why_not_postmaster(process, file, data_dir) is None:
        return None
    return file.pid


def why_not_postmaster(process: Process, file: PidFile, data_dir: Path) -> str | None:
    """Why this live process did not write the file; None: it did (PG-04)."""
    if process.is_zombie:
        return "it has ended"
    # A server works in its data directory all its life; this, unlike the times,
    # does not depend on a wall clock that somebody may have set.
    if process.directory is not None and not same_directory(
        process.directory, data_dir
    ):
        return f"its working directory is {process.directory}"
    if process.executable is not None and "postgres" in process.executable.name:
        return None
    difference = abs(process.started_at - file.started_at)
    if difference > START_TOLERANCE_SECONDS:
        return (
            f"it is {process.executable or 'a program'} and began "
            f"{difference:.0f} s before or after the server did"
        )
    return None


def same_directory(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other
