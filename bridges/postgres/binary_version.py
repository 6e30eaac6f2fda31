"""Which version of PostgreSQL there is: of the data directory and of the binaries."""

import functools
import logging
import re
from pathlib import Path

from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.guc.rules import MalformedRule, parse_version
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.programs import CancelToken, find_binary, run_program

logger = logging.getLogger(__name__)

VERSION_TIMEOUT = 10.0
"""Seconds; it takes some milliseconds, unless the disk is stuck."""


def major_version(options: PostgresOptions) -> int:
    """Of the server that made the data, e.g. 150000 or 90600; without data that of
    the binaries; 0: neither tells."""
    try:
        text = (options.data_dir / "PG_VERSION").read_text().strip()
        return parse_version(text)
    except (OSError, MalformedRule, UnicodeDecodeError):
        return major_of(binary_version(options))


def exact_version(options: PostgresOptions, version: int) -> int:
    """`version` with the minor release of the binaries, if those are of its major."""
    binaries = binary_version(options)
    return binaries if major_of(binaries) == major_of(version) else version


def binary_version(options: PostgresOptions) -> int:
    """Of the server binary, e.g. 150018; 0: it does not tell, which is logged."""
    try:
        binary = find_binary(options, "postgres")
        return _ask(binary, binary.stat().st_mtime_ns)
    except (OperationError, OSError) as error:
        logger.warning("The version of PostgreSQL is not known: %s", error)
        return 0


def parse_output(text: str) -> int:
    """Such as `postgres (PostgreSQL) 15.18 (Debian ...)` or `9.6.5`; 0: none in it.

    Of a release under development (`19devel`, `19beta1`) only the major counts.
    """
    match = re.search(r"\)\s+(\d+(?:\.\d+)*)", text)
    try:
        return parse_version(match.group(1)) if match else 0
    except MalformedRule:
        return 0


def major_of(version: int) -> int:
    if version >= 100000:
        return version // 10000 * 10000
    return version // 100 * 100


@functools.cache
def _ask(binary: Path, _modified_at: int) -> int:
    """`_modified_at` (nanoseconds) tells an upgraded binary from the one before."""
    with CancelToken() as never:
        result = run_program(
            [binary, "--version"], cancel=never, timeout=VERSION_TIMEOUT
        )
    return parse_output(result.stdout)
