"""The cluster as the store (DCS) shows it: one immutable view of all its keys.

The bridge of each store translates its keys into these values; nothing of a
particular store appears here.  Key layout and values: docs/contracts.md.
"""

from typing import ClassVar, Literal

from regnal.messages.base import (
    LSN,
    JsonText,
    MemberName,
    Observation,
    Outcome,
    Seconds,
    Timeline,
    Value,
    WallTime,
)

Revision = int | str
"""What a store counts its changes with; opaque, only ever compared for equality."""


class Tags(Value):
    """What a person said of a member, in its configuration."""

    nofailover: bool = False
    failover_priority: int = 1
    """Between members with the same position the higher one wins."""

    clonefrom: bool = False
    noloadbalance: bool = False
    replicatefrom: MemberName | None = None
    """None: from the leader."""

    nosync: bool = False
    sync_priority: int = 1
    nostream: bool = False
    document: JsonText = "{}"
    """All tags as published, custom ones included."""

    @property
    def may_lead(self) -> bool:
        """Whether the member may ever be promoted."""
        return not self.nofailover and self.failover_priority > 0

    @property
    def may_be_synchronous(self) -> bool:
        """Whether the member may be chosen as synchronous standby."""
        return not self.nosync and self.sync_priority > 0 and not self.nostream


class MemberView(Value):
    """What one member published of itself."""

    name: MemberName
    conn_url: str | None
    api_url: str | None
    state: str
    """One of the states of docs/contracts.md 1.1, such as `running`."""

    role: str
    """`primary`, `replica`, `standby_leader`, `demoted`, `uninitialized`,
    `promoted`; the old `master` is already translated."""

    version: str | None
    """None: very old."""

    proxy_url: str | None = None
    xlog_location: LSN | None = None
    receive_lsn: LSN | None = None
    replay_lsn: LSN | None = None
    replication_state: str | None = None
    timeline: Timeline | None = None
    tags: Tags = Tags()
    pending_restart: bool = False
    pending_restart_reason: JsonText | None = None
    scheduled_restart: JsonText | None = None
    paused: bool = False
    checkpoint_after_promote: bool | None = None
    """False while the promoted member has not finished its checkpoint; None
    where the member does not say (a replica, or it is done)."""

    hlc: str | None = None
    """Regnal's own: the writer's hybrid clock."""

    barred: bool = False
    """Regnal's own: whether it must not lead, after too many crashes."""

    journal_head: str | None = None
    """Regnal's own: number and hash of a late record of its journal, `812:8a1f…`, so
    that the journals of others witness it."""

    document: JsonText = "{}"
    """The value verbatim."""

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def runs_regnal(self) -> bool:
        """Whether the member understands a direct hand-over of the leader key."""
        return self.hlc is not None

    @property
    def position(self) -> LSN:
        """The furthest WAL position it is known to have; 0 if unknown."""
        return max(self.xlog_location or 0, self.receive_lsn or 0, self.replay_lsn or 0)


class LeaderView(Value):
    """The leader key."""

    name: MemberName
    revision: Revision
    session: str | None = None
    """The lease, session or owner behind the key, where the store has one."""


class FailoverRequest(Value):
    """The `failover` key: a switchover (names the leader) or a failover."""

    leader: MemberName | None
    candidate: MemberName | None
    scheduled_at: WallTime | None
    revision: Revision


class SyncState(Value):
    """The `sync` key.  Without a leader it restricts nobody."""

    leader: MemberName | None
    standbys: tuple[MemberName, ...]
    quorum: int
    revision: Revision

    def allows(self, member: MemberName) -> bool:
        """Whether an automatic failover may go to `member` (case-insensitive)."""
        wanted = member.lower()
        names = (self.leader or "", *self.standbys)
        return any(name.lower() == wanted for name in names)


class SlotPosition(Value):
    name: str
    lsn: LSN


class LeaderStatus(Value):
    """The `status` key: how far the leader was, and its slots."""

    optime: LSN
    slots: tuple[SlotPosition, ...] = ()
    retain_slots: tuple[str, ...] = ()


class HistoryLine(Value):
    """One change of timeline, as kept in the `history` key."""

    timeline: Timeline
    lsn: LSN
    reason: str
    at: WallTime | None = None
    leader: MemberName | None = None


class FailsafeMember(Value):
    name: MemberName
    api_url: str


class ClusterView(Value):
    """All keys of the cluster at one moment."""

    initialize: str | None
    """None: no such key.  Empty: somebody is bootstrapping.  Else the system
    identifier."""

    leader: LeaderView | None
    members: tuple[MemberView, ...]
    """Sorted by name."""

    config: JsonText | None
    """None: no such key."""

    config_revision: Revision | None
    failover: FailoverRequest | None
    sync: SyncState | None
    history: tuple[HistoryLine, ...] | None
    """None: no such key."""

    status: LeaderStatus | None
    failsafe: tuple[FailsafeMember, ...] | None

    def member(self, name: MemberName) -> MemberView | None:
        """The member of that name, if it has a key."""
        for member in self.members:
            if member.name == name:
                return member
        return None

    @property
    def leader_name(self) -> MemberName | None:
        return self.leader.name if self.leader else None

    @property
    def leader_member(self) -> MemberView | None:
        """What the lock holder published; None without a holder or its key."""
        return self.member(self.leader.name) if self.leader else None

    @property
    def is_initialized(self) -> bool:
        return bool(self.initialize)

    @property
    def timeline(self) -> Timeline:
        """The cluster's timeline by its history; 0 where unknown."""
        if self.history is None:
            return 0
        return self.history[-1].timeline + 1 if self.history else 1


class ClusterObserved(Observation):
    """The keys of the cluster changed, or were read: this is all of them."""

    kind: Literal["cluster_observed"] = "cluster_observed"
    version: ClassVar[int] = 2
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset(
        {
            "view.leader.revision",
            "view.members.*.document",
            "view.members.*.hlc",
            "view.members.*.journal_head",
            "view.members.*.receive_lsn",
            "view.members.*.replay_lsn",
            "view.members.*.xlog_location",
            "view.status.optime",
            "view.status.slots.*.lsn",
        }
    )
    view: ClusterView


class StoreUnreachable(Observation):
    """The watch or a read ended without an answer; the last view may be stale."""

    kind: Literal["store_unreachable"] = "store_unreachable"
    error: str
    unanswered_for: Seconds
    """Since the last answer of the store, whatever it was an answer to."""


class StoreAnswered(Observation):
    """The store answers again after it was unreachable."""

    kind: Literal["store_answered"] = "store_answered"


StoreObservation = ClusterObserved | StoreUnreachable | StoreAnswered

KeyName = Literal[
    "initialize",
    "config",
    "failover",
    "sync",
    "history",
    "status",
    "failsafe",
    "member",
]


class KeyWritten(Outcome):
    """The key has the value that was asked for."""

    kind: Literal["key_written"] = "key_written"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset({"revision"})
    key: KeyName
    revision: Revision | None
    """None where the store does not say (or the key was removed)."""

    request: str | None = None
    """Echo of the command's `request`, so that its author knows the answer."""


class KeyRefused(Outcome):
    """A compare-and-set failed: somebody else changed the key."""

    kind: Literal["key_refused"] = "key_refused"
    key: KeyName
    request: str | None = None


class KeyUnconfirmed(Outcome):
    """The store did not answer: the key may or may not have been written."""

    kind: Literal["key_unconfirmed"] = "key_unconfirmed"
    key: KeyName
    error: str
    request: str | None = None
