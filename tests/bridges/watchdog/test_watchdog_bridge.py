"""The watchdog bridge where there is no watchdog: a real one resets the machine."""

from pathlib import Path

import pytest

from regnal.bridges.watchdog.bridge import WatchdogBridge
from regnal.journal.stamps import Clocks, Stamper
from regnal.messages.base import Command, Message
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import (
    ActivateWatchdog,
    DisableWatchdog,
    PetWatchdog,
    WatchdogFailed,
)


class Said:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def say(self, message: Message, cause: Envelope[Message] | None = None) -> None:
        self.messages.append(message)


def order(command: Command) -> Envelope[Command]:
    stamper = Stamper("pg1", 1, Clocks())
    return stamper.envelope(command, said_by="watchdog", cause=None, trace=None)


@pytest.mark.parametrize("name", ["missing", "file"])
def test_what_is_no_watchdog_is_told_with_its_name(tmp_path: Path, name: str) -> None:
    """WDOG-04, WDOG-07: trouble is an outcome, not an exception."""
    device = tmp_path / name
    if name == "file":
        device.touch()
    said = Said()

    WatchdogBridge(device, said).perform(order(ActivateWatchdog(timeout=25)))

    assert [type(m) for m in said.messages] == [WatchdogFailed]
    assert str(device) in str(said.messages[0])


def test_a_watchdog_that_is_not_active_is_left_alone(tmp_path: Path) -> None:
    """WDOG-05: no keep-alive, and no complaint."""
    said = Said()
    bridge = WatchdogBridge(tmp_path / "missing", said)

    bridge.perform(order(PetWatchdog()))
    bridge.perform(order(DisableWatchdog()))

    assert said.messages == []
