"""The leader key: who held it, who holds it, and how that was noticed."""

from datetime import datetime

from regnal.events.spans import episodes, naming
from regnal.events.spans.commands import Answer
from regnal.events.spans.loom import Loom
from regnal.events.spans.memory import Ending, Episode
from regnal.events.spans.reigns import Seen, see
from regnal.events.spans.span import Span, UnixNanos
from regnal.messages.base import Message
from regnal.messages.cluster import ClusterView, FailoverRequest, LeaderView
from regnal.messages.envelope import Envelope

_OVER = Answer({})


def hear_view(loom: Loom, envelope: Envelope[Message], view: ClusterView) -> list[Span]:
    """What the store shows."""
    memory = loom.memory
    if memory.store_lost:
        memory.store_lost = False
        loom.note(envelope, "dcs answered")
    seen = see(memory, view, envelope.at)
    told = _hear_failover_key(loom, envelope, view.failover)
    if memory.is_down:
        return told
    if seen.has_gone:
        told += _hear_that_nobody_leads(loom, envelope)
    if seen.ended is not None:
        told += _hear_of_an_ending(loom, envelope, seen)
    elif seen.leader is not None and memory.episode is not None:
        _note_the_leader(memory.episode, seen.leader)
    return told


def _note_the_leader(episode: Episode, leader: LeaderView) -> None:
    """Somebody leads; a view that is late shows the key that we gave away."""
    episode.gone_at = None
    ending = episode.ending
    if ending is None or ending.leader is not None:
        return
    if str(leader.revision) != ending.revision:
        ending.leader = leader.name


def _hear_failover_key(
    loom: Loom, envelope: Envelope[Message], request: FailoverRequest | None
) -> list[Span]:
    revision = str(request.revision) if request is not None else None
    is_new = revision is not None and revision != loom.memory.request
    loom.memory.request = revision
    if request is None or not is_new or loom.memory.is_down:
        return []
    if not _is_due(request, envelope.wall_us):
        loom.memory.request = None  # it may become due
        return []
    episode = loom.memory.episode
    is_ours = episode is not None and episode.has_request
    told = loom.sign(envelope, "suspicion", is_fresh=not is_ours)
    loom.going_on.has_request = True
    return told


def _hear_that_nobody_leads(loom: Loom, envelope: Envelope[Message]) -> list[Span]:
    told: list[Span] = []
    episode = loom.memory.episode
    if episode is None:
        told = loom.sign(envelope, "suspicion")
        episode = loom.going_on
    now = loom.moment(envelope)
    episode.gone_at = now
    episodes.note(episode, "leader key gone", now)
    _end_detection(episode, now)
    return told


def _hear_of_an_ending(
    loom: Loom, envelope: Envelope[Message], seen: Seen
) -> list[Span]:
    assert seen.ended is not None
    assert seen.leader is not None
    ended, told = seen.ended, loom.split_from(seen.ended.revision)
    if loom.memory.episode is None:
        told += loom.sign(envelope, "suspicion")
    episode, now = loom.going_on, loom.moment(envelope)
    _end_detection(episode, now)
    if episode.ending is None:
        episode.ending = Ending(revision=ended.revision, former=ended.leader, at=now)
    ending = episode.ending
    if not episode.ordinal:
        ending.leader = seen.leader.name
    ending.is_planned |= seen.is_planned or episode.has_request
    episode.gone_at = None
    episodes.note(episode, "leader key changed", now, {naming.LEADER: seen.leader.name})
    if ending.is_planned:
        _forget_detection(episode)
    return told


def give_up(loom: Loom, envelope: Envelope[Message], to: str | None) -> None:
    """Our own reign is over by our own doing."""
    reign, episode = loom.memory.reign, loom.memory.episode
    if reign is None or episode is None or episode.ending is not None:
        return
    if reign.leader != loom.reporter.member:
        return
    episode.ending = Ending(
        revision=reign.revision,
        former=reign.leader,
        at=loom.moment(envelope),
        leader=to,
        is_planned=to is not None or episode.has_request,
    )


def _end_detection(episode: Episode, now: UnixNanos) -> None:
    """The leader is known to be gone."""
    detection = episodes.find_phase(episode, "detect")
    if detection is not None:
        episodes.end(episode, detection, now, _OVER)
    elif _had_to_be_detected(episode):
        episodes.phase(episode, "detect", episode.start, {})
        _end_detection(episode, now)


def _had_to_be_detected(episode: Episode) -> bool:
    """Whether this member was there when a leader was lost that nobody had asked away."""
    if episode.was_leader or episode.started or episode.has_request:
        return False
    return not episode.names.get("detect")


def _forget_detection(episode: Episode) -> None:
    """There was nothing to detect: it had been asked for."""
    if episode.ordinal:
        return  # it is told already
    phases = [one for one in episode.ended if one.name == "detect"]
    keys = {one.key for one in phases}
    episode.ended = [one for one in episode.ended if one not in phases]
    for thread in (*episode.open, *episode.ended):
        if thread.parent in keys:
            thread.parent = None


def _is_due(request: FailoverRequest, wall_us: int) -> bool:
    if request.scheduled_at is None:
        return True
    try:
        due = datetime.fromisoformat(request.scheduled_at)
    except ValueError:
        return False
    return due.tzinfo is not None and due.timestamp() <= wall_us / 1e6
