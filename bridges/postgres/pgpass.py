"""The passfile: how programs and PostgreSQL get passwords that nobody else sees.

One file serves the WAL receiver, pg_basebackup, pg_rewind and the operator's
scripts, so it always holds every account that they may use (PostgreSQL manual,
33.16 "The Password File").
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from regnal.bridges.postgres.connection_string import is_socket_directory, split_hosts
from regnal.bridges.postgres.conninfo import (
    Account,
    credentials_of,
    local_parameters,
    sslpassword_of,
)
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.file_replacement import OWNER_ONLY, replace_file
from regnal.bridges.postgres.options import PostgresOptions
from regnal.messages.postgres import Upstream
from regnal.messages.reasons import because

logger = logging.getLogger(__name__)

ACCOUNTS: tuple[Account, ...] = ("replication", "rewind", "superuser")


@dataclass(frozen=True, slots=True)
class PassfileEntry:
    """One host and the password of one user there; empty text: any."""

    host: str
    port: str
    username: str
    password: str = field(repr=False)


def needs_passfile(options: PostgresOptions) -> bool:
    """Without a password (Kerberos, certificates, trust) there is no file."""
    return any(credentials_of(options, account).password for account in ACCOUNTS)


def write_passfile(
    options: PostgresOptions,
    upstream: Upstream | None,
    account: Account = "replication",
    *,
    local: bool = False,
) -> dict[str, str]:
    """Write the passwords for the upstream and, if `local`, for our own server.

    Returns the environment that lets a program which goes there as `account` find
    them; empty if no password is configured.  Raises OperationError.
    """
    environment: dict[str, str] = {}
    if needs_passfile(options):
        entries: list[PassfileEntry] = []
        if upstream is not None:
            entries += upstream_entries(options, upstream)
        if local:
            entries += local_entries(options)
        _write(options.pgpass, passfile_text(entries))
        environment["PGPASSFILE"] = str(options.pgpass)
    sslpassword = sslpassword_of(credentials_of(options, account))
    if sslpassword:
        # libpq has neither a file nor a variable for it, but reads it from here.
        service_file = options.pgpass.with_name(f"{options.pgpass.name}.service")
        _write(service_file, f"[{account}]\nsslpassword={sslpassword}\n")
        environment |= {"PGSERVICEFILE": str(service_file), "PGSERVICE": account}
    return environment


def _write(path: Path, text: str) -> None:
    try:
        replace_file(path, text, OWNER_ONLY)
    except OSError as error:
        raise OperationError(
            because("IO_ERROR", path=str(path), error=str(error))
        ) from error


def upstream_entries(
    options: PostgresOptions, upstream: Upstream
) -> tuple[PassfileEntry, ...]:
    pairs = split_hosts(upstream.host, upstream.port)
    return tuple(_entries(options, pairs))


def local_entries(options: PostgresOptions) -> tuple[PassfileEntry, ...]:
    """Our own server, by whichever address it is connected to."""
    pairs = [("localhost", options.port)]
    for account in ACCOUNTS:
        # The user is not looked at here, so that libpq's version does not matter.
        parameters = local_parameters(options, account, libpq_version=0)
        pairs.append((parameters.get("host", "localhost"), options.port))
    return tuple(_entries(options, tuple(dict.fromkeys(pairs))))


def passfile_text(entries: Sequence[PassfileEntry]) -> str:
    lines: dict[str, None] = {}
    for entry in entries:
        if _has_line_break(entry.username, entry.password):
            logger.error(
                "The password of user %s has a line break, which a passfile cannot "
                "hold: choose another one.",
                entry.username,
            )
            continue
        if _has_line_break(entry.host, entry.port):
            # A member's address is what somebody wrote into the store: it must not
            # become a line of its own, which sends passwords elsewhere.
            logger.error(
                "The address %r has a line break and gets no password.", entry.host
            )
            continue
        for host in _names_of(entry.host):
            location = [host or "*", entry.port or "*", "*", entry.username or "*"]
            lines[":".join(_escaped(part) for part in (*location, entry.password))] = (
                None
            )
    return "".join(f"{line}\n" for line in lines)


def _has_line_break(*values: str) -> bool:
    return any("\n" in value or "\r" in value for value in values)


def _names_of(host: str) -> tuple[str, ...]:
    """libpq looks a default socket directory up as localhost."""
    return (host, "localhost") if is_socket_directory(host) else (host,)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(":", "\\:")


def _entries(
    options: PostgresOptions, pairs: Sequence[tuple[str, str]]
) -> Iterator[PassfileEntry]:
    for host, port in pairs:
        for account in ACCOUNTS:
            credentials = credentials_of(options, account)
            if credentials.password:
                yield PassfileEntry(
                    host, port, credentials.username or "", credentials.password
                )
