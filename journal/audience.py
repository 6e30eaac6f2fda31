"""The audience: what each actor has heard, and the state that it came to.

Every actor hears the messages of its classes in the order of the journal.  So the
state of an actor and the last message that it heard are all that replay needs to
know of what came before; a *snapshot* is just that, for every actor.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from regnal.actors.step import Decider
from regnal.journal.encoding import Body, plain_body
from regnal.journal.entries import Learned, MessageEntry, number_of
from regnal.messages.base import MemberName, Message
from regnal.messages.envelope import PartName

MAXIMUM_UNHEARD = 10_000
"""Messages that somebody has yet to hear.  More than that, and an actor is stuck:
its messages are not waited for."""


class Audience:
    """The actors of this member, as far as the journal has heard of them."""

    def __init__(self, member: MemberName, deciders: Sequence[Decider[Any]]) -> None:
        self._adapters = {d.name: TypeAdapter[Any](d.state) for d in deciders}
        self._hears = {d.name: d.hears for d in deciders}
        self._learned: dict[PartName, Learned] = {
            d.name: Learned(d.initial(member), None) for d in deciders
        }
        self._numbers: dict[PartName, int] = dict.fromkeys(self._hears, 0)
        self._hearers: dict[type[Message], tuple[PartName, ...]] = {}
        self._unheard: deque[MessageEntry] = deque()

    def say(self, message: MessageEntry) -> None:
        """The message is on its way to those who hear it."""
        if self._hearers_of(message):
            self._unheard.append(message)
            if len(self._unheard) > MAXIMUM_UNHEARD:
                self._unheard.popleft()

    def learn(self, learned: Mapping[PartName, Learned]) -> None:
        """These actors have heard these messages, and are in these states now."""
        for actor, one in learned.items():
            if actor in self._learned:
                self._learned[actor] = one
                if one.heard is not None:
                    self._numbers[actor] = number_of(one.heard)
        while self._unheard and self.has_heard(self._unheard[0]):
            self._unheard.popleft()

    def has_heard(self, message: MessageEntry) -> bool:
        """Whether everybody who hears such messages has heard this one."""
        return all(
            self._numbers[actor] >= message.number
            for actor in self._hearers_of(message)
        )

    def unheard(self) -> Iterator[MessageEntry]:
        """Messages that somebody has yet to hear, in their order."""
        return (m for m in self._unheard if not self.has_heard(m))

    def snapshot(self, stamp: Mapping[str, object]) -> Iterator[Body]:
        """A record for each actor: its state, and the last message it heard."""
        for actor, adapter in self._adapters.items():
            state, heard = self._learned[actor]
            record = {**stamp, "kind": "snapshot", "actor": actor}
            if heard is not None:
                record["heard"] = heard
            try:
                record["state"] = adapter.dump_python(state, mode="json")
            except PydanticSerializationError as error:
                record["error"] = str(error)
            yield plain_body(record)

    def _hearers_of(self, message: MessageEntry) -> tuple[PartName, ...]:
        hearers = self._hearers.get(message.word)
        if hearers is None:
            hearers = tuple(
                actor
                for actor, words in self._hears.items()
                if issubclass(message.word, words)
            )
            self._hearers[message.word] = hearers
        return hearers
