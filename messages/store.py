"""Commands to the store, one per key that is not the leader key.

Each is answered by `KeyWritten`, `KeyRefused` or `KeyUnconfirmed` with the same
`key` and `request`.  `deadline` is when the bridge must stop trying.
"""

from typing import ClassVar, Literal

from regnal.messages.base import Command, Instant, JsonText, MemberName, Seconds
from regnal.messages.cluster import (
    FailsafeMember,
    HistoryLine,
    LeaderStatus,
    Revision,
)


class ReadCluster(Command):
    """Read all keys anew and say `ClusterObserved` (also if nothing changed)."""

    kind: Literal["read_cluster"] = "read_cluster"
    deadline: Instant


class TouchMember(Command):
    """Write our member key, bound to our session or `ttl`."""

    kind: Literal["touch_member"] = "touch_member"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset({"deadline", "document"})
    member: MemberName
    ttl: Seconds
    document: JsonText
    """The value as Patroni's readers expect it."""

    deadline: Instant


class TakeInitialize(Command):
    """Create the `initialize` key, empty, if it does not exist.

    With `system_identifier` it is created with that value: the cluster exists
    already and only its keys do not.
    """

    kind: Literal["take_initialize"] = "take_initialize"
    system_identifier: str = ""
    deadline: Instant


class ConfirmInitialize(Command):
    """Replace our empty `initialize` with the identifier of the new cluster."""

    kind: Literal["confirm_initialize"] = "confirm_initialize"
    system_identifier: str
    deadline: Instant


class CancelInitialize(Command):
    """Remove our `initialize` key: the bootstrap failed, another may try."""

    kind: Literal["cancel_initialize"] = "cancel_initialize"
    deadline: Instant


class WriteConfig(Command):
    """Write the dynamic configuration.

    `if_revision`: only if the key still has it; None: unconditionally;
    `"absent"`: only if there is no key.
    """

    kind: Literal["write_config"] = "write_config"
    document: JsonText
    if_revision: Revision | None
    deadline: Instant
    request: str | None = None


class WriteFailover(Command):
    """Write (or with all three None: clear) the `failover` key."""

    kind: Literal["write_failover"] = "write_failover"
    leader: MemberName | None
    candidate: MemberName | None
    scheduled_at: str | None
    if_revision: Revision | None
    deadline: Instant
    request: str | None = None


class WriteSync(Command):
    """Write the `sync` key; `leader` None writes the empty state."""

    kind: Literal["write_sync"] = "write_sync"
    leader: MemberName | None
    standbys: tuple[MemberName, ...]
    quorum: int
    if_revision: Revision | None
    """None: only if there is no key."""

    deadline: Instant


class DeleteSync(Command):
    """Remove the `sync` key: synchronous mode was switched off."""

    kind: Literal["delete_sync"] = "delete_sync"
    if_revision: Revision | None
    deadline: Instant


class WriteHistory(Command):
    kind: Literal["write_history"] = "write_history"
    lines: tuple[HistoryLine, ...]
    deadline: Instant


class WriteStatus(Command):
    kind: Literal["write_status"] = "write_status"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset(
        {"deadline", "status.optime", "status.slots.*.lsn"}
    )
    status: LeaderStatus
    deadline: Instant


class WriteFailsafe(Command):
    kind: Literal["write_failsafe"] = "write_failsafe"
    members: tuple[FailsafeMember, ...]
    deadline: Instant


KeyCommand = (
    ReadCluster
    | TouchMember
    | TakeInitialize
    | ConfirmInitialize
    | CancelInitialize
    | WriteConfig
    | WriteFailover
    | WriteSync
    | DeleteSync
    | WriteHistory
    | WriteStatus
    | WriteFailsafe
)
