"""Rebuild: what each actor of a member knew at a moment, and the cluster as it saw it."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from regnal.actors.election import ELECTION
from regnal.actors.election_state import Election
from regnal.actors.step import Decider
from regnal.journal.chain_check import Damage
from regnal.journal.places import RecordNumber, Segment, segments
from regnal.journal.reader import EVERYTHING, Record, Window, scan
from regnal.journal.segment_input import begun_at
from regnal.messages.base import Bytes, MemberName
from regnal.messages.envelope import PartName
from regnal.messages.frozen import replace
from regnal.replay.playback.differing import as_json, state_json
from regnal.replay.playback.hearing import Unusable
from regnal.replay.playback.player import Player

When: TypeAlias = RecordNumber | str | None
"""A record, a moment as `wall_text` writes it, or the end."""

MAXIMUM_TROUBLES = 100


class NoSuchMoment(Exception):
    """The journal has nothing of then; says what it has."""


@dataclass(frozen=True, slots=True)
class ActorState:
    """An actor at the moment."""

    actor: PartName
    state: dict[str, Any] | None
    """As a snapshot has it; None: it is not known, for want of a snapshot before."""

    usual: dict[str, Any]
    """The state in which a daemon starts."""

    is_doubtful: bool
    """Whether records may be missing since its last snapshot."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A member at the moment."""

    member: MemberName
    record: RecordNumber
    """The last one until then."""

    at: str
    """When that was, by the hybrid clock."""

    kind: str
    """Of that record; `seal` where the daemon ended."""

    actors: tuple[ActorState, ...]
    cluster: dict[str, Any] | None
    """As the member saw it; None: that is not known."""

    troubles: tuple[str, ...]

    def of(self, actors: Collection[PartName]) -> "Rebuilt":
        """The same with these actors alone."""
        return replace(
            self, actors=tuple(one for one in self.actors if one.actor in actors)
        )


def rebuild(
    directory: Path,
    deciders: Sequence[Decider[Any]],
    when: When = None,
    *,
    counted: Callable[[Bytes], None] = lambda size: None,
) -> Rebuilt:
    """One member at the record or moment; None: at the end of its journal.

    Raises NoSuchMoment where the journal does not have it, OSError.
    """
    begins = _segment_of(segments(directory), when)
    rebuilder = _Rebuilder(deciders)
    rebuilder.read(directory, when, begins, counted)
    if rebuilder.is_incomplete and begins is not EVERYTHING:
        rebuilder = _Rebuilder(deciders)  # an earlier snapshot may be readable
        rebuilder.read(directory, when, EVERYTHING, counted)
    return rebuilder.rebuilt(when)


class _Rebuilder:
    def __init__(self, deciders: Sequence[Decider[Any]]) -> None:
        self._player = Player(deciders)
        self._deciders = deciders
        self._first: Record | None = None
        self._last: Record | None = None
        self._after: Record | None = None
        """The first one that is too late."""

        self._troubles: list[str] = []

    @property
    def is_incomplete(self) -> bool:
        """Whether reading from an earlier snapshot on can show more: the segment has
        just begun, something in it is damaged, or an actor stands nobody knows where."""
        player, last = self._player, self._last
        if last is None or last.kind in ("start", "snapshot") or self._troubles:
            return True
        return any(
            player.hearing.is_seen(decider.name) and decider.name not in player.states
            for decider in self._deciders
        )

    def read(
        self,
        directory: Path,
        when: When,
        window: Window,
        counted: Callable[[Bytes], None],
    ) -> None:
        for item in scan(directory, window, with_held=True):
            if isinstance(item, Record):
                counted(len(item.line))
                self._first = self._first or item
                if _is_beyond(item, when):
                    self._after = item
                    break
                self._last = item
            self._take(item)
        deque(self._player.finish(), maxlen=0)  # so that the last step is taken

    def _take(self, item: Record | Damage) -> None:
        for event in self._player.take(item):
            if isinstance(event, Unusable) and len(self._troubles) < MAXIMUM_TROUBLES:
                self._troubles.append(event.text)

    def rebuilt(self, when: When) -> Rebuilt:
        """Raises NoSuchMoment."""
        last = self._last
        if last is None or (
            isinstance(when, int) and last.n < when and not self._after
        ):
            raise NoSuchMoment(self._missing(when))
        election = self._player.settled(ELECTION.name)
        return Rebuilt(
            member=MemberName(str(last.fields["hlc"]).rpartition("/")[2]),
            record=last.n,
            at=last.wall,
            kind=last.kind,
            actors=tuple(self._actors()),
            cluster=cluster_seen(election) if isinstance(election, Election) else None,
            troubles=tuple(self._troubles),
        )

    def _actors(self) -> Iterator[ActorState]:
        hearing = self._player.hearing
        for decider in self._deciders:
            if not hearing.is_seen(decider.name):
                continue
            state = self._player.settled(decider.name)
            yield ActorState(
                actor=decider.name,
                state=None if state is None else state_json(decider, state),
                usual=state_json(decider, decider.initial(MemberName(""))),
                is_doubtful=hearing.is_doubtful(decider.name),
            )

    def _missing(self, when: When) -> str:
        """What the journal has instead."""
        first, last = self._first, self._last or self._first
        if first is None or last is None:
            return "there is no record that can be read"
        if isinstance(when, int):
            if self._last is None:
                return f"record {when} is before the first one that is kept, {first.n}"
            return f"there is no record {when}: the last one is {last.n}"
        return f"the journal begins at {first.wall} with record {first.n}, after {when}"


def cluster_seen(election: Election) -> dict[str, Any]:
    """The cluster and its own PostgreSQL, as a member sees them; in what JSON has."""
    view, settings, postgres = election.cluster, election.settings, election.postgres
    return {
        "leader": None if view is None else view.leader_name,
        "is_leader": election.lease_until is not None,
        "store_answers": election.store_lost_at is None,
        "paused": settings is not None and settings.paused,
        "members": [] if view is None else [as_json(one) for one in view.members],
        "sync": None if view is None else as_json(view.sync),
        "failover": None if view is None else as_json(view.failover),
        "config": None if view is None else view.config,
        "settings": as_json(settings),
        "phase": election.phase,
        "postgres": as_json(postgres),
    }


def _segment_of(found: Sequence[Segment], when: When) -> Window:
    """From the segment on that has the record or moment; it begins with snapshots."""
    for segment in reversed(found):
        begins = segment.first if isinstance(when, int) else begun_at(segment)
        if begins is None:
            continue
        if when is None or begins <= when:  # type: ignore[operator]  # of one kind
            return Window(after=segment.first - 1)
    return EVERYTHING


def _is_beyond(record: Record, when: When) -> bool:
    match when:
        case int():
            return record.n > when
        case str():
            return record.wall > when
        case _:
            return False
