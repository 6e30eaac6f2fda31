"""The guard process: kills PostgreSQL at a deadline, unless the deadline is moved.

    python -I -S guard_process.py PROTOCOL ADDRESS DATA_DIRECTORY RECORD

It is started by the daemon, in a session of its own, and outlives it: a daemon that
is frozen, killed or stuck is exactly what it is for.  It imports little and needs
nobody to fence.  The protocol is one packet per word on a Unix socket (SEQPACKET):

    arm DEADLINE END PID   fence at this instant of CLOCK_BOOTTIME, unless armed anew;
                           END is when the lease ends, PID the postmaster (0: unknown)
    keep DEADLINE END PID  the same, unless armed already
    disarm                 fence nobody
    hello                  who is there: PROTOCOL and our pid

and each is answered `ok ...` or `error TEXT`.  Whoever connects last is obeyed: that
is how a restarted daemon takes the guard over, without a moment unguarded.  `disarm`
means the same in every protocol there will be, so that any daemon can end any guard.

Once it knows the postmaster, nothing here touches a disk before PostgreSQL is dead: a
disk that hangs must not hold up the fencing.
"""

import ctypes
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator

PROTOCOL = "2"
CLOCK_BOOTTIME = 7
TFD_TIMER_ABSTIME = 1
MCL_CURRENT_AND_FUTURE = 3
QUIT_PATIENCE = 0.5
"""Seconds that an immediate shutdown may take before SIGKILL, at most."""

SWEEP_FOR = 5.0
"""Seconds for which we look for processes that the postmaster left behind."""

LOOK_AGAIN = 0.2
WATCH_ON = 300.0
"""Seconds after a deadline at which no postmaster was found, in which one may turn up
that was being started when the deadline passed; looked for every LOOK_AGAIN seconds."""

FARTHEST = 1e12
"""Seconds; no instant is later."""

START_TOLERANCE = 3.0
"""Seconds between the start of a postmaster and what it wrote into its pid file."""

TICKS = os.sysconf("SC_CLK_TCK")
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


class Target:
    """A process that is held by its descriptor: no other can be hit in its place."""

    def __init__(self, pid: int) -> None:
        """Raises OSError if there is none."""
        self.pid = pid
        self._fd = os.pidfd_open(pid)
        try:
            # What is read after the descriptor was opened is of this process, or it
            # has ended, and then the descriptor reaches nobody.
            self.parent, self.started_at = _stat(pid)
            self.directory = _link(pid, "cwd")
            self.executable = _link(pid, "exe").removesuffix(" (deleted)")
        except (OSError, ValueError):
            self.close()
            raise

    def send(self, number: int) -> None:
        try:  # noqa: SIM105 - contextlib would be one more import
            signal.pidfd_send_signal(self._fd, number)
        except ProcessLookupError:
            pass  # it has ended, which is what we want

    def has_ended(self, within: float = 0.0) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(within * 1000))

    def close(self) -> None:
        os.close(self._fd)


class Guard:
    """Deadline, postmaster, and what is done when the one passes."""

    def __init__(self, data_directory: str, record: str) -> None:
        self._directory = os.path.realpath(data_directory)
        self._record = record
        self._alarm = Alarm()
        self._deadline: float | None = None
        self._end = 0.0
        self._ordered_at = 0.0
        self._postmaster: Target | None = None

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
            case ["arm", deadline, end, pid]:
                return self._arm(deadline, end, pid)
            case ["keep", deadline, end, pid]:
                return b"ok" if self.is_armed else self._arm(deadline, end, pid)
            case ["disarm"]:
                self._disarm()
                return b"ok"
            case ["hello"]:
                return f"ok {PROTOCOL} {os.getpid()}".encode()
        return b"error unknown word"

    def look(self) -> None:
        """Fence if it is time."""
        if self._deadline is None or now() < self._deadline:
            return
        if self._find(started_by=max(self._deadline, self._ordered_at)):
            self._fence(self._deadline)
        elif now() < self._deadline + WATCH_ON:
            self._alarm.set(now() + LOOK_AGAIN)
        else:
            self._disarm()

    def _arm(self, deadline: str, end: str, pid: str) -> bytes:
        try:
            instants, told = (float(deadline), float(end)), int(pid)
            if not -FARTHEST < instants[0] < FARTHEST:
                raise ValueError  # NaN, too
        except ValueError:
            return b"error arm DEADLINE END PID"
        # Armed first: whatever the search meets, the deadline stands.
        self._deadline, self._end = instants
        self._ordered_at = now()
        self._alarm.set(max(instants[0], 0.001))
        # Held open while PostgreSQL certainly is the one that we know: at the
        # deadline nobody else can be hit.
        self._find(told)
        return b"ok"

    def _disarm(self) -> None:
        self._deadline = None
        self._alarm.set(0)

    def _find(self, told: int = 0, started_by: float | None = None) -> bool:
        """Whether a postmaster runs that is ours to fence, and we hold it."""
        known = self._postmaster
        if known is not None and known.has_ended():
            known.close()
            known = self._postmaster = None
        if known is None or told not in (0, known.pid):
            found = self._recognise(told, None)
            if found is None and known is None:
                found = self._recognise(*self._in_pid_file())
            if found is not None and known is not None:
                known.close()
            self._postmaster = known = found or known
        if known is None:
            return False
        # Whoever starts it later, when no daemon renews, knows what he does.
        return started_by is None or known.started_at <= started_by

    def _in_pid_file(self) -> tuple[int, float | None]:
        """Pid, 0 if there is none, and when it says that it began (wall clock)."""
        try:
            with open(os.path.join(self._directory, "postmaster.pid")) as file:
                lines = file.read().split("\n")
            # That of a single-user server is negative: it has no clients.
            return int(lines[0]), float(lines[2])
        except (OSError, ValueError, IndexError):
            return 0, None

    def _recognise(self, pid: int, written: float | None) -> Target | None:
        """A server works in its data directory all its life, and is called postgres or
        began when its file says so; anybody else has a recycled pid."""
        if pid <= 0:
            return None
        try:
            target = Target(pid)
        except (OSError, ValueError):
            return None
        began = time.time() - (now() - target.started_at)
        is_named = "postgres" in os.path.basename(target.executable)
        is_dated = written is not None and abs(began - written) <= START_TOLERANCE
        if target.directory == self._directory and (is_named or is_dated):
            return target
        target.close()
        return None

    def _fence(self, deadline: float) -> None:
        postmaster = self._postmaster
        assert postmaster is not None
        self._disarm()
        began_at = now()
        family: list[Target] = []
        # A lease that has ended leaves no time for politeness.
        patience = min(QUIT_PATIENCE, (self._end - began_at) / 2)
        if patience > 0:
            postmaster.send(signal.SIGQUIT)
        # It ends after its children, so that nothing is left then.
        if patience <= 0 or not postmaster.has_ended(patience):
            family = _kill_family(postmaster)
        left = self._sweep(postmaster, family, now())
        self._write_down(postmaster.pid, deadline, began_at, left)
        for target in (postmaster, *family):
            target.close()
        self._postmaster = None

    def _sweep(self, postmaster: Target, family: list[Target], killed_at: float) -> int:
        """Kill what is left; how many processes do not end (state D)."""
        while True:
            for target in self._servers(postmaster.executable, killed_at):
                target.send(signal.SIGKILL)
                if target.pid in [member.pid for member in family]:
                    target.close()
                else:
                    family.append(target)
            left = [one for one in (postmaster, *family) if not one.has_ended()]
            if not left or now() > killed_at + SWEEP_FOR:
                return len(left)
            left[0].has_ended(LOOK_AGAIN)

    def _servers(self, executable: str, killed_at: float) -> Iterator[Target]:
        """Server processes in our data directory that run, and are not of a server
        that was started since."""
        for name in os.listdir("/proc"):
            if not name.isdigit() or _link(int(name), "cwd") != self._directory:
                continue
            try:
                target = Target(int(name))
            except (OSError, ValueError):
                continue
            if (
                target.directory == self._directory
                and target.executable == executable != ""
                and target.started_at <= killed_at
                and not target.has_ended()
            ):
                yield target
            else:
                target.close()

    def _write_down(
        self, pid: int, deadline: float, began_at: float, left: int
    ) -> None:
        """One line of JSON; of the many programs that could help none is imported."""
        wall = time.time() - (now() - began_at)
        line = (
            f'{{"pid": {pid}, "deadline": {deadline!r}, "at": {began_at!r}, '
            f'"late_by": {began_at - deadline!r}, "took": {now() - began_at!r}, '
            f'"left": {left}, "wall": {wall!r}}}\n'
        )
        try:
            fd = os.open(self._record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.write(fd, line.encode())
            os.close(fd)
        except OSError:
            pass  # the fencing counts, its record is a courtesy


def _stat(pid: int) -> tuple[int, float]:
    """Parent, and when it began on our clock."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[1]), int(fields[19]) / TICKS


def _link(pid: int, name: str) -> str:
    """Where it works, or what it runs; empty: not ours to know."""
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def _kill_family(postmaster: Target) -> list[Target]:
    """Kill it and all its descendants, the writers first; each is held."""
    # Stopped it forks no more, and its children remain its children.
    postmaster.send(signal.SIGSTOP)
    family = []
    for target in _descendants(postmaster):
        target.send(signal.SIGKILL)
        family.append(target)
    postmaster.send(signal.SIGKILL)
    return family


def _descendants(parent: Target) -> Iterator[Target]:
    """Its children, each after its own."""
    for child in _children(parent):
        yield from _descendants(child)
        yield child


def _children(parent: Target) -> Iterator[Target]:
    try:
        with open(f"/proc/{parent.pid}/task/{parent.pid}/children") as file:
            names = file.read().split()
    except OSError:
        return  # a kernel without it: the sweep finds the servers
    for name in names:
        try:
            child = Target(int(name))
        except (OSError, ValueError):
            continue
        if child.parent == parent.pid and not parent.has_ended():
            yield child
        else:
            child.close()


def harden() -> str:
    """Neither swap, nor a busy host, nor the OOM killer shall hold us up, where that
    is allowed; what we got, as words for the daemon."""
    locked = ctypes.CDLL(None).mlockall(MCL_CURRENT_AND_FUTURE) == 0
    schedule = "normal"
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        schedule = "realtime"
    except OSError:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -20)
            schedule = "preferred"
        except OSError:
            pass
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("-1000")
    except OSError:
        pass  # then it is that of the daemon
    with open("/proc/self/oom_score_adj") as file:
        oom = int(file.read())
    return f"{os.getpid()} {'locked' if locked else 'unlocked'} {schedule} {oom}"


def listen(address: str) -> socket.socket:
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
    while not had_master or connection is not None or guard.is_armed:
        # What was ordered in time counts, though we come to it late: the deadlines
        # are instants, so an order cannot be worth more than when it was given.
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                newer = _accept(listener)
                if newer is None:
                    continue
                if connection is not None:
                    poll.unregister(connection)
                    connection.close()
                connection, had_master = newer, True
                poll.register(connection, select.POLLIN)
            elif connection is None or fd != connection.fileno():
                continue  # the alarm, or somebody who has been replaced
            elif not _serve_one(connection, guard):
                poll.unregister(connection)
                connection.close()
                connection = None
        guard.look()


def _accept(listener: socket.socket) -> socket.socket | None:
    try:
        newer, _ = listener.accept()
    except OSError:
        return None
    if _is_ours(newer):
        return newer
    newer.close()
    return None


def _serve_one(connection: socket.socket, guard: Guard) -> bool:
    """Whether somebody is still there."""
    try:
        packet = connection.recv(PACKET)
        if packet:
            connection.send(guard.obey(packet), socket.MSG_DONTWAIT)
        return bool(packet)
    except BlockingIOError:
        return True  # whoever does not listen to the answer has none
    except OSError:
        return False


def main(protocol: str, address: str, data_directory: str, record: str) -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if protocol != PROTOCOL:
        os.write(1, b"error the installed program is another version; restart\n")
        return
    try:
        listener = listen(address)
        guard = Guard(data_directory, record)
    except OSError as error:
        os.write(1, f"error {error.strerror}\n".encode())
        return
    if os.fork():
        # Whoever started us waits for this end; the guard is nobody's child.
        os._exit(0)
    # Locks of memory are not inherited by a fork: only now.
    os.write(1, f"ready {harden()}\n".encode())
    os.close(1)
    serve(listener, guard)


if __name__ == "__main__":
    main(*sys.argv[1:5])
