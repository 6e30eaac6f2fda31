"""The sections `etcd` and `etcd3`: where the servers are, and how to speak to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from regnal.bridges.dcs.contract import StoreMisconfigured
from regnal.bridges.dcs.options import Section
from regnal.bridges.dcs.srv import SrvDomain, require_resolver
from regnal.bridges.dcs.web import TlsFiles, tls_files

DEFAULT_PORT = 2379
CHOICES = ("srv", "hosts", "host", "url", "proxy")
"""One of them says where the servers are; this is the order in which they count."""

PROTOCOLS = ("http", "https")


@dataclass(frozen=True, slots=True)
class EtcdSettings:
    section: str
    servers: tuple[str, ...]
    """Base URLs as configured; empty with `srv`."""

    domain: SrvDomain | None
    """Where SRV records tell the servers."""

    use_proxies: bool
    """The servers are proxies: no others are looked for."""

    username: str | None
    password: str | None = field(repr=False)
    tls: TlsFiles


def etcd_settings(name: str, options: Mapping[str, Any]) -> EtcdSettings:
    """Raises StoreMisconfigured."""
    section = Section(name, options)
    protocol = (section.text("protocol") or "http").lower()
    if protocol not in PROTOCOLS:
        raise section.wrong("protocol", protocol, "expected http or https")
    domain = _srv_domain(section)
    url = section.secret("url") or section.secret("proxy")
    username, password = section.text("username"), section.secret("password")
    servers: tuple[str, ...] = ()
    if domain is None:
        hosts = section.texts("hosts") or section.texts("host")
        if hosts:
            servers = tuple(_base_url(section, protocol, host) for host in hosts)
        elif url:
            base, url_username, url_password = _from_url(section, url)
            servers = (base,)
            username, password = username or url_username, password or url_password
        else:
            listed = ", ".join(CHOICES)
            raise StoreMisconfigured(f"{name}: none of {listed} says where etcd is")
    return EtcdSettings(
        section=name,
        servers=tuple(dict.fromkeys(servers)),
        domain=domain,
        use_proxies=section.flag("use_proxies") or bool(section.secret("proxy")),
        username=username,
        password=password,
        tls=tls_files(section),
    )


def _srv_domain(section: Section) -> SrvDomain | None:
    for option in ("srv", "discovery_srv", "srv_domain"):
        name = section.text(option)
        if name:
            require_resolver(name)
            return SrvDomain(name, section.text("srv_suffix"))
    return None


def _base_url(section: Section, protocol: str, host: str) -> str:
    """From `host`, `host:port` or `[address]:port`; a whole URL is taken as it is."""
    text = host if "://" in host else f"{protocol}://{host}"
    return _from_url(section, text, "hosts")[0]


def _from_url(
    section: Section, url: str, option: str = "url"
) -> tuple[str, str | None, str | None]:
    """Base URL, user name and password; the URL may hold a secret, so no message
    repeats it."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORT
    except ValueError as error:
        raise StoreMisconfigured(f"{section.name}.{option}: {error}") from None
    if parts.scheme not in PROTOCOLS or not parts.hostname:
        raise StoreMisconfigured(
            f"{section.name}.{option}: expected a host, host:port or http(s)://host:port"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return f"{parts.scheme}://{host}:{port}", username, password
