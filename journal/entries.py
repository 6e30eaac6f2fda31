"""Entries: what the parts of a member hand to the journal, already in bytes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from regnal.actors.step import Step
from regnal.journal.encoding import (
    Body,
    Likeness,
    likeness,
    message_body,
    step_body,
)
from regnal.journal.stamps import hlc_text
from regnal.messages.base import Bytes, Instant, Message
from regnal.messages.envelope import Envelope, HybridTime, MessageId, PartName

OVERHEAD: Bytes = 64
"""Of a record beside its body: number, hash, and what memory needs."""


@dataclass(slots=True, eq=False)
class MessageEntry:
    """A message that was said."""

    id: MessageId
    body: Body
    likeness: Likeness | None
    is_written: bool = False
    """Whether it is in the current segment."""

    @property
    def bodies(self) -> Iterator[Body]:
        yield self.body


@dataclass(slots=True, eq=False)
class StepEntry:
    """A step and the messages that it said: together in the chain, or not at all."""

    actor: PartName
    rule: str | None
    state: object
    """Of the actor after the step."""

    heard: MessageId
    heard_again: Callable[[], Body]
    """Encodes the message that was heard once more."""

    body: Body
    said: tuple[MessageEntry, ...]

    @property
    def bodies(self) -> Iterator[Body]:
        yield self.body
        for message in self.said:
            yield message.body


@dataclass(slots=True, eq=False)
class NoteEntry:
    """A record of the journal about itself."""

    body: Body
    is_break: bool = False
    """Whether records are missing before it, so that a snapshot should follow."""

    @property
    def bodies(self) -> Iterator[Body]:
        yield self.body


Entry = MessageEntry | StepEntry | NoteEntry


class Group(NamedTuple):
    """Records that are written together, or not at all."""

    bodies: list[Body]
    entry: Entry


@dataclass(slots=True)
class Loss:
    """Records that found no room in the buffer."""

    count: int = 0
    first: str = ""
    last: str = ""
    """Hybrid times of the first and the last record lost."""

    def add(self, hlc: HybridTime) -> None:
        self.count += 1
        self.last = hlc_text(hlc)
        self.first = self.first or self.last


def size_of(entry: Entry) -> Bytes:
    """How much of the buffer the entry takes."""
    return sum(len(body) + OVERHEAD for body in entry.bodies)


def message_entry(envelope: Envelope[Message]) -> MessageEntry:
    return MessageEntry(
        id=envelope.id, body=message_body(envelope), likeness=likeness(envelope)
    )


def step_entry(
    actor: PartName,
    heard: Envelope[Message],
    step: Step[Any],
    said: Sequence[Envelope[Message]],
    stamp: tuple[HybridTime, Instant],
) -> StepEntry:
    """`stamp` is when the step was taken."""
    hlc, at = stamp
    return StepEntry(
        actor=actor,
        rule=step.rule,
        state=step.state,
        heard=heard.id,
        heard_again=lambda: message_body(heard),
        body=step_body(actor, heard.id, step, said, hlc, at),
        said=tuple(message_entry(envelope) for envelope in said),
    )
