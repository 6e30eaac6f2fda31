"""Requests to the REST API of members, as regnalctl sends them."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit

import urllib3

from regnal.bridges.http.options import ClientOptions
from regnal.messages.base import Seconds
from regnal.messages.cluster import MemberView

Method = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]

CONNECT_TIMEOUT: Seconds = 5.0
READ_TIMEOUT: Seconds = 15.0
"""Of requests that a member answers from memory, or with a write to the store."""

LARGEST_ANSWER = 16 * 1024 * 1024
"""Bytes; the status of a thousand members is well below one of them."""


class MemberUnreachable(Exception):
    """No answer came: what was asked for may or may not have happened."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no answer from {url}: {reason}")


class CertificateUnusable(Exception):
    """A file that the `ctl` section names is missing, or not what it should be."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str

    def document(self) -> dict[str, Any]:
        """The JSON object in the body; empty if it has something else."""
        try:
            value = json.loads(self.text)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class RestClient:
    """Keeps connections; used by one thread."""

    def __init__(self, options: ClientOptions, user_agent: str) -> None:
        self._options = options
        self._plain = urllib3.PoolManager(num_pools=16, retries=False)
        self._headers = {"User-Agent": user_agent}
        if options.credentials is not None:
            account = options.credentials
            self._headers |= urllib3.make_headers(
                basic_auth=f"{account.username}:{account.password}"
            )

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
        headers = dict(self._headers)
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            response = self._pools(url).request(
                method,
                url,
                body=content,
                headers=headers,
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=patience),
            )
            data = response.read(LARGEST_ANSWER)
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise MemberUnreachable(url, _reason(error)) from error
        return Answer(response.status, data.decode("utf-8", "replace"))

    def _pools(self, url: str) -> urllib3.PoolManager:
        return self._encrypted if url.startswith("https:") else self._plain

    @cached_property
    def _encrypted(self) -> urllib3.PoolManager:
        # Reading the system's certificates takes longer than a whole plain request.
        return urllib3.PoolManager(
            num_pools=16, retries=False, **_tls_keywords(self._options)
        )


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


def _tls_keywords(options: ClientOptions) -> dict[str, Any]:
    """`insecure` verifies nothing, or with a client certificate all but the name."""
    context = ssl.create_default_context()
    try:
        if options.cacert is not None:
            context.load_verify_locations(options.cacert)
        if options.certfile is not None:
            context.load_cert_chain(
                options.certfile, options.keyfile, options.keyfile_password or ""
            )
    except OSError as error:  # ssl.SSLError is one
        raise CertificateUnusable(
            "The certificates of the ctl section cannot be used "
            f"(cacert, certfile, keyfile, keyfile_password): {error}"
        ) from error
    if options.insecure:
        context.check_hostname = False
        if options.certfile is None:
            context.verify_mode = ssl.CERT_NONE
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    keywords: dict[str, Any] = {"ssl_context": context}
    if options.insecure:
        keywords["assert_hostname"] = False
    return keywords


def _reason(error: Exception) -> str:
    """The last part of the library's sentence says what happened."""
    cause = error.__context__ or error.__cause__ or error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(error).rpartition(": ")[2] or type(error).__name__
