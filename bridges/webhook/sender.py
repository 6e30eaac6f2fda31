"""Posting events to a URL, signed, and judging the answer.

The signature is that of https://www.standardwebhooks.com (version 1): HMAC-SHA256 of
`ID.TIMESTAMP.BODY`, so that its libraries check it.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import urllib3

from regnal.bridges.outgoing import NotSent
from regnal.bridges.web_trouble import reason_of
from regnal.messages.base import Seconds

CONTENT_TYPE = "application/cloudevents+json"

SECRET_PREFIX = "whsec_"  # noqa: S105 - what stands before a secret in base64

LATER = (408, 425, 429)
"""Refusals that are none: it may be taken later."""

SHOWN = 200
"""Characters of an answer that a message quotes."""


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """One of the list `webhooks` of the configuration."""

    name: str
    """Of its place in the journal and of its dead letters; lasts."""

    url: str
    shown: str
    """Scheme and host alone: the path of some is a secret."""

    secret: str | None
    """None: not signed."""

    token: str | None
    """For `Authorization: Bearer`."""

    patterns: tuple[str, ...]
    """Names of events, with * and ?; none: all."""

    timeout: Seconds
    give_up_after: Seconds
    """So long after the receiver began to fail, events become dead letters."""

    cafile: Path | None


class Letter(NamedTuple):
    """An event on its way."""

    id: str
    body: bytes


class Refused(Exception):
    """The receiver does not want it, now or later; the text says why."""


class WebhookSender:
    """Used by one thread."""

    def __init__(self, options: WebhookOptions, wall: Callable[[], float]) -> None:
        """`wall`: seconds since 1970."""
        self._options = options
        self._wall = wall
        self._pool: urllib3.PoolManager | None = None

    def post(self, letter: Letter) -> None:
        """Raises Refused, or NotSent: it may be taken later."""
        options = self._options
        try:
            answer = self._connections().request(
                "POST",
                options.url,
                body=letter.body,
                headers=self._headers(letter),
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise NotSent(
                f"webhook {options.shown}: {reason_of(error, 'cafile')}"
            ) from error
        if 200 <= answer.status < 300:
            return
        said = answer.data[:SHOWN].decode(errors="replace").strip()
        why = f"webhook {options.shown}: it answered {answer.status}" + (
            f": {said}" if said else ""
        )
        if answer.status >= 500 or answer.status in LATER:
            raise NotSent(why)
        raise Refused(why)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.clear()

    def _connections(self) -> urllib3.PoolManager:
        """Raises OSError where cafile cannot be read."""
        if self._pool is None:
            cafile = self._options.cafile
            if cafile is not None and not cafile.is_file():
                raise OSError(f"{cafile} is not there (cafile)")
            self._pool = urllib3.PoolManager(
                num_pools=1,
                retries=False,
                timeout=self._options.timeout,
                ca_certs=str(cafile) if cafile is not None else None,
            )
        return self._pool

    def _headers(self, letter: Letter) -> dict[str, str]:
        moment = str(int(self._wall()))
        headers = {
            "content-type": CONTENT_TYPE,
            "user-agent": "regnal",
            "webhook-id": letter.id,
            "webhook-timestamp": moment,
        }
        if self._options.secret is not None:
            headers["webhook-signature"] = signature(
                self._options.secret, letter.id, moment, letter.body
            )
        if self._options.token is not None:
            headers["authorization"] = f"Bearer {self._options.token}"
        return headers


def signature(secret: str, ident: str, timestamp: str, body: bytes) -> str:
    """What the header `webhook-signature` holds.  A receiver compares it with
    `hmac.compare_digest`, and refuses a timestamp that is too old."""
    covered = f"{ident}.{timestamp}.".encode() + body
    digest = hmac.new(_key(secret), covered, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    if secret.startswith(SECRET_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error:
            pass  # it only looks like one
    return secret.encode()
