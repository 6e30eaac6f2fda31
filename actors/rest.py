"""The `rest` actor: what the REST API shows, and what becomes of requests.

A message is learned first (rest_learning).  Then `decide` gives it to the rule whose
business it is: a request, what became of one, or a change that somebody waits for.
If what the API shows is another now, a new snapshot is published (rest_publishing).
"""

from collections.abc import Callable
from typing import TypeVar

from regnal.actors.own_member import OWN_MEMBER_HEARS, OwnMember
from regnal.actors.rest_answers import Conclusion, Moment
from regnal.actors.rest_config import (
    config_was_written,
    patch_the_configuration,
    reload_the_configuration,
    replace_the_configuration,
)
from regnal.actors.rest_learning import is_heartbeat, learn
from regnal.actors.rest_member import (
    FAILSAFE_TIMER,
    START_TIMER,
    accept_the_primary,
    forget_failsafe_mode,
    give_the_reinitialize_up,
    reinitialize_ended,
    reinitialize_has_begun,
    reinitialize_on_request,
)
from regnal.actors.rest_publishing import publish
from regnal.actors.rest_restart import TIMER as RESTART_TIMER
from regnal.actors.rest_restart import (
    cancel_the_scheduled_restart,
    look_at_the_schedule,
    restart_ended,
    restart_on_request,
)
from regnal.actors.rest_state import (
    ConfigWrite,
    LeaderChange,
    ReinitializeAsked,
    Rest,
    RestartUnderWay,
    SwitchoverCancelled,
)
from regnal.actors.rest_switchover import TIMER as CHANGE_TIMER
from regnal.actors.rest_switchover import (
    cancel_the_scheduled_switchover,
    candidates_were_probed,
    change_the_leader,
    failover_key_was_written,
    give_the_change_up,
    look_at_the_leader,
    scheduled_switchover_was_cancelled,
)
from regnal.actors.step import Decider, Step
from regnal.messages.base import MemberName, Message
from regnal.messages.cluster import (
    ClusterObserved,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    StoreAnswered,
    StoreUnreachable,
)
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import (
    DisableWatchdog,
    FencingJudged,
    WatchdogActivated,
    WatchdogFailed,
)
from regnal.messages.frozen import replace
from regnal.messages.lease import LeaderRenewed, LeaseUnconfirmed
from regnal.messages.operations import (
    IntentFailed,
    IntentFulfilled,
    IntentRefused,
    PhaseChanged,
)
from regnal.messages.postgres import PostgresObserved
from regnal.messages.probes import FailsafeAnswered, PeersProbed
from regnal.messages.requests import (
    ConfigPatchRequested,
    ConfigReplaceRequested,
    FailsafePosted,
    ReinitializeRequested,
    ReloadRequested,
    RestartCancelRequested,
    RestartRequested,
    SwitchoverCancelRequested,
    SwitchoverRequested,
)
from regnal.messages.timers import SetTimer, TimerFired

STORE_TIMER = "rest:store"
"""When a store that does not answer counts as lost."""

Decided = tuple[str | None, Conclusion]
"""Name of the rule that spoke (None: none), and its conclusion."""

M = TypeVar("M", bound=Message)


def handle(rest: Rest, envelope: Envelope[Message]) -> Step[Rest]:
    learned = learn(rest, envelope)
    rule, concluded = decide(learned, envelope)
    beat = _is_beat(learned, envelope)
    after, said = publish(rest, concluded.rest, envelope.at, beat=beat)
    return Step(after, (*concluded.said, *said), rule=rule, facts=concluded.facts or {})


def _is_beat(rest: Rest, envelope: Envelope[Message]) -> bool:
    """Once a heartbeat: with the leader when the lease was renewed or was not, with
    others when election thinks."""
    if rest.leads(envelope.at):
        return isinstance(envelope.message, LeaderRenewed | LeaseUnconfirmed)
    return is_heartbeat(envelope.message)


def decide(rest: Rest, envelope: Envelope[Message]) -> Decided:
    """The rule for this message, if there is one."""
    message, moment = envelope.message, Moment(envelope.at, envelope.wall_us)
    match message:
        case SwitchoverRequested():
            return _ask(change_the_leader, rest, message, moment)
        case SwitchoverCancelRequested():
            return _ask(cancel_the_scheduled_switchover, rest, message, moment)
        case RestartRequested():
            return _ask(restart_on_request, rest, message, moment)
        case RestartCancelRequested():
            return _ask(cancel_the_scheduled_restart, rest, message, moment)
        case ReinitializeRequested():
            return _ask(reinitialize_on_request, rest, message, moment)
        case ConfigPatchRequested():
            return _ask(patch_the_configuration, rest, message, moment)
        case ConfigReplaceRequested():
            return _ask(replace_the_configuration, rest, message, moment)
        case ReloadRequested():
            return _ask(reload_the_configuration, rest, message, moment)
        case FailsafePosted():
            return _ask(accept_the_primary, rest, message, moment)
        case _:
            return _decide_on_outcome(rest, message, moment)


def _decide_on_outcome(rest: Rest, message: Message, moment: Moment) -> Decided:
    match message:
        case KeyWritten() | KeyRefused() | KeyUnconfirmed():
            return _ask(key_was_written, rest, message, moment)
        case IntentFulfilled() | IntentFailed() | IntentRefused():
            return _ask(intent_ended, rest, message, moment)
        case PeersProbed(request=request):
            waiting = rest.waiting(request)
            if isinstance(waiting, LeaderChange):
                return candidates_were_probed.__name__, candidates_were_probed(
                    rest, waiting, message, moment
                )
            return None, Conclusion(rest)
        case _:
            return _decide_on_change(rest, message, moment)


def _decide_on_change(rest: Rest, message: Message, moment: Moment) -> Decided:
    match message:
        case ClusterObserved():
            return _ask(look_at_the_leader, rest, message, moment)
        case PhaseChanged():
            return _ask(reinitialize_has_begun, rest, message, moment)
        case PostgresObserved():
            return _ask(look_at_the_schedule, rest, message, moment)
        case StoreUnreachable():
            return _ask(bear_with_the_store, rest, message, moment)
        case TimerFired(name=name):
            rule = _rule_of_timer(name)
            if rule is not None:
                return _ask(rule, rest, message, moment)
    return None, Conclusion(rest)


def _rule_of_timer(
    name: str,
) -> Callable[[Rest, TimerFired, Moment], Conclusion] | None:
    if name == RESTART_TIMER:
        return look_at_the_schedule
    if name == STORE_TIMER:
        return count_the_store_as_lost
    if name == FAILSAFE_TIMER:
        return forget_failsafe_mode
    if name.startswith(CHANGE_TIMER):
        return give_the_change_up
    if name.startswith(START_TIMER):
        return give_the_reinitialize_up
    return None


def _ask(
    rule: Callable[[Rest, M, Moment], Conclusion],
    rest: Rest,
    message: M,
    moment: Moment,
) -> Decided:
    concluded = rule(rest, message, moment)
    spoke = concluded.said or concluded.facts
    return (rule.__name__ if spoke else None), concluded


def key_was_written(
    rest: Rest, outcome: KeyWritten | KeyRefused | KeyUnconfirmed, moment: Moment
) -> Conclusion:
    """The store's answer to a write that a request asked for."""
    waiting = rest.waiting(outcome.request)
    match waiting:
        case ConfigWrite():
            return config_was_written(rest, waiting, outcome)
        case LeaderChange():
            return failover_key_was_written(rest, waiting, outcome, moment)
        case SwitchoverCancelled():
            return scheduled_switchover_was_cancelled(rest, waiting, outcome)
        case _:
            return Conclusion(rest)


def intent_ended(
    rest: Rest, outcome: IntentFulfilled | IntentFailed | IntentRefused, moment: Moment
) -> Conclusion:
    """The supervisor's answer to what a request asked for."""
    waiting = rest.waiting(outcome.request)
    match waiting:
        case RestartUnderWay():
            return restart_ended(rest, waiting, outcome)
        case ReinitializeAsked():
            return reinitialize_ended(rest, waiting, outcome)
        case _:
            return Conclusion(rest)


def bear_with_the_store(
    rest: Rest, unreachable: StoreUnreachable, moment: Moment
) -> Conclusion:
    """A watch that breaks is no outage yet: checks that need the store (/sync and its
    like) go on for retry_timeout."""
    if rest.settings is None or not rest.store_known:
        return Conclusion(rest)
    left = rest.settings.retry_timeout - unreachable.unanswered_for
    if left <= 0:
        return Conclusion(
            replace(rest, store_known=False),
            facts={"unanswered_for": unreachable.unanswered_for},
        )
    return Conclusion(rest, (SetTimer(name=STORE_TIMER, at=moment.now + left),))


def count_the_store_as_lost(
    rest: Rest, fired: TimerFired, moment: Moment
) -> Conclusion:
    if not rest.store_silent:
        return Conclusion(rest)
    return Conclusion(replace(rest, store_known=False), facts={"store_known": False})


def initial(member: MemberName) -> Rest:
    return Rest(own=OwnMember(member=member))


REST = Decider(
    name="rest",
    hears=tuple(
        dict.fromkeys(
            (
                *OWN_MEMBER_HEARS,
                ClusterObserved,
                StoreUnreachable,
                StoreAnswered,
                KeyWritten,
                KeyRefused,
                KeyUnconfirmed,
                LeaseUnconfirmed,
                FailsafeAnswered,
                PeersProbed,
                FencingJudged,
                WatchdogActivated,
                WatchdogFailed,
                DisableWatchdog,
                SetTimer,
                TimerFired,
                SwitchoverRequested,
                SwitchoverCancelRequested,
                RestartRequested,
                RestartCancelRequested,
                ReinitializeRequested,
                ConfigPatchRequested,
                ConfigReplaceRequested,
                ReloadRequested,
                FailsafePosted,
            )
        )
    ),
    state=Rest,
    initial=initial,
    handle=handle,
)
