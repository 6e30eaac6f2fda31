"""The bridge to the hardware watchdog: one device at a time, opened when it is needed."""

import logging
import threading
from pathlib import Path

from regnal.bridges.contract import Voice
from regnal.bridges.watchdog.device import (
    LinuxDevice,
    TestingDevice,
    Unfit,
    check_device,
    open_device,
)
from regnal.messages.base import Command, Message
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.fencing import (
    ActivateWatchdog,
    CheckWatchdog,
    DisableWatchdog,
    PetWatchdog,
    WatchdogActivated,
    WatchdogDriver,
    WatchdogFailed,
    WatchdogFound,
)

logger = logging.getLogger(__name__)


class WatchdogBridge:
    """See `bridges.contract.Bridge`.  Orders are carried out in the caller's thread:
    each is one system call on a device that does not block."""

    name: PartName = "watchdog_device"
    performs: tuple[type[Command], ...] = (
        CheckWatchdog,
        ActivateWatchdog,
        PetWatchdog,
        DisableWatchdog,
    )

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._lock = threading.Lock()
        self._device: LinuxDevice | TestingDevice | None = None
        self._path = Path()
        """Of the open device."""

    def start(self) -> None:
        """Nothing runs before a primary asks for it."""

    def stop(self) -> None:
        """An active watchdog stays so: the daemon ends, and nobody said that
        PostgreSQL has reached a safe point."""

    def perform(self, envelope: Envelope[Command]) -> None:
        with self._lock:
            outcome = self._carry_out(envelope.message)
        if outcome is not None:
            self._voice.say(outcome, envelope)

    def _carry_out(self, command: Message) -> Message | None:
        match command:
            case CheckWatchdog(device=device, driver=driver):
                return _checked(Path(device), driver)
            case ActivateWatchdog(device=device):
                try:
                    return self._activate(command)
                except (Unfit, OSError) as trouble:
                    self._close()
                    return _failed(Path(device), trouble)
            case PetWatchdog():
                return self._pet()
            case DisableWatchdog():
                self._close()
                return None
            case _:
                raise AssertionError(command)

    def _pet(self) -> Message | None:
        if self._device is None:
            return None
        try:
            self._device.keep_alive()
        except OSError as trouble:
            self._close()
            return _failed(self._path, trouble)
        return None

    def _activate(self, command: ActivateWatchdog) -> Message:
        path = Path(command.device)
        if self._path != path:
            self._close()
        self._path = path
        if self._device is None:
            self._device = open_device(path, command.driver)
            logger.info(
                "The watchdog %s (%s) is open: from now on it resets the host unless "
                "the lease is renewed%s.",
                path,
                self._device.identity,
                "; it stops if the daemon dies" if self._device.stops_with_us else "",
            )
        actual = self._device.set_timeout(int(command.timeout))
        self._device.keep_alive()
        return WatchdogActivated(timeout=actual)

    def _close(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None


def _checked(path: Path, driver: WatchdogDriver) -> Message:
    try:
        check_device(path, driver)
    except (Unfit, OSError) as trouble:
        return _failed(path, trouble)
    return WatchdogFound()


def _failed(path: Path, trouble: Unfit | OSError) -> WatchdogFailed:
    text = trouble.strerror if isinstance(trouble, OSError) else None
    return WatchdogFailed(error=f"{path}: {text or trouble}")
