"""PostgreSQL's configuration files, written as a whole whenever the role or the
configuration changes.

`<base>.conf` is generated and begins by including `<base>.base.conf`, the file
that was there before; so plain pg_ctl starts the server with the same settings
(docs/contracts.md 9.4).  Files that have their text already are left alone.
"""

import logging
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from regnal.bridges.postgres.binary_version import exact_version
from regnal.bridges.postgres.conf_syntax import (
    assignments_text,
    parse_assignments,
    quoted,
    without_assignments,
)
from regnal.bridges.postgres.controlled_parameters import raised_for_standby
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.file_replacement import (
    OWNER_ONLY,
    remove_file,
    replace_file,
)
from regnal.bridges.postgres.guc.description import describe_parameters
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.parameters import (
    EffectiveParameters,
    effective_parameters,
    log_changes,
)
from regnal.bridges.postgres.pgpass import write_passfile
from regnal.bridges.postgres.recovery_settings import (
    ALL_NAMES,
    Recovery,
    recovery_for,
)
from regnal.messages.postgres import Upstream
from regnal.messages.reasons import because

logger = logging.getLogger(__name__)

HEADER = (
    "# This file is generated: what you write here is lost.\n"
    "# Change the configuration of the cluster, or {base}.base.conf.\n"
)
BASE_HEADER = "# The original settings of this server; they may be edited.\n"


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that the files are to say."""

    parameters: EffectiveParameters
    recovery: Recovery | None
    """None: signal files and recovery settings stay as somebody left them."""

    pg_hba: tuple[str, ...] | None
    """None: the file is not ours."""

    pg_ident: tuple[str, ...] | None


def write_configuration(
    options: PostgresOptions,
    role: Literal["primary", "standby"],
    upstream: Upstream | None,
    *,
    server_version: int,
    control: Mapping[str, str] | None,
    synchronous_standby_names: str | None,
) -> tuple[str, ...]:
    """Write everything for this role, and return the server's arguments.

    `control` holds the lines of pg_controldata, if they are known.  While
    synchronous mode is on, None for `synchronous_standby_names` keeps what a
    primary's file says: better that commits wait than that one is lost.  Raises
    OperationError.
    """
    if not server_version:
        raise OperationError(
            because("VERSION_UNKNOWN", directory=str(options.data_dir))
        )
    parameters = effective_parameters(
        options,
        exact_version(options, server_version),
        describe_parameters(options),
        synchronous_standby_names=_synchronous_standbys(
            options, role, synchronous_standby_names
        ),
    )
    for complaint in parameters.complaints:
        logger.warning("PostgreSQL %s.", complaint)
    if upstream is not None:
        write_passfile(options, upstream)
    write_files(
        options,
        Configuration(
            parameters=parameters,
            recovery=recovery_for(options, role, upstream, server_version),
            pg_hba=options.pg_hba,
            pg_ident=options.pg_ident,
        ),
        server_version,
    )
    save_copies(options)
    if role == "standby" and control is not None:
        raised = raised_for_standby(parameters.controlled, control)
        return tuple(f"--{name}={value}" for name, value in raised.items())
    return parameters.arguments


def write_files(
    options: PostgresOptions, configuration: Configuration, server_version: int
) -> None:
    """Write the files, durably, each replaced as a whole.  Raises OperationError."""
    try:
        restore_missing_files(options)
        _keep_original(options)
        _write_authentication(options, configuration)
        if configuration.recovery is not None:
            _write_recovery(options, configuration.recovery, server_version)
        _write_main(options, configuration, server_version)
    except OSError as error:
        path = str(error.filename or options.config_dir)
        raise OperationError(
            because("IO_ERROR", path=path, error=error.strerror or str(error))
        ) from error
    except ValueError as error:  # a value that no file can hold
        raise OperationError(
            because("IO_ERROR", path=str(main_file(options)), error=str(error))
        ) from error


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


def _keep_original(options: PostgresOptions) -> None:
    """Rename the file that was there before, once."""
    main, base = main_file(options), base_file(options)
    if base.exists():
        return
    original = read_file(main)
    if original is not None and not _is_generated(options, original):
        main.rename(base)
    elif not options.custom_conf:
        replace_file(base, BASE_HEADER, file_mode(options, base))


def _is_generated(options: PostgresOptions, text: str) -> bool:
    """Whether the text begins by including the file that it would be renamed to."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            return line.startswith("include ") and base_file(options).name in line
    return False


def _write_authentication(
    options: PostgresOptions, configuration: Configuration
) -> None:
    given = {str(name).lower() for name in options.parameters}
    files: tuple[tuple[str, str, tuple[str, ...] | None], ...] = (
        ("hba_file", "pg_hba.conf", configuration.pg_hba),
        ("ident_file", "pg_ident.conf", configuration.pg_ident),
    )
    for parameter, name, lines in files:
        if lines is None or parameter in given:
            continue
        path = options.config_dir / name
        header = HEADER.splitlines(keepends=True)[0]
        text = header + "".join(f"{line}\n" for line in lines)
        if replace_file(path, text, file_mode(options, path)):
            logger.info("Wrote %s.", path)


def _write_recovery(
    options: PostgresOptions, recovery: Recovery, server_version: int
) -> None:
    if server_version < 120000:
        _write_recovery_conf(options, recovery)
        return
    _clean_auto_conf(options)
    # The new signal first: for a moment both may be there, and then a standby wins.
    for kind in sorted(
        ("standby", "recovery"), key=lambda kind: kind != recovery.signal
    ):
        path = options.data_dir / f"{kind}.signal"
        if kind == recovery.signal:
            replace_file(path, "", file_mode(options, path))
        else:
            remove_file(path)


def _write_recovery_conf(options: PostgresOptions, recovery: Recovery) -> None:
    path = options.data_dir / "recovery.conf"
    if recovery.signal is None:
        remove_file(path)
    else:  # it may hold a password
        replace_file(path, assignments_text(recovery.settings), OWNER_ONLY)


def _clean_auto_conf(options: PostgresOptions) -> None:
    """ALTER SYSTEM must not turn a standby elsewhere (REPL-23)."""
    path = options.data_dir / "postgresql.auto.conf"
    text = read_file(path)
    if text is None:
        return
    cleaned = without_assignments(text, ALL_NAMES)
    if cleaned != text:
        replace_file(path, cleaned, file_mode(options, path))
        logger.warning("Removed recovery parameters from %s.", path)


def _write_main(
    options: PostgresOptions, configuration: Configuration, server_version: int
) -> None:
    path = main_file(options)
    before = read_file(path)
    text = main_text(options, configuration, server_version)
    if not replace_file(path, text, file_mode(options, path)):
        return
    if before is not None and _is_generated(options, before):
        log_changes(
            parse_assignments(before),
            parse_assignments(text),
            describe_parameters(options),
        )


def main_text(
    options: PostgresOptions, configuration: Configuration, server_version: int
) -> str:
    """The text of `<base>.conf`."""
    included = options.custom_conf or base_file(options).name
    settings = dict(configuration.parameters.values)
    given = {name.lower() for name in settings}
    for name, file in (("hba_file", "pg_hba.conf"), ("ident_file", "pg_ident.conf")):
        if name not in given:
            settings[name] = str(options.config_dir / file)
    if server_version >= 120000 and configuration.recovery is not None:
        settings |= configuration.recovery.settings
    return (
        HEADER.format(base=options.config_base_name)
        + f"include {quoted(included)}\n\n"
        + assignments_text(settings)
    )


def _synchronous_standbys(
    options: PostgresOptions, role: str, given: str | None
) -> str | None:
    if given is not None or not options.synchronous_mode or role != "primary":
        return given
    text = read_file(main_file(options)) or ""
    return parse_assignments(text).get("synchronous_standby_names")


def read_file(path: Path) -> str | None:
    """None: there is no such file.  Bytes that are not UTF-8 survive."""
    try:
        return path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return None
