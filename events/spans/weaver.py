"""The weaver: from what a member's journal says to spans, record by record.

    weaver = Weaver(reporter)
    weaver.heed(rule)              # of a step, before the messages that it said
    spans = weaver.weave(envelope)

An *episode* is what goes on at this member from the first sign until all is well.  Its
spans are told as soon as it is known to which trace they belong: where a reign ends, to
that of the reign's end, on which all members agree; else, when it is over, to one of its
own.  Which message means what is in `troubles.hear`, `leader_keys` and `work`.
"""

from typing import get_args

from pydantic import ValidationError

from regnal.events.cloud import Reporter
from regnal.events.spans import naming
from regnal.events.spans.commands import (
    COMMANDS,
    HEARTBEATS,
    INTENTS,
    OUTCOMES,
    Answer,
    kind_of,
)
from regnal.events.spans.loom import Clock, Loom
from regnal.events.spans.memory import Memory, Rule
from regnal.events.spans.span import Span
from regnal.events.spans.troubles import hear, start
from regnal.messages import daemon, fencing, incidents, lease, operations, requests
from regnal.messages import postgres as pg
from regnal.messages.base import Instant, JsonText, Message
from regnal.messages.changes import StoreBack, StoreLost
from regnal.messages.cluster import ClusterObserved, StoreAnswered, StoreUnreachable
from regnal.messages.envelope import Envelope

_DECISIONS: tuple[type[Message], ...] = get_args(operations.SupervisorDecision)
_ALWAYS: tuple[type[Message], ...] = (
    *COMMANDS,
    *INTENTS,
    *_DECISIONS,
    *(word for word in OUTCOMES if word is not lease.LeaderRenewed),
    ClusterObserved,
    StoreUnreachable,
    StoreAnswered,
    StoreLost,
    StoreBack,
    daemon.DaemonStarted,
    daemon.ShutdownRequested,
    daemon.ShutdownCompleted,
    pg.PostmasterExited,
    pg.ReplicationEnded,
    fencing.GuardFenced,
    fencing.FencingWanted,
    fencing.FencingJudged,
    incidents.IncidentOpened,
    incidents.IncidentContinued,
    incidents.SuccessorNoted,
    requests.SwitchoverRequested,
    requests.RestartRequested,
    requests.RestartWanted,
    requests.ReinitializeRequested,
    requests.RequestAnswered,
)
_KINDS = frozenset(kind_of(word) for word in _ALWAYS)
_QUIET: tuple[type[Message], ...] = (*HEARTBEATS, lease.LeaderRenewed)
_QUIET_KINDS = frozenset(kind_of(word) for word in _QUIET)


class Weaver:
    """Makes spans of one member's journal; records in their order, each once."""

    def __init__(
        self,
        reporter: Reporter,
        memory: JsonText | None = None,
        *,
        share: float = 0.0,
        clock: Clock | None = None,
    ) -> None:
        """`memory` of another weaver, up to the same record; one that cannot be read is
        as if there was none.  `share` of what is no incident is told (0 to 1), and with
        more than none heartbeats are spans.  `clock`: the time of spans; None: our own
        wall clock."""
        self.reporter = reporter
        self._loom = Loom(reporter, share, clock)
        self.remember(memory)

    @property
    def memory(self) -> JsonText:
        return self._loom.memory.model_dump_json(exclude_defaults=True)

    def remember(self, memory: JsonText | None) -> None:
        self._loom.memory = Memory()
        if memory is not None:
            try:
                self._loom.memory = Memory.model_validate_json(memory)
            except ValidationError:
                self._loom.memory = Memory()

    @property
    def is_idle(self) -> bool:
        """Whether nothing goes on, so that nothing ends with time alone."""
        return self._loom.memory.episode is None

    def wants(self, kind: str) -> bool:
        """Whether a message of this kind tells something now: others need not be read."""
        if kind in _KINDS:
            return True
        if kind in _QUIET_KINDS:
            return self._loom.share > 0
        episode = self._loom.memory.episode
        if kind == "key_written":
            return episode is not None
        if kind == "postgres_observed":
            return episode is not None and episode.awaits_stream
        return False

    def at_boot(self, boot: str) -> None:
        """What follows was written in this boot of the host."""
        self._loom.memory.boot = boot

    def heed(self, rule: Rule) -> None:
        """A step was taken; what it said comes next."""
        self._loom.memory.rule = rule

    def tick(self, at: Instant) -> list[Span]:
        """So much time has passed, whatever happened."""
        return self._loom.tick(at)

    def finish(self) -> list[Span]:
        """The journal ends here: tell what is under way as far as it is known."""
        episode = self._loom.memory.episode
        if episode is None:
            return []
        episode.attributes[naming.UNFINISHED] = True
        return self._loom.close(Answer({naming.UNFINISHED: True}))

    def weave(self, envelope: Envelope[Message]) -> list[Span]:
        """The spans that are known to be over, and to belong to a trace, since this
        message."""
        message = envelope.message
        if isinstance(message, daemon.DaemonStarted):
            return start(self._loom, envelope, message)
        told = self._loom.tick(envelope.at)
        told += hear(self._loom, envelope)
        return told + self._loom.tell_what_is_known()
