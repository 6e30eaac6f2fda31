"""What the incidents actor knows."""

from dataclasses import dataclass, field

from regnal.actors.incident_memory import Memory
from regnal.actors.postmaster import Postmaster
from regnal.actors.wall_time import iso_text
from regnal.messages.base import Instant, MemberName, Seconds, WallTime
from regnal.messages.cluster import (
    ClusterView,
    FailoverRequest,
    LeaderView,
    Revision,
)
from regnal.messages.envelope import MessageId
from regnal.messages.incidents import (
    IncidentName,
    IncidentWhat,
)
from regnal.messages.operations import Phase
from regnal.messages.requests import AcknowledgementRequested
from regnal.messages.settings import Settings

LATEST_US = 253_402_300_799_000_000.0
"""The last second that ISO 8601 has four digits for, in microseconds since 1970."""

HEARTBEAT_BEFORE_SETTINGS: Seconds = 10.0
"""As long as no settings are known; their default."""


@dataclass(frozen=True, slots=True)
class Key:
    """The leader key as last seen in somebody's hands."""

    leader: LeaderView
    request: FailoverRequest | None
    """The failover key meanwhile; with the change it may be cleared."""

    left_at: Instant | None = None
    """When our journal ended, if the key is remembered from there."""


@dataclass(frozen=True, slots=True)
class Happening:
    """What the message just heard tells of this member."""

    what: IncidentWhat
    text: str
    lasted: Seconds = 0.0
    """For how long it had been going on when it was noticed."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """The message just heard: forgotten with the end of the step."""

    id: MessageId
    wall_us: int
    happening: Happening | None = None
    request: AcknowledgementRequested | None = None
    recalled: bool = False
    ended_unasked: bool = False
    """Whether it tells of an unasked end of PostgreSQL, whatever it was."""

    former: Key | None = None
    """Of the reign that it shows to have ended with the beginning of another."""

    gone_at: Instant | None = None
    """Since when nobody had held the key before that; None: there was no such time."""

    def wall_before(self, span: Seconds) -> WallTime:
        """So long before it was heard; negative: after.  Within what can be written."""
        then = min(max(self.wall_us - span * 1e6, 0.0), LATEST_US)
        return iso_text(int(then))


@dataclass(frozen=True, slots=True)
class Explaining:
    """The explanation that the bridge works on, or that is to be tried again."""

    incident: IncidentName
    attempt: int
    retry_at: Instant | None = None
    """None: it is under way."""


@dataclass(frozen=True, slots=True)
class Incidents:
    """The memory of incidents, and how cluster and member are just now."""

    member: MemberName
    memory: Memory = field(default_factory=Memory)
    settings: Settings | None = None
    cluster: ClusterView | None = None
    key: Key | None = None
    """None: nobody was ever seen to lead."""

    key_at: Instant = 0.0
    """Since when `key` has been there."""

    past: tuple[Revision, ...] = ()
    """Of keys that were there before `key`: a view that shows one of them may be old."""

    gone_at: Instant | None = None
    """Since when nobody holds the key; None: somebody does, or ever did."""

    gone_told: bool = False
    """Whether the end of that reign is an incident already."""

    handed_over: bool = False
    """Whether we gave the key away in order, since we had it last."""

    postmaster: Postmaster = field(default_factory=Postmaster)
    phase: Phase = "unknown"
    was_primary: bool = False
    """Whether PostgreSQL, as it runs or ran last, was a primary."""

    store_lost_at: Instant | None = None
    """None while the store answers."""

    store_told: bool = False
    """Whether that it does not answer is an incident already."""

    well_since: Instant | None = None
    """Since when nothing is wrong; None: something is."""

    unexplained: tuple[IncidentName, ...] = ()
    """Settled while we led; in their order."""

    explaining: Explaining | None = None
    held: IncidentName | None = None
    """By which incident election was told to hold failovers up."""

    held_until: Instant | None = None
    barred: IncidentName | None = None
    """By which incident election was told that we must not lead."""

    wake_at: Instant | None = None
    """What our timer is set to."""

    hearing: Hearing | None = None

    @property
    def heartbeat(self) -> Seconds:
        settings = self.settings
        return settings.loop_wait if settings else HEARTBEAT_BEFORE_SETTINGS

    @property
    def leader(self) -> MemberName | None:
        """Who holds the key, as last observed."""
        return self.cluster.leader_name if self.cluster else None

    @property
    def leads(self) -> bool:
        return self.leader == self.member and self.store_lost_at is None

    @property
    def heard(self) -> Hearing:
        assert self.hearing is not None
        return self.hearing

    @property
    def is_well(self) -> bool:
        """Whether somebody leads, and our PostgreSQL is as it should be."""
        cluster = self.cluster
        if cluster is None or self.store_lost_at is not None or not self.leader:
            return False
        if self.leader == self.member:
            standby = self.settings is not None and self.settings.is_standby_cluster
            return self.phase == ("standby" if standby else "primary")
        return self.phase == "standby" and _leads_well(cluster) and self._streams

    @property
    def _streams(self) -> bool:
        own = self.cluster.member(self.member) if self.cluster else None
        if own is None:
            return False
        return own.replication_state == "streaming" or own.tags.nostream


def _leads_well(cluster: ClusterView) -> bool:
    leader = cluster.leader_member
    if leader is None:
        return False
    return leader.is_running and leader.role in ("primary", "standby_leader")
