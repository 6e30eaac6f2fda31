"""The mark of a rewind that has not ended well: beside the data directory, not in it.

pg_rewind that is ended half-way leaves data that belong to no moment, and a
pg_control that does not show it; and it removes files that the source does not
have, so that a mark inside would not last.  What is marked is never started.
"""

import logging
import os
from pathlib import Path

from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.options import PostgresOptions
from regnal.messages.reasons import because

SUFFIX = ".rewinding"

logger = logging.getLogger(__name__)


def is_marked(options: PostgresOptions) -> bool:
    return _path(options).exists()


def set_mark(options: PostgresOptions) -> None:
    """Durably, before pg_rewind begins.  Raises OperationError."""
    path = _path(options)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fsync(descriptor)
        os.close(descriptor)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        # Whoever may not write there runs without this safeguard, not without rewind.
        logger.warning("The mark of the rewind was not written: %s.", error)


def remove_mark(options: PostgresOptions) -> None:
    """The data are whole again, or all gone."""
    try:
        _path(options).unlink(missing_ok=True)
    except OSError as error:
        raise OperationError(
            because("IO_ERROR", path=str(_path(options)), error=str(error.strerror))
        ) from error


def refuse_if_marked(options: PostgresOptions) -> None:
    """Raises OperationError if a rewind ended half-way."""
    if is_marked(options):
        raise OperationError(
            because("REWIND_BROKE_DIRECTORY", directory=str(options.data_dir))
        )


def _path(options: PostgresOptions) -> Path:
    return options.data_dir.with_name(options.data_dir.name + SUFFIX)
