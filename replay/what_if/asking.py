"""Asking: all members' journals, played side by side under other circumstances.

    asking = Asking(directories, evidence, Question(changes, downs, since, until))
    asking.run()
    asking.reruns["pg2"].differences

The members go forward together, in the order of their common time line: what one writes
into the DCS now the others see.  When the recording of one ends to be evidence it goes on
for the others until they hear of what that one did, or would hear of what it does now.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from regnal.actors.cast import DECIDERS
from regnal.actors.election import ELECTION
from regnal.actors.election_state import Election
from regnal.journal.chain_check import Damage
from regnal.journal.places import RecordNumber
from regnal.journal.progress import Progress, unheard
from regnal.journal.reader import Record, Window, scan
from regnal.messages.base import Instant, MemberName, Seconds
from regnal.messages.cluster import ClusterObserved, ClusterView
from regnal.messages.envelope import MessageId
from regnal.messages.probes import PeerStatus, ProbePeers
from regnal.replay.evidence.evidence import Evidence, Moment
from regnal.replay.evidence.track import When
from regnal.replay.playback.hearing import Recorded, Unusable
from regnal.replay.playback.player import Played, Player, Replayed, Restored
from regnal.replay.what_if.assuming import Probed
from regnal.replay.what_if.changes import Changes
from regnal.replay.what_if.clockwork import looked_ahead
from regnal.replay.what_if.ending import ACTING, Ending
from regnal.replay.what_if.rerun import Rerun
from regnal.replay.what_if.world import DOWN, Down, World

SLACK: Seconds = 5.0
"""A journal holds routine records back: what is so much later ends the window."""

REACHES_WITHIN: Seconds = 0.1
"""What one member does reaches another, through the DCS, at the earliest about then."""

ANSWERS_FOR: Seconds = 1.0
"""A daemon that has recorded nothing for so long, and nothing later, may be gone."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    changes: Changes
    downs: tuple[tuple[MemberName, Moment | None], ...] = ()
    """Members that are down from a moment on; None: from the beginning."""

    since: Moment | None = None
    """From when on the changes hold; None: from the beginning of the recording."""

    until: Moment | None = None


class _Settled(NamedTuple):
    """All of a group of snapshots have been taken."""


class _Event(NamedTuple):
    order: Moment
    member: MemberName
    number: int
    played: Played | _Settled
    moment: Moment
    is_quiet: bool
    """Whether nothing but repetitions is missing before it."""


class Asking:
    """One question to the journals of one cluster."""

    def __init__(
        self,
        directories: Mapping[MemberName, Path],
        evidence: Evidence,
        question: Question,
        progress: Progress = unheard,
    ) -> None:
        """Raises OSError."""
        self.question = question
        self.evidence = evidence
        self.world = World(
            downs={
                name: Down(name, since if since is not None else self._begin)
                for name, since in question.downs
            }
        )
        self.troubles: list[str] = []
        self.otherwise: Counter[MemberName] = Counter()
        """Recorded steps that this program decides otherwise without any change."""

        self._progress = progress
        self._directories = {
            name: path for name, path in directories.items() if name in evidence.tracks
        }
        self._bounds = {name: self._bounds_of(name) for name in self._directories}
        self.aheads = {
            name: looked_ahead(path, *self._bounds[name])
            for name, path in self._directories.items()
        }
        self.reruns = {
            name: Rerun(
                name,
                DECIDERS,
                question.changes,
                self.world,
                self.aheads[name],
                self._asker(name),
                question.since,
            )
            for name in self._directories
        }
        self._players: dict[MemberName, Player] = {}

    @property
    def first_end(self) -> tuple[MemberName, Ending] | None:
        """Of the member whose recording is the first to be no evidence any more."""
        ends = [
            (rerun.end.moment, name, rerun.end)
            for name, rerun in self.reruns.items()
            if rerun.end is not None and rerun.end.why in ACTING
        ]
        if not ends:
            return None
        _, name, end = min(ends, key=lambda one: one[:2])
        return name, end

    def run(self) -> None:
        """Raises ConfigurationError where a journal does not hold what was in force."""
        last: dict[MemberName, Moment] = {}
        for event in heapq.merge(*map(self._played, self._directories)):
            member, played, moment = event.member, event.played, event.moment
            rerun = self.reruns[member]
            if isinstance(played, Unusable):
                self.troubles.append(f"{member}: {played.text}")
                continue
            last[member] = moment
            if isinstance(played, _Settled):
                rerun.pass_quiet_time(self._players[member])
                continue
            if isinstance(played, Replayed):
                self._count_otherwise(member, played)
                if rerun.end is None:
                    rerun.end_at_last(self._end_by_others(member, played, moment))
            rerun.take(played, self._players[member], moment, is_quiet=event.is_quiet)
        for member, rerun in self.reruns.items():
            down = self.world.downs.get(member)
            if down is not None and rerun.end is None:
                rerun.end = Ending(down.since, 0, "is_down", None, "it is down")
            rerun.finish(last.get(member, self._begin))
        self._cut_what_came_late()

    def _cut_what_came_late(self) -> None:
        """That a member acts otherwise is known a moment later only.  What it decided
        meanwhile does not count, and what others did up to when they would have heard."""
        for rerun in self.reruns.values():
            if rerun.end is not None and rerun.end.why in ("acts", "acts_otherwise"):
                rerun.differences.cut(rerun.end.moment)
        first = self.first_end
        if first is None or first[1].why == "does_not_act":
            return
        member, end = first
        until = end.moment + REACHES_WITHIN
        for name, rerun in self.reruns.items():
            if name == member or rerun.end is None:
                continue
            rerun.differences.cut(until)
            if rerun.end.moment > until:
                text = f"it would hear of what {member} does"
                rerun.end = Ending(until, 0, "hears_of_it", None, text)

    @property
    def _begin(self) -> Moment:
        since = self.question.since
        return self.evidence.begin if since is None else since

    def _bounds_of(
        self, member: MemberName
    ) -> tuple[RecordNumber, RecordNumber | None]:
        """The last record before the window, and one that is surely behind it."""
        question, evidence = self.question, self.evidence
        after, last = 0, None
        if question.since is not None:
            before = evidence.last(
                evidence.begin, question.since - SLACK, member=member
            )
            after = 0 if before is None else before.record - 1
        if question.until is not None:
            behind = evidence.first(question.until + SLACK, evidence.end, member=member)
            last = None if behind is None else behind.record
        return after, last

    def _played(self, member: MemberName) -> Iterator[_Event]:
        """What happened to the member, with when that was; never going back."""
        after, last = self._bounds[member]
        clocks = self.evidence.clocks
        lives = {life.incarnation: life for life in self.evidence.tracks[member].lives}
        player = self._players[member] = Player(DECIDERS)
        order = moment = self.evidence.begin
        size = number = incarnation = 0
        is_quiet, was_snapshot = True, False
        window = Window(after=after)
        for item in scan(self._directories[member], window, with_held=True, whole=True):
            if isinstance(item, Record):
                if last is not None and item.n > last:
                    break
                size += len(item.line)
                self._progress(f"playing {member}", size, None)
            is_quiet = is_quiet and not _is_loss(item)
            is_snapshot = isinstance(item, Record) and item.kind == "snapshot"
            if was_snapshot and not is_snapshot:
                number += 1
                yield _Event(order, member, number, _Settled(), moment, is_quiet)
            was_snapshot = is_snapshot
            for played in player.take(item):
                if isinstance(played, Replayed):
                    incarnation = incarnation_of(played.heard.id)
                life = lives.get(incarnation)
                if life is not None and isinstance(played, Replayed | Restored):
                    moment = clocks.moment(When(life.boot, _at(played)))
                until = self.question.until
                if until is not None and moment > until:
                    return
                order, number = max(order, moment), number + 1
                yield _Event(order, member, number, played, moment, is_quiet)
                if isinstance(played, Replayed):
                    is_quiet = True
        if was_snapshot:
            yield _Event(order, member, number + 1, _Settled(), moment, is_quiet)

    def _count_otherwise(self, member: MemberName, played: Replayed) -> None:
        step, recorded = played.step, played.recorded
        if step is None or not isinstance(recorded, Recorded) or played.is_doubtful:
            return
        if step.rule != recorded.taken.rule or len(step.said) != len(recorded.said):
            self.otherwise[member] += 1

    def _end_by_others(
        self, member: MemberName, played: Replayed, moment: Moment
    ) -> Ending | None:
        down = self.world.downs.get(member)
        if down is not None and moment >= down.since:
            return Ending(down.since, played.record, "is_down", None, "it is down")
        for gone in self.world.downs.values():
            if moment >= gone.since and self._shows_acts_of(gone, member, played):
                text = f"it hears of what {gone.member} did in the recording"
                return Ending(moment, played.record, "hears_of_it", None, text)
        first = self.first_end
        if first is None or first[1].moment > moment:
            return None
        other, end = first
        if end.why != "does_not_act" and moment > end.moment + REACHES_WITHIN:
            text = f"it would hear of what {other} does"
            return Ending(moment, played.record, "hears_of_it", None, text)
        match played.heard.message:
            case ClusterObserved(view=view) if _shows_what_became_of(
                other, self.reruns[member].outside.view, view
            ):
                text = f"it hears of what {other} did in the recording"
                return Ending(moment, played.record, "hears_of_it", None, text)
        return None

    def _shows_acts_of(self, down: Down, member: MemberName, played: Replayed) -> bool:
        """Whether what is observed only came about because the member was not down."""
        before = self.reruns[member].outside.view
        match played.heard.message:
            case ClusterObserved(view=view) if (
                before is not None and before.leader_name == down.member
            ):
                return (
                    view.leader_name != down.member
                    or view.sync != before.sync
                    or view.failover != before.failover
                )
        return False

    def _asker(self, member: MemberName) -> Probed:
        """Probes on behalf of the member."""

        def probed(probe: ProbePeers, at: Instant) -> tuple[PeerStatus, ...] | None:
            moment = self.reruns[member].moment(at)
            peers = [self.peer(target.name, moment) for target in probe.targets]
            known = tuple(peer for peer in peers if peer is not None)
            return known if len(known) == len(peers) else None

        return probed

    def peer(self, name: MemberName, moment: Moment) -> PeerStatus | None:
        """What the member would answer; None: its journal is not here, or has ended, and
        nobody asked it then."""
        if self.world.is_down(name, moment):
            return PeerStatus(name=name, answered=False, error=DOWN)
        rerun = self.reruns.get(name)
        if rerun is None or not self._runs(name, moment):
            return self.world.answer_of(name, moment)
        state = rerun.states.get(ELECTION.name) or self._players[name].states.get(
            ELECTION.name
        )
        if not isinstance(state, Election) or state.settings is None:
            return None
        return _status_of(state)

    def _runs(self, name: MemberName, moment: Moment) -> bool:
        """Whether its daemon still wrote its journal."""
        return any(
            one.began <= moment <= one.last + ANSWERS_FOR
            for one in self.evidence.lives.get(name, ())
        )


def _status_of(state: Election) -> PeerStatus:
    """As the REST API of the member shows it."""
    postgres, settings = state.postgres, state.settings
    assert settings is not None
    accepts = postgres is not None and postgres.is_accepting
    return PeerStatus(
        name=state.member,
        answered=True,
        role="primary" if postgres is not None and postgres.is_primary else "replica",
        state="running" if accepts else "stopped",
        timeline=postgres.timeline if postgres is not None else None,
        position=state.position if accepts else None,
        nofailover=not settings.tags.may_lead,
        failover_priority=settings.tags.failover_priority,
        watchdog_failed=state.fencing == "failed",
        barred=state.is_barred,
    )


def _shows_what_became_of(
    member: MemberName, before: ClusterView | None, now: ClusterView
) -> bool:
    """Whether the keys show what this member did: took or gave up the lead, wrote other
    keys as the leader, or is in another state."""
    if before is None:
        return True
    was, has = before.member(member), now.member(member)
    if was is not None and has is not None:
        shown = (was.state, was.role, was.timeline)
        if shown != (has.state, has.role, has.timeline):
            return True
    if member not in (before.leader_name, now.leader_name):
        return False
    keys = (before.leader_name, before.sync, before.failover)
    return keys != (now.leader_name, now.sync, now.failover)


def incarnation_of(identifier: MessageId) -> int:
    return int(identifier.rsplit("/", 2)[1])


def _at(played: Replayed | Restored) -> Instant:
    if isinstance(played, Replayed):
        return played.heard.at
    at: Instant = played.record.fields["at"]
    return at


def _is_loss(item: Record | Damage) -> bool:
    """Whether records are missing here that were no repetitions."""
    if isinstance(item, Damage):
        return item.is_serious
    return item.kind in ("gap", "tail_cut")
