"""Rules of incidents that go on, are over, or are closed by a person."""

import json

from regnal.actors.incident_memory import MAXIMUM_OPEN
from regnal.actors.incidents_opening import decided, pinned
from regnal.actors.incidents_state import Incidents
from regnal.actors.incidents_telling import queue_what_has_settled
from regnal.actors.rest_answers import JSON
from regnal.actors.rule_list import Remark
from regnal.messages.base import Instant
from regnal.messages.incidents import (
    IncidentAcknowledged,
    IncidentLapsed,
    IncidentName,
    IncidentSettled,
    UnpinJournal,
)
from regnal.messages.requests import AcknowledgementRequested, RequestAnswered


def keep_what_is_recalled(state: Incidents, now: Instant) -> Remark[Incidents] | None:
    """After a restart: the segments of what is open stay pinned."""
    if not state.heard.recalled:
        return None
    found = state.memory.open
    if not found:
        return None
    return Remark(
        state,
        tuple(pinned(incident, state, now) for incident in found),
        {"open": [incident.name for incident in found]},
    )


def acknowledge_on_request(state: Incidents, now: Instant) -> Remark[Incidents] | None:
    """A person has seen them: they are closed, and no segment is kept for them."""
    asked = state.heard.request
    if asked is None:
        return None
    names, unknown = _meant(state, asked)
    acknowledged = tuple(
        IncidentAcknowledged(
            incident=name,
            by=asked.caller.username or asked.caller.address,
            at=state.heard.wall_before(0),
            comment=asked.comment,
        )
        for name in names
    )
    found = {"acknowledged": names, "unknown": unknown}
    answer = RequestAnswered(
        request=asked.request,
        status=200 if names or not unknown else 404,
        body=json.dumps(found),
        content_type=JSON,
    )
    unpins = tuple(UnpinJournal(incident=name) for name in names)
    return Remark(
        decided(state, *acknowledged), (*acknowledged, *unpins, answer), dict(found)
    )


def _meant(
    state: Incidents, asked: AcknowledgementRequested
) -> tuple[list[IncidentName], list[str]]:
    """Open incidents that are meant, each once; and names of none that was ever open."""
    if asked.incidents is None:
        return [incident.name for incident in state.memory.open], []
    names: list[IncidentName] = []
    unknown: list[str] = []
    for wanted in asked.incidents:
        incident = state.memory.find(wanted)
        if incident is None or not incident.needs_acknowledgement:
            unknown.append(wanted)
        elif incident.is_open and incident.name not in names:
            names.append(incident.name)
    return names, unknown


def settle_what_is_over(state: Incidents, now: Instant) -> Remark[Incidents] | None:
    """Somebody leads and our PostgreSQL is as it should be, since a heartbeat."""
    since = state.well_since
    if since is None or now - since < state.heartbeat:
        return None
    over = state.memory.unsettled
    settled = tuple(
        IncidentSettled(
            incident=incident.name,
            leader=state.leader,
            settled=state.heard.wall_before(now - since),
            lasted=max(0.0, since - incident.began_at),
        )
        for incident in over
    )
    if not settled:
        return None
    known = queue_what_has_settled(decided(state, *settled), over)
    return Remark(known, settled, {"well_since": since})


def let_the_oldest_lapse(state: Incidents, now: Instant) -> Remark[Incidents] | None:
    """More are open than anybody will read one by one."""
    surplus = state.memory.open[: max(0, len(state.memory.open) - MAXIMUM_OPEN)]
    if not surplus:
        return None
    lapsed = tuple(
        IncidentLapsed(incident=incident.name, at=state.heard.wall_before(0))
        for incident in surplus
    )
    unpins = tuple(UnpinJournal(incident=incident.name) for incident in surplus)
    return Remark(decided(state, *lapsed), (*lapsed, *unpins), {"limit": MAXIMUM_OPEN})
