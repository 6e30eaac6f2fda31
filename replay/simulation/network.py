"""The simulated network: what arrives, and when.

Names are those of members, `STORE`, and `OUTSIDE`.  A lost packet is sent again, as TCP does, so
that loss is delay; two messages over two connections may overtake each other.
"""

from regnal.messages.base import Seconds
from regnal.replay.simulation.scheduler import Scheduler

STORE = "store"

OUTSIDE = "outside"
"""Where clients are that depend on the network."""

ONE_WAY = (0.0005, 0.004)
"""Seconds of a message through a healthy network, least and most."""

SENT_AGAIN_AFTER: Seconds = 0.2
"""TCP's least retransmission timeout; it doubles each time."""

SENT_AT_MOST = 8
"""Times; then the connection is as good as cut, and the message is very late."""


class Network:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.cut: set[frozenset[str]] = set()
        """Pairs that cannot talk at all."""

        self.one_way: set[tuple[str, str]] = set()
        """Sender and receiver: what the one sends to the other is lost."""

        self.slow: dict[str, Seconds] = {}
        """What a message to or from there takes longer."""

        self.loss: dict[str, float] = {}
        """Share of the packets to or from there that are lost."""

        self.down: set[str] = set()
        """Who neither answers nor refuses: hosts without power, or suspended."""

    def carries(self, sender: str, receiver: str) -> bool:
        """Whether what is sent now arrives."""
        if self.down and (sender in self.down or receiver in self.down):
            return False
        if self.cut and frozenset((sender, receiver)) in self.cut:
            return False
        return not self.one_way or (sender, receiver) not in self.one_way

    def connects(self, one: str, other: str) -> bool:
        """Whether a conversation is possible: both hear each other."""
        return self.carries(one, other) and self.carries(other, one)

    def latency(self, sender: str, receiver: str) -> Seconds:
        """How long a message takes; drawn by the seed."""
        delay = self._scheduler.delay(*ONE_WAY)
        if self.slow:
            delay += self.slow.get(sender, 0.0) + self.slow.get(receiver, 0.0)
        if self.loss:
            delay += self._sent_again(sender, receiver)
        return delay

    def heal(self) -> None:
        """All is well but for hosts that are down."""
        for trouble in (self.cut, self.one_way, self.slow, self.loss):
            trouble.clear()

    def _sent_again(self, sender: str, receiver: str) -> Seconds:
        share = max(self.loss.get(sender, 0.0), self.loss.get(receiver, 0.0))
        delay, pause = 0.0, SENT_AGAIN_AFTER
        for _ in range(SENT_AT_MOST):
            if self._scheduler.chance.random() >= share:
                break
            delay += pause
            pause *= 2
        return delay
