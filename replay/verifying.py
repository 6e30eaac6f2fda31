"""Verifying with all cores: each segment begins with snapshots, so that each can be
replayed alone; the first records of the next one show whether the states agree."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import fields
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import NamedTuple

from regnal.actors.cast import DECIDERS
from regnal.journal.places import RecordNumber, segments
from regnal.journal.reader import EVERYTHING, Record, Window, scan, segments_of
from regnal.messages.base import Bytes, Seconds
from regnal.replay.playback.player import Player
from regnal.replay.verify import MAXIMUM_DIFFERENCES, Verification, Verifier

WORTH_A_PROCESS: Bytes = 4 * 1024 * 1024
"""Of segments in their files; less is replayed before a process has started."""

MAXIMUM_PROCESSES = 8
"""Each takes some 50 MiB."""


LOOKED_EVERY: Seconds = 0.2
"""How often it is told how far the processes are."""

_COUNTED_BY: Bytes = 64 * 1024

_PACKED = 11
"""So many times a segment is smaller when it is compressed."""


class Piece(NamedTuple):
    """A segment of a journal."""

    directory: Path
    first: RecordNumber
    following: RecordNumber | None
    """With which the next segment begins; None: this is the last."""

    size: Bytes
    """Of its file."""

    density: int
    """How many bytes of records a byte of the file holds, about."""


def verify_all(
    directories: Sequence[Path],
    window: Window = EVERYTHING,
    *,
    counted: Callable[[Bytes, Bytes], None] = lambda done, total: None,
) -> list[Verification]:
    """What `verify_journal` finds in each of these journals, with the program's cast.

    `counted` is told how much of the files is done.  Raises OSError.
    """
    found = [list(pieces(directory, window)) for directory in directories]
    total = sum(piece.size for own in found for piece in own)
    results = dict(_verified([p for own in found for p in own], total, counted))
    return [_joined([results[piece] for piece in own]) for own in found]


def pieces(directory: Path, window: Window = EVERYTHING) -> Iterator[Piece]:
    """Those that overlap the window."""
    wanted = segments_of(directory, window)
    everything = segments(directory)
    for one in wanted:
        later = [other.first for other in everything if other.first > one.first]
        size = one.path.stat().st_size
        density = _PACKED if one.is_compressed else 1
        yield Piece(directory, one.first, min(later, default=None), size, density)


def verify_piece(
    piece: Piece, counted: Callable[[Bytes], None] = lambda size: None
) -> Verification:
    """One segment, and the states at the beginning of the next one.  Raises OSError.

    `counted` is told how much more of its file is done.
    """
    player, verifier = Player(DECIDERS), Verifier()
    window = Window(after=piece.first - 1)
    left = piece.size
    for item in scan(piece.directory, window, with_held=piece.following is None):
        number = item.n if isinstance(item, Record) else item.first
        is_next = piece.following is not None and number >= piece.following
        if is_next and not (isinstance(item, Record) and _shows_states(item)):
            break
        if isinstance(item, Record) and not is_next:
            size = min(len(item.line) // piece.density, left)
            left -= size
            counted(size)
        for played in player.take(item):
            verifier.take(played)
    for played in player.finish():
        verifier.take(played)
    counted(left)
    return verifier.result


def _shows_states(record: Record) -> bool:
    """Whether it belongs to the head of a segment with which a life goes on."""
    if record.kind == "start":
        return bool(record.fields["why"] != "opened")
    return record.kind == "snapshot"


def _verified(
    wanted: Sequence[Piece], total: Bytes, counted: Callable[[Bytes, Bytes], None]
) -> Iterator[tuple[Piece, Verification]]:
    workers = min(len(wanted), os.cpu_count() or 1, MAXIMUM_PROCESSES)
    if workers < 2 or total < WORTH_A_PROCESS:
        done: Bytes = 0

        def count(size: Bytes) -> None:
            nonlocal done
            done += size
            counted(done, total)

        for piece in wanted:
            yield piece, verify_piece(piece, count)
        return
    context = get_context("spawn")
    shared = context.Value("q", 0)
    with ProcessPoolExecutor(
        workers, context, initializer=_share, initargs=(shared,)
    ) as pool:
        futures = {pool.submit(_verify_and_count, piece): piece for piece in wanted}
        left = set(futures)
        while left:
            ready, left = wait(left, LOOKED_EVERY, return_when=FIRST_COMPLETED)
            counted(shared.value, total)
            for future in ready:
                yield futures[future], future.result()


_shared: "Synchronized[int] | None" = None
"""In a process of the pool: how much all of them have done."""


def _share(shared: "Synchronized[int]") -> None:
    global _shared
    _shared = shared


def _verify_and_count(piece: Piece) -> Verification:
    shared, told = _shared, 0
    assert shared is not None

    def count(size: Bytes) -> None:
        nonlocal told
        told += size
        if told >= _COUNTED_BY:
            with shared.get_lock():
                shared.value += told
            told = 0

    result = verify_piece(piece, count)
    with shared.get_lock():
        shared.value += told
    return result


def _joined(results: Sequence[Verification]) -> Verification:
    """One after the other."""
    whole = Verification()
    for result in results:
        for field in fields(Verification):
            sum_of = getattr(whole, field.name) + getattr(result, field.name)
            setattr(whole, field.name, sum_of)
    del whole.differences[MAXIMUM_DIFFERENCES:]
    del whole.troubles[MAXIMUM_DIFFERENCES:]
    return whole
