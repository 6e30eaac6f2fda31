"""Crash recovery by a single-user server, which ends with a clean shutdown.

pg_rewind and a comparison of histories need data that were stopped cleanly; a
postmaster would, after recovery, accept writes, and this must not.
"""

import itertools
import logging
import shlex
from pathlib import Path

from regnal.bridges.postgres.archiving import archive_ready_files
from regnal.bridges.postgres.binary_version import major_version
from regnal.bridges.postgres.control_data import read_control_data
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.operation import Operation
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.postmaster import (
    config_file,
    end_orphans,
    server_environment,
)
from regnal.bridges.postgres.programs import find_binary, run_program
from regnal.messages.base import Seconds
from regnal.messages.postgres import CrashRecovered, RecoverCrashed
from regnal.messages.reasons import because

RECOVERY_FILES = ("standby.signal", "recovery.signal", "recovery.conf")

NEUTRALISED = {"archive_mode": "on", "archive_command": "false"}
"""Nothing is archived, and no WAL is removed as if it had been (PG-33)."""

BACKUP_LABEL_REFUSED_SINCE = 150000

logger = logging.getLogger(__name__)


def recover_crashed(operation: Operation, command: RecoverCrashed) -> CrashRecovered:
    """A timeout of 0 is none.  Raises OperationError and Cancelled."""
    refuse_if_running(operation)
    options = operation.options
    archive_ready_files(options, operation.cancel)
    recover(operation, command.timeout or None)
    return CrashRecovered(control=read_control_data(options))


def is_fresh_backup(options: PostgresOptions) -> bool:
    """Whether this is a base backup that was not started yet.  Before version 15 a
    primary can have the label as well, while a backup is taken of it."""
    return (options.data_dir / "backup_label").exists() and (
        major_version(options) >= BACKUP_LABEL_REFUSED_SINCE
    )


def recover(operation: Operation, timeout: Seconds | None) -> None:
    """Run the server in single-user mode, without input, to its end."""
    options = operation.options
    if not end_orphans(options.data_dir):
        raise OperationError(because("CHILDREN_LEFT"))
    if is_fresh_backup(options):
        # A backup that was not started yet: the server refuses, rightly (P-RWD-12).
        raise OperationError(because("BACKUP_LABEL"))
    for name in RECOVERY_FILES:
        (options.data_dir / name).unlink(missing_ok=True)
    argv: list[str | Path] = [
        find_binary(options, "postgres"),
        "--single",
        "-D",
        options.data_dir,
        *single_user_settings(options),
        "template1",
    ]
    result = run_program(
        argv,
        cancel=operation.cancel,
        timeout=timeout,
        env=server_environment(options),
    )
    if result.exit_status != 0:
        logger.error(
            "Crash recovery in single-user mode failed.",
            extra={
                "status": result.exit_status,
                "stdout": result.stdout,
                "stderr": result.stderr,
            },
        )
        raise OperationError(
            because("PROGRAM_FAILED", program="postgres", status=result.exit_status),
            result.output,
        )


def single_user_settings(options: PostgresOptions) -> list[str]:
    """Those of the last start, as `-c name=value`, with archiving neutralised."""
    try:
        text = (options.data_dir / "postmaster.opts").read_text()
    except OSError:
        text = ""
    settings = {"config_file": str(config_file(options))}
    settings |= parse_postmaster_options(text) | NEUTRALISED
    return [word for n, value in settings.items() for word in ("-c", f"{n}={value}")]


def parse_postmaster_options(text: str) -> dict[str, str]:
    """The settings in postmaster.opts: `--name=value` and `-c name=value`."""
    try:
        words = shlex.split(text)
    except ValueError:
        return {}
    settings = {}
    for before, word in itertools.pairwise(words):
        if word.startswith("--"):
            word = word.removeprefix("--")
        elif before != "-c":
            continue
        name, equals, value = word.partition("=")
        if equals:
            settings[name.replace("-", "_")] = value
    return settings


def refuse_if_running(operation: Operation) -> None:
    postmaster = operation.server.postmaster()
    if postmaster is not None:
        directory = str(operation.options.data_dir)
        raise OperationError(
            because("DATA_DIRECTORY_IN_USE", pid=postmaster.pid, directory=directory)
        )
