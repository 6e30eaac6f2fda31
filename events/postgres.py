"""PostgreSQL of the member that tells the event."""

from typing import ClassVar

from regnal.events.base import Event, EventName
from regnal.messages.base import LSN, Bytes, Timeline


class PostgresCrashed(Event):
    """The postmaster ended, and the daemon had not stopped it."""

    name: ClassVar[EventName] = "postgres.crashed"
    pid: int
    exit_status: int | None = None
    """null: the kernel does not tell."""

    signal: int | None = None
    out_of_memory: bool | None = None
    """Whether the kernel killed it for want of memory; null: not known."""

    role: str | None = None
    """What the member showed last; null: not known."""


class PostgresPromoted(Event):
    """PostgreSQL takes writes, on a new timeline."""

    name: ClassVar[EventName] = "postgres.promoted"
    timeline: Timeline
    lsn: LSN
    conn_url: str | None = None
    """Where it is, without any password; null: not known."""


class PostgresDiverged(Event):
    """Our data have what the leader's have not: they are rewound or made anew, and this
    is lost."""

    name: ClassVar[EventName] = "postgres.diverged"
    timeline: Timeline
    """Ours."""

    lsn: LSN
    leader_timeline: Timeline
    switch_lsn: LSN | None = None
    """Where the leader's history left ours."""

    lost_commits: int | None = None
    """Transactions that only we have; null: they could not be counted."""

    lost_wal_bytes: Bytes | None = None


class PostgresRewound(Event):
    """pg_rewind brought our data back to where the leader's history left ours."""

    name: ClassVar[EventName] = "postgres.rewound"


class PostgresRebuilt(Event):
    """Our data were made anew from another member or a backup."""

    name: ClassVar[EventName] = "postgres.rebuilt"
    method: str
    """Of `create_replica_methods`."""


class PostgresOperationFailed(Event):
    """Something that the daemon did with PostgreSQL failed."""

    name: ClassVar[EventName] = "postgres.operation_failed"
    operation: str
    """Such as `start_postgres`, `promote_postgres`, `rewind_postgres`."""

    code: str
    """Of the reason; the list is in docs/contracts.md."""

    reason: str


class SynchronousStandbysChanged(Event):
    """Whom commits on this primary wait for."""

    name: ClassVar[EventName] = "synchronous_standbys.changed"
    names: str
    """As `synchronous_standby_names` has it; empty: commits wait for nobody."""

    previous: str | None = None
    """null: not known."""


class SlotChanged(Event):
    """A replication slot was made, copied or dropped on this member."""

    name: ClassVar[EventName] = "slot.changed"
    slot: str
    change: str
    """`created`, `dropped` or `copied`."""


class SlotRefused(Event):
    """PostgreSQL refused to change a replication slot."""

    name: ClassVar[EventName] = "slot.refused"
    slot: str
    change: str
    error: str
