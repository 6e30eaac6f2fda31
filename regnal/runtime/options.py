"""Translates the configuration in force into the options of each bridge.

Secrets go this way, and only this way: no message carries them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from regnal.bridges.http.options import (
    BasicCredentials,
    ClientOptions,
    RestOptions,
    ServerCertificate,
)
from regnal.bridges.postgres.options import (
    Credentials,
    PostgresOptions,
    RemoteSource,
)
from regnal.configuration.addresses import HostPort, parse_address, parse_addresses
from regnal.configuration.checking import with_defaults
from regnal.configuration.published import api_address, postgres_address
from regnal.configuration.schema_postgresql import CONNECTION_PARAMETERS
from regnal.configuration.schema_stores import STORES
from regnal.configuration.tree import Document
from regnal.journal.options import DAY, JournalOptions

_DEFAULT_NAMESPACES = {"kubernetes": "default"}


class Configured(Protocol):
    """Anything with a checked document: `Effective`, or `Local` for the tools."""

    @property
    def document(self) -> Document: ...


class StoreOptions(NamedTuple):
    """Which store (DCS), and where in it."""

    section: str
    """`etcd3`, `raft` and so on."""

    options: Mapping[str, Any]
    """The section as docs/contracts.md 6.9 has it, checked, with its defaults."""

    namespace: str
    """Without slashes at its ends."""

    scope: str


@dataclass(frozen=True, slots=True)
class JournalPlace:
    """The `journal` section."""

    directory: Path
    """Absolute; beside the data directory, never inside it."""

    options: JournalOptions
    fsync: bool
    """False: steps that decide who writes are not awaited on disk."""


def dcs_options(configuration: Configured) -> StoreOptions:
    """The store in use: of several the first in alphabetical order, as the peer
    takes it.  At least one section must be there."""
    document = configuration.document
    section = next(name for name in STORES if name in document)
    namespace = document.get("namespace") or _DEFAULT_NAMESPACES.get(section, "service")
    options = with_defaults(STORES[section], document[section])
    return StoreOptions(section, options, namespace.strip("/"), document["scope"])


def postgres_options(
    effective: Configured, malloc_arena_max: str | None = None
) -> PostgresOptions:
    """`malloc_arena_max`: the daemon's variable PG_MALLOC_ARENA_MAX, if set."""
    document = effective.document
    postgresql = document["postgresql"]
    data_dir = _absolute(postgresql["data_dir"])
    hosts, port = parse_addresses(postgresql["listen"])
    connect = postgres_address(postgresql)
    accounts = postgresql["authentication"]
    has_all = any(host in ("", "*") for host in hosts)
    return PostgresOptions(
        name=document["name"],
        scope=document["scope"],
        data_dir=data_dir,
        config_dir=_absolute(postgresql.get("config_dir") or data_dir),
        config_base_name=postgresql["config_base_name"],
        bin_dir=optional_path(postgresql.get("bin_dir")),
        bin_names=postgresql.get("bin_name", {}),
        listen_addresses="*" if has_all else ",".join(hosts),
        port=str(port),
        connect_host=connect.host,
        connect_port=str(connect.port),
        database=postgresql["database"],
        pgpass=_absolute(postgresql.get("pgpass") or _home() / "pgpass"),
        superuser=_credentials(accounts.get("superuser", {})),
        replication=_credentials(accounts.get("replication", {})),
        rewind=_credentials(accounts.get("rewind") or accounts.get("superuser", {})),
        use_unix_socket=postgresql["use_unix_socket"],
        use_unix_socket_repl=postgresql["use_unix_socket_repl"],
        parameters=postgresql.get("parameters", {}),
        pg_hba=_lines(postgresql.get("pg_hba")),
        pg_ident=_lines(postgresql.get("pg_ident")),
        recovery_conf=postgresql.get("recovery_conf", {}),
        custom_conf=postgresql.get("custom_conf"),
        pg_ctl_timeout=postgresql["pg_ctl_timeout"],
        use_pg_rewind=postgresql["use_pg_rewind"],
        use_slots=postgresql["use_slots"],
        create_replica_methods=tuple(postgresql["create_replica_methods"]),
        replica_methods=_replica_methods(document),
        callbacks=postgresql.get("callbacks", {}),
        pre_promote=postgresql.get("pre_promote"),
        before_stop=postgresql.get("before_stop"),
        krbsrvname=postgresql.get("krbsrvname"),
        bootstrap=document.get("bootstrap", {}),
        remote=_remote(document.get("standby_cluster", {})),
        synchronous_mode=document["synchronous_mode"] != "off",
        pg_malloc_arena_max=malloc_arena_max,
        has_logical_slots=any(
            slot.get("type") == "logical" for slot in document.get("slots", {}).values()
        ),
    )


def rest_options(effective: Configured) -> RestOptions:
    section = effective.document["restapi"]
    listen: HostPort = parse_address(section["listen"])
    connect = api_address(section)
    return RestOptions(
        listen_host="" if listen.host == "*" else listen.host,
        listen_port=listen.port,
        connect_host=connect.host,
        connect_port=connect.port,
        tls=_certificate(section),
        credentials=_basic(section),
        allowlist=tuple(section.get("allowlist", ())),
        allowlist_include_members=section["allowlist_include_members"],
        http_extra_headers=section.get("http_extra_headers", {}),
        https_extra_headers=section.get("https_extra_headers", {}),
        server_tokens=section["server_tokens"],
        request_queue_size=section["request_queue_size"],
        thread_pool_size=section["thread_pool_size"],
    )


def ctl_options(configuration: Configured) -> ClientOptions:
    """Of ctl, and of the daemon when it asks other members."""
    ctl = configuration.document.get("ctl", {})
    restapi = configuration.document.get("restapi", {})
    return ClientOptions(
        credentials=_basic(ctl) or _basic(restapi),
        insecure=ctl.get("insecure", False),
        cacert=optional_path(ctl.get("cacert") or restapi.get("cafile")),
        certfile=optional_path(ctl.get("certfile")),
        keyfile=optional_path(ctl.get("keyfile")),
        keyfile_password=ctl.get("keyfile_password"),
    )


def journal_options(effective: Configured) -> JournalPlace:
    section = effective.document["journal"]
    data_dir = _absolute(effective.document["postgresql"]["data_dir"])
    beside = data_dir.with_name(data_dir.name + ".journal")
    given: dict[str, Any] = {
        ours: section[name]
        for name, ours in _JOURNAL_NAMES.items()
        if section.get(name) is not None
    }
    if "retention_days" in section:
        given["keep_age"] = section["retention_days"] * DAY
    return JournalPlace(
        directory=_absolute(section.get("dir") or beside),
        options=JournalOptions(**given),
        fsync=section["fsync"],
    )


_JOURNAL_NAMES = {
    "max_segment_size": "segment_bytes",
    "max_age": "segment_age",
    "max_size": "keep_bytes",
    "patience": "patience",
}


def _credentials(account: Mapping[str, Any]) -> Credentials:
    keywords = (*CONNECTION_PARAMETERS, "sslpassword")
    return Credentials(
        username=account.get("username"),
        password=account.get("password"),
        connection_parameters={k: account[k] for k in keywords if k in account},
    )


def _basic(section: Mapping[str, Any]) -> BasicCredentials | None:
    account = section.get("authentication", {})
    if "username" not in account or "password" not in account:
        return None
    return BasicCredentials(account["username"], account["password"])


def _certificate(section: Mapping[str, Any]) -> ServerCertificate | None:
    if "certfile" not in section:
        return None
    return ServerCertificate(
        certfile=_absolute(section["certfile"]),
        keyfile=optional_path(section.get("keyfile")),
        keyfile_password=section.get("keyfile_password"),
        cafile=optional_path(section.get("cafile")),
        ciphers=section.get("ciphers"),
        verify_client=section["verify_client"],
    )


def _replica_methods(document: Document) -> dict[str, Any]:
    """Every section of a method that is named anywhere."""
    postgresql = document["postgresql"]
    names = [
        *postgresql["create_replica_methods"],
        *document.get("standby_cluster", {}).get("create_replica_methods", ()),
        "basebackup",
    ]
    return {name: postgresql[name] for name in names if name in postgresql}


def _remote(section: Mapping[str, Any]) -> RemoteSource | None:
    if not any(name in section for name in ("host", "port", "restore_command")):
        return None
    methods = tuple(section.get("create_replica_methods", ()))
    return RemoteSource(**{**section, "create_replica_methods": methods})


def _lines(lines: list[str] | None) -> tuple[str, ...] | None:
    return None if lines is None else tuple(lines)


def optional_path(text: str | None) -> Path | None:
    """Absolute: programs that we start have another working directory."""
    return _absolute(text) if text else None


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user without a name, and no HOME
        return Path("/")


def _absolute(path: str | Path) -> Path:
    """Programs that we start have another working directory."""
    return Path(path).absolute()
