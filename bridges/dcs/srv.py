"""Servers of etcd found by SRV records of the name service (RFC 2782)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from regnal.bridges.dcs.contract import StoreMisconfigured
from regnal.messages.base import Seconds

try:
    from dns.exception import DNSException
    from dns.resolver import Resolver
except ImportError:  # needed for SRV records alone
    DNSException = None  # type: ignore[assignment,misc]
    Resolver = None  # type: ignore[assignment,misc]

SERVICES = (
    "_etcd-client-ssl",
    "_etcd-client",
    "_etcd-ssl",
    "_etcd",
    "_etcd-server-ssl",
    "_etcd-server",
)
"""Asked in this order until one has records (docs/contracts.md 3.1)."""


class SrvServers(NamedTuple):
    urls: tuple[str, ...]
    are_peers: bool
    """Whether etcd's own ports were found: these tell at `/members` where clients
    are served."""


@dataclass(frozen=True, slots=True)
class SrvDomain:
    name: str
    suffix: str | None
    """Chooses one of several clusters in the domain."""

    def services(self) -> tuple[str, ...]:
        suffix = f"-{self.suffix}" if self.suffix else ""
        return tuple(f"{service}{suffix}._tcp.{self.name}" for service in SERVICES)

    def look_up(self, within: Seconds, resolver: Any = None) -> SrvServers:
        """Empty if there are no records, or nobody answers.

        `resolver` None: as the host's resolv.conf says.
        """
        require_resolver(self.name)
        resolver = resolver or Resolver()
        for service, question in zip(SERVICES, self.services(), strict=True):
            try:
                answer = resolver.resolve(question, "SRV", lifetime=within)
            except DNSException:
                continue
            protocol = "https" if service.endswith("-ssl") else "http"
            records = sorted(answer, key=lambda each: (each.priority, -each.weight))
            urls = tuple(
                f"{protocol}://{each.target.to_text(omit_final_dot=True)}:{each.port}"
                for each in records
            )
            return SrvServers(urls, "-server" in service)
        return SrvServers((), False)


def require_resolver(name: str) -> None:
    """Raises StoreMisconfigured if records cannot be asked for at all."""
    if Resolver is None:
        raise StoreMisconfigured(
            f"srv: {name!r}: needs the Python package dnspython: "
            "pip install 'regnal[etcd3]'"
        )
