"""Room on the file systems of some directories."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from regnal.messages.host import DiskRoom


def disk_rooms(paths: Iterable[Path]) -> Iterator[DiskRoom]:
    """Once for each file system, under the first path on it; what cannot be asked is
    left out.  Waits for as long as a file system that hangs does."""
    seen: set[int] = set()
    for path in paths:
        try:
            device = path.stat().st_dev
            found = os.statvfs(path)
        except OSError:
            continue
        if device in seen:
            continue
        seen.add(device)
        yield DiskRoom(
            path=str(path),
            free=found.f_bavail * found.f_frsize,
            size=found.f_blocks * found.f_frsize,
            # Some file systems make room for files as they are needed.
            free_files=found.f_favail if found.f_files else None,
        )
