"""What every scenario ends with: the journals are whole, and replay to the same."""

from collections.abc import Iterator, Sequence

from regnal.actors.cast import DECIDERS
from regnal.demo.cluster import Member
from regnal.journal.reader import follow
from regnal.journal.verification import verify
from regnal.journal.witnesses import seen_by_others
from regnal.replay.playback.player import Player
from regnal.replay.telling.differences import difference_text
from regnal.replay.verify import Verification, Verifier

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
