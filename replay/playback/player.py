"""The player: today's deciders hear what the journal says that the actors heard.

    for event in play(directory, DECIDERS):
        match event:
            case Replayed(actor=actor, before=before, step=step): ...

A stream of what happened, one actor's step after the other, in the order of the journal.
Only the states and what waits to be heard are kept, however large the journal is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from regnal.actors.step import Decider, Step
from regnal.journal.chain_check import Damage
from regnal.journal.decoding import Undecodable, state_of
from regnal.journal.places import RecordNumber
from regnal.journal.reader import EVERYTHING, Record, Window, scan
from regnal.messages.base import Bytes, Message
from regnal.messages.envelope import Envelope, PartName
from regnal.replay.playback.differing import Changed, state_changes
from regnal.replay.playback.hearing import (
    Began,
    Event,
    Failed,
    Heard,
    Hearing,
    Passed,
    Recorded,
    Stood,
    Unusable,
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """An actor heard a message; what its decider of today makes of it."""

    actor: PartName
    heard: Envelope[Message]
    record: RecordNumber
    """Of the message."""

    before: Any
    """The state."""

    step: Step[Any] | None
    """None: the decider raised `error`."""

    error: Exception | None
    recorded: Recorded | Failed | None
    """None: the journal has no step; the actor only learned."""

    is_doubtful: bool
    """Whether something may be missing between the last snapshot and this: `before` need
    not be what the actor knew."""


class Restored(NamedTuple):
    """A snapshot was reached."""

    actor: PartName
    record: Record
    recorded: Any
    """The state in it; None: it is not readable."""

    replayed: Any
    """What today's decider came to; None: its state was not known."""

    changes: tuple[Changed, ...]
    """From the one to the other, where both are known."""

    is_doubtful: bool


Played: TypeAlias = Began | Replayed | Restored | Passed | Unusable


class Player:
    """Takes the records of one member's journal in their order."""

    def __init__(self, deciders: Sequence[Decider[Any]]) -> None:
        self.states: dict[PartName, Any] = {}
        """Where each actor stands; those of which that is not known are left out."""

        self.hearing = Hearing(deciders)
        self._deciders = {decider.name: decider for decider in deciders}

    def take(self, item: Record | Damage) -> Iterator[Played]:
        """One record, or the damage met in its place."""
        for event in self.hearing.take(item):
            yield from self._play(event)

    def finish(self) -> Iterator[Played]:
        """The journal ends."""
        for event in self.hearing.finish():
            yield from self._play(event)

    def settled(self, actor: PartName) -> Any:
        """Where the actor stands when it has also heard what waits, as far as it only
        learns from it; had it spoken, the journal would have its step.

        None: that is not known.
        """
        state = self.states.get(actor)
        if state is None:
            return None
        for envelope, _ in self.hearing.waiting(actor):
            step, _ = decided(self._deciders[actor], state, envelope)
            if step is None or step.said or step.facts or step.rule is not None:
                break
            state = step.state
        return state

    def _play(self, event: Event) -> Iterator[Played]:
        match event:
            case Heard():
                yield from self._hear(event)
            case Stood():
                yield from self._restore(event)
            case Began(member=member, is_opened=is_opened):
                self.states = (
                    {name: d.initial(member) for name, d in self._deciders.items()}
                    if is_opened
                    else {}
                )
                yield event
            case Passed() | Unusable():
                yield event

    def _hear(self, event: Heard) -> Iterator[Replayed | Passed]:
        actor, envelope = event.actor, event.envelope
        if actor not in self.states:
            if event.recorded is not None:
                yield Passed(actor, event.recorded.record)
            return
        before = self.states[actor]
        step, error = decided(self._deciders[actor], before, envelope)
        if step is not None:
            self.states[actor] = step.state
        yield Replayed(
            actor=actor,
            heard=envelope,
            record=event.record,
            before=before,
            step=step,
            error=error,
            recorded=event.recorded,
            is_doubtful=event.is_doubtful,
        )

    def _restore(self, event: Stood) -> Iterator[Restored | Unusable]:
        actor, record, is_doubtful = event
        decider, replayed = self._deciders[actor], self.states.get(actor)
        recorded: Any = None
        found: tuple[Changed, ...] = ()
        try:
            recorded = state_of(record, decider)
        except Undecodable as error:
            yield Unusable(record.n, f"{actor}: {error}")
            if is_doubtful:
                self.states.pop(actor, None)
        else:
            if replayed is not None:
                written = record.fields["state"]
                found = state_changes(decider, written, recorded, replayed)
            # Ours knows also what actors remember only since.
            if replayed is None or is_doubtful or found:
                self.states[actor] = recorded
        yield Restored(actor, record, recorded, replayed, found, is_doubtful)


def decided(
    decider: Decider[Any], state: Any, envelope: Envelope[Message]
) -> tuple[Step[Any] | None, Exception | None]:
    """What the decider makes of the message: a step, or what it raised."""
    try:
        return decider.handle(state, envelope), None
    except Exception as error:  # noqa: BLE001 - a decider of any quality is judged
        return None, error


def play(
    directory: Path,
    deciders: Sequence[Decider[Any]],
    window: Window = EVERYTHING,
    *,
    counted: Callable[[Bytes], None] = lambda size: None,
) -> Iterator[Played]:
    """One member's journal, from the first snapshot or start on.  Raises OSError.

    `counted` is told the size of each record that is read.  All of the segments that
    overlap the window are played: each begins with snapshots.
    """
    player = Player(deciders)
    for item in scan(directory, window, with_held=True, whole=True):
        if isinstance(item, Record):
            counted(len(item.line))
        yield from player.take(item)
    yield from player.finish()
