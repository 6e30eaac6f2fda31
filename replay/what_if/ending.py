"""The end of the evidence: the first orders whose answer nobody recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from regnal.journal.encoding import kind_of
from regnal.journal.places import RecordNumber
from regnal.messages.base import Message
from regnal.messages.probes import ProbePeers
from regnal.replay.evidence.evidence import Moment
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
    """What orders without an answer bring about; None: the recording goes on."""
    if not unanswered:
        return None
    order = unanswered[0]
    kind = kind_of(type(order))
    if any(type(envelope.message) is type(order) for envelope in words.unsaid):
        text = f"{kind} is ordered otherwise: what came of it then is no answer to it"
        return Ending(moment, record, "acts_otherwise", kind, text)
    text = f"{kind} was not ordered then: nobody recorded what would come of it"
    if isinstance(order, ProbePeers):
        text += "; the journals of all that are asked would tell"
    return Ending(moment, record, "acts", kind, text)


def missing(order: Message, moment: Moment, record: RecordNumber) -> Ending:
    """An order that was given then is not given now."""
    kind = kind_of(type(order))
    text = f"{kind} is not ordered: what came of it then would not have"
    return Ending(moment, record, "does_not_act", kind, text)
