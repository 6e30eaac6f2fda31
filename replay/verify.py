"""Verify: run the recorded inputs through today's deciders, and compare.

Every actor hears the messages of the journal in their order, as the daemon's bus
gave them to it.  A step that was recorded must come out again with the same rule,
facts and words; a message without a recorded step must leave the actor silent.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from regnal.actors.step import Decider, Step
from regnal.journal.chain_check import Damage
from regnal.journal.decoding import (
    StepTaken,
    Undecodable,
    envelope_of,
    state_of,
    step_of,
)
from regnal.journal.encoding import json_bytes, plain
from regnal.journal.entries import number_of
from regnal.journal.reader import Record, scan
from regnal.messages.base import Message
from regnal.messages.daemon import ObservationSuperseded
from regnal.messages.envelope import Envelope, MessageId


@dataclass(frozen=True, slots=True)
class Difference:
    """Where today's decider does otherwise than the journal says."""

    actor: str
    heard: MessageId
    what: Literal["rule", "facts", "said", "silence", "error"]
    recorded: Any
    replayed: Any

    def __str__(self) -> str:
        return (
            f"{self.actor} on {self.heard}: {self.what} was {self.recorded!r}, "
            f"is {self.replayed!r}"
        )


@dataclass
class Verification:
    """What came of it."""

    messages: int = 0
    steps: int = 0
    """Recorded steps that were compared."""

    differences: list[Difference] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    """Records that could not be used."""

    @property
    def is_same(self) -> bool:
        return not self.differences


@dataclass
class _Replayed:
    """One actor, as far as it has been replayed."""

    decider: Decider[Any]
    state: Any
    waiting: deque[Envelope[Message]] = field(default_factory=deque)
    """Messages that it has not been seen to hear yet."""

    taken: int = 0
    """Number of the last message that was put into its mailbox."""

    heard: int = 0
    """Number of the last message that its state is known to know."""


class Verifier:
    """Takes the records of one journal in their order."""

    def __init__(self, deciders: Sequence[Decider[Any]]) -> None:
        self.result = Verification()
        self._deciders = deciders
        self._actors: dict[str, _Replayed] = {}
        self._expected: dict[MessageId, tuple[StepTaken, Message]] = {}

    def take(self, record: Record) -> None:
        """One record; what cannot be used is noted and passed over."""
        try:
            match record.kind:
                case "start" if (
                    record.fields.get("why") == "opened" or not self._actors
                ):
                    self._begin(record.fields["member"])
                case "message":
                    self._take_message(record)
                case "step":
                    self._take_step(step_of(record))
                case "snapshot":
                    self._take_snapshot(record)
        except Undecodable as error:
            self.result.troubles.append(str(error))

    def finish(self) -> Verification:
        """What is left waiting was not heard before the journal ended."""
        return self.result

    def _begin(self, member: str) -> None:
        """A daemon started: every actor begins anew."""
        self._expected.clear()
        self._actors = {
            decider.name: _Replayed(decider, decider.initial(member))
            for decider in self._deciders
        }

    def _take_message(self, record: Record) -> None:
        envelope = envelope_of(record)
        self.result.messages += 1
        self._compare_said(envelope)
        message = envelope.message
        if isinstance(message, ObservationSuperseded):
            self._skip(message)
        number = number_of(envelope.id)
        for actor in self._actors.values():
            # A segment repeats what was on its way when it began.
            if number > actor.taken and isinstance(message, actor.decider.hears):
                actor.taken = number
                actor.waiting.append(envelope)

    def _skip(self, superseded: ObservationSuperseded) -> None:
        actor = self._actors.get(superseded.actor)
        if actor is not None:
            actor.waiting = deque(
                e for e in actor.waiting if e.id != superseded.skipped
            )

    def _take_snapshot(self, record: Record) -> None:
        """Where an actor stands: what it heard up to there need not be in the
        journal, for a quiet member leaves repetitions out."""
        actor = self._actors.get(record.fields["actor"])
        heard = record.fields.get("heard")
        if actor is None or heard is None or number_of(heard) < actor.heard:
            return
        actor.state = state_of(record, actor.decider)
        actor.heard = number_of(heard)
        actor.taken = max(actor.taken, actor.heard)
        actor.waiting = deque(e for e in actor.waiting if number_of(e.id) > actor.heard)

    def _take_step(self, taken: StepTaken) -> None:
        actor = self._actors.get(taken.actor)
        if actor is None or number_of(taken.heard) <= actor.heard:
            return
        if all(envelope.id != taken.heard for envelope in actor.waiting):
            self.result.troubles.append(
                f"{taken.actor} heard {taken.heard}, which is not in the journal"
            )
            return
        while actor.waiting:
            envelope = actor.waiting.popleft()
            actor.heard = number_of(envelope.id)
            step = self._hear(actor, envelope)
            if envelope.id == taken.heard:
                if step is not None:
                    self._compare(taken, step)
                return
            if step is not None and (step.said or step.facts):
                self._differ(taken.actor, envelope.id, "silence", None, step.rule)

    def _hear(self, actor: _Replayed, envelope: Envelope[Message]) -> Step[Any] | None:
        try:
            step = actor.decider.handle(actor.state, envelope)
        except Exception as error:  # noqa: BLE001 - a decider of any quality is judged
            self._differ(actor.decider.name, envelope.id, "error", None, repr(error))
            return None
        actor.state = step.state
        return step

    def _compare(self, taken: StepTaken, step: Step[Any]) -> None:
        self.result.steps += 1
        if step.rule != taken.rule:
            self._differ(taken.actor, taken.heard, "rule", taken.rule, step.rule)
        facts = _as_json(plain(step.facts))
        if facts != taken.facts:
            self._differ(taken.actor, taken.heard, "facts", taken.facts, facts)
        if len(step.said) != len(taken.said):
            kinds = [type(message).__name__ for message in step.said]
            self._differ(taken.actor, taken.heard, "said", len(taken.said), kinds)
            return
        for identifier, message in zip(taken.said, step.said, strict=True):
            self._expected[identifier] = (taken, message)

    def _compare_said(self, envelope: Envelope[Message]) -> None:
        expected = self._expected.pop(envelope.id, None)
        if expected is None:
            return
        taken, message = expected
        if message != envelope.message:
            self._differ(taken.actor, taken.heard, "said", envelope.message, message)

    def _differ(
        self,
        actor: str,
        heard: MessageId,
        what: Literal["rule", "facts", "said", "silence", "error"],
        recorded: Any,
        replayed: Any,
    ) -> None:
        self.result.differences.append(
            Difference(actor, heard, what, recorded, replayed)
        )


def verify_journal(directory: Path, deciders: Sequence[Decider[Any]]) -> Verification:
    """Replay one member's journal from its first start on."""
    verifier = Verifier(deciders)
    for record in _records(scan(directory), verifier.result):
        verifier.take(record)
    return verifier.finish()


def _records(
    items: Iterable[Record | Damage], result: Verification
) -> Iterator[Record]:
    for item in items:
        if isinstance(item, Damage):
            result.troubles.append(str(item))
        else:
            yield item


def _as_json(value: object) -> Mapping[str, Any]:
    parsed: Mapping[str, Any] = json.loads(json_bytes(value))
    return parsed
