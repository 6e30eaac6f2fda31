"""What begins, and what is told of it: signs of trouble, requests, incidents."""

from regnal.events.spans import episodes, naming
from regnal.events.spans.commands import Answer, Attributes
from regnal.events.spans.leader_keys import hear_view
from regnal.events.spans.loom import Loom, nanos
from regnal.events.spans.naming import RootName
from regnal.events.spans.span import Span
from regnal.events.spans.work import hear_of_work
from regnal.messages import daemon, fencing, incidents, requests
from regnal.messages import postgres as pg
from regnal.messages.base import Message
from regnal.messages.changes import StoreBack, StoreLost
from regnal.messages.cluster import ClusterObserved, StoreAnswered, StoreUnreachable
from regnal.messages.envelope import Envelope

MAXIMUM_TEXT = 500
"""Characters of the answer to a request."""

_WHAT_OF: dict[incidents.IncidentWhat, RootName] = {
    "reign_ended": "suspicion",
    "primary_interrupted": "postgres crash",
    "primary_stopped": "postgres crash",
    "fenced": "fencing",
    "store_outage": "dcs outage",
    "stall": "stall",
    "actor_failed": "actor failure",
}


def hear(loom: Loom, envelope: Envelope[Message]) -> list[Span]:
    """Whatever it is: what began, what ended, or what was done."""
    message = envelope.message
    if isinstance(message, ClusterObserved):
        return hear_view(loom, envelope, message.view)
    if loom.memory.is_down:
        return []
    match message:
        case pg.PostmasterExited(expected=False):
            told = loom.sign(envelope, "postgres crash")
            loom.note(envelope, "postmaster exited", _exit_attributes(message))
            return told
        case fencing.GuardFenced(postmaster_pid=pid):
            told = loom.sign(envelope, "fencing")
            loom.note(envelope, "guard fenced", {naming.PID: pid})
            return told
        case pg.ReplicationEnded() if loom.memory.phase == "standby":
            return _suspect(loom, envelope)
        case StoreUnreachable(error=error):
            told = loom.sign(envelope, "upkeep")
            loom.memory.store_lost = True
            loom.note(envelope, "dcs unreachable", {naming.REASON_TEXT: error})
            return told
        case StoreLost():
            return loom.sign(envelope, "dcs outage")
        case StoreAnswered() | StoreBack():
            loom.memory.store_lost = False
            loom.note(envelope, "dcs answered")
            return []
        case daemon.ShutdownRequested():
            return loom.sign(envelope, "shutdown")
        case daemon.ShutdownCompleted():
            loom.memory.is_down = True
            return loom.close()
        case pg.PostgresObserved(status=status):
            if status.replication_state == "streaming":
                _hear_stream(loom, envelope)
            return []
    return _hear_of_incidents(loom, envelope)


def _hear_of_incidents(loom: Loom, envelope: Envelope[Message]) -> list[Span]:
    message = envelope.message
    match message:
        case incidents.IncidentOpened():
            return _hear_opening(loom, envelope, message)
        case incidents.IncidentContinued(text=text):
            loom.note(envelope, "incident continued", {naming.REASON_TEXT: text})
        case incidents.SuccessorNoted(change=change):
            episode = loom.memory.episode
            if episode is not None:
                episode.change = change
        case requests.SwitchoverRequested(request=request):
            told = loom.sign(envelope, "switchover", {naming.REQUEST: request})
            loom.going_on.has_request = True
            return told
        case requests.RestartRequested(request=request):
            return loom.sign(envelope, "restart", {naming.REQUEST: request})
        case requests.RestartWanted():
            return loom.sign(envelope, "restart", is_fresh=False)
        case requests.ReinitializeRequested(request=request):
            return loom.sign(envelope, "reinitialize", {naming.REQUEST: request})
        case requests.RequestAnswered(request=request, status=status, body=body):
            _hear_answer(loom, request, status, body)
        case _:
            return hear_of_work(loom, envelope)
    return []


def _suspect(loom: Loom, envelope: Envelope[Message]) -> list[Span]:
    told = loom.sign(envelope, "suspicion")
    episode, now = loom.going_on, loom.moment(envelope)
    episodes.note(episode, "replication ended", now)
    episode.awaits_stream = True
    is_new = episode.ending is None and episode.gone_at is None
    if is_new and episodes.find_phase(episode, "detect") is None:
        episodes.phase(episode, "detect", now, {})
    return told


def _hear_stream(loom: Loom, envelope: Envelope[Message]) -> None:
    episode = loom.memory.episode
    if episode is None or loom.memory.phase != "standby" or episode.gone_at:
        return
    now = loom.moment(envelope)
    episode.awaits_stream = False
    episodes.note(episode, "streaming", now)
    rejoining = episodes.find_phase(episode, "rejoin")
    if rejoining is not None:
        episodes.end(episode, rejoining, now, Answer({}))


def start(
    loom: Loom, envelope: Envelope[Message], started: daemon.DaemonStarted
) -> list[Span]:
    """What went on before ended with the daemon."""
    memory, told = loom.memory, []
    if memory.episode is not None:
        error = Answer({})
        if loom.is_busy(memory.episode):
            memory.episode.error = text = "the daemon ended"
            error = Answer({naming.ERROR: "daemon_ended"}, "daemon_ended", text)
        told = loom.close(error)
    memory.boot, memory.phase, memory.is_down = started.boot_id, "unknown", False
    memory.store_lost, memory.gone_at, memory.key_at = False, None, None
    told += loom.sign(envelope, "start")
    loom.going_on.started = True
    return told


def _hear_opening(
    loom: Loom, envelope: Envelope[Message], opened: incidents.IncidentOpened
) -> list[Span]:
    told: list[Span] = []
    if opened.what == "reign_ended" and loom.memory.episode is None:
        return told  # it was told when the key was seen
    told = loom.sign(envelope, _WHAT_OF[opened.what], is_fresh=False)
    episode = loom.going_on
    began = loom.moment(envelope) - nanos(envelope.at - opened.began_at)
    if opened.what != "reign_ended":
        episode.incident = opened.incident
        episode.start = min(episode.start, began)
    episode.includes = list(opened.includes)
    episode.attributes[naming.REASON_TEXT] = opened.text
    return told


def _hear_answer(loom: Loom, request: str, status: int, body: str) -> None:
    episode = loom.memory.episode
    if episode is None or episode.attributes.get(naming.REQUEST) != request:
        return
    episode.attributes[naming.STATUS] = status
    if status >= 400:
        episode.error = body[:MAXIMUM_TEXT]


def _exit_attributes(exited: pg.PostmasterExited) -> Attributes:
    found: Attributes = {naming.PID: exited.pid}
    if exited.exit_status is not None:
        found[naming.EXIT_CODE] = exited.exit_status
    if exited.signal is not None:
        found[naming.SIGNAL] = exited.signal
    return found
