"""What the `rest` actor knows: this member, the cluster, and who waits for an answer."""

from dataclasses import dataclass, field
from typing import Literal

from regnal.actors.lease_margins import step_down_lead
from regnal.actors.own_member import OwnMember
from regnal.messages.base import (
    Instant,
    JsonText,
    MemberName,
    RequestId,
    Seconds,
    WallTime,
)
from regnal.messages.cluster import ClusterView
from regnal.messages.settings import Settings
from regnal.messages.status import StatusSnapshot

MAXIMUM_PENDING = 100
"""Requests that wait at once; a person or a script has a few."""


@dataclass(frozen=True, slots=True)
class ConfigWrite:
    """`PATCH` or `PUT /config`: the store has been asked."""

    request: RequestId
    document: JsonText
    method: Literal["PATCH", "PUT"]
    kind: Literal["config_write"] = "config_write"


@dataclass(frozen=True, slots=True)
class RestartUnderWay:
    """`POST /restart`: PostgreSQL restarts."""

    request: RequestId
    kind: Literal["restart_under_way"] = "restart_under_way"


@dataclass(frozen=True, slots=True)
class ReinitializeAsked:
    """`POST /reinitialize`: it has not begun yet."""

    request: RequestId
    kind: Literal["reinitialize_asked"] = "reinitialize_asked"


@dataclass(frozen=True, slots=True)
class SwitchoverCancelled:
    """`DELETE /switchover`: the store has been asked."""

    request: RequestId
    kind: Literal["switchover_cancelled"] = "switchover_cancelled"


@dataclass(frozen=True, slots=True)
class LeaderChange:
    """`POST /switchover` or `/failover`, as far as it has come."""

    request: RequestId
    action: Literal["switchover", "failover"]
    leader: MemberName | None
    """Who must be leader now; None: anybody or nobody (a failover)."""

    candidate: MemberName | None
    """None: the best."""

    scheduled_at: WallTime | None
    """ISO 8601; None: now."""

    stage: Literal["probing", "writing", "waiting"]
    former: MemberName | None
    """Who was leader when it was asked for; None: nobody."""

    seen: bool = False
    """Whether our failover key was in a view of the cluster since it was written."""

    kind: Literal["leader_change"] = "leader_change"


Pending = (
    ConfigWrite
    | RestartUnderWay
    | ReinitializeAsked
    | SwitchoverCancelled
    | LeaderChange
)


@dataclass(frozen=True, slots=True)
class RestartFilters:
    """When a restart is wanted; None and False: in any case."""

    role: str | None = None
    postgres_version: str | None = None
    """Only a server older than this, as the person wrote it."""

    restart_pending: bool = False


@dataclass(frozen=True, slots=True)
class ScheduledRestart:
    """The one restart that this member keeps for later (SCHED-04)."""

    at: WallTime
    due_us: int
    """`at` in microseconds since 1970."""

    filters: RestartFilters
    timeout: float | None
    """Seconds; None: primary_start_timeout."""

    postmaster_started_at: WallTime | None
    """Of the postmaster that is meant: another one has been restarted already."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Bodies that are made anew only when what they show has changed."""

    status: JsonText = "{}"
    metrics: JsonText = "{}"
    cluster: JsonText = '{"members": []}'
    history: JsonText = "[]"
    failsafe: JsonText | None = None
    config: JsonText | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """Everything that the REST API shows or depends on."""

    own: OwnMember
    view: ClusterView | None = None
    """As last observed; None: never."""

    store_known: bool = False
    """Whether the store has answered, and not been silent too long since."""

    store_silent: bool = False
    """Whether the store did not answer last time; it may be a hiccup."""

    lease_until: Instant = 0.0
    """End of our lease, prolonged by failsafe mode; 0: we have none."""

    failsafe_active: bool = False
    """Whether members keep the primary without the store (P-FSAFE-10)."""

    failsafe_until: Instant = 0.0
    """When that ends, unless it is heard of again."""

    watchdog_failed: bool = False
    """Whether what takes writes here could not be ended with the lease; of the peer's
    words the nearest, and by it other members pass over us."""

    device_timeout: Seconds | None = None
    """Of the hardware watchdog; None: none is active."""
    heartbeat_at: Instant = 0.0
    dcs_last_seen: int = 0
    """Unix time in seconds; 0: never."""

    scheduled: ScheduledRestart | None = None
    pending: tuple[Pending, ...] = ()
    documents: Documents = field(default_factory=Documents)
    published: StatusSnapshot | None = None

    @property
    def member(self) -> MemberName:
        return self.own.member

    @property
    def settings(self) -> Settings | None:
        return self.own.settings

    @property
    def paused(self) -> bool:
        return self.settings is not None and self.settings.paused

    @property
    def leader(self) -> MemberName | None:
        """Who holds the leader key, as last observed; None: nobody, or unknown."""
        return self.view.leader_name if self.view else None

    @property
    def accepts_writes(self) -> bool:
        """PostgreSQL runs out of recovery as far as known, and will go on."""
        own = self.own
        return (
            own.role == "primary"
            and own.phase not in ("stopping", "stopped", "restarting", "starting")
            and not own.demoting
            and not own.leaving
            and own.postgres is not None
            and own.postgres.process in ("accepting", "unresponsive")
        )

    @property
    def leader_until(self) -> Instant:
        """Until when we may say that we lead; 0: we may not (REST-26).

        Where writes end with the lease that is when we must begin to stop: whoever
        asks later, while we may be stuck, must not be sent here (law 6).
        """
        settings = self.settings
        if self.own.demoting or self.lease_until == 0:
            return 0.0
        if settings is None or settings.paused or settings.is_standby_cluster:
            return self.lease_until
        return self.lease_until - step_down_lead(settings, self.device_timeout)

    def leads(self, now: Instant) -> bool:
        return now < self.leader_until

    def serves_writes(self, now: Instant) -> bool:
        """Whether `GET /primary` may say yes (law 6)."""
        standby = self.settings is None or self.settings.is_standby_cluster
        return self.leads(now) and self.accepts_writes and not standby

    def waiting(self, request: str | None) -> Pending | None:
        """Who waits under this id; None: nobody, or not a request of ours."""
        if request is None:
            return None
        for pending in self.pending:
            if pending.request == request:
                return pending
        return None
