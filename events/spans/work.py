"""The work: intents, commands, and what became of them."""

from regnal.events.spans import episodes, naming
from regnal.events.spans.commands import (
    COMMANDS,
    HEARTBEATS,
    INTENT_KINDS,
    INTENTS,
    OPERATION_KINDS,
    OUTCOMES,
    OVER,
    Answer,
    Attributes,
    answer_of,
    command_attributes,
    intent_attributes,
    kind_of,
    reason_attributes,
)
from regnal.events.spans.leader_keys import give_up
from regnal.events.spans.loom import PRIMARY, Loom
from regnal.events.spans.memory import Episode, Linked, Thread
from regnal.events.spans.naming import RootName
from regnal.events.spans.span import Span, UnixNanos
from regnal.messages import fencing, lease, operations, probes
from regnal.messages import postgres as pg
from regnal.messages.base import Message
from regnal.messages.cluster import KeyWritten
from regnal.messages.envelope import Envelope
from regnal.messages.reasons import Reason

_WHAT_FOR: dict[type[Message], RootName] = {
    operations.BootstrapCluster: "bootstrap",
    operations.CloneMember: "rebuild",
    operations.ReinitializeMember: "reinitialize",
    operations.StartAsPrimary: "restart",
    operations.RestartInPlace: "restart",
    operations.StopForShutdown: "shutdown",
    operations.DemotePostgres: "step down",
    operations.FollowLeader: "follow",
    operations.BecomePrimary: "promotion",
}
_STANDBY = ("standby", "following", "checking")
"""Phases in which who takes the lease is promoted next."""


def hear_of_work(loom: Loom, envelope: Envelope[Message]) -> list[Span]:
    """Intents, commands, and what became of them."""
    message = envelope.message
    told: list[Span] = []
    if isinstance(message, INTENTS):
        told = _begin_intent(loom, envelope)
    elif isinstance(message, (*COMMANDS, *HEARTBEATS)):
        told = _begin_command(loom, envelope)
    elif isinstance(message, (*OUTCOMES, KeyWritten)):
        _end_command(loom, envelope)
    else:
        _hear_decision(loom, envelope)
    episode = loom.memory.episode
    if episode is not None and envelope.id not in episode.owners:
        key = episode.owners.get(envelope.cause or "")
        episodes.own(episode, envelope.id, key)
    return told


def _hear_decision(loom: Loom, envelope: Envelope[Message]) -> None:
    message, episode = envelope.message, loom.memory.episode
    if isinstance(message, operations.PhaseChanged):
        loom.memory.phase = message.phase
        if episode is not None and message.phase in PRIMARY:
            episode.awaits_stream = False
        return
    if episode is None:
        return
    now = loom.moment(envelope)
    match message:
        case operations.IntentFulfilled(intent=intent):
            _end_intent(loom, envelope, intent, OVER)
        case operations.IntentFailed(intent=intent, reason=reason):
            found = {naming.ERROR: reason.code, **reason_attributes(reason)}
            text = str(found[naming.REASON_TEXT])
            _end_intent(loom, envelope, intent, Answer(found, reason.code, text))
        case operations.IntentRefused(intent=intent, reason=reason):
            refused: Attributes = {naming.OUTCOME: "refused"}
            _end_intent(
                loom, envelope, intent, Answer(refused | reason_attributes(reason))
            )
        case fencing.FencingWanted():
            promotion = episodes.find_phase(episode, "promote")
            episodes.phase(
                episode,
                "fencing",
                now,
                loom.by_rule(envelope),
                parent=promotion.key if promotion else None,
            )
        case fencing.FencingJudged(verdict=verdict, reason=reason):
            _end_fencing(loom, now, verdict, reason)
        case _:
            pass


def _begin_intent(loom: Loom, envelope: Envelope[Message]) -> list[Span]:
    intent = envelope.message
    what = _WHAT_FOR[type(intent)]
    told = loom.sign(envelope, what, is_fresh=False)
    episode, now = loom.going_on, loom.moment(envelope)
    if isinstance(intent, operations.FollowLeader):
        episode.awaits_stream = intent.upstream is not None
    if isinstance(intent, operations.BecomePrimary):
        episode.awaits_stream = False  # it had lost that of the former leader
        _begin_promotion(loom, now)
    if _is_return(intent, episode):
        episodes.phase(episode, "rejoin", now, {})
    _begin(loom, envelope, intent_attributes(intent))
    if isinstance(intent, operations.DemotePostgres):
        failed = Answer({naming.ERROR: "demoted"}, "demoted", "given up")
        _end_promotion(loom, now, failed)
    return told


def _begin_command(loom: Loom, envelope: Envelope[Message]) -> list[Span]:
    command = envelope.message
    if isinstance(command, fencing.ArmGuard) and not _is_fencing(loom):
        return []
    told: list[Span] = []
    if loom.memory.episode is None:
        told = loom.sign(envelope, "upkeep")
    episode = loom.going_on
    if isinstance(command, lease.AcquireLeader):
        start = episode.gone_at or loom.moment(envelope)
        candidates = loom.memory.rule.candidates if loom.memory.rule else []
        found = loom.by_rule(envelope)
        if candidates:
            found[naming.CANDIDATES] = tuple(candidates)
        episodes.phase(episode, "elect", start, found)
        election = episodes.find_phase(episode, "elect")
        _begin(loom, envelope, {}, election.key if election else None)
        return told
    _begin(loom, envelope, command_attributes(command))
    return told


def _is_return(intent: Message, episode: Episode) -> bool:
    """Whether a former leader begins to follow."""
    if not isinstance(intent, operations.FollowLeader | operations.CloneMember):
        return False
    was_leading = episode.was_leader and not episode.started
    return was_leading and episodes.find_phase(episode, "rejoin") is None


def _is_fencing(loom: Loom) -> bool:
    episode = loom.memory.episode
    if episode is None:
        return False
    return episodes.find_phase(episode, "fencing") is not None


def _begin(
    loom: Loom,
    envelope: Envelope[Message],
    attributes: Attributes,
    parent: str | None = None,
) -> None:
    episode = loom.going_on
    kind = kind_of(type(envelope.message))
    if parent is None:
        parent = _phase_for(loom, envelope)
    if parent is None:
        parent = episodes.owner(episode, envelope.cause)
    if parent is None and kind in OPERATION_KINDS:
        parent = _intent_under_way(episode)
    thread = Thread(
        key=envelope.id,
        name=kind,
        kind=kind,
        parent=parent,
        start=loom.moment(envelope),
        attributes={**loom.by_rule(envelope), **attributes},
    )
    episodes.begin(episode, thread)
    # A command has no parts, since it may go over to another trace.
    has_parts = kind in INTENT_KINDS
    episodes.own(episode, envelope.id, envelope.id if has_parts else parent)


def _intent_under_way(episode: Episode) -> str | None:
    """What the supervisor is about, where a timer made it go on."""
    keys = (one.key for one in reversed(episode.open) if one.kind in INTENT_KINDS)
    return next(keys, None)


def _phase_for(loom: Loom, envelope: Envelope[Message]) -> str | None:
    """The phase under way that it is part of, whatever message caused it."""
    phases: tuple[naming.PhaseName, ...] = ()
    match envelope.message:
        case probes.ProbePeers() if envelope.said_by == "election":
            phases = ("detect",)
        case fencing.ArmGuard() | fencing.ActivateWatchdog():
            phases = ("fencing", "promote")
        case operations.BecomePrimary():
            phases = ("promote",)
        case operations.FollowLeader() | operations.CloneMember():
            phases = ("rejoin",)
        case _:
            return None
    found = episodes.find_phase(loom.going_on, *phases)
    return found.key if found else None


def _end_command(loom: Loom, envelope: Envelope[Message]) -> None:
    episode, outcome = loom.memory.episode, envelope.message
    if episode is None:
        return
    now, thread = loom.moment(envelope), episodes.find(episode, envelope.cause)
    parent = episodes.owner(episode, envelope.cause)
    if thread is not None:
        answer = answer_of(outcome)
        parent = thread.parent
        episodes.end(episode, thread, now, answer)
        if thread.kind == "acquire_leader":
            election = episodes.find_phase(episode, "elect")
            if election is not None:
                episodes.end(episode, election, now, answer)
            parent = None
    match outcome:
        case lease.LeaderAcquired() if loom.memory.phase in _STANDBY:
            parent = _begin_promotion(loom, now) or parent
        case lease.LeaderReleased():
            give_up(loom, envelope, None)
        case lease.LeaderHandedOver(to=to):
            give_up(loom, envelope, to)
        case pg.PostgresPromoted():
            _end_promotion(loom, now, answer_of(outcome))
        case (
            lease.LeaseRefused(action="renew") | lease.LeaseUnconfirmed(action="renew")
        ):
            episodes.note(episode, outcome.kind, now)
        case _:
            pass
    episodes.own(episode, envelope.id, parent)


def _begin_promotion(loom: Loom, now: UnixNanos) -> str | None:
    """The key of the phase, if it begins now."""
    episode = loom.going_on
    if episodes.find_phase(episode, "promote") is not None:
        return None
    links = []
    reign = loom.memory.reign
    if episode.has_request and reign is not None:
        former = episode.ending.former if episode.ending else reign.leader
        if former != loom.reporter.member:
            links = [Linked(member=former, phase="", why="handed_over")]
    episodes.phase(episode, "promote", now, {}, links)
    promotion = episodes.find_phase(episode, "promote")
    return promotion.key if promotion else None


def _end_promotion(loom: Loom, now: UnixNanos, answer: Answer) -> None:
    """It takes writes, or will not."""
    episode = loom.going_on
    for thread in tuple(reversed(episode.open)):
        if thread.kind == "become_primary" or thread.name == "promote":
            episodes.end(episode, thread, now, answer)


def _end_intent(
    loom: Loom, envelope: Envelope[Message], intent: str, answer: Answer
) -> None:
    episode, now = loom.going_on, loom.moment(envelope)
    parent = None
    for thread in tuple(reversed(episode.open)):
        if thread.kind == intent:
            parent = thread.parent
            episodes.end(episode, thread, now, answer)
    if answer.error and intent == "become_primary":
        _end_promotion(loom, now, answer)
    episodes.own(episode, envelope.id, parent)


def _end_fencing(
    loom: Loom, now: UnixNanos, verdict: str, reason: Reason | None
) -> None:
    episode = loom.going_on
    phase = episodes.find_phase(episode, "fencing")
    if phase is None or verdict == "idle":
        return
    answer = Answer({naming.OUTCOME: verdict})
    if reason is not None:
        found = {naming.OUTCOME: verdict, **reason_attributes(reason)}
        answer = Answer(found, reason.code, str(found[naming.REASON_TEXT]))
    for thread in tuple(episode.open):
        if thread.kind == "arm_guard":
            episodes.end(episode, thread, now, OVER)
    episodes.end(episode, phase, now, answer)
