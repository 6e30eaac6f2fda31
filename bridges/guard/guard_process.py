"""The guard process: kills PostgreSQL at a deadline, unless the deadline is moved.

    python -I -S guard_process.py ADDRESS DATA_DIRECTORY RECORD

It is started by the daemon, in a session of its own, and outlives it: a daemon that
is frozen, killed or stuck is exactly what it is for.  It imports little and needs
nobody to fence.  The protocol is one packet per word on a Unix socket (SEQPACKET):

    arm DEADLINE     fence at this instant of CLOCK_BOOTTIME, unless armed anew
    disarm           fence nobody
    quit             end (refused while armed)

and each is answered `ok` or `error TEXT`.  Whoever connects last is obeyed: that is
how a restarted daemon takes the guard over, without a moment unguarded.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import struct
import sys
import time

CLOCK_BOOTTIME = 7
TFD_TIMER_ABSTIME = 1
MCL_CURRENT_AND_FUTURE = 3
QUIT_PATIENCE_MS = 500
"""How long an immediate shutdown may take before SIGKILL."""

PACKET = 256


def now() -> float:
    """Of the clock that goes on during suspend."""
    return time.clock_gettime(CLOCK_BOOTTIME)


class Alarm:
    """A timer on CLOCK_BOOTTIME (timerfd_create(2)): poll(2) alone would sleep the
    time of a suspend on top of its own."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.timerfd_create(CLOCK_BOOTTIME, os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def set(self, instant: float) -> None:
        """Fire at `instant`; 0 never."""
        seconds, fraction = divmod(max(instant, 0.0), 1.0)
        value = struct.pack("qqqq", 0, 0, int(seconds), int(fraction * 1e9))
        if self._libc.timerfd_settime(self.fd, TFD_TIMER_ABSTIME, value, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")


class Guard:
    """Deadline, postmaster, and who gives the orders."""

    def __init__(self, data_directory: str, record: str) -> None:
        self._data_directory = os.path.realpath(data_directory)
        self._record = record
        self._alarm = Alarm()
        self._deadline: float | None = None
        self._pid: int | None = None
        self._pidfd: int | None = None

    @property
    def alarm_fd(self) -> int:
        fd: int = self._alarm.fd
        return fd

    @property
    def is_armed(self) -> bool:
        return self._deadline is not None

    def obey(self, packet: bytes) -> bytes:
        """Do what the packet says; the answer."""
        words = packet.decode(errors="replace").split()
        match words:
            case ["arm", text]:
                return self._arm(text)
            case ["disarm"]:
                self._disarm()
                return b"ok"
            case ["ping"]:
                return b"ok"
        return b"error unknown word"

    def look(self) -> None:
        """Fence if it is time."""
        if self._deadline is not None and now() >= self._deadline:
            self._fence(self._deadline)

    def _arm(self, text: str) -> bytes:
        try:
            deadline = float(text)
        except ValueError:
            return b"error deadline"
        self._deadline = deadline
        self._alarm.set(deadline)
        # Held open while PostgreSQL certainly is the one that we know: at the
        # deadline nobody else can be hit.
        self._find_postmaster()
        return b"ok"

    def _disarm(self) -> None:
        self._deadline = None
        self._alarm.set(0)

    def _find_postmaster(self) -> None:
        pid = self._pid_in_file()
        if pid is None or (pid == self._pid and self._pidfd is not None):
            return
        self._forget_postmaster()
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return
        if not self._is_postmaster(pid):
            os.close(pidfd)
            return
        self._pid, self._pidfd = pid, pidfd

    def _forget_postmaster(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
        self._pid = self._pidfd = None

    def _pid_in_file(self) -> int | None:
        try:
            with open(os.path.join(self._data_directory, "postmaster.pid")) as file:
                pid = abs(int(file.readline()))
        except (OSError, ValueError):
            return None
        return pid or None

    def _is_postmaster(self, pid: int) -> bool:
        """Its working directory is its data directory (PostgreSQL sets it so)."""
        try:
            return os.path.realpath(f"/proc/{pid}/cwd") == self._data_directory
        except OSError:
            return False

    def _fence(self, deadline: float) -> None:
        self._disarm()
        self._find_postmaster()
        pid, pidfd = self._pid, self._pidfd
        if pid is None or pidfd is None:
            return
        if _has_ended(pidfd, 0):
            self._forget_postmaster()
            return
        began_at = now()
        children = _children(pid)
        _send(pidfd, signal.SIGQUIT)
        if not _has_ended(pidfd, QUIT_PATIENCE_MS):
            _send(pidfd, signal.SIGKILL)
        for child in children:
            # The children of a killed postmaster must not write on either.
            _send(child, signal.SIGKILL)
            os.close(child)
        _has_ended(pidfd, QUIT_PATIENCE_MS)
        self._write_down(pid, deadline, began_at)
        self._forget_postmaster()

    def _write_down(self, pid: int, deadline: float, began_at: float) -> None:
        line = json.dumps(
            {
                "pid": pid,
                "deadline": deadline,
                "at": began_at,
                "late_by": began_at - deadline,
                "took": now() - began_at,
                "wall": time.time(),
            }
        )
        try:
            with open(self._record, "a") as file:
                file.write(line + "\n")
        except OSError:
            pass  # the fencing counts, its record is a courtesy


def _children(pid: int) -> list[int]:
    """Pidfds of the postmaster's children."""
    found = []
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            names = file.read().split()
    except OSError:
        return []
    for name in names:
        try:
            found.append(os.pidfd_open(int(name)))
        except OSError:
            continue
    return found


def _send(pidfd: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)


def _has_ended(pidfd: int, patience_ms: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(patience_ms))


def _lock_memory() -> None:
    """So that a host that swaps does not swap the guard out; where it is allowed."""
    ctypes.CDLL(None, use_errno=True).mlockall(MCL_CURRENT_AND_FUTURE)


def _listen(address: str) -> socket.socket:
    """In the abstract namespace: no file is left behind by a killed guard."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind("\0" + address)
    listener.listen(4)
    return listener


def _is_ours(connection: socket.socket) -> bool:
    """Only our own user, and root, may give orders."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    _, uid, _ = struct.unpack("iII", packed)
    return uid in (os.geteuid(), 0)


def serve(listener: socket.socket, guard: Guard) -> None:
    """Obey the last that connected, until nobody is left and nothing is armed."""
    connection: socket.socket | None = None
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(guard.alarm_fd, select.POLLIN)
    had_master = False
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                newer, _ = listener.accept()
                if not _is_ours(newer):
                    newer.close()
                    continue
                if connection is not None:
                    poll.unregister(connection)
                    connection.close()
                connection, had_master = newer, True
                poll.register(connection, select.POLLIN)
            elif connection is not None and fd == connection.fileno():
                packet = _receive(connection)
                if packet:
                    _answer(connection, guard.obey(packet))
                else:
                    poll.unregister(connection)
                    connection.close()
                    connection = None
            else:
                guard.look()
        guard.look()
        if had_master and connection is None and not guard.is_armed:
            return


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(PACKET)
    except OSError:
        return b""


def _answer(connection: socket.socket, answer: bytes) -> None:
    with contextlib.suppress(OSError):  # whoever does not listen to it has none
        connection.send(answer, socket.MSG_DONTWAIT)


def main(address: str, data_directory: str, record: str) -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _lock_memory()
    try:
        listener = _listen(address)
    except OSError:
        return  # another guard listens: it goes on
    if os.fork():
        # Whoever started us waits for this end; the guard is nobody's child.
        os._exit(0)
    os.write(1, b"ready\n")
    os.close(1)
    serve(listener, Guard(data_directory, record))


if __name__ == "__main__":
    main(*sys.argv[1:4])
