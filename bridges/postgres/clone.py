"""A new replica: the methods of the configuration, one after the other."""

import logging
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from regnal.bridges.postgres import data_directory
from regnal.bridges.postgres.binary_version import binary_version
from regnal.bridges.postgres.conninfo import upstream_dsn
from regnal.bridges.postgres.crash_recovery import refuse_if_running
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.operation import Operation
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.pgpass import write_passfile
from regnal.bridges.postgres.programs import (
    CancelToken,
    ProgramResult,
    find_binary,
    run_program,
)
from regnal.bridges.postgres.rewind_mark import remove_mark
from regnal.bridges.postgres.tool_options import (
    InvalidOptions,
    as_argument,
    is_true,
    may_basebackup,
    read_tool_options,
)
from regnal.messages.postgres import (
    ClonePostgres,
    OperationProgressed,
    PostgresCloned,
    Upstream,
)
from regnal.messages.reasons import because

BASEBACKUP = "basebackup"
ATTEMPTS = 2
PAUSE = 5.0
"""Seconds between two attempts of pg_basebackup (REPL-06)."""

PROGRESS = re.compile(r"(\d+)/(\d+) kB")
OWN_KEYS = ("command", "no_params", "no_leader", "no_master", "keep_data")
"""Of a method's section; the others become arguments (REPL-02)."""

DYNAMIC_CONFIGURATION = "patroni.dynamic.json"
"""The daemon's copy of the dynamic configuration, in the data directory."""

Section: TypeAlias = Mapping[str, Any] | Sequence[Any]

logger = logging.getLogger(__name__)


def clone(operation: Operation, command: ClonePostgres) -> PostgresCloned:
    """Raises OperationError if no method worked, and Cancelled."""
    options = operation.options
    refuse_if_running(operation)
    failure: OperationError | None = None
    for name in _methods(options, command):
        section = _section(options, name)
        if command.source is None and not _needs_no_source(name, section):
            continue
        try:
            _run(operation, command, name, section)
        except OperationError as error:
            logger.warning("The replica method %s failed: %s", name, error.reason)
            failure = error
            continue
        remove_mark(options)
        _tidy(options, command)
        return PostgresCloned(method=name)
    raise failure or OperationError(because("NO_REPLICA_METHOD"))


def _methods(options: PostgresOptions, command: ClonePostgres) -> tuple[str, ...]:
    """SBY-05: a standby cluster's leader has methods of its own."""
    if command.remote and options.remote is not None:
        return options.remote.create_replica_methods or (BASEBACKUP,)
    return options.create_replica_methods or (BASEBACKUP,)


def _section(options: PostgresOptions, name: str) -> Section:
    """That of basebackup may be a list."""
    section: object = options.replica_methods.get(name)
    return section if isinstance(section, Mapping | list | tuple) else {}


def _has(section: Section, *flags: str) -> bool:
    """Whether one of the flags is on."""
    return isinstance(section, Mapping) and any(
        is_true(section.get(flag)) for flag in flags
    )


def _needs_no_source(name: str, section: Section) -> bool:
    return name != BASEBACKUP and _has(section, "no_leader", "no_master")


def _tidy(options: PostgresOptions, command: ClonePostgres) -> None:
    """Raises OperationError."""
    copied = options.data_dir / DYNAMIC_CONFIGURATION
    try:
        if command.remote:  # it is the configuration of another cluster
            copied.unlink(missing_ok=True)
    except OSError as error:
        raise OperationError(
            because("IO_ERROR", path=str(copied), error=str(error))
        ) from error


def _run(
    operation: Operation, command: ClonePostgres, name: str, section: Section
) -> None:
    """One method, with the directory emptied before it and after its failure."""
    options = operation.options
    keeps_data = name != BASEBACKUP and _has(section, "keep_data")
    if not keeps_data:
        data_directory.remove(options)
        remove_mark(options)
    data_directory.prepare_for_clone(options)
    done = False
    try:
        if name == BASEBACKUP:
            assert command.source is not None, "basebackup needs a source"
            _base_backup(operation, command.source, section)
        else:
            _custom(operation, command, name, section)
        done = data_directory.examine(options) == "valid"
    finally:
        if not done and not keeps_data:
            data_directory.remove(options)
    if not done:
        raise OperationError(
            because("DATA_DIRECTORY_INVALID", directory=str(options.data_dir))
        )


def _base_backup(operation: Operation, source: Upstream, section: Section) -> None:
    options = operation.options
    argv: list[str | Path] = [
        find_binary(options, "pg_basebackup"),
        f"--pgdata={options.data_dir}",
        "-X",
        "stream",
        "--checkpoint=fast",
        "--progress",
        "--no-password",
        f"--dbname={_dsn(options, source)}",
        *_base_backup_options(options, section),
    ]
    logger.debug("Running %s", shlex.join(map(str, argv)))
    for attempt in range(1, ATTEMPTS + 1):
        result = run_program(
            argv,
            cancel=operation.cancel,
            timeout=None,
            env=write_passfile(options, source),
            on_output=_Progress(operation).read,
        )
        if result.exit_status == 0:
            return
        if attempt < ATTEMPTS:
            logger.warning("pg_basebackup failed: %s", _last_line(result))
            data_directory.remove(options)
            data_directory.prepare_for_clone(options)
            _pause(operation.cancel)
    raise _failed("pg_basebackup", result)


def _base_backup_options(options: PostgresOptions, section: Section) -> Iterator[str]:
    """REPL-07: options that would break the result are logged and skipped."""
    try:
        wanted = read_tool_options(section)
    except InvalidOptions as error:
        logger.error("postgresql.basebackup is passed over: %s", error)
        return
    for option in wanted:
        if option.name in OWN_KEYS:
            continue
        if may_basebackup(option, binary_version(options)):
            yield option.argument
        else:
            logger.error("postgresql.basebackup must not have %s", option.name)


def _custom(
    operation: Operation, command: ClonePostgres, name: str, given: Section
) -> None:
    """REPL-02 to REPL-05."""
    options = operation.options
    section: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    has_parameters = not _has(section, "no_params")
    passed_over = ("command",) if has_parameters else OWN_KEYS
    own = [
        as_argument(key, value)
        for key, value in section.items()
        if key not in passed_over and value is not None
    ]
    places = [
        f"--scope={options.scope}",
        "--role=replica",
        f"--datadir={options.data_dir}",
        f"--connstring={_dsn(options, command.source) if command.source else ''}",
    ]
    argv = shlex.split(str(section.get("command") or name)) + own
    if has_parameters:
        argv += places
    result = run_program(
        argv,
        cancel=operation.cancel,
        timeout=None,
        env=write_passfile(options, command.source),
    )
    if result.exit_status:
        raise _failed(name, result)


def _dsn(options: PostgresOptions, source: Upstream) -> str:
    return upstream_dsn(options, source, libpq_version=binary_version(options))


def _pause(cancel: CancelToken) -> None:
    """Raises Cancelled as soon as somebody cancels."""
    cancel.wait(PAUSE)


def _failed(program: str, result: ProgramResult) -> OperationError:
    reason = because("PROGRAM_FAILED", program=program, status=result.exit_status)
    told = [line for line in result.output.splitlines() if not PROGRESS.search(line)]
    return OperationError(reason, "\n".join(told))


def _last_line(result: ProgramResult) -> str:
    lines = result.output.strip().splitlines()
    return lines[-1] if lines else f"status {result.exit_status}"


class _Progress:
    """Follows what pg_basebackup prints, and tells of it at every tenth part."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._told = -1

    def read(self, line: str) -> None:
        numbers = PROGRESS.search(line)
        if numbers is None or numbers[2] == "0":
            return
        done, total = int(numbers[1]), int(numbers[2])
        tenth = 10 * done // total
        if tenth != self._told:
            self._told = tenth
            self._operation.say(
                OperationProgressed(
                    command="clone_postgres", done=done, total=total, unit="kB"
                )
            )
