"""The rows of the timeline: for each member its lanes, then a row for each actor and
bridge that has something to tell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from regnal.messages.base import MemberName, Seconds
from regnal.messages.frozen import replace
from regnal.replay.explaining.story import (
    Lane,
    MemberTold,
    Moment,
    Outage,
    State,
    Story,
)
from regnal.replay.telling.html.points import Point, points_of

LANES = {
    "writable": ("writable", "whether PostgreSQL took writes"),
    "role": ("role", "what PostgreSQL was"),
    "lease": ("lease", "whether it held the leader key"),
    "postgres": ("PostgreSQL", "what the supervisor was doing with PostgreSQL"),
    "daemon": ("daemon", "whether Regnal ran"),
    "store": ("DCS", "whether the configuration store answered"),
}
"""In the order in which they are shown; what each is called, and what it tells."""

SHORTEST: Seconds = 0.001
"""Of a picture; a shorter window is widened to it."""


SEEN_BY_THE_DAEMON = ("role", "lease", "postgres", "store")
"""Lanes that say what the daemon knew: while it was gone, this is what it knew last."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a lane, as it is drawn."""

    state: str
    since: Moment
    until: Moment
    record: int
    is_last_known: bool = False

    @property
    def text(self) -> str:
        return f"{self.state}, last known" if self.is_last_known else self.state


@dataclass(frozen=True, slots=True)
class Row:
    """A lane of bars, or a line of marks."""

    code: str
    label: str
    about: str
    member: MemberName
    bars: tuple[Bar, ...] = ()
    points: tuple[int, ...] = ()
    """Indices of points."""

    is_kept: bool = False
    """Where the others of its member are folded away."""


@dataclass(frozen=True, slots=True)
class Group:
    """A member."""

    member: MemberName
    notes: tuple[str, ...]
    rows: tuple[Row, ...]
    is_central: bool
    """Whether it led before or after."""


@dataclass(frozen=True, slots=True)
class Window:
    """What the picture spans, and its zero."""

    since: Moment
    until: Moment
    zero: Moment
    """The beginning of the outage, or of the incident."""

    def share(self, moment: Moment) -> float:
        """Where it lies, in percent of the width."""
        whole = self.until - self.since
        return (min(max(moment, self.since), self.until) - self.since) / whole * 100


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is drawn."""

    window: Window
    groups: tuple[Group, ...]
    points: tuple[Point, ...]
    """In the order of their moments; everywhere a point is known by its index."""

    outage: Outage | None

    @property
    def rows(self) -> tuple[Row, ...]:
        """Numbered through, from the top."""
        return tuple(row for group in self.groups for row in group.rows)


def picture_of(story: Story) -> Picture:
    points = points_of(story)
    return Picture(
        window=window_of(story, points),
        groups=groups_of(story, points),
        points=points,
        outage=story.outage,
    )


def groups_of(story: Story, points: Sequence[Point]) -> tuple[Group, ...]:
    """The former leader first, then who came after, then the others."""
    told = {one.member: one for one in story.members}
    for point in points:
        told.setdefault(point.member, _unlisted(point.member))
    heard = {point.member for point in points}
    first = (name for name in (story.former, story.leader) if name is not None)
    names = dict.fromkeys((*(name for name in first if name in told), *told))
    return tuple(
        Group(
            member=name,
            notes=tuple(_notes(told[name], story, has_points=name in heard)),
            rows=tuple(_with_one_kept([*_lanes(told[name]), *_parts(name, points)])),
            is_central=name in (story.former, story.leader),
        )
        for name in names
    )


def window_of(story: Story, points: Sequence[Point]) -> Window:
    moments = [story.began, story.ended, *(point.moment for point in points)]
    for member in story.members:
        for lane in member.lanes:
            for state in lane.states:
                moments += (state.since, state.until)
    if story.outage is not None:
        moments.append(story.outage.since)
        moments.append(story.outage.until or story.outage.since)
    since, until = min(moments), max(moments)
    if until - since < SHORTEST:
        since, until = since - SHORTEST / 2, until + SHORTEST / 2
    zero = story.outage.since if story.outage is not None else story.began
    return Window(since, until, zero)


def _with_one_kept(rows: Sequence[Row]) -> Iterable[Row]:
    """The role says most, where there is one."""
    kept = next((row for row in rows if row.code == "role"), rows[0] if rows else None)
    for row in rows:
        yield replace(row, is_kept=row is kept)


def _unlisted(name: MemberName) -> MemberTold:
    """Spoken of by its events alone."""
    return MemberTold(
        member=name, has_journal=True, versions={}, clock_ahead=None, lanes=()
    )


def _notes(member: MemberTold, story: Story, *, has_points: bool) -> Iterable[str]:
    if story.outage is None:
        if member.member == story.former:
            yield "what is told befell it"
        if member.member == story.leader:
            yield "leads"
    elif member.member == story.former == story.leader:
        yield "leads before and after"
    elif member.member == story.former:
        yield "led before"
    elif member.member == story.leader:
        yield "leads after"
    if not member.has_journal:
        yield "its journal is missing"
    elif not member.lanes and not has_points:
        yield "nothing of note meanwhile"
    if member.clock_ahead is not None:
        way = "ahead" if member.clock_ahead > 0 else "behind"
        yield f"its wall clock was {abs(member.clock_ahead):.3f} s {way}"


def _lanes(member: MemberTold) -> Iterable[Row]:
    lanes: dict[str, Lane] = {lane.name: lane for lane in member.lanes}
    away = [
        one
        for one in (lanes["daemon"].states if "daemon" in lanes else ())
        if one.state == "absent"
    ]
    for name in (*LANES, *(lane for lane in lanes if lane not in LANES)):
        if name in lanes:
            label, about = LANES.get(name, (name, ""))
            bars = [
                Bar(one.state, one.since, one.until, one.at.record)
                for one in lanes[name].states
            ]
            if name in SEEN_BY_THE_DAEMON:
                bars = [part for bar in bars for part in _split(bar, away)]
            yield Row(name, label, about, member.member, bars=tuple(bars))


def _split(bar: Bar, away: Iterable[State]) -> Iterable[Bar]:
    """At the moments at which the daemon went and came back."""
    since = bar.since
    for gone in away:
        begin, end = max(since, gone.since), min(bar.until, gone.until)
        if begin >= end:
            continue
        if begin > since:
            yield replace(bar, since=since, until=begin)
        yield replace(bar, since=begin, until=end, is_last_known=True)
        since = end
    if since < bar.until:
        yield replace(bar, since=since)


def _parts(member: MemberName, points: Sequence[Point]) -> Iterable[Row]:
    """Who decided most comes first: that is where a reader looks."""
    rows: dict[str, list[int]] = {}
    for index, point in enumerate(points):
        if point.member == member:
            rows.setdefault(point.part, []).append(index)

    def weight(part: str) -> tuple[int, str]:
        return -sum(points[index].is_decision for index in rows[part]), part

    for part in sorted(rows, key=weight):
        yield Row(
            part,
            part.replace("_", " "),
            f"what {part} of {member} decided or said",
            member,
            points=tuple(rows[part]),
        )
