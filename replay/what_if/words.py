"""Words: which of what is said now stands for which of what was said then."""

from collections.abc import Sequence
from typing import NamedTuple

from regnal.messages.base import Message
from regnal.messages.envelope import Envelope
from regnal.messages.probes import ProbePeers
from regnal.messages.timers import CancelTimer, SetTimer
from regnal.replay.what_if.answers import WEIGHTY, bearing
from regnal.replay.what_if.substance import substance


class Pair(NamedTuple):
    """The same is said, as far as that goes."""

    recorded: Envelope[Message]
    then: Message
    now: Message


class Words(NamedTuple):
    """What was said then, and is said now, of one step."""

    pairs: tuple[Pair, ...] = ()
    unsaid: tuple[Envelope[Message], ...] = ()
    """Said then, and not now."""

    added: tuple[Message, ...] = ()
    """Said now, and not then."""


def paired(
    recorded: Sequence[Envelope[Message] | None],
    then: Sequence[Message],
    now: Sequence[Message],
) -> Words:
    """`then` is what this program makes of the recording.  Where that is not what was
    recorded, by another version of it, that is no answer to the question: what only the
    recording says stays said, and what it does not say is not heard."""
    left = list(_written(recorded, then))
    pairs: list[Pair] = []
    added: list[Message] = []
    for message in now:
        partner = next((one for one in left if alike(one[0], message)), None)
        if partner is None:
            added.append(message)
            continue
        left.remove(partner)
        said, envelope = partner
        if envelope is not None:
            pairs.append(Pair(envelope, said, message))
    unsaid = tuple(envelope for _, envelope in left if envelope is not None)
    return Words(tuple(pairs), unsaid, tuple(added))


def _written(
    recorded: Sequence[Envelope[Message] | None], then: Sequence[Message]
) -> list[tuple[Message, Envelope[Message] | None]]:
    """Each word with the record of it; None: there is none."""
    left = [envelope for envelope in recorded if envelope is not None]
    found: list[tuple[Message, Envelope[Message] | None]] = []
    for message in then:
        envelope = next((one for one in left if alike(one.message, message)), None)
        if envelope is not None:
            left.remove(envelope)
        found.append((message, envelope))
    return found


def alike(one: Message, other: Message) -> bool:
    """Of one kind: timers of one name, questions to the same members, and orders that
    bear on what happens next only where they say the same in substance."""
    if type(one) is not type(other):
        return False
    if isinstance(one, SetTimer | CancelTimer):
        return one.name == getattr(other, "name", None)
    if isinstance(one, ProbePeers):
        return _asked(one) == _asked(other)
    if bearing(one) in WEIGHTY:
        return substance(one) == substance(other)
    return True


def _asked(probe: Message) -> tuple[object, ...]:
    """Who is asked, on whose behalf; not how long their answers are waited for."""
    assert isinstance(probe, ProbePeers)
    return probe.request, *(target.name for target in probe.targets)
