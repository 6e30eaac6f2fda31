"""What election knows: one immutable view on which its rules look."""

from dataclasses import dataclass, field
from typing import Literal

from regnal.actors.lease_margins import step_down_lead
from regnal.actors.postmaster import Postmaster
from regnal.messages.base import LSN, Instant, MemberName, RequestId, Seconds
from regnal.messages.cluster import ClusterView, MemberView
from regnal.messages.incidents import IncidentName
from regnal.messages.lease import LeaseAction
from regnal.messages.operations import Phase
from regnal.messages.postgres import ControlData, PostgresStatus, Upstream
from regnal.messages.probes import PeerStatus
from regnal.messages.reasons import Reason
from regnal.messages.settings import Settings

PROMOTION_RESERVE = 2.0
"""Seconds of lease that must be left beyond the margin before a promotion."""

PROBE_FRESH_FOR = 3.0
"""Seconds for which the answers of other members count in a race.  Once the
primary is gone, positions only settle."""

STREAM_WITHIN = 3.0
"""Seconds in which a standby that was told to follow should stream; then its
history is compared with the leader's."""

LOOK_EVERY = 0.25
"""Seconds between two looks at a standby that is about to stream."""

COUNTED_WITHIN = 2.0
"""Seconds in which the incidents actor counts an unasked end; it takes a moment.  An actor
that is broken must not keep a primary down."""

TO_FOLLOW = ("follow_leader", "clone_member", "reinitialize_member")
"""Kinds of the intents that start PostgreSQL as a standby."""

WRITABLE_PHASES: tuple[Phase, ...] = ("primary", "promoting", "checkpointing")


@dataclass(frozen=True, slots=True)
class Switchover:
    """A request in the `failover` key that this leader carries out."""

    candidate: MemberName | None
    """None: the best."""

    asked_by_failover: bool
    """A failover may go to an asynchronous member, a switchover may not."""

    stopping: bool = False
    """Whether PostgreSQL was told to stop for it."""


@dataclass(frozen=True, slots=True)
class Restart:
    """A restart that was asked for."""

    request: RequestId | None
    timeout: float | None


@dataclass(frozen=True, slots=True)
class Hold:
    """Policy holds automatic failovers up, since the last one."""

    incident: IncidentName
    leader: MemberName
    """Who leads since: that it leads again is no failover."""

    until: Instant


@dataclass(frozen=True, slots=True)
class AwaitedRecord:
    """The end of the former leader's WAL, which may still be on its way to us."""

    wanted: LSN
    position: LSN
    """How far we have got."""

    since: Instant
    """When we got there."""


@dataclass(frozen=True, slots=True)
class Reinitialize:
    """A rebuild that was asked for."""

    request: RequestId
    force: bool
    from_leader: bool


@dataclass(frozen=True, slots=True)
class Election:
    """The cluster, our PostgreSQL, our lease and what was asked for."""

    member: MemberName
    settings: Settings | None = None
    cluster: ClusterView | None = None
    known_members: tuple[MemberView, ...] = ()
    """Members as last seen, those included whose key went with the leader's."""

    store_lost_at: Instant | None = None
    """None while the store answers."""

    leader_gone_at: Instant | None = None
    """Since when the leader key is known to be missing."""

    last_leader: MemberName | None = None
    left_unfenced: bool = False
    """The leader's key ended in pause, when nothing fences, or before we looked: whoever
    led may take writes without a daemon."""

    postgres: PostgresStatus | None = None
    postmaster: Postmaster = field(default_factory=Postmaster)
    phase: Phase = "unknown"
    control: ControlData | None = None
    shutdown_lsn: int | None = None
    """Of the shutdown checkpoint, once pg_control shows a clean stop."""

    busy: str | None = None
    """`kind` of the intent that the supervisor carries out."""

    following: Upstream | None = None
    """Whom the supervisor was last told to follow."""

    followed_timeline: int = 0
    """Timeline of that leader when we were told."""

    was_primary: bool = True
    """Whether our data may have a history of their own: for all we know they were a
    primary's, and nobody has compared them with a leader's since."""

    stepping_down: bool = False
    """Whether PostgreSQL was told to stop at once, and has not stopped yet."""

    failure: Reason | None = None
    """Why the last intent failed."""

    failed_intent: str | None = None
    retry_at: Instant = 0.0
    """What failed is not tried again before."""

    stand_back_until: Instant = 0.0
    """Our promotion failed: until then we leave the lease to others."""

    lease_until: Instant | None = None
    """None: the lease is not ours."""

    lease_refused: bool = False
    """The store said a definite no since the lease was ours."""

    given_up: bool = False
    """Whether we asked to release the lease, or to hand it over, and do not know whether
    the store did: nothing may come to take writes by it before it is renewed."""

    disowned: bool = False
    """Whether the store said that the key is not ours any more, and no view has shown
    that yet: a view that still has our name in it is older."""

    is_unseen: bool = False
    """Whether the store gave us the lease, and no view has come since: one without our
    name is older."""

    must_lead_by: Instant | None = None
    """When a PostgreSQL that takes writes must have a lease; None while it has one, or
    takes no writes."""

    asking: LeaseAction | None = None
    """What the store has not answered yet."""

    answer_by: Instant | None = None
    """When the answer must have come: then it was lost on its way to us."""

    failsafe_active: bool = False
    failsafe_asked: bool = False
    renewal_failed: bool = False
    """Whether no answer came to the last renewal."""

    promised_until: Instant | None = None
    """Until when we leave the lease to a primary without a store (P-FSAFE-06)."""

    promise_is_known: bool = True
    """False after a start: whether we promised anything before, nobody remembers."""

    probing: bool = False
    peers: tuple[PeerStatus, ...] = ()
    peers_at: Instant = float("-inf")
    suspicious_since: Instant | None = None
    """Since when the leader is suspected to be gone."""

    race_after: Instant | None = None
    """When a candidate that is not the best may try."""

    switchover: Switchover | None = None
    handed_to: MemberName | None = None
    handed_at: Instant | None = None
    own_session: str | None = None
    """Session behind the leader key right after our hand-over."""

    hold: Hold | None = None
    barred: Reason | None = None
    """Why policy forbids that our PostgreSQL becomes primary; None: it does not."""

    crashed_at: Instant | None = None
    """When PostgreSQL ended unasked; None: its end is counted, or need not be."""

    restart: Restart | None = None
    reinitialize: Reinitialize | None = None
    shutdown: bool = False
    shutdown_said: bool = False
    shutdown_waits_since: Instant | None = None

    initialize: Literal["no", "asked", "ours", "created", "confirming"] = "no"
    """How far we are with creating the cluster."""

    new_identifier: str | None = None
    awaited: AwaitedRecord | None = None
    """The former leader's last record, while we wait for it; None: not since the
    lease became ours."""

    claiming_sync: bool = False
    clearing_failover: bool = False
    fencing: Literal["idle", "wanted", "stands", "failed"] = "idle"
    """What the watchdog actor said last; wanted: we asked, and it has not answered."""

    fencing_failure: Reason | None = None
    """Of `failed`."""

    fencing_due: Instant | None = None
    """When the answer must have come."""

    device_timeout: Seconds | None = None
    """Of the hardware watchdog; None: none is active."""
    seen_initialized: bool = False
    """Whether the cluster was ever seen initialized: a wiped store is not a new one."""

    schedule_is_due: bool = False
    """Whether the time of a scheduled switchover has come."""

    last_lsn: int | None = None
    """Our position when PostgreSQL was last seen as a healthy primary."""

    renewal_due: bool = False
    """Whether the lease is to be renewed as soon as nothing else is asked."""

    told_to_follow_at: Instant = float("-inf")
    observed_at: Instant = float("-inf")
    """When PostgreSQL was last observed."""

    look_due: bool = False
    """Whether the store shows a standby that our last observation does not."""

    looked_at: Instant = float("-inf")
    """When we asked for an observation, to see whether our standby streams."""

    poll_at: Instant | None = None
    """When to look again at a position that is about to settle."""

    schedule_at: Instant | None = None
    """When a scheduled switchover is due; None: none is scheduled."""

    heartbeat_at: Instant | None = None
    """When the heartbeat is due next; None: it was not begun."""

    wake_at: Instant | None = None
    """What our timer is set to."""

    @property
    def is_informed(self) -> bool:
        """Whether settings, store and PostgreSQL are known."""
        return (
            self.settings is not None
            and self.cluster is not None
            and self.postgres is not None
            and self.phase != "unknown"
        )

    @property
    def is_writable(self) -> bool:
        """Whether PostgreSQL takes writes, or is about to."""
        if self.phase in WRITABLE_PHASES:
            return True
        # What starts to follow is in recovery; its last observation may be of before.
        restarting = (
            self.phase in ("starting", "restarting") and self.busy not in TO_FOLLOW
        )
        return restarting and (
            self.busy == "start_as_primary"
            or (self.postgres is not None and self.postgres.is_primary)
        )

    @property
    def is_standby(self) -> bool:
        """Whether PostgreSQL runs as a standby that could be promoted now."""
        return (
            self.phase in ("standby", "following", "checking")
            and self.busy in (None, "follow_leader")
            and self.postgres is not None
            and self.postgres.is_accepting
            and self.postgres.is_standby
        )

    @property
    def is_running(self) -> bool:
        return self.phase in ("primary", "standby", "following", "checkpointing")

    @property
    def leader(self) -> MemberName | None:
        """Name in the leader key, as last observed."""
        return self.cluster.leader_name if self.cluster else None

    @property
    def has_lease(self) -> bool:
        return self.lease_until is not None

    @property
    def may_be_told_late(self) -> bool:
        """Whether the lease is ours though the view does not show it yet."""
        return self.has_lease and self.is_unseen

    def has_promised(self, now: Instant) -> bool:
        """Whether a primary may go on without a store because we let it.

        After a start every member that the primary must ask has to say that it is not
        that primary, or the longest time of a promise has to pass.
        """
        if self.promised_until is None or now >= self.promised_until:
            return False
        if self.promise_is_known or self.cluster is None:
            return True
        answered = {peer.name for peer in self.peers if peer.answered}
        listed = [member.name for member in self.cluster.failsafe or ()]
        listed += [member.name for member in self.known_members]
        return any(n not in answered for n in listed if n != self.member)

    @property
    def margin(self) -> float:
        """Seconds before the end of the lease at which a primary steps down."""
        assert self.settings is not None
        return step_down_lead(self.settings, self.device_timeout)

    @property
    def last_moment(self) -> Instant | None:
        """When a primary must have begun to stop; None: the lease is not ours."""
        return None if self.lease_until is None else self.lease_until - self.margin

    def lease_left(self, now: Instant) -> float:
        """Seconds; 0 without a lease."""
        return max(0.0, self.lease_until - now) if self.lease_until is not None else 0.0

    def lease_is_safe(self, now: Instant) -> bool:
        """Whether PostgreSQL could still be stopped before the lease ends."""
        return self.lease_left(now) > self.margin

    def awaits_fencing(self, now: Instant) -> bool:
        """Whether the watchdog actor may yet say that fencing stands."""
        if self.fencing != "wanted" or self.fencing_due is None:
            return False
        return now < self.fencing_due

    @property
    def paused(self) -> bool:
        return self.settings is not None and self.settings.paused

    @property
    def is_barred(self) -> bool:
        """Whether policy forbids that we lead.  In pause there is no policy, and a
        standby cluster has no primary that could crash."""
        if self.barred is None or self.settings is None or self.paused:
            return False
        return not self.settings.is_standby_cluster

    def failover_is_held(self, now: Instant) -> bool:
        """Whether policy forbids that we take over by ourselves: unless we led before,
        or a person asked for us, or for anybody."""
        if self.hold is None or now >= self.hold.until or self.paused:
            return False
        if self.member in (self.last_leader, self.hold.leader):
            return False
        request = self.cluster.failover if self.cluster else None
        if request is None or not (request.leader or request.candidate):
            return True
        if request.scheduled_at is not None and not self.schedule_is_due:
            return True
        return request.candidate not in (None, self.member)

    def awaits_the_count(self, now: Instant) -> bool:
        """Whether an unasked end is being counted, of which policy may follow."""
        return self.crashed_at is not None and now < self.crashed_at + COUNTED_WITHIN

    @property
    def candidates_stand_by(self) -> bool:
        """Whether another member could lead at once, as far as it published.  Whether
        it streams does not count: it does not from a primary that is down."""
        if self.cluster is None or self.settings is None:
            return False
        sync = self.cluster.sync if self.settings.is_synchronous else None
        return any(
            member.name != self.member
            and member.is_running
            and member.tags.may_lead
            and not member.barred
            and (sync is None or sync.leader is None or sync.allows(member.name))
            for member in self.cluster.members
        )

    @property
    def request_is_due(self) -> bool:
        """Whether the failover key asks for another leader than us, now.  In pause only
        a named candidate, and nothing that was scheduled (PAUSE-02)."""
        request = self.cluster.failover if self.cluster else None
        if request is None or self.shutdown or self.clearing_failover:
            return False
        if request.candidate == self.member:
            return False
        scheduled = request.scheduled_at is not None
        if scheduled and (self.paused or not self.schedule_is_due):
            return False
        if self.paused and request.candidate is None:
            return False
        return request.leader in (None, self.member) and bool(
            request.leader or request.candidate
        )

    @property
    def is_outside_the_sync_key(self) -> bool:
        """Whether synchronous mode forbids that we lead (SYNC-01)."""
        if self.cluster is None or self.settings is None:
            return False
        sync = self.cluster.sync if self.settings.is_synchronous else None
        return (
            sync is not None
            and sync.leader is not None
            and not sync.allows(self.member)
        )

    @property
    def position(self) -> int:
        return self.postgres.position if self.postgres else 0

    @property
    def data_is_missing(self) -> bool:
        return self.postgres is not None and self.postgres.data_directory in (
            "missing",
            "empty",
        )

    def peers_are_fresh(self, now: Instant) -> bool:
        return now - self.peers_at < PROBE_FRESH_FOR
