"""Secrets, and what readers see instead of them.

`masked` is for a configuration that is shown; `SecretMask` for what is written down:
there each secret gets a mask of its own, so that whoever replays the record still
sees when it changed.
"""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

MASK = "***"

SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|token(?!s)|auth_data|private_key|access_key",
    re.IGNORECASE,
)
"""Names of options, arguments and parameters whose value is not shown."""

# Rather too much than too little: a password may hold an unencoded slash.
_IN_URL = re.compile(r"(?P<before>://[^/@\s:\"]*:)(?P<secret>[^@\s\"]*)(?=@)")
_VALUE = r"(?P<secret>'(?:[^'\\]|\\.)*'|[^\s'&;\"]+)"
_IN_CONNINFO = re.compile(
    rf"(?P<before>\b\w*passw(?:or)?d\s*=\s*|--[\w-]*passw(?:or)?d\s+){_VALUE}",
    re.IGNORECASE,
)
_IN_SQL = re.compile(
    r"(?P<before>\bpassword\s+)(?P<secret>'(?:[^']|'')*')", re.IGNORECASE
)
_IN_ENVIRONMENT = re.compile(
    rf"(?P<before>\b\w*(?:passphrase|secret|token|private_key|access_key)\w*=){_VALUE}",
    re.IGNORECASE,
)
"""As commands have it: `AWS_SECRET_ACCESS_KEY=... wal-g wal-push %p`."""

_IN_JSON = re.compile(
    r'(?P<before>"(?P<name>(?:[^"\\]|\\.)*)"\s*:\s*)'
    r'(?P<secret>"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false)'
)
"""A name and a plain value of a JSON document."""

_PATH = re.compile(r"(?P<before>://[^/?#]*)[/?#].*")
"""Of a URL."""

_OWN = re.compile(r"'?\*\*\*(?:[0-9a-f]{8})?'?")
"""A mask: it is not masked again."""

_HINTS = (
    *(b"passw", b"passphrase", b"secret", b"token"),
    *(b"auth_data", b"private_key", b"access_key"),
)
_URL_HINT = re.compile(rb"://[^/@\s:\"]*:[^@\s\"]*@")
"""What has none of these has no secret.  Every record is searched for them: finding a
word takes much less time than the patterns above."""

Masking = Callable[[str], str]
"""What is shown instead of this secret."""


def masked(value: Any) -> Any:
    """A copy with every secret replaced, also inside URLs, conninfo and commands."""
    if isinstance(value, dict):
        return {
            name: MASK
            if SECRET_NAME.search(name) and inner is not None
            else masked(_PUBLISHING.get(name, _as_it_is)(inner))
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


def _without_headers(otel: Any) -> Any:
    """Whatever the name of a header is, its value may be what lets us in."""
    headers = otel.get("headers") if isinstance(otel, dict) else None
    if not isinstance(headers, dict):
        return otel
    return {**otel, "headers": dict.fromkeys(headers, MASK)}


def _as_it_is(section: Any) -> Any:
    return section


_PUBLISHING = {"webhooks": _without_path, "otel": _without_headers}
"""Sections with secrets under names that do not say so."""


def masked_text(text: str, mask: Masking = lambda secret: MASK) -> str:
    """The text without the passwords of URLs (`://user:secret@`) and conninfo, and
    without secrets that a command has as variables."""

    def instead(found: re.Match[str]) -> str:
        secret = found["secret"]
        shown = secret if _OWN.fullmatch(secret) else mask(secret)
        return f"{found['before']}{shown}"

    for pattern in (_IN_URL, _IN_CONNINFO, _IN_SQL, _IN_ENVIRONMENT):
        text = pattern.sub(instead, text)
    return text


class SecretMask:
    """Masks secrets in JSON, equal ones alike, and nothing else of its text.

    `key` is known to nobody who reads what was masked; without it a mask tells nothing
    of its secret, and two journals nothing of each other's.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def may_be_needed(self, content: bytes) -> bool:
        """Quickly; False: there is no secret in it."""
        lowered = content.lower()
        return any(hint in lowered for hint in _HINTS) or bool(
            _URL_HINT.search(content)
        )

    def of_values(self, value: Any) -> Any:
        """A copy in which the documents and the texts that it holds are without
        secrets.  Names of its own fields say nothing: no message has a secret."""
        if isinstance(value, dict):
            return {name: self.of_values(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.of_values(inner) for inner in value]
        return self.of_text(value) if isinstance(value, str) else value

    def of_text(self, text: str) -> str:
        """The text without secrets; it may be a JSON document, which stays one."""
        if text.lstrip().startswith(("{", "[")):
            text = self._of_document(text)
        return masked_text(text, self._instead)

    def _of_document(self, text: str) -> str:
        def instead(found: re.Match[str]) -> str:
            secret = found["secret"]
            if not SECRET_NAME.search(found["name"]) or _OWN.fullmatch(
                secret.strip('"')
            ):
                return found[0]
            return f'{found["before"]}"{self._instead(secret)}"'

        shown = _IN_JSON.sub(instead, text)
        return shown if _is_plain(shown) else self._of_nested(shown)

    def _of_nested(self, text: str) -> str:
        """A secret's name has a list or an object: it is masked as a whole."""
        try:
            return json.dumps(masked_whole(json.loads(text), self._instead))
        except ValueError:
            return self._instead(text)

    def _instead(self, secret: str) -> str:
        digest = hashlib.blake2s(
            secret.encode(errors="backslashreplace"), key=self._key, digest_size=4
        )
        return f"{MASK}{digest.hexdigest()}"


_NESTED = re.compile(
    rf'"[^"]*(?:{SECRET_NAME.pattern})[^"]*"\s*:\s*[\[{{]', re.IGNORECASE
)


def _is_plain(text: str) -> bool:
    return _NESTED.search(text) is None


def masked_whole(value: Any, mask: Masking) -> Any:
    """With a mask for every list and object under the name of a secret."""
    if isinstance(value, dict):
        return {
            name: mask(json.dumps(inner))
            if SECRET_NAME.search(name) and isinstance(inner, dict | list)
            else masked_whole(inner, mask)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [masked_whole(inner, mask) for inner in value]
    return value
