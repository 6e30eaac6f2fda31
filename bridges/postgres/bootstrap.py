"""A new cluster: data directory, first start, accounts, hooks, in this order."""

import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regnal.bridges.postgres.accounts import create_accounts
from regnal.bridges.postgres.binary_version import binary_version
from regnal.bridges.postgres.conninfo import local_dsn
from regnal.bridges.postgres.data_directory import (
    prepare_for_clone,
    system_identifier,
)
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.initdb import (
    CustomMethod,
    custom_method,
    run_custom_method,
    run_initdb,
)
from regnal.bridges.postgres.lifecycle import start
from regnal.bridges.postgres.operation import Operation
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.pgpass import write_passfile
from regnal.bridges.postgres.programs import run_program
from regnal.messages.postgres import DatabaseInitialised, StartPostgres
from regnal.messages.reasons import because

logger = logging.getLogger(__name__)

HOOK_SETTINGS = "-c synchronous_commit=local -c statement_timeout=0"
"""In synchronous mode a commit of the hook would otherwise wait for a standby that
there cannot be yet (BOOT-14)."""

RECOVERY_FILES = ("recovery.conf", "recovery.signal", "standby.signal")
START_TIMEOUT = 300.0
"""Seconds; a restored directory may have to replay a lot."""


def initialise_database(operation: Operation) -> DatabaseInitialised:
    """Raises OperationError, after which PostgreSQL may run and the directory is to
    be moved aside, and Cancelled."""
    options = operation.options
    method = custom_method(options)
    prepare_for_clone(options)
    if method is None:
        run_initdb(options, operation.cancel)
        _append_pg_hba(options)
        _start_and_create(operation, with_superuser=False)
    else:
        _restore(operation, method)
    _run_hook(operation)
    identifier = system_identifier(options)
    if identifier is None:
        raise OperationError(
            because("DATA_DIRECTORY_INVALID", directory=str(options.data_dir))
        )
    return DatabaseInitialised(system_identifier=identifier)


def _restore(operation: Operation, method: CustomMethod) -> None:
    """BOOT-03 to BOOT-12, but for recovery settings of the method."""
    options = operation.options
    if method.recovery_conf:
        raise OperationError(
            because(
                "OPTION_INVALID",
                option=f"bootstrap.{method.name}.recovery_conf",
                error="is not supported yet; let the command itself write it and set "
                "keep_existing_recovery_conf",
            )
        )
    run_custom_method(options, method, operation.cancel)
    if not method.keep_existing_recovery_conf:
        for name in RECOVERY_FILES:
            (options.data_dir / name).unlink(missing_ok=True)
    ident = options.config_dir / "pg_ident.conf"
    if not ident.exists():
        ident.touch(mode=0o600)
    with _trusting(options):
        _start_and_create(operation, with_superuser=True)
    _append_pg_hba(options)
    operation.session().query(
        "SELECT pg_reload_conf()", timeout=START_TIMEOUT, cancel=operation.cancel
    )


def _start_and_create(operation: Operation, *, with_superuser: bool) -> None:
    start(
        operation, StartPostgres(role="primary", upstream=None, timeout=START_TIMEOUT)
    )
    create_accounts(
        operation.options,
        binary_version(operation.options),
        operation.cancel,
        with_superuser=with_superuser,
    )


def _append_pg_hba(options: PostgresOptions) -> None:
    """`bootstrap.pg_hba`, unless `postgresql.pg_hba` replaces the whole file."""
    lines = options.bootstrap.get("pg_hba") or ()
    if options.pg_hba is not None or not lines:
        return
    path = options.config_dir / "pg_hba.conf"
    with _io_errors(path), path.open("a") as file:
        file.write("\n" + "\n".join(str(line) for line in lines) + "\n")


@contextmanager
def _trusting(options: PostgresOptions) -> Iterator[None]:
    """BOOT-09: the passwords in a restored directory are not ours; until they are
    set, our own accounts are trusted from this host."""
    path = options.config_dir / "pg_hba.conf"
    with _io_errors(path):
        former = path.read_text() if path.exists() else ""
        path.write_text("\n".join(_trust_lines(options)) + "\n")
    try:
        yield
    finally:
        with _io_errors(path):
            path.write_text(former)


def _trust_lines(options: PostgresOptions) -> Iterator[str]:
    superuser = options.superuser.username or "all"
    replication = options.replication.username or "all"
    yield f'local all "{superuser}" trust'
    for address in ("127.0.0.1/32", "::1/128", "samehost"):
        yield f'host all "{superuser}" {address} trust'
        yield f'host replication "{replication}" {address} trust'


def _run_hook(operation: Operation) -> None:
    """BOOT-13: one argument, a connection string without the password."""
    options = operation.options
    bootstrap = options.bootstrap
    command = bootstrap.get("post_bootstrap") or bootstrap.get("post_init")
    if not command:
        return
    dsn = local_dsn(options, libpq_version=binary_version(options))
    environment = write_passfile(options, None, "superuser", local=True)
    result = run_program(
        [*shlex.split(str(command)), dsn],
        cancel=operation.cancel,
        timeout=None,
        env={**environment, "PGOPTIONS": HOOK_SETTINGS},
    )
    if result.exit_status:
        raise OperationError(
            because(
                "PROGRAM_FAILED", program="post_bootstrap", status=result.exit_status
            ),
            result.output,
        )


@contextmanager
def _io_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperationError(
            because("IO_ERROR", path=str(path), error=str(error))
        ) from error
