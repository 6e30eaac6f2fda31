"""Requests to the REST API of members, as regnalctl sends them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from regnal.bridges.http.member_pools import MemberPools, NoAnswer, read_some
from regnal.bridges.http.options import ClientOptions
from regnal.messages.base import Seconds
from regnal.messages.cluster import MemberView

Method = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]

READ_TIMEOUT: Seconds = 15.0
"""Of requests that a member answers from memory, or with a write to the store."""

LARGEST_ANSWER = 16 * 1024 * 1024
"""Bytes; the status of a thousand members is well below one of them."""


class MemberUnreachable(Exception):
    """No answer came: what was asked for may or may not have happened."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no answer from {url}: {reason}")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str

    def document(self) -> dict[str, Any]:
        """The JSON object in the body; empty if it has something else."""
        try:
            value = json.loads(self.text)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


class RestClient:
    """Keeps connections."""

    def __init__(self, options: ClientOptions, user_agent: str) -> None:
        self._pools = MemberPools(options, user_agent)

    def ask(
        self,
        member: MemberView,
        method: Method,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        patience: Seconds = READ_TIMEOUT,
    ) -> Answer:
        """One request, never repeated.

        Raises MemberUnreachable, or CertificateUnusable if ours is.
        """
        base = api_base(member)
        if base is None:
            raise MemberUnreachable(member.name, "it publishes no api_url")
        url = f"{base}/{path}"
        headers: dict[str, str] = {}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            response = self._pools.request(
                method, url, silence=patience, body=content, headers=headers
            )
            data = read_some(response, LARGEST_ANSWER)
            response.release_conn()
        except NoAnswer as error:
            raise MemberUnreachable(url, str(error)) from error
        return Answer(response.status, data.decode("utf-8", "replace"))


def api_base(member: MemberView) -> str | None:
    """`http(s)://host:port`; None where the member publishes nothing usable."""
    try:
        parts = urlsplit(member.api_url or "")
        has_host = bool(parts.hostname)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not has_host:
        return None
    return f"{parts.scheme}://{parts.netloc}"
