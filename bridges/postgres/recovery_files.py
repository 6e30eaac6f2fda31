"""The files that make a server a standby, or no longer one."""

import logging
from dataclasses import replace

from regnal.bridges.postgres.conf_syntax import (
    assignments_text,
    parse_assignments,
    without_assignments,
)
from regnal.bridges.postgres.config_paths import file_mode, main_file, read_file
from regnal.bridges.postgres.connection_string import (
    InvalidConnectionString,
    differences,
    parse,
)
from regnal.bridges.postgres.file_replacement import (
    OWNER_ONLY,
    remove_file,
    replace_file,
)
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.recovery_settings import ALL_NAMES, Recovery

logger = logging.getLogger(__name__)

AUTO_CONF = "postgresql.auto.conf"


def write_recovery(
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


def with_known_conninfo(
    options: PostgresOptions, recovery: Recovery, server_version: int
) -> Recovery:
    """Leave primary_conninfo as it is written if that means the same: any other text
    would end the connection of a standby that we take over (REPL-16)."""
    wanted = recovery.settings.get("primary_conninfo")
    if wanted is None:
        return recovery
    files = [options.data_dir / "recovery.conf"]
    if server_version >= 120000:
        files = [main_file(options), options.data_dir / AUTO_CONF]
    written: str | None = None
    for file in files:
        settings = parse_assignments(read_file(file) or "")
        written = settings.get("primary_conninfo", written)
    try:
        if written is None or differences(
            parse(wanted), parse(written), server_version
        ):
            return recovery
    except InvalidConnectionString:
        return recovery
    return replace(
        recovery, settings={**recovery.settings, "primary_conninfo": written}
    )


def _write_recovery_conf(options: PostgresOptions, recovery: Recovery) -> None:
    path = options.data_dir / "recovery.conf"
    if recovery.signal is None:
        remove_file(path)
    else:  # it may hold a password
        replace_file(path, assignments_text(recovery.settings), OWNER_ONLY)


def _clean_auto_conf(options: PostgresOptions) -> None:
    """ALTER SYSTEM must not turn a standby elsewhere (REPL-23)."""
    path = options.data_dir / AUTO_CONF
    text = read_file(path)
    if text is None:
        return
    cleaned = without_assignments(text, ALL_NAMES)
    if cleaned != text:
        replace_file(path, cleaned, file_mode(options, path))
        logger.warning("Removed recovery parameters from %s.", path)
