"""Rules of telling: when an incident is explained, and what the REST API shows."""

import json
from typing import Any

from regnal.actors.incident_names import SAME_REIGN
from regnal.actors.incidents_opening import told_since
from regnal.actors.incidents_state import Explaining, Incidents
from regnal.actors.rule_list import Remark
from regnal.messages.base import Instant, JsonText
from regnal.messages.frozen import replace
from regnal.messages.incidents import (
    DropExplanation,
    ExplainIncident,
    Incident,
)
from regnal.messages.status import PublishIncidents
from regnal.messages.timers import SetTimer

MAXIMUM_UNEXPLAINED = 20
"""Settled incidents that wait for their explanation; of more the oldest stay without."""

WAKE = "incidents:wake"


def queue_what_has_settled(
    state: Incidents, settled: tuple[Incident, ...]
) -> Incidents:
    """The leader alone explains, and all changes of leader, those that were wanted too:
    they are told in the history."""
    if (
        not state.leads
        or state.settings is None
        or not state.settings.explain_incidents
    ):
        return state
    names = tuple(
        incident.name
        for incident in settled
        if incident.weight != "notice" or incident.what == "reign_ended"
    )
    waiting = (*state.unexplained, *names)[-MAXIMUM_UNEXPLAINED:]
    return replace(state, unexplained=waiting)


def leave_the_explaining_to_the_leader(
    state: Incidents, now: Instant
) -> Remark[Incidents] | None:
    """We lead no more: what we did not explain stays unexplained here."""
    if state.leads or not (state.unexplained or state.explaining):
        return None
    known = replace(state, unexplained=(), explaining=None)
    return Remark(known, _drop(state), {"unexplained": state.unexplained})


def let_the_explanation_wait(
    state: Incidents, now: Instant
) -> Remark[Incidents] | None:
    """Something happens just now: nothing is to take its CPU and its disk away."""
    if state.explaining is None or not state.memory.unsettled:
        return None
    if state.explaining.retry_at is not None:
        return None
    return Remark(replace(state, explaining=None), _drop(state))


def _drop(state: Incidents) -> tuple[DropExplanation, ...]:
    explaining = state.explaining
    if explaining is None or explaining.retry_at is not None:
        return ()
    return (DropExplanation(incident=explaining.incident),)


def explain_what_has_settled(
    state: Incidents, now: Instant
) -> Remark[Incidents] | None:
    """One at a time, in a calm moment."""
    if not state.unexplained or state.memory.unsettled:
        return None
    attempt, explaining = 1, state.explaining
    if explaining is not None:
        if explaining.retry_at is None or now < explaining.retry_at:
            return None
        attempt = explaining.attempt + 1
    name = state.unexplained[0]
    incident = state.memory.find(name)
    if incident is None:  # it lapsed, and so much came after it that it is forgotten
        return Remark(replace(state, unexplained=state.unexplained[1:]))
    return Remark(
        replace(state, explaining=Explaining(name, attempt)),
        (ExplainIncident(incident=name, since=told_since(incident, state, now)),),
        {"attempt": attempt},
    )


def publish_the_list(
    before: Incidents, state: Incidents, now: Instant
) -> tuple[PublishIncidents, ...]:
    """The list for `GET /incidents`, if it is another than before."""
    if state.memory.incidents == before.memory.incidents:
        return ()
    return (PublishIncidents(document=incidents_document(state, now)),)


def incidents_document(state: Incidents, now: Instant) -> JsonText:
    """The newest first (docs/contracts.md 4.12)."""
    return json.dumps(
        [_shown(state, incident, now) for incident in reversed(state.memory.incidents)]
    )


def _shown(state: Incidents, incident: Incident, now: Instant) -> dict[str, Any]:
    verdict = incident.verdict
    return {
        "name": incident.name,
        "what": incident.what,
        "weight": incident.weight,
        "state": _state(incident),
        "open": incident.is_open,
        "member": incident.member,
        "leader": incident.leader,
        "change": incident.change,
        "began": incident.began,
        "settled": incident.settled,
        "text": incident.text,
        "includes": incident.includes,
        "acknowledged": incident.acknowledged,
        "acknowledged_by": incident.acknowledged_by,
        "comment": incident.comment,
        "cause": verdict.cause if verdict else None,
        "root": verdict.root if verdict else None,
        "sentence": verdict.sentence if verdict else None,
        "outage": verdict.outage if verdict else None,
        "author": verdict.author if verdict else None,
        "holds_failover_until": _wall(state, incident.holds_until, now),
        "bars_leadership": str(incident.bars) if incident.bars else None,
    }


def _state(incident: Incident) -> str:
    """open: nobody has acknowledged it; acknowledged; recorded: it needs nobody's word.
    In front of it `ongoing, ` until it is settled."""
    word = "open" if incident.is_open else "acknowledged"
    if not incident.needs_acknowledgement:
        word = "recorded"
    return word if incident.is_settled else f"ongoing, {word}"


def _wall(state: Incidents, until: Instant | None, now: Instant) -> str | None:
    if until is None:
        return None
    return state.heard.wall_before(now - until)


def set_the_alarm(state: Incidents, now: Instant) -> tuple[Incidents, SetTimer | None]:
    """One timer, for the earliest moment at which a rule may begin to apply."""
    moments: list[Instant | None] = [state.held_until]
    if state.gone_at is not None and not state.gone_told:
        moments.append(state.gone_at + SAME_REIGN)
    if state.store_lost_at is not None and not state.store_told:
        moments.append(state.store_lost_at + state.heartbeat)
    if state.well_since is not None and state.memory.unsettled:
        moments.append(state.well_since + state.heartbeat)
    if state.explaining is not None:
        moments.append(state.explaining.retry_at)
    future = [moment for moment in moments if moment is not None and moment > now]
    wake_at = min(future, default=None)
    if wake_at is None or wake_at == state.wake_at:
        return replace(state, wake_at=wake_at), None
    return replace(state, wake_at=wake_at), SetTimer(name=WAKE, at=wake_at)
