"""PostgreSQL in the model: a log of records, a timeline, a role.

A log is a tuple of numbers; what one server wrote and another did not have makes two
logs of which neither is the beginning of the other: they have diverged.
"""

from typing import NamedTuple

from regnal.messages.base import LSN, MemberName
from regnal.messages.postgres import (
    ControlData,
    PostgresStatus,
    WalReceiver,
    WalSender,
)

SYSTEM_IDENTIFIER = "7301234567890123456"
BYTES_PER_RECORD = 100

ROWS_BELOW = 1000
"""Records below this number are rows of clients."""


class Server(NamedTuple):
    """One PostgreSQL server and its data directory."""

    exists: bool = False
    phase: str = "down"
    """down, starting or up."""

    role: str = "standby"
    promoting: bool = False
    """Whether it was told to promote itself, and has not yet."""

    log: tuple[int, ...] = ()
    timeline: int = 1
    clean: bool = True
    was_standby: bool = False
    upstream: MemberName | None = None
    streaming: bool = False
    pid: int = 1
    """Of the postmaster; changes with every start."""

    names: str = ""
    """synchronous_standby_names, as in force."""

    @property
    def takes_writes(self) -> bool:
        return self.phase == "up" and self.role == "primary"

    @property
    def lsn(self) -> LSN:
        return 1000 + BYTES_PER_RECORD * len(self.log)

    @property
    def rows(self) -> frozenset[int]:
        return frozenset(record for record in self.log if record < ROWS_BELOW)


def promotion_record(timeline: int, member: int) -> int:
    return ROWS_BELOW + 10 * timeline + member


def shutdown_record(timeline: int, member: int) -> int:
    return 10 * ROWS_BELOW + 10 * timeline + member


def has_diverged(server: Server, other: Server) -> bool:
    """Whether `server` could not stream from `other` as it is."""
    return other.log[: len(server.log)] != server.log


def promoted(server: Server, member: int) -> Server:
    timeline = server.timeline + 1
    return server._replace(
        promoting=False,
        role="primary",
        was_standby=False,
        timeline=timeline,
        upstream=None,
        streaming=False,
        log=(*server.log, promotion_record(timeline, member)),
    )


def crashed(server: Server) -> Server:
    if server.phase == "down":
        return server
    return server._replace(
        phase="down",
        promoting=False,
        clean=False,
        was_standby=server.role == "standby",
        streaming=False,
    )


def stopped(server: Server, *, clean: bool) -> Server:
    if server.phase == "down":
        return server
    return crashed(server)._replace(clean=clean and server.phase == "up")


def copied(server: Server, other: Server) -> Server:
    """Rewound or cloned: it has what the other has."""
    return server._replace(
        exists=True,
        log=other.log,
        timeline=other.timeline,
        clean=True,
        was_standby=True,
        role="standby",
    )


def control_of(server: Server) -> ControlData | None:
    if not server.exists:
        return None
    if server.was_standby:
        state = "shut down in recovery" if server.clean else "in archive recovery"
    else:
        state = "shut down" if server.clean else "in production"
    return ControlData(
        system_identifier=SYSTEM_IDENTIFIER,
        state=state,
        timeline=server.timeline,
        checkpoint_lsn=server.lsn,
        redo_lsn=server.lsn,
        wal_log_hints=True,
        checksums=False,
    )


def status_of(
    server: Server, me: MemberName, others: dict[MemberName, Server]
) -> PostgresStatus:
    """What the monitor of `me` sees."""
    accepting = server.phase == "up"
    in_recovery = server.role == "standby" if accepting else None
    receiver = WalReceiver(
        status="streaming",
        sender_host=server.upstream,
        sender_port=5432,
        slot_name=None,
        latest_end_lsn=None,
    )
    return PostgresStatus(
        process={"down": "absent", "starting": "starting", "up": "accepting"}[  # type: ignore[arg-type]
            server.phase
        ],
        data_directory="valid" if server.exists else "missing",
        postmaster_pid=server.pid if server.phase != "down" else None,
        server_version=150000,
        system_identifier=SYSTEM_IDENTIFIER if server.exists else None,
        in_recovery=in_recovery,
        timeline=server.timeline if accepting else 0,
        write_lsn=server.lsn if in_recovery is False else None,
        received_lsn=server.lsn if in_recovery else None,
        replayed_lsn=server.lsn if in_recovery else None,
        receiver=receiver if in_recovery and server.streaming else None,
        senders=_senders(server, me, others) if accepting else (),
        synchronous_standby_names=server.names,
        control=control_of(server) if server.phase == "down" else None,
        primary_conninfo_host=server.upstream,
        primary_conninfo_port="5432" if server.upstream else None,
    )


def _senders(
    server: Server, me: MemberName, others: dict[MemberName, Server]
) -> tuple[WalSender, ...]:
    synchronous = names_in(server.names)
    return tuple(
        WalSender(
            pid=1,
            username="replicator",
            application_name=name,
            client_addr=None,
            state="streaming",
            sync_state="sync" if name in synchronous else "async",
            sync_priority=1 if name in synchronous else 0,
            write_lsn=other.lsn,
            flush_lsn=other.lsn,
            replay_lsn=other.lsn,
        )
        for name, other in sorted(others.items())
        if other.phase == "up" and other.streaming and other.upstream == me
    )


def names_in(value: str) -> tuple[MemberName, ...]:
    """Of a synchronous_standby_names that lists members."""
    inner = value.split("(")[-1].rstrip(")")
    names = (name.strip().strip('"') for name in inner.split(","))
    return tuple(name for name in names if name)


def how_many(value: str) -> int:
    """Of them must have a row before it is acknowledged."""
    head = value.split("(")[0].split()
    if not names_in(value):
        return 0
    return int(head[-1]) if "(" in value and head else 1
