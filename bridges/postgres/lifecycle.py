"""Start, stop and restart, as the operator performs them."""

import logging
import shlex
import time

from regnal.bridges.postgres.applying import write_configuration
from regnal.bridges.postgres.connections import SessionFailed, StatementFailed
from regnal.bridges.postgres.control_data import (
    is_shut_down,
    read_control_data,
)
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.operation import Operation
from regnal.bridges.postgres.postmaster import (
    FIRST_STEP,
    LAST_STEP,
    STOP_SIGNALS,
    Postmaster,
    describe_exit,
    end_orphans,
    wait_until_ready,
)
from regnal.bridges.postgres.programs import run_program
from regnal.bridges.postgres.rewind_mark import refuse_if_marked
from regnal.bridges.postgres.server import Role
from regnal.messages.base import Seconds
from regnal.messages.postgres import (
    ControlData,
    PostgresStarted,
    PostgresStopped,
    RestartPostgres,
    ShutdownCheckpointed,
    StartPostgres,
    StopPostgres,
)
from regnal.messages.reasons import because

logger = logging.getLogger(__name__)


def start(operation: Operation, command: StartPostgres) -> PostgresStarted:
    """One that runs already is not started again; its role is told as it is."""
    running = operation.server.postmaster()
    if running is not None:
        try:
            return _wait_for_start(operation, running, command)
        except OperationError:
            if running.is_running:
                raise
            # It was about to end when we looked.
    return _wait_for_start(operation, _launch(operation, command), command)


def stop(operation: Operation, command: StopPostgres) -> PostgresStopped:
    """Raises OperationError if the time is over; PostgreSQL is stopping then."""
    deadline = time.monotonic() + command.timeout
    postmaster = operation.server.postmaster()
    if postmaster is None:
        return _stopped(operation, None)
    is_orderly = command.mode != "immediate"
    if command.checkpoint_first and is_orderly:
        _checkpoint(operation, command.timeout)
    if is_orderly:
        _run_before_stop(operation, command.timeout)
    postmaster.stop_expected = True
    operation.server.expect_receiver_end(command.timeout)
    postmaster.send(STOP_SIGNALS[command.mode])
    control = _wait_for_stop(operation, postmaster, deadline, command)
    return _stopped(operation, control)


def restart(operation: Operation, command: RestartPostgres) -> PostgresStarted:
    began = time.monotonic()
    stop(
        operation,
        StopPostgres(mode="fast", checkpoint_first=True, timeout=command.timeout),
    )
    left = max(0.0, command.timeout - (time.monotonic() - began))
    return start(
        operation,
        StartPostgres(role=command.role, upstream=command.upstream, timeout=left),
    )


def _wait_for_start(
    operation: Operation, postmaster: Postmaster, command: StartPostgres
) -> PostgresStarted:
    wait_until_ready(postmaster, operation.cancel, command.timeout)
    role = _actual_role(operation, command.role)
    if not postmaster.is_running:
        reason = because("START_FAILED", **describe_exit(postmaster.exit_status()))
        raise OperationError(reason)
    return PostgresStarted(role=role, postmaster_pid=postmaster.pid)


def _launch(operation: Operation, command: StartPostgres) -> Postmaster:
    server = operation.server
    refuse_if_marked(operation.options)
    if not end_orphans(operation.options.data_dir):
        raise OperationError(because("CHILDREN_LEFT"))
    arguments = write_configuration(server, command.role, command.upstream)
    server.expect_receiver_end(0)
    return server.launch(arguments)


def _actual_role(operation: Operation, wanted: Role) -> Role:
    """It is up; whether we are let in is another question, so that answers count."""
    try:
        session = operation.sessions.get(operation.cancel)
        rows = session.query(
            "SELECT pg_is_in_recovery()", timeout=5.0, cancel=operation.cancel
        )
    except (SessionFailed, StatementFailed) as error:
        logger.warning("PostgreSQL started, but: %s.", error)
        return wanted
    return "standby" if rows[0][0] else "primary"


def _checkpoint(operation: Operation, timeout: Seconds) -> None:
    """What it writes, the stop need not; if it fails, the stop does it all."""
    try:
        session = operation.sessions.get(operation.cancel)
        session.query("CHECKPOINT", timeout=timeout, cancel=operation.cancel)
    except (SessionFailed, StatementFailed) as error:
        logger.info("No CHECKPOINT before the stop: %s.", error)


def _run_before_stop(operation: Operation, timeout: Seconds) -> None:
    """Its exit status is ignored; an immediate stop does not wait for it."""
    hook = operation.options.before_stop
    if not hook:
        return
    try:
        result = run_program(
            shlex.split(hook), cancel=operation.cancel, timeout=timeout
        )
        logger.info("before_stop ended.", extra={"status": result.exit_status})
    except OperationError as error:
        logger.warning("before_stop failed: %s.", error)


def _wait_for_stop(
    operation: Operation,
    postmaster: Postmaster,
    deadline: float,
    command: StopPostgres,
) -> ControlData | None:
    """Wait for the end; tell of the shutdown checkpoint as soon as it is written.

    Archiving or a slow standby may keep the postmaster long after that.
    """
    control: ControlData | None = None
    kill_at = _kill_time(command)
    step = FIRST_STEP
    while not operation.cancel.wait(step, postmaster.descriptor):
        now = time.monotonic()
        if control is None and is_shut_down(postmaster.data_dir):
            control = read_control_data(operation.options)
            if control is not None and control.was_shut_down_cleanly:
                operation.say(ShutdownCheckpointed(control=control))
        if kill_at is not None and now >= kill_at:
            logger.warning("PostgreSQL does not stop; it is killed.")
            postmaster.kill_with_children()
            kill_at = None
        if now >= deadline:
            raise OperationError(because("STOP_TIMEOUT", seconds=command.timeout))
        step = min(step * 1.2, LAST_STEP)
    return control


def _kill_time(command: StopPostgres) -> float | None:
    if command.kill_after is None:
        return None
    return time.monotonic() + command.kill_after


def _stopped(operation: Operation, control: ControlData | None) -> PostgresStopped:
    operation.sessions.close()
    if not end_orphans(operation.options.data_dir):
        raise OperationError(because("CHILDREN_LEFT"))
    return PostgresStopped(control=control or read_control_data(operation.options))
