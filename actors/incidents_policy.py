"""Rules of policy: what the history of incidents forbids.

Off unless a person switched it on in the dynamic configuration (`incident_policy`).  They
tell election what must not be done; whether a pause sets them aside is its own business.
"""

from regnal.actors.incidents_opening import GRAVE, decided
from regnal.actors.incidents_state import Incidents
from regnal.actors.rule_list import Remark
from regnal.messages.base import Instant, Message
from regnal.messages.frozen import replace
from regnal.messages.incidents import (
    CrashCounted,
    FailoverHeld,
    FailoverReleased,
    Incident,
    LeadershipAllowed,
    LeadershipBarred,
)
from regnal.messages.reasons import because


def hold_the_next_failover(state: Incidents, now: Instant) -> Remark[Incidents] | None:
    """The last automatic failover is so recent that another would rather harm; until
    the time has passed, or a person has acknowledged it."""
    wanted = _hold_wanted(state, now)
    if wanted is None or (wanted.incident, wanted.until) == (
        state.held,
        state.held_until,
    ):
        return None
    known = replace(state, held=wanted.incident, held_until=wanted.until)
    return Remark(decided(known, wanted), (wanted,), {"until": wanted.until})


def release_the_next_failover(
    state: Incidents, now: Instant
) -> Remark[Incidents] | None:
    """Time has passed, a person has acknowledged the last one, or policy is off."""
    if state.held is None or _hold_wanted(state, now) is not None:
        return None
    released = FailoverReleased(incident=state.held)
    known = replace(state, held=None, held_until=None)
    return Remark(
        decided(known, released), (released,), {"held_until": state.held_until}
    )


def _hold_wanted(state: Incidents, now: Instant) -> FailoverHeld | None:
    """By the last automatic failover that nobody has acknowledged."""
    for incident in reversed(state.memory.open):
        until = _held_until(state, incident)
        if until is not None and now < until and incident.leader is not None:
            return FailoverHeld(
                incident=incident.name, leader=incident.leader, until=until
            )
    return None


def _held_until(state: Incidents, incident: Incident) -> Instant | None:
    if incident.change != "automatic" or incident.changed_at is None:
        return None
    if state.settings is None:
        # Just started: what was in force before is, until the settings are known.
        return incident.holds_until
    span = state.settings.min_time_between_failovers
    return incident.changed_at + span if span > 0 else None


def bar_the_leadership_after_too_many_crashes(
    state: Incidents, now: Instant
) -> Remark[Incidents] | None:
    """PostgreSQL ended unasked as primary once too often: election waits for this word,
    or for the other one, before it starts it again."""
    settings, happening = state.settings, state.heard.happening
    if settings is None or settings.crash_loop_limit <= 0:
        return None
    if not state.heard.ended_unasked:
        return None
    window = settings.crash_loop_window
    crashes = sum(1 for at in state.memory.crashes if now - at < window)
    facts = {"crashes": crashes, "window": window}
    is_crash = happening is not None and happening.what == "primary_interrupted"
    if settings.paused or not is_crash or crashes < settings.crash_loop_limit:
        word: Message = CrashCounted(crashes=crashes, limit=settings.crash_loop_limit)
        return Remark(state, (word,), facts)
    incident = _of_the_crash(state)
    barred = LeadershipBarred(
        incident=incident.name,
        reason=because(
            "CRASH_LOOP",
            member=state.member,
            crashes=crashes,
            seconds=window,
            incident=incident.name,
        ),
    )
    known = replace(state, barred=incident.name)
    return Remark(decided(known, barred), (barred,), facts)


def _of_the_crash(state: Incidents) -> Incident:
    """The incident that it is, or is part of."""
    return next(
        incident
        for incident in reversed(state.memory.unsettled)
        if incident.is_open and incident.what in GRAVE
    )


def bar_the_leadership_as_before(
    state: Incidents, now: Instant
) -> Remark[Incidents] | None:
    """After a restart, or once the incident has another name."""
    wanted = _bar_wanted(state)
    if wanted is None or wanted.incident == state.barred:
        return None
    known = replace(state, barred=wanted.incident)
    return Remark(decided(known, wanted), (wanted,), {"before": state.barred})


def lift_the_bar(state: Incidents, now: Instant) -> Remark[Incidents] | None:
    """A person has acknowledged the incident, or switched the policy off."""
    if state.barred is None or _bar_wanted(state) is not None:
        return None
    allowed = LeadershipAllowed(incident=state.barred)
    known = replace(state, barred=None)
    return Remark(decided(known, allowed), (allowed,), {"before": state.barred})


def _bar_wanted(state: Incidents) -> LeadershipBarred | None:
    if state.settings is not None and state.settings.crash_loop_limit <= 0:
        return None
    for incident in reversed(state.memory.open):
        if incident.bars is not None:
            return LeadershipBarred(incident=incident.name, reason=incident.bars)
    return None
