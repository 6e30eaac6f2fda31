"""Records as bytes: one JSON object a line, each hashed with the one before it.

    {"n":812,"hlc":"…","at":…,"kind":"message",…,"hash":"8a1f…"}

The hash is SHA-256, cut to 128 bits, over the hash of the record before and the
bytes of this one up to its own hash: verifying needs no second serializer that
might write the same thing otherwise.  What is between `n` and `hash` is called
the body and made where the record comes from; number and hash come last.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, from_json, to_json

from regnal.actors.step import Step
from regnal.journal.stamps import hlc_text
from regnal.messages.base import Instant, Message
from regnal.messages.envelope import Envelope, HybridTime, MessageId, PartName
from regnal.messages.masking import SecretMask

FORMAT = 1
"""Of the journal as a whole: segments, chain, kinds of records."""

Hash: TypeAlias = str
"""32 hexadecimal digits."""

NO_HASH: Hash = "0" * 32
"""Before the first record of a journal."""

Body: TypeAlias = bytes
"""A record without braces, number and hash: `"hlc":"…",…`."""

Likeness: TypeAlias = bytes
"""Equal for two records of which a quiet journal needs the last only."""

HASH_TAIL = len(',"hash":""}\n') + len(NO_HASH)
"""Bytes at the end of every line that its own hash does not cover."""


def chain(previous: Hash, covered: bytes) -> Hash:
    """The hash of a record, given the line up to its own hash."""
    return hashlib.sha256(previous.encode() + covered).hexdigest()[:32]


def line(number: int, body: Body, previous: Hash) -> tuple[bytes, Hash]:
    """The whole line of a record, and its hash."""
    covered = b'{"n":%d,%b' % (number, body)
    own = chain(previous, covered)
    return b'%b,"hash":"%b"}\n' % (covered, own.encode()), own


def message_body(envelope: Envelope[Message]) -> Body:
    """A message that was said."""
    message = envelope.message
    head: dict[str, object] = {
        "hlc": hlc_text(envelope.hlc),
        "at": envelope.at,
        "kind": "message",
        "id": envelope.id,
    }
    if envelope.ahead_us:
        head["ahead"] = envelope.ahead_us
    if envelope.cause is not None:
        head["cause"] = envelope.cause
    if envelope.trace is not None:
        head["trace"] = envelope.trace
    head["from"] = envelope.said_by
    head["type"] = kind_of(type(message))
    head["v"] = message.version
    return b'%b,"data":%b' % (plain_body(head), _data(message))


def step_body(
    actor: PartName,
    heard: MessageId,
    step: Step[Any],
    said: Iterable[Envelope[Message]],
    hlc: HybridTime,
    at: Instant,
) -> Body:
    """What an actor concluded from a message."""
    head: dict[str, object] = {
        "hlc": hlc_text(hlc),
        "at": at,
        "kind": "step",
        "actor": actor,
        "heard": heard,
    }
    if step.rule is not None:
        head["rule"] = step.rule
    if step.facts:
        head["facts"] = plain(step.facts)
    ids = [envelope.id for envelope in said]
    if ids:
        head["said"] = ids
    return plain_body(head)


def plain_body(record: Mapping[str, object]) -> Body:
    """Any other record, from what `to_json` can write."""
    return without_secrets(json_bytes(record))[1:-1]


def without_secrets(content: bytes) -> bytes:
    """The JSON with a mask for each secret: what is written down is copied, served,
    published and sent to others, and no secret goes with it.

    Deciders compare and merge documents, but look at no secret: with masks they decide
    the same.  A mask is of its secret and of this process.
    """
    mask = _mask()
    if not mask.may_be_needed(content):
        return content
    return json_bytes(mask.of_values(from_json(content)))


@cache
def _mask() -> SecretMask:
    return SecretMask(secrets.token_bytes(16))


def json_bytes(value: object) -> bytes:
    """The value as JSON; never fails, for a journal must not fail its writer.

    What is not JSON (an object of a fact) is written as its `repr`, text that is
    not UTF-8 (a lone surrogate of a hostile request) with backslashes.
    """
    try:
        return to_json(value, inf_nan_mode="strings", fallback=repr)
    except PydanticSerializationError:
        return to_json(_mended(plain(value)), inf_nan_mode="strings", fallback=repr)


def plain(value: object) -> object:
    """The value in what JSON has: named tuples and values become objects."""
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=repr)
    return value


def likeness(envelope: Envelope[Message]) -> Likeness | None:
    """What two routine messages have in common; None: not routine."""
    message = envelope.message
    if not message.routine:
        return None
    try:
        text = to_json(message, exclude=_volatile(type(message)))
    except PydanticSerializationError:
        return None  # somebody sent text that is not UTF-8: nothing routine
    who = f"{envelope.said_by}\0{envelope.trace or ''}\0".encode()
    return hashlib.sha256(who + text).digest()


def step_likeness(
    actor: PartName,
    rule: str | None,
    heard: Likeness | None,
    said: Iterable[Likeness | None],
) -> Likeness | None:
    """What two steps have in common; None: something in it is not routine."""
    if heard is None:
        return None
    parts = [b"%b\0%b" % (actor.encode(), (rule or "").encode()), heard]
    for part in said:
        if part is None:
            return None
        parts.append(part)
    return hashlib.sha256(b"\0".join(parts)).digest()


@cache
def kind_of(word: type[Message]) -> str:
    """The name by which the journal knows a message for ever."""
    kind: str = word.model_fields["kind"].default
    return kind


@cache
def _volatile(word: type[Message]) -> dict[str, Any]:
    """`volatile_fields` as pydantic wants to have them left out."""
    tree: dict[str, Any] = {}
    for path in sorted(word.volatile_fields):
        *way, last = path.replace("*", "__all__").split(".")
        branch = tree
        for step in way:
            branch = branch.setdefault(step, {})
        branch[last] = True
    return tree


def _data(message: Message) -> bytes:
    """The fields of the message; its `kind` is in the record."""
    try:
        content = to_json(message, exclude={"kind"})
    except PydanticSerializationError:
        content = json_bytes(message.model_dump(exclude={"kind"}))
    return without_secrets(content)


def _mended(value: object) -> object:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mended(item) for item in value]
    return value
