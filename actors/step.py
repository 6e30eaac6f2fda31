"""What a decider is: an immutable state, and a pure function from one step to the next."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeAlias, TypeVar

from regnal.messages.base import MemberName, Message
from regnal.messages.envelope import Envelope, PartName

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)
Fact: TypeAlias = Any
"""Anything that JSON can hold; NamedTuples and messages are written as objects."""


@dataclass(frozen=True, slots=True)
class Step(Generic[S_co]):
    """What an actor concluded from one message."""

    state: S_co
    said: tuple[Message, ...] = ()
    rule: str | None = None
    """Name of the rule that spoke; None: the message was only learned."""

    facts: Mapping[str, Fact] = field(default_factory=lambda: MappingProxyType({}))
    """What the rule saw."""


@dataclass(frozen=True, slots=True)
class Decider(Generic[S]):
    """One actor, as the shell, the simulator and replay run it."""

    name: PartName
    hears: tuple[type[Message], ...]
    """Classes of messages that are put into its mailbox."""

    state: type[S]
    """Class of the state, a frozen dataclass that pydantic can write and read."""

    initial: Callable[[MemberName], S]
    handle: Callable[[S, Envelope[Message]], Step[S]]
