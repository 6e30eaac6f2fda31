"""Progress of long work on a terminal: one line on the error output, drawn again and
again, and gone at the end.  Where that is no terminal, nothing is written.

    with progress_shown() as progress:
        progress("reading pg1", done_bytes, total_bytes)
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from regnal.journal.progress import Progress, unheard
from regnal.messages.base import Bytes, Seconds

REDRAWN_EVERY: Seconds = 0.1

_BAR = 30
"""Characters."""

_MEBIBYTE: Bytes = 1024 * 1024

_CLEAR = "\r\x1b[K"


def mebibytes(count: int) -> str:
    return f"{count / _MEBIBYTE:.0f} MiB"


@contextmanager
def progress_shown(
    stream: TextIO | None = None, told: Callable[[int], str] = mebibytes
) -> Iterator[Progress]:
    """`told` is how a count is written.  `stream` None: the error output."""
    shown = sys.stderr if stream is None else stream
    if not shown.isatty():
        yield unheard
        return
    line = _Line(shown, told)
    try:
        yield line.draw
    finally:
        line.clear()


class _Line:
    """The line as it stands on the terminal."""

    def __init__(self, stream: TextIO, told: Callable[[int], str]) -> None:
        self._stream = stream
        self._told = told
        self._what = ""
        self._next_at: Seconds = 0.0

    def draw(self, what: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if what == self._what and now < self._next_at:
            return
        self._what, self._next_at = what, now + REDRAWN_EVERY
        self._stream.write(f"{_CLEAR}{line_of(what, done, total, self._told)}")
        self._stream.flush()

    def clear(self) -> None:
        if self._what:
            self._stream.write(_CLEAR)
            self._stream.flush()


def line_of(
    what: str,
    done: int,
    total: int | None,
    told: Callable[[int], str] = mebibytes,
) -> str:
    """`packing pg1  [##########--------------------]  33%  21 MiB`"""
    if not total:
        return f"{what}  {told(done)}"
    part = min(done / total, 1.0)
    filled = round(_BAR * part)
    bar = "#" * filled + "-" * (_BAR - filled)
    return f"{what}  [{bar}]  {part:4.0%}  {told(done)}"
