"""WAL archive: what the server would do with its files while it cannot do it itself.

Before data are changed behind the server's back, WAL that it marked as ready is
archived, or it would be lost to backups (P-RWD-07); and WAL that a rewind misses is
fetched (RWD-14).
"""

import logging
import re
from pathlib import Path

from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.postmaster import config_file
from regnal.bridges.postgres.programs import CancelToken, find_binary, run_program
from regnal.bridges.postgres.wal import wal_directory
from regnal.messages.base import Seconds

SETTING_TIMEOUT: Seconds = 30.0
FILE_TIMEOUT: Seconds = 600.0
"""For one file; an archive that takes longer is taken for stuck."""

PLACEHOLDER = re.compile("%(.)")

logger = logging.getLogger(__name__)


def configured_value(options: PostgresOptions, name: str, cancel: CancelToken) -> str:
    """A setting as a stopped server's files have it (PG-25); empty: not set, or
    the server does not tell, which is logged."""
    argv: list[str | Path] = [
        find_binary(options, "postgres"),
        "-D",
        options.data_dir,
        f"--config-file={config_file(options)}",
        "-C",
        name,
    ]
    result = run_program(argv, cancel=cancel, timeout=SETTING_TIMEOUT)
    if result.exit_status != 0:
        logger.warning("The value of %s is not known: %s", name, result.stderr.strip())
        return ""
    return result.stdout.strip()


def archive_ready_files(options: PostgresOptions, cancel: CancelToken) -> None:
    """Archive what is marked as ready, oldest first, until one fails.

    A failure is logged and no more: the files stay ready.  Raises Cancelled.
    """
    status = wal_directory(options.data_dir) / "archive_status"
    ready = sorted(status.glob("*.ready"))
    if not ready:
        return
    if configured_value(options, "archive_mode", cancel) == "off":
        return
    command = configured_value(options, "archive_command", cancel)
    if not command or command == "(disabled)":
        return
    for marker in ready:
        if not _archive(options, command, marker.stem, cancel):
            return
        marker.rename(marker.with_suffix(".done"))


def fetch_file(
    options: PostgresOptions, command: str, name: str, cancel: CancelToken
) -> bool:
    """Fetch a WAL file by restore_command; whether it is there now."""
    target = wal_directory(options.data_dir) / name
    path = target.relative_to(options.data_dir)
    values = {"p": str(path), "f": name, "r": name}
    try:
        result = _run(options, expand(command, values), cancel)
    except OperationError as error:
        logger.warning("restore_command did not fetch %s: %s.", name, error)
        return False
    return result and target.exists()


def expand(command: str, values: dict[str, str]) -> str:
    """Fill in %p, %f and %r as the server does; %% is one %."""
    return PLACEHOLDER.sub(
        lambda match: {"%": "%", **values}.get(match[1], match[0]), command
    )


def _archive(
    options: PostgresOptions, command: str, name: str, cancel: CancelToken
) -> bool:
    path = wal_directory(options.data_dir).name + "/" + name
    try:
        done = _run(options, expand(command, {"p": path, "f": name}), cancel)
    except OperationError as error:
        logger.warning("%s was not archived: %s.", name, error)
        return False
    if not done:
        logger.warning("%s was not archived: archive_command failed.", name)
    return done


def _run(options: PostgresOptions, command: str, cancel: CancelToken) -> bool:
    """By the shell, in the data directory, as the server would."""
    result = run_program(
        ["/bin/sh", "-c", command],
        cancel=cancel,
        timeout=FILE_TIMEOUT,
        cwd=options.data_dir,
    )
    return result.exit_status == 0
