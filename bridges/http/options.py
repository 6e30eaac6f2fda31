"""What the HTTP bridges must know of the configuration, secrets included.

Made by the runtime from the effective configuration, replaced as a whole when
that changes; never part of a message.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """Of basic authentication."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """The REST API speaks TLS."""

    certfile: Path
    keyfile: Path | None
    """None: the key is in `certfile`."""

    keyfile_password: str | None = field(repr=False)
    cafile: Path | None
    """By which certificates of clients are checked."""

    ciphers: str | None
    verify_client: Literal["none", "optional", "required"]


@dataclass(frozen=True, slots=True)
class RestOptions:
    """The `restapi` section."""

    listen_host: str
    """Without brackets; empty: every address, IPv4 and IPv6."""

    listen_port: int
    connect_host: str
    """Where others reach us; without brackets."""

    connect_port: int
    tls: ServerCertificate | None
    """None: plain HTTP."""

    credentials: BasicCredentials | None
    """Of unsafe requests; None: nobody is asked for them."""

    allowlist: tuple[str, ...]
    """Addresses, networks and host names that may send unsafe requests."""

    allowlist_include_members: bool
    """Whether the hosts of the members' api_url may, too.  With this off and an
    empty `allowlist` everybody may."""

    http_extra_headers: Mapping[str, str]
    https_extra_headers: Mapping[str, str]
    """In addition, when TLS is on."""

    server_tokens: Literal["original", "productonly", "minimal"]
    request_queue_size: int
    """Connections that the kernel keeps waiting (listen backlog)."""

    thread_pool_size: int


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How we speak to the REST API of others: the `ctl` section, and where that
    is silent the `restapi` section."""

    credentials: BasicCredentials | None
    insecure: bool
    """No certificate is verified; with a client certificate the chain is, and
    only the host name is not."""

    cacert: Path | None
    """None: those of the system."""

    certfile: Path | None
    keyfile: Path | None
    keyfile_password: str | None = field(repr=False)
