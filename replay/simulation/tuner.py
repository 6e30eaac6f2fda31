"""The tuner of a simulated member: short SQL on a running server, and a look at it."""

from collections.abc import Callable

from regnal.messages.base import Command, Message, Seconds
from regnal.messages.envelope import Envelope
from regnal.messages.postgres import (
    AdvanceSlot,
    CreateSlot,
    DropSlot,
    ObservePostgres,
    SetSynchronousStandbys,
    SlotChanged,
    SlotRefused,
    SynchronousStandbysRefused,
    SynchronousStandbysSet,
)
from regnal.replay.simulation.member import Daemon, SimulatedMember
from regnal.replay.simulation.surroundings import Surroundings

LOOK: Seconds = 0.002
RELOAD: Seconds = 0.01


class SimulatedTuner:
    """Does not wait for the operator."""

    def __init__(
        self, world: Surroundings, member: SimulatedMember, daemon: Daemon
    ) -> None:
        self._world = world
        self._member = member
        self._daemon = daemon

    def perform(self, envelope: Envelope[Command]) -> bool:
        """Take the order; False: it is none of ours."""
        match envelope.message:
            case ObservePostgres():
                self._later(LOOK, lambda: self._observe(envelope))
            case SetSynchronousStandbys(value=value):
                self._later(RELOAD, lambda: self._set_standbys(value, envelope))
            case CreateSlot() | DropSlot() | AdvanceSlot():
                self._later(LOOK, lambda: self._change_slot(envelope))
            case _:
                return False
        return True

    def _later(self, delay: Seconds, event: Callable[[], None]) -> None:
        def when_it_runs() -> None:
            if self._daemon.frozen:
                self._daemon.backlog.append(when_it_runs)
            elif self._daemon.alive:
                event()

        self._world.scheduler.after(delay, when_it_runs)

    def _say(self, outcome: Message, envelope: Envelope[Command]) -> None:
        self._member.say(self._daemon, "tuner", outcome, envelope)

    def _observe(self, envelope: Envelope[Command]) -> None:
        self._world.observe(self._member.name, envelope)

    def _set_standbys(self, value: str, envelope: Envelope[Command]) -> None:
        server = self._world.postgres[self._member.name]
        if not server.is_open:
            refused = SynchronousStandbysRefused(value=value, error="simulated")
            self._say(refused, envelope)
            return
        server.synchronous_standby_names = value
        self._say(SynchronousStandbysSet(value=value, lsn=server.lsn), envelope)
        self._observe(envelope)

    def _change_slot(self, envelope: Envelope[Command]) -> None:
        server = self._world.postgres[self._member.name]
        command = envelope.message
        assert isinstance(command, CreateSlot | DropSlot | AdvanceSlot)
        match command:
            case CreateSlot(name=name):
                change, error = "created", None
            case DropSlot(name=name):
                is_used = name in server.slots_in_use(self._world.postgres)
                change, error = "dropped", "it is active" if is_used else None
            case AdvanceSlot(name=name):
                is_there = name in server.slots
                change, error = "advanced", None if is_there else "it does not exist"
        if not server.is_open:
            error = "not connected"
        if error is not None:
            self._say(
                SlotRefused(name=name, change=change, error=error),  # type: ignore[arg-type]
                envelope,
            )
            return
        match command:
            case CreateSlot():
                server.slots.setdefault(name, server.lsn)
            case DropSlot():
                server.slots.pop(name, None)
            case AdvanceSlot(lsn=lsn):
                server.slots[name] = max(server.slots[name], lsn)
        self._say(SlotChanged(name=name, change=change), envelope)  # type: ignore[arg-type]
        self._observe(envelope)
