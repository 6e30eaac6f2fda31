"""What scenarios end with: the journals are whole, replay to the same, and explain it."""

from collections.abc import Iterable, Iterator, Sequence

from regnal.actors.cast import DECIDERS
from regnal.demo.cluster import Member
from regnal.journal.verification import verify
from regnal.journal.witnesses import seen_by_others
from regnal.replay.explaining.explain import Investigation
from regnal.replay.verify import verify_journal

SHOWN = 5
"""Differences of a member that a failure prints."""


def assert_chains_are_whole(members: Sequence[Member]) -> None:
    """Each member's journal, and what the others have seen of it."""
    seen = seen_by_others([member.journal for member in members])
    heads = {
        owner.member: [witness.head for witness in witnesses]
        for owner, witnesses in seen.items()
    }
    verdicts = {
        member.name: verify(member.journal, heads.get(member.name, ()))
        for member in members
    }
    assert all(verdict.confirmed for verdict in verdicts.values()), verdicts
    damaged = {
        name: [str(damage) for damage in verdict.damages] or verdict
        for name, verdict in verdicts.items()
        if not verdict.is_whole or verdict.lost
    }
    assert damaged == {}


def assert_replays(members: Iterable[Member]) -> None:
    """Every step of every member comes out again as it was recorded."""
    findings = [finding for member in members for finding in differences(member)]
    assert not findings, "\n".join(findings)


def assert_one_primary_at_a_time(members: Iterable[Member]) -> None:
    """As far as the journals show, no two took writes at once (law 1)."""
    troubles = investigated(members).troubles
    assert not [one.text for one in troubles if one.code == "TWO_PRIMARIES"]


def assert_explained(
    members: Iterable[Member], cause: str, *, former: Member, leader: Member
) -> None:
    """The last outage of `former` as leader is told with this cause, and that `leader`
    took over, or went on."""
    outages = [
        incident
        for incident in investigated(members).listed()
        if incident.outage is not None and incident.member == former.name
    ]
    assert outages, f"no outage of {former.name} is told"
    last = outages[-1]
    told = (last.cause, last.successor)
    assert told == (cause, leader.name), last.sentence


def investigated(members: Iterable[Member]) -> Investigation:
    return Investigation({member.name: member.journal for member in members})


def differences(member: Member) -> Iterator[str]:
    """What a replay of the member's journal does otherwise, and what it cannot use."""
    result = verify_journal(member.journal, DECIDERS)
    if not result.steps:
        yield f"{member.name} has taken no step"
    if result.differences:
        yield f"{member.name}: {len(result.differences)} differ, {result.steps} steps"
    for difference in result.differences[:SHOWN]:
        yield f"{member.name}: {difference}"
    for trouble in result.troubles[:SHOWN]:
        yield f"{member.name}: {trouble}"
