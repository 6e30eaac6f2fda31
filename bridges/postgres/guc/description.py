"""What the server binary itself says of its parameters (`--describe-config`).

It knows better than any rule of ours what it takes: exact limits, parameters of
forks and of releases younger than this program.  It does not tell units, choices
and parameters hidden from the sample file; those only the rules know.
"""

import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.programs import CancelToken, find_binary, run_program

logger = logging.getLogger(__name__)

DESCRIBE_TIMEOUT = 10.0
"""Seconds; it takes some milliseconds, unless the disk is stuck."""


@dataclass(frozen=True, slots=True)
class Description:
    """One parameter, as the binary describes it."""

    name: str
    context: str
    """When it may change: `postmaster` means at start only."""

    type: str
    minimum: float | None
    maximum: float | None

    @property
    def needs_restart(self) -> bool:
        return self.context == "postmaster"


Descriptions: TypeAlias = MappingProxyType[str, Description]
"""By name in lower case."""

NO_DESCRIPTIONS: Descriptions = MappingProxyType({})


def describe_parameters(options: PostgresOptions) -> Descriptions:
    """Ask the binary, once for each that is installed; empty if it does not say."""
    try:
        binary = find_binary(options, "postgres")
        return _describe(binary, binary.stat().st_mtime_ns)
    except (OperationError, OSError) as error:
        logger.warning("postgres --describe-config failed: %s", error)
        return NO_DESCRIPTIONS


def parse_descriptions(text: str) -> Descriptions:
    """The output: tab separated columns, a line for each parameter."""
    found: dict[str, Description] = {}
    for line in text.splitlines():
        columns = line.split("\t")
        if len(columns) < 7:
            continue
        name, context, _, value_type, _, minimum, maximum = columns[:7]
        found[name.lower()] = Description(
            name=name,
            context=context,
            type=value_type.lower(),
            minimum=_number(minimum),
            maximum=_number(maximum),
        )
    return MappingProxyType(found)


@functools.cache
def _describe(binary: Path, _modified_at: int) -> Descriptions:
    """`_modified_at` (nanoseconds) tells an upgraded binary from the one before."""
    with CancelToken() as never:
        result = run_program(
            [binary, "--describe-config"], cancel=never, timeout=DESCRIBE_TIMEOUT
        )
    if result.exit_status:
        logger.warning("postgres --describe-config failed: %s", result.output)
    return parse_descriptions(result.stdout)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
