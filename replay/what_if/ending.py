"""The end of the evidence: the first orders whose answer nobody recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from regnal.journal.encoding import kind_of
from regnal.journal.places import RecordNumber
from regnal.messages.base import Message
from regnal.messages.envelope import Envelope
from regnal.messages.probes import ProbePeers
from regnal.replay.evidence.evidence import Moment

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


class Given(NamedTuple):
    """An order whose answer nobody recorded."""

    order: Message
    end: Ending
    """What it brings about, unless the recording gives the same order a moment later."""


def ending(
    order: Message,
    unsaid: Sequence[Envelope[Message]],
    moment: Moment,
    record: RecordNumber,
) -> Given:
    """`unsaid`: what the same step said then, and does not say now."""
    kind = kind_of(type(order))
    why: Why = "acts"
    text = f"{kind} was not ordered then: nobody recorded what would come of it"
    if any(type(envelope.message) is type(order) for envelope in unsaid):
        why = "acts_otherwise"
        text = f"{kind} is ordered otherwise: what came of it then is no answer to it"
    elif isinstance(order, ProbePeers):
        text += "; the journals of all that are asked would tell"
    return Given(order, Ending(moment, record, why, kind, text))


def missing(order: Message, moment: Moment, record: RecordNumber) -> Ending:
    """An order that was given then is not given now."""
    kind = kind_of(type(order))
    text = f"{kind} is not ordered: what came of it then would not have"
    return Ending(moment, record, "does_not_act", kind, text)
