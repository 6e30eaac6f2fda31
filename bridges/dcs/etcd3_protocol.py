"""The JSON of etcd's gateway: requests as it reads them, answers as it writes them.

Keys and values are base64, 64-bit numbers are texts, fields with zero are left out
(https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/).
"""

import base64
import binascii
import enum
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from regnal.bridges.dcs.json_values import clean
from regnal.bridges.dcs.keys import StoredKey, decode

Json = dict[str, Any]

NO_LEASE = 0

LONGEST_ERROR = 1000
"""Characters of an error's text that are kept."""


class KeyValue(NamedTuple):
    path: str
    value: str
    mod_revision: int
    lease: int
    """0: none."""

    def stored(self) -> StoredKey:
        session = f"{self.lease:x}" if self.lease else None
        return StoredKey(self.value, self.mod_revision, session)


class Header(NamedTuple):
    cluster: str
    revision: int
    raft_term: int


class Trouble(enum.Enum):
    """What to do about an error that etcd reports."""

    NODE = "this server cannot serve us now: ask another"
    LOGIN = "the token is missing, wrong or outdated: authenticate, then once more"
    DENIED = "a person must change something"
    LEASE_GONE = "the lease has expired: get another"
    COMPACTED = "the revision is too old for a watch: read everything anew"


SIGNS = (
    ("requested lease not found", Trouble.LEASE_GONE),
    ("user name is empty", Trouble.LOGIN),
    ("invalid auth token", Trouble.LOGIN),
    ("revision of auth store is old", Trouble.LOGIN),
    ("permission denied", Trouble.DENIED),
    ("invalid user id or password", Trouble.DENIED),
    ("required revision has been compacted", Trouble.COMPACTED),
)
"""Codes are not to be relied upon: servers label the same error now with one, now
with another, or `unknown`.  The words have never changed."""

NOT_MADE = ("no leader", "too many requests", "not capable", "page not found")
"""Errors that come before the request was proposed to etcd's members."""


def trouble_of(status: int, text: str) -> Trouble:
    words = text.lower()
    for sign, trouble in SIGNS:
        if sign in words:
            return trouble
    return Trouble.LOGIN if status == 401 else Trouble.NODE


def may_be_made(text: str) -> bool:
    """Whether the request may have been carried out in spite of the error."""
    return not any(sign in text.lower() for sign in NOT_MADE)


def error_text(body: bytes) -> str:
    """The message in an error, which is a text or an object, or no JSON at all."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        text = body[:200].decode("utf-8", "replace").strip()
        return text or "an error without a text"
    return error_in(value) or "an error without a text"


def error_in(value: Any) -> str | None:
    """None: it is no error."""
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if isinstance(error, dict):
        error = error.get("message")
    text = str(error or value.get("message") or "")
    return clean(text[:LONGEST_ERROR]) or None


def parse_answer(body: bytes) -> Json | None:
    """The object of an answer; of a stream of them the first; None if broken."""
    text = body.strip()
    try:
        value = json.loads(text.split(b"\n", 1)[0] if b"\n" in text else text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def header_of(answer: Json) -> Header:
    header = answer.get("header")
    if not isinstance(header, dict):
        header = {}
    return Header(
        str(header.get("cluster_id", "")),
        natural(header.get("revision")),
        natural(header.get("raft_term")),
    )


def texts_in(value: Any) -> tuple[str, ...]:
    """The texts of a list; of anything else none."""
    entries = value if isinstance(value, list) else ()
    return tuple(clean(entry) for entry in entries if isinstance(entry, str))


def natural(value: Any) -> int:
    """0 where nothing or nonsense is written."""
    try:
        return max(0, int(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def key_value(entry: Any) -> KeyValue | None:
    if not isinstance(entry, dict):
        return None
    return KeyValue(
        decode(_bytes(entry.get("key"))),
        decode(_bytes(entry.get("value"))),
        natural(entry.get("mod_revision")),
        natural(entry.get("lease")),
    )


def key_values(answer: Json) -> tuple[KeyValue, ...]:
    """Of a range, or of the range inside a transaction's answer."""
    entries = answer.get("kvs")
    found = (key_value(entry) for entry in entries) if isinstance(entries, list) else ()
    return tuple(each for each in found if each is not None)


def key_values_of_transaction(answer: Json) -> tuple[KeyValue, ...]:
    found: list[KeyValue] = []
    responses = answer.get("responses")
    for response in responses if isinstance(responses, list) else ():
        ranged = response.get("response_range") if isinstance(response, dict) else None
        found.extend(key_values(ranged) if isinstance(ranged, dict) else ())
    return tuple(found)


def encoded(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return base64.b64encode(raw).decode("ascii")


def range_end(prefix: str) -> str:
    """The first key that does not begin with `prefix`, which ends with a slash."""
    assert prefix.endswith("/")
    return prefix[:-1] + chr(ord("/") + 1)


def range_of(path: str) -> Json:
    return {"key": encoded(path)}


def range_below(prefix: str) -> Json:
    return {"key": encoded(prefix), "range_end": encoded(range_end(prefix))}


def put(path: str, value: str, lease: int = NO_LEASE) -> Json:
    request = {"key": encoded(path), "value": encoded(value)}
    return request | ({"lease": str(lease)} if lease else {})


def if_absent(path: str) -> Json:
    return {"key": encoded(path), "target": "CREATE", "create_revision": "0"}


def if_value(path: str, value: str) -> Json:
    return {"key": encoded(path), "target": "VALUE", "value": encoded(value)}


def if_lease(path: str, lease: int) -> Json:
    return {"key": encoded(path), "target": "LEASE", "lease": str(lease)}


def if_revision(path: str, revision: int) -> Json:
    return {"key": encoded(path), "target": "MOD", "mod_revision": str(revision)}


def transaction(
    compare: Sequence[Json], success: Iterable[Json], failure: Iterable[Json] = ()
) -> Json:
    return {
        "compare": list(compare),
        "success": list(success),
        "failure": list(failure),
    }


def op_put(path: str, value: str, lease: int = NO_LEASE) -> Json:
    return {"request_put": put(path, value, lease)}


def op_range(path: str) -> Json:
    return {"request_range": range_of(path)}


def op_delete(path: str) -> Json:
    return {"request_delete_range": range_of(path)}


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        return b""
    try:
        return base64.b64decode(value)
    except (ValueError, binascii.Error):
        return b""
