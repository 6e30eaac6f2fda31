"""Clockwork: what comes at a moment that nobody recorded: timers, and assumed answers.

A timer that is set otherwise now fires when it is due, as timers do: when that is can be
told exactly.  Of one that is set as it was then the recorded firing counts, late as it may
have been.  A daemon that did not run (stopped, starved) fired nothing meanwhile.
"""

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from regnal.journal.decoding import Undecodable, envelope_of
from regnal.journal.encoding import kind_of
from regnal.journal.places import RecordNumber
from regnal.journal.reader import Record, scan
from regnal.messages.base import Instant, Message, Seconds
from regnal.messages.cluster import StoreAnswered, StoreUnreachable
from regnal.messages.envelope import Envelope, MessageId, PartName
from regnal.messages.host import StallNoticed
from regnal.messages.lease import (
    AcquireLeader,
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseUnconfirmed,
    RenewLeader,
)
from regnal.messages.settings import ConfigurationApplied
from regnal.messages.timers import CancelTimer, SetTimer, TimerFired

LATE: Seconds = 0.25
"""A timer that fires so much too late tells that the daemon did not run."""

ROUND_TRIP: Seconds = 0.1
"""An order given so shortly before one that got no answer gets none either."""


class Absence(NamedTuple):
    """The daemon did not run, or the store did not answer."""

    since: Instant
    until: Instant

    def covers(self, at: Instant) -> bool:
        return self.since <= at < self.until


@dataclass
class Ahead:
    """What must be known of a journal before it is played."""

    fired: set[tuple[str, Instant]] = field(default_factory=set)
    """Timers that fired, with when they were due."""

    absences: list[Absence] = field(default_factory=list)
    silences: list[Absence] = field(default_factory=list)
    """When the store did not answer, from the first order on that it left unanswered."""

    configuration: Envelope[Message] | None = None
    """The last that was applied before the window, or the first one in it; None: none is
    there."""

    asked: Envelope[Message] | None = None
    """The last order to acquire or renew the lease."""

    grants: list[Envelope[Message]] = field(default_factory=list)
    """Everything that was said of the lease: also in quiet stretches, which are not
    played."""

    def store_answers(self, at: Instant) -> bool:
        return not any(silence.covers(at) for silence in self.silences)


def looked_ahead(
    directory: Path, after: RecordNumber, last: RecordNumber | None
) -> Ahead:
    """One pass over the journal up to the record `last`; only what is needed is parsed.
    `after`: the last record before the window.  Raises OSError."""
    ahead = Ahead()
    for item in scan(directory, with_held=True):
        if not isinstance(item, Record) or item.kind != "message":
            continue
        if last is not None and item.n > last:
            break
        is_early = item.n <= after
        wanted = _FROM_BEFORE if is_early else _FROM_THE_WINDOW
        if any(kind in item.line for kind in wanted):
            try:
                _note(ahead, envelope_of(item), is_early=is_early)
            except Undecodable:
                continue  # whoever plays the journal says so
    return ahead


def _note(ahead: Ahead, envelope: Envelope[Message], *, is_early: bool) -> None:
    match envelope.message:
        case ConfigurationApplied():
            if is_early or ahead.configuration is None:
                ahead.configuration = envelope
        case TimerFired(name=name, due_at=due_at):
            ahead.fired.add((name, due_at))
            if envelope.at - due_at > LATE:
                ahead.absences.append(Absence(due_at, envelope.at))
        case RenewLeader() | AcquireLeader():
            ahead.asked = envelope
        case LeaderAcquired() | LeaderRenewed() | LeaderReleased() | LeaderHandedOver():
            ahead.grants.append(envelope)
            _end_silence(ahead, envelope.at)
        case StoreAnswered():
            _end_silence(ahead, envelope.at)
        case StoreUnreachable(unanswered_for=seconds):
            since, asked = envelope.at - seconds, ahead.asked
            if asked is not None and asked.at > since:
                since = asked.at - ROUND_TRIP  # nobody asked before
            _begin_silence(ahead, since)
        case LeaseUnconfirmed():
            asked = ahead.asked
            is_answer = asked is not None and asked.id == envelope.cause
            since = asked.at if asked is not None and is_answer else envelope.at
            _begin_silence(ahead, since - ROUND_TRIP)
        case StallNoticed(missing=missing):
            ahead.absences.append(Absence(envelope.at - missing, envelope.at))


def _begin_silence(ahead: Ahead, since: Instant) -> None:
    last = ahead.silences[-1] if ahead.silences else None
    if last is None or last.until != math.inf:
        ahead.silences.append(Absence(since, math.inf))
    elif since < last.since:
        ahead.silences[-1] = Absence(since, math.inf)


def _end_silence(ahead: Ahead, at: Instant) -> None:
    last = ahead.silences[-1] if ahead.silences else None
    if last is not None and last.until == math.inf:
        ahead.silences[-1] = Absence(last.since, at)


def _marker(word: type[Message]) -> bytes:
    return b'"type":"%b"' % kind_of(word).encode()


_FROM_BEFORE = (_marker(ConfigurationApplied),)
_FROM_THE_WINDOW = (
    _marker(AcquireLeader),
    _marker(RenewLeader),
    _marker(LeaseUnconfirmed),
    _marker(StoreAnswered),
    _marker(StoreUnreachable),
    _marker(ConfigurationApplied),
    _marker(LeaderAcquired),
    _marker(LeaderHandedOver),
    _marker(LeaderReleased),
    _marker(LeaderRenewed),
    _marker(StallNoticed),
    _marker(TimerFired),
)


class Due(NamedTuple):
    """Something that comes by itself."""

    at: Instant
    part: PartName
    """Who says it."""

    message: Message
    cause: MessageId | None


class Clockwork:
    """Of one member."""

    def __init__(self, ahead: Ahead) -> None:
        self._ahead = ahead
        self._armed: dict[str, tuple[Instant, MessageId]] = {}
        self._touched: set[str] = set()
        """Timers that were set or cancelled since the start of the run: of all others
        what was recorded counts."""

        self._coming: list[tuple[Instant, int, Due]] = []
        self._count = 0

    def clear(self) -> None:
        """The run begins anew."""
        self._armed.clear()
        self._touched.clear()
        self._coming.clear()

    def arm(self, timers: Mapping[str, Envelope[Message]], since: Instant) -> None:
        """Timers that were set before the run began, and not since."""
        for name, order in timers.items():
            is_open = isinstance(order.message, SetTimer) and order.message.at > since
            if is_open and name not in self._touched:
                self.heed(order)

    def heed(self, order: Envelope[Message]) -> None:
        """A command was said."""
        match order.message:
            case SetTimer(name=name, at=at):
                self._armed[name] = (at, order.id)
                self._touched.add(name)
            case CancelTimer(name=name):
                self._armed.pop(name, None)
                self._touched.add(name)

    def fires(self, recorded: TimerFired) -> bool:
        """Whether the recorded firing comes now as well."""
        if recorded.name not in self._touched:
            return True
        at, _ = self._armed.get(recorded.name, (None, None))
        if at != recorded.due_at:
            return False
        del self._armed[recorded.name]
        return True

    def expect(self, due: Due) -> None:
        self._count += 1
        heapq.heappush(self._coming, (due.at, self._count, due))

    def store_answers(self, at: Instant) -> bool:
        return self._ahead.store_answers(at)

    def sleeps(self, until: Instant) -> bool:
        """Whether the daemon did not run right before."""
        return any(a.since < until <= a.until for a in self._ahead.absences)

    def up_to(self, now: Instant, *, is_quiet: bool = False) -> Iterator[Due]:
        """What is due by then, one after the other, as long as it is asked for: each may
        set timers of its own.  `is_quiet`: recorded firings are not heard."""
        while (due := self._next(now, is_quiet=is_quiet)) is not None:
            yield due

    def _next(self, now: Instant, *, is_quiet: bool) -> Due | None:
        timer = min(self._own_timers(is_quiet=is_quiet), default=None)
        coming = self._coming[0][0] if self._coming else None
        if timer is not None and (coming is None or timer[0] <= coming):
            fires_at, name = timer
            if fires_at > now:
                return None
            at, cause = self._armed.pop(name)
            fired = TimerFired(name=name, due_at=at)
            return Due(fires_at, "timers", fired, cause)
        if coming is None or coming > now:
            return None
        return heapq.heappop(self._coming)[2]

    def _own_timers(self, *, is_quiet: bool) -> Iterable[tuple[Instant, str]]:
        for name, (at, _) in self._armed.items():
            if is_quiet or (name, at) not in self._ahead.fired:
                yield self._awake(at), name

    def _awake(self, at: Instant) -> Instant:
        """When the daemon ran, from then on."""
        for absence in self._ahead.absences:
            if absence.covers(at):
                at = absence.until
        return at
