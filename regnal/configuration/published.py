"""The addresses that we publish: where other members and clients reach us."""

from collections.abc import Mapping
from typing import Any

from regnal.configuration.addresses import HostPort, parse_address, parse_addresses


def postgres_address(postgresql: Mapping[str, Any]) -> HostPort:
    """Where others reach our PostgreSQL."""
    hosts, port = parse_addresses(postgresql["listen"])
    connect = postgresql.get("connect_address")
    if connect:
        return parse_address(connect, port)
    return HostPort("localhost" if hosts[0] in ("", "*") else hosts[0], port)


def api_address(restapi: Mapping[str, Any]) -> HostPort:
    """Where others reach our REST API."""
    listen = parse_address(restapi["listen"])
    connect = restapi.get("connect_address")
    if connect:
        return parse_address(connect, listen.port)
    return HostPort(
        "localhost" if listen.host in ("", "*") else listen.host, listen.port
    )


def api_url(restapi: Mapping[str, Any]) -> str:
    """`http(s)://<connect_address>/patroni`."""
    scheme = "https" if restapi.get("certfile") else "http"
    return f"{scheme}://{api_address(restapi)}/patroni"
