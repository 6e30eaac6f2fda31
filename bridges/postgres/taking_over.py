"""A server that somebody set up by hand: what it ran with is not lost when we write
its files (P-CFG-15).

Settings in places that we empty or do not look at again, postgresql.auto.conf and
the command line, move to the base file.  What we control ourselves does not.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from regnal.bridges.postgres.conf_syntax import assignments_text, parse_assignments
from regnal.bridges.postgres.config_paths import read_file
from regnal.bridges.postgres.controlled_parameters import CONTROLLED_NAMES
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.parameters import NOT_SETTABLE

KEPT_RECOVERY = frozenset(
    {
        "restore_command",
        "archive_cleanup_command",
        "recovery_end_command",
        "recovery_min_apply_delay",
    }
)
"""Of the recovery parameters those that say how, not whom to follow or where to end."""

COMMENT = "\n# Taken over from postgresql.auto.conf and the command line.\n"


def settings_taken_over(options: PostgresOptions, auto_conf: str) -> str:
    """What to add to the base file; usually nothing.  Raises OSError."""
    settings = {
        name: value
        for name, value in parse_assignments(auto_conf).items()
        if name in KEPT_RECOVERY
    }
    settings |= dict(_from_command_line(options.data_dir / "postmaster.opts"))
    return COMMENT + assignments_text(settings) if settings else ""


def _from_command_line(path: Path) -> Iterator[tuple[str, str]]:
    """The settings with which the server was started last."""
    words = re.findall(r'"([^"]*)"', read_file(path) or "")
    for before, word in zip(["", *words], words, strict=False):
        match = re.fullmatch(r"(?:-c|--)?([A-Za-z_][\w.-]*)=(.*)", word, re.DOTALL)
        if match is None or not (before == "-c" or word.startswith("-")):
            continue
        name = match[1].lower().replace("-", "_")
        if name not in CONTROLLED_NAMES and name not in NOT_SETTABLE:
            yield name, match[2]
