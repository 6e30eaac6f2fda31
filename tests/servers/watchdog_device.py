"""An emulated watchdog device: a timer that resets a machine, faithful to
Documentation/watchdog/watchdog-api.rst at the boundary of ioctl(2).

The kernel here has neither softdog nor CUSE, so a program under test runs with a small
library before libc (watchdog_shim.c) that connects what it opens to this emulator.
"""

import errno
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from regnal.bridges.watchdog.ioctls import (
    INFO,
    INTEGER,
    MAGIC_CLOSE_OPTION,
    REQUESTS,
    SET_TIMEOUT_OPTION,
)

PACKET = struct.Struct("Ii64s")
SOURCE = Path(__file__).with_name("watchdog_shim.c")


@dataclass(frozen=True)
class Traits:
    """What a device is like; timeouts in seconds."""

    options: int = SET_TIMEOUT_OPTION | MAGIC_CLOSE_OPTION
    shortest: int = 1
    longest: int = 65535
    at_first: int = 60
    rejects_timeouts: bool = False


class WatchdogDevice:
    """The device of one machine; `reset` is called once when its timer runs out."""

    def __init__(
        self, folder: Path, traits: Traits, reset: Callable[[], None] = lambda: None
    ) -> None:
        self.path = folder / "watchdog"
        self.heard: list[str] = []
        """What was done to it, in order."""

        self.is_active = False
        self.was_reset = False
        self.timeout = traits.at_first
        self._traits = traits
        self._reset = reset
        self._kept_alive_at = 0.0
        self._socket_path = folder / "watchdog.sock"
        self._shim = _build(folder)
        self._in_use = False
        self._ended = threading.Event()
        # A node that exists, as udev would make it; whoever opens it meets the shim.
        os.mknod(self.path, 0o600 | 0o020000, os.makedev(1, 3))
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(self._socket_path))
        self._listener.listen()
        for target in (self._accept, self._tick):
            threading.Thread(target=target, daemon=True).start()

    def become(self, traits: Traits) -> None:
        """Another device, of which nothing was heard; this one is closed."""
        assert not self._in_use
        self._traits, self.timeout = traits, traits.at_first
        self.heard.clear()

    @property
    def environment(self) -> dict[str, str]:
        """For a program that shall meet it."""
        return {
            "LD_PRELOAD": str(self._shim),
            "WATCHDOG_DEVICE": str(self.path),
            "WATCHDOG_SOCKET": str(self._socket_path),
        }

    def open_to_everybody(self) -> None:
        """Programs of another user meet it, too."""
        for path in (self.path, self._socket_path):
            path.chmod(0o666)

    def close(self) -> None:
        self._ended.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            busy = errno.EBUSY if self._in_use else 0
            connection.send(PACKET.pack(0, busy, b""))
            if busy:
                connection.close()
                continue
            self._in_use = True
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        self.heard.append("open")
        self.is_active = True
        self._kept_alive_at = time.monotonic()
        may_stop = not self._traits.options & MAGIC_CLOSE_OPTION
        while packet := _received(connection):
            if len(packet) == PACKET.size:
                connection.send(self._answer(packet))
                continue
            self._kept_alive_at = time.monotonic()
            may_stop = may_stop or b"V" in packet
            self.heard.append("V" if b"V" in packet else "alive")
        connection.close()
        self.heard.append("close")
        self.is_active = not may_stop
        self._in_use = False

    def _answer(self, packet: bytes) -> bytes:
        number, _, buffer = PACKET.unpack(packet)
        if number == REQUESTS.get_support:
            info = INFO.pack(self._traits.options, 1, b"Emulated")
            return PACKET.pack(number, 0, info)
        if number == REQUESTS.set_timeout:
            if self._traits.rejects_timeouts:
                return PACKET.pack(number, errno.EINVAL, b"")
            (asked,) = INTEGER.unpack(buffer[: INTEGER.size])
            self.timeout = min(max(asked, self._traits.shortest), self._traits.longest)
            self.heard.append(f"timeout {asked}")
            self._kept_alive_at = time.monotonic()
            return PACKET.pack(number, 0, INTEGER.pack(self.timeout))
        if number == REQUESTS.get_timeout:
            return PACKET.pack(number, 0, INTEGER.pack(self.timeout))
        return PACKET.pack(number, errno.ENOTTY, b"")

    def _tick(self) -> None:
        while not self._ended.wait(0.02):
            late = time.monotonic() > self._kept_alive_at + self.timeout
            if self.is_active and late:
                self.is_active, self.was_reset = False, True
                self._reset()


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(PACKET.size)
    except OSError:
        return b""


def _build(folder: Path) -> Path:
    library = folder / "watchdog_shim.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True
    )
    return library
