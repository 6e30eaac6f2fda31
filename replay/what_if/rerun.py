"""The rerun: one member's actors hear again what they heard, under another configuration.

    rerun = Rerun("pg2", DECIDERS, changes, world, ahead, probed)
    for played in player.take(item):
        rerun.take(played, player, moment)
    rerun.differences, rerun.end

Two runs go side by side.  The player's is the recording: its actors hear what they heard.
This one is a closed loop: from outside it hears what was recorded, as far as that would
be said now; inside, what its own actors say now.  Where a step *differs* (`substance`)
that is noted; where the differing words would have another answer from outside the run
ends, for from there on the recording is no evidence.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from regnal.actors.election import ELECTION
from regnal.actors.election_learning import HEARTBEAT
from regnal.actors.election_state import Election
from regnal.actors.step import Decider, Step
from regnal.actors.watchdog_state import Watchdog
from regnal.journal.entries import number_of
from regnal.journal.places import RecordNumber
from regnal.messages.base import Instant, MemberName, Message, Seconds
from regnal.messages.cluster import ClusterObserved
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.fencing import ArmGuard
from regnal.messages.lease import LeaderRenewed
from regnal.messages.postgres import PostgresObserved
from regnal.messages.settings import ConfigurationApplied
from regnal.messages.timers import CancelTimer, SetTimer, TimerFired
from regnal.replay.evidence.evidence import Moment
from regnal.replay.playback.hearing import Began, Recorded
from regnal.replay.playback.player import (
    Played,
    Player,
    Replayed,
    Restored,
    decided,
)
from regnal.replay.what_if.assuming import Assuming, Probed
from regnal.replay.what_if.changes import Changes, with_settings
from regnal.replay.what_if.clockwork import Ahead, Clockwork, Due
from regnal.replay.what_if.differing import Differences, Differing
from regnal.replay.what_if.ending import Ending
from regnal.replay.what_if.falls import Falls
from regnal.replay.what_if.outside import Outside
from regnal.replay.what_if.quiet import Quiet, standing
from regnal.replay.what_if.speech import Speech
from regnal.replay.what_if.substance import (
    same_decision,
)
from regnal.replay.what_if.words import Words, paired
from regnal.replay.what_if.world import World

EARLY: Seconds = 0.1
"""An actor that has not been seen to hear a message for so long only learned from it."""

SILENCE: Seconds = 5.0
"""So long after two heartbeats without a record, repetitions were left out."""


class Rerun:
    """One member.  Times are those of its own clock, moments are everybody's."""

    def __init__(
        self,
        member: MemberName,
        deciders: Sequence[Decider[Any]],
        changes: Changes,
        world: World,
        ahead: Ahead,
        probed: Probed,
        since: Moment | None,
    ) -> None:
        """`since`: when the changes begin to hold; None: at the beginning."""
        self.member = member
        self._since = since
        self.differences = Differences()
        self.end: Ending | None = None
        self.states: dict[PartName, Any] = {}
        self.clockwork = Clockwork(ahead)
        self.outside = Outside(member, changes, world, self.clockwork)
        assuming = Assuming(member, world, self.outside, self.clockwork, probed)
        self.speech = Speech(member, self.outside, assuming, self.clockwork)
        self._falls = Falls(member, world, self.outside, self.clockwork)
        self._deciders = {decider.name: decider for decider in deciders}
        self._world = world
        self._configuration = ahead.configuration
        self._runs = False
        self._is_fresh = False
        """Whether the daemon just started: its configuration is still to come."""

        self._early: dict[PartName, int] = {}
        """Number of the last message that was heard before that was seen."""

        self._early_then: dict[PartName, Any] = {}
        """The recorded run's state after that."""

        self._looked_at: Instant = float("-inf")
        self._now: Instant = float("-inf")
        self._record: RecordNumber = 0
        self._noted = 0
        self._last: Envelope[Message] | None = None
        self._timers: dict[str, Envelope[Message]] = {}
        """As they were set then, and may still be."""

        self._player: Player | None = None
        self._quiet: Quiet | None = None
        self._is_silent = False
        """Whether what is said is of the time before the changes."""

        self._revision = world.revision

    def take(
        self, played: Played, player: Player, moment: Moment, *, is_quiet: bool
    ) -> None:
        """What was played, which was at that moment; `is_quiet`: whether nothing but
        repetitions is missing before it.  Raises ConfigurationError."""
        self._player = player
        is_changed = self._since is None or moment >= self._since
        match played:
            case Replayed():
                self._take_step(played, player, moment, is_changed=is_changed)
            case Restored(is_doubtful=True):
                if self.end is None and is_changed and is_quiet:
                    self._note_quiet_time(played, player, moment)
                else:
                    self._runs = False  # begin anew behind what is missing
            case Began(is_opened=is_opened):
                self._runs, self._is_fresh, self._noted = False, is_opened, 0
                self._timers.clear()

    def _take_step(
        self, played: Replayed, player: Player, moment: Moment, *, is_changed: bool
    ) -> None:
        self.outside.offset = moment - played.heard.at
        if self._runs and self.end is None:
            self._pass_time(played.heard.at, player)
        self._note(played, moment)
        self.differences.look_again(played, moment)
        if is_changed and self.end is None:
            if not self._runs:
                self._start(played, player)
            self._follow(played)

    def moment(self, at: Instant) -> Moment:
        return self.outside.moment(at)

    def _note(self, played: Replayed, moment: Moment) -> None:
        """What was said then.  Actors hear late of what others heard long before."""
        self._note_timers(played)
        number = number_of(played.heard.id)
        if number <= self._noted:
            return
        self._noted = number
        self._last = played.heard
        self.outside.note(played.heard.message, moment)
        if isinstance(played.heard.message, ConfigurationApplied):
            self._configuration, self._is_fresh = played.heard, False

    def _note_timers(self, played: Replayed) -> None:
        if isinstance(played.recorded, Recorded):
            for said in played.recorded.said:
                match said:
                    case Envelope(message=SetTimer(name=name)):
                        self._timers[name] = said
                    case Envelope(message=CancelTimer(name=name)):
                        self._timers.pop(name, None)

    def _start(self, played: Replayed, player: Player) -> None:
        """Both runs part here: as if the configuration had been changed now."""
        states = {**player.states, played.actor: played.before}
        self._record = played.record
        self._begin(states, player, played.heard.at, played.heard)
        self._change()

    def _begin(
        self,
        states: dict[PartName, Any],
        player: Player,
        at: Instant,
        last: Envelope[Message],
    ) -> None:
        self.states = states
        self.clockwork.clear()
        self.outside.clear()
        self.speech.clear(last)
        self._early.clear()
        self._early_then.clear()
        self._runs = True
        self._now = at
        self._revision = 0  # what was changed before is to be seen
        self._hear_early(player)  # of the time before

    def _change(self) -> None:
        """Every actor hears the other configuration."""
        if self._is_fresh or self._configuration is None:
            return
        recorded = self._configuration.message
        assert isinstance(recorded, ConfigurationApplied)
        applied = self.outside.configured(recorded)
        if applied.settings != recorded.settings:
            self._configure(recorded, applied)
            self._let_hear()

    def _configure(
        self, recorded: ConfigurationApplied, applied: ConfigurationApplied
    ) -> None:
        """What an actor would do at any message just now, it does when the next one
        comes."""
        was, now = (
            self.speech.envelope(one, self._now, "configuration_files", None)
            for one in (recorded, applied)
        )
        for name, decider in self._deciders.items():
            if self.end is not None or name not in self.states:
                continue
            if not isinstance(applied, decider.hears):
                continue
            state = self.states[name]
            then, _ = decided(decider, state, was)
            step = self._hear(name, now)
            if same_decision(then, step):
                self.states[name] = with_settings(
                    state, recorded.settings, applied.settings
                )
                continue
            found = Differing(name, self.moment(self._now), now, None, then, step)
            self._compare(found, Words(added=_said(step)))

    def _note_quiet_time(
        self, played: Restored, player: Player, moment: Moment
    ) -> None:
        """Nothing but repetitions happened up to these snapshots, one of each actor."""
        if self._quiet is not None:
            return
        states = {name: player.settled(name) for name in player.states}
        states[played.actor] = played.replayed
        known = {name: state for name, state in states.items() if state is not None}
        self._quiet = Quiet(known, moment)

    def pass_quiet_time(self, player: Player) -> None:
        """Up to the snapshots that were taken.  Most of the repetitions are not in the
        journal: timers tell when they were, and what is looked at is as it was at the end.
        """
        quiet, self._quiet = self._quiet, None
        state = player.states.get(ELECTION.name)
        if quiet is None or self.has_ended or self._last is None:
            return
        is_quiet = standing(quiet.states) == standing(player.states)
        if not is_quiet or not isinstance(state, Election):
            self._runs = False  # more than repetitions: begin anew behind it
            return
        if self._runs:
            self._observe(state)
        else:
            self._begin_quietly(quiet, player, state, self._last)
        down = self._world.downs.get(self.member)
        until = quiet.until if down is None else min(quiet.until, down.since)
        at = until - self.outside.offset
        self._hear_what_is_due(self.clockwork.up_to(at, is_quiet=True))
        self._now = max(self._now, at)
        if standing(self.states) != standing(player.states):
            self._runs = False  # there was more to it

    def _hear_what_is_due(self, dues: Iterable[Due]) -> None:
        for due in dues:
            self._end(self.speech.settle(self.moment(due.at)))
            if self.outside.is_due(due) and not self.has_ended:
                self._hear_by_itself(due)
            if self.has_ended:
                return
            self._watch()

    def _begin_quietly(
        self, quiet: Quiet, player: Player, state: Election, last: Envelope[Message]
    ) -> None:
        """Begin where the changes do.  Up to there all went its way: the lease, if there
        is one, was just renewed."""
        since = last.at
        if self._since is not None:
            since = max(since, self._since - self.outside.offset)
        self._begin(quiet.states, player, since, last)
        self._is_silent = True
        if state.has_lease and state.settings is not None:
            until = since + state.settings.ttl
            renewed = LeaderRenewed(member=self.member, valid_until=until)
            self._hear_by_itself(Due(since, "dcs", renewed, None))
        self._observe(state)
        fired = TimerFired(name=HEARTBEAT, due_at=since)
        self._hear_by_itself(Due(since, "timers", fired, None))
        self._is_silent = False
        self.clockwork.arm(self._timers, since)
        self._change()

    def _observe(self, state: Election) -> None:
        """How far things have got by the end of quiet time."""
        moment = self.moment(self._now)
        observed: list[tuple[PartName, Message]] = []
        if state.postgres is not None:
            observed.append(("postgres", PostgresObserved(status=state.postgres)))
        if state.cluster is not None:
            observed.append(("dcs", ClusterObserved(view=state.cluster)))
        for part, then in observed:
            self.outside.note(then, moment)
            now = self._world.seen(then, self.member, moment)
            self._hear_by_itself(Due(self._now, part, now, None))

    def _follow(self, played: Replayed) -> None:
        actor = played.actor
        if self.end is not None or actor not in self.states:
            return
        if number_of(played.heard.id) <= self._early.get(actor, 0):
            return
        self._early_then.pop(actor, None)
        self.speech.follow(played.heard)
        self._record = played.record
        said = played.recorded.said if isinstance(played.recorded, Recorded) else ()
        now = self._in_place_of(played.heard)
        step = self._hear_again(actor, played.heard, now, played.before, played.step)
        self._compare(
            Differing(
                actor,
                self.moment(played.heard.at),
                now or played.heard,
                played.record,
                played.step,
                step,
            ),
            paired(said, _said(played.step), _said(step)),
        )
        self._let_hear()

    def _pass_time(self, until: Instant, player: Player) -> None:
        """What comes by itself up to then."""
        until = max(until, self._now)
        then = self.outside.then
        beats = 2 * then.loop_wait if then is not None else 0
        if until - self._now > beats + SILENCE and not self.clockwork.sleeps(until):
            self.clockwork.clear()
        self._falls.expect(until)
        self._hear_what_is_due(self.clockwork.up_to(until))
        self._now = until
        self._end(self.speech.settle(self.moment(until)))
        self._watch()
        if until - self._looked_at >= EARLY:
            self._looked_at = until
            self._hear_early(player)

    def _watch(self) -> None:
        """A key is another now than it was: the watch shows it."""
        view = self.outside.view
        if self._revision == self._world.revision or view is None:
            return
        self._revision = self._world.revision
        shown = self._world.shown(view, self.moment(self._now))
        self._hear_by_itself(Due(self._now, "dcs", ClusterObserved(view=shown), None))

    def _hear_early(self, player: Player) -> None:
        """Of what an actor only learned no record tells when it heard it; what it says
        now must not come hours later."""
        for name in self._deciders:
            self._catch_up(name, player, self._now - EARLY)
        self._let_hear()

    def _catch_up(self, name: PartName, player: Player, until: Instant) -> None:
        """What was said up to then the actor has heard, if it only learned from it."""
        if name not in self.states or name not in player.states:
            return
        then = self._early_then.get(name, player.states[name])
        for waiting in player.hearing.waiting(name):
            number = number_of(waiting.envelope.id)
            if number <= self._early.get(name, 0):
                continue
            if waiting.envelope.at > until:
                break
            step, _ = decided(self._deciders[name], then, waiting.envelope)
            if step is None or step.said or step.facts or step.rule:
                break  # of this a record will tell
            now = self._in_place_of(waiting.envelope)
            other = self._hear_again(name, waiting.envelope, now, then, step)
            then = self._early_then[name] = step.state
            self._early[name] = number
            moment = self.moment(waiting.envelope.at)
            self._compare(
                Differing(name, moment, waiting.envelope, waiting.record, step, other),
                Words(added=_said(other)),
            )

    def _in_place_of(self, recorded: Envelope[Message]) -> Envelope[Message] | None:
        """What is heard now where this was heard then; None: nothing."""
        if recorded.said_by in self._deciders:
            return self.speech.in_place_of(recorded)
        if self.speech.keeps(recorded):
            return None  # until it is asked for
        return self.outside.heard(recorded, self.moment(recorded.at))

    def _hear(self, actor: PartName, envelope: Envelope[Message]) -> Step[Any] | None:
        step, _ = decided(self._deciders[actor], self.states[actor], envelope)
        if step is not None:
            self.states[actor] = step.state
        return step

    def _hear_again(
        self,
        actor: PartName,
        then: Envelope[Message],
        now: Envelope[Message] | None,
        before: Any,
        step: Step[Any] | None,
    ) -> Step[Any] | None:
        """Where the same is heard in the same state, the recorded run's step is ours."""
        if now is None:
            return None
        if step is None or now is not then or self.states[actor] != before:
            return self._hear(actor, now)
        self.states[actor] = step.state
        return step

    def _hear_by_itself(self, due: Due) -> None:
        """What was not said then."""
        at = max(due.at, self._now)
        self._now = at
        self.speech.queue.append(
            self.speech.envelope(due.message, at, due.part, due.cause)
        )
        self._let_hear()

    def _let_hear(self) -> None:
        while self.speech.queue and self.end is None:
            envelope = self.speech.queue.popleft()
            for name, decider in self._deciders.items():
                if not isinstance(envelope.message, decider.hears):
                    continue
                if name not in self.states or self.end is not None:
                    continue
                if self._player is not None:
                    self._catch_up(name, self._player, envelope.at)
                step = self._hear(name, envelope)
                moment = self.moment(envelope.at)
                self._compare(
                    Differing(name, moment, envelope, None, None, step),
                    Words(added=_said(step)),
                )

    def _compare(self, found: Differing, words: Words) -> None:
        if self._is_silent:
            self.speech.say_quietly(words.added, found.heard, found.actor)
            return
        self.differences.take(found)
        self.speech.speak(words, found.heard, found.actor, self._record)
        if _awaits_the_guard(found.now) and not _awaits_the_guard(found.then):
            self.speech.await_the_guard(found.heard)

    @property
    def has_ended(self) -> bool:
        return self.end is not None

    def _end(self, end: Ending | None) -> None:
        """The first reason counts."""
        self.end = self.end or end

    def end_at_last(self, end: Ending | None) -> None:
        """Others end it, unless it has an order of its own that nobody answers."""
        if end is not None:
            self._end(self.speech.settle(float("inf")) or end)

    def finish(self, moment: Moment) -> None:
        """Nothing more is played."""
        self._end(self.speech.settle(float("inf")))
        text = "the recording ends, or the time that was asked for"
        self._end(Ending(moment, self._record, "recording", None, text))


def _said(step: Step[Any] | None) -> tuple[Message, ...]:
    return step.said if step is not None else ()


def _awaits_the_guard(step: Step[Any] | None) -> bool:
    """Whether the step arms a guard that had no deadline: of those orders alone the
    guard tells that it has done so."""
    return (
        step is not None
        and isinstance(step.state, Watchdog)
        and step.state.guard == "asked"
        and any(isinstance(message, ArmGuard) for message in step.said)
    )
