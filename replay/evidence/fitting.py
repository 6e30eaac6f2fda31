"""Fitting: what a record may say, by its type in the vocabulary.

Our own writer writes nothing else.  But whoever can write a file can also compute
hashes; what does not fit is left out, as if it had not been said, so that nobody who
draws conclusions has to expect the worst of every field.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from regnal.messages.vocabulary import VOCABULARY

_HARMLESS = frozenset({"extra_forbidden", "missing"})
"""As in journals of a newer and of an older version."""

MOST_ERRORS = 100
"""Of one message; one that has more says nothing."""


def unfit(kind: str, data: dict[str, Any]) -> int:
    """Takes out of the data of such a message what cannot be in it; how much that was."""
    word = VOCABULARY.get(kind)
    if word is None:
        return 0
    try:
        word.model_validate_json(to_json(data), strict=True)
    except ValidationError as error:
        found = error.errors(
            include_url=False, include_context=False, include_input=False
        )
        paths = [one["loc"] for one in found if one["type"] not in _HARMLESS]
    except ValueError:  # what is deep or odd beyond what JSON can hold
        paths = [(name,) for name in data]
    else:
        return 0
    if len(paths) > MOST_ERRORS:
        paths = [(name,) for name in data]
    # From the end: what is taken out of a list moves what follows.
    return sum(
        _take_out(data, path) for path in sorted(paths, key=_order, reverse=True)
    )


_ODD_NUMBER = re.compile(rb"[0-9]{20}|NaN|Infinity|[eE][+]?[0-9]{3}")
"""What a line has that may have a number with which nobody can reckon."""

_HASH = b',"hash"'

LARGEST = 2**64


def with_plain_numbers(line: bytes, value: Any) -> Any:
    """The value, of this line, with nothing for numbers that are infinite, or so large
    that no counter and no position reaches them."""
    # The hash at the end would nearly always look like one.
    end = line.rfind(_HASH)
    body_ends = end if end >= 0 else len(line)
    return _plain(value) if _ODD_NUMBER.search(line, 0, body_ends) else value


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case int() if abs(value) > LARGEST:
            return None
        case float() if not math.isfinite(value) or abs(value) > LARGEST:
            return None
    return value


def _order(path: Sequence[int | str]) -> list[tuple[bool, int, str]]:
    return [
        (True, 0, step) if isinstance(step, str) else (False, step, "") for step in path
    ]


def _take_out(data: Any, path: Sequence[int | str]) -> bool:
    """Take out the deepest thing on the path that is there: a path may end with the
    kinds of values of which a field may have one.  Whether there was any."""
    holder: Any = None
    last: int | str = ""
    for step in path:
        if isinstance(data, dict):
            is_there = step in data
        else:
            is_there = (
                isinstance(data, list) and isinstance(step, int) and step < len(data)
            )
        if not is_there:
            break
        holder, last, data = data, step, data[step]
    if holder is None:
        return False
    del holder[last]
    return True
