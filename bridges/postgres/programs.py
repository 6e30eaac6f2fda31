"""Running a program: in its own session, with a clean environment, endable at once.

Everything that PostgreSQL's tools, the operator's scripts and the server itself
have in common when they are started is here.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from regnal.bridges.postgres.errors import (
    Cancelled,
    MissingBinary,
    ProgramNotStarted,
    ProgramTimeout,
)
from regnal.bridges.postgres.options import PostgresOptions
from regnal.messages.base import Seconds

OUTPUT_LIMIT = 1 << 20
"""Bytes kept of each stream, the last ones: a verbose tool must not eat memory."""

FORBIDDEN_PREFIXES = ("PATRONI_", "REGNAL_", "KUBERNETES_")
"""They may hold passwords and tokens, which SQL could read from the server's
environment."""

FORBIDDEN_NAMES = frozenset({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})
"""The service manager's: a child that used them would speak in our name."""

OnOutput = Callable[[str], None]
"""Hears each line of standard output and standard error as it comes; a carriage
return ends a line too, as progress bars use it."""


@dataclass(frozen=True, slots=True)
class ProgramResult:
    exit_status: int
    """Negative: ended by that signal."""

    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams, for the reader of a failure."""
        return "\n".join(filter(None, (self.stdout.strip(), self.stderr.strip())))


class CancelToken:
    """Says once, for good, that an operation must end.

    It can be asked, waited for, or polled by its descriptor beside others.
    """

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._open = True
        self._reason: str | None = None

    def cancel(self, reason: str) -> None:
        """Safe from any thread, any number of times; the first reason stays."""
        with self._lock:
            if self._reason is None:
                self._reason = reason
                if self._open:
                    os.eventfd_write(self._descriptor, 1)

    @property
    def reason(self) -> str | None:
        """Why it was cancelled; None: it was not."""
        return self._reason

    def fileno(self) -> int:
        """Becomes readable, and stays so, when cancelled."""
        return self._descriptor

    def raise_if_cancelled(self) -> None:
        if self._reason is not None:
            raise Cancelled(self._reason)

    def wait(self, seconds: Seconds, *descriptors: int) -> list[int]:
        """Wait until one of `descriptors` is readable, and return those that are.

        Returns nothing when the time is over.  Raises Cancelled.
        """
        self.raise_if_cancelled()
        poll = select.poll()
        for descriptor in (self._descriptor, *descriptors):
            poll.register(descriptor, select.POLLIN)
        ready = [found for found, _ in poll.poll(max(0.0, seconds) * 1000)]
        self.raise_if_cancelled()
        return ready

    def close(self) -> None:
        """Give the descriptor back; nobody may wait any more."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._descriptor)

    def __enter__(self) -> "CancelToken":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run_program(
    argv: Sequence[str | Path],
    *,
    cancel: CancelToken,
    timeout: Seconds | None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_output: OnOutput | None = None,
    stdin: int = subprocess.DEVNULL,
) -> ProgramResult:
    """Run the program to its end and return what it said.

    `env` is laid over the cleaned environment.  Raises Cancelled or
    ProgramTimeout after killing the program with its whole process group,
    ProgramNotStarted.
    """
    cancel.raise_if_cancelled()
    process = spawn(argv, env=env, cwd=cwd, stdin=stdin, pipes=True)
    assert process.stdout is not None
    assert process.stderr is not None
    collector = _Collector(process.stdout, process.stderr, on_output)
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        with pidfd(process.pid) as exited:
            if not collector.collect(exited, cancel, deadline):
                assert timeout is not None
                kill_group(process.pid)
                process.wait()
                raise ProgramTimeout(
                    Path(argv[0]).name, timeout, collector.result(0).output
                )
        return collector.result(process.wait())
    finally:
        if process.poll() is None:
            kill_group(process.pid)
            process.wait()
        process.stdout.close()
        process.stderr.close()


def spawn(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    pipes: bool = False,
) -> subprocess.Popen[bytes]:
    """Start the program as leader of its own session and process group.

    Without `pipes` it inherits our standard output and standard error.  Raises
    ProgramNotStarted.
    """
    output = subprocess.PIPE if pipes else None
    try:
        return subprocess.Popen(
            [str(word) for word in argv],
            stdin=stdin,
            stdout=output,
            stderr=output,
            cwd=cwd or working_directory(),
            env={**clean_environment(), **(env or {})},
            start_new_session=True,
        )
    except OSError as error:
        text = error.strerror or str(error)
        raise ProgramNotStarted(str(argv[0]), text) from error


def find_binary(options: PostgresOptions, name: str) -> Path:
    """Where PostgreSQL's program `name` is.  Raises MissingBinary."""
    actual = options.bin_names.get(name, name)
    found = shutil.which(actual, path=str(options.bin_dir) if options.bin_dir else None)
    if found is None:
        raise MissingBinary(actual, str(options.bin_dir or "PATH"))
    return Path(found)


def clean_environment() -> dict[str, str]:
    """Our environment without what the server must not see (PG-09)."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FORBIDDEN_PREFIXES) and name not in FORBIDDEN_NAMES
    }


def working_directory() -> Path:
    """Ours, unless somebody removed it under our feet (PG-28)."""
    try:
        return Path.cwd()
    except OSError:
        return Path("/")


@contextlib.contextmanager
def pidfd(pid: int) -> Iterator[int]:
    """A descriptor that becomes readable when the process ends."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def kill_group(leader: int) -> None:
    """SIGKILL to every process of the group; none may be left of it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


class _Collector:
    """Reads both streams of a program until it ends."""

    def __init__(
        self, stdout: IO[bytes], stderr: IO[bytes], on_output: OnOutput | None
    ) -> None:
        self._streams = {
            stream.fileno(): _Tail(on_output) for stream in (stdout, stderr)
        }
        self._open = set(self._streams)
        for descriptor in self._open:
            os.set_blocking(descriptor, False)

    def collect(
        self, exited: int, cancel: CancelToken, deadline: Seconds | None
    ) -> bool:
        """Read until the program ended; False: the deadline came first."""
        while True:
            left = 3600.0 if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return False
            ready = cancel.wait(left, exited, *sorted(self._open))
            for descriptor in self._open & set(ready):
                self._read(descriptor)
            if exited in ready:
                # Children that it left behind may hold the pipes open for ever.
                for descriptor in tuple(self._open):
                    self._read(descriptor)
                return True

    def result(self, exit_status: int) -> ProgramResult:
        stdout, stderr = (tail.text() for tail in self._streams.values())
        return ProgramResult(exit_status, stdout, stderr)

    def _read(self, descriptor: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(descriptor, 65536):
                self._streams[descriptor].add(chunk)
            self._open.discard(descriptor)


class _Tail:
    """The last bytes of a stream, told line by line on the way."""

    def __init__(self, on_output: OnOutput | None) -> None:
        self._on_output = on_output
        self._kept = bytearray()
        self._line = bytearray()

    def add(self, chunk: bytes) -> None:
        self._kept += chunk
        del self._kept[:-OUTPUT_LIMIT]
        if self._on_output is None:
            return
        self._line += chunk.replace(b"\r", b"\n")
        *lines, rest = self._line.split(b"\n")
        self._line = rest[-OUTPUT_LIMIT:]
        for line in lines:
            if line.strip():
                self._on_output(line.decode(errors="replace"))

    def text(self) -> str:
        return self._kept.decode(errors="replace")
