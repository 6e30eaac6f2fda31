"""`patroni.dynamic.json`: the last dynamic configuration, kept with the data.

With it a member knows its cluster's settings before the store answers.
"""

import contextlib
import os
import stat
from pathlib import Path

from regnal.configuration.reading import MAX_BYTES

FILE_NAME = "patroni.dynamic.json"


def read_copy(data_dir: Path) -> str | None:
    """The copy; None if there is none.  Raises OSError."""
    try:
        with (data_dir / FILE_NAME).open("rb") as file:
            return file.read(MAX_BYTES + 1).decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_copy(data_dir: Path, document: str) -> bool:
    """Replace the copy atomically; False if there is no data directory yet.

    The permissions follow those of the directory.  Raises OSError; the old copy
    is then whole.
    """
    if not is_initialised(data_dir):
        return False
    target = data_dir / FILE_NAME
    temporary = data_dir / (FILE_NAME + ".tmp")
    mode = 0o640 if data_dir.stat().st_mode & stat.S_IRGRP else 0o600
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, mode), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return True


def is_initialised(data_dir: Path) -> bool:
    """Whether initdb or a clone has filled the directory."""
    return (data_dir / "global" / "pg_control").is_file()
