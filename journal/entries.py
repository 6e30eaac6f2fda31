"""Entries: what the parts of a member hand to the journal, already in bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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


class Learned(NamedTuple):
    """Where an actor stands."""

    state: object
    heard: MessageId | None
    """The last message that it heard; None: none yet."""


@dataclass(slots=True, eq=False)
class MessageEntry:
    """A message that was said."""

    id: MessageId
    word: type[Message]
    body: Body
    likeness: Likeness | None
    is_written: bool = False
    """Whether it is in the chain, or about to be."""

    @property
    def number(self) -> int:
        return number_of(self.id)

    @property
    def messages(self) -> "tuple[MessageEntry, ...]":
        return (self,)

    @property
    def bodies(self) -> Iterator[Body]:
        yield self.body


@dataclass(slots=True, eq=False)
class StepEntry:
    """A step and the messages that it said: together in the chain, or not at all."""

    actor: PartName
    rule: str | None
    learned: Learned
    heard: MessageId
    body: Body | None
    """None: the actor only learned; that is not recorded, but remembered."""

    messages: tuple[MessageEntry, ...]

    @property
    def bodies(self) -> Iterator[Body]:
        if self.body is not None:
            yield self.body
        for message in self.messages:
            yield message.body


@dataclass(slots=True, eq=False)
class NoteEntry:
    """A record of the journal about itself."""

    body: Body
    is_break: bool = False
    """Whether records are missing before it, so that a snapshot should follow."""

    @property
    def messages(self) -> tuple[MessageEntry, ...]:
        return ()

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

    learned: dict[PartName, Learned] = field(default_factory=dict)
    """What is not lost: where the actors stand after it."""

    def add(self, entry: Entry, hlc: HybridTime) -> None:
        if isinstance(entry, StepEntry):
            self.learned[entry.actor] = entry.learned
            if entry.body is None:
                return
        self.count += 1
        self.last = hlc_text(hlc)
        self.first = self.first or self.last


def size_of(entry: Entry) -> Bytes:
    """How much of the buffer the entry takes."""
    return sum(len(body) + OVERHEAD for body in entry.bodies)


def number_of(message: MessageId) -> int:
    """The number in the id; messages are numbered in the order of the journal."""
    return int(message[message.rindex("/") + 1 :])


def message_entry(envelope: Envelope[Message]) -> MessageEntry:
    return MessageEntry(
        id=envelope.id,
        word=type(envelope.message),
        body=message_body(envelope),
        likeness=likeness(envelope),
    )


def step_entry(
    actor: PartName,
    heard: Envelope[Message],
    step: Step[Any],
    said: Sequence[Envelope[Message]],
    stamp: tuple[HybridTime, Instant],
) -> StepEntry:
    """`stamp` is when the step was taken."""
    is_silent = not said and not step.facts and step.rule is None
    return StepEntry(
        actor=actor,
        rule=step.rule,
        learned=Learned(step.state, heard.id),
        heard=heard.id,
        body=None if is_silent else step_body(actor, heard.id, step, said, *stamp),
        messages=tuple(message_entry(envelope) for envelope in said),
    )
