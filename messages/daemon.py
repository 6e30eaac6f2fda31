"""The daemon itself: its start, its end, and what goes wrong inside it."""

from typing import ClassVar, Literal

from regnal.messages.base import Command, Decision, MemberName, Observation


class DaemonStarted(Observation):
    """The first message of an incarnation."""

    kind: Literal["daemon_started"] = "daemon_started"
    version: ClassVar[int] = 2
    member: MemberName
    scope: str
    incarnation: int
    versions: tuple[tuple[str, str], ...]
    """Program and version, such as ("regnal", "0.1.0")."""

    boot_id: str
    """Instants compare only within one boot."""

    pid: int
    last_reset: str | None = None
    """`watchdog`, where such a device says that the last start of the host was its
    doing; None: not known."""


class JournalKept(Observation):
    """Our journal is on the disk up to this record: others may witness that."""

    kind: Literal["journal_kept"] = "journal_kept"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset({"head"})
    head: str
    """Number and hash of the record, `812:8a1f…`."""


class ShutdownRequested(Observation):
    """SIGTERM or SIGINT."""

    kind: Literal["shutdown_requested"] = "shutdown_requested"
    signal: int


class ShutdownCompleted(Decision):
    """PostgreSQL and the lease are as they should be left: the daemon may end."""

    kind: Literal["shutdown_completed"] = "shutdown_completed"


class ExitDaemon(Command):
    """End the process with this status; PostgreSQL is left as it is."""

    kind: Literal["exit_daemon"] = "exit_daemon"
    status: int
    message: str


class ActorFailed(Observation):
    """A handler raised; the actor goes on from its last state."""

    kind: Literal["actor_failed"] = "actor_failed"
    actor: str
    heard: str
    """Id of the message."""

    error: str
    traceback: str
    failures: int
    """In a row, this one included."""


class ObservationSuperseded(Observation):
    """A mailbox was behind: an observation was skipped for a newer one like it."""

    kind: Literal["observation_superseded"] = "observation_superseded"
    actor: str
    skipped: str
    """Id of the message that was not heard."""

    newer: str
