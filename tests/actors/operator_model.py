"""A PostgreSQL and its operator, as the supervisor may meet them at their worst.

The operator answers one command after the other and each exactly once, late or soon,
with success, failure or cancellation; PostgreSQL crashes whenever it likes, and the
monitor's observations are true when they are made.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from regnal.actors.postgres_supervisor import (
    INTENTS,
    POSTGRES_SUPERVISOR,
    RETRY_TIMER,
)
from regnal.actors.supervisor_state import Supervisor
from regnal.messages.base import Message
from regnal.messages.operations import (
    BecomePrimary,
    IntentFailed,
    IntentFulfilled,
    IntentRefused,
    PhaseChanged,
    StartAsPrimary,
)
from regnal.messages.postgres import (
    CancelOperation,
    CheckDivergence,
    CheckpointDone,
    CheckpointPostgres,
    ClonePostgres,
    ControlData,
    CrashRecovered,
    DatabaseInitialised,
    DataDirectoryRemoved,
    DivergenceChecked,
    FollowUpstream,
    InitialiseDatabase,
    ObservePostgres,
    OperationCancelled,
    OperationFailed,
    OperatorCommand,
    PostgresCloned,
    PostgresObserved,
    PostgresPromoted,
    PostgresReloaded,
    PostgresRewound,
    PostgresStarted,
    PostgresStatus,
    PostgresStopped,
    PostmasterExited,
    PrePromoteEnded,
    PromotePostgres,
    RecoverCrashed,
    ReloadPostgres,
    RemoveDataDirectory,
    RestartPostgres,
    RewindPostgres,
    RunPrePromote,
    StartPostgres,
    StopPostgres,
    UpstreamFollowed,
)
from regnal.messages.reasons import because
from regnal.messages.timers import SetTimer, TimerFired
from tests.actors.builders import SYSTEM, Told, begun

Answer = Literal["well", "badly", "late", "refused", "cancelled"]
"""late: the time was over, and PostgreSQL goes on with it.  refused: the order came too
late to be given at all."""

WRITERS = (PromotePostgres, StartPostgres)


def control(state: str = "shut down", **fields: Any) -> ControlData:
    return ControlData(
        **{
            "system_identifier": SYSTEM,
            "state": state,
            "timeline": 1,
            "checkpoint_lsn": 1000,
            "redo_lsn": 1000,
            "wal_log_hints": True,
            "checksums": False,
            **fields,
        }
    )


@dataclass
class Machine:
    """One server with its data directory, its operator and its supervisor."""

    exists: bool = True
    running: bool = False
    role: Literal["primary", "standby"] = "standby"
    clean: bool = True
    verdict: str = "can_follow"
    """What the next divergence check finds."""

    told: Told[Supervisor] = field(
        default_factory=lambda: begun(POSTGRES_SUPERVISOR, name="pg1")
    )
    queue: list[OperatorCommand] = field(default_factory=list)
    cancelled: int = 0
    """How many at the head of the queue were told to end."""

    checkpoint_takes: float = 0.1
    looked: PostgresStatus | None = None
    """What the monitor saw and has not told yet: true then, perhaps not now."""

    goes_on: bool = False
    """Whether PostgreSQL may yet become a primary that nobody waits for."""

    timer: float | None = None
    wanted: set[str] = field(default_factory=set)
    """Kinds of the intents that were neither fulfilled, nor failed, nor refused since
    they were last wanted."""

    ever_wanted: set[str] = field(default_factory=set)

    transitions: list[str] = field(default_factory=list)
    now: float = 100.0

    @property
    def phase(self) -> str:
        return self.told.state.phase

    def control(self) -> ControlData | None:
        if not self.exists:
            return None
        if self.role == "standby":
            return control(
                "shut down in recovery" if self.clean else "in archive recovery"
            )
        return control("shut down" if self.clean else "in production")

    def hear(self, message: Message) -> None:
        """The supervisor hears it; what it says happens here."""
        if isinstance(message, INTENTS):
            self.wanted.add(message.kind)
            self.ever_wanted.add(message.kind)
        self.told = self.told.hear(message, at=self.now)
        self.transitions += self.told.step.facts.get("transitions", ())
        for said in self.told.said:
            self._take(said)

    def _take(self, said: Message) -> None:
        match said:
            case IntentFulfilled() | IntentFailed() | IntentRefused():
                self._ended(said)
            case SetTimer(name=name, at=at):
                assert name == RETRY_TIMER
                self.timer = at
            case CancelOperation():
                self.cancelled = len(self.queue)
            case PhaseChanged() | ObservePostgres():
                pass
            case _:
                self._order(said)  # type: ignore[arg-type]

    def _ended(self, end: IntentFulfilled | IntentFailed | IntentRefused) -> None:
        assert end.intent in self.ever_wanted, end
        if isinstance(end, IntentFailed) and end.reason.code != "IN_PROGRESS":
            # Now the lease is given back; a stronger intent would stop PostgreSQL.
            assert not self.goes_on, f"after {end} it may yet take writes (law 1)"
        self.wanted.discard(end.intent)

    def _order(self, command: OperatorCommand) -> None:
        """The laws of what may be ordered, and when."""
        waiting = self.queue[self.cancelled :]
        others = [c for c in waiting if not isinstance(c, ReloadPostgres)]
        assert not others or isinstance(command, ReloadPostgres), (
            f"{command.kind} while {[c.kind for c in others]} is under way"
        )
        intent = self.told.state.intent
        if isinstance(command, PromotePostgres):
            assert isinstance(intent, BecomePrimary), intent
        if isinstance(command, StartPostgres) and command.role == "primary":
            assert isinstance(intent, StartAsPrimary), intent
        self.queue.append(command)

    def answer(self, how: Answer) -> None:
        """The operator is done with the command at the head of its queue."""
        command = self.queue.pop(0)
        was_cancelled = self.cancelled > 0
        self.cancelled = max(0, self.cancelled - 1)
        if how == "late" and self._is_late(command):
            self.goes_on = True
            code = "START" if isinstance(command, StartPostgres) else "PROMOTION"
            why = because(f"{code}_TIMEOUT", seconds=1.0)
            self.hear(OperationFailed(command=command.kind, reason=why))
        elif how == "cancelled" and was_cancelled:
            self.hear(OperationCancelled(command=command.kind))
        elif how == "refused" and isinstance(command, WRITERS):
            late = because("LEASE_ENDING", seconds=0.0)
            self.hear(OperationFailed(command=command.kind, reason=late))
        elif how in ("badly", "late", "refused"):
            self.hear(self._fail(command))
        else:
            self.hear(self._do(command))

    def _is_late(self, command: OperatorCommand) -> bool:
        """Whether it may take longer than it is waited for."""
        if isinstance(command, StartPostgres) and command.role == "primary":
            self.running, self.role, self.clean = True, "primary", False
            return True
        is_standby = self.running and self.role == "standby"
        return isinstance(command, PromotePostgres) and is_standby

    def _fail(self, command: OperatorCommand) -> Message:
        if isinstance(command, StartPostgres | RestartPostgres):
            self.running = False
        if isinstance(command, RunPrePromote):
            return PrePromoteEnded(exit_status=1)
        if isinstance(command, ClonePostgres):
            self.exists = False
        if isinstance(command, InitialiseDatabase):
            self.exists, self.clean, self.role = True, False, "primary"
        return OperationFailed(
            command=command.kind,
            reason=because("PROGRAM_FAILED", program="x", status=1),
        )

    def _do(self, command: OperatorCommand) -> Message:
        match command:
            case InitialiseDatabase():
                self.exists = self.running = True
                self.role, self.clean = "primary", False
                return DatabaseInitialised(system_identifier=SYSTEM)
            case StartPostgres(role=role) | RestartPostgres(role=role):
                self.running, self.role, self.clean = True, role, False
                return PostgresStarted(role=role, postmaster_pid=1)
            case StopPostgres(mode=mode):
                self.goes_on = False
                if self.running:
                    self.clean = mode != "immediate"
                self.running = False
                return PostgresStopped(control=self.control())
            case PromotePostgres():
                if not self.running or self.role != "standby":
                    return self._fail(command)
                self.role = "primary"
                return PostgresPromoted(timeline=2, lsn=1000, history=())
            case FollowUpstream():
                return (
                    UpstreamFollowed(restarted=False)
                    if self.running
                    else self._fail(command)
                )
            case RemoveDataDirectory():
                self.exists = False
                return DataDirectoryRemoved()
            case CheckDivergence():
                return DivergenceChecked(
                    verdict=self.verdict,  # type: ignore[arg-type]
                    local_timeline=1,
                    local_lsn=1000,
                    upstream_timeline=2,
                    switch_lsn=900,
                )
            case RewindPostgres():
                self.role, self.clean = "standby", True
                return PostgresRewound()
            case RecoverCrashed():
                self.clean = True
                return CrashRecovered(control=self.control())
            case ClonePostgres():
                self.exists, self.role, self.clean = True, "standby", True
                return PostgresCloned(method="basebackup")
            case _:
                return self._do_in_place(command)

    def _do_in_place(self, command: OperatorCommand) -> Message:
        match command:
            case CheckpointPostgres():
                return CheckpointDone(timeline=1, took=self.checkpoint_takes)
            case RunPrePromote():
                return PrePromoteEnded(exit_status=0)
            case ReloadPostgres():
                return PostgresReloaded()
        raise AssertionError(command)

    def crash(self) -> None:
        """The postmaster dies, and the monitor sees it at once."""
        if not self.running:
            return
        self.running = self.clean = self.goes_on = False
        self.hear(
            PostmasterExited(
                pid=1,
                exit_status=None,
                signal=9,
                expected=False,
                control=self.control(),
            )
        )

    def look(self) -> None:
        """The monitor looks, and is slow to tell."""
        self.looked = self.status()

    def observe(self) -> None:
        """The monitor tells what it saw; where it has not looked, it does so now."""
        status, self.looked = self.looked or self.status(), None
        self.hear(PostgresObserved(status=status))

    def status(self) -> PostgresStatus:
        return PostgresStatus(
            process="accepting" if self.running else "absent",
            data_directory="valid" if self.exists else "missing",
            server_version=150018,
            in_recovery=(self.role == "standby") if self.running else None,
            control=None if self.running else self.control(),
        )

    def wake(self) -> None:
        """The timer fires, if one is set."""
        if self.timer is None:
            return
        self.now, self.timer = max(self.now, self.timer), None
        self.hear(TimerFired(name=RETRY_TIMER, due_at=self.now))

    def settle(self) -> None:
        """Everything is answered, and well, until nothing is left to do."""
        self.verdict, self.looked = "can_follow", None
        for _ in range(40):
            if self.queue:
                self.answer("well")
            elif self.timer is not None:
                self.wake()
            else:
                self.observe()
                if not self.queue and self.timer is None:
                    return
        raise AssertionError(f"it goes on for ever: {self.transitions[-12:]}")

    def but(self, **changes: Any) -> "Machine":
        """The same machine, before anything was said, in another condition."""
        return replace(self, **changes)
