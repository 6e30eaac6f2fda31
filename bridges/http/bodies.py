"""Bodies of requests: JSON from strangers, read strictly.

What is accepted here can be stored, sent and read again by anybody: finite
numbers, text that UTF-8 can hold, one value to a key, limited depth.
"""

import json
from typing import Any

MAXIMUM_BYTES = 1 << 20
"""Of a body; a dynamic configuration has a few kilobytes."""

MAXIMUM_DEPTH = 64
"""Of objects and arrays in one another; our configuration has six."""

Document = dict[str, Any]


class BodyRefused(Exception):
    """The body cannot be used; the text says why."""


def parse_object(body: bytes) -> Document:
    """The JSON object in `body`.  Raises BodyRefused."""
    if len(body) > MAXIMUM_BYTES:
        raise BodyRefused(f"the body is larger than {MAXIMUM_BYTES} bytes")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BodyRefused(
            f"the body is not UTF-8: {error.reason} at byte {error.start}"
        ) from error
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except RecursionError as error:
        raise BodyRefused(f"the body is nested deeper than {MAXIMUM_DEPTH}") from error
    except ValueError as error:
        raise BodyRefused(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BodyRefused("the body is not a JSON object")
    _refuse_depth(value)
    _refuse_surrogates(text, value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> Document:
    document = dict(pairs)
    if len(document) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise BodyRefused(f"the key {name[:100]!r} occurs twice")
            seen.add(name)
    return document


def _refuse_constant(text: str) -> Any:
    raise BodyRefused(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise BodyRefused(f"the number {text[:40]} is too large")
    return number


def _refuse_depth(value: Any) -> None:
    """Level by level, so that depth costs no stack."""
    level = [value]
    for _ in range(MAXIMUM_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise BodyRefused(f"the body is nested deeper than {MAXIMUM_DEPTH}")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        children = list(value.values())
    elif isinstance(value, list):
        children = value
    else:
        return []
    return [child for child in children if isinstance(child, dict | list)]


def _refuse_surrogates(text: str, value: Document) -> None:
    """An escaped half of a surrogate pair is JSON, but no text: UTF-8 has no bytes
    for it, so that it could be neither stored nor sent on."""
    if "\\u" not in text and "\\U" not in text:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BodyRefused("the body holds half of a surrogate pair") from error
