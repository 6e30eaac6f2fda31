"""Substance: when a decision is another one, and when only its numbers are.

A step *differs* if it says something else that bears on what happens next, or if election
goes by another rule: there the rule is the decision.  What differs only in lengths and
moments of time, in what a member shows of itself, or in what was looked at and renewed
when, merely *echoes* the changed configuration.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from regnal.actors.election import ELECTION
from regnal.actors.step import Step
from regnal.journal.encoding import json_bytes, kind_of, plain
from regnal.messages.base import Command, Message
from regnal.messages.changes import (
    ConfigurationKeyChanged,
    LeaderElected,
    LeaderLost,
    MemberJoined,
    MemberLeft,
    OwnMemberChanged,
    StoreBack,
    StoreLost,
)
from regnal.messages.envelope import PartName
from regnal.messages.fencing import ActivateWatchdog, CheckWatchdog, FencingJudged
from regnal.messages.incidents import (
    IncidentAcknowledged,
    IncidentContinued,
    IncidentLapsed,
    IncidentOpened,
    IncidentSettled,
    SuccessorNoted,
)
from regnal.messages.lease import RenewLeader
from regnal.messages.postgres import AdvanceSlot
from regnal.messages.probes import ProbePeers
from regnal.messages.synchronous import StandbyNamesFound
from regnal.replay.what_if.answers import WEIGHTY, bearing

_DOCUMENTS = frozenset({"document", "body"})
"""Fields with texts for others to read, made of what the other fields say."""

_LIGHT = (
    # What subscribers and later readers are told of what was observed.
    ConfigurationKeyChanged,
    IncidentAcknowledged,
    IncidentContinued,
    IncidentLapsed,
    IncidentOpened,
    IncidentSettled,
    LeaderElected,
    LeaderLost,
    MemberJoined,
    MemberLeft,
    OwnMemberChanged,
    StandbyNamesFound,
    StoreBack,
    StoreLost,
    SuccessorNoted,
    # Repeated in a rhythm, or asked when somebody wants to know.
    AdvanceSlot,
    ActivateWatchdog,
    CheckWatchdog,
    ProbePeers,
    RenewLeader,
)
"""Decisions, and orders with an answer, that by themselves decide nothing."""


def is_aside(step: Step[Any] | None) -> bool:
    """Whether the step says nothing weighty but what is beside the point."""
    return all(
        bearing(message) == "aside"
        for message in (step.said if step is not None else ())
        if is_weighty(message)
    )


def judges(step: Step[Any] | None) -> bool:
    """Whether the step gives a reason, or says of members why they may lead or not."""
    return step is not None and bool(JUDGEMENTS & step.facts.keys())


JUDGEMENTS = frozenset({"candidates", "reason"})
"""Facts."""


def differs(actor: PartName, then: Step[Any] | None, now: Step[Any] | None) -> bool:
    """Whether the decision is another one.  None: the actor heard nothing."""
    if then is not None and now is not None:
        if then.rule == now.rule and then.said == now.said:
            return False
        if actor == ELECTION.name and then.rule != now.rule:
            return True
    return weighty(then) != weighty(now)


def same_decision(one: Step[Any] | None, other: Step[Any] | None) -> bool:
    """Whether both go by the same rule, and say the same in substance."""
    if one is None or other is None:
        return one is other
    return one.rule == other.rule and weighty(one) == weighty(other)


def weighty(step: Step[Any] | None) -> Counter[bytes]:
    """What the step says that bears on what happens next, in substance."""
    return Counter(
        substance(message)
        for message in (step.said if step is not None else ())
        if is_weighty(message)
    )


def is_weighty(message: Message) -> bool:
    """Whether it bears on what happens next, and is more than a look, a showing or a
    repetition in the rhythm of the configuration."""
    if isinstance(message, FencingJudged):
        return message.verdict == "failed"
    if isinstance(message, _LIGHT):
        return False
    return not isinstance(message, Command) or bearing(message) in WEIGHTY


def substance(message: Message) -> bytes:
    """Its kind and all that is no measure of time (floats are, in the vocabulary) and no
    document."""
    return json_bytes(_without_measures(plain(message)))


def echoes(then: Step[Any] | None, now: Step[Any] | None) -> Iterator[str]:
    """Names of what is another without being another decision: facts, and kinds of
    messages."""
    if (
        then is not None
        and now is not None
        and then.said == now.said
        and then.facts == now.facts
    ):
        return
    was, has = (_values(step) for step in (then, now))
    for name in sorted(was.keys() | has.keys()):
        if was.get(name) != has.get(name):
            yield name


def _values(step: Step[Any] | None) -> Mapping[str, Any]:
    if step is None:
        return {}
    said: dict[str, list[bytes]] = {}
    for message in step.said:
        said.setdefault(kind_of(type(message)), []).append(json_bytes(plain(message)))
    facts = {f"fact {name}": json_bytes(plain(v)) for name, v in step.facts.items()}
    return facts | said


def _without_measures(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_measures(inner)
            for name, inner in value.items()
            if not isinstance(inner, float) and name not in _DOCUMENTS
        }
    if isinstance(value, list | tuple):
        return [_without_measures(inner) for inner in value]
    return value
