"""The guard's own small journal, and how far the daemon has told of it.

The guard appends a line for each fencing and knows nothing of us; where we are is in
a file beside it.  So no line is lost between the two, whoever dies when, and at worst
one is told twice.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from regnal.messages.fencing import GuardFenced

LONGEST = 1_000_000
"""Bytes of the record beyond which it is begun anew, once it has been told."""


class GuardRecord:
    """What the guard wrote since this was asked last, in this life or an earlier one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark = path.with_suffix(".told")

    def untold(self) -> Iterator[GuardFenced]:
        """Each is told once it was taken; a line that cannot be read is skipped."""
        told = self._told()
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < told:
                    told = 0  # another file than the one of before
                file.seek(told)
                lines = file.read().splitlines(keepends=True)
        except OSError:
            return
        for line in lines:
            if not line.endswith(b"\n"):
                break  # it is being written
            fenced = _parsed(line)
            if fenced is not None:
                yield fenced
            told += len(line)
            self._tell(told)
        if told > LONGEST:
            with contextlib.suppress(OSError):
                self.path.unlink()
                self._mark.unlink()

    def _told(self) -> int:
        """Bytes."""
        try:
            return int(self._mark.read_text())
        except (OSError, ValueError):
            return 0

    def _tell(self, told: int) -> None:
        with contextlib.suppress(OSError):
            self._mark.write_text(str(told))


def _parsed(line: bytes) -> GuardFenced | None:
    try:
        written = json.loads(line)
        return GuardFenced(
            postmaster_pid=written["pid"],
            at=written["at"],
            late_by=written["late_by"],
            wall_us=int(written["wall"] * 1_000_000),
            left=written["left"],
        )
    except (ValueError, KeyError, TypeError):
        return None
