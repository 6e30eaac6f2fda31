"""What PostgreSQL's files say while a cluster is being made, and no longer."""

import logging
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from regnal.bridges.postgres.binary_version import exact_version
from regnal.bridges.postgres.conf_syntax import parse_assignments
from regnal.bridges.postgres.config_files import Configuration, write_files
from regnal.bridges.postgres.config_paths import (
    base_file,
    file_mode,
    main_file,
    read_file,
    restore_missing_files,
)
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.file_replacement import replace_file
from regnal.bridges.postgres.guc.description import describe_parameters
from regnal.bridges.postgres.initdb import CustomMethod
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.parameters import (
    EffectiveParameters,
    effective_parameters,
)
from regnal.bridges.postgres.recovery_settings import (
    TARGETS,
    Recovery,
    bootstrap_recovery,
    ends_in_promotion,
    recovery_for,
)
from regnal.messages.reasons import because

logger = logging.getLogger(__name__)

NO_ARCHIVING = {"archive_command": 90300, "archive_library": 150000}
"""Emptied, they let WAL wait until the cluster is complete (BOOT-08), without the
restart that archive_mode would need; and the version that has them first."""

OWN_ADDRESSES = ("127.0.0.1/32", "::1/128", "samehost")


@dataclass(frozen=True, slots=True)
class FirstStart:
    """How a server is started before its cluster is complete."""

    server_version: int
    recovery: Recovery | None
    """Of a custom method that says how to recover; None: none of ours."""

    keeps_recovery: bool
    """Whether the files that the custom method left for its recovery stay."""

    hot_standby: bool
    trusts: bool
    """Whether our accounts are let in without passwords, which nobody knows yet."""

    @property
    def recovers(self) -> bool:
        return self.recovery is not None or self.keeps_recovery


def first_start_of(
    options: PostgresOptions, method: CustomMethod | None, server_version: int
) -> FirstStart:
    """Without hot_standby parameters of the WAL that are larger than ours cannot
    stop the recovery (BOOT-07); but who pauses at the target wants to look."""
    recovery: Recovery | None = None
    keeps_recovery = False
    hot_standby = True
    if method is not None and method.recovery_conf:
        recovery = bootstrap_recovery(method.recovery_conf, server_version)
        hot_standby = not ends_in_promotion(recovery)
    elif method is not None and method.keep_existing_recovery_conf:
        found = _found_recovery(options, server_version)
        keeps_recovery = found is not None
        hot_standby = found is None or not ends_in_promotion(found)
    return FirstStart(
        server_version=server_version,
        recovery=recovery,
        keeps_recovery=keeps_recovery,
        hot_standby=hot_standby,
        trusts=method is not None,
    )


def write_bootstrap_files(
    options: PostgresOptions, first: FirstStart
) -> tuple[str, ...]:
    """Write them, and return the server's arguments.  Raises OperationError."""
    version = first.server_version
    parameters = effective_parameters(
        options, exact_version(options, version), describe_parameters(options)
    )
    for complaint in parameters.complaints:
        logger.warning("PostgreSQL %s.", complaint)
    configuration = Configuration(
        parameters=_without_archiving(parameters, version),
        recovery=_recovery(options, first),
        pg_hba=tuple(trust_lines(options)) if first.trusts else options.pg_hba,
        pg_ident=options.pg_ident,
    )
    write_files(options, configuration, version)
    if first.hot_standby:
        return parameters.arguments
    return replace(
        parameters, controlled={**parameters.controlled, "hot_standby": "off"}
    ).arguments


def trust_lines(options: PostgresOptions) -> Iterator[str]:
    """pg_hba.conf that lets in our own accounts from this host, and nobody else."""
    superuser = _quoted(options.superuser.username or _operating_system_user())
    replication = _quoted(options.replication.username or _operating_system_user())
    for kind, addresses in (("local", ("",)), ("host", OWN_ADDRESSES)):
        for address in addresses:
            yield f"{kind} all {superuser} {address} trust"
            yield f"{kind} replication {replication} {address} trust"


def current_pg_hba(options: PostgresOptions) -> str:
    """What the file is to say in the end, as far as `postgresql.pg_hba` does not
    replace it: what is there, and `bootstrap.pg_hba`.  Raises OperationError."""
    path = options.config_dir / "pg_hba.conf"
    with _io_errors(path):
        restore_missing_files(options)
        text = read_file(path)
    if text is None:
        logger.warning("The restored data directory has no pg_hba.conf.")
        text = "".join(f"{line}\n" for line in _plain_lines())
    lines = options.bootstrap.get("pg_hba") or ()
    if isinstance(lines, str):
        lines = (lines,)
    if text and not text.endswith("\n"):
        text += "\n"
    return text + "".join(f"{line}\n" for line in lines)


def write_pg_hba(options: PostgresOptions, text: str) -> None:
    """Unless the file is replaced by `postgresql.pg_hba`, or is elsewhere.

    Raises OperationError.
    """
    names = {str(name).lower() for name in options.parameters}
    if options.pg_hba is None and "hba_file" not in names:
        path = options.config_dir / "pg_hba.conf"
        with _io_errors(path):
            replace_file(path, text, file_mode(options, path))


def _recovery(options: PostgresOptions, first: FirstStart) -> Recovery | None:
    if first.recovery is not None:
        return first.recovery
    if first.keeps_recovery:
        return None
    return recovery_for(options, "primary", None, first.server_version)


def _without_archiving(
    parameters: EffectiveParameters, server_version: int
) -> EffectiveParameters:
    off = {name: "" for name, since in NO_ARCHIVING.items() if server_version >= since}
    return replace(parameters, values={**parameters.values, **off})


def _found_recovery(options: PostgresOptions, server_version: int) -> Recovery | None:
    """What the custom method left: will it end in a promotion?  None: nothing."""
    data_dir = options.data_dir
    if server_version < 120000:
        text = read_file(data_dir / "recovery.conf")
        texts = [] if text is None else [text]
        signal = "recovery" if texts else None
    else:
        files = (
            base_file(options),
            main_file(options),
            data_dir / main_file(options).name,
            data_dir / "postgresql.auto.conf",
        )
        texts = [read_file(file) or "" for file in files]
        signal = next(
            (s for s in ("standby", "recovery") if (data_dir / f"{s}.signal").exists()),
            None,
        )
    if signal is None:
        return None
    settings: dict[str, str] = {}
    for text in texts:
        settings |= parse_assignments(text)
    if any(settings.get(name) for name in TARGETS):
        settings.setdefault("recovery_target_action", "pause")
    else:  # it goes to the end of the WAL that there is
        settings["recovery_target_action"] = "promote"
    return Recovery("standby" if signal == "standby" else "recovery", settings)


def _plain_lines() -> Iterator[str]:
    """For a directory without the file, without which the server does not start;
    `md5` takes SCRAM passwords too."""
    yield "local all all md5"
    for address in OWN_ADDRESSES:
        yield f"host all all {address} md5"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _operating_system_user() -> str:
    """As libpq names us where no user name is configured."""
    return pwd.getpwuid(os.geteuid()).pw_name


@contextmanager
def _io_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperationError(
            because(
                "IO_ERROR",
                path=str(error.filename or path),
                error=error.strerror or str(error),
            )
        ) from error
