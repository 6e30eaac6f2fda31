"""Stamps: the hybrid logical clock of a member, and the ids of its messages.

The hybrid clock (Kulkarni et al., "Logical Physical Clocks", 2014) shows the
largest wall time that this member has seen, its own or another's, and counts
the stamps within one microsecond: what could know of something is stamped later.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias, TypeVar

from regnal.messages.base import Instant, MemberName, Message, Seconds
from regnal.messages.envelope import Envelope, HybridTime, PartName, TraceId

M = TypeVar("M", bound=Message)

Incarnation: TypeAlias = int
"""Counts the starts of a member's daemon; part of every message id."""

Microseconds: TypeAlias = int

MAXIMUM_DRIFT: Seconds = 86400.0
"""A stamp further ahead of our wall clock is not followed: one host with a broken
clock must not drag the clocks of all the others into another year."""

MAXIMUM_COUNT = 10**12
"""Stamps that share a wall time: a day of ten million a second.  What is beyond is
no stamp, but would make all of ours as long."""

_MICRO = 1_000_000


def wall_clock() -> Microseconds:
    """Microseconds since 1970, as this host believes."""
    return time.time_ns() // 1000


def boot_clock() -> Instant:
    """The clock of `Instant`: monotonic, goes on during suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks of a host; a simulation brings its own."""

    wall: Callable[[], Microseconds] = wall_clock
    boot: Callable[[], Instant] = boot_clock


class Stamper:
    """Gives messages their ids and stamps; safe from any thread."""

    def __init__(
        self, member: MemberName, incarnation: Incarnation, clocks: Clocks
    ) -> None:
        self.member = member
        self.incarnation = incarnation
        self.clocks = clocks
        self._lock = threading.Lock()
        self._wall_us: Microseconds = 0
        self._logical = 0
        self._number = 0

    def stamp(self) -> HybridTime:
        """A stamp later than every one given or observed before."""
        with self._lock:
            return self._stamp(self.clocks.wall())

    def observe(self, remote: HybridTime, trust: Seconds = MAXIMUM_DRIFT) -> Seconds:
        """Be later than `remote` from now on.

        Returns how far it is ahead of our wall clock (negative: behind); beyond
        `trust` it is not followed, nor with a count that nobody reaches.
        """
        with self._lock:
            ahead = (remote.wall_us - self.clocks.wall()) / _MICRO
            if ahead <= trust and 0 <= remote.logical <= MAXIMUM_COUNT:
                seen = (remote.wall_us, remote.logical)
                if seen > (self._wall_us, self._logical):
                    self._wall_us, self._logical = seen
            return ahead

    def envelope(
        self,
        message: M,
        *,
        said_by: PartName,
        cause: Envelope[Message] | None,
        trace: TraceId | None,
    ) -> Envelope[M]:
        """Put the message into an envelope with the next id and stamp."""
        with self._lock:
            self._number += 1
            wall_us = self.clocks.wall()
            hlc = self._stamp(wall_us)
            return Envelope(
                id=f"{self.member}/{self.incarnation}/{self._number}",
                hlc=hlc,
                ahead_us=hlc.wall_us - wall_us,
                at=self.clocks.boot(),
                said_by=said_by,
                cause=cause.id if cause is not None else None,
                trace=trace,
                message=message,
            )

    def _stamp(self, wall_us: Microseconds) -> HybridTime:
        if wall_us > self._wall_us:
            self._wall_us, self._logical = wall_us, 0
        else:
            self._logical += 1
        return HybridTime(self._wall_us, self._logical, self.member)


def hlc_text(stamp: HybridTime) -> str:
    """`2026-11-23T07:31:02.114901Z+3/pg2`: wall time, logical count, member."""
    seconds, micro = divmod(stamp.wall_us, _MICRO)
    return f"{_second_text(seconds)}.{micro:06d}Z+{stamp.logical}/{stamp.member}"


def parse_hlc(text: str) -> HybridTime:
    """The stamp that `hlc_text` wrote.  Raises ValueError for anything else."""
    wall, plus, rest = text.partition("Z+")
    logical, slash, member = rest.partition("/")
    second, dot, micro = wall.partition(".")
    if not (plus and slash and dot and len(micro) == 6):
        raise ValueError(f"not a hybrid time: {text!r}")
    return HybridTime(
        _second_of(second) * _MICRO + int(micro), int(logical), MemberName(member)
    )


def wall_text(wall_us: Microseconds) -> str:
    """ISO 8601 in UTC with microseconds: the first part of a stamp's text."""
    seconds, micro = divmod(wall_us, _MICRO)
    return f"{_second_text(seconds)}.{micro:06d}Z"


# Stamps come in the order of time: the text of a second is made once.
@lru_cache(maxsize=64)
def _second_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4096)
def _second_of(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
