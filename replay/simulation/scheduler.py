"""Virtual time: events in the order of their instants, and chance from one seed."""

import heapq
import random
from collections.abc import Callable

from regnal.messages.base import Instant, Seconds

Event = Callable[[], None]


class Scheduler:
    """Runs events one after the other; the same seed gives the same run."""

    def __init__(self, seed: int) -> None:
        self.now: Instant = 0.0
        self.chance = random.Random(seed)
        self._events: list[tuple[Instant, int, Event]] = []
        self._count = 0

    def at(self, instant: Instant, event: Event) -> None:
        """Run `event` at `instant`, or now if that has passed."""
        self._count += 1
        heapq.heappush(self._events, (max(instant, self.now), self._count, event))

    def after(self, delay: Seconds, event: Event) -> None:
        self.at(self.now + delay, event)

    def delay(self, least: Seconds, most: Seconds) -> Seconds:
        """A delay drawn by the seed."""
        return self.chance.uniform(least, most)

    def run_until(self, instant: Instant, after_each: Event) -> None:
        """Run all events up to `instant`, and `after_each` after every one."""
        while self._events and self._events[0][0] <= instant:
            self.now, _, event = heapq.heappop(self._events)
            event()
            after_each()
        self.now = max(self.now, instant)
