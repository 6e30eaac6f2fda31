"""Hosts and ports as people write them (IPv6 with or without brackets)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostPort:
    host: str
    """Without brackets; empty or `*`: every address."""

    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        return self.host in WILDCARDS


WILDCARDS = frozenset({"", "*", "0.0.0.0", "::"})  # noqa: S104 - compared with, never bound


def bracketed(host: str) -> str:
    """As a URL needs it: `[::1]`, but `10.0.0.1`."""
    return f"[{host}]" if ":" in host else host


def parse_port(text: str) -> int:
    """1 to 65535; ValueError says what is wrong."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:6]) < 65536:
        raise ValueError(f"{text!r} is not a port between 1 and 65535")
    return int(text)


def parse_address(text: str, default_port: int | None = None) -> HostPort:
    """`host:port`, `[::1]:port`, `::1:port`, `*:port`, `:port`.

    Without a port only if there is a default, and IPv6 then in brackets.
    ValueError says what is wrong.
    """
    host, port = _split(text.strip(), default_port)
    host = host.removeprefix("[").removesuffix("]")
    if any(letter.isspace() or letter in "[]/@," for letter in host):
        raise ValueError(f"{host!r} is not a host")
    return HostPort(host, parse_port(port))


def parse_addresses(text: str) -> tuple[tuple[str, ...], int]:
    """`addr[,addr...]:port`: the hosts without brackets, and their port."""
    *others, last = text.split(",")
    final = parse_address(last)
    hosts = [
        part.strip().removeprefix("[").removesuffix("]")
        for part in (*others, final.host)
    ]
    for host in hosts[:-1]:
        if not host or any(letter.isspace() or letter in "[]/@" for letter in host):
            raise ValueError(f"{host!r} is not a host")
    return tuple(hosts), final.port


def _split(text: str, default_port: int | None) -> tuple[str, str]:
    if text.endswith("]") or ":" not in text:
        if default_port is None:
            raise ValueError("the port is missing")
        return text, str(default_port)
    host, _, port = text.rpartition(":")
    return host, port
