"""Two copies of one journal: of each segment the better one, laid down in one place."""

import filecmp
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from regnal.journal.chain_check import ChainCheck, Damage
from regnal.journal.places import QUIET, RecordNumber, Segment, segments
from regnal.journal.reader import SegmentReader
from regnal.journal.segment_input import first_record


@dataclass(frozen=True, slots=True)
class Chosen:
    """The segments of both, and what is held after the last of them."""

    segments: tuple[Segment, ...]
    quiet: Path | None
    """None: nothing is held."""


def better_of(one: Path, other: Path) -> Chosen | None:
    """Of two directories the segments that go further; None: they are not copies or
    parts of one journal.  Raises OSError."""
    ours, theirs = _by_number(one), _by_number(other)
    if not _are_of_one_chain(ours, theirs):
        return None
    chosen = []
    for number in sorted(ours.keys() | theirs.keys()):
        mine, its = ours.get(number), theirs.get(number)
        if mine is None or its is None:
            chosen.append(mine or its)
        else:
            chosen.append(_further(mine, its))
    found = tuple(segment for segment in chosen if segment is not None)
    quiet = found[-1].path.parent / QUIET
    return Chosen(found, quiet if quiet.is_file() else None)


def lay_down(chosen: Iterable[Segment], quiet: Path | None, target: Path) -> Path:
    """A directory with these segments; it stays readable while a daemon compresses or
    removes its own.  Raises OSError."""
    target.mkdir(mode=0o700, parents=True)
    for segment in chosen:
        copy = target / segment.path.name
        if segment.is_compressed:
            copy.symlink_to(segment.path.resolve())  # it will not change any more
        elif segment.path.is_file():
            shutil.copyfile(segment.path, copy)
    if quiet is not None:
        shutil.copyfile(quiet, target / QUIET)
    return target


def _by_number(directory: Path) -> dict[RecordNumber, Segment]:
    return {segment.first: segment for segment in segments(directory)}


def _are_of_one_chain(
    ours: dict[RecordNumber, Segment], theirs: dict[RecordNumber, Segment]
) -> bool:
    """Segments that both have begin alike; where they share none, those of one come
    after those of the other, or fit between."""
    common = ours.keys() & theirs.keys()
    if common:
        return all(_begin_alike(ours[n], theirs[n]) for n in common)
    if not ours or not theirs:
        return True
    in_order = [first_record(one) for _, one in sorted((ours | theirs).items())]
    begun = [str(start["hlc"]) for start in in_order if "hlc" in start]
    return begun == sorted(begun)


def _begin_alike(one: Segment, other: Segment) -> bool:
    """What cannot be read is no contradiction."""
    first, second = first_record(one), first_record(other)
    return not first or not second or first == second


def _further(one: Segment, other: Segment) -> Segment:
    """Of two copies the one from which more records can be read."""
    if one.is_compressed == other.is_compressed and _are_equal(one.path, other.path):
        return one
    return one if _readable(one) >= _readable(other) else other


def _are_equal(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _readable(segment: Segment) -> int:
    """How many records can be read; 0 where it cannot be opened."""
    try:
        reader = SegmentReader(segment, ChainCheck())
    except OSError:
        return 0
    with reader:
        return sum(1 for item in reader.read() if not isinstance(item, Damage))
