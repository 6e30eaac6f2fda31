"""When a server took writes, by its own log.

Its lines begin with the moment (`log_line_prefix = '%n [%p] '`).  A server takes writes
from `ready to accept connections` on, unless it said just before that it accepts
read-only ones, and after the end of recovery; until it is told to stop.  A server that
is killed writes nothing more: of its end the log says nothing.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.faults.checkers import Stretch

LINE = re.compile(r"^(\d+\.\d+) \[\d+\] LOG:  (.*)$")
PROMOTED = "archive recovery complete"
STANDBY = "entering standby mode"
STARTING = "starting PostgreSQL"
READY = "database system is ready to accept connections"
STOPPING = (
    "received immediate shutdown request",
    "received fast shutdown request",
    "received smart shutdown request",
)


def stretches_of(server: str, folder: Path) -> Iterator[Stretch]:
    """Of the log in this folder; none, if there is no log."""
    for file in sorted(folder.glob("*.log")) if folder.exists() else ():
        with file.open(errors="replace") as lines:
            yield from stretches(server, lines)


def stretches(server: str, lines: Iterable[str]) -> Iterator[Stretch]:
    since: float | None = None
    is_standby = False
    for line in lines:
        match = LINE.match(line.rstrip("\n"))
        if match is None:
            continue
        at, words = float(match[1]), match[2]
        if words.startswith(STARTING):
            if since is not None:
                yield Stretch(server, since, None)
            since, is_standby = None, False
        elif words.startswith(STANDBY):
            is_standby = True
        elif words.startswith(PROMOTED):
            # It takes writes a moment later; the first line after is READY.
            is_standby = False
        elif words.startswith(READY) and not is_standby:
            since = at if since is None else since
        elif words.startswith(STOPPING) and since is not None:
            yield Stretch(server, since, at)
            since = None
    if since is not None:
        yield Stretch(server, since, None)
