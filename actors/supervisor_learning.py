"""How the PostgreSQL supervisor learns from messages; nothing is decided here."""

from regnal.actors.postmaster import heard_of
from regnal.actors.supervisor_state import LONG_CHECKPOINT, Supervisor
from regnal.messages.base import Message
from regnal.messages.frozen import replace
from regnal.messages.postgres import (
    CheckpointDone,
    CrashRecovered,
    DatabaseInitialised,
    DataDirectoryRemoved,
    DivergenceChecked,
    OperationFailed,
    PostgresCloned,
    PostgresObserved,
    PostgresPromoted,
    PostgresRewound,
    PostgresStarted,
    PostgresStatus,
    PostgresStopped,
    PostmasterExited,
    PrePromoteEnded,
    UpstreamFollowed,
)
from regnal.messages.reasons import because
from regnal.messages.settings import ConfigurationApplied

FAILED_STATES = {
    "initialise_database": "initdb failed",
    "start_postgres": "start failed",
    "restart_postgres": "restart failed",
    "stop_postgres": "stop failed",
}
"""Published states after a command failed, by its kind."""


def learn(supervisor: Supervisor, message: Message) -> Supervisor:
    """The supervisor after hearing `message`, before it concludes anything."""
    if supervisor.postmaster.is_late(message):
        return supervisor
    known = heard_of(supervisor.postmaster, message)
    if known != supervisor.postmaster:
        supervisor = replace(supervisor, started_pid=known.pid, former_pid=known.former)
    match message:
        case ConfigurationApplied(settings=settings):
            return replace(supervisor, settings=settings)
        case PostgresObserved(status=status):
            return _learn_status(supervisor, status)
        case PostmasterExited(control=control):
            state = "stopped" if supervisor.state == "running" else supervisor.state
            return replace(supervisor, running=False, control=control, state=state)
        case DatabaseInitialised():
            return replace(supervisor, running=True, role="primary", data="valid")
        case PostgresStarted(role=role):
            return replace(
                supervisor,
                running=True,
                role=role,
                control=None,
                recovered=False,
                data="valid",
            )
        case PostgresStopped(control=control):
            return replace(supervisor, running=False, control=control, state="stopped")
        case PostgresPromoted():
            return replace(supervisor, role="primary")
        case PrePromoteEnded(exit_status=status):
            return replace(
                supervisor,
                pre_promote_passed=status == 0,
                failure=because("PRE_PROMOTE_REFUSED", status=status)
                if status
                else None,
            )
        case CheckpointDone(took=took):
            return _learn_checkpoint(supervisor, took)
        case UpstreamFollowed():
            return replace(supervisor, role="standby", running=True)
        case DivergenceChecked():
            return _learn_verdict(supervisor, message)
        case PostgresRewound():
            return replace(supervisor, verdict="can_follow", control=None)
        case CrashRecovered(control=control):
            return replace(supervisor, recovered=True, control=control)
        case PostgresCloned():
            return replace(
                supervisor,
                verdict="can_follow",
                data="valid",
                control=None,
                role="standby",
            )
        case DataDirectoryRemoved():
            return replace(supervisor, data="missing", control=None, role=None)
        case OperationFailed(command=command):
            return _learn_failure(supervisor, command, message)
        case _:
            return supervisor


def _learn_status(supervisor: Supervisor, status: PostgresStatus) -> Supervisor:
    if supervisor.outstanding is not None:
        # The operator's own outcome says what became of it; an observation made
        # in between may be older.
        return replace(supervisor, server_version=status.server_version)
    role = supervisor.role
    if status.in_recovery is not None:
        role = "standby" if status.in_recovery else "primary"
    running = status.process != "absent"
    state = supervisor.state
    if status.process == "accepting":
        state = "running"
    elif status.process == "starting":
        state = "starting"
    elif not running and state in ("running", "starting"):
        state = "stopped"
    return replace(
        supervisor,
        running=running,
        role=role,
        data=status.data_directory,
        server_version=status.server_version,
        control=None if running else status.control,
        state=state,
    )


def _learn_checkpoint(supervisor: Supervisor, took: float) -> Supervisor:
    if supervisor.background == "checkpoint_postgres":
        return replace(supervisor, background=None)
    # Negative: a second one is due.
    first = supervisor.checkpoints == 0
    return replace(
        supervisor, checkpoints=-1 if first and took > LONG_CHECKPOINT else 1
    )


def _learn_verdict(supervisor: Supervisor, checked: DivergenceChecked) -> Supervisor:
    if checked.verdict not in ("can_follow", "diverged"):
        return supervisor
    left_at = checked.switch_lsn if checked.switch_lsn is not None else "its start"
    # Two histories of one timeline: pg_rewind goes by timelines, finds nothing to do,
    # and leaves data behind that never stream (its manual page, "How It Works").
    is_same = checked.local_timeline == checked.upstream_timeline
    return replace(
        supervisor,
        verdict=checked.verdict,
        rewind_failed=supervisor.rewind_failed
        or (checked.verdict == "diverged" and is_same),
        checked_timeline=checked.local_timeline,
        checked_lsn=checked.local_lsn,
        failure=because("DIVERGED", timeline=checked.local_timeline, lsn=left_at)
        if checked.verdict == "diverged"
        else None,
    )


def _learn_failure(
    supervisor: Supervisor, command: str, failed: OperationFailed
) -> Supervisor:
    if command == supervisor.background:
        return replace(supervisor, background=None)
    if command != supervisor.outstanding:
        return supervisor
    noted = replace(
        supervisor,
        failure=supervisor.failure or failed.reason,
        state=FAILED_STATES.get(command, supervisor.state),
    )
    match command:
        case "start_postgres" | "restart_postgres":
            return replace(noted, running=False)
        case "rewind_postgres":
            return replace(noted, rewind_failed=True)
        case "recover_crashed":
            # Tried once per outage; a plain start may still work (PG-30).
            return replace(noted, recovered=True, failure=None)
        case "clone_postgres":
            return replace(noted, data="missing", control=None)
        case _:
            return noted
