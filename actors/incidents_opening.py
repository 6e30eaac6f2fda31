"""Rules of incidents that begin.

What happens while something graver is not settled is part of it, and no incident of its
own; what turns out to have been the beginning of something graver is included in it.
"""

from datetime import datetime

from regnal.actors.incident_memory import remember
from regnal.actors.incident_names import SAME_REIGN, own_incident, reign_incident
from regnal.actors.incidents_state import Happening, Incidents, Key
from regnal.actors.rule_list import Remark
from regnal.messages.base import Instant, Message, WallTime
from regnal.messages.cluster import FailoverRequest
from regnal.messages.frozen import replace
from regnal.messages.incidents import (
    ChangeOfLeader,
    Incident,
    IncidentContinued,
    IncidentOpened,
    IncidentWeight,
    IncidentWhat,
    PinJournal,
    SuccessorNoted,
    UnpinJournal,
)

PIN_BEFORE = 600.0
"""Seconds before an incident's beginning from which on the journal is kept: its cause
may have begun before anybody noticed."""

MAXIMUM_TEXT = 500
"""Characters of the sentence; an error of our own may be long."""

_GRAVITY: dict[IncidentWhat, int] = {
    "reign_ended": 3,
    "primary_interrupted": 2,
    "primary_stopped": 2,
    "fenced": 2,
    "store_outage": 1,
    "stall": 1,
    "actor_failed": 1,
}
GRAVE = tuple(what for what, gravity in _GRAVITY.items() if gravity > 1)
"""What the unasked end of a primary is, or can be part of."""

_WEIGHTS: dict[IncidentWhat, IncidentWeight] = {
    "primary_interrupted": "outage",
    "primary_stopped": "outage",
    "fenced": "outage",
    "store_outage": "degraded",
    "stall": "degraded",
    "actor_failed": "degraded",
}
_HEAVIER: tuple[IncidentWeight, ...] = ("notice", "degraded", "outage")

_FAILED_STATES = ("crashed", "start failed")
"""Published states of a PostgreSQL that nobody stopped."""


def decided(state: Incidents, *decisions: Message) -> Incidents:
    """The state with these decisions remembered."""
    memory = state.memory
    for decision in decisions:
        memory = remember(memory, decision)
    return replace(state, memory=memory)


def told_since(incident: Incident, state: Incidents, now: Instant) -> WallTime:
    """From when on the journal tells of it."""
    return state.heard.wall_before(now - incident.began_at + PIN_BEFORE)


def pinned(incident: Incident, state: Incidents, now: Instant) -> PinJournal:
    """The order to keep the journal around its beginning."""
    since = told_since(incident, state, now)
    return PinJournal(incident=incident.name, since=since)


def open_when_a_reign_ends(state: Incidents, now: Instant) -> Remark[Incidents] | None:
    """The leader key is in other hands, or has been gone for longer than its holder
    needs to write it anew."""
    former = _whose_reign_ended(state, now)
    if former is None:
        return None
    name = former.leader.name
    planned = _was_planned(state, former)
    parts = tuple(
        incident
        for incident in state.memory.unsettled
        if incident.is_open
        and _GRAVITY[incident.what] < _GRAVITY["reign_ended"]
        and (name == state.member or incident.what == "store_outage")
    )
    if planned:
        parts = tuple(incident for incident in parts if incident.weight == "outage")
    weight: IncidentWeight = "notice" if planned and not parts else "outage"
    moments = (former.left_at, state.heard.gone_at, state.gone_at)
    since = next((moment for moment in moments if moment is not None), now)
    if state.leader is None:
        text = f"nobody holds the leader key, which {name} had"
    else:
        text = f"{state.leader} holds the leader key, which {name} had"
    opened = _opened(
        state,
        now,
        "reign_ended",
        weight,
        text,
        parts,
        lasted=now - since,
        former=former,
    )
    return _begin(replace(state, gone_told=True), now, opened)


def _whose_reign_ended(state: Incidents, now: Instant) -> Key | None:
    """None: nobody's, or it is an incident already."""
    former = state.heard.former
    if former is None and state.gone_at is not None and not state.gone_told:
        gone_long = now - state.gone_at >= SAME_REIGN
        former = state.key if gone_long else None
    if former is None:
        return None
    known = state.memory.find(reign_incident(former.leader.revision))
    is_told = known is not None and known.leader is None and not known.is_settled
    return None if is_told else former


def _was_planned(state: Incidents, former: Key) -> bool:
    """Whether the holder gave the key away as it was asked to.  One that died did not,
    whatever it had been asked: its own key went, too."""
    name, view = former.leader.name, state.cluster
    if name == state.member and state.handed_over:
        return True
    member = view.member(name) if view is not None else None
    if view is None or member is None or member.state in _FAILED_STATES:
        return False
    requests = (former.request, view.failover)
    if any(_asks_away(request, name, state) for request in requests):
        return True
    # A hand-over changes the name in the key, and not the session that it hangs on.
    session = view.leader.session if view.leader is not None else None
    return session is not None and session == former.leader.session


def _asks_away(request: FailoverRequest | None, name: str, state: Incidents) -> bool:
    if request is None or request.leader not in (None, name):
        return False
    if request.candidate == name or not (request.leader or request.candidate):
        return False
    return _is_due(request, state)


def _is_due(request: FailoverRequest, state: Incidents) -> bool:
    if request.scheduled_at is None:
        return True
    try:
        due = datetime.fromisoformat(request.scheduled_at)
    except ValueError:
        return False
    return due.tzinfo is not None and due.timestamp() <= state.heard.wall_us / 1e6


def note_the_successor(state: Incidents, now: Instant) -> Remark[Incidents] | None:
    """Somebody leads after a reign that ended."""
    leader, view = state.leader, state.cluster
    if leader is None or view is None or state.store_lost_at is not None:
        return None
    noted = tuple(
        SuccessorNoted(
            incident=incident.name,
            leader=leader,
            change=_change(state, incident, leader, view.failover),
            at=now,
        )
        for incident in state.memory.unsettled
        if incident.what == "reign_ended" and incident.leader is None
    )
    if not noted:
        return None
    return Remark(decided(state, *noted), noted, {"leader": leader})


def _change(
    state: Incidents, incident: Incident, leader: str, request: FailoverRequest | None
) -> ChangeOfLeader:
    if leader == incident.member:
        return "none"
    if incident.weight == "notice":
        return "planned"
    if request is not None and request.candidate == leader and _is_due(request, state):
        return "manual"
    return "automatic"


def open_when_the_store_stays_away(
    state: Incidents, now: Instant
) -> Remark[Incidents] | None:
    """The DCS has not answered for longer than a heartbeat."""
    if state.store_lost_at is None or state.store_told:
        return None
    silent = now - state.store_lost_at
    if silent < state.heartbeat:
        return None
    told = replace(state, store_told=True)
    text = f"the DCS has not answered for {silent:.0f} s"
    return _happen(told, now, Happening("store_outage", text, lasted=silent))


def open_when_a_primary_ends_unasked(
    state: Incidents, now: Instant
) -> Remark[Incidents] | None:
    """PostgreSQL of a primary crashed, was killed, or shut down by somebody else."""
    return _when(state, now, "primary_interrupted", "primary_stopped")


def open_when_the_guard_fenced(
    state: Incidents, now: Instant
) -> Remark[Incidents] | None:
    """The guard killed PostgreSQL, since nobody renewed the lease in time."""
    return _when(state, now, "fenced")


def open_when_the_daemon_stalled(
    state: Incidents, now: Instant
) -> Remark[Incidents] | None:
    """The daemon did not run for longer than a heartbeat."""
    return _when(state, now, "stall")


def open_when_an_actor_fails_again_and_again(
    state: Incidents, now: Instant
) -> Remark[Incidents] | None:
    return _when(state, now, "actor_failed")


def _when(
    state: Incidents, now: Instant, *what: IncidentWhat
) -> Remark[Incidents] | None:
    happening = state.heard.happening
    if happening is None or happening.what not in what:
        return None
    return _happen(state, now, happening)


def _happen(state: Incidents, now: Instant, happening: Happening) -> Remark[Incidents]:
    """Part of what is not settled and at least as grave, or an incident of its own."""
    what = happening.what
    weight = _WEIGHTS[what]
    unsettled = [incident for incident in state.memory.unsettled if incident.is_open]
    whole = [
        incident
        for incident in unsettled
        if _GRAVITY[incident.what] >= _GRAVITY[what]
        and _HEAVIER.index(incident.weight) >= _HEAVIER.index(weight)
    ]
    if whole:
        continued = IncidentContinued(
            incident=whole[-1].name, what=what, at=now, text=happening.text
        )
        return Remark(decided(state, continued), (continued,), {"what": what})
    parts = tuple(i for i in unsettled if _GRAVITY[i.what] < _GRAVITY[what])
    opened = _opened(
        state, now, what, weight, happening.text, parts, lasted=happening.lasted
    )
    return _begin(state, now, opened)


def _opened(
    state: Incidents,
    now: Instant,
    what: IncidentWhat,
    weight: IncidentWeight,
    text: str,
    parts: tuple[Incident, ...],
    *,
    lasted: float,
    former: Key | None = None,
) -> IncidentOpened:
    if former is None:
        name, member = own_incident(what, state.heard.id), state.member
    else:
        name, member = reign_incident(former.leader.revision), former.leader.name
    began_at = min([now - lasted, *(part.began_at for part in parts)])
    return IncidentOpened(
        incident=name,
        what=what,
        weight=weight,
        member=member,
        began=state.heard.wall_before(now - began_at),
        began_at=began_at,
        text="; ".join([*(part.text for part in parts), text])[:MAXIMUM_TEXT],
        includes=tuple(name for part in parts for name in (part.name, *part.includes)),
    )


def _begin(state: Incidents, now: Instant, opened: IncidentOpened) -> Remark[Incidents]:
    known = decided(state, opened)
    incident = known.memory.find(opened.incident)
    assert incident is not None
    pins = (pinned(incident, state, now),) if incident.is_open else ()
    unpins = tuple(UnpinJournal(incident=name) for name in opened.includes)
    return Remark(
        replace(known, well_since=now if known.is_well else None),
        (opened, *pins, *unpins),
        {"what": opened.what, "weight": opened.weight, "leader": state.leader},
    )
