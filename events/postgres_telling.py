"""What PostgreSQL, its guard and its watchdog tell: one message, one event."""

from regnal.events.base import Event
from regnal.events.memory import Memory
from regnal.events.postgres import (
    PostgresDiverged,
    PostgresOperationFailed,
    PostgresRebuilt,
    PostgresRewound,
    SlotChanged,
    SlotRefused,
    SynchronousStandbysChanged,
)
from regnal.events.safety import (
    GuardFailed,
    MemberFenced,
    WatchdogActivated,
    WatchdogFailed,
)
from regnal.events.told import Told
from regnal.messages import fencing, postgres
from regnal.messages.base import Message
from regnal.messages.synchronous import StandbyNamesFound

POSTGRES: tuple[type[Message], ...] = (
    postgres.PostgresPromoted,
    postgres.SynchronousStandbysSet,
    StandbyNamesFound,
    postgres.DivergenceChecked,
    postgres.PostgresRewound,
    postgres.PostgresCloned,
    postgres.OperationFailed,
    postgres.SlotChanged,
    postgres.SlotRefused,
    fencing.GuardFenced,
    fencing.GuardFailed,
    fencing.WatchdogActivated,
    fencing.WatchdogFailed,
    fencing.WatchdogNotUsable,
)


def postgres_told(memory: Memory, message: Message) -> tuple[Memory, list[Told]]:
    match message:
        case postgres.SynchronousStandbysSet(value=value):
            return _of_standbys(memory, value)
        case StandbyNamesFound(value=value):
            return _of_standbys(memory, value)
        case postgres.SlotRefused():
            return _of_refusal(memory, message)
    event = _of_server(message) or _of_guards(message)
    return memory, [] if event is None else [Told(event)]


def _of_standbys(memory: Memory, value: str) -> tuple[Memory, list[Told]]:
    if value == memory.synchronous or (not value and memory.synchronous is None):
        return memory.model_copy(update={"synchronous": value}), []
    event = SynchronousStandbysChanged(names=value, previous=memory.synchronous)
    return memory.model_copy(update={"synchronous": value}), [Told(event)]


def _of_refusal(
    memory: Memory, refused: postgres.SlotRefused
) -> tuple[Memory, list[Told]]:
    """Tried again at every heartbeat, it is told once."""
    slot, error = refused.name, f"{refused.change}: {refused.error}"
    if memory.refusals.get(slot) == error:
        return memory, []
    event = SlotRefused(slot=slot, change=refused.change, error=refused.error)
    return memory.with_refusal(slot, error), [Told(event)]


def _of_server(message: Message) -> Event | None:
    match message:
        case postgres.DivergenceChecked(verdict="diverged"):
            return PostgresDiverged(
                timeline=message.local_timeline,
                lsn=message.local_lsn,
                leader_timeline=message.upstream_timeline,
                switch_lsn=message.switch_lsn,
                lost_commits=message.lost_commits,
                lost_wal_bytes=message.lost_wal,
            )
        case postgres.PostgresRewound():
            return PostgresRewound()
        case postgres.PostgresCloned(method=method):
            return PostgresRebuilt(method=method)
        case postgres.OperationFailed(command=command, reason=reason):
            return PostgresOperationFailed(
                operation=command, code=reason.code, reason=str(reason)
            )
        case postgres.SlotChanged(name=name, change=change) if change != "advanced":
            return SlotChanged(slot=name, change=change)
        case _:
            return None


def _of_guards(message: Message) -> Event | None:
    match message:
        case fencing.GuardFenced(postmaster_pid=pid, late_by=late):
            return MemberFenced(pid=pid, late_seconds=late)
        case fencing.GuardFailed(error=error):
            return GuardFailed(error=error)
        case fencing.WatchdogActivated(timeout=timeout):
            return WatchdogActivated(timeout_seconds=timeout)
        case fencing.WatchdogFailed(error=error):
            return WatchdogFailed(error=error)
        case fencing.WatchdogNotUsable(timeout=timeout, loop_wait=loop_wait):
            return WatchdogFailed(
                error=f"a timeout of {timeout:.0f} s is too short for a loop_wait of "
                f"{loop_wait:.0f} s"
            )
        case _:
            return None
