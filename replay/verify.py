"""Verify: run the recorded inputs through today's deciders, and compare.

A step that was recorded must come out again with the same rule, facts and words; a
message without a recorded step must leave the actor silent; and a state must be that of
the next snapshot.  After damage, up to the next snapshot, nobody can say what an actor
knew: there only what comes out the same counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from regnal.actors.step import Decider, Step
from regnal.journal.encoding import kind_of
from regnal.journal.places import RecordNumber
from regnal.journal.reader import EVERYTHING, Window
from regnal.journal.stamps import wall_text
from regnal.messages.base import Bytes
from regnal.messages.envelope import PartName
from regnal.replay.playback.differing import Changed, as_json, changes
from regnal.replay.playback.hearing import (
    Began,
    Failed,
    Passed,
    Recorded,
    Unusable,
)
from regnal.replay.playback.player import Played, Replayed, Restored, play

Aspect: TypeAlias = Literal["rule", "facts", "said", "silence", "error", "state"]
"""rule, facts, said: of a step that was recorded.  silence: the actor only learned, and
would speak today.  error: it could not handle the message, then or today.  state: at a
snapshot."""

MAXIMUM_DIFFERENCES = 10_000
"""That are kept, with as many troubles; more are counted."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where today's decider does otherwise than the journal says."""

    actor: PartName
    what: Aspect
    record: RecordNumber
    """Of the recorded step or snapshot; of the message, where there is neither."""

    at: str
    """When, by the hybrid clock, as `wall_text` writes it."""

    heard: str
    """Kind of the message that it heard; empty for a state."""

    heard_id: str
    rule: str | None
    """That the journal has for the step; None: none, or a state."""

    changes: tuple[Changed, ...]
    follows: bool
    """Whether the actor differed before, since its last snapshot: this may follow."""

    def __str__(self) -> str:
        told = "; ".join(
            f"{one.path or self.what} was {one.recorded!r}, is {one.replayed!r}"
            for one in self.changes
        )
        return f"record {self.record}: {self.actor} {self.what}: {told}"


@dataclass
class Verification:
    """What came of it."""

    messages: int = 0
    """That an actor heard, each time one did."""

    steps: int = 0
    """Recorded steps that were compared."""

    states: int = 0
    """Snapshots that were compared."""

    passed: int = 0
    """Recorded steps that could not be replayed: they stand before the snapshot that
    says where the actor stood."""

    doubtful: int = 0
    """Steps that came out otherwise, but after damage: they say nothing."""

    difference_count: int = 0
    trouble_count: int = 0
    differences: list[Difference] = field(default_factory=list)
    """The first MAXIMUM_DIFFERENCES."""

    troubles: list[str] = field(default_factory=list)
    """Records that could not be used, as many."""

    @property
    def is_same(self) -> bool:
        return not self.difference_count


class Verifier:
    """Takes what was played of one journal."""

    def __init__(self) -> None:
        self.result = Verification()
        self._differed: set[PartName] = set()
        """Actors that differ since their last snapshot."""

    def take(self, played: Played) -> None:
        match played:
            case Replayed():
                self.result.messages += 1
                self._compare_step(played)
            case Restored():
                self._compare_state(played)
            case Unusable(text=text):
                self._tell(text)
            case Passed():
                self.result.passed += 1
            case Began():
                self._differed.clear()

    def _compare_step(self, played: Replayed) -> None:
        found = dict(_step_changes(played))
        is_step = isinstance(played.recorded, Recorded)
        if played.is_doubtful and found:
            self.result.doubtful += 1
            return
        self.result.steps += is_step
        for what, changed in found.items():
            self._differ(_of_step(played, what, changed, self._has_differed(played)))
        if found:
            self._differed.add(played.actor)

    def _has_differed(self, played: Replayed) -> bool:
        return played.actor in self._differed

    def _compare_state(self, restored: Restored) -> None:
        actor, record = restored.actor, restored.record
        is_known = restored.recorded is not None and restored.replayed is not None
        if is_known and not restored.is_doubtful:
            self.result.states += 1
            if restored.changes:
                self._differ(
                    Difference(
                        actor=actor,
                        what="state",
                        record=record.n,
                        at=record.wall,
                        heard="",
                        heard_id=str(record.fields.get("heard") or ""),
                        rule=None,
                        changes=restored.changes,
                        follows=actor in self._differed,
                    )
                )
        if restored.recorded is not None:
            self._differed.discard(actor)

    def _differ(self, difference: Difference) -> None:
        self.result.difference_count += 1
        if len(self.result.differences) < MAXIMUM_DIFFERENCES:
            self.result.differences.append(difference)

    def _tell(self, text: str) -> None:
        self.result.trouble_count += 1
        if len(self.result.troubles) < MAXIMUM_DIFFERENCES:
            self.result.troubles.append(text)


def verify_journal(
    directory: Path,
    deciders: Sequence[Decider[Any]],
    window: Window = EVERYTHING,
    *,
    counted: Callable[[Bytes], None] = lambda size: None,
) -> Verification:
    """Replay one member's journal from where its states are known first: the segments
    that overlap the window.

    `counted` is told the size of each record that is read.  Raises OSError.
    """
    verifier = Verifier()
    for played in play(directory, deciders, window, counted=counted):
        verifier.take(played)
    return verifier.result


def _step_changes(played: Replayed) -> dict[Aspect, tuple[Changed, ...]]:
    """By what differs; empty: it came out as it was recorded."""
    recorded, step = played.recorded, played.step
    error = None if played.error is None else error_text(played.error)
    match recorded:
        case Failed(failure=failure):
            return _changed("error", failure.error, error)
        case Recorded() if step is not None:
            return {
                **_changed("rule", recorded.taken.rule, step.rule),
                **_facts_changes(recorded, step),
                **_said_changes(recorded, step),
            }
        case None if step is not None:
            speaks = step.said or step.facts or step.rule is not None
            return _changed("silence", None, spoken(step) if speaks else None)
        case _:
            return _changed("error", None, error)


def _changed(
    what: Aspect, recorded: Any, replayed: Any
) -> dict[Aspect, tuple[Changed, ...]]:
    found = tuple(changes(recorded, replayed))
    return {what: found} if found else {}


def _facts_changes(
    recorded: Recorded, step: Step[Any]
) -> dict[Aspect, tuple[Changed, ...]]:
    if not step.facts and not recorded.taken.facts:
        return {}
    return _changed("facts", recorded.taken.facts, as_json(step.facts))


def _said_changes(
    recorded: Recorded, step: Step[Any]
) -> dict[Aspect, tuple[Changed, ...]]:
    words = [None if said is None else said.message for said in recorded.said]
    if tuple(words) == step.said:
        return {}
    # What is not there any more is taken to have been the same.
    known = [
        step.said[index] if word is None and index < len(step.said) else word
        for index, word in enumerate(words)
    ]
    return _changed(
        "said",
        [None if word is None else as_json(word) for word in known],
        [as_json(word) for word in step.said],
    )


def spoken(step: Step[Any]) -> dict[str, Any]:
    """A step in what JSON has, as far as the journal would have it."""
    return {
        "rule": step.rule,
        "facts": as_json(step.facts),
        "said": [as_json(word) for word in step.said],
    }


def error_text(error: Exception) -> str:
    """As the daemon records it."""
    return f"{type(error).__name__}: {error}"


def _of_step(
    played: Replayed, what: Aspect, changed: tuple[Changed, ...], follows: bool
) -> Difference:
    recorded = played.recorded
    taken = recorded.taken if isinstance(recorded, Recorded) else None
    hlc = played.heard.hlc if taken is None else taken.hlc
    return Difference(
        actor=played.actor,
        what=what,
        record=played.record if recorded is None else recorded.record,
        at=wall_text(hlc.wall_us),
        heard=kind_of(type(played.heard.message)),
        heard_id=played.heard.id,
        rule=None if taken is None else taken.rule,
        changes=changed,
        follows=follows,
    )
