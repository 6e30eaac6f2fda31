"""The postmaster: start, recognise, signal and wait for it, without polling its exit.

A postmaster that we start is our child in a session of its own: we learn its exit
status, and it outlives us, whatever ends us.
"""

import contextlib
import os
import select
import signal
import threading
import time
import weakref
from collections.abc import Iterable
from pathlib import Path

from regnal.bridges.postgres.conninfo import socket_directories
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.pid_file import (
    PID_FILE,
    find_postmaster,
    read_pid_file,
    recycled_pid,
)
from regnal.bridges.postgres.processes import (
    Process,
    children_of,
    kill,
    look_at,
    working_in,
)
from regnal.bridges.postgres.programs import CancelToken, find_binary, spawn
from regnal.messages.base import Seconds
from regnal.messages.reasons import because

STOP_SIGNALS = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}

FIRST_STEP: Seconds = 0.002
LAST_STEP: Seconds = 0.02
"""How often files that the kernel cannot tell us about in time are looked at:
often at first, as most starts are quick, less often in a long recovery."""

CHILDREN_TIMEOUT: Seconds = 5.0
"""How long children of a dead postmaster may take to go after SIGKILL."""


class Postmaster:
    """A postmaster that ran when this was made: pid and start time in one.

    The descriptor of the process makes signals safe from recycled pids, and its
    end known at once.
    """

    def __init__(self, process: Process, data_dir: Path, *, is_child: bool) -> None:
        """Raises ProcessLookupError if it has ended and is nobody's zombie."""
        self.pid = process.pid
        self.started_ticks = process.started_ticks
        self.data_dir = data_dir
        self.descriptor = os.pidfd_open(process.pid)
        self.stop_expected = False
        """Whether the operator is stopping it."""

        self._is_child = is_child
        self._status: int | None = None
        self._reaping = threading.Lock()
        weakref.finalize(self, os.close, self.descriptor)

    @property
    def is_running(self) -> bool:
        return not self.wait_for_exit(0)

    def wait_for_exit(self, seconds: Seconds) -> bool:
        """Whether it has ended within the time."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def send(self, number: signal.Signals) -> None:
        """Signal it; nothing happens if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, number)

    def exit_status(self) -> int | None:
        """Reap it.  Negative: the signal; None: it runs, or was not our child."""
        with self._reaping:
            if self._is_child and self._status is None:
                with contextlib.suppress(ChildProcessError):
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                    if pid:
                        self._status = os.waitstatus_to_exitcode(status)
            return self._status

    def kill_with_children(self) -> None:
        """SIGKILL to it and to all its children, so that nobody writes any more."""
        children = children_of(self.pid)
        self.send(signal.SIGKILL)
        for child in children:
            kill(child)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Postmaster)
            and self.pid == other.pid
            and self.started_ticks == other.started_ticks
        )

    def __hash__(self) -> int:
        return hash((self.pid, self.started_ticks))


def adopt(data_dir: Path) -> Postmaster | None:
    """The postmaster that runs this data directory, whoever started it."""
    process = find_postmaster(data_dir)
    if process is None:
        return None
    try:
        return Postmaster(process, data_dir, is_child=False)
    except ProcessLookupError:
        return None


def launch(options: PostgresOptions, arguments: Iterable[str]) -> Postmaster:
    """Start a postmaster; whether it will accept connections is yet to be seen.

    Raises OperationError if the program is missing or ends at once.
    """
    make_directories(options)
    argv: list[str | Path] = [
        find_binary(options, "postgres"),
        "-D",
        options.data_dir,
        f"--config-file={config_file(options)}",
        *arguments,
    ]
    child = spawn(argv, env=server_environment(options), cwd=Path("/"))
    # From now on Postmaster reaps it, and nobody else may.
    child.returncode = 0
    process = look_at(child.pid)
    if process is None:
        raise OperationError(because("START_FAILED", signal=None, status=None))
    return Postmaster(process, options.data_dir, is_child=True)


def wait_until_ready(
    postmaster: Postmaster, cancel: CancelToken, timeout: Seconds
) -> None:
    """Wait until it says in its pid file that it accepts connections.

    That costs a connection attempt less than asking it, and leaves no line in its
    log.  Raises OperationError if it ends or the time does, and Cancelled.
    """
    deadline = time.monotonic() + timeout
    step = FIRST_STEP
    while True:
        if cancel.wait(step, postmaster.descriptor):
            status = postmaster.exit_status()
            raise OperationError(because("START_FAILED", **describe_exit(status)))
        file = read_pid_file(postmaster.data_dir)
        if file and file.pid == postmaster.pid and file.phase in ("ready", "standby"):
            return
        if time.monotonic() > deadline:
            raise OperationError(because("START_TIMEOUT", seconds=timeout))
        step = min(step * 1.2, LAST_STEP)


def describe_exit(status: int | None) -> dict[str, int | None]:
    """Parameters `signal` and `status` of a reason, from Popen's return code."""
    if status is None:
        return {"signal": None, "status": None}
    if status < 0:
        return {"signal": -status, "status": None}
    return {"signal": None, "status": status}


def config_file(options: PostgresOptions) -> Path:
    return options.config_dir / f"{options.config_base_name}.conf"


def server_environment(options: PostgresOptions) -> dict[str, str]:
    """What the server needs over the cleaned environment."""
    environment = {}
    recycled = recycled_pid(options.data_dir)
    if recycled is not None:
        # The server then knows that this process is none of its kind (PG-03).
        environment["PG_GRANDPARENT_PID"] = str(recycled)
    if options.pg_malloc_arena_max is not None:
        environment["MALLOC_ARENA_MAX"] = options.pg_malloc_arena_max
    return environment


def make_directories(options: PostgresOptions) -> None:
    """Make the directories that the server expects to find (PG-16).

    Raises OperationError.
    """
    parameters = {name.lower(): value for name, value in options.parameters.items()}
    statistics = str(parameters.get("stats_temp_directory") or "").strip()
    for name in (*(socket_directories(options) or ()), statistics):
        path = Path(name)
        if not name or name.startswith("@"):
            continue  # nothing asked for, or a socket outside the file system
        if not path.is_absolute():
            path = options.data_dir / path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OperationError(
                because("IO_ERROR", path=str(path), error=error.strerror)
            ) from error


def orphans(data_dir: Path) -> tuple[Process, ...]:
    """Server processes in this data directory whose postmaster is gone.

    Each is in a session of its own, so that neither session nor group finds them;
    their working directory does.
    """
    here = tuple(working_in(data_dir))
    alive = {process.pid for process in here}
    return tuple(
        process
        for process in here
        if process.command_line.startswith("postgres:") and process.parent not in alive
    )


def end_orphans(data_dir: Path, timeout: Seconds = CHILDREN_TIMEOUT) -> bool:
    """Kill what a dead postmaster left behind; whether all of it is gone.

    They may still write WAL, and a new postmaster refuses to start beside them.
    """
    if not (data_dir / PID_FILE).exists():
        return True  # a postmaster that ends in order waits for all of them first
    deadline = time.monotonic() + timeout
    left = orphans(data_dir)
    while left and time.monotonic() < deadline:
        for process in left:
            kill(process)
        for process in left:
            _wait_for_end(process.pid, deadline - time.monotonic())
        left = orphans(data_dir)
    return not left


def _wait_for_end(pid: int, seconds: Seconds) -> None:
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(max(0.0, seconds) * 1000)
        finally:
            os.close(descriptor)
