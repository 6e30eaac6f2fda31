"""HTTP requests to the servers of a store: one request to one server at a time.

Choosing the server, and trying again, is the caller's.
"""

import contextlib
import importlib.metadata
import platform
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from regnal.bridges.dcs.contract import StoreMisconfigured
from regnal.bridges.dcs.host_names import HostNames, dial
from regnal.bridges.dcs.options import Section
from regnal.messages.base import Seconds

CONNECTIONS_PER_SERVER = 4
"""Kept open: the lease's, the keys', and spare ones."""

BODY_LIMIT = 64 << 20
"""Bytes of an answer; a cluster's keys are some kilobytes."""


class NotSent(Exception):
    """The server could not be reached: it has not seen the request."""


class NoAnswer(Exception):
    """The request may have arrived; no complete answer came."""


class WebAnswer(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    cacert: str | None = None
    """None: the authorities that the system trusts."""

    cert: str | None = None
    key: str | None = None

    def context(self, section: str) -> ssl.SSLContext:
        """Raises StoreMisconfigured, which names the option."""
        try:
            context = ssl.create_default_context(cafile=self.cacert)
        except OSError as error:
            raise StoreMisconfigured(
                f"{section}.cacert: {self.cacert!r}: {error}"
            ) from error
        if self.cert:
            try:
                context.load_cert_chain(self.cert, self.key)
            except OSError as error:
                raise StoreMisconfigured(
                    f"{section}.cert, {section}.key: {self.cert!r}: {error}"
                ) from error
        return context


def tls_files(section: Section) -> TlsFiles:
    return TlsFiles(section.text("cacert"), section.text("cert"), section.text("key"))


def user_agent() -> str:
    version = "0"
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        version = importlib.metadata.version("regnal")
    return f"Regnal/{version} Python/{platform.python_version()} {platform.system()}"


class Web:
    """A pool of connections; safe from any thread."""

    def __init__(self, names: HostNames, context: ssl.SSLContext) -> None:
        self._agent = user_agent()
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS_PER_SERVER,
            retries=False,
            ssl_context=context,
        )
        self._pool.pool_classes_by_scheme = _pool_classes(names)

    def send(
        self,
        method: str,
        url: str,
        within: Seconds,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> WebAnswer:
        """Raises NotSent or NoAnswer."""
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers={"User-Agent": self._agent, **(headers or {})},
                timeout=urllib3.Timeout(total=within),
                redirect=False,
            )
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise NotSent(_reason(error)) from error
        except (HTTPError, OSError) as error:
            raise NoAnswer(_reason(error)) from error
        if len(response.data) > BODY_LIMIT:
            raise NoAnswer(f"an answer of {len(response.data)} bytes")
        return WebAnswer(response.status, response.data, dict(response.headers))

    def close(self) -> None:
        self._pool.clear()


def _pool_classes(names: HostNames) -> dict[str, Any]:
    """urllib3's pools, with connections that take addresses from `names`."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> Any:
            return _connect(names, self)

    class Encrypted(HTTPSConnection):
        def _new_conn(self) -> Any:
            return _connect(names, self)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


def _connect(names: HostNames, connection: HTTPConnection) -> Any:
    within = connection.timeout
    assert isinstance(within, int | float), "every request has a limit"
    try:
        return dial(names, connection.host, connection.port or 80, within)
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, str(error) or "timed out") from error
    except OSError as error:
        raise NewConnectionError(connection, error.strerror or str(error)) from error


def _reason(error: Exception) -> str:
    """One line, without the objects that urllib3 puts first."""
    text = str(error.args[-1] if error.args else "") or type(error).__name__
    return text.rpartition("object at 0x")[2].partition(": ")[2] or text
