"""Connections to the REST API of members, as tools use them (the daemon's own are in
`prober`): kept, verified as the `ctl` section says, and no request sent twice."""

import ssl
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import urllib3

from regnal.bridges.http.options import ClientOptions
from regnal.messages.base import Seconds

CONNECT_TIMEOUT: Seconds = 5.0


class CertificateUnusable(Exception):
    """A file that the `ctl` section names is missing, or not what it should be."""


class NoAnswer(Exception):
    """Nobody answers there, or not to the end; the text says why."""


class MemberPools:
    """Keeps connections; safe from any thread."""

    def __init__(self, options: ClientOptions, user_agent: str) -> None:
        self._options = options
        self._plain = urllib3.PoolManager(num_pools=16, retries=False)
        self._headers = {"User-Agent": user_agent}
        if options.credentials is not None:
            account = options.credentials
            self._headers |= urllib3.make_headers(
                basic_auth=f"{account.username}:{account.password}"
            )

    def request(
        self,
        method: str,
        url: str,
        *,
        silence: Seconds,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """One request, never repeated; the answer's body is still to be read.

        `silence`: how long the other side may say nothing.  Raises NoAnswer, or
        CertificateUnusable if ours is.
        """
        try:
            return self._pools(url).request(
                method,
                url,
                body=body,
                headers={**self._headers, **(headers or {})},
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=silence),
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise NoAnswer(reason_of(error)) from error

    def close(self) -> None:
        """End the connections that nobody uses."""
        self._plain.clear()
        if "_encrypted" in vars(self):
            self._encrypted.clear()

    def _pools(self, url: str) -> urllib3.PoolManager:
        return self._encrypted if url.startswith("https:") else self._plain

    @cached_property
    def _encrypted(self) -> urllib3.PoolManager:
        # Reading the system's certificates takes longer than a whole plain request.
        return urllib3.PoolManager(
            num_pools=16, retries=False, **_tls_keywords(self._options)
        )


def read_some(response: urllib3.BaseHTTPResponse, size: int) -> bytes:
    """Of the answer's body; less at its end.  Raises NoAnswer."""
    try:
        return response.read(size)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise NoAnswer(reason_of(error)) from error


def reason_of(error: Exception) -> str:
    """The last part of the library's sentence says what happened."""
    cause = error.__context__ or error.__cause__ or error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(error).rpartition(": ")[2] or type(error).__name__


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
