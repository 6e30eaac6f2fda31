"""Reading and writing JSON that somebody else may have written, without surprises.

Whatever is not what was expected reads as nothing, and nothing raises.
"""

import json
from typing import Any

from regnal.messages.base import JsonText


def parse(text: str) -> Any:
    """The value of a JSON text; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def parse_object(text: str) -> dict[str, Any]:
    """The object that the text is; empty if it is anything else."""
    value = parse(text)
    return value if isinstance(value, dict) else {}


def compact(value: Any) -> JsonText:
    """As the peer writes it: no blanks after `,` and `:`, ASCII only."""
    return json.dumps(value, separators=(",", ":"))


def text_of(value: Any) -> str | None:
    """The string, with half characters (lone surrogates) replaced; else None."""
    return clean(value) if isinstance(value, str) else None


def clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def number_of(value: Any) -> int | None:
    """The natural number, which may also be written as text; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value) if len(value) < 20 else None
    return value if isinstance(value, int) and 0 <= value < 1 << 64 else None


def truth_of(value: Any) -> bool:
    """What a person means by true; anything unknown is false."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "yes", "on", "1")
    return value is True or value == 1


def object_text(value: Any) -> JsonText | None:
    """The object as JSON text; None if it is no object, or empty."""
    return compact(value) if isinstance(value, dict) and value else None
