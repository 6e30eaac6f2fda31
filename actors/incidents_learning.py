"""How the incidents actor learns from messages; nothing is decided here."""

from regnal.actors.incident_memory import remember
from regnal.actors.incident_names import SAME_REIGN
from regnal.actors.incidents_state import (
    Happening,
    Hearing,
    Incidents,
    Key,
)
from regnal.actors.postmaster import heard_of
from regnal.messages.base import Instant, Message, Seconds
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    LeaderView,
    Revision,
    StoreAnswered,
    StoreUnreachable,
)
from regnal.messages.daemon import ActorFailed
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import GuardFenced
from regnal.messages.frozen import replace
from regnal.messages.host import StallNoticed
from regnal.messages.incidents import (
    ExplanationFailed,
    IncidentJudged,
    IncidentName,
    IncidentsRecalled,
    OwnReign,
)
from regnal.messages.lease import LeaderHandedOver
from regnal.messages.operations import Phase, PhaseChanged
from regnal.messages.postgres import PostgresStarted, PostmasterExited
from regnal.messages.requests import AcknowledgementRequested
from regnal.messages.settings import ConfigurationApplied

REPEATED = 3
"""So many failures in a row make an actor's mistake an incident; five end with a
demotion."""

_PRIMARY: tuple[Phase, ...] = ("primary", "promoting", "checkpointing")


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
        case IncidentsRecalled(reign=OwnReign(revision=revision, until=until)):
            ours = LeaderView(name=state.member, revision=revision)
            known = replace(state, key=Key(ours, None, left_at=until))
            return replace(known, memory=remember(state.memory, message))
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
        case PostgresStarted():
            return replace(state, postmaster=heard_of(state.postmaster, message))
        case PostmasterExited() if state.postmaster.is_late(message):
            return state
        case PostmasterExited(expected=expected):
            known = replace(state, postmaster=heard_of(state.postmaster, message))
            if expected:
                return known
            return replace(known, phase="stopped", was_primary=False)
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
    if leader.revision in state.past and now - state.key_at < LATE:
        return state
    is_news = before is None or before.leader.revision != leader.revision
    known = replace(
        state,
        cluster=view,
        key=Key(leader, view.failover),
        key_at=now if is_news else state.key_at,
        past=_past(state, leader),
        gone_at=None,
        gone_told=False,
    )
    if before is None or not _has_ended(state, leader, now):
        return known
    return replace(
        known,
        handed_over=state.handed_over and leader.name != state.member,
        hearing=replace(state.heard, former=before, gone_at=state.gone_at),
    )


def _past(state: Incidents, leader: LeaderView) -> tuple[Revision, ...]:
    if state.key is None or state.key.leader.revision == leader.revision:
        return state.past
    return (*state.past, state.key.leader.revision)[-KEYS_REMEMBERED:]


KEYS_REMEMBERED = 8
"""How far back a view is known to be old; one that is late is so by one or two."""

LATE: Seconds = 5.0
"""By which a view may be late.  Later a revision of before is that of a store which was
restored, or begun anew."""


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
