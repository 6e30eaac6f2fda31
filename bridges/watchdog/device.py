"""A watchdog device of Linux, or what stands for one in a test.

See the kernel's Documentation/watchdog/watchdog-api.rst: opening the device starts
the timer, any write restarts it, and closing stops it only after a written `V`.
"""

import contextlib
import fcntl
import os
import stat
from pathlib import Path

from regnal.bridges.watchdog.ioctls import (
    INFO,
    INTEGER,
    MAGIC_CLOSE_OPTION,
    REQUESTS,
    SET_TIMEOUT_OPTION,
)
from regnal.messages.fencing import WatchdogDriver

KEEP_ALIVE = b"1"
MAGIC_CLOSE = b"V"
LONGEST = 65535
"""Seconds that devices take at most."""

CLASS = Path("/sys/class/watchdog")


class Unfit(Exception):
    """The device cannot be used; the text says why, and the remedy."""


class LinuxDevice:
    """One that is open, so that its timer runs.

    WDOG-07: requests have a buffer that the kernel writes to; what goes wrong is an
    exception."""

    def __init__(self, path: Path) -> None:
        """Raises Unfit and OSError; the timer does not run then."""
        if _cannot_be_stopped(path):
            raise Unfit(
                "once started it could not be stopped, and every demotion would reset "
                "the host; load its driver with nowayout=0"
            )
        self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            support = bytearray(INFO.size)
            fcntl.ioctl(self._fd, REQUESTS.get_support, support, True)
        except OSError:
            self.close()
            raise
        options, _, identity = INFO.unpack(support)
        self.identity = identity.rstrip(b"\0").decode(errors="replace")
        self.stops_with_us = not options & MAGIC_CLOSE_OPTION
        """Whether any close stops it: then the death of the daemon does."""

        self._takes_timeout = bool(options & SET_TIMEOUT_OPTION)

    def set_timeout(self, seconds: int) -> int:
        """What it took, at most `seconds`.  Raises Unfit and OSError."""
        value = bytearray(INTEGER.pack(min(max(seconds, 1), LONGEST)))
        if self._takes_timeout:
            fcntl.ioctl(self._fd, REQUESTS.set_timeout, value, True)
        fcntl.ioctl(self._fd, REQUESTS.get_timeout, value, True)
        actual: int = INTEGER.unpack(value)[0]
        if actual > seconds:
            raise Unfit(
                f"it would reset the host after {actual} s and not after {seconds} s, "
                "when another member may lead already; raise ttl, or take another device"
            )
        return actual

    def keep_alive(self) -> None:
        """Raises OSError."""
        os.write(self._fd, KEEP_ALIVE)

    def close(self) -> None:
        """Stop the timer, as far as the device lets us."""
        with contextlib.suppress(OSError):
            os.write(self._fd, MAGIC_CLOSE)
        os.close(self._fd)


class TestingDevice:
    """`watchdog.driver: testing`: a pipe or file, to which a device's requests are
    written, for whoever reads it: a line `timeout=25`, then `1` and `V`."""

    __test__ = False  # its name is that of the option, it is no test

    def __init__(self, path: Path) -> None:
        """Raises OSError; of a pipe that nobody reads, too."""
        self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self.identity, self.stops_with_us = "testing", False

    def set_timeout(self, seconds: int) -> int:
        os.write(self._fd, f"timeout={seconds}\n".encode())
        return seconds

    def keep_alive(self) -> None:
        os.write(self._fd, KEEP_ALIVE)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._fd, MAGIC_CLOSE)
        os.close(self._fd)


def open_device(path: Path, driver: WatchdogDriver) -> LinuxDevice | TestingDevice:
    """Raises Unfit and OSError."""
    return LinuxDevice(path) if driver == "default" else TestingDevice(path)


def check_device(path: Path, driver: WatchdogDriver) -> None:
    """See whether it could be opened, without opening it.  Raises Unfit and OSError."""
    mode = path.stat().st_mode
    if driver == "default" and not stat.S_ISCHR(mode):
        raise Unfit("it is no device")
    if not os.access(path, os.W_OK):
        raise Unfit("we may not write to it; see its owner and mode")
    if driver == "default" and _cannot_be_stopped(path):
        raise Unfit("its driver was loaded with nowayout, so it could not be stopped")


def _cannot_be_stopped(path: Path) -> bool:
    """As far as the kernel tells; /dev/watchdog is the first of the class."""
    name = "watchdog0" if path.name == "watchdog" else path.name
    try:
        return (CLASS / name / "nowayout").read_text().strip() == "1"
    except OSError:
        return False
