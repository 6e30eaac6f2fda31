"""What scenarios end with: the journals are whole, replay to the same, explain it, and
give traces."""

from collections.abc import Iterable, Iterator, Sequence

from regnal.actors.cast import DECIDERS
from regnal.demo.cluster import Member
from regnal.events.spans import naming
from regnal.events.spans.naming import RootName
from regnal.journal.reader import follow
from regnal.journal.verification import verify
from regnal.journal.witnesses import seen_by_others
from regnal.replay.case import opened
from regnal.replay.explaining.explain import Investigation
from regnal.replay.playback.player import Player
from regnal.replay.telling.differences import difference_text
from regnal.replay.tracing import Trace, spans_of, traces_of
from regnal.replay.verify import Verification, Verifier
from tests.events.spans.laws import broken

SHOWN = 5
"""Differences and troubles of a member that a failure prints."""


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


class Replays:
    """The journals of a running cluster, replayed as they grow: each record once,
    however many scenarios are played on it."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._replays = {member.name: _Replay(member) for member in members}

    def assert_same(self) -> None:
        """Every step since the last time comes out again as it was recorded."""
        findings = [
            f"{name}: {finding}"
            for name, replay in self._replays.items()
            for finding in replay.catch_up()
        ]
        assert not findings, "\n".join(findings)


class _Replay:
    def __init__(self, member: Member) -> None:
        self._player = Player(DECIDERS)
        self._items = follow(member.journal)
        self._verifier = Verifier()
        self._has_steps = False

    def catch_up(self) -> Iterator[str]:
        """What is otherwise, and what cannot be used, since the last time."""
        result = self._verifier.result = Verification()
        for item in self._items:
            if isinstance(item, int):  # there is no more at present
                break
            for played in self._player.take(item):
                self._verifier.take(played)
        self._has_steps = self._has_steps or result.steps > 0
        if not self._has_steps:
            yield "has taken no step"
        if result.differences:
            yield difference_text(result.differences[:SHOWN])
        yield from result.troubles[:SHOWN]


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


def assert_traces_keep_the_laws(members: Iterable[Member]) -> None:
    """Spans of all members: their ids, parents and times."""
    spans = [span for trace in traced(members) for span in trace.spans]
    assert broken(spans) == []


def assert_traced(
    members: Sequence[Member], what: RootName, *, former: Member, leader: Member
) -> Trace:
    """The last change of leader from `former` is one trace of all members, with one root,
    told by `leader`, in which every parent is there."""
    ends = [
        trace
        for trace in traced(members)
        if trace.root is not None
        and trace.root.attributes.get(naming.FORMER) == former.name
    ]
    assert ends, f"no trace of an end of the reign of {former.name}"
    last = ends[-1]
    assert last.root is not None
    assert (last.root.name, last.root.member) == (what, leader.name)
    assert last.members == tuple(sorted(member.name for member in members))
    ids = {span.span for span in last.spans}
    assert [one.name for one in last.spans if one.parent not in {*ids, None}] == []
    return last


def traced(members: Iterable[Member]) -> tuple[Trace, ...]:
    with opened([str(member.journal) for member in members]) as case:
        return traces_of(spans_of(case))


def investigated(members: Iterable[Member]) -> Investigation:
    return Investigation({member.name: member.journal for member in members})
