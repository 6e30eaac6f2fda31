"""The bridge to a Linux watchdog device.

See the kernel's Documentation/watchdog/watchdog-api.rst: opening the device starts
the timer, any write restarts it, and closing stops it only after a written `V`.
"""

import contextlib
import fcntl
import os
import struct
import threading
from pathlib import Path

from regnal.bridges.contract import Voice
from regnal.messages.base import Command, Message
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.fencing import (
    ActivateWatchdog,
    DisableWatchdog,
    PetWatchdog,
    WatchdogActivated,
    WatchdogFailed,
)

SET_TIMEOUT = 0xC0045706
"""WDIOC_SETTIMEOUT, as on x86-64 and arm64."""

GET_TIMEOUT = 0x80045707
KEEP_ALIVE = b"1"
MAGIC_CLOSE = b"V"
LONGEST = 65535
"""Seconds that devices take at most."""


class WatchdogBridge:
    """See `bridges.contract.Bridge`.  Orders are carried out in the caller's thread:
    each is one system call on a device that does not block."""

    name: PartName = "watchdog_device"
    performs: tuple[type[Command], ...] = (
        ActivateWatchdog,
        PetWatchdog,
        DisableWatchdog,
    )

    def __init__(self, device: Path, voice: Voice) -> None:
        self._device = device
        self._voice = voice
        self._lock = threading.Lock()
        self._fd: int | None = None

    def start(self) -> None:
        """Nothing runs before a primary asks for it."""

    def stop(self) -> None:
        """An active watchdog stays so: the daemon ends, and nobody said that
        PostgreSQL has reached a safe point."""

    def perform(self, envelope: Envelope[Command]) -> None:
        match envelope.message:
            case ActivateWatchdog(timeout=timeout):
                self._activate(int(timeout), envelope)
            case PetWatchdog():
                self._pet(envelope)
            case DisableWatchdog():
                self._disable()
            case _:
                raise AssertionError(envelope.message)

    def _activate(self, timeout: int, cause: Envelope[Message]) -> None:
        outcome: Message
        with self._lock:
            try:
                if self._fd is None:
                    self._fd = os.open(self._device, os.O_WRONLY | os.O_CLOEXEC)
                actual = self._set_timeout(self._fd, min(max(timeout, 1), LONGEST))
                os.write(self._fd, KEEP_ALIVE)
                outcome = WatchdogActivated(timeout=actual)
            except OSError as error:
                self._close()
                outcome = WatchdogFailed(error=f"{self._device}: {error.strerror}")
        self._voice.say(outcome, cause)

    def _pet(self, cause: Envelope[Message]) -> None:
        with self._lock:
            if self._fd is None:
                return
            try:
                os.write(self._fd, KEEP_ALIVE)
                return
            except OSError as error:
                trouble = WatchdogFailed(error=f"{self._device}: {error.strerror}")
        self._voice.say(trouble, cause)

    def _disable(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._fd is None:
            return
        with contextlib.suppress(OSError):
            os.write(self._fd, MAGIC_CLOSE)
        os.close(self._fd)
        self._fd = None

    @staticmethod
    def _set_timeout(fd: int, timeout: int) -> int:
        """The timeout that the device took; raises OSError."""
        value = bytearray(struct.pack("i", timeout))
        fcntl.ioctl(fd, SET_TIMEOUT, value, True)
        fcntl.ioctl(fd, GET_TIMEOUT, value, True)
        actual: int = struct.unpack("i", value)[0]
        return actual
