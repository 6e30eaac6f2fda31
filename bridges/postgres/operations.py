"""Which function performs which command of the operator."""

import shlex
import time
from typing import assert_never

from regnal.bridges.postgres import data_directory
from regnal.bridges.postgres.bootstrap import initialise_database
from regnal.bridges.postgres.clone import clone
from regnal.bridges.postgres.crash_recovery import recover_crashed, refuse_if_running
from regnal.bridges.postgres.divergence import check_divergence
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.following import follow, reload
from regnal.bridges.postgres.lifecycle import restart, start, stop
from regnal.bridges.postgres.operation import Operation
from regnal.bridges.postgres.programs import run_program
from regnal.bridges.postgres.promotion import promote
from regnal.bridges.postgres.rewind import rewind
from regnal.bridges.postgres.rewind_mark import remove_mark
from regnal.messages.base import Outcome
from regnal.messages.postgres import (
    CheckDivergence,
    CheckpointDone,
    CheckpointPostgres,
    ClonePostgres,
    DataDirectoryRemoved,
    FollowUpstream,
    InitialiseDatabase,
    OperatorCommand,
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
)
from regnal.messages.reasons import because


def perform(command: OperatorCommand, operation: Operation) -> Outcome:
    """Raises OperationError, Cancelled, SessionFailed and StatementFailed."""
    if isinstance(command, StartPostgres | PromotePostgres):
        _refuse_if_late(command)
    match command:
        case StartPostgres():
            return start(operation, command)
        case StopPostgres():
            return stop(operation, command)
        case RestartPostgres():
            return restart(operation, command)
        case PromotePostgres():
            return promote(operation, command)
        case FollowUpstream():
            return follow(operation, command)
        case ReloadPostgres():
            return reload(operation, command)
        case CheckpointPostgres():
            return checkpoint(operation, command)
        case RunPrePromote():
            return run_pre_promote(operation)
        case CheckDivergence():
            return check_divergence(operation, command)
        case RecoverCrashed():
            return recover_crashed(operation, command)
        case RewindPostgres():
            return rewind(operation, command)
        case InitialiseDatabase():
            remove_mark(operation.options)
            return initialise_database(operation)
        case ClonePostgres():
            return clone(operation, command)
        case RemoveDataDirectory():
            return remove_data_directory(operation, command)
        case _:
            assert_never(command)


def _refuse_if_late(command: StartPostgres | PromotePostgres) -> None:
    """Law 1: an order that was read late must not make a primary without a lease."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    if command.not_after is not None and now > command.not_after:
        raise OperationError(because("LEASE_ENDING", seconds=0.0))


def checkpoint(operation: Operation, command: CheckpointPostgres) -> CheckpointDone:
    session = operation.session()
    began = time.monotonic()
    session.query("CHECKPOINT", timeout=command.timeout, cancel=operation.cancel)
    took = time.monotonic() - began
    rows = session.query(
        "SELECT timeline_id FROM pg_control_checkpoint()",
        timeout=command.timeout,
        cancel=operation.cancel,
    )
    return CheckpointDone(timeline=rows[0][0], took=took)


def remove_data_directory(
    operation: Operation, command: RemoveDataDirectory
) -> DataDirectoryRemoved:
    """Raises OperationError."""
    options = operation.options
    refuse_if_running(operation)
    if command.move_aside:
        data_directory.move_aside(options)
    else:
        data_directory.remove(options)
    remove_mark(options)
    return DataDirectoryRemoved()


def run_pre_promote(operation: Operation) -> PrePromoteEnded:
    """0 if there is no such hook.  It has no limit but being cancelled (CB-08)."""
    hook = operation.options.pre_promote
    if not hook:
        return PrePromoteEnded(exit_status=0)
    result = run_program(shlex.split(hook), cancel=operation.cancel, timeout=None)
    return PrePromoteEnded(exit_status=result.exit_status)
