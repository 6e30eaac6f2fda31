"""Progress of long work on a terminal: one line on the error output, drawn again and
again, and gone at the end.  Where that is no terminal, nothing is written.

    with progress_shown() as progress:
        progress("reading pg1", done_bytes, total_bytes)
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from regnal.journal.progress import Progress, unheard
from regnal.messages.base import Bytes, Seconds

REDRAWN_EVERY: Seconds = 0.1

_BAR = 30
"""Characters."""

_MEBIBYTE: Bytes = 1024 * 1024

_CLEAR = "\r\x1b[K"


@contextmanager
def progress_shown(stream: TextIO | None = None) -> Iterator[Progress]:
    """Counts that are told are bytes.  `stream` None: the error output."""
    shown = sys.stderr if stream is None else stream
    if not shown.isatty():
        yield unheard
        return
    line = _Line(shown)
    try:
        yield line.draw
    finally:
        line.clear()


class _Line:
    """The line as it stands on the terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._what = ""
        self._next_at: Seconds = 0.0

    def draw(self, what: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if what == self._what and now < self._next_at:
            return
        self._what, self._next_at = what, now + REDRAWN_EVERY
        self._stream.write(f"{_CLEAR}{line_of(what, done, total)}")
        self._stream.flush()

    def clear(self) -> None:
        if self._what:
            self._stream.write(_CLEAR)
            self._stream.flush()


def line_of(what: str, done: Bytes, total: Bytes | None) -> str:
    """`packing pg1  [##########--------------------]  33%  21 MiB`"""
    size = f"{done / _MEBIBYTE:.0f} MiB"
    if not total:
        return f"{what}  {size}"
    part = min(done / total, 1.0)
    filled = round(_BAR * part)
    bar = "#" * filled + "-" * (_BAR - filled)
    return f"{what}  [{bar}]  {part:4.0%}  {size}"
