"""Decoding: records of any age as today's messages and steps.

Old journals are read for ever: where the shape of a message changed, an upcaster
turns the old data into the new, one version at a time.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, TypeAlias, TypeVar, cast

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


def with_more_known(data: Data) -> Data:
    """What became known since is optional: the model's defaults say `not known`."""
    return data


UPCASTERS: Mapping[tuple[str, int], Upcaster] = {
    ("daemon_started", 1): with_more_known,
    ("postmaster_exited", 1): with_more_known,
    ("divergence_checked", 1): with_more_known,
    ("peers_probed", 1): with_more_known,
    ("peers_probed", 2): with_more_known,
    ("configuration_applied", 1): with_more_known,
    ("cluster_observed", 1): with_more_known,
}
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
    found = record.fields
    try:
        return Envelope(
            id=_id(found["id"]),
            hlc=parse_hlc(str(found["hlc"])),
            at=found["at"],
            said_by=found["from"],
            cause=found.get("cause"),
            trace=found.get("trace"),
            message=_message(found["type"], found["v"], found["data"], upcasters),
            ahead_us=int(found.get("ahead", 0)),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise Undecodable(f"record {record.n}: {error}") from error


def step_of(record: Record) -> StepTaken:
    """The step of a record of kind `step`.  Raises Undecodable."""
    found = record.fields
    try:
        return StepTaken(
            actor=found["actor"],
            heard=_id(found["heard"]),
            rule=found.get("rule"),
            facts=found.get("facts", {}),
            said=tuple(map(_id, found.get("said", ()))),
            hlc=parse_hlc(str(found["hlc"])),
            at=found["at"],
            repeats=found.get("repeats", 0),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise Undecodable(f"record {record.n}: {error}") from error


def state_of(record: Record, decider: Decider[S]) -> S:
    """The state in a record of kind `snapshot`.  Raises Undecodable.

    A state has no versions and no upcasters.  What an actor remembers since is as
    before it was told, by its default; where anything else has changed the state is
    not read, and replay begins at an earlier snapshot instead.
    """
    try:
        found = record.fields["state"]
        assert is_dataclass(decider.state)
        wanted = {field.name: field for field in fields(decider.state)}
        differing = {
            name
            for name in wanted.keys() ^ set(found)
            if name in found or not _has_default(wanted[name])
        }
        if differing or not found:
            names = ", ".join(sorted(differing)) or "everything"
            raise Undecodable(f"record {record.n}: the state differs in {names}")
        return cast(S, adapter_of(decider.state).validate_python(found))
    except (KeyError, TypeError, ValidationError) as error:
        raise Undecodable(f"record {record.n}: {error}") from error


def adapter_of(state: type[Any]) -> TypeAdapter[Any]:
    """Reads and writes states of this class; to make one takes a thousand times as long
    as to use it."""
    adapter = _ADAPTERS.get(state)
    if adapter is None:
        adapter = _ADAPTERS[state] = TypeAdapter(state)
    return adapter


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}
"""Those that were made: as many as there are actors."""


_ID = re.compile(r".+/[0-9]{1,18}/[0-9]{1,18}", re.DOTALL)


def _id(value: object) -> MessageId:
    """Raises ValueError if it is none."""
    text = str(value)
    if _ID.fullmatch(text) is None:
        raise ValueError(f"{text[:100]!r} is not the id of a message")
    return text


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


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
