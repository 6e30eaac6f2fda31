"""Counting what is read of a journal, for whoever waits."""

from collections.abc import Callable
from pathlib import Path

from regnal.journal.places import segments
from regnal.journal.progress import Progress
from regnal.messages.base import Bytes


def counting(progress: Progress, what: str, directory: Path) -> Callable[[Bytes], None]:
    """To be told the size of each record; tells how much of the journal is done.

    Compressed segments are larger when they are read, so that the total is not known.
    """
    done: Bytes = 0
    found = segments(directory)
    plain = all(not one.is_compressed for one in found)
    total = sum(one.path.stat().st_size for one in found)

    def count(size: Bytes) -> None:
        nonlocal done
        done += size
        progress(what, done, total if plain else None)

    return count
