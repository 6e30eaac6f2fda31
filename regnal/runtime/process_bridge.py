"""The bridge to the daemon's own process: signals in, the end out."""

import queue
import signal
from collections.abc import Callable

from regnal.bridges.contract import Voice
from regnal.messages.base import Command, Message
from regnal.messages.daemon import ExitDaemon, ShutdownCompleted, ShutdownRequested
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.settings import LocalConfigurationChanged

SignalHandler = Callable[[int], None]


class End:
    """How the daemon ends."""

    def __init__(self, status: int, message: str | None) -> None:
        self.status = status
        self.message = message


class ProcessBridge:
    """See `bridges.contract.Bridge`; also the mailbox of `ShutdownCompleted`."""

    name: PartName = "process"
    performs: tuple[type[Command], ...] = (ExitDaemon,)

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._ends: queue.SimpleQueue[End | int] = queue.SimpleQueue()

    def start(self) -> None:
        """Signals are only noted by their handler; the main thread says them."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, frame: self._ends.put(number))

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def perform(self, envelope: Envelope[Command]) -> None:
        command = envelope.message
        assert isinstance(command, ExitDaemon)
        self._ends.put(End(command.status, command.message))

    def give_up(self, message: str) -> None:
        """End at once with status 1; the guard fences PostgreSQL."""
        self._ends.put(End(1, message))

    def tell(self, message: Envelope[Message]) -> None:
        assert isinstance(message.message, ShutdownCompleted)
        self._ends.put(End(0, None))

    def wait_for_the_end(self, on_stop: Callable[[], None]) -> End:
        """Say signals as they come; returns when the daemon is to end.

        Called by the main thread, the only one that Python lets hear signals.
        """
        while True:
            event = self._ends.get()
            if isinstance(event, End):
                return event
            if event == signal.SIGHUP:
                self._voice.say(LocalConfigurationChanged())
            else:
                on_stop()
                self._voice.say(ShutdownRequested(signal=event))
