"""Ports that we listen on, and stores that we must reach: checked without harm."""

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from regnal.configuration.addresses import HostPort, parse_address, parse_addresses
from regnal.configuration.problems import Problem
from regnal.configuration.tree import Document
from regnal.runtime.options import StoreOptions

CONNECT_SECONDS = 2.0
"""For one address of a store; a store that needs longer is of no use."""

_DEFAULT_PORTS = {
    "etcd": 2379,
    "etcd3": 2379,
    "consul": 8500,
    "zookeeper": 2181,
    "exhibitor": 8181,
}
_WILDCARDS = ("", "*")
_PROTECTED_PORTS = 1024


def listen_problems(document: Document, *, with_postgresql: bool) -> Iterator[Problem]:
    """Addresses that cannot be listened on, because the port is taken, the
    address is not of this host, or we may not."""
    sections = ("restapi", "postgresql") if with_postgresql else ("restapi",)
    for name in sections:
        hosts, port = parse_addresses(document[name]["listen"])
        for host in hosts:
            problem = _listen_problem(f"{name}.listen", HostPort(host, port))
            if problem is not None:
                yield problem


def _listen_problem(path: str, address: HostPort) -> Problem | None:
    try:
        for family, kind, protocol, _, sockaddr in socket.getaddrinfo(
            None if address.host in _WILDCARDS else address.host,
            address.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        ):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(sockaddr)
    except socket.gaierror as error:
        reason = f"{address} is not known: {error.strerror}"
        return Problem(path, reason, "write an address of this host")
    except OSError as error:
        return _not_bound(path, address, error)
    return None


def _not_bound(path: str, address: HostPort, error: OSError) -> Problem | None:
    if error.errno == errno.EADDRINUSE:
        return Problem(
            path,
            f"{address} is in use by another program",
            "stop it (`ss -ltnp` shows it), or choose another port",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return Problem(
            path,
            f"{address} is not an address of this host",
            "write one that is (`ip address` shows them), or 0.0.0.0",
        )
    if error.errno == errno.EAFNOSUPPORT:
        return None  # this host has no IPv6: the other addresses count
    if error.errno == errno.EACCES and address.port < _PROTECTED_PORTS:
        return Problem(
            path,
            f"this user may not listen on port {address.port}",
            f"choose a port of {_PROTECTED_PORTS} or more",
        )
    return Problem(path, f"{address}: {os.strerror(error.errno or 0)}", "change it")


def connect_problems(document: Document) -> Iterator[Problem]:
    """Addresses that we publish, and that nobody else can use."""
    for name in ("postgresql", "restapi"):
        text = document[name].get("connect_address")
        if text is None:
            continue
        host = parse_address(text, 1).host
        if host in ("", "*", "0.0.0.0", "::", "localhost", "::1") or host.startswith(  # noqa: S104 - compared with
            "127."
        ):
            yield Problem(
                f"{name}.connect_address",
                f"{text!r} means another host to every member",
                "write the address by which the others reach this one",
            )


def store_endpoints(store: StoreOptions) -> list[HostPort]:
    """Where the store listens, as far as the configuration says so.

    Raises ValueError for an address that cannot be read.
    """
    section: Mapping[str, Any] = store.options
    port = section.get("port") or _DEFAULT_PORTS.get(store.section)
    if port is None:
        return _kubernetes() if store.section == "kubernetes" else []
    for name in ("url", "proxy"):
        if name in section:
            return [_of_url(section[name], port)]
    if "host" in section:
        return [_of_text(section["host"], port)]
    if store.section == "consul":
        return [HostPort("127.0.0.1", port)]
    return [_of_text(text, port) for text in section.get("hosts", ())]


def _of_text(text: str, port: int) -> HostPort:
    return _of_url(text, port) if "://" in text else parse_address(text, port)


def _of_url(url: str, port: int) -> HostPort:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.hostname is None:
        raise ValueError(f"{url!r} has no host")
    return HostPort(parts.hostname, parts.port or port)


def _kubernetes() -> list[HostPort]:
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return [HostPort(host, int(port))] if host and port.isdigit() else []


def store_problems(store: StoreOptions) -> Iterator[Problem]:
    """Of several addresses one must answer: a store goes on without some."""
    try:
        endpoints = store_endpoints(store)
    except ValueError as error:
        yield Problem(store.section, str(error), "write host:port")
        return
    failures = []
    for endpoint in endpoints:
        failure = _connect_failure(endpoint)
        if failure is None:
            return
        failures.append(f"{endpoint} ({failure})")
    if failures:
        yield Problem(
            store.section,
            f"no answer from {', '.join(failures)}",
            "start the store, or correct its address",
        )


def _connect_failure(endpoint: HostPort) -> str | None:
    try:
        with socket.create_connection(
            (endpoint.host, endpoint.port), timeout=CONNECT_SECONDS
        ):
            return None
    except OSError as error:
        return error.strerror or str(error)
