"""A simulated member: the real deciders, and bridges to the simulated world."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from regnal.actors.incident_memory import Memory
from regnal.actors.incidents import INCIDENTS
from regnal.actors.step import Decider, Step
from regnal.journal.stamps import Clocks, Stamper
from regnal.messages.base import Command, MemberName, Message
from regnal.messages.daemon import ExitDaemon
from regnal.messages.envelope import Envelope
from regnal.messages.incidents import IncidentsRecalled
from regnal.messages.timers import CancelTimer, SetTimer, TimerFired
from regnal.replay.simulation.scheduler import Scheduler

HANDLING = 0.0002
"""Seconds until a mailbox is served; the same for all, so that order is kept."""


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
    timers: dict[str, float] = field(default_factory=dict)
    backlog: list[Callable[[], None]] = field(default_factory=list)
    """What happened to a frozen daemon, for when it goes on."""


Perform = Callable[[Daemon, Envelope[Command]], None]


class SimulatedMember:
    """A host: its daemon comes and goes."""

    def __init__(
        self,
        name: MemberName,
        scheduler: Scheduler,
        deciders: Sequence[Decider[Any]],
        perform: Perform,
    ) -> None:
        self.name = name
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
        clocks = Clocks(
            wall=lambda: int(1.8e15 + self._scheduler.now * 1e6),
            boot=lambda: self._scheduler.now,
        )
        self.exited = None
        self.daemon = self._last = Daemon(
            name=self.name,
            stamper=Stamper(self.name, self._incarnation, clocks),
            deciders=self._deciders,
            states={d.name: d.initial(self.name) for d in self._deciders},
        )
        return self.daemon

    def kill(self) -> None:
        """SIGKILL: the daemon is gone, mailboxes and timers with it."""
        if self.daemon is not None:
            self.daemon.alive = False
        self.daemon = None

    def freeze(self) -> None:
        """SIGSTOP."""
        if self.daemon is not None:
            self.daemon.frozen = True

    def thaw(self) -> None:
        """SIGCONT."""
        daemon = self.daemon
        if daemon is None or not daemon.frozen:
            return
        daemon.frozen = False
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
        if not daemon.alive:
            return
        if daemon.frozen:
            daemon.backlog.append(lambda: self.say(daemon, part, message, cause))
            return
        envelope = daemon.stamper.envelope(
            message, said_by=part, cause=cause, trace=None
        )
        self._deliver(daemon, envelope)

    def _deliver(self, daemon: Daemon, envelope: Envelope[Message]) -> None:
        for decider in daemon.deciders:
            if isinstance(envelope.message, decider.hears):
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
        for message in step.said:
            said = daemon.stamper.envelope(
                message, said_by=decider.name, cause=envelope, trace=None
            )
            self._deliver(daemon, said)
            if isinstance(message, Command):
                self._order(daemon, said)  # type: ignore[arg-type]

    def _order(self, daemon: Daemon, envelope: Envelope[Command]) -> None:
        match envelope.message:
            case SetTimer(name=name, at=at):
                daemon.timers[name] = at
                self._scheduler.at(at, lambda: self._fire(daemon, name, at, envelope))
            case CancelTimer(name=name):
                daemon.timers.pop(name, None)
            case ExitDaemon(message=message):
                self.exited = message
                self.kill()
            case _:
                self._perform(daemon, envelope)

    def _fire(
        self, daemon: Daemon, name: str, at: float, cause: Envelope[Message]
    ) -> None:
        if daemon.timers.get(name) != at:
            return
        del daemon.timers[name]
        self.say(daemon, "timers", TimerFired(name=name, due_at=at), cause)
