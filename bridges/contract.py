"""What the runtime and a bridge promise each other."""

from typing import Protocol

from regnal.messages.base import Command, Instant, MemberName, Message, Seconds
from regnal.messages.envelope import Envelope, PartName


class Voice(Protocol):
    """How a bridge says observations and outcomes; safe from any thread."""

    def say(self, message: Message, cause: Envelope[Message] | None = None) -> None:
        """Journal the message and deliver it to every actor that hears it.

        `cause` is the command that it answers; None for a fact from outside.
        Never blocks for longer than an append to the journal.
        """
        ...


class Clock(Protocol):
    """The clock of `Instant`: monotonic, goes on during suspend."""

    def __call__(self) -> Instant: ...


class HybridClock(Protocol):
    """The stamps that members show each other; safe from any thread.

    What is said after a stamp was heard is stamped later.  A stamp that cannot be
    read changes nothing.  The answer is what its hearer says, if anything.
    """

    def shown(self) -> str:
        """A stamp of ours, for another member."""
        ...

    def heard_in_answer(
        self, member: MemberName, text: str, elapsed: Seconds
    ) -> Message | None:
        """`elapsed`: since we asked."""
        ...

    def heard_in_request(self, text: str) -> Message | None:
        """From somebody who says to be a member."""
        ...


class Bridge(Protocol):
    """One way to the outside."""

    @property
    def name(self) -> PartName: ...

    @property
    def performs(self) -> tuple[type[Command], ...]:
        """The commands that are delivered to this bridge."""
        ...

    def start(self) -> None:
        """Start all threads that this bridge will ever have."""
        ...

    def perform(self, envelope: Envelope[Command]) -> None:
        """Take the order; returns at once, the outcome is said later."""
        ...

    def stop(self) -> None:
        """End the threads.  PostgreSQL is not touched."""
        ...
