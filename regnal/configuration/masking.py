"""The configuration for readers: everything but the secrets."""

import re
from typing import Any

MASK = "***"

SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|token(?!s)|auth_data|private_key", re.IGNORECASE
)
"""Names of options, arguments and parameters whose value is not shown."""

# Rather too much than too little: a password may hold an unencoded slash.
_IN_URL = re.compile(r"(?P<before>://[^/@\s:]*:)[^@\s]*(?=@)")
_IN_CONNINFO = re.compile(
    r"(?P<before>\b\w*passw(?:or)?d\s*[= ]\s*)('(?:[^'\\]|\\.)*'|[^\s'&]+)",
    re.IGNORECASE,
)

_PATH = re.compile(r"(?P<before>://[^/?#]*)[/?#].*")


def masked(value: Any) -> Any:
    """A copy with every secret replaced, also inside URLs and conninfo."""
    if isinstance(value, dict):
        return {
            name: MASK
            if SECRET_NAME.search(name) and inner is not None
            else masked(_without_path(inner) if name == "webhooks" else inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    if isinstance(value, str):
        return masked_text(value)
    return value


def _without_path(webhooks: Any) -> Any:
    """The path of a webhook's URL is a secret with many who receive them."""
    if not isinstance(webhooks, list):
        return webhooks
    return [
        {**one, "url": _PATH.sub(rf"\g<before>/{MASK}", str(one["url"]))}
        if isinstance(one, dict) and "url" in one
        else one
        for one in webhooks
    ]


def masked_text(text: str) -> str:
    """The text without passwords of URLs (`://user:secret@`) and conninfo."""
    return _IN_CONNINFO.sub(
        rf"\g<before>{MASK}", _IN_URL.sub(rf"\g<before>{MASK}", text)
    )
