"""The loom: an episode while it goes on, the time in it, and when its spans are told.

The modules that know what messages mean (`leader_keys`, `work`, `troubles`) work on it.
"""

from collections.abc import Callable
from typing import TypeAlias

from regnal.events.cloud import Reporter
from regnal.events.spans import episodes, naming
from regnal.events.spans.commands import (
    INTENT_KINDS,
    OPERATION_KINDS,
    Answer,
    Attributes,
)
from regnal.events.spans.memory import MAXIMUM_TRACES, Episode, Memory
from regnal.events.spans.naming import RootName
from regnal.events.spans.span import Span, TraceId, UnixNanos
from regnal.events.spans.telling import Teller, trace_of
from regnal.events.tracing import trace_id
from regnal.messages.base import Instant, Message, Seconds
from regnal.messages.envelope import Envelope

LINGER: Seconds = 5.0
"""After the last thing that belonged to it an episode is over."""

QUIET_LINGER: Seconds = 1.0
AWAIT_STREAM: Seconds = 600.0
"""So long a standby may need to stream after all that was done for it."""

NO_ANSWER: Seconds = 60.0
"""By which what is no operation of PostgreSQL is answered, or never."""

Clock: TypeAlias = Callable[[str, Instant], UnixNanos]
"""When that instant of the boot of that id was."""

PRIMARY = ("primary", "promoting", "checkpointing")
_SETTLED = ("unknown", "absent", "stopped", "primary", "standby")
_BUSY_PHASES = ("elect", "promote", "fencing")
_BEGINNINGS: frozenset[RootName] = frozenset({*naming.QUIET, "start"})
"""What may yet become something else."""

_OVER = Answer({})


class Loom:
    """What goes on at one member, and whose trace it is."""

    def __init__(self, reporter: Reporter, share: float, clock: Clock | None) -> None:
        """See `Weaver`."""
        self.reporter = reporter
        self.memory = Memory()
        self._share = share
        self._clock = clock

    @property
    def share(self) -> float:
        return self._share

    def tick(self, at: Instant) -> list[Span]:
        """So much time has passed, whatever happened."""
        episode = self.memory.episode
        if episode is None:
            return []
        self._expire(episode, at)
        since = at - self._instant(episode, episode.last)
        if self.is_busy(episode):
            return []
        return self.close() if since >= self._linger(episode) else []

    def _linger(self, episode: Episode) -> Seconds:
        """How long more may come, when all seems well."""
        if episode.awaits_stream:
            return AWAIT_STREAM
        if episode.ending is None and episode.has_request and self.memory.request:
            return NO_ANSWER  # the leader is about to do as it was asked
        return QUIET_LINGER if episode.what in naming.QUIET else LINGER

    def sign(
        self,
        envelope: Envelope[Message],
        what: RootName,
        attributes: Attributes | None = None,
        *,
        is_fresh: bool = True,
    ) -> list[Span]:
        """Something begins, or what goes on is this as well.  `is_fresh`: whether it
        begins something new, where what went on before is as good as over."""
        told: list[Span] = []
        episode = self.memory.episode
        if episode is not None and is_fresh and self._may_be_over(episode):
            told = self.close()
            episode = None
        now = self.moment(envelope)
        if episode is None:
            episode = Episode(
                opened_by=envelope.id,
                what=what,
                start=now,
                last=now,
                anchor=envelope.at,
                anchor_wall=now,
                was_leader=self.memory.phase in PRIMARY,
                leader=self.memory.reign.leader if self.memory.reign else None,
                revision=self.memory.reign.revision if self.memory.reign else "",
            )
            self.memory.episode = episode
        episodes.grow_into(episode, what)
        episode.last = max(episode.last, now)
        episode.attributes |= attributes or {}
        return told

    def _may_be_over(self, episode: Episode) -> bool:
        if self.is_busy(episode):
            return False
        return episode.ending is not None or episode.what not in _BEGINNINGS

    def is_busy(self, episode: Episode) -> bool:
        memory = self.memory
        if memory.store_lost or memory.phase not in _SETTLED:
            return True
        if memory.reign is not None and not memory.is_led and not memory.is_down:
            return True
        return any(
            thread.kind not in INTENT_KINDS
            if thread.kind
            else thread.name in _BUSY_PHASES
            for thread in episode.open
        )

    def note(
        self,
        envelope: Envelope[Message],
        name: str,
        attributes: Attributes | None = None,
    ) -> None:
        episode = self.memory.episode
        if episode is not None:
            episodes.note(episode, name, self.moment(envelope), attributes)

    def moment(self, envelope: Envelope[Message]) -> UnixNanos:
        if self._clock is not None:
            return self._clock(self.memory.boot, envelope.at)
        episode = self.memory.episode
        if episode is None:
            return envelope.wall_us * 1000
        return episode.anchor_wall + nanos(envelope.at - episode.anchor)

    def _instant(self, episode: Episode, moment: UnixNanos) -> Instant:
        return episode.anchor + (moment - episode.anchor_wall) / 1e9

    def _expire(self, episode: Episode, at: Instant) -> None:
        """What should have been answered by now will not be."""
        for thread in tuple(episode.open):
            if not thread.kind or thread.kind in INTENT_KINDS | OPERATION_KINDS:
                continue
            if at - self._instant(episode, thread.start) >= NO_ANSWER:
                error = Answer({naming.ERROR: "no_answer"}, "no_answer", "no answer")
                last = episode.last
                episodes.end(episode, thread, last, error)

    def tell_what_is_known(self) -> list[Span]:
        """Of a reign that ended: the trace is known, so nothing need be kept."""
        episode = self.memory.episode
        if episode is None or episode.ending is None or not episode.ended:
            return []
        if episode.ending.leader is None:
            return []  # who leads tells the root: it may be us
        return self._tell(episode)

    def _tell(self, episode: Episode) -> list[Span]:
        if not episode.ordinal:
            trace = trace_of(episode)
            episode.ordinal = self.memory.told.pop(trace, 0) + 1
            self.memory.told[trace] = episode.ordinal
            while len(self.memory.told) > MAXIMUM_TRACES:
                del self.memory.told[next(iter(self.memory.told))]
        spans = Teller(self.reporter, episode).spans(episode.ended)
        episode.ended = []
        return spans

    def close(self, answer: Answer = _OVER) -> list[Span]:
        """The episode is over."""
        episode = self.memory.episode
        if episode is None:
            return []
        self.memory.episode = None
        episodes.end_all(episode, answer)
        is_incident = episode.ending is not None or episode.incident is not None
        if not is_incident and episode.what in naming.QUIET:
            trace = trace_id(self.reporter.scope, trace_of(episode))
            if not is_sampled(trace, self._share):
                return []
        told = self._tell(episode)
        teller = Teller(self.reporter, episode)
        return [*told, teller.whole(self.memory.phase)]

    def by_rule(self, envelope: Envelope[Message]) -> Attributes:
        found: Attributes = {naming.MESSAGE: envelope.id}
        rule = self.memory.rule
        if rule is not None and envelope.id in rule.said:
            found[naming.ACTOR] = rule.actor
            if rule.rule:
                found[naming.RULE] = rule.rule
        return found

    def split_from(self, revision: str) -> list[Span]:
        """Another reign's end begins another trace; commands under way go over."""
        episode = self.memory.episode
        if episode is None or episode.ending is None:
            return []
        if episode.ending.revision == revision:
            return []
        moving = [
            thread
            for thread in episode.open
            if thread.kind and thread.kind not in INTENT_KINDS
        ]
        episode.open = [one for one in episode.open if one not in moving]
        told = self.close()
        if moving:
            first = min(moving, key=lambda thread: thread.start)
            instant = self._instant(episode, first.start)
            self.memory.episode = Episode(
                opened_by=first.key,
                what="upkeep",
                start=first.start,
                last=first.start,
                anchor=instant,
                anchor_wall=first.start,
                was_leader=self.memory.phase in PRIMARY,
                count=len(moving),
                open=[one.model_copy(update={"parent": None}) for one in moving],
            )
        return told

    @property
    def going_on(self) -> Episode:
        """Where something certainly does."""
        episode = self.memory.episode
        assert episode is not None
        return episode


def is_sampled(trace: TraceId, share: float) -> bool:
    """Whether this trace belongs to the share, as all who look at its id agree."""
    return int(trace[16:], 16) < share * 2**64


def nanos(seconds: Seconds) -> int:
    return round(seconds * 1e9)
