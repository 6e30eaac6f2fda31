"""The incidents actor: what befell us stays open until a person has acknowledged it.

RULES are asked from top to bottom, and all that apply speak: what begins, what follows
from it for policy, what is over, what is explained.  Its decisions are events: it
remembers them by the same function by which the journal is folded after a restart
(`incident_memory`).
"""

from regnal.actors import (
    incidents_closing,
    incidents_opening,
    incidents_policy,
    incidents_telling,
)
from regnal.actors.incidents_learning import learn
from regnal.actors.incidents_state import Incidents
from regnal.actors.rule_list import all_that_apply
from regnal.actors.step import Decider, Step
from regnal.messages.base import MemberName, Message
from regnal.messages.cluster import ClusterObserved, StoreAnswered, StoreUnreachable
from regnal.messages.daemon import ActorFailed
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import GuardFenced
from regnal.messages.frozen import replace
from regnal.messages.host import StallNoticed
from regnal.messages.incidents import (
    ExplanationFailed,
    IncidentJudged,
    IncidentsRecalled,
)
from regnal.messages.lease import LeaderHandedOver
from regnal.messages.operations import PhaseChanged
from regnal.messages.postgres import PostgresStarted, PostmasterExited
from regnal.messages.requests import AcknowledgementRequested
from regnal.messages.settings import ConfigurationApplied
from regnal.messages.timers import TimerFired

RULES = (
    incidents_closing.keep_what_is_recalled,
    # What begins.
    incidents_opening.open_when_the_guard_fenced,
    incidents_opening.open_when_a_primary_ends_unasked,
    incidents_opening.open_when_the_daemon_stalled,
    incidents_opening.open_when_an_actor_fails_again_and_again,
    incidents_opening.open_when_the_store_stays_away,
    incidents_opening.open_when_a_reign_ends,
    incidents_opening.note_the_successor,
    # What is seen, or over.
    incidents_closing.acknowledge_on_request,
    incidents_closing.settle_what_is_over,
    incidents_closing.let_the_oldest_lapse,
    # Policy.
    incidents_policy.bar_the_leadership_after_too_many_crashes,
    incidents_policy.bar_the_leadership_as_before,
    incidents_policy.lift_the_bar,
    incidents_policy.hold_the_next_failover,
    incidents_policy.release_the_next_failover,
    # Explanations.
    incidents_telling.leave_the_explaining_to_the_leader,
    incidents_telling.let_the_explanation_wait,
    incidents_telling.explain_what_has_settled,
)


def handle(state: Incidents, envelope: Envelope[Message]) -> Step[Incidents]:
    """One message; see RULES."""
    now = envelope.at
    step = all_that_apply(RULES, learn(state, envelope), now)
    shown = incidents_telling.publish_the_list(state, step.state, now)
    known, timer = incidents_telling.set_the_alarm(step.state, now)
    timers = () if timer is None else (timer,)
    return Step(
        replace(known, hearing=None),
        (*step.said, *shown, *timers),
        step.rule,
        step.facts,
    )


def initial(member: MemberName) -> Incidents:
    return Incidents(member=member)


INCIDENTS = Decider(
    name="incidents",
    hears=(
        IncidentsRecalled,
        ConfigurationApplied,
        ClusterObserved,
        StoreUnreachable,
        StoreAnswered,
        LeaderHandedOver,
        PhaseChanged,
        PostgresStarted,
        PostmasterExited,
        GuardFenced,
        StallNoticed,
        ActorFailed,
        AcknowledgementRequested,
        IncidentJudged,
        ExplanationFailed,
        TimerFired,
    ),
    state=Incidents,
    initial=initial,
    handle=handle,
)
