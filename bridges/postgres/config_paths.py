"""Where the configuration files are, how private, and their copies in the data."""

import logging
import re
import stat
from pathlib import Path

from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.file_replacement import OWNER_ONLY, replace_file
from regnal.bridges.postgres.options import PostgresOptions
from regnal.messages.reasons import because

logger = logging.getLogger(__name__)


def main_file(options: PostgresOptions) -> Path:
    return options.config_dir / f"{options.config_base_name}.conf"


def base_file(options: PostgresOptions) -> Path:
    return options.config_dir / f"{options.config_base_name}.base.conf"


def file_mode(options: PostgresOptions, path: Path) -> int:
    """In the data directory files are as private as it is; elsewhere as the umask
    wants (P-CFG-20)."""
    if path.parent.resolve().is_relative_to(options.data_dir.resolve()):
        folder = stat.S_IMODE(options.data_dir.stat().st_mode)
        return OWNER_ONLY | (0o040 if folder & 0o040 else 0)
    return 0o666 & ~_umask()


def read_file(path: Path) -> str | None:
    """None: there is no such file.  Bytes that are not UTF-8 survive."""
    try:
        return path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return None


def save_copies(options: PostgresOptions) -> None:
    """Copy the files into the data directory as `*.backup`, so that a clone of it
    has them even if they live elsewhere.  Raises OperationError."""
    try:
        for path in _saved_files(options):
            if path.is_file():
                copy = _copy_of(options, path)
                replace_file(copy, read_file(path) or "", file_mode(options, copy))
    except OSError as error:
        raise OperationError(
            because("IO_ERROR", path=str(error.filename), error=str(error.strerror))
        ) from error


def restore_missing_files(options: PostgresOptions) -> None:
    """Let each file exist: from its copy, from the data directory, or empty.

    Raises OSError.
    """
    for path in _saved_files(options):
        if path.exists():
            continue
        sources = (_copy_of(options, path), options.data_dir / path.name)
        found = next((s for s in sources if s != path and s.is_file()), None)
        if found is not None:
            replace_file(path, read_file(found) or "", file_mode(options, path))
            logger.info("Restored %s from %s.", path, found)
    ident = options.config_dir / "pg_ident.conf"
    if not ident.exists():  # without it the server would complain at every reload
        replace_file(ident, "", file_mode(options, ident))


def _umask() -> int:
    """Ours, without setting it for a moment, as another thread may make a file."""
    status = Path("/proc/self/status").read_text()
    match = re.search(r"^Umask:\s*([0-7]+)", status, re.MULTILINE)
    return int(match.group(1), 8) if match else 0o077


def _saved_files(options: PostgresOptions) -> tuple[Path, ...]:
    """custom_conf is the administrator's and is not looked after."""
    own = () if options.custom_conf else (base_file(options),)
    return (
        main_file(options),
        *own,
        options.config_dir / "pg_hba.conf",
        options.config_dir / "pg_ident.conf",
    )


def _copy_of(options: PostgresOptions, path: Path) -> Path:
    return options.data_dir / f"{path.name}.backup"
