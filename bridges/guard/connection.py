"""A connection to the guard: one packet and its answer."""

import contextlib
import hashlib
import os
import select
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from regnal.bridges.guard import guard_process
from regnal.messages.base import Seconds

ANSWER_WITHIN: Seconds = 2.0
"""The guard does nothing else than wait for us; but the host may be very busy."""

START_WITHIN: Seconds = 5.0
"""For a new guard to say that it is ready."""

Schedule = Literal["realtime", "preferred", "normal"]


class GuardUnreachable(Exception):
    """The guard could not be started, or does not answer."""


@dataclass(frozen=True, slots=True)
class Hardened:
    """What a new guard was allowed."""

    memory_locked: bool
    schedule: Schedule
    oom_score_adj: int


class GuardConnection:
    """To a guard that answered."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.pid = pid
        self._socket = connection

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, word: str) -> None:
        """Raises GuardUnreachable."""
        answer = _exchange(self._socket, word)
        if answer != "ok":
            raise GuardUnreachable(answer)

    def close(self) -> None:
        self._socket.close()


@dataclass(frozen=True, slots=True)
class GuardAddress:
    """Where the guard of a data directory and user listens.

    Each version of the guard has an address of its own: a daemon that was upgraded
    starts the new one first, and ends the old one when the new one has its orders.
    """

    name: str
    """What the addresses of all versions begin with."""

    version: str

    def __str__(self) -> str:
        return f"{self.name}-{self.version}"

    def dial(self) -> GuardConnection | None:
        """The guard that is there; None: there is none.  Raises GuardUnreachable if
        somebody listens and does not answer."""
        connection = _connect(str(self))
        if connection is None:
            return None
        try:
            _check_that_it_is_ours(connection)
            words = _exchange(connection, "hello").split()
            if words[:2] != ["ok", guard_process.PROTOCOL]:
                raise GuardUnreachable(" ".join(words))
            return GuardConnection(connection, int(words[2]))
        except (GuardUnreachable, ValueError, IndexError) as error:
            connection.close()
            raise GuardUnreachable(str(error)) from error

    def predecessors(self) -> list[socket.socket]:
        """Connections to the guards of other versions that are there."""
        found = []
        for address in _listening():
            is_other = address.startswith(self.name) and address != str(self)
            connection = _connect(address) if is_other else None
            if connection is None:
                continue
            try:
                _check_that_it_is_ours(connection)
            except GuardUnreachable:
                connection.close()
            else:
                found.append(connection)
        return found


def address_of(data_directory: Path) -> GuardAddress:
    digest = hashlib.sha256(os.path.realpath(data_directory).encode()).hexdigest()
    return GuardAddress(f"regnal-guard-{os.geteuid()}-{digest[:24]}", VERSION)


VERSION = hashlib.sha256(Path(guard_process.__file__).read_bytes()).hexdigest()[:8]
"""Of the guard that this daemon would start."""


def spawn(
    address: GuardAddress, data_directory: Path, record: Path
) -> tuple[GuardConnection, Hardened]:
    """Start a guard; it is ready when it says so.  Raises GuardUnreachable."""
    try:
        process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                guard_process.__file__,
                guard_process.PROTOCOL,
                str(address),
                str(data_directory),
                str(record),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
    except OSError as error:
        raise GuardUnreachable(f"it could not be started: {error.strerror}") from error
    try:
        hardened = _ready(process)
    except GuardUnreachable:
        process.kill()
        raise
    finally:
        assert process.stdout is not None
        process.stdout.close()
        process.wait()
    connection = address.dial()
    if connection is None:
        raise GuardUnreachable("it was started and does not listen")
    return connection, hardened


def end(connection: socket.socket) -> None:
    """Let a guard of another version go: every one knows this word, and ends when
    nobody is left who could arm it.  It fences as it was told until then."""
    with contextlib.suppress(GuardUnreachable):
        _exchange(connection, "disarm")
    connection.close()


def _ready(process: "subprocess.Popen[bytes]") -> Hardened:
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], START_WITHIN)[0]:
        raise GuardUnreachable(f"it was not ready within {START_WITHIN:.0f} s")
    line = process.stdout.readline().decode(errors="replace").split()
    match line:
        case ["ready", _, memory, schedule, oom] if schedule in get_args(Schedule):
            return Hardened(memory == "locked", schedule, int(oom))  # type: ignore[arg-type]
        case ["error", *words]:
            raise GuardUnreachable("it could not be started: " + " ".join(words))
        case _:
            raise GuardUnreachable("it ended while it was being started")


def _connect(address: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(ANSWER_WITHIN)
    try:
        connection.connect("\0" + address)
    except OSError:
        connection.close()
        return None
    return connection


def _check_that_it_is_ours(connection: socket.socket) -> None:
    """Anybody may take a name in the abstract namespace.  Raises GuardUnreachable."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, _ = struct.unpack("iII", packed)
    if uid != os.geteuid():
        raise GuardUnreachable(
            f"process {pid} of user {uid} listens in its place; end that process"
        )


def _exchange(connection: socket.socket, word: str) -> str:
    try:
        connection.send(word.encode())
        answer = connection.recv(guard_process.PACKET)
    except TimeoutError:
        raise GuardUnreachable("it does not answer") from None
    except OSError as error:
        raise GuardUnreachable(error.strerror or str(error)) from error
    return answer.decode(errors="replace") or "it ended"


def _listening() -> list[str]:
    """The abstract names of Unix sockets that somebody listens on, see proc(5)."""
    try:
        lines = Path("/proc/net/unix").read_text(errors="replace").splitlines()
    except OSError:
        return []
    return sorted({line.split()[7][1:] for line in lines[1:] if " @" in line})
