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

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from regnal.actors.step import Decider, Step
from regnal.journal.entries import number_of
from regnal.journal.places import RecordNumber
from regnal.messages.base import Instant, MemberName, Message, Outcome, Seconds
from regnal.messages.cluster import ClusterObserved
from regnal.messages.envelope import Envelope, HybridTime, MessageId, PartName
from regnal.messages.postgres import PostgresObserved, ReplicationEnded
from regnal.messages.settings import ConfigurationApplied
from regnal.replay.evidence.evidence import Moment
from regnal.replay.playback.hearing import Began, Recorded
from regnal.replay.playback.player import (
    Played,
    Player,
    Replayed,
    Restored,
    decided,
)
from regnal.replay.what_if.answers import bearing
from regnal.replay.what_if.assuming import Assuming, Probed
from regnal.replay.what_if.changes import Changes, with_settings
from regnal.replay.what_if.clockwork import Ahead, Clockwork, Due
from regnal.replay.what_if.ending import Ending, ending, missing
from regnal.replay.what_if.outside import Outside
from regnal.replay.what_if.substance import (
    differs,
    echoes,
    is_aside,
    is_weighty,
    judges,
    same_decision,
)
from regnal.replay.what_if.words import Pair, Words, alike, paired
from regnal.replay.what_if.world import World

EARLY: Seconds = 1.0
"""An actor that has not been seen to hear a message for so long only learned from it."""

SILENCE: Seconds = 5.0
"""So long after two heartbeats without a record, repetitions were left out."""


GRACE: Seconds = 1.0
"""What is said so much later than it was is still the same."""


@dataclass(slots=True)
class Differing:
    """A step that differs, and those that differ alike after it."""

    actor: PartName
    moment: Moment
    heard: Envelope[Message]
    record: RecordNumber | None
    """Of the message; None: it is not in the journal, for only now it comes."""

    then: Step[Any] | None
    now: Step[Any] | None
    """None: the actor heard nothing."""

    @property
    def is_minor(self) -> bool:
        """Whether nothing is ordered otherwise but asides, and nobody judged."""
        if not (is_aside(self.then) and is_aside(self.now)):
            return False
        return not (judges(self.then) or judges(self.now))

    repeats: int = 0
    then_at: Moment | None = None
    """When the same was decided in the recording, if it was."""


class Owed(NamedTuple):
    """A word that was said then, and has not been said now."""

    order: Envelope[Message]
    moment: Moment
    record: RecordNumber


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
    ) -> None:
        self.member = member
        self.steps = 0
        """That were compared."""

        self.differences: list[Differing] = []
        self.echoes: Counter[tuple[PartName, str]] = Counter()
        self.assumed: dict[tuple[str, str], list[Moment]] = {}
        """By kind of the order, and what was assumed: when."""

        self.end: Ending | None = None
        self.states: dict[PartName, Any] = {}
        self.clockwork = Clockwork(ahead)
        self.outside = Outside(member, changes, world, self.clockwork)
        self._assuming = Assuming(member, world, self.outside, self.clockwork, probed)
        self._deciders = {decider.name: decider for decider in deciders}
        self._world = world
        self._configuration = ahead.configuration
        self._runs = False
        self._is_fresh = False
        """Whether the daemon just started: its configuration is still to come."""

        self._words: dict[MessageId, Message | None] = {}
        """What is said now in place of recorded words; None: nothing."""

        self._owed: dict[MessageId, Owed] = {}
        self._queue: deque[Envelope[Message]] = deque()
        """Words that were not said then, and are still to be heard."""

        self._early: dict[PartName, int] = {}
        """Number of the last message that was heard before that was seen."""

        self._early_then: dict[PartName, Any] = {}
        """The recorded run's state after that."""

        self._looked_at: Instant = float("-inf")
        self._now: Instant = float("-inf")
        self._last: Envelope[Message] | None = None
        self._record: RecordNumber = 0
        self._noted = 0
        self._revision = world.revision
        self._told_downs: set[tuple[MemberName, str]] = set()
        self._number = 0

    def take(
        self, played: Played, player: Player, moment: Moment, *, is_changed: bool
    ) -> None:
        """What was played, which was at that moment; `is_changed`: whether the changes
        hold by then.  Raises ConfigurationError."""
        match played:
            case Replayed():
                self._note(played, moment)
                if self.end is not None:
                    self._find_again(played, moment)
                elif is_changed:
                    if not self._runs:
                        self._start(played, player)
                    self._follow(played, player)
            case Restored(is_doubtful=True):
                self._runs = False  # records are missing: begin anew behind them
            case Began(is_opened=is_opened):
                self._runs, self._is_fresh, self._noted = False, is_opened, 0

    def moment(self, at: Instant) -> Moment:
        return self.outside.moment(at)

    def _note(self, played: Replayed, moment: Moment) -> None:
        """What was said then.  Actors hear late of what others heard long before."""
        self.outside.offset = moment - played.heard.at
        number = number_of(played.heard.id)
        if number <= self._noted:
            return
        self._noted = number
        self.outside.note(played.heard.message, moment)
        if isinstance(played.heard.message, ConfigurationApplied):
            self._configuration, self._is_fresh = played.heard, False

    def _start(self, played: Replayed, player: Player) -> None:
        """Both runs part here: as if the configuration had been changed now."""
        self.states = {**player.states, played.actor: played.before}
        self.clockwork.clear()
        self.outside.clear()
        self._words.clear()
        self._owed.clear()
        self._queue.clear()
        self._early.clear()
        self._early_then.clear()
        self._runs = True
        self._now = played.heard.at
        self._last, self._record = played.heard, played.record
        self._revision = self._world.revision
        if self._is_fresh or self._configuration is None:
            return
        recorded = self._configuration.message
        assert isinstance(recorded, ConfigurationApplied)
        applied = self.outside.configured(recorded)
        if applied.settings != recorded.settings:
            self._change(recorded, applied)
            self._let_hear()

    def _change(
        self, recorded: ConfigurationApplied, applied: ConfigurationApplied
    ) -> None:
        """Every actor hears the other configuration; but what it would do at any message
        just now, it does when the next one comes."""
        was, now = (
            self._envelope(one, self._now, "configuration_files", None)
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

    def _follow(self, played: Replayed, player: Player) -> None:
        self._pass_time(played.heard.at, player)
        actor = played.actor
        if self.end is not None or actor not in self.states:
            return
        if number_of(played.heard.id) <= self._early.get(actor, 0):
            return
        self._early_then.pop(actor, None)
        self._last, self._record = played.heard, played.record
        said = played.recorded.said if isinstance(played.recorded, Recorded) else ()
        now = self._in_place_of(played.heard)
        step = None if now is None else self._hear(actor, now)
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
        self._expect_downs(until)
        for due in self.clockwork.up_to(until):
            if self.outside.is_due(due):
                self._hear_by_itself(due)
            if self.end is not None:
                return
        self._now = until
        self._settle(self.moment(until))
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

    def _expect_downs(self, until: Instant) -> None:
        """Who streams from a member that goes down notices, and its keys expire."""
        settings, status = self.outside.now, self.outside.status
        for down in self._world.downs.values():
            goes_at = down.since - self.outside.offset
            if down.member == self.member or until < goes_at or settings is None:
                continue
            if self._first("goes", down.member) and status is not None:
                if self._world.upstream_of(status) == down.member:
                    ended = ReplicationEnded(received_lsn=status.received_lsn)
                    seen = self._world.seen(
                        PostgresObserved(status=status), self.member, down.since
                    )
                    self.clockwork.expect(Due(goes_at, "postgres", ended, None))
                    self.clockwork.expect(Due(goes_at, "postgres", seen, None))
            keys_end_at = (
                self._world.keys_end_at(down, settings.ttl) - self.outside.offset
            )
            view = self.outside.view
            if until >= keys_end_at and view and self._first("keys", down.member):
                shown = self._world.shown(view, self.moment(keys_end_at))
                self.clockwork.expect(
                    Due(keys_end_at, "dcs", ClusterObserved(view=shown), None)
                )

    def _first(self, what: str, member: MemberName) -> bool:
        is_first = (member, what) not in self._told_downs
        self._told_downs.add((member, what))
        return is_first

    def _hear_early(self, player: Player) -> None:
        """Of what an actor only learned no record tells when it heard it; what it says
        now must not come hours later."""
        for name, decider in self._deciders.items():
            if name not in self.states or name not in player.states:
                continue
            then = self._early_then.get(name, player.states[name])
            for waiting in player.hearing.waiting(name):
                number = number_of(waiting.envelope.id)
                if number <= self._early.get(name, 0):
                    continue
                if waiting.envelope.at > self._now - EARLY:
                    break
                step, _ = decided(decider, then, waiting.envelope)
                if step is None or step.said or step.facts or step.rule:
                    break  # of this a record will tell
                now = self._in_place_of(waiting.envelope)
                other = None if now is None else self._hear(name, now)
                then = self._early_then[name] = step.state
                self._early[name] = number
                self._compare(
                    Differing(
                        name,
                        self.moment(self._now),
                        waiting.envelope,
                        waiting.record,
                        step,
                        other,
                    ),
                    Words(added=_said(other)),
                )
        self._let_hear()

    def _in_place_of(self, recorded: Envelope[Message]) -> Envelope[Message] | None:
        """What is heard now where this was heard then; None: nothing."""
        if recorded.said_by not in self._deciders:
            if recorded.cause in self._owed and isinstance(recorded.message, Outcome):
                self._settle(self.moment(recorded.at), answered=recorded.cause)
            return self.outside.heard(recorded, self.moment(recorded.at))
        if recorded.id not in self._words:
            return recorded
        self._owed.pop(recorded.id, None)  # too late to say it in this place
        word = self._words[recorded.id]
        return None if word is None else replace(recorded, message=word)

    def _hear(self, actor: PartName, envelope: Envelope[Message]) -> Step[Any] | None:
        step, _ = decided(self._deciders[actor], self.states[actor], envelope)
        if step is not None:
            self.states[actor] = step.state
        return step

    def _hear_by_itself(self, due: Due) -> None:
        """What was not said then."""
        at = max(due.at, self._now)
        self._now = at
        self._queue.append(self._envelope(due.message, at, due.part, due.cause))
        self._let_hear()

    def _let_hear(self) -> None:
        while self._queue and self.end is None:
            envelope = self._queue.popleft()
            for name, decider in self._deciders.items():
                if not isinstance(envelope.message, decider.hears):
                    continue
                if name not in self.states or self.end is not None:
                    continue
                step = self._hear(name, envelope)
                moment = self.moment(envelope.at)
                self._compare(
                    Differing(name, moment, envelope, None, None, step),
                    Words(added=_said(step)),
                )

    def _compare(self, found: Differing, words: Words) -> None:
        then, now = found.then, found.now
        self.steps += 1
        if differs(found.actor, then, now):
            self._add(found)
        elif then is not None and now is not None:
            self.echoes.update((found.actor, name) for name in echoes(then, now))
        unanswered = self._speak(found, words)
        if self.end is None:
            self.end = ending(words, unanswered, found.moment, self._record)

    def _add(self, found: Differing) -> None:
        for known in self.differences:
            if known.actor == found.actor and (
                same_decision(known.then, found.then)
                and same_decision(known.now, found.now)
            ):
                known.repeats += 1
                return
        self.differences.append(found)

    def _speak(self, found: Differing, words: Words) -> list[Message]:
        """Give the words of a step their ways.  Returns orders without an answer."""
        for pair in words.pairs:
            self.clockwork.heed(replace(pair.recorded, message=pair.now))
            if pair.now != pair.then:
                self._words[pair.recorded.id] = pair.now
                self.outside.replaces(pair)
        for unsaid in words.unsaid:
            self._words[unsaid.id] = None
            self.outside.misses(unsaid)
            self._assuming.withhold(unsaid.message)
            self._owed[unsaid.id] = Owed(unsaid, found.moment, self._record)
        unanswered = []
        for message in words.added:
            owed = self._pay(message)
            if owed is not None:
                self._words[owed.id] = message
                self.outside.replaces(Pair(owed, owed.message, message))
                continue
            envelope = self._envelope(
                message, found.heard.at, found.actor, found.heard.id
            )
            self.clockwork.heed(envelope)
            self._queue.append(envelope)
            if bearing(message) == "looking":
                self._assuming.look(envelope)
            elif bearing(message) == "assumed":
                text = self._assuming.expect(envelope)
                if text is None:
                    unanswered.append(message)
                else:
                    kind = type(message).model_fields["kind"].default
                    self.assumed.setdefault((kind, text), []).append(found.moment)
        return unanswered

    def _pay(self, message: Message) -> Envelope[Message] | None:
        """The recorded word that is said only now, a little later than it was."""
        for owed in self._owed.values():
            if is_weighty(message) and alike(owed.order.message, message):
                del self._owed[owed.order.id]
                self.outside.gives(owed.order)
                return owed.order
        return None

    def _settle(self, now: Moment, *, answered: MessageId | None = None) -> None:
        """Orders that were given then and are not given in time now."""
        for identifier, owed in list(self._owed.items()):
            if identifier != answered and now <= owed.moment + GRACE:
                continue
            del self._owed[identifier]
            if self.end is None and bearing(owed.order.message) == "acting":
                self.end = missing(owed.order.message, owed.moment, owed.record)

    def finish(self, moment: Moment) -> None:
        """Nothing more is played."""
        self._settle(float("inf"))
        if self.end is None:
            text = "the recording ends, or the time that was asked for"
            self.end = Ending(moment, self._record, "recording", None, text)

    def _envelope(
        self, message: Message, at: Instant, part: PartName, cause: MessageId | None
    ) -> Envelope[Message]:
        """Of what was not said then: no incarnation of the daemon is numbered 0."""
        last = self._last
        assert last is not None
        self._number += 1
        wall_us = last.hlc.wall_us + round((at - last.at) * 1e6)
        return Envelope(
            id=f"{self.member}/0/{self._number}",
            hlc=HybridTime(wall_us, 0, self.member),
            ahead_us=last.ahead_us,
            at=at,
            said_by=part,
            cause=cause,
            trace=None,
            message=message,
        )

    def _find_again(self, played: Replayed, moment: Moment) -> None:
        """Whether the recording came to the same decision later."""
        for found in self.differences:
            if found.then_at is None and found.actor == played.actor:
                if found.now is not None and same_decision(found.now, played.step):
                    found.then_at = moment


def _said(step: Step[Any] | None) -> tuple[Message, ...]:
    return step.said if step is not None else ()
