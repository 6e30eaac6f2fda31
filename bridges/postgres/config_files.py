"""PostgreSQL's configuration files, written as a whole whenever the role or the
configuration changes.

`<base>.conf` is generated and begins by including `<base>.base.conf`, the file
that was there before; so plain pg_ctl starts the server with the same settings
(docs/contracts.md 9.4).  Files that have their text already are left alone.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from regnal.bridges.postgres.binary_version import exact_version
from regnal.bridges.postgres.conf_syntax import (
    assignments_text,
    parse_assignments,
    quoted,
)
from regnal.bridges.postgres.config_paths import (
    base_file,
    file_mode,
    main_file,
    read_file,
    restore_missing_files,
    save_copies,
)
from regnal.bridges.postgres.controlled_parameters import raised_for_standby
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.file_replacement import (
    replace_file,
)
from regnal.bridges.postgres.guc.description import describe_parameters
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.parameters import (
    EffectiveParameters,
    checked_settings,
    effective_parameters,
    log_changes,
)
from regnal.bridges.postgres.pgpass import write_passfile
from regnal.bridges.postgres.recovery_files import (
    AUTO_CONF,
    with_known_conninfo,
    write_recovery,
)
from regnal.bridges.postgres.recovery_settings import (
    Recovery,
    recovery_for,
)
from regnal.bridges.postgres.taking_over import settings_taken_over
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
    version, descriptions = (
        exact_version(options, server_version),
        describe_parameters(options),
    )
    parameters = effective_parameters(
        options,
        version,
        descriptions,
        synchronous_standby_names=_synchronous_standbys(
            options, role, synchronous_standby_names
        ),
    )
    recovery = recovery_for(options, role, upstream, server_version)
    settings, complaints = checked_settings(recovery.settings, version, descriptions)
    recovery = replace(recovery, settings=settings)
    for complaint in (*parameters.complaints, *complaints):
        logger.warning("PostgreSQL %s.", complaint)
    if upstream is not None:
        write_passfile(options, upstream)
    write_files(
        options,
        Configuration(
            parameters=parameters,
            recovery=with_known_conninfo(options, recovery, server_version),
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
            write_recovery(options, configuration.recovery, server_version)
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


def _keep_original(options: PostgresOptions) -> None:
    """Rename the file that was there before, once."""
    main, base = main_file(options), base_file(options)
    if base.exists():
        return
    original = read_file(main)
    if original is not None and not _is_generated(options, original):
        main.rename(base)
        auto_conf = read_file(options.data_dir / AUTO_CONF) or ""
        more = settings_taken_over(options, auto_conf)
        if more:
            replace_file(base, original + more, file_mode(options, base))
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
