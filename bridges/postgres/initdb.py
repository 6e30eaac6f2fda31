"""A new data directory: by initdb, or by a method of the administrator's own."""

import contextlib
import logging
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regnal.bridges.postgres.data_directory import examine
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.programs import CancelToken, find_binary, run_program
from regnal.bridges.postgres.tool_options import (
    INITDB_FORBIDDEN,
    InvalidOptions,
    as_argument,
    is_one_of,
    is_true,
    read_tool_options,
)
from regnal.messages.reasons import because

logger = logging.getLogger(__name__)

RESERVED_KEYS = frozenset(
    {
        "command",
        "no_params",
        "keep_existing_recovery_conf",
        "recovery_conf",
        "scope",
        "datadir",
    }
)
"""Of a custom method's section; the others become arguments."""


@dataclass(frozen=True, slots=True)
class CustomMethod:
    """A section `bootstrap.<method>`."""

    name: str
    command: str
    no_params: bool
    keep_existing_recovery_conf: bool
    recovery_conf: Mapping[str, Any]
    arguments: tuple[str, ...]


def custom_method(options: PostgresOptions) -> CustomMethod | None:
    """The method that the configuration wants; None: initdb.

    Raises OperationError if its section is unusable.
    """
    name = str(options.bootstrap.get("method") or "initdb")
    if name == "initdb":
        return None
    section = options.bootstrap.get(name)
    if not isinstance(section, Mapping) or not section.get("command"):
        raise OperationError(
            because(
                "OPTION_INVALID", option=f"bootstrap.{name}", error="has no command"
            )
        )
    return CustomMethod(
        name=name,
        command=str(section["command"]),
        no_params=is_true(section.get("no_params")),
        keep_existing_recovery_conf=is_true(section.get("keep_existing_recovery_conf")),
        recovery_conf=section.get("recovery_conf") or {},
        arguments=tuple(
            as_argument(key, value)
            for key, value in section.items()
            if key not in RESERVED_KEYS and value is not None
        ),
    )


def run_initdb(options: PostgresOptions, cancel: CancelToken) -> None:
    """Raises OperationError and Cancelled."""
    arguments = initdb_arguments(options)
    with _password_file(options.superuser.password) as password_argument:
        result = run_program(
            [
                find_binary(options, "initdb"),
                *arguments,
                *password_argument,
                f"--pgdata={options.data_dir}",
            ],
            cancel=cancel,
            timeout=None,
        )
    if result.exit_status:
        raise OperationError(
            because("PROGRAM_FAILED", program="initdb", status=result.exit_status),
            result.output,
        )


def initdb_arguments(options: PostgresOptions) -> tuple[str, ...]:
    """The administrator's options and our user name.

    Raises OperationError for options that would break the result.
    """
    try:
        wanted = read_tool_options(options.bootstrap.get("initdb"))
    except InvalidOptions as error:
        raise OperationError(
            because("OPTION_INVALID", option="bootstrap.initdb", error=str(error))
        ) from error
    for option in wanted:
        if not option.name or is_one_of(option, INITDB_FORBIDDEN):
            raise OperationError(
                because(
                    "OPTION_INVALID",
                    option="bootstrap.initdb",
                    error=f"must not have {option.name or 'an empty option'}",
                )
            )
    username = options.superuser.username
    return (
        *(option.argument for option in wanted),
        *((f"--username={username}",) if username else ()),
    )


def run_custom_method(
    options: PostgresOptions, method: CustomMethod, cancel: CancelToken
) -> None:
    """Raises OperationError, also if there is no data directory after it, and
    Cancelled."""
    places = (f"--scope={options.scope}", f"--datadir={options.data_dir}")
    result = run_program(
        [
            *shlex.split(method.command),
            *(() if method.no_params else places),
            *method.arguments,
        ],
        cancel=cancel,
        timeout=None,
    )
    if result.exit_status:
        raise OperationError(
            because("PROGRAM_FAILED", program=method.name, status=result.exit_status),
            result.output,
        )
    if examine(options) != "valid":
        raise OperationError(
            because("DATA_DIRECTORY_INVALID", directory=str(options.data_dir)),
            result.output,
        )


@contextlib.contextmanager
def _password_file(password: str | None) -> Iterator[tuple[str, ...]]:
    """The argument that names a file with the password, as long as it is needed."""
    if not password:
        yield ()
        return
    descriptor, name = tempfile.mkstemp(prefix="regnal-initdb-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{password}\n")
        yield (f"--pwfile={name}",)
    finally:
        Path(name).unlink()
