"""Processes that look like PostgreSQL: they work in the data directory, and
postmaster.pid says when the first of them began."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from regnal.bridges.guard.bridge import GuardBridge
from regnal.journal.stamps import Clocks, Stamper, boot_clock
from regnal.messages.base import Command, Message
from regnal.messages.envelope import Envelope

STUBBORN = "import signal; signal.signal(signal.SIGQUIT, signal.SIG_IGN); "
SLEEP = "import time; time.sleep(60)"
PARENT = (
    "import os, signal, time\n"
    "signal.signal(signal.SIGQUIT, signal.SIG_IGN)\n"
    "for _ in range(3):\n"
    "    if os.fork() == 0:\n"
    "        os.setsid()\n"
    "        break\n"
    "time.sleep(60)\n"
)
"""A postmaster that starts three backends, each in a session of its own; nobody quits."""


class Said:
    """A voice that remembers."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def say(self, message: Message, cause: Envelope[Message] | None = None) -> None:
        self.messages.append(message)

    def kinds(self) -> list[str]:
        return [str(getattr(message, "kind")) for message in self.messages]  # noqa: B009

    def count(self, word: type[Message]) -> int:
        return sum(isinstance(message, word) for message in self.messages)


def order(command: Command) -> Envelope[Command]:
    stamper = Stamper("pg1", 1, Clocks())
    return stamper.envelope(command, said_by="watchdog", cause=None, trace=None)


def a_bridge(data: Path, said: Said) -> GuardBridge:
    return GuardBridge(data, data.parent / "guard.jsonl", said, boot_clock)


def postmaster(data: Path, code: str = SLEEP) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", code], cwd=data)
    write_pid_file(data, process.pid)
    return process


def write_pid_file(data: Path, pid: int) -> None:
    (data / "postmaster.pid").write_text(f"{pid}\n{data}\n{int(time.time())}\n")


def ended_within(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Whether it has ended in the time; a zombie has."""
    pidfd = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(int(seconds * 1000)))
    finally:
        os.close(pidfd)


def wait_for(what: str, holds: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.01)


def end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()
