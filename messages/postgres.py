"""PostgreSQL as its bridges see it, and the orders that they take.

The *monitor* observes on a connection of its own; the *operator* performs one
command at a time and can be cancelled; neither waits for the other.
"""

from typing import ClassVar, Literal

from regnal.messages.base import (
    LSN,
    Bytes,
    Command,
    Instant,
    JsonText,
    MemberName,
    Observation,
    Outcome,
    Seconds,
    Timeline,
    Value,
    WallTime,
)
from regnal.messages.cluster import HistoryLine
from regnal.messages.host import DiskRoom
from regnal.messages.reasons import Reason


class WalSender(Value):
    """A row of pg_stat_replication; positions may be NULL there."""

    pid: int
    username: str | None
    application_name: str
    client_addr: str | None
    state: str
    sync_state: str
    sync_priority: int
    write_lsn: LSN | None
    flush_lsn: LSN | None
    replay_lsn: LSN | None


class WalReceiver(Value):
    """pg_stat_wal_receiver, on a standby that streams or tries to."""

    status: str
    sender_host: str | None
    sender_port: int | None
    slot_name: str | None
    latest_end_lsn: LSN | None
    """Where the upstream was when it last wrote to us."""


class SlotView(Value):
    """A row of pg_replication_slots; temporary slots are left out."""

    name: str
    type: Literal["physical", "logical"]
    database: str | None
    plugin: str | None
    active: bool
    restart_lsn: LSN | None
    confirmed_flush_lsn: LSN | None
    has_xmin: bool
    wal_status: str | None
    failover: bool = False
    synced: bool = False


class ControlData(Value):
    """What pg_controldata tells of a data directory."""

    system_identifier: str
    state: str
    """Verbatim, such as `in production` or `shut down`."""

    timeline: Timeline
    checkpoint_lsn: LSN
    """Where the record of the last checkpoint begins."""

    redo_lsn: LSN
    wal_log_hints: bool
    checksums: bool
    min_recovery_end_lsn: LSN = 0
    min_recovery_end_timeline: Timeline = 0
    checkpoint_end_lsn: LSN = 0
    """Where the record of the last checkpoint ends; 0 while unknown.  After a
    clean shutdown that is the end of the WAL: who received up to it has all."""

    @property
    def is_of_standby(self) -> bool:
        """Whether it replayed what another wrote when it ended."""
        return self.state in ("shut down in recovery", "in archive recovery")

    @property
    def was_shut_down_cleanly(self) -> bool:
        return self.state in ("shut down", "shut down in recovery")

    @property
    def can_rewind(self) -> bool:
        """pg_rewind needs to know of every page that changed (its manual page)."""
        return self.wal_log_hints or self.checksums


class PostgresStatus(Value):
    """PostgreSQL of this member at one moment."""

    process: Literal["absent", "starting", "accepting", "unresponsive"]
    """absent: no postmaster.  starting: it does not accept connections yet.
    unresponsive: it should, but the query of the monitor got no answer; the
    fields below then are those last seen."""

    data_directory: Literal["missing", "empty", "valid", "invalid", "unreadable"]
    """invalid: not empty, and pg_controldata finds no system identifier."""

    postmaster_pid: int | None = None
    postmaster_started_at: WallTime | None = None
    server_version: int = 0
    """As PostgreSQL counts, e.g. 150018; 0 while unknown."""

    system_identifier: str | None = None
    """None while unknown."""

    in_recovery: bool | None = None
    """None: not known, PostgreSQL did not say."""

    timeline: Timeline = 0
    """0 while unknown."""

    write_lsn: LSN | None = None
    """On a primary: how far WAL is written (flushed)."""

    received_lsn: LSN | None = None
    replayed_lsn: LSN | None = None
    replayed_at: WallTime | None = None
    replay_paused: bool = False
    receiver: WalReceiver | None = None
    senders: tuple[WalSender, ...] = ()
    slots: tuple[SlotView, ...] = ()
    synchronous_standby_names: str | None = None
    """As it is in force; None while unknown."""

    pending_restart: bool = False
    pending_restart_reason: JsonText | None = None
    control: ControlData | None = None
    """Only while there is no postmaster (it is read when that ends)."""

    primary_conninfo_host: str | None = None
    """Host and port that a standby is configured to follow; None: nobody."""

    primary_conninfo_port: str | None = None

    @property
    def is_accepting(self) -> bool:
        return self.process == "accepting"

    @property
    def is_primary(self) -> bool:
        """Whether it runs and, as far as we know, takes writes."""
        return self.process != "absent" and self.in_recovery is False

    @property
    def is_standby(self) -> bool:
        return self.process != "absent" and self.in_recovery is True

    @property
    def position(self) -> LSN:
        """How far this server has WAL: what the race compares."""
        if self.in_recovery is False:
            return self.write_lsn or 0
        return max(self.received_lsn or 0, self.replayed_lsn or 0)

    @property
    def replication_state(self) -> str | None:
        """`streaming` or `in archive recovery` on a standby, else None."""
        if not self.in_recovery:
            return None
        if self.receiver is not None and self.receiver.status == "streaming":
            return "streaming"
        return "in archive recovery"


class ObservePostgres(Command):
    """Ask the monitor for `PostgresObserved` now."""

    kind: Literal["observe_postgres"] = "observe_postgres"
    routine: ClassVar[bool] = True


class PostgresObserved(Observation):
    kind: Literal["postgres_observed"] = "postgres_observed"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset(
        {
            "status.receiver.latest_end_lsn",
            "status.received_lsn",
            "status.replayed_at",
            "status.replayed_lsn",
            "status.senders.*.flush_lsn",
            "status.senders.*.replay_lsn",
            "status.senders.*.write_lsn",
            "status.slots.*.confirmed_flush_lsn",
            "status.slots.*.restart_lsn",
            "status.write_lsn",
        }
    )
    status: PostgresStatus


class PostmasterExited(Observation):
    """The postmaster is gone; known within milliseconds (pidfd)."""

    kind: Literal["postmaster_exited"] = "postmaster_exited"
    version: ClassVar[int] = 2
    pid: int
    exit_status: int | None
    """None: it was not our child, the kernel does not tell."""

    signal: int | None
    expected: bool
    """Whether the operator was stopping it."""

    control: ControlData | None
    oom_killed: bool | None = None
    """Whether the kernel killed it, or a process of it, for want of memory; None:
    cannot be known."""

    disks: tuple[DiskRoom, ...] = ()
    """Room for the data, and for the WAL if it has a file system of its own, just
    after the end; not of tablespaces, which do not end a server."""


class ReplicationEnded(Observation):
    """The WAL receiver of this standby lost its upstream."""

    kind: Literal["replication_ended"] = "replication_ended"
    received_lsn: LSN | None


class Upstream(Value):
    """Where a standby streams from."""

    member: MemberName | None
    """None: not a member of this cluster (a standby cluster's remote)."""

    host: str
    port: str
    slot: str | None
    """None: without a replication slot."""

    is_leader: bool


# Commands to the operator.  Each is answered by exactly one outcome whose cause
# is the command; `timeout` limits how long the operator may try.


class InitialiseDatabase(Command):
    """Create a new cluster: initdb or the custom method, start, users, hooks."""

    kind: Literal["initialise_database"] = "initialise_database"
    decides_who_writes: ClassVar[bool] = True


class StartPostgres(Command):
    kind: Literal["start_postgres"] = "start_postgres"
    decides_who_writes: ClassVar[bool] = True
    role: Literal["primary", "standby"]
    upstream: Upstream | None
    """Of a standby; None: no streaming (yet)."""

    timeout: Seconds
    not_after: Instant | None = None
    """Of a primary that leads by a lease: it must not start later than this, however
    late the order is read.  None: there is no lease (a standby, a bootstrap)."""


class StopPostgres(Command):
    kind: Literal["stop_postgres"] = "stop_postgres"
    decides_who_writes: ClassVar[bool] = True
    mode: Literal["smart", "fast", "immediate"]
    checkpoint_first: bool
    """A CHECKPOINT before the stop shortens the stop (never before immediate)."""

    timeout: Seconds
    kill_after: Seconds | None = None
    """Then SIGKILL to the postmaster and its children; None: never."""


class RestartPostgres(Command):
    """Stop (fast) and start with the role unchanged."""

    kind: Literal["restart_postgres"] = "restart_postgres"
    decides_who_writes: ClassVar[bool] = True
    role: Literal["primary", "standby"]
    upstream: Upstream | None
    timeout: Seconds


class PromotePostgres(Command):
    """pg_promote, and wait until it takes writes."""

    kind: Literal["promote_postgres"] = "promote_postgres"
    decides_who_writes: ClassVar[bool] = True
    timeout: Seconds
    not_after: Instant | None = None
    """The promotion must not begin later than this: the lease would end.  None: in
    pause, where no lease fences."""


class FollowUpstream(Command):
    """Let the running standby follow: by reload where the version allows it,
    else by restart."""

    kind: Literal["follow_upstream"] = "follow_upstream"
    upstream: Upstream | None
    timeout: Seconds


class ReloadPostgres(Command):
    """Write the configuration files anew and reload."""

    kind: Literal["reload_postgres"] = "reload_postgres"


class CheckpointPostgres(Command):
    """Run CHECKPOINT; also after a promotion, so that others may rewind."""

    kind: Literal["checkpoint_postgres"] = "checkpoint_postgres"
    timeout: Seconds


class RunPrePromote(Command):
    """Run the `pre_promote` hook; its exit status decides about the promotion."""

    kind: Literal["run_pre_promote"] = "run_pre_promote"


class CheckDivergence(Command):
    """Compare our history with the upstream's (stopped or running standby)."""

    kind: Literal["check_divergence"] = "check_divergence"
    upstream: Upstream
    timeout: Seconds


class RewindPostgres(Command):
    kind: Literal["rewind_postgres"] = "rewind_postgres"
    upstream: Upstream
    timeout: Seconds


class RecoverCrashed(Command):
    """Single-user run that brings a crashed primary's data to a clean stop."""

    kind: Literal["recover_crashed"] = "recover_crashed"
    timeout: Seconds


class ClonePostgres(Command):
    """Empty the data directory and create a replica, method by method."""

    kind: Literal["clone_postgres"] = "clone_postgres"
    source: Upstream | None
    """None: only methods that need no source."""

    remote: bool = False
    """Whether to use the methods of the standby_cluster section."""


class RemoveDataDirectory(Command):
    """Remove the data directory (`move_aside`: rename it to `.failed`)."""

    kind: Literal["remove_data_directory"] = "remove_data_directory"
    move_aside: bool


class CancelOperation(Command):
    """End what the operator is doing, killing child processes if need be."""

    kind: Literal["cancel_operation"] = "cancel_operation"
    reason: str


OperatorCommand = (
    InitialiseDatabase
    | StartPostgres
    | StopPostgres
    | RestartPostgres
    | PromotePostgres
    | FollowUpstream
    | ReloadPostgres
    | CheckpointPostgres
    | RunPrePromote
    | CheckDivergence
    | RewindPostgres
    | RecoverCrashed
    | ClonePostgres
    | RemoveDataDirectory
)


class DatabaseInitialised(Outcome):
    """A new cluster runs as primary, users exist, hooks have run."""

    kind: Literal["database_initialised"] = "database_initialised"
    system_identifier: str


class PostgresStarted(Outcome):
    """It accepts connections."""

    kind: Literal["postgres_started"] = "postgres_started"
    role: Literal["primary", "standby"]
    postmaster_pid: int


class PostgresStopped(Outcome):
    """No postmaster and none of its children is left."""

    kind: Literal["postgres_stopped"] = "postgres_stopped"
    control: ControlData | None
    """None: pg_controldata did not work."""


class ShutdownCheckpointed(Observation):
    """While a stop is under way: pg_control says `shut down`, though archiving or
    clients keep the postmaster alive."""

    kind: Literal["shutdown_checkpointed"] = "shutdown_checkpointed"
    control: ControlData


class PostgresPromoted(Outcome):
    """It takes writes, on a new timeline."""

    kind: Literal["postgres_promoted"] = "postgres_promoted"
    timeline: Timeline
    lsn: LSN
    history: tuple[HistoryLine, ...]
    """The lines of the new timeline's history file, oldest first."""


class UpstreamFollowed(Outcome):
    """The standby is configured to follow; whether it streams is observed."""

    kind: Literal["upstream_followed"] = "upstream_followed"
    restarted: bool


class PostgresReloaded(Outcome):
    kind: Literal["postgres_reloaded"] = "postgres_reloaded"


class CheckpointDone(Outcome):
    kind: Literal["checkpoint_done"] = "checkpoint_done"
    timeline: Timeline
    took: Seconds


class PrePromoteEnded(Outcome):
    kind: Literal["pre_promote_ended"] = "pre_promote_ended"
    exit_status: int


class DivergenceChecked(Outcome):
    """Whether our data can follow the upstream as it is."""

    kind: Literal["divergence_checked"] = "divergence_checked"
    version: ClassVar[int] = 2
    verdict: Literal["can_follow", "diverged", "upstream_not_ready", "unknown"]
    """upstream_not_ready: it is in recovery or has not checkpointed on its
    timeline; ask again.  unknown: it did not answer, or our data do not tell."""

    local_timeline: Timeline
    local_lsn: LSN
    upstream_timeline: Timeline
    switch_lsn: LSN | None
    """Where the upstream's history left our timeline; None: it did not."""

    explanation: str = ""
    lost_commits: int | None = None
    """Transactions that only we have, by the commit records in our WAL after
    `switch_lsn`; None: not diverged, or they could not be counted."""

    lost_wal: Bytes | None = None
    """From `switch_lsn` to the end of the last record of a transaction that only we
    have; None as above."""


class PostgresRewound(Outcome):
    kind: Literal["postgres_rewound"] = "postgres_rewound"


class CrashRecovered(Outcome):
    kind: Literal["crash_recovered"] = "crash_recovered"
    control: ControlData | None


class PostgresCloned(Outcome):
    kind: Literal["postgres_cloned"] = "postgres_cloned"
    method: str


class DataDirectoryRemoved(Outcome):
    kind: Literal["data_directory_removed"] = "data_directory_removed"


class OperationFailed(Outcome):
    """The command could not be performed."""

    kind: Literal["operation_failed"] = "operation_failed"
    command: str
    """`kind` of the command."""

    reason: Reason
    output: str = ""
    """The end of what the program printed, for the reader."""


class OperationCancelled(Outcome):
    kind: Literal["operation_cancelled"] = "operation_cancelled"
    command: str


class OperationProgressed(Observation):
    """A long operation goes on, e.g. a base backup."""

    kind: Literal["operation_progressed"] = "operation_progressed"
    command: str
    done: int
    total: int | None
    unit: str


OperatorOutcome = (
    DatabaseInitialised
    | PostgresStarted
    | PostgresStopped
    | PostgresPromoted
    | UpstreamFollowed
    | PostgresReloaded
    | CheckpointDone
    | PrePromoteEnded
    | DivergenceChecked
    | PostgresRewound
    | CrashRecovered
    | PostgresCloned
    | DataDirectoryRemoved
    | OperationFailed
    | OperationCancelled
)


# Commands to the monitor's neighbour, the tuner: short SQL on a running server,
# outside the operator's queue.


class SetSynchronousStandbys(Command):
    """Set synchronous_standby_names and reload; answered when it is in force."""

    kind: Literal["set_synchronous_standbys"] = "set_synchronous_standbys"
    value: str
    timeout: Seconds


class SynchronousStandbysSet(Outcome):
    kind: Literal["synchronous_standbys_set"] = "synchronous_standbys_set"
    value: str
    lsn: LSN
    """Where the primary's WAL was when the value was in force."""


class CreateSlot(Command):
    kind: Literal["create_slot"] = "create_slot"
    name: str
    slot_type: Literal["physical", "logical"] = "physical"
    database: str | None = None
    plugin: str | None = None


class DropSlot(Command):
    """Drop the slot unless it is active (checked in the same statement)."""

    kind: Literal["drop_slot"] = "drop_slot"
    name: str


class AdvanceSlot(Command):
    kind: Literal["advance_slot"] = "advance_slot"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset({"lsn"})
    name: str
    lsn: LSN
    database: str | None = None


class CopyLogicalSlots(Command):
    """Copy slot files of the leader; PostgreSQL restarts for it."""

    kind: Literal["copy_logical_slots"] = "copy_logical_slots"
    names: tuple[str, ...]
    leader_conn_url: str


class SlotChanged(Outcome):
    kind: Literal["slot_changed"] = "slot_changed"
    routine: ClassVar[bool] = True
    name: str
    change: Literal["created", "dropped", "advanced", "copied"]


class SlotRefused(Outcome):
    """The slot could not be changed, e.g. because it is active."""

    kind: Literal["slot_refused"] = "slot_refused"
    name: str
    change: Literal["created", "dropped", "advanced", "copied"]
    error: str


class SynchronousStandbysRefused(Outcome):
    kind: Literal["synchronous_standbys_refused"] = "synchronous_standbys_refused"
    value: str
    error: str


class ResumeReplay(Command):
    """pg_wal_replay_resume, on a standby whose replay is paused."""

    kind: Literal["resume_replay"] = "resume_replay"


TunerCommand = (
    SetSynchronousStandbys
    | CreateSlot
    | DropSlot
    | AdvanceSlot
    | CopyLogicalSlots
    | ResumeReplay
)
