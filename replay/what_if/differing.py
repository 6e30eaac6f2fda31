"""What differs: the steps that came out otherwise, and what merely echoes the change."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from regnal.actors.step import Step
from regnal.journal.places import RecordNumber
from regnal.messages.base import Message, Seconds
from regnal.messages.envelope import Envelope, PartName
from regnal.replay.evidence.evidence import Moment
from regnal.replay.playback.player import Replayed
from regnal.replay.what_if.substance import (
    differs,
    echoes,
    is_aside,
    judges,
    same_decision,
    weighty,
)

GRACE: Seconds = 1.0
"""What is decided or said so much sooner or later is still the same."""


@dataclass(slots=True)
class Differing:
    """A step, then and now; kept if it differs, with those that differ alike after it."""

    actor: PartName
    moment: Moment
    heard: Envelope[Message]
    record: RecordNumber | None
    """Of the message; None: it is not in the journal, for only now it comes."""

    then: Step[Any] | None
    now: Step[Any] | None
    """None: the actor heard nothing."""

    repeats: int = 0
    then_at: Moment | None = None
    """When the same was decided in the recording, if it was."""

    now_at: Moment | None = None
    """When the recorded decision is taken now, if soon."""

    is_repeated: bool = False
    """Whether the other run decided so right before."""

    @property
    def is_minor(self) -> bool:
        """Whether nothing is ordered otherwise but asides and nobody judged, or the same
        is only decided a moment sooner or later."""
        if self.is_repeated:
            return True
        if self.then is None and self.then_at is not None:
            return self.then_at - self.moment <= GRACE
        if self.now_at is not None and not weighty(self.now):
            return True
        if not (is_aside(self.then) and is_aside(self.now)):
            return False
        return not (judges(self.then) or judges(self.now))


class Differences:
    """Of one member."""

    def __init__(self) -> None:
        self.steps = 0
        """That were compared."""

        self.found: list[Differing] = []
        self.echoes: Counter[tuple[PartName, str]] = Counter()
        """By actor, and the name of the fact or the kind of the message."""

    def take(self, step: Differing) -> None:
        """Compare what was decided then and now."""
        self.steps += 1
        then, now = step.then, step.now
        for known in self.found:
            if known.actor != step.actor or step.moment - known.moment > GRACE:
                continue
            if step.now is not None and same_decision(known.then, step.now):
                known.now_at = step.moment
                step.is_repeated = True
            if known.now is not None and same_decision(known.now, step.then):
                step.is_repeated = not weighty(step.now)
        if differs(step.actor, then, now):
            self._add(step)
        elif then is not None and now is not None:
            self.echoes.update((step.actor, name) for name in echoes(then, now))

    def look_again(self, played: Replayed, moment: Moment) -> None:
        """Whether the recording came to one of the decisions later."""
        for known in self.found:
            is_open = known.then_at is None and known.actor == played.actor
            if not is_open or known.now is None:
                continue
            if same_decision(known.now, played.step):
                known.then_at = moment

    def cut(self, until: Moment) -> None:
        """What came later is no evidence."""
        self.found = [one for one in self.found if one.moment <= until]

    def _add(self, step: Differing) -> None:
        for known in self.found:
            if known.actor == step.actor and (
                same_decision(known.then, step.then)
                and same_decision(known.now, step.now)
            ):
                known.repeats += 1
                return
        self.found.append(step)
