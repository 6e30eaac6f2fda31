"""The file that is being written: one segment, appended to at a known place."""

import contextlib
import os
from pathlib import Path

from regnal.journal.places import write_all
from regnal.messages.base import Bytes


class SegmentFile:
    """An open segment.  What is half written is written again, never left."""

    def __init__(self, path: Path, size: Bytes = 0) -> None:
        """Create the file, or go on after its first `size` bytes.  Raises OSError."""
        self.path = path
        self.size = size
        self.is_announced = size > 0
        """Whether its name is known to survive a crash."""

        self.descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode=0o600
        )

    def append(self, content: bytes) -> None:
        """Write all of it, or raise OSError with the file as it was."""
        try:
            write_all(self.descriptor, content, self.size)
        except OSError:
            # A disk that is full gives room for a cut; one that is gone does not,
            # and then the next attempt writes over what is left.
            with contextlib.suppress(OSError):
                os.ftruncate(self.descriptor, self.size)
            raise
        self.size += len(content)

    def cut(self) -> None:
        """End the file where we stopped writing.  Raises OSError."""
        os.ftruncate(self.descriptor, self.size)

    def is_gone(self) -> bool:
        """Whether somebody removed the file under our hands.  Raises OSError."""
        return os.fstat(self.descriptor).st_nlink == 0

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.descriptor)
