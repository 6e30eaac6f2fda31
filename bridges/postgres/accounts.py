"""The database accounts of a new cluster: created, or given their passwords.

The statements hold passwords, so the session writes no log (BOOT-17, P-PG-02),
and wait for no standby, as there is none yet (BOOT-16).
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from regnal.bridges.postgres.connections import (
    Session,
    SessionFailed,
    StatementFailed,
    connect,
    libpq_version,
)
from regnal.bridges.postgres.conninfo import OUR_APPLICATION_NAME, connect_parameters
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.programs import CancelToken
from regnal.messages.reasons import because

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 30.0
"""Seconds; a server that has just started may be busy."""

STATEMENT_TIMEOUT = 60.0
"""Seconds; the statements take milliseconds."""

QUIET_SETTINGS: Mapping[str, tuple[str, int]] = {
    "log_statement": ("none", 0),
    "log_min_duration_statement": ("-1", 0),
    "log_min_error_statement": ("panic", 0),
    "log_transaction_sample_rate": ("0", 120000),
    "log_min_duration_sample": ("-1", 130000),
    "pg_stat_statements.track_utility": ("off", 0),
    "pgaudit.log": ("none", 0),
    "synchronous_commit": ("local", 0),
    "statement_timeout": ("0", 0),
}
"""Setting to value and the version that has it first."""

REWIND_FUNCTIONS = (
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
)
"""What pg_rewind calls at the source (its manual page, Notes)."""


@dataclass(frozen=True, slots=True)
class WantedAccount:
    name: str
    attributes: tuple[str, ...]
    """Such as LOGIN."""

    password: str | None = field(repr=False)
    may_rewind: bool = False


def wanted_accounts(
    options: PostgresOptions, server_version: int, *, with_superuser: bool
) -> Iterator[WantedAccount]:
    """`with_superuser`: after initdb that has its password already.

    Raises OperationError if `bootstrap.users` is unusable.
    """
    superuser, replication, rewind = (
        options.superuser,
        options.replication,
        options.rewind,
    )
    if with_superuser and superuser.username and superuser.password:
        yield WantedAccount(
            superuser.username, ("SUPERUSER", "LOGIN"), superuser.password
        )
    if replication.username and replication.username != superuser.username:
        yield WantedAccount(
            replication.username, ("REPLICATION", "LOGIN"), replication.password
        )
    if (
        rewind.username
        and rewind.username != superuser.username
        and server_version >= 110000
    ):
        attributes: tuple[str, ...] = ("LOGIN",)
        if rewind.username == replication.username:
            attributes = ("REPLICATION", "LOGIN")
        yield WantedAccount(
            rewind.username, attributes, rewind.password, may_rewind=True
        )
    yield from _legacy_users(options)


def create_accounts(
    options: PostgresOptions,
    server_version: int,
    cancel: CancelToken,
    *,
    with_superuser: bool,
) -> None:
    """Create what is missing and set the passwords.  Raises OperationError and
    Cancelled."""
    accounts = tuple(
        wanted_accounts(options, server_version, with_superuser=with_superuser)
    )
    if not accounts:
        return
    try:
        session = connect(
            connect_parameters(
                options,
                libpq_version=libpq_version(),
                settings=quiet_settings(server_version),
            ),
            application_name=OUR_APPLICATION_NAME,
            timeout=CONNECT_TIMEOUT,
            cancel=cancel,
        )
    except SessionFailed as error:
        raise OperationError(because("CONNECTION_FAILED", error=str(error))) from error
    try:
        for account in accounts:
            _create_or_alter(session, account, cancel)
    except (SessionFailed, StatementFailed) as error:
        raise OperationError(
            because("ACCOUNT_FAILED", name=account.name, error=str(error))
        ) from None  # the statement holds the password
    finally:
        session.close()


def quiet_settings(server_version: int) -> str:
    """As options of a connection, so that no statement is ever logged."""
    return " ".join(
        f"-c {name}={value}"
        for name, (value, since) in QUIET_SETTINGS.items()
        if server_version >= since
    )


def role_statement(account: WantedAccount, *, exists: bool) -> str:
    """CREATE ROLE, or ALTER ROLE if it is there."""
    verb = "ALTER" if exists else "CREATE"
    words = [f"{verb} ROLE {quote_identifier(account.name)} WITH", *account.attributes]
    if account.password:
        words.append(f"PASSWORD {quote_literal(account.password)}")
    return " ".join(words)


def quote_identifier(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def quote_literal(text: str) -> str:
    """Right whatever standard_conforming_strings says."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f" E'{escaped}'" if "\\" in text else f"'{escaped}'"


def _create_or_alter(
    session: Session, account: WantedAccount, cancel: CancelToken
) -> None:
    rows = session.query(
        "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s",
        [account.name],
        timeout=STATEMENT_TIMEOUT,
        cancel=cancel,
    )
    statements = [role_statement(account, exists=bool(rows))]
    if account.may_rewind:
        statements += [
            f"GRANT EXECUTE ON FUNCTION pg_catalog.{function} "
            f"TO {quote_identifier(account.name)}"
            for function in REWIND_FUNCTIONS
        ]
    for statement in statements:
        session.query(statement, timeout=STATEMENT_TIMEOUT, cancel=cancel)


def _legacy_users(options: PostgresOptions) -> Iterator[WantedAccount]:
    """`bootstrap.users`, which the peer no longer has."""
    users: object = options.bootstrap.get("users") or {}
    if not isinstance(users, Mapping):
        raise _invalid("bootstrap.users", "must be a mapping of names")
    if users:
        logger.warning(
            "bootstrap.users is deprecated: create these accounts in post_bootstrap."
        )
    ours = {
        options.superuser.username,
        options.replication.username,
        options.rewind.username,
    }
    for name, section in users.items():
        if name in ours:
            continue
        if not isinstance(section, Mapping):
            raise _invalid(f"bootstrap.users.{name}", "must be a mapping")
        yield WantedAccount(
            str(name), _attributes(str(name), section), _password(section)
        )


def _attributes(name: str, section: Mapping[str, Any]) -> tuple[str, ...]:
    attributes = tuple(str(word).strip() for word in section.get("options") or ())
    if any(";" in word for word in attributes):
        raise _invalid(
            f"bootstrap.users.{name}.options", "must be words of CREATE ROLE"
        )
    if not {"LOGIN", "NOLOGIN"}.intersection(word.upper() for word in attributes):
        attributes += ("LOGIN",)
    return attributes


def _password(section: Mapping[str, Any]) -> str | None:
    password = section.get("password")
    return None if password is None else str(password)


def _invalid(option: str, error: str) -> OperationError:
    return OperationError(because("OPTION_INVALID", option=option, error=error))
