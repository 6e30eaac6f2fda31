"""What the REST API serves: one immutable snapshot, made by the `rest` actor.

The HTTP bridge answers every read from the last snapshot, without asking
anybody; what depends on the moment of the question (has the lease ended, how
old is the heartbeat) it computes from the instants given here.
"""

from typing import ClassVar, Literal

from regnal.messages.base import (
    LSN,
    Bytes,
    Command,
    Instant,
    JsonText,
    MemberName,
    Seconds,
    Value,
)


class TagText(Value):
    """A tag as `?tag_<key>=<value>` compares it."""

    name: str
    value: str


class StatusSnapshot(Value):
    document: JsonText
    """The body of `GET /patroni`, but `dcs_last_seen`."""

    state: str
    role: str
    name: MemberName
    scope: str
    leader_until: Instant
    """Until when this member is the leader: the end of its lease less nothing; 0
    when it is not.  In pause with an unknown store: see `paused_primary`."""

    accepts_writes: bool
    """PostgreSQL runs out of recovery, as far as known, and nothing is stopping it
    or about to."""

    is_standby_cluster: bool
    paused: bool
    paused_primary: bool
    """Paused, the store unknown, and PostgreSQL runs as primary."""

    store_known: bool
    """Whether the DCS content is known."""

    is_running: bool
    """Whether PostgreSQL accepts connections."""

    is_replica: bool
    """Running, as a replica."""

    noloadbalance: bool
    is_synchronous: bool
    is_quorum: bool
    replication_state: str | None
    replayed_lsn: LSN
    """0 while unknown."""

    received_lsn: LSN
    leader_lsn: LSN
    """Last known position of the leader: larger of the store's and the upstream's."""

    maximum_lag_on_failover: Bytes
    tags: tuple[TagText, ...]
    ttl: Seconds
    heartbeat_at: Instant
    """When election last thought; /liveness compares it with ttl."""

    loop_wait: Seconds
    dcs_last_seen: int
    """Unix time (seconds) at which the store last answered anything; 0: never.  Part
    of `GET /patroni` and of the metrics, added to them by the HTTP bridge."""

    metrics: JsonText
    """Values of `GET /metrics` by name, but patroni_dcs_last_seen."""

    config: JsonText | None
    """Body of `GET /config`; None: no such key."""

    history: JsonText
    failsafe: JsonText | None
    cluster: JsonText
    """Body of `GET /cluster` as last observed."""


class PublishStatus(Command):
    """Serve this snapshot from now on."""

    kind: Literal["publish_status"] = "publish_status"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset({"snapshot"})
    snapshot: StatusSnapshot


class PublishIncidents(Command):
    """Serve this list as `GET /incidents` from now on.

    Apart from the snapshot, which is made anew with every heartbeat: the list is long,
    and changes seldom.
    """

    kind: Literal["publish_incidents"] = "publish_incidents"
    document: JsonText


class WithdrawPrimary(Command):
    """At once: `GET /primary` answers 503 from now on, whatever the snapshot says."""

    kind: Literal["withdraw_primary"] = "withdraw_primary"
