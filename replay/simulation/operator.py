"""The operator and the tuner of a simulated member."""

from collections.abc import Callable

from regnal.messages.base import Command, Message
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
    ObservePostgres,
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
    SetSynchronousStandbys,
    StartPostgres,
    StopPostgres,
    SynchronousStandbysSet,
    UpstreamFollowed,
)
from regnal.messages.reasons import because
from regnal.replay.simulation.member import Daemon, SimulatedMember
from regnal.replay.simulation.postgres import (
    SYSTEM_IDENTIFIER,
    SimulatedPostgres,
    WalRecord,
)
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

    def perform(self, envelope: Envelope[Command]) -> None:
        command = envelope.message
        match command:
            case CancelOperation():
                self._cancel()
            case ObservePostgres():
                self._later(0.002, lambda: self._observe(envelope))
            case SetSynchronousStandbys(value=value):
                self._later(0.01, lambda: self._set_standbys(value, envelope))
            case _ if type(command) in DURATIONS:
                self._queue.append(envelope)
                self._next()

    def _observe(self, envelope: Envelope[Command]) -> None:
        self._world.observe(self._member.name, envelope)

    def _set_standbys(self, value: str, envelope: Envelope[Command]) -> None:
        self._server.synchronous_standby_names = value
        done = SynchronousStandbysSet(value=value, lsn=self._server.lsn)
        self._member.say(self._daemon, "tuner", done, envelope)
        self._observe(envelope)

    def _later(self, delay: float, event: Callable[[], None]) -> None:
        def when_alive() -> None:
            if self._daemon.alive:
                event()

        self._world.scheduler.after(delay, when_alive)

    def _next(self) -> None:
        if self._current is not None or not self._queue:
            return
        envelope = self._current = self._queue.pop(0)
        command = envelope.message
        if isinstance(command, StopPostgres) and command.mode == "immediate":
            delay = 0.02
        else:
            delay = self._world.scheduler.delay(*DURATIONS[type(command)])
        if isinstance(command, StartPostgres | RestartPostgres):
            self._begin_start(command, delay)
        self._later(delay, lambda: self._finish(envelope))

    def _cancel(self) -> None:
        if self._current is None:
            return
        envelope, self._current = self._current, None
        kind = type(envelope.message).model_fields["kind"].default
        self._answer(OperationCancelled(command=kind), envelope)
        self._next()

    def _finish(self, envelope: Envelope[Command]) -> None:
        if self._current is not envelope:
            return
        self._current = None
        self._answer(self._do(envelope.message), envelope)
        self._next()

    def _answer(self, outcome: Message, envelope: Envelope[Command]) -> None:
        # The outcome, and the observation that follows it, in this order.
        self._member.say(self._daemon, "operator", outcome, envelope)
        self._observe(envelope)

    def _begin_start(
        self, command: StartPostgres | RestartPostgres, delay: float
    ) -> None:
        server = self._server
        server.running = server.starting = True
        server.role = command.role
        server.pid += 1
        server.clean = False
        server.was_standby = command.role == "standby"
        if isinstance(command, StartPostgres):
            server.follow(command.upstream)
        pid = server.pid

        def accept() -> None:
            # PostgreSQL starts also if the daemon is gone by then.
            if server.running and server.pid == pid:
                server.starting = False

        self._world.scheduler.after(delay, accept)

    def _do(self, command: Command) -> Message:
        server = self._server
        match command:
            case InitialiseDatabase():
                server.replace_log([WalRecord(1, None)])
                server.exists = server.running = True
                server.role = "primary"
                return DatabaseInitialised(system_identifier=SYSTEM_IDENTIFIER)
            case StartPostgres(role=role) | RestartPostgres(role=role):
                if not server.running:
                    return self._failed(command)
                server.starting = False
                return PostgresStarted(role=role, postmaster_pid=server.pid)
            case StopPostgres(mode=mode):
                self._stop(clean=mode != "immediate")
                return PostgresStopped(control=server.control())
            case PromotePostgres():
                if not server.running or server.role != "standby":
                    return self._failed(command)
                switch = server.lsn
                server.promote()
                line = HistoryLine(
                    timeline=server.timeline - 1, lsn=switch, reason="simulated"
                )
                return PostgresPromoted(
                    timeline=server.timeline, lsn=server.lsn, history=(line,)
                )
            case FollowUpstream(upstream=upstream):
                server.follow(upstream)
                return UpstreamFollowed(restarted=False)
            case ReloadPostgres():
                return PostgresReloaded()
            case CheckpointPostgres():
                return CheckpointDone(timeline=server.timeline, took=0.1)
            case RunPrePromote():
                return PrePromoteEnded(exit_status=0)
            case RecoverCrashed():
                server.clean = True
                return CrashRecovered(control=server.control())
            case RemoveDataDirectory():
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
            and source.running
            and not source.starting
            and self._world.reaches(self._member.name, source.member)
        )
        if source is None or not reachable:
            if isinstance(command, CheckDivergence):
                return self._checked("unknown", None)
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
                server.copy_from(source)
                return PostgresCloned(method="basebackup")
        raise AssertionError(command)

    def _stop(self, *, clean: bool) -> None:
        server = self._server
        if clean and server.running and server.role == "primary":
            self._flush_standbys(server)
        if server.running:
            server.clean = clean and not server.starting
            server.was_standby = server.role == "standby"
        server.running = server.starting = server.streaming = False

    def _flush_standbys(self, server: SimulatedPostgres) -> None:
        """A fast shutdown waits until attached standbys have everything."""
        server.append(None)
        for standby in self._world.postgres.values():
            if standby.streaming and standby.upstream == server.member:
                standby.stream_from(server)

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
