"""The timeline: bars of states and points of events, for the picture of an incident."""

from collections.abc import Iterable, Iterator
from typing import Literal

from regnal.messages.base import MemberName
from regnal.replay.evidence.evidence import Evidence, Moment, Span
from regnal.replay.evidence.track import LaneName
from regnal.replay.evidence.writing import Writable
from regnal.replay.explaining.chain import facts_of, is_told
from regnal.replay.explaining.story import (
    Event,
    Lane,
    MemberTold,
    Reference,
    State,
)
from regnal.replay.explaining.window import Surroundings, Told
from regnal.replay.explaining.words import words_of

MAXIMUM_EVENTS = 4000
"""In a picture; of more, the decisions of election and what is notable stay first."""

BARS: tuple[tuple[Literal["daemon", "lease", "postgres", "store"], LaneName], ...] = (
    ("daemon", "daemon"),
    ("lease", "lease"),
    ("postgres", "phase"),
    ("store", "store"),
)
"""Name of the bar, and the lane that it shows."""


def members_told(
    evidence: Evidence,
    expected: Iterable[MemberName],
    stretches: Iterable[Writable],
    since: Moment,
    until: Moment,
) -> tuple[MemberTold, ...]:
    """Every member with its bars in [since, until]."""
    stretches = tuple(stretches)
    skews = {skew.member: skew.ahead for skew in evidence.clocks.skews}
    names = sorted({*evidence.members, *expected})
    return tuple(
        MemberTold(
            member=name,
            has_journal=name in evidence.tracks,
            versions=_versions(evidence, name, until),
            clock_ahead=skews.get(name),
            lanes=tuple(_lanes(evidence, name, stretches, since, until)),
        )
        for name in names
    )


def events_told(around: Surroundings) -> tuple[Event, ...]:
    """What is told of the window, each with the nearest cause that is told, too."""
    told = [one for one in around.told if is_told(one)][:MAXIMUM_EVENTS]
    kept = {one.key for one in told}
    return tuple(
        Event(
            id=one.key,
            moment=one.moment,
            member=one.member,
            part=one.part,
            what=one.what,
            is_decision=one.is_step,
            cause=_cause(one, around, kept),
            facts=facts_of(one),
            text=words_of(
                one.what, one.data, is_decision=one.is_step, offset=one.offset
            ),
            at=Reference(member=one.member, record=one.record),
        )
        for one in told
    )


def _cause(one: Told, around: Surroundings, kept: set[str]) -> str | None:
    """Key of the nearest cause that is in the picture."""
    for before in _causes(one, around):
        if before.key in kept and before.key != one.key:
            return before.key
    return None


def _causes(one: Told, around: Surroundings) -> Iterator[Told]:
    seen: set[str] = set()
    message = around.messages.get(one.id)
    if one.is_step and message is not None:
        yield message
    while message is not None and message.id not in seen:
        seen.add(message.id)
        step = around.sayers.get(message.id)
        if step is not None:
            yield step
        message = around.messages.get(message.cause or "")
        if message is not None:
            yield message


def _lanes(
    evidence: Evidence,
    member: MemberName,
    stretches: Iterable[Writable],
    since: Moment,
    until: Moment,
) -> Iterator[Lane]:
    for bar, lane in BARS:
        states = tuple(_states(evidence.lane(member, lane), evidence, since, until))
        if states:
            yield Lane(name=bar, states=states)
    roles = tuple(_states(evidence.lane(member, "postgres"), evidence, since, until))
    if roles:
        yield Lane(name="role", states=roles)
    writes = tuple(
        State(
            state="writable",
            since=max(since, stretch.since),
            until=min(until, stretch.until),
            at=Reference(member=member, record=0),
        )
        for stretch in stretches
        if stretch.member == member and stretch.since < until and stretch.until > since
    )
    if writes:
        yield Lane(name="writable", states=writes)


def _states(
    spans: Iterable[Span], evidence: Evidence, since: Moment, until: Moment
) -> Iterator[State]:
    for span in spans:
        ended = evidence.end if span.until is None else span.until
        life = evidence.life_at(span.member, span.since)
        if span.until is None and life is not None and life.life.end != "open":
            ended = life.last  # nobody wrote down how it went on
        if ended <= since or span.since >= until or span.state == "unknown":
            continue
        yield State(
            state=span.state,
            since=max(since, span.since),
            until=min(until, ended),
            at=Reference(member=span.member, record=span.record),
        )


def _versions(evidence: Evidence, member: MemberName, moment: Moment) -> dict[str, str]:
    life = evidence.life_at(member, moment)
    if life is None:
        return {}
    return {str(name): str(value) for name, value in life.life.versions.items()}
