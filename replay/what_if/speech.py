"""Speech: what becomes of the words of a step, where they differ from the recorded ones.

A word that is said now as it was then stands in its place in the recording: whoever heard
it hears it there.  What was not said then is heard at once; what is not said now is owed a
little while, for it may be said later, and then has the recorded answer after all.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from regnal.journal.encoding import kind_of
from regnal.journal.places import RecordNumber
from regnal.messages.base import (
    Command,
    Instant,
    MemberName,
    Message,
    Outcome,
)
from regnal.messages.cluster import ClusterObserved
from regnal.messages.envelope import Envelope, HybridTime, MessageId, PartName
from regnal.messages.fencing import ArmGuard
from regnal.messages.frozen import replace
from regnal.messages.lease import AcquireLeader
from regnal.messages.postgres import PostgresObserved, PromotePostgres, StopPostgres
from regnal.messages.probes import ProbePeers
from regnal.replay.evidence.evidence import Moment
from regnal.replay.what_if.answers import LATENCY, bearing
from regnal.replay.what_if.assuming import Assuming
from regnal.replay.what_if.clockwork import Clockwork, Due
from regnal.replay.what_if.differing import GRACE
from regnal.replay.what_if.ending import Ending, Given, ending, missing
from regnal.replay.what_if.outside import Outside
from regnal.replay.what_if.substance import is_weighty
from regnal.replay.what_if.words import Pair, Words, alike


class Owed(NamedTuple):
    """A word that was said then, and has not been said now."""

    order: Envelope[Message]
    moment: Moment
    record: RecordNumber
    answers: dict[MessageId, Envelope[Message]]
    """What came of it meanwhile."""


class Speech:
    """Of one member."""

    def __init__(
        self,
        member: MemberName,
        outside: Outside,
        assuming: Assuming,
        clockwork: Clockwork,
    ) -> None:
        self.queue: deque[Envelope[Message]] = deque()
        """Words that were not said then, and are still to be heard."""

        self.assumed: dict[tuple[str, str], list[Moment]] = {}
        """By kind of the order, and what was assumed: when."""

        self._member = member
        self._outside = outside
        self._assuming = assuming
        self._clockwork = clockwork
        self._words: dict[MessageId, Message | None] = {}
        """What is said now in place of recorded words; None: nothing."""

        self._owed: dict[MessageId, Owed] = {}
        self._given: list[Given] = []
        """Orders without an answer, that the recording may give in a moment."""

        self._last: Envelope[Message] | None = None
        self._number = 0

    def clear(self, last: Envelope[Message]) -> None:
        """The run begins anew, after this recorded message."""
        self._words.clear()
        self._owed.clear()
        self._given.clear()
        self.queue.clear()
        self._last = last

    def follow(self, recorded: Envelope[Message]) -> None:
        """This recorded message is heard: stamps of new ones count from its."""
        self._last = recorded

    def in_place_of(self, recorded: Envelope[Message]) -> Envelope[Message] | None:
        """What is heard now where an actor said this then; None: nothing."""
        if recorded.id not in self._words:
            return recorded
        self._owed.pop(recorded.id, None)  # too late to say it in this place
        word = self._words[recorded.id]
        return None if word is None else replace(recorded, message=word)

    def speak(
        self,
        words: Words,
        heard: Envelope[Message],
        part: PartName,
        record: RecordNumber,
    ) -> None:
        """Give the words of a step their ways."""
        for pair in words.pairs:
            self._stand(pair)
        moment = self._outside.moment(heard.at)
        for unsaid in words.unsaid:
            self._words[unsaid.id] = None
            if self._was_given(unsaid.message):
                continue
            self._outside.misses(unsaid)
            self._assuming.withhold(unsaid.message)
            self._owed[unsaid.id] = Owed(unsaid, moment, record, {})
        for message in words.added:
            owed = self._owed_of(message)
            if owed is not None:
                self._outside.gives(owed.order)
                self._stand(Pair(owed.order, owed.order.message, message))
                self._deliver(owed, heard.at)
                continue
            word = self.envelope(message, heard.at, part, heard.id)
            if not self._say(word):
                self._given.append(ending(message, words.unsaid, moment, record))

    def await_the_guard(self, heard: Envelope[Message]) -> None:
        """It is waited for, and the recording has no answer of it here."""
        text = self._assuming.arm(heard.at, heard.id)
        self._note_assumed(ArmGuard, text, heard.at)

    def say_quietly(
        self, words: Sequence[Message], heard: Envelope[Message], part: PartName
    ) -> None:
        """Only the member's own timers and actors hear it."""
        for message in words:
            word = self.envelope(message, heard.at, part, heard.id)
            self._clockwork.heed(word)
            if not isinstance(message, Command):
                self.queue.append(word)

    def keeps(self, said: Envelope[Message]) -> bool:
        """Whether it came of an order that may still be given: its answer, a view in
        which the lease is ours, or PostgreSQL promoted or stopped."""
        owed = self._owed.get(said.cause or "")
        match said.message:
            case Outcome() if owed is not None:
                owed.answers.setdefault(said.id, said)
                return True
            case ClusterObserved(view=view) if view.leader_name == self._member:
                return self._came_of(AcquireLeader, said)
            case PostgresObserved(status=status) if status.is_primary:
                return self._came_of(PromotePostgres, said)
            case PostgresObserved(status=status) if status.process == "absent":
                return self._came_of(StopPostgres, said)
        return False

    def _came_of(self, order: type[Command], said: Envelope[Message]) -> bool:
        """Keep it for such an order, if one is owed."""
        for owed in self._owed.values():
            if isinstance(owed.order.message, order):
                owed.answers.setdefault(said.id, said)
                return True
        return False

    def settle(self, now: Moment) -> Ending | None:
        """Orders that are not given in time, or were given and not answered in time."""
        late = [one for one in self._given if now > one.end.moment + GRACE]
        self._given = [one for one in self._given if one not in late]
        end = late[0].end if late else None
        for identifier, owed in list(self._owed.items()):
            if now <= owed.moment + GRACE:
                continue
            del self._owed[identifier]
            if end is None and bearing(owed.order.message) == "acting":
                end = missing(owed.order.message, owed.moment, owed.record)
        return end

    def envelope(
        self, message: Message, at: Instant, part: PartName, cause: MessageId | None
    ) -> Envelope[Message]:
        """Of what was not said then: no incarnation of a daemon is numbered 0."""
        last = self._last
        assert last is not None
        self._number += 1
        wall_us = last.hlc.wall_us + round((at - last.at) * 1e6)
        return Envelope(
            id=f"{self._member}/0/{self._number}",
            hlc=HybridTime(wall_us, 0, self._member),
            ahead_us=last.ahead_us,
            at=at,
            said_by=part,
            cause=cause,
            trace=None,
            message=message,
        )

    def _was_given(self, message: Message) -> bool:
        """Whether it has been said, a moment sooner than it was then."""
        for given in self._given:
            if alike(given.order, message):
                self._given.remove(given)
                return True
        return False

    def _stand(self, pair: Pair) -> None:
        """The word stands in the place of the recorded one."""
        self._clockwork.heed(replace(pair.recorded, message=pair.now))
        self._words.pop(pair.recorded.id, None)
        if pair.now != pair.then:
            self._words[pair.recorded.id] = pair.now
            self._outside.replaces(pair)

    def _say(self, word: Envelope[Message]) -> bool:
        """Say what was not said then.  Returns whether it is known what comes of it."""
        self._clockwork.heed(word)
        self.queue.append(word)
        match bearing(word.message):
            case "acting":
                return False
            case "looking":
                self._assuming.look(word)
            case "assumed":
                text = self._assuming.expect(word)
                if text is None:
                    return False
                self._note_assumed(type(word.message), text, word.at)
        return True

    def _note_assumed(self, order: type[Message], text: str, at: Instant) -> None:
        moments = self.assumed.setdefault((kind_of(order), text), [])
        moments.append(self._outside.moment(at))

    def _owed_of(self, message: Message) -> Owed | None:
        """The recorded word that is said only now."""
        if not is_weighty(message) and not isinstance(message, ProbePeers):
            return None
        for owed in self._owed.values():
            if alike(owed.order.message, message):
                return self._owed.pop(owed.order.id)
        return None

    def _deliver(self, owed: Owed, at: Instant) -> None:
        """The answers that came before the order was given."""
        for answer in owed.answers.values():
            now = self._outside.heard(answer, self._outside.moment(answer.at))
            if now is not None:
                due = Due(at + LATENCY, now.said_by, now.message, owed.order.id)
                self._clockwork.expect(due)
