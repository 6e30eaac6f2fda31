"""Who may change things: allowlist, client certificate, basic authentication.

In this order (docs/contracts.md 4.1); the first check that fails answers.
"""

import asyncio
import base64
import binascii
import contextlib
import hmac
import ipaddress
import json
import socket
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from regnal.bridges.http.http1 import Request
from regnal.bridges.http.options import RestOptions
from regnal.bridges.http.responses import Response, text
from regnal.messages.base import JsonText

RESOLVE_WITHIN = 2.0
"""Seconds for the names of an allowlist; a name that takes longer allows nobody."""

AUTHENTICATE = (("WWW-Authenticate", 'Basic realm="Patroni"'),)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


async def refusal(
    options: RestOptions, request: Request, cluster: JsonText, *, ask_members: bool
) -> Response | None:
    """Why the request is not allowed; None: it is.

    `cluster` is the body of GET /cluster, for the hosts of members, who count with
    `ask_members` only: POST /failsafe is sent when the members cannot be read.
    """
    if not await _is_listed(options, request, cluster, ask_members=ask_members):
        return text(403, "Access is denied")
    tls = options.tls
    if tls and tls.verify_client != "none" and not request.has_certificate:
        return text(403, "client certificate required")
    return _authentication_refusal(options, request)


def _authentication_refusal(options: RestOptions, request: Request) -> Response | None:
    if options.credentials is None:
        return None
    header = request.headers.get("authorization")
    if header is None:
        return text(401, "no auth header received", AUTHENTICATE)
    wanted = f"{options.credentials.username}:{options.credentials.password}"
    given = decode_basic(header)
    if given is None or not hmac.compare_digest(given, wanted.encode()):
        return text(401, "not authenticated", AUTHENTICATE)
    return None


def decode_basic(header: str) -> bytes | None:
    """`user:password` of an Authorization header; None if it is of another kind."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def username_of(request: Request) -> str | None:
    """For the journal; not checked."""
    given = decode_basic(request.headers.get("authorization", ""))
    if given is None:
        return None
    return given.partition(b":")[0].decode("utf-8", "replace")[:100] or None


async def _is_listed(
    options: RestOptions, request: Request, cluster: JsonText, *, ask_members: bool
) -> bool:
    ask_members = ask_members and options.allowlist_include_members
    if not options.allowlist and not ask_members:
        # With only members to be asked, POST /failsafe is open to everybody.
        return True
    caller = parse_address(request.address)
    if caller is None:
        return False
    entries = [*options.allowlist, *(member_hosts(cluster) if ask_members else ())]
    names: list[str] = []
    for entry in entries:
        network = parse_network(entry)
        if network is None:
            names.append(entry)
        elif caller in network:
            return True
    return caller in await resolve(names)


def parse_address(address: str) -> IPAddress | None:
    """An address without zone; IPv4 inside IPv6 is IPv4 (a dual-stack listener)."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def parse_network(
    entry: str,
) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """An address or network; None: it is a host name."""
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def member_hosts(cluster: JsonText) -> Iterable[str]:
    """Hosts of the members' api_url."""
    for member in json.loads(cluster).get("members", ()):
        with contextlib.suppress(ValueError):
            host = urlsplit(member.get("api_url") or "").hostname
            if host:
                yield host


async def resolve(names: Sequence[str]) -> frozenset[IPAddress]:
    """The addresses of all names that can be resolved in time."""
    if not names:
        return frozenset()
    answers = await asyncio.gather(*(_resolve(name) for name in dict.fromkeys(names)))
    return frozenset().union(*answers)


async def _resolve(name: str) -> frozenset[IPAddress]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_WITHIN):
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return frozenset()
    addresses = (parse_address(str(entry[4][0])) for entry in found)
    return frozenset(address for address in addresses if address is not None)
