"""The operator of PostgreSQL in the model: what becomes of its commands.

Starting and promoting are told to PostgreSQL, which then does them by itself, whether
or not somebody still waits for it; everything else is done when it is answered.
"""

from typing import Literal

from regnal.messages.base import Command, Message
from regnal.messages.cluster import HistoryLine
from regnal.messages.postgres import (
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
from regnal.replay.model.postgres import (
    ROWS_BELOW,
    SYSTEM_IDENTIFIER,
    Server,
    control_of,
    copied,
    has_diverged,
    promotion_record,
    stopped,
)

GO_ON: tuple[type[Command], ...] = (StartPostgres, RestartPostgres, PromotePostgres)
"""Commands that PostgreSQL carries out by itself once it was told."""

OPERATIONS: tuple[type[Command], ...] = (
    *GO_ON,
    InitialiseDatabase,
    StopPostgres,
    FollowUpstream,
    ReloadPostgres,
    CheckpointPostgres,
    RunPrePromote,
    CheckDivergence,
    RewindPostgres,
    RecoverCrashed,
    ClonePostgres,
    RemoveDataDirectory,
)


def failed(command: Command, code: str = "CONNECTION_FAILED") -> OperationFailed:
    reason = (
        because("LEASE_ENDING", seconds=0.0)
        if code == "LEASE_ENDING"
        else because("CONNECTION_FAILED", error="model")
    )
    return OperationFailed(
        command=type(command).model_fields["kind"].default, reason=reason
    )


def begun(server: Server, command: Command) -> Server | None:
    """PostgreSQL after it was told; None: it cannot be."""
    match command:
        case StartPostgres(role=role, upstream=upstream):
            if not server.exists:
                return None
            if server.phase != "down":
                return server  # its role is told as it is
            return server._replace(
                phase="starting",
                pid=3 - server.pid,
                role=role,
                upstream=upstream.host if upstream else None,
                clean=False,
                was_standby=role == "standby",
            )
        case RestartPostgres(role=role):
            down = stopped(server, clean=True)
            return down._replace(
                phase="starting", pid=3 - server.pid, role=role, clean=False
            )
        case PromotePostgres():
            if server.phase != "up":
                return None
            # What is a primary already is told as it is.
            return server._replace(promoting=server.role == "standby")
    raise AssertionError(command)


def outcome(server: Server, command: Command) -> Message | None:
    """What became of a command that was begun; None: it goes on."""
    if server.phase == "down":
        return failed(command)
    match command:
        case StartPostgres() | RestartPostgres():
            if server.phase != "up":
                return None
            role: Literal["primary", "standby"] = (
                "primary" if server.role == "primary" else "standby"
            )
            return PostgresStarted(role=role, postmaster_pid=server.pid)
        case PromotePostgres():
            if server.role != "primary":
                return None
            return PostgresPromoted(
                timeline=server.timeline, lsn=server.lsn, history=_history(server)
            )
    raise AssertionError(command)


def _history(server: Server) -> tuple[HistoryLine, ...]:
    """One line for every promotion in the log; timeline 1 began with the cluster."""
    return tuple(
        HistoryLine(
            timeline=(record - ROWS_BELOW) // 10 - 1,
            lsn=1000 + 100 * position,
            reason="model",
        )
        for position, record in enumerate(server.log)
        if ROWS_BELOW + 20 <= record < 10 * ROWS_BELOW
    )


def done(
    server: Server, command: Command, source: Server | None
) -> tuple[Server, Message]:
    """PostgreSQL after the command, and the answer.

    `source`: the server that the command is about, if it can be reached.
    """
    match command:
        case InitialiseDatabase():
            first = promotion_record(1, 0)
            created = server._replace(
                exists=True, phase="up", role="primary", log=(first,), timeline=1
            )
            return created, DatabaseInitialised(system_identifier=SYSTEM_IDENTIFIER)
        case StopPostgres(mode=mode):
            down = stopped(server, clean=mode != "immediate")
            return down, PostgresStopped(control=control_of(down))
        case FollowUpstream(upstream=upstream):
            if server.phase != "up" or server.role != "standby":
                return server, failed(command)
            host = upstream.host if upstream else None
            following = server._replace(upstream=host, streaming=False)
            return following, UpstreamFollowed(restarted=False)
        case ReloadPostgres():
            return server, PostgresReloaded()
        case CheckpointPostgres():
            if server.phase != "up":
                return server, failed(command)
            return server, CheckpointDone(timeline=server.timeline, took=0.1)
        case RunPrePromote():
            return server, PrePromoteEnded(exit_status=0)
        case RecoverCrashed():
            recovered = server._replace(clean=True)
            return recovered, CrashRecovered(control=control_of(recovered))
        case RemoveDataDirectory():
            removed = server._replace(exists=False, log=(), timeline=1)
            return removed, DataDirectoryRemoved()
        case _:
            return _done_with(server, command, source)


def _done_with(
    server: Server, command: Command, source: Server | None
) -> tuple[Server, Message]:
    there = source is not None and source.phase == "up"
    if isinstance(command, CheckDivergence):
        return server, _checked(server, source if there else None)
    if source is None or not there or server.phase != "down":
        return server, failed(command)
    match command:
        case RewindPostgres():
            return copied(server, source), PostgresRewound()
        case ClonePostgres():
            return copied(server, source), PostgresCloned(method="basebackup")
    raise AssertionError(command)


def _checked(server: Server, source: Server | None) -> Message:
    verdict = "unknown"
    if source is not None:
        verdict = "can_follow"
        if source.role != "primary":
            verdict = "upstream_not_ready"
        elif has_diverged(server, source):
            verdict = "diverged"
    return DivergenceChecked(
        verdict=verdict,  # type: ignore[arg-type]
        local_timeline=server.timeline,
        local_lsn=server.lsn,
        upstream_timeline=source.timeline if source else 0,
        switch_lsn=None,
    )
