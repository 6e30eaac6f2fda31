"""Where PostgreSQL is, and as whom we go there: connection strings from the options.

Local ones lead to our own server (for the monitor, the operator, scripts),
upstream ones to the server that we copy or follow.  Secrets are only in what is
made for the driver (`connect_parameters`, `replication_parameters`) and in
`upstream_conninfo`, as far as libpq has no other way to get them.
"""

from typing import Literal, TypeAlias

from regnal.bridges.postgres.connection_string import (
    SECRETS,
    Parameters,
    build,
    is_socket_directory,
    without_brackets,
)
from regnal.bridges.postgres.options import Credentials, PostgresOptions
from regnal.messages.postgres import Upstream

Account: TypeAlias = Literal["superuser", "replication", "rewind"]
"""A section of `postgresql.authentication`."""

KEYWORD_SINCE = {
    "gssencmode": 120000,
    "channel_binding": 130000,
    "sslpassword": 130000,
    "sslcrldir": 140000,
    "sslnegotiation": 170000,
}
"""Keywords that an older libpq refuses; all others are known since 9.3."""

OUR_APPLICATION_NAME = "Patroni"
"""Monitoring tells our sessions by this name, so it stays the peer's."""

EVERYWHERE = frozenset({"*", "0.0.0.0", "::", "localhost", "127.0.0.1"})  # noqa: S104 - compared, not bound


def credentials_of(options: PostgresOptions, account: Account) -> Credentials:
    """The rewind user falls back to the superuser, who may rewind as well."""
    match account:
        case "replication":
            return options.replication
        case "rewind" if options.rewind.username is not None:
            return options.rewind
        case _:
            return options.superuser


def local_parameters(
    options: PostgresOptions, account: Account = "superuser", *, libpq_version: int
) -> Parameters:
    """Our own server, without a password.

    `libpq_version` is that of the program which will connect, counted as server
    versions are: an older one is not told keywords that it does not know.
    """
    over_socket = (
        options.use_unix_socket_repl
        if account == "replication"
        else options.use_unix_socket
    )
    host = _socket_host(options) if over_socket else _tcp_host(options)
    location = {} if host is None else {"host": host}
    return {
        **location,
        "port": options.port,
        **_identity(options, account, libpq_version),
    }


def local_dsn(
    options: PostgresOptions, account: Account = "superuser", *, libpq_version: int
) -> str:
    """`local_parameters` as text, for programs and scripts."""
    return build(local_parameters(options, account, libpq_version=libpq_version))


def connect_parameters(
    options: PostgresOptions,
    account: Account = "superuser",
    *,
    libpq_version: int,
    settings: str = "",
) -> Parameters:
    """Our own server, for the driver: with the password.  Never to be logged.

    `settings` are further `-c name=value` of the session.  The search path is
    safe from objects that somebody planted in `public` (P-PG-01).
    """
    return with_secrets(
        {
            **local_parameters(options, account, libpq_version=libpq_version),
            "fallback_application_name": OUR_APPLICATION_NAME,
            "options": f"-c search_path=pg_catalog {settings}".rstrip(),
        },
        credentials_of(options, account),
        libpq_version,
    )


def replication_parameters(
    options: PostgresOptions, *, libpq_version: int
) -> Parameters:
    """Our own server by the physical replication protocol, with the password."""
    return with_secrets(
        {
            **local_parameters(options, "replication", libpq_version=libpq_version),
            "fallback_application_name": OUR_APPLICATION_NAME,
            # Not `database`: pg_hba.conf's lines for `replication` must match.
            "replication": "1",
        },
        options.replication,
        libpq_version,
    )


def upstream_parameters(
    options: PostgresOptions,
    upstream: Upstream,
    account: Account = "replication",
    *,
    libpq_version: int,
) -> Parameters:
    """Another server, without a password (programs find it in the passfile)."""
    parameters = {
        "host": ",".join(without_brackets(h) for h in upstream.host.split(",")),
        "port": upstream.port,
        **_identity(options, account, libpq_version),
    }
    if has_several_hosts(upstream) and libpq_version >= 100000:
        parameters["target_session_attrs"] = "read-write"
    return {key: value for key, value in parameters.items() if value}


def upstream_dsn(
    options: PostgresOptions,
    upstream: Upstream,
    account: Account = "replication",
    *,
    libpq_version: int,
) -> str:
    """`upstream_parameters` as text, for pg_basebackup, pg_rewind and scripts."""
    return build(
        upstream_parameters(options, upstream, account, libpq_version=libpq_version)
    )


def upstream_conninfo(
    options: PostgresOptions, upstream: Upstream, *, server_version: int
) -> str:
    """The value of primary_conninfo.

    From 10 on the password is in the passfile; before, libpq may not know
    passfiles, and the string holds it.
    """
    parameters = upstream_parameters(options, upstream, libpq_version=server_version)
    parameters = with_secrets(parameters, options.replication, server_version)
    if server_version >= 100000 and "password" in parameters:
        del parameters["password"]
        parameters["passfile"] = str(options.pgpass)
    parameters["application_name"] = options.name
    # Slot synchronisation (17+) connects to a database; others do not mind.
    parameters["dbname"] = parameters.pop("dbname")
    return build(parameters)


def has_several_hosts(upstream: Upstream) -> bool:
    return "," in upstream.host


def with_secrets(
    parameters: Parameters, credentials: Credentials, libpq_version: int
) -> Parameters:
    """Add the password and that of the private key, where there are such."""
    secrets = {"password": credentials.password}
    if libpq_version >= KEYWORD_SINCE["sslpassword"]:
        secrets["sslpassword"] = sslpassword_of(credentials)
    return parameters | {key: value for key, value in secrets.items() if value}


def sslpassword_of(credentials: Credentials) -> str | None:
    return credentials.connection_parameters.get("sslpassword")


def listen_hosts(options: PostgresOptions) -> tuple[str, ...]:
    """The elements of listen_addresses, IPv6 ones without brackets."""
    return tuple(
        without_brackets(part.strip())
        for part in options.listen_addresses.split(",")
        if part.strip()
    )


def socket_directories(options: PostgresOptions) -> tuple[str, ...] | None:
    """unix_socket_directories as configured; None: it is not."""
    for name, value in options.parameters.items():
        if name.lower() == "unix_socket_directories" and value is not None:
            return tuple(
                part.strip().strip('"')
                for part in str(value).split(",")
                if part.strip().strip('"')
            )
    return None


def _identity(
    options: PostgresOptions, account: Account, libpq_version: int
) -> Parameters:
    credentials = credentials_of(options, account)
    parameters = {
        "user": credentials.username or "",
        "dbname": options.database,
        "krbsrvname": options.krbsrvname or "",
        **credentials.connection_parameters,
    }
    return {
        key: value
        for key, value in parameters.items()
        if value and key not in SECRETS and KEYWORD_SINCE.get(key, 0) <= libpq_version
    }


def _socket_host(options: PostgresOptions) -> str | None:
    """None: libpq's own default is right, since the server uses its default too."""
    directories = socket_directories(options)
    if directories is None:
        return None
    for directory in directories:
        if is_socket_directory(directory) and directory.startswith("/"):
            return directory
    return _tcp_host(options)


def _tcp_host(options: PostgresOptions) -> str:
    hosts = listen_hosts(options)
    if not hosts or EVERYWHERE.intersection(hosts):
        return "localhost"
    return hosts[0]
