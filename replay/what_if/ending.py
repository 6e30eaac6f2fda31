"""The end of the evidence: the first orders whose answer nobody recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from regnal.journal.encoding import kind_of
from regnal.journal.places import RecordNumber
from regnal.messages.base import Message
from regnal.messages.probes import ProbePeers
from regnal.replay.evidence.evidence import Moment
from regnal.replay.what_if.answers import bearing
from regnal.replay.what_if.words import Words

Why: TypeAlias = Literal[
    "acts", "does_not_act", "acts_otherwise", "hears_of_it", "is_down", "recording"
]

ACTING: tuple[Why, ...] = ("acts", "does_not_act", "acts_otherwise")
"""Where a member itself goes another way."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Where and why a member's recording is no evidence any more."""

    moment: Moment
    record: RecordNumber
    """The last record of its journal that still counts; 0: none does."""

    why: Why
    command: str | None
    """Kind of the order; None: it is another member's."""

    text: str


def ending(
    words: Words, unanswered: Sequence[Message], moment: Moment, record: RecordNumber
) -> Ending | None:
    """What a step's words bring about; None: the recording goes on."""
    added = [kind_of(type(m)) for m in words.added if bearing(m) == "acting"]
    added += [kind_of(type(message)) for message in unanswered]
    unsaid = {kind_of(type(envelope.message)) for envelope in words.unsaid}
    again = next((kind for kind in added if kind in unsaid), None)
    if again is not None:
        text = f"{again} is ordered otherwise: what came of it then is no answer to it"
        return Ending(moment, record, "acts_otherwise", again, text)
    if added:
        text = f"{added[0]} was not ordered then: nobody recorded what would come of it"
        if any(isinstance(message, ProbePeers) for message in unanswered):
            text += "; the journals of all that are asked would tell"
        return Ending(moment, record, "acts", added[0], text)
    return None


def missing(order: Message, moment: Moment, record: RecordNumber) -> Ending:
    """An order that was given then is not given now."""
    kind = kind_of(type(order))
    text = f"{kind} is not ordered: what came of it then would not have"
    return Ending(moment, record, "does_not_act", kind, text)
