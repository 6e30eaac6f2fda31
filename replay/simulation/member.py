"""A simulated member: the real deciders, and bridges to the simulated world."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from regnal.actors.incident_memory import Memory
from regnal.actors.incidents import INCIDENTS
from regnal.actors.step import Decider, Step
from regnal.journal.stamps import Clocks, Stamper, parse_hlc
from regnal.messages.base import Command, Instant, MemberName, Message, Seconds
from regnal.messages.daemon import ExitDaemon, ShutdownCompleted
from regnal.messages.envelope import Envelope, TraceId
from regnal.messages.incidents import IncidentsRecalled
from regnal.messages.timers import CancelTimer, SetTimer, TimerFired
from regnal.replay.simulation.host import Host
from regnal.replay.simulation.recording import Recorder
from regnal.replay.simulation.scheduler import Scheduler

HANDLING = 0.0002
"""Seconds until a mailbox is served; the same for all, so that order is kept."""


CATCHES_UP_WITHIN: Seconds = 1.0
"""A daemon that goes on has heard by then what it missed."""


@dataclass(frozen=True)
class Recorded:
    """A step of a simulated actor."""

    actor: str
    heard: Envelope[Message]
    step: Step[Any]


@dataclass
class Daemon:
    """One incarnation of a daemon: its actors and their states."""

    name: MemberName
    stamper: Stamper
    deciders: Sequence[Decider[Any]]
    states: dict[str, Any]
    alive: bool = True
    frozen: bool = False
    frozen_at: Instant = 0.0
    thawed_at: Instant = float("-inf")
    timers: dict[str, float] = field(default_factory=dict)
    backlog: list[Callable[[], None]] = field(default_factory=list)
    """What happened to a frozen daemon, for when it goes on."""

    def is_late(self, now: Instant) -> bool:
        """Whether it is stopped, or has not yet heard all that came meanwhile."""
        if self.frozen or now < self.thawed_at + CATCHES_UP_WITHIN:
            return True
        return any(due <= now for due in self.timers.values())


ORDERS = (Command, ShutdownCompleted)
"""What leaves the actors: the end of a shutdown is the process's business."""

Perform = Callable[[Daemon, Envelope[Command]], None]
AtMoment = Callable[[MemberName, Message], None]


class SimulatedMember:
    """A host: its daemon comes and goes."""

    def __init__(
        self,
        name: MemberName,
        scheduler: Scheduler,
        deciders: Sequence[Decider[Any]],
        perform: Perform,
        host: Host,
        at_moment: AtMoment,
        recorder: Recorder | None = None,
    ) -> None:
        """`at_moment` is told of every order before it leaves, and of what a bridge
        says before it is heard.  `recorder`: who writes the journal; None: nobody."""
        self.name = name
        self._host = host
        self._at_moment = at_moment
        self._recorder = recorder
        self._hearers: dict[type[Message], tuple[Decider[Any], ...]] = {}
        self.daemon: Daemon | None = None
        self.steps: list[Recorded] = []
        self.exited: str | None = None
        self._scheduler = scheduler
        self._deciders = deciders
        self._perform = perform
        self._incarnation = 0
        self._last: Daemon | None = None

    def recall(self) -> IncidentsRecalled:
        """What the journal of the incarnation before remembers of incidents."""
        state = self._last.states.get(INCIDENTS.name) if self._last else None
        memory = state.memory if state is not None else Memory()
        return IncidentsRecalled(
            incidents=memory.incidents,
            crashes=memory.crashes,
            reign=None,
            trouble=None,
        )

    def start(self) -> Daemon:
        """A new incarnation; says nothing by itself."""
        self._incarnation += 1
        clocks = Clocks(wall=self._host.wall, boot=lambda: self._scheduler.now)
        self.exited = None
        self.daemon = self._last = Daemon(
            name=self.name,
            stamper=Stamper(self.name, self._incarnation, clocks),
            deciders=self._deciders,
            states={d.name: d.initial(self.name) for d in self._deciders},
        )
        if self._recorder is not None:
            self._recorder.begin(self.daemon.stamper, self._host.boot_id)
        return self.daemon

    @property
    def incarnation(self) -> int:
        return self._incarnation

    def observe_stamp(self, stamp: str) -> None:
        """Another member's hybrid clock was seen."""
        if self.daemon is not None:
            self.daemon.stamper.observe(parse_hlc(stamp))

    def kill(self, *, orderly: bool = False) -> None:
        """SIGKILL (or its own end): the daemon is gone, mailboxes and timers with it."""
        if self.daemon is not None:
            self.daemon.alive = False
            if self._recorder is not None:
                self._recorder.end(orderly=orderly)
        self.daemon = None

    def freeze(self) -> None:
        """SIGSTOP."""
        if self.daemon is not None and not self.daemon.frozen:
            self.daemon.frozen = True
            self.daemon.frozen_at = self._scheduler.now

    def frozen_for(self, now: Instant) -> Seconds:
        """0 if it is not frozen."""
        daemon = self.daemon
        return now - daemon.frozen_at if daemon and daemon.frozen else 0.0

    def thaw(self) -> None:
        """SIGCONT."""
        daemon = self.daemon
        if daemon is None or not daemon.frozen:
            return
        daemon.frozen = False
        daemon.thawed_at = self._scheduler.now
        backlog, daemon.backlog = daemon.backlog, []
        for event in backlog:
            event()

    def say(
        self,
        daemon: Daemon,
        part: str,
        message: Message,
        cause: Envelope[Message] | None = None,
    ) -> None:
        """A bridge says something to this incarnation."""
        if daemon.alive and not daemon.frozen:
            self._at_moment(self.name, message)
        if not daemon.alive:
            return
        if daemon.frozen:
            daemon.backlog.append(lambda: self.say(daemon, part, message, cause))
            return
        envelope = daemon.stamper.envelope(
            message, said_by=part, cause=cause, trace=_trace_of(message, cause)
        )
        if self._recorder is not None:
            self._recorder.message(envelope)
        self._deliver(daemon, envelope)

    def _deliver(self, daemon: Daemon, envelope: Envelope[Message]) -> None:
        word = type(envelope.message)
        hearers = self._hearers.get(word)
        if hearers is None:
            hearers = tuple(d for d in daemon.deciders if issubclass(word, d.hears))
            self._hearers[word] = hearers
        for decider in hearers:
            self._scheduler.after(
                HANDLING,
                lambda decider=decider: self._hear(daemon, decider, envelope),  # type: ignore[misc]
            )

    def _hear(
        self, daemon: Daemon, decider: Decider[Any], envelope: Envelope[Message]
    ) -> None:
        if not daemon.alive:
            return
        if daemon.frozen:
            daemon.backlog.append(lambda: self._hear(daemon, decider, envelope))
            return
        step = decider.handle(daemon.states[decider.name], envelope)
        daemon.states[decider.name] = step.state
        if step.said or step.facts:
            self.steps.append(Recorded(decider.name, envelope, step))
        trace = envelope.trace
        if trace is None and not all(message.routine for message in step.said):
            trace = envelope.id
        said = [
            daemon.stamper.envelope(
                message, said_by=decider.name, cause=envelope, trace=trace
            )
            for message in step.said
        ]
        if self._recorder is not None:
            self._recorder.step(decider.name, envelope, step, said)
        for one in said:
            self._deliver(daemon, one)
        self._send(daemon, [one for one in said if isinstance(one.message, ORDERS)])

    def _send(self, daemon: Daemon, orders: list[Envelope[Any]]) -> None:
        """Orders leave when the journal has the step, those that decide who writes
        when the disk has it."""
        delay = self._host.journal_delay
        late = delay and any(_decides_who_writes(order) for order in orders)
        for order in orders:
            if late:
                self._scheduler.after(delay, partial(self._order, daemon, order))
            else:
                self._order(daemon, order)

    def _order(self, daemon: Daemon, envelope: Envelope[Command]) -> None:
        if daemon.alive and not daemon.frozen:
            self._at_moment(self.name, envelope.message)
        if not daemon.alive:
            return
        if daemon.frozen:
            daemon.backlog.append(lambda: self._order(daemon, envelope))
            return
        match envelope.message:
            case SetTimer(name=name, at=at):
                daemon.timers[name] = at
                self._scheduler.at(at, lambda: self._fire(daemon, name, at, envelope))
            case CancelTimer(name=name):
                daemon.timers.pop(name, None)
            case ExitDaemon(message=message):
                self.exited = message
                self._perform(daemon, envelope)
            case _:
                self._perform(daemon, envelope)

    def _fire(
        self, daemon: Daemon, name: str, at: float, cause: Envelope[Message]
    ) -> None:
        if daemon.timers.get(name) != at:
            return
        del daemon.timers[name]
        self.say(daemon, "timers", TimerFired(name=name, due_at=at), cause)


def _decides_who_writes(order: Envelope[Any]) -> bool:
    return isinstance(order.message, Command) and order.message.decides_who_writes


def _trace_of(message: Message, cause: Envelope[Message] | None) -> TraceId | None:
    """A timer's end is no part of what was going on when it was set."""
    if cause is None or isinstance(message, TimerFired):
        return None
    return cause.trace
