"""The history of a workload: what was asked of which server, when, and what came of it.

A line of JSON per operation, in the order in which they ended.  Times are of
CLOCK_MONOTONIC, which all processes of a host share, so that histories and faults can
be laid side by side.  An operation whose answer never came is *unknown*: it may have
been done, or not, or be done later.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TextIO

Kind = Literal["append", "write", "read", "probe"]
"""append: a new row with a number that no other has.  write: a register gets the next
higher value, by its only writer.  read: a register.  probe: a row that needs only this
server, synchronous mode or not: does it accept writes?"""

Result = Literal["acknowledged", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Operation:
    kind: Kind
    number: int
    """The row's (append), the register's (write, read), or of no meaning (probe)."""

    value: int | None
    """What was written or read; None: not asked, or not told."""

    server: str
    timeline: int | None
    """Of the server, by itself; None: it did not tell."""

    began: float
    ended: float
    result: Result
    error: str = ""


class Recorder:
    """Appends to a file; safe from several threads."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def note(self, operation: Operation) -> None:
        line = json.dumps(asdict(operation), separators=(",", ":"))
        with self._lock:
            self._file.write(line + "\n")

    def close(self) -> None:
        with self._lock:
            self._file.close()


class Follower:
    """Reads a history while it is being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.operations: list[Operation] = []

    def catch_up(self) -> list[Operation]:
        """All operations so far."""
        if self._path.exists():
            with self._path.open() as file:
                file.seek(self._offset)
                for line in iter(file.readline, ""):
                    if not line.endswith("\n"):
                        break
                    self._offset += len(line)
                    self.operations.append(Operation(**json.loads(line)))
        return self.operations


def read(path: Path) -> Iterator[Operation]:
    with path.open() as file:
        for line in file:
            yield Operation(**json.loads(line))
