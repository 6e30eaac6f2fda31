"""What travels to a collector: one request of one signal."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

Signal: TypeAlias = Literal["traces", "metrics", "logs"]

LONGEST_TEXT = 8192
"""Characters of a name, a value or a sentence; the journal has the rest."""

_LARGEST = 2**63

Value: TypeAlias = str | bool | int | float | tuple[str, ...]


class Batch(NamedTuple):
    signal: Signal
    body: bytes
    """The request, as protobuf."""

    number: int
    """Of spans, log records or data points."""


def plain_text(text: str) -> str:
    """As protobuf can hold it, and not too long."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}…"
    return text.encode(errors="backslashreplace").decode()


def plain_value(value: Value) -> Value:
    match value:
        case str():
            return plain_text(value)
        case tuple():
            return tuple(map(plain_text, value))
        case int() if not -_LARGEST <= value < _LARGEST:
            return str(value)
    return value


def plain_values(values: Mapping[str, Value]) -> dict[str, Value]:
    return {plain_text(name): plain_value(value) for name, value in values.items()}
