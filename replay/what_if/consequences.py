"""Consequences: what follows from the decisions that differ, as far as that can be told.

*Shown* is what the recorded inputs and the rules carry by themselves.  *Inferred* is what
follows by arithmetic, or by how the DCS works: that a lease which nobody renews ends with
its ttl, and that the key is given to who asks first.
"""

from collections.abc import Iterator
from typing import Any

from regnal.actors.election import ELECTION
from regnal.actors.election_state import Election
from regnal.actors.step import Step
from regnal.messages.base import MemberName, Message, Seconds
from regnal.messages.lease import AcquireLeader
from regnal.messages.operations import BecomePrimary, DemotePostgres
from regnal.replay.evidence.evidence import Moment
from regnal.replay.evidence.gaps import Gap
from regnal.replay.evidence.track import When
from regnal.replay.evidence.wall import clock_text
from regnal.replay.explaining.words import sentence_of
from regnal.replay.playback.differing import as_json
from regnal.replay.what_if.asking import Asking
from regnal.replay.what_if.differing import Differing
from regnal.replay.what_if.findings import Consequence
from regnal.replay.what_if.leases import Lease, ended_leases
from regnal.replay.what_if.rerun import Rerun

WORTH_TELLING: Seconds = 0.05
"""Less of a difference in time is none."""

SEEN_EARLIER: Seconds = 1.0
SEEN_WITHIN: Seconds = 5.0
"""A key that is seen to be gone so near the end of its lease has expired."""


def consequences(asking: Asking, gap: Gap | None) -> tuple[Consequence, ...]:
    """In the order of their moments; `gap`: the outage of the incident."""
    found = [
        *_of_decisions(asking),
        *_of_last_moments(asking),
        *_of_leases(asking, gap),
    ]
    found.sort(key=lambda one: one.moment or 0.0)
    return (*found, *_of_the_race(asking, gap))


def says(step: Step[Any] | None, word: type[Message]) -> bool:
    return step is not None and any(isinstance(m, word) for m in step.said)


def verdicts(step: Step[Any] | None) -> dict[MemberName, str]:
    """Why each candidate was taken or passed over, by its name."""
    if step is None or "candidates" not in step.facts:
        return {}
    return {
        str(one.get("member")): sentence_of(one.get("verdict"))
        for one in as_json(step.facts["candidates"])
        if isinstance(one, dict)
    }


def _of_decisions(asking: Asking) -> Iterator[Consequence]:
    for member, rerun in asking.reruns.items():
        for found in rerun.differences.found:
            text = "" if found.is_minor else _text(member, rerun, found)
            if text:
                yield Consequence(
                    certainty="shown", member=member, moment=found.moment, text=text
                )


def _of_last_moments(asking: Asking) -> Iterator[Consequence]:
    """When who does not stop as it did must stop at last."""
    for member, rerun in asking.reruns.items():
        state = rerun.states.get(ELECTION.name)
        if not isinstance(state, Election) or state.last_moment is None:
            continue
        for found in rerun.differences.found:
            if found.is_minor or not says(found.then, DemotePostgres):
                continue
            moment = rerun.moment(state.last_moment)
            if says(found.now, DemotePostgres) or moment <= found.moment:
                continue
            text = (
                f"if its lease is not renewed {member} stops taking writes at "
                f"{clock_text(moment)}, {_sooner(found.moment - moment)}"
            )
            yield Consequence(
                certainty="inferred", member=member, moment=moment, text=text
            )


def _text(member: MemberName, rerun: Rerun, found: Differing) -> str:
    """What the decision means for who may write; empty: nothing by itself."""
    then, now, at = found.then, found.now, clock_text(found.moment)
    if says(now, AcquireLeader) and not says(then, AcquireLeader):
        if found.then_at is not None:
            by = _sooner(found.then_at - found.moment)
            return f"{member} would ask for the leader key at {at}, {by}"
        return f"{member} would ask for the leader key at {at}"
    if says(then, AcquireLeader) and not says(now, AcquireLeader):
        if _later(rerun, found, AcquireLeader):
            return ""
        own = _verdict(member, rerun, found)
        why = f": {own}" if own else ""
        return f"{member} would not ask for the leader key at {at}{why}"
    if says(then, BecomePrimary) and not says(now, BecomePrimary):
        if _later(rerun, found, BecomePrimary):
            return ""
        return f"{member} would not be promoted at {at}"
    if says(now, DemotePostgres) and not says(then, DemotePostgres):
        if found.then_at is None:
            return f"{member} would stop taking writes at {at}; then it went on"
        sooner = found.then_at - found.moment
        return f"{member} would stop taking writes at {at}, {_sooner(sooner)}"
    if says(then, DemotePostgres) and not says(now, DemotePostgres):
        is_done = _earlier(rerun, found, DemotePostgres)
        if not is_done:
            return f"{member} would not stop taking writes at {at}, as it did"
    return ""


def _verdict(member: MemberName, rerun: Rerun, found: Differing) -> str | None:
    """Of the member about itself, in this step or in the last one before that judged."""
    before = (one for one in rerun.differences.found if one.moment <= found.moment)
    judged = [own for one in before if (own := verdicts(one.now).get(member))]
    return verdicts(found.now).get(member) or (judged[-1] if judged else None)


def _later(rerun: Rerun, found: Differing, word: type[Message]) -> bool:
    return any(
        says(one.now, word) and one.moment >= found.moment
        for one in rerun.differences.found
    )


def _earlier(rerun: Rerun, found: Differing, word: type[Message]) -> bool:
    return any(
        says(one.now, word) and one.moment <= found.moment
        for one in rerun.differences.found
    )


def _of_the_race(asking: Asking, gap: Gap | None) -> Iterator[Consequence]:
    """Who would lead, where another asks for the key now, or nobody does."""
    asks = _who(asking, now=True)
    asked = _who(asking, now=False)
    if asks is not None:
        member, moment = asks
        text = (
            f"the DCS gives the key to who asks first: {member} would lead from about "
            f"{clock_text(moment)} on"
        )
        if gap is not None and gap.successor not in (None, member):
            text += f", and not {gap.successor}"
        yield Consequence(certainty="inferred", member=member, moment=moment, text=text)
    elif asked is not None:
        member, moment = asked
        text = (
            f"nobody whose journal is here would ask for the key then instead of "
            f"{member}: nobody could write until that changes"
        )
        if gap is not None and gap.ended is not None:
            text += f"; in the recording writes came back at {clock_text(gap.ended)}"
        yield Consequence(certainty="inferred", member=None, moment=moment, text=text)


def _who(asking: Asking, *, now: bool) -> tuple[MemberName, Moment] | None:
    """The first to ask for the key only now, or to ask for it only then."""
    found = [
        (one.moment, member)
        for member, rerun in asking.reruns.items()
        for one in rerun.differences.found
        if not one.is_minor
        and says(one.now if now else one.then, AcquireLeader)
        and not says(one.then if now else one.now, AcquireLeader)
    ]
    if not found:
        return None
    moment, member = min(found)
    return member, moment


def _of_leases(asking: Asking, gap: Gap | None) -> Iterator[Consequence]:
    for member, rerun in asking.reruns.items():
        then, now = rerun.outside.then, rerun.outside.now
        if then is None or now is None or abs(now.ttl - then.ttl) < WORTH_TELLING:
            continue
        for lease in ended_leases(asking.aheads[member].grants, now.ttl - then.ttl):
            offset = _offset(asking, member, lease)
            if _is_seen_gone(asking, member, lease.until_then + offset):
                yield _of_lease(rerun, lease, offset, gap)


def _offset(asking: Asking, member: MemberName, lease: Lease) -> Seconds:
    """From the holder's clock to moments."""
    for life in asking.evidence.tracks[member].lives:
        if life.incarnation == lease.incarnation:
            when = When(life.boot, lease.granted)
            return asking.evidence.clocks.moment(when) - lease.granted
    return 0.0


def _is_seen_gone(asking: Asking, member: MemberName, until: Moment) -> bool:
    """Whether somebody saw that the key had expired."""
    clocks = asking.evidence.clocks
    return any(
        key.holder is None
        and -SEEN_EARLIER <= clocks.moment(key.when) - until <= SEEN_WITHIN
        for name, track in asking.evidence.tracks.items()
        if name != member
        for key in track.leader_keys
    )


def _of_lease(
    rerun: Rerun, lease: Lease, offset: Seconds, gap: Gap | None
) -> Consequence:
    member, then, now = rerun.member, rerun.outside.then, rerun.outside.now
    assert then is not None
    assert now is not None
    sooner = lease.until_then - lease.until_now
    ends_at = lease.until_now + offset
    text = (
        f"the lease of {member}, last renewed at {clock_text(lease.granted + offset)}, "
        f"would end at {clock_text(ends_at)}, {_sooner(sooner)}"
    )
    if gap is not None and gap.member == member and gap.ended is not None:
        was = gap.ended - gap.before.until
        text += (
            "; whoever takes over can do so from then on: nobody could write for about "
            f"{max(was - sooner, 0.0):.1f} s instead of {was:.1f} s"
        )
    if now.loop_wait < then.loop_wait:
        text += (
            f"; but with a heartbeat every {now.loop_wait:g} s the last renewal may be "
            f"up to {then.loop_wait - now.loop_wait:g} s later"
        )
    return Consequence(certainty="inferred", member=member, moment=ends_at, text=text)


def _sooner(seconds: Seconds) -> str:
    return f"{abs(seconds):.1f} s {'earlier' if seconds > 0 else 'later'}"
