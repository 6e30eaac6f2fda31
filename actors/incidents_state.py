"""What the incidents actor knows, and how it learns; nothing is decided here."""

from dataclasses import dataclass, field, replace

from regnal.actors.incident_memory import Memory, remember
from regnal.actors.incident_names import SAME_REIGN
from regnal.actors.wall_time import iso_text
from regnal.messages.base import Instant, MemberName, Message, Seconds, WallTime
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    FailoverRequest,
    LeaderView,
    Revision,
    StoreAnswered,
    StoreUnreachable,
)
from regnal.messages.daemon import ActorFailed
from regnal.messages.envelope import Envelope, MessageId
from regnal.messages.fencing import GuardFenced
from regnal.messages.host import StallNoticed
from regnal.messages.incidents import (
    ExplanationFailed,
    IncidentJudged,
    IncidentName,
    IncidentsRecalled,
    IncidentWhat,
)
from regnal.messages.lease import LeaderHandedOver
from regnal.messages.operations import Phase, PhaseChanged
from regnal.messages.postgres import PostmasterExited
from regnal.messages.requests import AcknowledgementRequested
from regnal.messages.settings import ConfigurationApplied, Settings

LATEST_US = 253_402_300_799_000_000.0
"""The last second that ISO 8601 has four digits for, in microseconds since 1970."""

REPEATED = 3
"""So many failures in a row make an actor's mistake an incident; five end with a
demotion."""

HEARTBEAT_BEFORE_SETTINGS: Seconds = 10.0
"""As long as no settings are known; their default."""

_PRIMARY: tuple[Phase, ...] = ("primary", "promoting", "checkpointing")


@dataclass(frozen=True, slots=True)
class Key:
    """The leader key as last seen in somebody's hands."""

    leader: LeaderView
    request: FailoverRequest | None
    """The failover key meanwhile; with the change it may be cleared."""


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

    past: tuple[Revision, ...] = ()
    """Of keys that were there before `key`: a view that shows one of them is old."""

    gone_at: Instant | None = None
    """Since when nobody holds the key; None: somebody does, or ever did."""

    gone_told: bool = False
    """Whether the end of that reign is an incident already."""

    handed_over: bool = False
    """Whether we gave the key away in order, since we had it last."""

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


def learn(state: Incidents, envelope: Envelope[Message]) -> Incidents:
    """The state after the message, before any rule looks at it."""
    message, now = envelope.message, envelope.at
    hearing = Hearing(
        id=envelope.id,
        wall_us=envelope.hlc.wall_us,
        happening=_happening(state, message),
        request=message if isinstance(message, AcknowledgementRequested) else None,
        recalled=isinstance(message, IncidentsRecalled),
        ended_unasked=isinstance(message, PostmasterExited) and not message.expected,
    )
    known = _learn(replace(state, hearing=hearing), message, now)
    if not known.is_well:
        return replace(known, well_since=None)
    since = now if known.well_since is None else known.well_since
    return replace(known, well_since=now if hearing.happening else since)


def _learn(state: Incidents, message: Message, now: Instant) -> Incidents:
    match message:
        case IncidentsRecalled() | IncidentJudged():
            known = replace(state, memory=remember(state.memory, message))
            return _answered(known, message, now)
        case ExplanationFailed():
            return _answered(state, message, now)
        case ConfigurationApplied(settings=settings):
            return replace(state, settings=settings)
        case ClusterObserved(view=view):
            known = replace(state, store_lost_at=None, store_told=False)
            return _learn_key(known, view, now)
        case StoreAnswered():
            return replace(state, store_lost_at=None, store_told=False)
        case StoreUnreachable(unanswered_for=silent) if state.store_lost_at is None:
            return replace(state, store_lost_at=now - silent)
        case LeaderHandedOver():
            return replace(state, handed_over=True)
        case PostmasterExited(expected=False):
            return replace(state, phase="stopped", was_primary=False)
        case PhaseChanged(phase=phase):
            return _learn_phase(state, phase)
        case _:
            return state


def _learn_phase(state: Incidents, phase: Phase) -> Incidents:
    if phase in _PRIMARY:
        return replace(state, phase=phase, was_primary=True)
    if phase == "standby":
        return replace(state, phase=phase, was_primary=False)
    return replace(state, phase=phase)


def _learn_key(state: Incidents, view: ClusterView, now: Instant) -> Incidents:
    """Who holds the key; where that is another than before, whose reign has ended."""
    before, leader = state.key, view.leader
    if leader is None:
        if before is None or state.gone_at is not None:
            return replace(state, cluster=view)
        return replace(state, cluster=view, gone_at=now, gone_told=False)
    if leader.revision in state.past:
        return state
    known = replace(
        state,
        cluster=view,
        key=Key(leader, view.failover),
        past=_past(state, leader),
        gone_at=None,
        gone_told=False,
    )
    if before is None or not _has_ended(state, leader, now):
        return known
    return replace(
        known,
        handed_over=state.handed_over and leader.name != state.member,
        hearing=replace(state.heard, former=before),
    )


def _past(state: Incidents, leader: LeaderView) -> tuple[Revision, ...]:
    if state.key is None or state.key.leader.revision == leader.revision:
        return state.past
    return (*state.past, state.key.leader.revision)[-KEYS_REMEMBERED:]


KEYS_REMEMBERED = 8
"""How far back a view is known to be old; one that is late is so by one or two."""


def _has_ended(state: Incidents, leader: LeaderView, now: Instant) -> bool:
    assert state.key is not None
    if leader.name != state.key.leader.name:
        return True
    return state.gone_at is not None and now - state.gone_at >= SAME_REIGN


def _answered(state: Incidents, message: Message, now: Instant) -> Incidents:
    """What became of an explanation.  A verdict counts however late it comes; that one
    failed which is not under way any more tells nothing."""
    explaining = state.explaining
    match message:
        case IncidentJudged(incident=name):
            return _explained(state, name)
        case ExplanationFailed(incident=name) if (
            explaining is not None and name == explaining.incident
        ):
            if explaining.attempt >= ATTEMPTS:
                return _explained(state, name)
            again = replace(explaining, retry_at=now + RETRY_AFTER)
            return replace(state, explaining=again)
        case _:
            return state


def _explained(state: Incidents, done: IncidentName) -> Incidents:
    explaining = state.explaining
    is_current = explaining is not None and explaining.incident == done
    return replace(
        state,
        unexplained=tuple(name for name in state.unexplained if name != done),
        explaining=None if is_current else explaining,
    )


ATTEMPTS = 3
"""An explanation that fails is tried again twice, no more: the next one would fail,
too."""

RETRY_AFTER: Seconds = 60.0


def _happening(state: Incidents, message: Message) -> Happening | None:
    match message:
        case PostmasterExited(expected=False) if state.was_primary:
            return _end_of_primary(message)
        case GuardFenced(postmaster_pid=pid):
            return Happening("fenced", f"the guard killed PostgreSQL (pid {pid})")
        case StallNoticed(missing=missing) if missing >= state.heartbeat:
            text = f"the daemon did not run for {missing:.1f} s"
            return Happening("stall", text, lasted=missing)
        case ActorFailed(actor=actor, failures=failures, error=error) if (
            failures == REPEATED
        ):
            return Happening(
                "actor_failed", f"the actor {actor} fails again and again: {error}"
            )
        case _:
            return None


def _end_of_primary(exited: PostmasterExited) -> Happening:
    control = exited.control
    if control is not None and control.was_shut_down_cleanly:
        return Happening(
            "primary_stopped", "somebody else than the daemon shut PostgreSQL down"
        )
    how = "unasked"
    if exited.signal is not None:
        how = f"by signal {exited.signal}"
    elif exited.exit_status is not None:
        how = f"with status {exited.exit_status}"
    return Happening("primary_interrupted", f"PostgreSQL ended {how} as primary")
