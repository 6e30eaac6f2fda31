"""The operator of a simulated member."""

from collections.abc import Callable

from regnal.messages.base import Command, Instant, Message, Seconds
from regnal.messages.cluster import HistoryLine
from regnal.messages.envelope import Envelope
from regnal.messages.postgres import (
    CancelOperation,
    CheckDivergence,
    CheckpointDone,
    CheckpointPostgres,
    ClonePostgres,
    CrashRecovered,
    DatabaseInitialised,
    DataDirectoryRemoved,
    DivergenceChecked,
    FollowUpstream,
    InitialiseDatabase,
    OperationCancelled,
    OperationFailed,
    PostgresCloned,
    PostgresPromoted,
    PostgresReloaded,
    PostgresRewound,
    PostgresStarted,
    PostgresStopped,
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
from regnal.replay.simulation.host import Host
from regnal.replay.simulation.member import Daemon, SimulatedMember
from regnal.replay.simulation.postgres import (
    SYSTEM_IDENTIFIER,
    SimulatedPostgres,
    WalRecord,
)
from regnal.replay.simulation.replication import RECEIVER_TIMEOUT
from regnal.replay.simulation.surroundings import Surroundings

DURATIONS: dict[type[Command], tuple[float, float]] = {
    InitialiseDatabase: (1.0, 3.0),
    StartPostgres: (0.1, 1.0),
    StopPostgres: (0.05, 0.5),
    RestartPostgres: (0.3, 1.0),
    PromotePostgres: (0.02, 0.3),
    FollowUpstream: (0.01, 0.05),
    ReloadPostgres: (0.01, 0.02),
    CheckpointPostgres: (0.02, 1.5),
    RunPrePromote: (0.01, 0.1),
    CheckDivergence: (0.02, 0.1),
    RewindPostgres: (0.5, 3.0),
    RecoverCrashed: (0.2, 1.0),
    ClonePostgres: (1.0, 5.0),
    RemoveDataDirectory: (0.01, 0.1),
}
"""Seconds, least and most, that a command takes."""


ON_DISK = (
    InitialiseDatabase,
    StartPostgres,
    StopPostgres,
    RestartPostgres,
    PromotePostgres,
    CheckpointPostgres,
    RewindPostgres,
    RecoverCrashed,
    ClonePostgres,
    RemoveDataDirectory,
)
"""Commands that wait for the disk most of the time."""

IMMEDIATE_STOP: Seconds = 0.02
CHECKPOINT_FIRST: Seconds = 0.05
"""What a stop takes longer for the checkpoint before it, on an idle disk."""

BY_POSTGRES = (StartPostgres, RestartPostgres, StopPostgres, PromotePostgres)
"""What PostgreSQL does by itself once it was told, whatever becomes of the daemon."""


class SimulatedOperator:
    """One command at a time, as the production operator."""

    def __init__(
        self, world: Surroundings, member: SimulatedMember, daemon: Daemon
    ) -> None:
        self._world = world
        self._member = member
        self._daemon = daemon
        self._queue: list[Envelope[Command]] = []
        self._current: Envelope[Command] | None = None

    @property
    def _server(self) -> SimulatedPostgres:
        return self._world.postgres[self._member.name]

    @property
    def _host(self) -> Host:
        return self._world.hosts[self._member.name]

    @property
    def is_told_to_stop(self) -> bool:
        """Whether an order to stop PostgreSQL is being carried out, or waits."""
        orders = (self._current, *self._queue)
        return any(
            o is not None and isinstance(o.message, StopPostgres) for o in orders
        )

    def perform(self, envelope: Envelope[Command]) -> None:
        command = envelope.message
        match command:
            case CancelOperation():
                self._cancel()
            case _ if type(command) in DURATIONS:
                self._queue.append(envelope)
                self._next()

    def server_ended(self) -> None:
        """The postmaster is gone: what waits for it need not wait any longer."""
        envelope = self._current
        if envelope is not None and isinstance(envelope.message, BY_POSTGRES):
            self._later(0.0, lambda: self._finish(envelope))

    def _later(self, delay: float, event: Callable[[], None]) -> None:
        """By the daemon: never if it is dead, when it goes on if it is frozen."""

        def when_it_runs() -> None:
            if self._daemon.frozen:
                self._daemon.backlog.append(when_it_runs)
            elif self._daemon.alive:
                event()

        self._world.scheduler.after(delay, when_it_runs)

    def _next(self) -> None:
        if self._current is not None or not self._queue:
            return
        envelope = self._current = self._queue.pop(0)
        command = envelope.message
        if _is_late(command, self._world.scheduler.now):
            self._later(0.0, lambda: self._finish(envelope, self._failed(command)))
            return
        delay = self._duration(command)
        if isinstance(command, BY_POSTGRES):
            self._begin(command, delay)
        timeout = getattr(command, "timeout", None)
        if timeout is not None and delay > timeout:
            self._later(timeout, lambda: self._finish(envelope, self._failed(command)))
        else:
            # After PostgreSQL has done it, which is due at the same instant.
            self._later(delay, lambda: self._finish(envelope))

    def _duration(self, command: Command) -> Seconds:
        host = self._host
        if isinstance(command, StopPostgres) and command.mode == "immediate":
            return IMMEDIATE_STOP
        delay = self._world.scheduler.delay(*DURATIONS[type(command)])
        if isinstance(command, ON_DISK):
            delay *= host.disk_slowness
        delay += host.extra.get(type(command), 0.0)
        if isinstance(command, StopPostgres):
            if command.checkpoint_first:
                delay += CHECKPOINT_FIRST * host.disk_slowness
                delay += host.extra.get(CheckpointPostgres, 0.0)
            silent_for = self._world.replication.silent_for(
                self._member.name, self._world.scheduler.now
            )
            if silent_for is not None:
                delay += max(0.0, RECEIVER_TIMEOUT - silent_for)
            if command.kill_after is not None:
                delay = min(delay, command.kill_after)
        return delay

    def _cancel(self) -> None:
        """What PostgreSQL was told already, it does."""
        waiting, self._queue = self._queue, []
        envelope, self._current = self._current, None
        for one in (envelope, *waiting):
            if one is not None:
                kind = type(one.message).model_fields["kind"].default
                self._answer(OperationCancelled(command=kind), one)

    def _finish(
        self, envelope: Envelope[Command], outcome: Message | None = None
    ) -> None:
        if self._current is not envelope:
            return
        self._current = None
        self._answer(outcome or self._do(envelope.message), envelope)
        self._next()

    def _answer(self, outcome: Message, envelope: Envelope[Command]) -> None:
        # The outcome, and the observation that follows it, in this order.
        self._member.say(self._daemon, "operator", outcome, envelope)
        self._world.observe(self._member.name, envelope)

    def _begin(self, command: Command, delay: Seconds) -> None:
        """Tell PostgreSQL; it will have done so after the delay."""
        server = self._server
        match command:
            case StartPostgres() if not server.running:
                self._launch(command, delay)
            case RestartPostgres():
                self._stop(clean=True)
                self._launch(command, delay)
            case StopPostgres(mode=mode) if server.running:
                killed = command.kill_after is not None and delay >= command.kill_after
                server.stopping = mode != "smart"
                self._by_postgres(
                    delay,
                    lambda: self._stop(clean=mode != "immediate" and not killed),
                )
            case PromotePostgres() if server.running and server.role == "standby":
                self._by_postgres(delay, self._promote)

    def _by_postgres(self, delay: Seconds, event: Callable[[], None]) -> None:
        """It does so unless it ends before."""
        server, pid = self._server, self._server.pid

        def happen() -> None:
            if not server.running or server.pid != pid:
                return
            if server.suspended:
                self._world.scheduler.after(0.1, happen)
                return
            event()

        self._world.scheduler.after(delay, happen)

    def _launch(self, command: StartPostgres | RestartPostgres, delay: Seconds) -> None:
        server = self._server
        if not server.exists:
            return
        if command.role == "standby" and command.upstream is not None:
            self._world.following(self._member.name, command.upstream.host)
        if command.role == "primary" and isinstance(command, StartPostgres):
            self._world.starting_primary(self._member.name)
        server.running = server.starting = True
        server.stopping = False
        server.role = command.role
        server.pid += 1
        server.clean = False
        server.was_standby = command.role == "standby"
        if isinstance(command, StartPostgres):
            server.follow(command.upstream)

        def accept() -> None:
            if self._host.disk_is_full:
                self._world.kill_postgres(self._member.name, signal=6)
            else:
                server.starting = False

        self._by_postgres(delay, accept)

    def _promote(self) -> None:
        self._server.promote()
        self._world.promoted(self._member.name)

    def _do(self, command: Command) -> Message:
        server = self._server
        match command:
            case InitialiseDatabase():
                self._world.creating(self._member.name)
                server.pid += 1
                server.replace_log([WalRecord(1, None)])
                server.exists = server.running = True
                server.role = "primary"
                return DatabaseInitialised(system_identifier=SYSTEM_IDENTIFIER)
            case StartPostgres() | RestartPostgres():
                if not server.running or server.starting:
                    return self._failed(command)
                return PostgresStarted(role=server.role, postmaster_pid=server.pid)
            case StopPostgres():
                return PostgresStopped(control=server.control())
            case PromotePostgres():
                if not server.running or server.role != "primary":
                    return self._failed(command)
                line = HistoryLine(
                    timeline=server.timeline - 1,
                    lsn=server.promoted_at,
                    reason="simulated",
                )
                return PostgresPromoted(
                    timeline=server.timeline, lsn=server.lsn, history=(line,)
                )
            case FollowUpstream(upstream=upstream):
                if not server.running:
                    return self._failed(command)
                server.follow(upstream)
                return UpstreamFollowed(restarted=False)
            case ReloadPostgres():
                return PostgresReloaded()
            case CheckpointPostgres():
                if not server.is_open:
                    return self._failed(command)
                return CheckpointDone(timeline=server.timeline, took=0.1)
            case RunPrePromote():
                return PrePromoteEnded(exit_status=0)
            case RecoverCrashed():
                if self._host.disk_is_full or server.running:
                    return self._failed(command)
                server.clean = True
                return CrashRecovered(control=server.control())
            case RemoveDataDirectory():
                self._world.removing(self._member.name)
                server.exists = False
                server.replace_log([])
                return DataDirectoryRemoved()
            case _:
                return self._do_with_another(command)

    def _do_with_another(self, command: Command) -> Message:
        """What needs a running upstream."""
        server = self._server
        upstream = getattr(command, "upstream", None) or getattr(
            command, "source", None
        )
        source = self._world.postgres.get(upstream.host) if upstream else None
        reachable = (
            source is not None
            and source.is_open
            and self._world.reaches(self._member.name, source.member)
        )
        if source is None or not reachable:
            if isinstance(command, CheckDivergence):
                return self._checked("unknown", None)
            return self._failed(command)
        writes = isinstance(command, RewindPostgres | ClonePostgres)
        if writes and (self._host.disk_is_full or server.running):
            return self._failed(command)
        match command:
            case CheckDivergence():
                if source.role != "primary":
                    return self._checked("upstream_not_ready", source)
                diverged = server.has_diverged_from(source)
                return self._checked("diverged" if diverged else "can_follow", source)
            case RewindPostgres():
                server.copy_from(source)
                return PostgresRewound()
            case ClonePostgres():
                self._world.removing(self._member.name)
                server.copy_from(source)
                server.slots = {}
                return PostgresCloned(method="basebackup")
        raise AssertionError(command)

    def _stop(self, *, clean: bool) -> None:
        server = self._server
        if not clean:
            server.crash()
            return
        if server.running and server.role == "primary" and not server.starting:
            server.append(None)
            self._world.replication.flush(server.member)
        server.shut_down()

    def _checked(self, verdict: str, source: SimulatedPostgres | None) -> Message:
        return DivergenceChecked(
            verdict=verdict,  # type: ignore[arg-type]
            local_timeline=self._server.timeline,
            local_lsn=self._server.lsn,
            upstream_timeline=source.timeline if source else 0,
            switch_lsn=None,
        )

    def _failed(self, command: Command) -> Message:
        return OperationFailed(
            command=type(command).model_fields["kind"].default,
            reason=because("CONNECTION_FAILED", error="simulated"),
        )


def _is_late(command: Command, now: Instant) -> bool:
    """Law 1: an order that was read late must not make a primary without a lease."""
    not_after = getattr(command, "not_after", None)
    return not_after is not None and now > not_after
