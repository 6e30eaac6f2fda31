"""A simulated PostgreSQL: write-ahead log, timelines, replication, crashes.

The log is a list of records; a position is how many there are.  Two servers have
diverged exactly when neither log is a beginning of the other.
"""

from dataclasses import dataclass, field
from typing import Literal

from regnal.actors.standby_names import (
    NOBODY,
    StandbyNames,
    parse_standby_names,
)
from regnal.messages.base import LSN, Instant, MemberName, Timeline
from regnal.messages.postgres import (
    ControlData,
    PostgresStatus,
    SlotView,
    Upstream,
    WalReceiver,
    WalSender,
)

BYTES_PER_RECORD = 100
SYSTEM_IDENTIFIER = "7301234567890123456"


@dataclass(frozen=True)
class WalRecord:
    timeline: Timeline
    row: int | None
    """A client's row; None: a record of PostgreSQL itself."""


@dataclass
class SimulatedPostgres:
    """One server and its data directory."""

    member: MemberName
    exists: bool = False
    running: bool = False
    starting: bool = False
    stopping: bool = False
    """A fast shutdown: no sessions are left, the shutdown checkpoint is written."""

    suspended: bool = False
    """With its whole host."""

    role: Literal["primary", "standby"] = "standby"
    wal: list[WalRecord] = field(default_factory=list)
    timeline: Timeline = 1
    clean: bool = True
    was_standby: bool = False
    upstream: MemberName | None = None
    streaming: bool = False
    silent_since: Instant | None = None
    """Since when nothing is heard of the upstream, though nobody closed the
    connection; None: it is heard."""

    slot_name: str | None = None
    """Through which it streams; None: without a slot."""

    slots: dict[str, LSN] = field(default_factory=dict)
    """Physical slots, and where each keeps the log from."""

    synchronous_standby_names: str = ""
    promoted_at: LSN = 0
    """Where the present timeline began."""

    pid: int = 0
    generation: int = 0
    """Counts how often the log was replaced as a whole."""

    in_step_with: tuple[MemberName, int] | None = None
    """Whose log, of which generation, ours is known to be a beginning of: streaming
    then only adds, and need not compare from the first record."""

    own_rows: set[int] = field(default_factory=set)

    @property
    def lsn(self) -> LSN:
        return 1000 + BYTES_PER_RECORD * len(self.wal)

    @property
    def takes_writes(self) -> bool:
        return self.role == "primary" and self.is_open

    @property
    def is_open(self) -> bool:
        """Whether sessions are possible."""
        return self.running and not (self.starting or self.stopping or self.suspended)

    @property
    def sends(self) -> bool:
        """Whether its WAL senders work; they do until a shutdown is complete."""
        return self.running and not (self.starting or self.suspended)

    @property
    def standby_names(self) -> StandbyNames:
        """Who must have a row before it is acknowledged."""
        return parse_standby_names(self.synchronous_standby_names) or NOBODY

    def control(self) -> ControlData | None:
        if not self.exists:
            return None
        if self.was_standby:
            state = "shut down in recovery" if self.clean else "in archive recovery"
        else:
            state = "shut down" if self.clean else "in production"
        return ControlData(
            system_identifier=SYSTEM_IDENTIFIER,
            state=state,
            timeline=self.timeline,
            checkpoint_lsn=self.lsn,
            redo_lsn=self.lsn,
            wal_log_hints=True,
            checksums=False,
        )

    def status(self, peers: dict[MemberName, "SimulatedPostgres"]) -> PostgresStatus:
        process: Literal["absent", "starting", "accepting", "unresponsive"] = "absent"
        if self.running:
            process = "starting" if self.starting else "accepting"
        accepting = process == "accepting"
        if accepting and self.stopping:
            process = "unresponsive"  # with what was seen last
        in_recovery = (self.role == "standby") if accepting else None
        return PostgresStatus(
            process=process,
            data_directory="valid" if self.exists else "missing",
            postmaster_pid=self.pid if self.running else None,
            server_version=150000,
            system_identifier=SYSTEM_IDENTIFIER if self.exists else None,
            in_recovery=in_recovery,
            timeline=self.timeline if accepting else 0,
            write_lsn=self.lsn if in_recovery is False else None,
            received_lsn=self.lsn if in_recovery else None,
            replayed_lsn=self.lsn if in_recovery else None,
            receiver=WalReceiver(
                status="streaming",
                sender_host=self.upstream,
                sender_port=5432,
                slot_name=self.slot_name,
                latest_end_lsn=None,
            )
            if in_recovery and self.streaming
            else None,
            senders=self._senders(peers) if accepting else (),
            slots=self._slots(peers) if accepting else (),
            synchronous_standby_names=self.synchronous_standby_names,
            control=None if self.running else self.control(),
            primary_conninfo_host=self.upstream,
            primary_conninfo_port="5432" if self.upstream else None,
        )

    def _senders(
        self, peers: dict[MemberName, "SimulatedPostgres"]
    ) -> tuple[WalSender, ...]:
        sync = self.standby_names.names
        return tuple(
            WalSender(
                pid=peer.pid,
                username="replicator",
                application_name=name,
                client_addr=None,
                state="streaming",
                sync_state="sync" if name.lower() in sync else "async",
                sync_priority=1 if name.lower() in sync else 0,
                write_lsn=peer.lsn,
                flush_lsn=peer.lsn,
                replay_lsn=peer.lsn,
            )
            for name, peer in sorted(peers.items())
            if peer.streaming and peer.upstream == self.member and peer.running
        )

    def _slots(
        self, peers: dict[MemberName, "SimulatedPostgres"]
    ) -> tuple[SlotView, ...]:
        used = self.slots_in_use(peers)
        return tuple(
            SlotView(
                name=name,
                type="physical",
                database=None,
                plugin=None,
                active=name in used,
                restart_lsn=self.slots[name],
                confirmed_flush_lsn=None,
                has_xmin=False,
                wal_status="reserved",
            )
            for name in sorted(self.slots)
        )

    def slots_in_use(self, peers: dict[MemberName, "SimulatedPostgres"]) -> set[str]:
        return {
            peer.slot_name
            for peer in peers.values()
            if peer.slot_name and peer.streaming and peer.upstream == self.member
        }

    def append(self, row: int | None) -> None:
        """Write one record on the present timeline."""
        self.wal.append(WalRecord(self.timeline, row))
        self.in_step_with = None
        if row is not None:
            self.own_rows.add(row)

    def replace_log(self, wal: list[WalRecord]) -> None:
        """Have another log: created, cloned, rewound or removed."""
        self.wal = list(wal)
        self.own_rows = {record.row for record in wal if record.row is not None}
        self.generation += 1
        self.in_step_with = None

    def stream_from(self, other: "SimulatedPostgres") -> None:
        """Receive what the other has and we have not; we have not diverged."""
        if self.slot_name in other.slots:
            other.slots[self.slot_name] = other.lsn
        ours = len(self.wal)
        if ours == len(other.wal) and self.timeline == other.timeline:
            return
        tail = other.wal[ours:]
        self.wal.extend(tail)
        self.own_rows.update(r.row for r in tail if r.row is not None)
        self.in_step_with = (other.member, other.generation)
        self.timeline = other.timeline

    def has_diverged_from(self, other: "SimulatedPostgres") -> bool:
        if self.in_step_with == (other.member, other.generation):
            return False
        shorter = min(len(self.wal), len(other.wal))
        if self.wal[:shorter] != other.wal[:shorter]:
            return True
        return len(self.wal) > len(other.wal)

    def follow(self, upstream: Upstream | None) -> None:
        self.upstream = upstream.host if upstream else None
        self.slot_name = upstream.slot if upstream else None
        self.streaming = False

    def copy_from(self, other: "SimulatedPostgres") -> None:
        """Rewind or clone: have what the other has."""
        self.replace_log(other.wal)
        self.timeline = other.timeline
        self.exists = True
        self.clean = True
        self.was_standby = True

    def crash(self) -> None:
        """End without a shutdown checkpoint."""
        if self.running:
            self.clean = False
            self.was_standby = self.role == "standby"
        self.running = self.starting = self.stopping = self.streaming = False

    def shut_down(self) -> None:
        """End with one."""
        if self.running:
            self.clean = not self.starting
            self.was_standby = self.role == "standby"
        self.running = self.starting = self.stopping = self.streaming = False

    def promote(self) -> None:
        self.promoted_at = self.lsn
        self.timeline += 1
        self.role = "primary"
        self.was_standby = False
        self.upstream = self.slot_name = None
        self.streaming = False
        self.append(None)
