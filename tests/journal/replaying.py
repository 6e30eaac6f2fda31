"""What a reader of the journal may rely on, as a replay of one actor.

message    it hears those of its classes, in their order, each once
step       it has heard all up to this one; a message without a step leaves it silent
snapshot   it stands here now, and has heard all up to that message
"""

from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from pydantic_core import from_json

from regnal.actors.step import Decider, Step
from regnal.journal.decoding import StepTaken, envelope_of, state_of, step_of
from regnal.journal.encoding import json_bytes, plain
from regnal.journal.entries import number_of
from regnal.journal.reader import Record
from regnal.messages.base import Message
from regnal.messages.envelope import Envelope

S = TypeVar("S")


class Replay(Generic[S]):
    """Takes the records of one journal; every step must come out as recorded."""

    def __init__(self, decider: Decider[S]) -> None:
        self.state = decider.initial("pg1")
        self.compared = 0
        self._decider = decider
        self._waiting: deque[Envelope[Message]] = deque()
        self._taken = 0
        """Number of the last message that was put into the mailbox."""

        self._heard = 0

    def take_all(self, records: Iterable[Record]) -> "Replay[S]":
        for record in records:
            self.take(record)
        return self

    def take(self, record: Record) -> None:
        match record.kind:
            case "start" if record.fields["why"] == "opened":
                # Another life: what it was told is gone with the one before.
                self.state = self._decider.initial("pg1")
                self._waiting.clear()
                self._taken = self._heard = 0
            case "snapshot" if record.fields["actor"] == self._decider.name:
                self._take_snapshot(record)
            case "message":
                self._take_message(envelope_of(record))
            case "step" if record.fields["actor"] == self._decider.name:
                self._take_step(step_of(record))

    def settled(self) -> S:
        """The state when it has heard what is on its way."""
        state = self.state
        for envelope in self._waiting:
            state = self._decider.handle(state, envelope).state
        return state

    def _take_snapshot(self, record: Record) -> None:
        heard = record.fields.get("heard")
        number = number_of(heard) if heard else 0
        if number < self._heard:
            return
        self.state = state_of(record, self._decider)
        self._heard = number
        self._taken = max(self._taken, number)
        while self._waiting and number_of(self._waiting[0].id) <= number:
            self._waiting.popleft()

    def _take_message(self, envelope: Envelope[Message]) -> None:
        number = number_of(envelope.id)
        if number > self._taken and isinstance(envelope.message, self._decider.hears):
            self._taken = number
            self._waiting.append(envelope)

    def _take_step(self, taken: StepTaken) -> None:
        if number_of(taken.heard) <= self._heard:
            return
        while True:
            assert self._waiting, f"{taken.heard} is not in the journal"
            envelope = self._waiting.popleft()
            step = self._decider.handle(self.state, envelope)
            self.state = step.state
            self._heard = number_of(envelope.id)
            if envelope.id == taken.heard:
                self._compare(taken, step)
                return
            assert not step.said
            assert step.rule is None

    def _compare(self, taken: StepTaken, step: Step[S]) -> None:
        self.compared += 1
        assert taken.rule == step.rule
        assert taken.facts == from_json(json_bytes(plain(step.facts)))
        assert len(taken.said) == len(step.said)
