"""The watchdog bridge, on an emulated device: a real one would reset this machine.

The bridge runs in a process of its own, whose calls of open(2) and ioctl(2) on the
device reach the emulator (tests/servers/watchdog_device.py).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regnal.bridges.watchdog import device as devices
from regnal.bridges.watchdog.bridge import WatchdogBridge
from regnal.bridges.watchdog.ioctls import (
    MAGIC_CLOSE_OPTION,
    SET_TIMEOUT_OPTION,
    requests_of,
)
from regnal.messages.base import Command, Message
from regnal.messages.fencing import (
    ActivateWatchdog,
    CheckWatchdog,
    DisableWatchdog,
    PetWatchdog,
    WatchdogActivated,
    WatchdogFailed,
    WatchdogFound,
)
from tests.bridges.guard.pretending import Said, order, wait_for
from tests.servers.watchdog_device import Traits, WatchdogDevice

ROOT = Path(__file__).parents[3]
NEEDS_GCC = pytest.mark.skipif(
    shutil.which("gcc") is None or os.geteuid() != 0,
    reason="the emulated device needs a C compiler and root, for its node",
)
PROGRAM = """
import sys
from regnal.bridges.watchdog.bridge import WatchdogBridge
from regnal.messages import fencing
from tests.bridges.guard.pretending import Said, order
said = Said()
bridge = WatchdogBridge(said)
for line in sys.stdin:
    word, _, fields = line.partition(" ")
    bridge.perform(order(getattr(fencing, word.strip()).model_validate_json(fields)))
    print(said.messages.pop().model_dump_json() if said.messages else "{}", flush=True)
"""


class Host:
    """A bridge in a process of its own, and the device that it meets."""

    def __init__(self, folder: Path, traits: Traits) -> None:
        self.device = WatchdogDevice(folder, traits, self.kill)
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env={**os.environ, **self.device.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def perform(self, command: Command) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        word, fields = type(command).__name__, command.model_dump_json()
        print(f"{word} {fields}", file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def activate(self, timeout: float) -> dict[str, Any]:
        return self.perform(
            ActivateWatchdog(timeout=timeout, device=str(self.device.path))
        )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        self.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self.device.close()


@pytest.fixture(scope="module")
def one_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Of most tests here: a process takes long to start."""
    on = Host(tmp_path_factory.mktemp("host"), Traits())
    yield on
    on.end()


@pytest.fixture
def host(one_host: Host) -> Iterator[Callable[..., Host]]:
    """A host whose device is closed, and has these traits."""

    def become(**traits: Any) -> Host:
        one_host.device.become(Traits(**traits))
        return one_host

    yield become
    one_host.perform(DisableWatchdog())
    wait_for("the end", lambda: not one_host.device.is_active)


@NEEDS_GCC
def test_a_device_is_opened_kept_alive_and_closed_with_the_magic_word(
    host: Callable[..., Host],
) -> None:
    """WDOG-02, WDOG-03, WDOG-05, WDOG-07."""
    on = host()
    device, path = on.device, str(on.device.path)
    assert on.perform(PetWatchdog()) == {}
    assert on.perform(CheckWatchdog(device=path, driver="default")) == {
        "kind": "watchdog_found"
    }
    assert device.heard == [], "looking at it does not start it, nor does a keep-alive"
    assert on.activate(25) == {"kind": "watchdog_activated", "timeout": 25.0}
    assert device.heard == ["open", "timeout 25", "alive"]
    assert on.perform(PetWatchdog()) == {}
    assert on.activate(30) == {"kind": "watchdog_activated", "timeout": 30.0}
    assert on.perform(DisableWatchdog()) == {}
    wait_for("the close", lambda: device.heard[-1] == "close")
    assert device.heard[3:] == ["alive", "timeout 30", "alive", "V", "close"]
    assert not device.is_active
    assert on.perform(PetWatchdog()) == {}
    assert device.heard[-1] == "close"


@NEEDS_GCC
def test_a_daemon_that_dies_leaves_it_running_and_one_that_hangs_is_reset(
    tmp_path: Path,
) -> None:
    """What it is there for: nobody writes to it any more."""
    on = Host(tmp_path, Traits())
    on.activate(1)
    on.kill()
    wait_for("the close", lambda: on.device.heard[-1] == "close")
    assert on.device.is_active
    wait_for("the reset", lambda: on.device.was_reset)
    on.end()


@NEEDS_GCC
@pytest.mark.parametrize(
    ("traits", "answer"),
    [
        pytest.param(
            {"longest": 20},
            {"kind": "watchdog_activated", "timeout": 20.0},
            id="it took less",
        ),
        pytest.param(
            {"options": MAGIC_CLOSE_OPTION, "at_first": 10},
            {"kind": "watchdog_activated", "timeout": 10.0},
            id="its timeout is fixed, and short enough",
        ),
        pytest.param(
            {"options": MAGIC_CLOSE_OPTION, "at_first": 60},
            "after 60 s and not after 25 s",
            id="its timeout is fixed, and too long",
        ),
        pytest.param({"shortest": 40}, "after 40 s and not after 25 s", id="too long"),
        pytest.param({"rejects_timeouts": True}, "Invalid argument", id="refused"),
        pytest.param(
            {"options": SET_TIMEOUT_OPTION},
            {"kind": "watchdog_activated", "timeout": 25.0},
            id="any close stops it",
        ),
    ],
)
def test_what_the_device_says_counts(
    host: Callable[..., Host], traits: dict[str, Any], answer: dict[str, Any] | str
) -> None:
    """WDOG-07: the timeout is read back and checked.  One that would let another
    member lead before the reset is refused, and the device stopped again."""
    on = host(**traits)
    told = on.activate(25)
    if isinstance(answer, dict):
        assert told == answer
        return
    assert told["kind"] == "watchdog_failed"
    assert str(on.device.path) in told["error"]
    assert answer in told["error"]
    wait_for("its end", lambda: not on.device.is_active)


@NEEDS_GCC
def test_a_device_that_somebody_else_has_is_not_ours(
    host: Callable[..., Host],
) -> None:
    on = host()
    program = (
        "import os, sys; fd = os.open(sys.argv[1], os.O_WRONLY); sys.stdin.read(); "
        "os.write(fd, b'V')"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(on.device.path)],
        env={**os.environ, **on.device.environment},
        stdin=subprocess.PIPE,
    )
    wait_for("it to be open", lambda: on.device.heard == ["open"])
    told = on.activate(25)
    assert told["error"] == f"{on.device.path}: Device or resource busy"
    other.communicate()


# What is no watchdog, on real files.


def said_to(*commands: Command) -> list[Message]:
    said = Said()
    bridge = WatchdogBridge(said)
    for command in commands:
        bridge.perform(order(command))
    return said.messages


@pytest.mark.parametrize("name", ["missing", "file"])
def test_what_is_no_watchdog_is_told_with_its_name(tmp_path: Path, name: str) -> None:
    """WDOG-04, WDOG-07: trouble is an outcome, not an exception."""
    device = tmp_path / name
    if name == "file":
        device.touch()
    for command in (
        CheckWatchdog(device=str(device), driver="default"),
        ActivateWatchdog(timeout=25, device=str(device)),
    ):
        (told,) = said_to(command)
        assert isinstance(told, WatchdogFailed)
        assert str(device) in told.error


def test_a_watchdog_that_is_not_active_is_left_alone() -> None:
    """WDOG-05: no keep-alive, and no complaint."""
    assert said_to(PetWatchdog(), DisableWatchdog()) == []


def test_one_that_could_not_be_stopped_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nowayout: each demotion would reset the host."""
    monkeypatch.setattr(devices, "CLASS", tmp_path)
    (tmp_path / "watchdog0").mkdir()
    (tmp_path / "watchdog0" / "nowayout").write_text("1\n")
    device = tmp_path / "watchdog"
    device.touch()
    (told,) = said_to(ActivateWatchdog(timeout=25, device=str(device)))
    assert isinstance(told, WatchdogFailed)
    assert "nowayout=0" in told.error
    assert device.read_bytes() == b"", "it was not opened"


def test_the_driver_testing_writes_what_a_device_would_be_asked(
    tmp_path: Path,
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    activate = ActivateWatchdog(timeout=25, device=str(pipe), driver="testing")
    check = CheckWatchdog(device=str(pipe), driver="testing")
    found, nobody = said_to(check, activate)
    assert found == WatchdogFound()
    assert isinstance(nobody, WatchdogFailed), "nobody reads it"
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    said = said_to(activate, PetWatchdog(), DisableWatchdog())
    assert said == [WatchdogActivated(timeout=25)]
    assert os.read(reader, 100) == b"timeout=25\n11V"
    os.close(reader)


def test_a_device_that_breaks_is_told_and_let_go(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    said = Said()
    bridge = WatchdogBridge(said)
    bridge.perform(
        order(ActivateWatchdog(timeout=25, device=str(pipe), driver="testing"))
    )
    os.close(reader)
    bridge.perform(order(PetWatchdog()))
    bridge.perform(order(PetWatchdog()))
    assert said.kinds() == ["watchdog_activated", "watchdog_failed"]


@pytest.mark.parametrize(
    ("machine", "numbers"),
    [
        ("x86_64", (0x80285700, 0xC0045706, 0x80045707)),
        ("aarch64", (0x80285700, 0xC0045706, 0x80045707)),
        ("ppc64le", (0x40285700, 0xC0045706, 0x40045707)),
    ],
)
def test_the_numbers_of_the_requests(machine: str, numbers: tuple[int, ...]) -> None:
    """P-OPS-06; linux/watchdog.h, as the C compiler of each machine expands it."""
    requests = requests_of(machine)
    assert (
        requests.get_support,
        requests.set_timeout,
        requests.get_timeout,
    ) == numbers
