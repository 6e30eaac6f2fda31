"""The timers of a daemon: one thread that says `TimerFired` when it is time."""

import heapq
import threading

from regnal.bridges.contract import Clock, Voice
from regnal.messages.base import Command, Instant
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.timers import CancelTimer, SetTimer, TimerFired


class Timers:
    """A bridge to time (see `bridges.contract.Bridge`)."""

    name: PartName = "timers"
    performs: tuple[type[Command], ...] = (SetTimer, CancelTimer)

    def __init__(self, voice: Voice, clock: Clock) -> None:
        self._voice = voice
        self._clock = clock
        self._changed = threading.Condition()
        self._due: dict[str, tuple[Instant, Envelope[Command]]] = {}
        self._heap: list[tuple[Instant, str]] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def perform(self, envelope: Envelope[Command]) -> None:
        with self._changed:
            match envelope.message:
                case SetTimer(name=name, at=at):
                    self._due[name] = (at, envelope)
                    heapq.heappush(self._heap, (at, name))
                case CancelTimer(name=name):
                    self._due.pop(name, None)
                case _:
                    raise AssertionError(envelope.message)
            self._changed.notify()

    def _run(self) -> None:
        while (fired := self._next()) is not None:
            name, at, cause = fired
            self._voice.say(TimerFired(name=name, due_at=at), cause)

    def _next(self) -> tuple[str, Instant, Envelope[Command]] | None:
        """The next timer, once it is due; None when we stop."""
        with self._changed:
            while not self._stopping:
                self._forget_replaced()
                if not self._heap:
                    self._changed.wait()
                    continue
                at, name = self._heap[0]
                left = at - self._clock()
                if left > 0:
                    self._changed.wait(left)
                    continue
                heapq.heappop(self._heap)
                _, cause = self._due.pop(name)
                return name, at, cause
            return None

    def _forget_replaced(self) -> None:
        """Drop entries of the heap whose timer was set anew or cancelled."""
        while self._heap:
            at, name = self._heap[0]
            if name in self._due and self._due[name][0] == at:
                return
            heapq.heappop(self._heap)
