"""A member whose threads write their journal, as in the daemon."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regnal.journal.options import JournalOptions
from regnal.journal.waiting import Kept
from regnal.journal.writer import JournalWriter
from regnal.messages.base import Message
from regnal.messages.cluster import StoreUnreachable
from regnal.messages.envelope import Envelope
from regnal.messages.lease import LeaderRenewed
from regnal.messages.timers import TimerFired
from tests.journal.builders import IDENTITY, TOY, Memory, remember

OPTIONS = JournalOptions(patience=0.5, retry_seconds=0.05)


@dataclass
class Speaker:
    """Says and hears what the test wants; remembers what it said."""

    writer: JournalWriter
    memory: Memory = field(default_factory=Memory)
    said: list[str] = field(default_factory=list)

    def say(self, message: Message) -> tuple[Kept, Envelope[Message]]:
        envelope = self.writer.stamper.envelope(
            message, said_by="dcs", cause=None, trace=None
        )
        kept = self.writer.message(envelope)
        if kept is not Kept.LOST:
            self.said.append(envelope.id)
        return kept, envelope

    def hear(self, heard: Envelope[Message], *, durable: bool = False) -> Kept:
        step = remember(self.memory, heard)
        self.memory = step.state
        said = [
            self.writer.stamper.envelope(
                message, said_by="election", cause=heard, trace=None
            )
            for message in step.said
        ]
        kept = self.writer.step("election", heard, step, said, durable=durable)
        if kept is not Kept.LOST:
            self.said.extend(envelope.id for envelope in said)
        return kept

    def order(self, what: str, *, durable: bool) -> Kept:
        """Hear something, and order one of builders.ORDERS."""
        _, heard = self.say(StoreUnreachable(error=what, unanswered_for=1.0))
        return self.hear(heard, durable=durable)

    def beat(self, number: int) -> None:
        for message in (
            TimerFired(name="heartbeat", due_at=number),
            LeaderRenewed(member="pg1", valid_until=number + 30),
        ):
            self.hear(self.say(message)[1])


@contextmanager
def speaking(
    directory: Path, options: JournalOptions = OPTIONS, **more: Any
) -> Iterator[Speaker]:
    writer = JournalWriter(directory, IDENTITY, (TOY,), options, **more)
    try:
        yield Speaker(writer)
    finally:
        writer.close()


def eventually(
    condition: Callable[[], object], what: str, within: float = 20.0
) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"waited {within} s for: {what}"
        time.sleep(0.005)
