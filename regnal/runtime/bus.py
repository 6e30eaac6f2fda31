"""The bus: carries every message, in the order in which the journal has it.

One lock makes numbering, recording and delivery one act, so that every actor
hears messages in the order of the journal; that is what lets a replay repeat it.
Orders to bridges leave after the lock, and where they decide who writes, after
the disk has them.
"""

import contextlib
import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from regnal.actors.shell import Outlet
from regnal.actors.step import Step
from regnal.bridges.contract import Bridge
from regnal.journal.stamps import Stamper
from regnal.journal.writer import JournalWriter
from regnal.messages.base import Command, Instant, Message
from regnal.messages.cluster import ClusterObserved
from regnal.messages.daemon import ActorFailed, ObservationSuperseded
from regnal.messages.envelope import Envelope, PartName, TraceId
from regnal.messages.host import ClockSkewSeen, MailboxAge
from regnal.messages.postgres import PostgresObserved
from regnal.messages.timers import TimerFired
from regnal.runtime.other_clocks import OtherClocks

logger = logging.getLogger(__name__)

SUPERSEDABLE = (PostgresObserved, ClusterObserved)
"""Observations that tell everything anew: of several waiting the last one counts."""


class Mailbox(Protocol):
    """An actor's address."""

    def tell(self, message: Envelope[Message]) -> None: ...


Listener = Callable[[PartName, Envelope[Message], Step[object] | None], None]
"""Hears of every step (for the log); must be quick and never raise."""


class Bus(Outlet):
    """Delivers by class: whoever hears a message gets it, in order."""

    def __init__(
        self, journal: JournalWriter, stamper: Stamper, clocks: OtherClocks
    ) -> None:
        self._journal = journal
        self._stamper = stamper
        self._clocks = clocks
        self._lock = threading.Lock()
        self._mailboxes: dict[type[Message], tuple[tuple[PartName, Mailbox], ...]] = {}
        self._bridges: dict[type[Command], Bridge] = {}
        self._latest: dict[tuple[PartName, type[Message], PartName], str] = {}
        self._waiting: dict[PartName, deque[Instant]] = {}
        """When what each actor has yet to hear, or is hearing, was said; one thread
        adds, one removes, and whoever looks takes no lock."""

        self._listeners: list[Listener] = []
        self.escalate: Callable[[PartName], None] = lambda actor: None

    def connect(
        self,
        actor: PartName,
        hears: Sequence[type[Message]],
        mailbox: Mailbox,
        *,
        takes_steps: bool = True,
    ) -> None:
        """Deliver these classes to the mailbox; before the first message only.

        `takes_steps`: every message ends in a call of this outlet, as a shell does it.
        """
        if takes_steps:
            self._waiting[actor] = deque()
        for word in hears:
            present = self._mailboxes.get(word, ())
            self._mailboxes[word] = (*present, (actor, mailbox))

    def attach(self, bridge: Bridge) -> None:
        """Deliver the bridge's commands to it; before the first message only."""
        for word in bridge.performs:
            assert word not in self._bridges, f"two bridges perform {word}"
            self._bridges[word] = bridge

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def voice(self, part: PartName) -> "PartVoice":
        """What the bridge `part` says things with."""
        return PartVoice(self, part)

    def say(
        self, part: PartName, message: Message, cause: Envelope[Message] | None
    ) -> None:
        """Record and deliver what a bridge says."""
        skews: tuple[ClockSkewSeen, ...] = ()
        with self._lock:
            if isinstance(message, ClusterObserved):
                # What others wrote came before this observation of it.
                skews = self._clocks.learn(message.view)
            envelope = self._stamper.envelope(
                message,
                said_by=part,
                cause=cause,
                # A timer's end is no part of what was going on when it was set.
                trace=cause.trace
                if cause is not None and not isinstance(message, TimerFired)
                else None,
            )
            self._journal.message(envelope)
            self._deliver(envelope)
        for listener in self._listeners:
            listener(part, envelope, None)
        for skew in skews:
            self.say("clocks", skew, envelope)

    def mailboxes(self) -> tuple[MailboxAge, ...]:
        """What waits, of each actor that has not heard everything."""
        now = self._stamper.clocks.boot()
        ages = []
        for actor, waiting in self._waiting.items():
            with contextlib.suppress(IndexError):  # it was heard meanwhile
                oldest = now - waiting[0]
                ages.append(
                    MailboxAge(actor=actor, waiting=len(waiting), oldest=oldest)
                )
        return tuple(ages)

    def stepped(
        self, actor: PartName, heard: Envelope[Message], step: Step[object]
    ) -> None:
        try:
            self._record_and_send(actor, heard, step)
        finally:
            self._is_heard(actor)

    def _record_and_send(
        self, actor: PartName, heard: Envelope[Message], step: Step[object]
    ) -> None:
        if not step.said and not step.facts:
            # Nothing to send; but the journal's snapshots must know the state.
            self._journal.record_step(actor, heard, step, (), durable=False)
            return
        trace = _trace(heard, step)
        durable = any(_decides_who_writes(message) for message in step.said)
        with self._lock:
            said = [
                self._stamper.envelope(message, said_by=actor, cause=heard, trace=trace)
                for message in step.said
            ]
            ticket = self._journal.record_step(
                actor, heard, step, said, durable=durable
            )
            for envelope in said:
                self._deliver(envelope)
        self._journal.wait_for(ticket)
        for envelope in said:
            self._order(envelope)
        for listener in self._listeners:
            listener(actor, heard, step)

    def is_superseded(self, actor: PartName, heard: Envelope[Message]) -> bool:
        if not isinstance(heard.message, SUPERSEDABLE):
            return False
        key = (actor, type(heard.message), heard.said_by)
        with self._lock:
            newer = self._latest.get(key, heard.id)
        if newer == heard.id:
            return False
        skipped = ObservationSuperseded(actor=actor, skipped=heard.id, newer=newer)
        self.say("bus", skipped, heard)
        self._is_heard(actor)
        return True

    def failed(
        self,
        actor: PartName,
        heard: Envelope[Message],
        error: Exception,
        failures: int,
    ) -> None:
        logger.error(
            "Actor %s could not handle %s: %s; it goes on from its last state.",
            actor,
            heard.message.__class__.__name__,
            error,
            exc_info=error,
        )
        trouble = ActorFailed(
            actor=actor,
            heard=heard.id,
            error=f"{type(error).__name__}: {error}",
            traceback="".join(traceback.format_exception(error)),
            failures=failures,
        )
        self.say(actor, trouble, heard)
        self._is_heard(actor)
        if failures >= FAILURES_BEFORE_DEMOTION:
            self.escalate(actor)

    def _deliver(self, envelope: Envelope[Message]) -> None:
        word = type(envelope.message)
        supersedable = word in SUPERSEDABLE
        for actor, mailbox in self._mailboxes.get(word, ()):
            if supersedable:
                self._latest[actor, word, envelope.said_by] = envelope.id
            if actor in self._waiting:
                self._waiting[actor].append(envelope.at)
            mailbox.tell(envelope)

    def _is_heard(self, actor: PartName) -> None:
        waiting = self._waiting.get(actor)
        if waiting:  # empty: somebody asked the actor past the bus
            waiting.popleft()

    def _order(self, envelope: Envelope[Message]) -> None:
        bridge = self._bridges.get(type(envelope.message))  # type: ignore[arg-type]
        if bridge is not None:
            bridge.perform(envelope)  # type: ignore[arg-type]


FAILURES_BEFORE_DEMOTION = 5
"""Messages in a row that an actor may fail on before PostgreSQL is demoted."""


class PartVoice:
    """A bridge's voice (see `bridges.contract.Voice`)."""

    def __init__(self, bus: Bus, part: PartName) -> None:
        self._bus = bus
        self._part = part

    def say(self, message: Message, cause: Envelope[Message] | None = None) -> None:
        self._bus.say(self._part, message, cause)


def _decides_who_writes(message: Message) -> bool:
    return isinstance(message, Command) and message.decides_who_writes


def _trace(heard: Envelope[Message], step: Step[object]) -> TraceId | None:
    """The trace goes on, or begins here if something begins here."""
    if heard.trace is not None:
        return heard.trace
    if all(message.routine for message in step.said):
        return None
    return heard.id
