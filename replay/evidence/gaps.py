"""Gaps: times in which nobody took writes, from the first sign of trouble to calm."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from regnal.messages.base import MemberName, Seconds
from regnal.replay.evidence.evidence import Evidence, Happening, Moment
from regnal.replay.evidence.reigns import Reign
from regnal.replay.evidence.writing import Writable, writable

LOOK_BACK: Seconds = 90.0
"""How long before writing ended its cause may have begun, beside the ttl."""

PLANNED_LOOK_BACK: Seconds = 600.0
"""The same for a shutdown that waits for clients or standbys."""

LOOK_ON: Seconds = 60.0
"""How long after writing began again somebody may take to come back, and it is still
the same incident."""

JUST_NOW: Seconds = 2.0
"""So close to the end of writing a store that does not answer had to do with it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """From the end of one member's writing to the beginning of the next's."""

    before: Writable
    after: Writable | None
    """None: nobody writes again, as far as the journals go."""

    began: Moment
    """The first sign of it."""

    settled: Moment
    """When everybody was back, or the journals end."""

    reign: Reign | None
    """Of the member that wrote before; None: its key was never seen."""

    is_wanted: bool
    """Whether somebody asked for it: a switchover, a restart, the daemon's end."""

    first_record: int

    @property
    def member(self) -> MemberName:
        return self.before.member

    @property
    def successor(self) -> MemberName | None:
        return self.after.member if self.after is not None else None

    @property
    def ended(self) -> Moment | None:
        """When somebody could write again."""
        return self.after.since if self.after is not None else None


def gaps(evidence: Evidence, reigns: Sequence[Reign]) -> Iterator[Gap]:
    """In their order."""
    stretches = writable(evidence, reigns)
    for before, after in pairwise([*stretches, None]):
        assert before is not None
        if after is None and before.known == "open":
            return
        yield _gap(evidence, reigns, before, after)


def _gap(
    evidence: Evidence,
    reigns: Sequence[Reign],
    before: Writable,
    after: Writable | None,
) -> Gap:
    first = _first_sign(evidence, before)
    began = before.until if first is None else min(first.moment, before.until)
    return Gap(
        before=before,
        after=after,
        began=max(began, before.since),
        settled=_settled(evidence, before, after),
        reign=_reign_of(reigns, before),
        is_wanted=_is_wanted(evidence, before, after),
        first_record=first.record if first is not None else 0,
    )


def _reign_of(reigns: Sequence[Reign], stretch: Writable) -> Reign | None:
    found = None
    for reign in reigns:
        if reign.holder == stretch.member and reign.began <= stretch.until:
            found = reign
    return found


@dataclass(frozen=True, slots=True)
class _Sign:
    moment: Moment
    record: int


def _first_sign(evidence: Evidence, stretch: Writable) -> _Sign | None:
    """The earliest thing that led to the end of this writing."""
    found = [
        *_of_requests(evidence, stretch),
        *_of_the_member(evidence, stretch),
        *_of_stalls(evidence, stretch),
        *_of_the_store(evidence, stretch),
    ]
    return min(found, key=lambda sign: sign.moment, default=None)


def _of_requests(evidence: Evidence, stretch: Writable) -> Iterator[_Sign]:
    since = max(stretch.since, stretch.until - LOOK_BACK)
    begun = evidence.last(
        since,
        stretch.until + BEGINS_WITHIN,
        "election/begin_the_switchover",
        member=stretch.member,
    )
    if begun is None or begun.data.get("refused"):
        return
    yield _sign(begun)
    asked = evidence.last(
        max(since, begun.moment - ASKED_WITHIN), begun.moment, "switchover_requested"
    )
    if asked is not None:
        yield _sign(asked)


BEGINS_WITHIN: Seconds = 0.5
ASKED_WITHIN: Seconds = 10.0
"""A request that is older was scheduled: then the change begins when it is due."""


def _of_the_member(evidence: Evidence, stretch: Writable) -> Iterator[_Sign]:
    """What its daemon saw, did or was told."""
    since = max(stretch.since, stretch.until - PLANNED_LOOK_BACK)
    told = evidence.last(
        since, stretch.until + JUST_NOW, "shutdown_requested", member=stretch.member
    )
    if told is not None:
        yield _sign(told)
    for happening in evidence.between(
        max(stretch.since, stretch.until - JUST_NOW),
        stretch.until + JUST_NOW,
        "postmaster_exited",
        "demote_postgres",
        "restart_requested",
        member=stretch.member,
    ):
        yield _sign(happening)


def _of_stalls(evidence: Evidence, stretch: Writable) -> Iterator[_Sign]:
    """A stall is noticed at its end."""
    for stall in stalls_around(evidence, stretch):
        yield _Sign(stall.moment - missing(stall), stall.record)


def stalls_around(evidence: Evidence, stretch: Writable) -> Iterator[Happening]:
    """Absences of the member's daemon that were going on shortly before its writing
    ended, or went on then."""
    for stall in evidence.between(
        max(stretch.since, stretch.until - LOOK_BACK),
        evidence.end,
        "stall_noticed",
        member=stretch.member,
    ):
        began = stall.moment - missing(stall)
        if (
            began <= stretch.until + JUST_NOW
            and stall.moment >= stretch.until - JUST_NOW
        ):
            yield stall


def missing(stall: Happening) -> Seconds:
    """How long the daemon was absent, by its own word."""
    value = stall.data.get("missing", 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def _of_the_store(evidence: Evidence, stretch: Writable) -> Iterator[_Sign]:
    for span in evidence.overlapping(
        stretch.member,
        "store",
        "unreachable",
        stretch.until - JUST_NOW,
        stretch.until + JUST_NOW,
    ):
        if span.since >= stretch.since:
            yield _Sign(span.since, span.record)
    for happening in renewal_troubles(evidence, stretch):
        if happening.moment <= stretch.until:
            yield _sign(happening)


def renewal_troubles(evidence: Evidence, stretch: Writable) -> Iterator[Happening]:
    """Renewals without an answer, late, or with a no, that had to do with the end of
    this writing: those before a renewal that was answered at once had not."""
    until = stretch.until + JUST_NOW
    since = max(stretch.since, stretch.until - LOOK_BACK)
    member = stretch.member
    settled = evidence.last(since, stretch.until, "prompt_renewal", member=member)
    return evidence.between(
        since if settled is None else settled.moment,
        until,
        "lease_unconfirmed",
        "lease_refused",
        "slow_renewal",
        member=member,
    )


def _sign(happening: Happening) -> _Sign:
    return _Sign(happening.moment, happening.record)


def _settled(evidence: Evidence, before: Writable, after: Writable | None) -> Moment:
    """When the last of those that came back within reach did."""
    if after is None:
        return evidence.end
    settled = after.since
    for member in evidence.members:
        if member == after.member:
            continue
        for span in evidence.lane(member, "replication"):
            if span.state == "streaming" and before.until <= span.since:
                if span.since <= after.since + LOOK_ON:
                    settled = max(settled, span.since)
                break
    return settled


def _is_wanted(evidence: Evidence, before: Writable, after: Writable | None) -> bool:
    since = max(before.since, before.until - PLANNED_LOOK_BACK)
    until = before.until + JUST_NOW
    member = before.member
    if evidence.first(since, until, "shutdown_requested", member=member) is not None:
        return True
    switchover = evidence.last(
        max(since, before.until - LOOK_BACK),
        until,
        "election/begin_the_switchover",
        member=member,
    )
    if switchover is not None and not switchover.data.get("refused"):
        return True
    is_same = after is not None and after.member == member
    restarted = evidence.last(
        before.until - JUST_NOW, until, "election/restart_this_member", member=member
    )
    return is_same and restarted is not None
