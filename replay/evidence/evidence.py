"""The evidence: all members' tracks on one time line, and questions to it.

Moments are seconds since 1970 as `alignment.Clocks` gives them.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from regnal.messages.base import LSN, MemberName, Seconds
from regnal.replay.evidence.alignment import Clocks, aligned
from regnal.replay.evidence.track import LaneName, Life, Track

Moment: TypeAlias = Seconds
"""Seconds since 1970, the same on all hosts."""


class Happening(NamedTuple):
    """A mark of a member's track, on the common time line."""

    moment: Moment
    member: MemberName
    what: str
    data: dict[str, Any]
    record: int
    id: str
    incarnation: int


class Span(NamedTuple):
    """A stretch in which a lane of a member was in one state."""

    member: MemberName
    lane: LaneName
    state: str
    since: Moment
    until: Moment | None
    """None: to the end of the journal, and nobody knows for how long."""

    record: int

    def holds_at(self, moment: Moment) -> bool:
        return self.since <= moment and (self.until is None or moment < self.until)


class LifeSpan(NamedTuple):
    """A life of a member's daemon, on the common time line."""

    member: MemberName
    life: Life
    began: Moment
    last: Moment


@dataclass(frozen=True)
class Evidence:
    """What the journals of a cluster show."""

    tracks: dict[MemberName, Track]
    clocks: Clocks
    happenings: tuple[Happening, ...]
    """In their order."""

    spans: dict[tuple[MemberName, LaneName], tuple[Span, ...]]
    lives: dict[MemberName, tuple[LifeSpan, ...]]
    begin: Moment
    end: Moment

    @property
    def members(self) -> tuple[MemberName, ...]:
        """Those whose journals are there."""
        return tuple(self.tracks)

    def between(
        self, since: Moment, until: Moment, *what: str, member: MemberName | None = None
    ) -> Iterator[Happening]:
        """What happened in [since, until], of these kinds (none: of any)."""
        first = bisect_left(self.happenings, since, key=lambda h: h.moment)
        for happening in self.happenings[first:]:
            if happening.moment > until:
                return
            if member is not None and happening.member != member:
                continue
            if not what or happening.what in what:
                yield happening

    def first(
        self, since: Moment, until: Moment, *what: str, member: MemberName | None = None
    ) -> Happening | None:
        return next(self.between(since, until, *what, member=member), None)

    def last(
        self, since: Moment, until: Moment, *what: str, member: MemberName | None = None
    ) -> Happening | None:
        last = deque(self.between(since, until, *what, member=member), maxlen=1)
        return last[0] if last else None

    def lane(self, member: MemberName, lane: LaneName) -> tuple[Span, ...]:
        return self.spans.get((member, lane), ())

    def state(self, member: MemberName, lane: LaneName, moment: Moment) -> str:
        """Of the lane at the moment; `unknown` where nothing shows it."""
        for span in reversed(self.lane(member, lane)):
            if span.since <= moment:
                return span.state
        return "unknown"

    def overlapping(
        self,
        member: MemberName,
        lane: LaneName,
        state: str,
        since: Moment,
        until: Moment,
    ) -> Iterator[Span]:
        """Spans in that state that touch [since, until]."""
        for span in self.lane(member, lane):
            ends_before = span.until is not None and span.until < since
            if span.state == state and span.since <= until and not ends_before:
                yield span

    def life_at(self, member: MemberName, moment: Moment) -> LifeSpan | None:
        """The life that runs then, or ran last before."""
        found = None
        for life in self.lives.get(member, ()):
            if life.began <= moment:
                found = life
        return found

    def life_after(self, life: LifeSpan) -> LifeSpan | None:
        """The next life of the same member."""
        lives = self.lives[life.member]
        following = lives.index(life) + 1
        return lives[following] if following < len(lives) else None

    def settings(self, member: MemberName, moment: Moment) -> dict[str, Any]:
        """In force then; empty where not known."""
        track = self.tracks.get(member)
        if track is None:
            return {}
        values: dict[str, Any] = {}
        for seen in track.settings:
            if values and self.clocks.moment(seen.when) > moment:
                break
            values = seen.values
        return values

    def position(self, member: MemberName, moment: Moment) -> LSN | None:
        """How far the member's WAL as primary was known to be, at most then."""
        track = self.tracks.get(member)
        if track is None:
            return None
        moments = [self.clocks.moment(p.when) for p in track.positions]
        index = bisect_right(moments, moment)
        return track.positions[index - 1].lsn if index else None


def evidence_of(tracks: Iterable[Track]) -> Evidence:
    """On one time line; of two tracks of one member the longer one counts."""
    by_member: dict[MemberName, Track] = {}
    for track in sorted(tracks, key=lambda track: (track.member, -track.records)):
        by_member.setdefault(track.member, track)
    clocks = aligned(by_member.values())
    happenings = sorted(
        (
            Happening(
                clocks.moment(mark.when),
                track.member,
                mark.what,
                mark.data,
                mark.record,
                mark.id,
                mark.incarnation,
            )
            for track in by_member.values()
            for mark in track.marks
        ),
        key=lambda happening: (happening.moment, happening.member, happening.record),
    )
    lives = {
        member: tuple(
            LifeSpan(member, life, clocks.moment(life.began), clocks.moment(life.last))
            for life in track.lives
        )
        for member, track in by_member.items()
    }
    moments = [m for spans in lives.values() for life in spans for m in life[2:4]]
    return Evidence(
        tracks=by_member,
        clocks=clocks,
        happenings=tuple(happenings),
        spans=_spans(by_member.values(), clocks),
        lives=lives,
        begin=min(moments, default=0.0),
        end=max(moments, default=0.0),
    )


def _spans(
    tracks: Iterable[Track], clocks: Clocks
) -> dict[tuple[MemberName, LaneName], tuple[Span, ...]]:
    spans: dict[tuple[MemberName, LaneName], tuple[Span, ...]] = {}
    for track in tracks:
        for lane, changes in track.lanes.items():
            moments: Sequence[Moment] = [clocks.moment(c.when) for c in changes]
            ends: Sequence[Moment | None] = [*moments[1:], None]
            spans[track.member, lane] = tuple(
                Span(track.member, lane, change.state, since, until, change.record)
                for change, since, until in zip(changes, moments, ends, strict=True)
            )
    return spans
