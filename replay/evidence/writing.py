"""Writing: when which member's PostgreSQL took writes, and how that is known.

A daemon that ended without a word could not write down when its PostgreSQL did; then
whoever streamed from it, the guard, or its next life tells.  Of a member without a
journal the leader key shows when it led, and so may have written.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from regnal.messages.base import MemberName, Seconds
from regnal.replay.evidence.evidence import Evidence, LifeSpan, Moment, Span
from regnal.replay.evidence.reigns import Reign

Known = Literal["observed", "fenced", "late", "standbys", "last_record", "key", "open"]
"""How the end is known.  observed: the daemon saw it.  fenced: the guard wrote it
down.  late: the guard did, and had not run when it should have: the host stood still, as
PostgreSQL will have, and the end is when the guard should have run.  standbys: their streams ended.  last_record: it is at least so late.
key: its journal is missing, the leader key was gone.  open: it has not ended, as far as the journals go."""

LATE: Seconds = 1.0
"""A guard that runs is not later: it only waits, and its memory is locked."""

HEARTBEATS: Seconds = 90.0
"""How long after the last record of a leader the end of its standbys' streams may
still be its end: a lease and its heartbeat."""


@dataclass(frozen=True, slots=True)
class Writable:
    """A stretch in which a member's PostgreSQL took writes."""

    member: MemberName
    since: Moment
    until: Moment
    known: Known


def writable(evidence: Evidence, reigns: Sequence[Reign]) -> tuple[Writable, ...]:
    """Of all members, in order."""
    found = [
        stretch
        for member in evidence.members
        for stretch in _of_member(evidence, member)
    ]
    found += [
        _of_reign(evidence, reign)
        for reign in reigns
        if not _has_journal_of(evidence, reign)
    ]
    return tuple(sorted(found, key=lambda stretch: stretch.since))


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two members that took writes at the same time: law 1 did not hold."""

    members: tuple[MemberName, MemberName]
    since: Moment
    until: Moment


def overlaps(stretches: Sequence[Writable]) -> tuple[Overlap, ...]:
    """Of stretches whose ends somebody saw."""
    certain = [one for one in stretches if one.known in ("observed", "fenced")]
    return tuple(
        Overlap((one.member, other.member), other.since, min(one.until, other.until))
        for index, one in enumerate(certain)
        for other in certain[index + 1 :]
        if other.member != one.member and other.since < one.until - CLOCK_ERROR
    )


SAME_BOOT: Seconds = 60.0
"""By which wall and boot clock may move against each other within one boot."""

CLOCK_ERROR: Seconds = 0.05
"""What is so short may be an error of the alignment of clocks."""


def _has_journal_of(evidence: Evidence, reign: Reign) -> bool:
    """Whether the holder's own journal covers the reign, or some of it."""
    ended = evidence.end if reign.ended is None else reign.ended
    return any(
        life.began <= ended and life.last >= reign.began
        for life in evidence.lives.get(reign.holder, ())
    )


def _of_reign(evidence: Evidence, reign: Reign) -> Writable:
    if reign.ended is None:
        return Writable(reign.holder, reign.began, evidence.end, "open")
    streams = evidence.first(
        max(reign.began, reign.ended - HEARTBEATS), reign.ended, "replication_ended"
    )
    if streams is not None:
        return Writable(reign.holder, reign.began, streams.moment, "standbys")
    return Writable(reign.holder, reign.began, reign.ended, "key")


def _of_member(evidence: Evidence, member: MemberName) -> Iterator[Writable]:
    """Adjoining stretches are one: a daemon that is started beside a running primary
    finds it running."""
    last: Writable | None = None
    for span in evidence.lane(member, "postgres"):
        if span.state != "primary":
            continue
        stretch = _stretch(evidence, span)
        if last is not None and stretch.since <= last.until:
            stretch = Writable(member, last.since, stretch.until, stretch.known)
        elif last is not None:
            yield last
        last = stretch
    if last is not None:
        yield last


def _stretch(evidence: Evidence, span: Span) -> Writable:
    life = evidence.life_at(span.member, span.since)
    if life is None:  # whose beginning is damaged
        until = evidence.end if span.until is None else span.until
        return Writable(span.member, span.since, until, "last_record")
    if span.until is not None and (
        span.until <= life.last or life.life.end == "stopped"
    ):
        return _ended_in_sight(evidence, span, span.until)
    following = evidence.life_after(life)
    if following is None and life.life.end == "open" and _still_leads(evidence, life):
        return Writable(span.member, span.since, evidence.end, "open")
    if following is not None and _found_running(evidence, following):
        return Writable(span.member, span.since, following.last, "observed")
    if following is not None:
        fenced = _fenced(evidence, span, following.began)
        if fenced is not None:
            return fenced
    streams = _streams_ended(evidence, span, life)
    if streams is not None:
        return Writable(span.member, span.since, streams, "standbys")
    return Writable(span.member, span.since, life.last, "last_record")


def _ended_in_sight(evidence: Evidence, span: Span, until: Moment) -> Writable:
    """A frozen daemon sees the end late; the guard tells when it was."""
    fenced = _fenced(evidence, span, until)
    return fenced or Writable(span.member, span.since, until, "observed")


def _still_leads(evidence: Evidence, life: LifeSpan) -> bool:
    """Whether nobody saw another leader, or none, after the last record."""
    return not any(
        change.since > life.last and change.state != life.member
        for other in evidence.members
        for change in evidence.lane(other, "leader")
    )


def _found_running(evidence: Evidence, life: LifeSpan) -> bool:
    """Whether the first thing that this life knows of PostgreSQL is a primary that it
    did not start."""
    for span in evidence.lane(life.member, "postgres"):
        if span.since >= life.began and span.state != "unknown":
            return span.state == "primary"
    return False


def _fenced(evidence: Evidence, span: Span, until: Moment) -> Writable | None:
    """If the guard ended it, as this life or the next one learned.  Whatever it did
    before or after that is another story."""
    for told in evidence.between(
        span.since, evidence.end, "guard_fenced", member=span.member
    ):
        moment = _moment_of_fencing(evidence, span.member, told.data)
        if moment is None or not span.since <= moment <= until:
            continue
        late_by = told.data.get("late_by")
        if isinstance(late_by, int | float) and late_by > LATE:
            due = max(span.since, moment - late_by)
            return Writable(span.member, span.since, due, "late")
        return Writable(span.member, span.since, moment, "fenced")
    return None


def _moment_of_fencing(
    evidence: Evidence, member: MemberName, told: Mapping[str, object]
) -> Moment | None:
    """Of an instant of the boot in which the guard ran."""
    at, wall_us = told.get("at"), told.get("wall_us")
    if not isinstance(at, int | float):
        return None
    life = evidence.lives[member][-1]
    for life in reversed(evidence.lives[member]):
        offset = life.life.wall_offset
        if isinstance(wall_us, int) and abs(wall_us / 1e6 - at - offset) > SAME_BOOT:
            continue
        if life.life.began.at <= at:
            break
    return evidence.clocks.moment(life.life.began._replace(at=float(at)))


def _streams_ended(evidence: Evidence, span: Span, life: LifeSpan) -> Moment | None:
    """When the first standby lost its stream.  After the key was gone they follow
    another, and what ends then is not its."""
    others = [member for member in evidence.members if member != span.member]
    key_gone = min(
        (
            seen.since
            for other in others
            for seen in evidence.lane(other, "leader")
            if seen.since > life.last and seen.state != span.member
        ),
        default=life.last + HEARTBEATS,
    )
    ended = [
        happening.moment
        for happening in evidence.between(
            max(span.since, life.last - 1), key_gone, "replication_ended"
        )
        if happening.member != span.member
    ]
    return min(ended, default=None)
