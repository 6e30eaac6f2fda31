"""What a history must not show, and what it does show of outages.

Pure functions on operations; `test_checkers.py` gives each a history that is wrong.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.history import Operation

WRITES = ("append", "write", "probe")


def lost(history: Iterable[Operation], present: frozenset[int]) -> tuple[int, ...]:
    """Rows that were acknowledged and are not there."""
    return tuple(
        one.number
        for one in history
        if one.kind == "append"
        and one.result == "acknowledged"
        and one.number not in present
    )


def phantoms(history: Iterable[Operation], present: frozenset[int]) -> tuple[int, ...]:
    """Rows that are there although the server had refused them, or nobody asked."""
    asked = {one.number: one.result for one in history if one.kind == "append"}
    return tuple(sorted(row for row in present if asked.get(row, "failed") == "failed"))


@dataclass(frozen=True, slots=True)
class TwoPrimaries:
    """A server acknowledged a write after one of a later timeline had done so."""

    old: str
    new: str
    since: float
    """When the new one had first acknowledged; by the monotonic clock."""

    until: float
    """When the last write of the old one came to an end that began after that."""

    writes: int
    """Acknowledged by the old one in that time, those that only it had to keep
    included."""


def two_primaries(history: Iterable[Operation]) -> tuple[TwoPrimaries, ...]:
    """Timelines are in order: whoever is promoted begins a new one.  So a write that
    *began* after another of a later timeline had *ended* shows two primaries, as do
    two servers that write the same timeline.
    """
    writes = [
        one
        for one in history
        if one.kind in WRITES and one.result == "acknowledged" and one.timeline
    ]
    first: dict[tuple[int, str], float] = {}
    for one in sorted(writes, key=lambda one: one.ended):
        first.setdefault((one.timeline or 0, one.server), one.ended)
    found: dict[tuple[str, str], TwoPrimaries] = {}
    for one in writes:
        for (timeline, server), since in first.items():
            is_later = timeline > (one.timeline or 0) or (
                timeline == one.timeline
                and since
                > first[timeline, one.server]  # whoever was there before is old
            )
            if not is_later or server == one.server or one.began <= since:
                continue
            known = found.get((one.server, server))
            found[one.server, server] = TwoPrimaries(
                old=one.server,
                new=server,
                since=min(since, known.since) if known else since,
                until=max(one.ended, known.until) if known else one.ended,
                writes=known.writes + 1 if known else 1,
            )
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class StaleRead:
    """A register was read with a value older than one acknowledged before."""

    register: int
    read: int
    acknowledged: int
    server: str
    at: float


def stale_reads(history: Sequence[Operation]) -> tuple[StaleRead, ...]:
    """Whether registers are linearizable, as far as their one writer each makes it
    easy to see: values only grow, and whoever asks after an acknowledgement sees it.
    """
    ends: defaultdict[int, list[float]] = defaultdict(list)
    highest: defaultdict[int, list[int]] = defaultdict(list)
    for one in sorted(history, key=lambda one: one.ended):
        if one.kind == "write" and one.result == "acknowledged" and one.value:
            before = highest[one.number][-1] if highest[one.number] else 0
            ends[one.number].append(one.ended)
            highest[one.number].append(max(before, one.value))
    found = []
    for one in history:
        if one.kind != "read" or one.result != "acknowledged" or one.value is None:
            continue
        index = bisect_right(ends[one.number], one.began)
        if index and one.value < highest[one.number][index - 1]:
            known = highest[one.number][index - 1]
            found.append(StaleRead(one.number, one.value, known, one.server, one.began))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch in which no client got a row acknowledged."""

    since: float
    seconds: float


def longest_outage(history: Iterable[Operation], since: float, until: float) -> Gap:
    """Between two acknowledgements, one of them within this time; to `until`, if none
    came after."""
    ends = sorted(
        one.ended
        for one in history
        if one.kind == "append" and one.result == "acknowledged"
    )
    before = ends[: bisect_right(ends, since)][-1:] or [since]
    within = [end for end in ends if since < end <= until]
    after = ends[bisect_right(ends, until) :][:1] or [until]
    gaps = [Gap(one, other - one) for one, other in pairwise(before + within + after)]
    return max(gaps, key=lambda gap: gap.seconds)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A server took writes, by its own log or journal; of the wall clock."""

    server: str
    since: float
    until: float | None
    """None: it does not say."""


def overlaps(
    stretches: Iterable[Stretch], tolerance: float = 0.0
) -> tuple[tuple[Stretch, Stretch], ...]:
    """Pairs of different servers that took writes at the same time, for longer than
    `tolerance` seconds.  A stretch without an end proves nothing."""
    ended = sorted(
        (one for one in stretches if one.until is not None), key=lambda one: one.since
    )
    return tuple(
        (one, other)
        for index, one in enumerate(ended)
        for other in ended[index + 1 :]
        if one.server != other.server
        and one.until is not None
        and other.since < one.until - tolerance
    )
