"""Decoding: records of any age as today's messages and steps.

Old journals are read for ever: where the shape of a message changed, an upcaster
turns the old data into the new, one version at a time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from pydantic import TypeAdapter, ValidationError

from regnal.actors.step import Decider
from regnal.journal.reader import Record
from regnal.journal.stamps import parse_hlc
from regnal.messages.base import Instant, Message
from regnal.messages.envelope import Envelope, HybridTime, MessageId, PartName
from regnal.messages.vocabulary import VOCABULARY

S = TypeVar("S")

Data: TypeAlias = dict[str, Any]

Upcaster: TypeAlias = Callable[[Data], Data]
"""From the data of one version to those of the next; a pure function."""

UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}
"""By kind of message and the version that is read.  A new version of a message
comes with an entry here, and a journal of the old one in tests/journals/."""


class Undecodable(Exception):
    """The record says what this program does not know; reading can go on."""


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A step, as the journal has it."""

    actor: PartName
    heard: MessageId
    rule: str | None
    facts: Data
    said: tuple[MessageId, ...]
    hlc: HybridTime
    at: Instant
    repeats: int
    """How many like steps before it are not in the journal."""


def envelope_of(
    record: Record, upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS
) -> Envelope[Message]:
    """The message of a record of kind `message`.  Raises Undecodable."""
    fields = record.fields
    try:
        return Envelope(
            id=fields["id"],
            hlc=parse_hlc(fields["hlc"]),
            at=fields["at"],
            said_by=fields["from"],
            cause=fields.get("cause"),
            trace=fields.get("trace"),
            message=_message(fields["type"], fields["v"], fields["data"], upcasters),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise Undecodable(f"record {record.n}: {error}") from error


def step_of(record: Record) -> StepTaken:
    """The step of a record of kind `step`.  Raises Undecodable."""
    fields = record.fields
    try:
        return StepTaken(
            actor=fields["actor"],
            heard=fields["heard"],
            rule=fields.get("rule"),
            facts=fields.get("facts", {}),
            said=tuple(fields.get("said", ())),
            hlc=parse_hlc(fields["hlc"]),
            at=fields["at"],
            repeats=fields.get("repeats", 0),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise Undecodable(f"record {record.n}: {error}") from error


def state_of(record: Record, decider: Decider[S]) -> S:
    """The state in a record of kind `snapshot`.  Raises Undecodable.

    A state has no versions and no upcasters: what cannot be read is replayed
    from an earlier snapshot instead.
    """
    try:
        return TypeAdapter(decider.state).validate_python(record.fields["state"])
    except (KeyError, ValidationError) as error:
        raise Undecodable(f"record {record.n}: {error}") from error


def _message(
    kind: str,
    version: int,
    data: Data,
    upcasters: Mapping[tuple[str, int], Upcaster],
) -> Message:
    word = VOCABULARY.get(kind)
    if word is None:
        raise Undecodable(f"the message {kind!r} is not known to this program")
    if version > word.version:
        raise Undecodable(
            f"the message {kind!r} has version {version}, "
            f"this program knows up to {word.version}"
        )
    for old in range(version, word.version):
        data = upcasters[kind, old](data)
    return word.model_validate(data)
