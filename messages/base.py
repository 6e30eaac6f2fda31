"""What every word of the vocabulary has in common.

A message is a frozen value of one of four kinds, told apart by its class:
an observation (a fact from outside), an outcome (what became of a command),
a decision (what an actor concluded) or a command (an order to a bridge).
"""

from typing import ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict

MemberName: TypeAlias = str
"""The name of one PostgreSQL server and its daemon, unique in the cluster."""

Seconds: TypeAlias = float
"""A span of time."""

Instant: TypeAlias = float
"""Seconds on this host's clock that never steps and goes on during suspend.

Comparable only with instants of the same boot of the same host.
"""

WallTime: TypeAlias = str
"""ISO 8601 with zone, for people and for other hosts; never compared by a rule
unless a person gave it (a schedule)."""

LSN: TypeAlias = int
"""A byte position in the write-ahead log."""

Timeline: TypeAlias = int
"""PostgreSQL's history number; every promotion begins a new one."""

Bytes: TypeAlias = int

JsonText: TypeAlias = str
"""A JSON document kept as text: what somebody else wrote, verbatim."""

RequestId: TypeAlias = str
"""One request from outside, until it is answered."""


class Value(BaseModel):
    """A frozen value: part of a message, or shared by several.

    Infinity and NaN are written as text, so that what was written can be read.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", defer_build=True, ser_json_inf_nan="strings"
    )


class Message(Value):
    """Anything that passes between two parts.

    Every concrete message has a field `kind` with one literal value, by which
    the journal knows it for ever.
    """

    version: ClassVar[int] = 1
    """Of the shape; a changed shape gets the next number and an upcaster."""

    routine: ClassVar[bool] = False
    """Whether an idle member says it over and over: such messages coalesce in
    the journal (the last of a run of like ones is kept).  Of a run of like
    messages a decider may therefore remember the last only, never how many
    there were."""

    volatile_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields in which two routine messages may differ and still be alike.  A
    dotted path leads into a value, `*` to each of a tuple: `view.members.*.hlc`."""


class Observation(Message):
    """A fact from outside, said only by a bridge."""


class Outcome(Message):
    """What became of a command, said only by the bridge that performed it."""


class Decision(Message):
    """What an actor concluded, for other actors and for the reader."""


class Command(Message):
    """An order to a bridge, in the imperative."""

    decides_who_writes: ClassVar[bool] = False
    """Whether it may change who accepts writes: then the step that says it is
    on disk before it is sent."""
