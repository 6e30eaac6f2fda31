"""Explaining while the daemon runs: in a process of its own, out of everybody's way.

An explanation reads journals for seconds; in the daemon it would hold the interpreter's
lock from those who keep PostgreSQL.  So `regnal explain` is run, at the lowest priority,
one at a time, with limits; whoever does not want it any more has it killed.
"""

import contextlib
import os
import resource
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

from regnal.messages.base import Bytes, Seconds
from regnal.messages.incidents import IncidentName

EXPLAIN_WITHIN: Seconds = 120.0
"""A gigabyte of journal takes a minute on a busy host."""

OUTPUT_LIMIT: Bytes = 16 * 1024 * 1024
"""Of a report; most have less than a hundredth of that."""

ERROR_LIMIT: Bytes = 4096
"""Of what is said of a failure."""

MEMORY_LIMIT: Bytes = 2 * 1024 * 1024 * 1024
"""Of address space: an explanation must never push PostgreSQL out of memory."""

NICENESS = 19
OOM_SCORE = 1000
"""Where memory is short all the same, the kernel takes it first (proc(5))."""

LOOK_EVERY: Seconds = 0.1
"""How often we look whether anybody still wants it."""


PROGRAM = (sys.executable, "-m", "regnal", "explain")
"""The program that explains, before its options."""


class Explained(NamedTuple):
    """How the process ended."""

    status: int | None
    """Its exit status, negative: a signal; None: it was not run, or killed by us."""

    output: bytes
    error: str
    """What it said of its failure, or why we ended it; empty: it succeeded."""


class Explainer:
    """Runs one explanation at a time; safe from any thread."""

    def __init__(self, directory: Path, program: Sequence[str] = PROGRAM) -> None:
        """`directory`: of this member's journal."""
        self._directory = directory
        self._program = program
        self._lock = threading.Lock()

    def explain(
        self,
        incident: IncidentName,
        form: str,
        dropped: threading.Event,
        *,
        waits: bool = True,
    ) -> Explained:
        """Run it to its end, or until `dropped` is set.

        `waits`: for another one that is under way.
        """
        while not self._lock.acquire(timeout=LOOK_EVERY):
            if not waits or dropped.is_set():
                return Explained(None, b"", BUSY)
        try:
            return run(self._command(incident, form), dropped)
        finally:
            self._lock.release()

    def _command(self, incident: IncidentName, form: str) -> list[str]:
        return [
            *self._program,
            f"--incident={incident}",
            f"--format={form}",
            str(self._directory),
        ]


def http_status(explained: Explained) -> int:
    """What `GET /explain` answers."""
    if explained.status == 0:
        return 200
    if explained.error == BUSY:
        return 503
    # click says of what a person asked wrongly: `Error: ...`.
    is_answer = explained.status == 1 and explained.error.startswith("Error: ")
    return 404 if is_answer else 500


BUSY = "another explanation is under way; try again later"


def run(
    command: Sequence[str],
    dropped: threading.Event,
    *,
    within: Seconds = EXPLAIN_WITHIN,
    limit: Bytes = OUTPUT_LIMIT,
) -> Explained:
    """Run the program at the lowest priority.  Never raises for what it does."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        return Explained(None, b"", f"{command[0]} could not be started: {error}")
    _stand_back(process.pid)
    with process:
        try:
            return _watch(process, dropped, within, limit)
        finally:
            process.kill()


def _stand_back(pid: int) -> None:
    """Let everything else on this host come first."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
        resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(OOM_SCORE))


def _watch(
    process: subprocess.Popen[bytes],
    dropped: threading.Event,
    within: Seconds,
    limit: Bytes,
) -> Explained:
    assert process.stdout is not None
    assert process.stderr is not None
    deadline = time.monotonic() + within
    output, error = bytearray(), bytearray()
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdout, selectors.EVENT_READ, output)
        pipes.register(process.stderr, selectors.EVENT_READ, error)
        while pipes.get_map():
            if dropped.is_set():
                return Explained(None, b"", "nobody wants it any more")
            if time.monotonic() > deadline:
                return Explained(None, b"", f"it took longer than {within:.0f} s")
            for key, _ in pipes.select(LOOK_EVERY):
                pipe: IO[bytes] = key.fileobj  # type: ignore[assignment]  # as registered
                chunk = os.read(pipe.fileno(), 64 * 1024)
                if not chunk:
                    pipes.unregister(pipe)
                key.data.extend(chunk)
                del error[ERROR_LIMIT:]
            if len(output) > limit:
                return Explained(None, b"", f"it wrote more than {limit} bytes")
    status = process.wait()
    text = error.decode("utf-8", "replace").strip()
    if status == 0:
        return Explained(0, bytes(output), "")
    return Explained(status, b"", text or f"it ended with status {status}")
