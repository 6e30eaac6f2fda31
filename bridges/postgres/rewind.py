"""pg_rewind: turn a diverged data directory into a standby of the new primary."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

from regnal.bridges.postgres.applying import write_configuration
from regnal.bridges.postgres.archiving import (
    archive_ready_files,
    configured_value,
    fetch_file,
)
from regnal.bridges.postgres.binary_version import binary_version, major_version
from regnal.bridges.postgres.conninfo import upstream_dsn
from regnal.bridges.postgres.control_data import read_control_data
from regnal.bridges.postgres.crash_recovery import recover, refuse_if_running
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.operation import Operation
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.pgpass import write_passfile
from regnal.bridges.postgres.postmaster import config_file
from regnal.bridges.postgres.programs import ProgramResult, find_binary, run_program
from regnal.bridges.postgres.rewind_mark import (
    refuse_if_marked,
    remove_mark,
    set_mark,
)
from regnal.messages.base import Bytes
from regnal.messages.postgres import (
    OperationProgressed,
    PostgresRewound,
    RewindPostgres,
)
from regnal.messages.reasons import because

COPYING = "need to copy"
"""What pg_rewind says last before it changes anything."""

PROGRESS = re.compile(r"(\d+)/(\d+) kB")
MISSING_FILE = re.compile(r'could not open file "(?:[^"]*/)?([0-9A-F]{24})"')

FETCHES_ITSELF_SINCE = 130000
TAKES_CONFIG_FILE_SINCE = 150000

ROOM: Bytes = 64 << 20
"""It copies whole files of WAL, of 16 MB each, and how much else nobody knows before."""

logger = logging.getLogger(__name__)


def rewind(operation: Operation, command: RewindPostgres) -> PostgresRewound:
    """Raises OperationError, after which the data are as before unless the reason
    is REWIND_BROKE_DIRECTORY, and Cancelled."""
    options = operation.options
    refuse_if_running(operation)
    refuse_if_marked(options)
    refuse_without_room(options.data_dir)
    archive_ready_files(options, operation.cancel)
    control = read_control_data(options)
    if control is None or not control.was_shut_down_cleanly:
        recover(operation, None)
        archive_ready_files(options, operation.cancel)
    # pg_rewind takes restore_command from the files of a standby.
    write_configuration(operation.server, "standby", command.upstream)
    fetched: set[str] = set()
    while (result := _run(operation, command)).exit_status != 0:
        if not _fetch_missing_file(operation, result, fetched):
            status = result.exit_status
            reason = because("PROGRAM_FAILED", program="pg_rewind", status=status)
            raise OperationError(reason, result.output)
    return PostgresRewound()


def refuse_without_room(directory: Path, needed: Bytes = ROOM) -> None:
    """Raises OperationError: on a full disk a rewind would break off in the middle, and
    the member would have to be built anew.  It can be tried again when there is room."""
    disk = os.statvfs(directory)
    free = disk.f_bavail * disk.f_frsize
    if free < needed:
        raise OperationError(
            because(
                "NO_ROOM",
                directory=str(directory),
                free=free >> 20,
                needed=needed >> 20,
            )
        )


def arguments(
    options: PostgresOptions, command: RewindPostgres, restore_command: str
) -> Iterator[str | Path]:
    """The command line; the password is in the passfile (RWD-12)."""
    source = upstream_dsn(
        options, command.upstream, "rewind", libpq_version=binary_version(options)
    )
    yield find_binary(options, "pg_rewind")
    yield from ("-D", options.data_dir)
    yield f"--source-server={source}"
    yield "--progress"
    if restore_command and _fetches_itself(options):
        yield "--restore-target-wal"
        if not _config_is_inside(options):
            yield f"--config-file={config_file(options)}"


def missing_file(output: str) -> str | None:
    """The WAL file that pg_rewind could not open, by its output."""
    match = MISSING_FILE.search(output)
    return match[1] if match else None


def _run(operation: Operation, command: RewindPostgres) -> ProgramResult:
    """Raises OperationError if it changed data and did not come to its end."""
    options = operation.options
    restore_command = configured_value(options, "restore_command", operation.cancel)
    argv = list(arguments(options, command, restore_command))
    environment = write_passfile(options, command.upstream, "rewind")
    progress = _Progress(operation)
    set_mark(options)
    succeeded = False
    try:
        result = run_program(
            argv,
            cancel=operation.cancel,
            timeout=command.timeout,
            env={
                **environment,
                "PGOPTIONS": "-c statement_timeout=0",
                "LC_ALL": "C",
            },
            on_output=progress.read,
        )
        succeeded = result.exit_status == 0
    finally:
        if succeeded or not progress.is_copying:
            remove_mark(options)
    if not succeeded and progress.is_copying:
        raise OperationError(
            because("REWIND_BROKE_DIRECTORY", directory=str(options.data_dir)),
            result.output,
        )
    return result


class _Progress:
    """Follows what pg_rewind prints, and tells of it."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self.is_copying = False

    def read(self, line: str) -> None:
        self.is_copying = self.is_copying or COPYING in line
        numbers = PROGRESS.search(line)
        if numbers is not None:
            self._operation.say(
                OperationProgressed(
                    command="rewind_postgres",
                    done=int(numbers[1]),
                    total=int(numbers[2]),
                    unit="kB",
                )
            )


def _fetch_missing_file(
    operation: Operation, result: ProgramResult, fetched: set[str]
) -> bool:
    """Whether a file was fetched that had not been before (RWD-14)."""
    name = missing_file(result.output)
    if name is None or name in fetched:
        return False
    command = configured_value(operation.options, "restore_command", operation.cancel)
    if not command:
        return False
    fetched.add(name)
    logger.info("pg_rewind misses %s; fetching it.", name)
    return fetch_file(operation.options, command, name, operation.cancel)


def _fetches_itself(options: PostgresOptions) -> bool:
    """Whether pg_rewind can find and use restore_command."""
    version = major_version(options)
    if _config_is_inside(options):
        return version >= FETCHES_ITSELF_SINCE
    return version >= TAKES_CONFIG_FILE_SINCE


def _config_is_inside(options: PostgresOptions) -> bool:
    return config_file(options) == options.data_dir / "postgresql.conf"
