"""Deciders made of rules: who speaks when several of them apply."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, TypeAlias, TypeVar

from regnal.actors.step import Fact, Step
from regnal.messages.base import Instant, Message

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Remark(Generic[S]):
    """What a rule that applies has to say."""

    state: S
    said: tuple[Message, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=lambda: MappingProxyType({}))


Rule: TypeAlias = Callable[[S, Instant], Remark[S] | None]
"""None: the rule does not apply."""


def first_that_applies(rules: tuple[Rule[S], ...], state: S, now: Instant) -> Step[S]:
    """The first rule that applies speaks, the others are not asked."""
    for rule in rules:
        remark = rule(state, now)
        if remark is not None:
            return Step(remark.state, remark.said, rule.__name__, remark.facts)
    return Step(state)


def all_that_apply(rules: tuple[Rule[S], ...], state: S, now: Instant) -> Step[S]:
    """Every rule that applies speaks, each on what the ones before it left.

    The step has their names, joined with `+`.
    """
    said: list[Message] = []
    names: list[str] = []
    facts: dict[str, Fact] = {}
    for rule in rules:
        remark = rule(state, now)
        if remark is not None:
            state = remark.state
            said += remark.said
            names.append(rule.__name__)
            facts |= remark.facts
    return Step(state, tuple(said), "+".join(names) or None, facts)
