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
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, NamedTuple

from pydantic_core import to_json

from regnal.bridges.http.options import ClientOptions
from regnal.messages.base import Bytes, Seconds, WallTime
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

LOOK_BACK = timedelta(minutes=10)
"""Before an incident began; its journal is pinned from then on."""

LOOK_EVERY: Seconds = 0.1
"""How often we look whether anybody still wants it."""


PROGRAM = (sys.executable, "-m", "regnal", "explain")
"""The program that explains, before its options."""


NO_JOURNAL = 2
"""Exit status of `regnal explain` where it could read none."""


class Explained(NamedTuple):
    """How the process ended."""

    status: int | None
    """Its exit status, negative: a signal; None: it was not run, or killed by us."""

    output: bytes
    error: str
    """What it said of its failure, or why we ended it; empty: it succeeded."""


class Question(NamedTuple):
    """What is to be explained."""

    incident: IncidentName
    form: str
    """Of `regnal explain --format`."""

    since: WallTime | None
    """From when on the journals are read; None: from their beginning."""


class Explainer:
    """Runs one explanation at a time; safe from any thread."""

    def __init__(self, directory: Path, program: Sequence[str] = PROGRAM) -> None:
        """`directory`: of this member's journal."""
        self._directory = directory
        self._program = program
        self._lock = threading.Lock()
        self._own_api: str | None = None
        self._client = b"{}"

    def reconfigure(self, own_api: str, client: ClientOptions) -> None:
        """Ask all members for their journals: those that our own REST API names, and
        itself, as `client` says."""
        self._own_api = own_api
        self._client = client_document(client)

    def explain(
        self, question: Question, dropped: threading.Event, *, waits: bool = True
    ) -> Explained:
        """Run it to its end, or until `dropped` is set.

        `waits`: for another one that is under way.
        """
        while not self._lock.acquire(timeout=LOOK_EVERY):
            if not waits or dropped.is_set():
                return Explained(None, b"", BUSY)
        try:
            if self._own_api is not None:
                explained = self._run(question, self._own_api, dropped)
                if explained.status != NO_JOURNAL:
                    return explained
            # Where nobody can be reached, not even we ourselves, there is the disk.
            return self._run(question, str(self._directory), dropped)
        finally:
            self._lock.release()

    def _run(
        self, question: Question, place: str, dropped: threading.Event
    ) -> Explained:
        return run(self._command(question, place), dropped, given=self._client)

    def _command(self, question: Question, place: str) -> list[str]:
        since = () if question.since is None else (f"--since={question.since}",)
        return [
            *self._program,
            f"--incident={question.incident}",
            f"--format={question.form}",
            *since,
            "--config=/dev/stdin",
            place,
        ]


def client_document(client: ClientOptions) -> bytes:
    """A configuration that says how to speak to members.  It goes through a pipe: other
    users can read the command line, and nothing is left on a disk."""
    account = client.credentials
    paths = {
        "cacert": client.cacert,
        "certfile": client.certfile,
        "keyfile": client.keyfile,
        "keyfile_password": client.keyfile_password,
    }
    section: dict[str, Any] = {
        "insecure": client.insecure,
        **{name: str(value) for name, value in paths.items() if value is not None},
    }
    if account is not None:
        section["authentication"] = {
            "username": account.username,
            "password": account.password,
        }
    return to_json({"ctl": section})


def earlier(began: WallTime) -> WallTime:
    """So long before an incident began that its cause is told as well."""
    try:
        moment = datetime.fromisoformat(began) - LOOK_BACK
    except (ValueError, OverflowError):
        return began
    return moment.isoformat()


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
    given: bytes = b"",
    within: Seconds = EXPLAIN_WITHIN,
    limit: Bytes = OUTPUT_LIMIT,
) -> Explained:
    """Run the program at the lowest priority.  Never raises for what it does.

    `given`: its standard input, less than a pipe takes at once (pipe(7): 64 KiB).
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
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
            _give(process, given)
            return _watch(process, dropped, within, limit)
        finally:
            process.kill()


def _stand_back(pid: int) -> None:
    """Let everything else on this host come first."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
        resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(OOM_SCORE))


def _give(process: subprocess.Popen[bytes], given: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended already
        process.stdin.write(given)
        process.stdin.close()


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
