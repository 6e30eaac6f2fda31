"""`--dcs-url`: a store named on the command line instead of in a file."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_DEFAULT_PORTS = {
    "consul": 8500,
    "etcd": 2379,
    "etcd3": 2379,
    "exhibitor": 8181,
    "zookeeper": 2181,
}
_SECTION_OF_PORT = {2181: "zookeeper", 8181: "exhibitor", 8500: "consul", 2379: "etcd"}
_DEFAULT_SECTION = "etcd"


@dataclass(frozen=True, slots=True)
class NamedStore:
    section: str
    options: dict[str, Any]
    namespace: str | None
    """None: the URL has no path, the configured namespace stays."""


def parse_dcs_url(text: str) -> NamedStore:
    """`[scheme://]host[:port][/namespace]`; without scheme the port decides.

    ValueError says what is wrong.
    """
    has_scheme = "://" in text
    parts = urlsplit(text if has_scheme else f"//{text}")
    host = parts.hostname or "127.0.0.1"
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} has no usable port: {error}") from error
    if has_scheme:
        section = parts.scheme
    else:
        section = _SECTION_OF_PORT.get(port or 0, _DEFAULT_SECTION)
    if section not in _DEFAULT_PORTS:
        known = ", ".join(_DEFAULT_PORTS)
        raise ValueError(f"Unknown dcs scheme: {section} (known are {known})")
    port = port or _DEFAULT_PORTS[section]
    namespace = parts.path.strip("/") or None
    return NamedStore(section, _options(section, host, port), namespace)


def _options(section: str, host: str, port: int) -> dict[str, Any]:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    match section:
        case "exhibitor":
            return {"hosts": [host], "port": port}
        case "zookeeper":
            return {"hosts": [address]}
        case _:
            return {"host": address}
