"""Incarnations: the number of this start of the daemon, part of every message id."""

import gzip
from pathlib import Path

from pydantic_core import from_json

from regnal.journal.places import INCARNATION, Segment, replace_file, segments
from regnal.journal.stamps import Clocks, Incarnation


def next_incarnation(directory: Path, clocks: Clocks) -> Incarnation:
    """One more than every incarnation before, as far as the directory tells.

    Where the number cannot be kept (the disk is full, or gone) it is the seconds
    since 1970, which no later start will give again.
    """
    try:
        incarnation = max(_kept(directory), _last_begun(directory)) + 1
        replace_file(directory / INCARNATION, b"%d\n" % incarnation)
    except OSError:
        return clocks.wall() // 1_000_000
    return incarnation


def _kept(directory: Path) -> Incarnation:
    try:
        return int((directory / INCARNATION).read_bytes())
    except (FileNotFoundError, ValueError):
        return 0  # never kept, or damaged: the segments tell


def _last_begun(directory: Path) -> Incarnation:
    for segment in reversed(segments(directory)):
        incarnation = _incarnation_of(segment)
        if incarnation:
            return incarnation
    return 0


def _incarnation_of(segment: Segment) -> Incarnation:
    """Of the daemon that began the segment; 0 where that cannot be read."""
    try:
        if segment.is_compressed:
            with gzip.open(segment.path) as compressed:
                start = from_json(compressed.readline())
        else:
            with segment.path.open("rb") as plain:
                start = from_json(plain.readline())
        return int(start["incarnation"])
    except (ValueError, KeyError, TypeError, EOFError, gzip.BadGzipFile):
        return 0
