"""From what a member's journal says to public events: a pure fold.

    memory, events = translate(memory, envelope, reporter)

Read `_events`: which message is told as what.  The ids of events are made from facts
that every member and every later reading of the journal agree on, so that the same
journal gives the same events, however often and by whomever it is read.
"""

from typing import NamedTuple

from regnal.events.base import Event
from regnal.events.cloud import CloudEvent, Reporter, Said, cloud_event
from regnal.events.incidents import (
    IncidentAcknowledged,
    IncidentExplained,
    IncidentOpened,
    IncidentSettled,
)
from regnal.events.leadership import LeaderElected, LeaderLost
from regnal.events.leadership_changes import (
    changes_told,
    note_opening,
    note_successor,
    promoted,
)
from regnal.events.membership import (
    DaemonStarted,
    DaemonStopped,
    MemberJoined,
    MemberLeft,
    MemberStateChanged,
    StoreBack,
    StoreLost,
)
from regnal.events.memory import Memory, changed_options, is_paused, shown_in
from regnal.events.postgres import PostgresCrashed
from regnal.events.postgres_telling import POSTGRES, postgres_told
from regnal.events.request_telling import REQUESTS, requests_told
from regnal.events.safety import (
    ConfigurationChanged,
    ConfigurationRejected,
    PauseChanged,
)
from regnal.events.told import Told
from regnal.events.tracing import TraceName, reign_trace
from regnal.messages import changes, daemon, incidents
from regnal.messages.base import Message
from regnal.messages.cluster import ClusterObserved
from regnal.messages.envelope import Envelope
from regnal.messages.postgres import PostmasterExited
from regnal.messages.settings import ConfigurationRejected as Rejected

HEARD: tuple[type[Message], ...] = (
    ClusterObserved,
    changes.LeaderElected,
    changes.LeaderLost,
    changes.ConfigurationKeyChanged,
    changes.OwnMemberChanged,
    changes.MemberJoined,
    changes.MemberLeft,
    changes.StoreLost,
    changes.StoreBack,
    daemon.DaemonStarted,
    daemon.ShutdownCompleted,
    PostmasterExited,
    Rejected,
    incidents.IncidentOpened,
    incidents.SuccessorNoted,
    incidents.IncidentSettled,
    incidents.IncidentAcknowledged,
    incidents.IncidentJudged,
    *REQUESTS,
    *POSTGRES,
)

KINDS = frozenset(word.model_fields["kind"].default for word in HEARD)
"""Of the messages that are told, or of which something is remembered: no other needs to
be read."""


class Translation(NamedTuple):
    memory: Memory
    events: tuple[CloudEvent, ...]


def translate(
    memory: Memory, envelope: Envelope[Message], reporter: Reporter, time: str
) -> Translation:
    """`time`: when it was said, as the events shall show it."""
    memory, told = _told(memory, envelope, reporter)
    said = Said(envelope.id, time)
    events = []
    for one in told:
        identity = one.identity or _own_identity(one.event, envelope.id)
        trace = one.trace or _trace(memory, envelope, one)
        events.append(cloud_event(one.event, identity, reporter, said, trace))
    return Translation(memory, tuple(events))


def _trace(memory: Memory, envelope: Envelope[Message], told: Told) -> TraceName:
    if told.event.of_cluster and told.identity:
        return f"{told.event.name}/{told.identity}"  # members must agree on it
    if memory.unsettled:
        return memory.unsettled[-1]
    return envelope.trace or envelope.id


def _own_identity(event: Event, message_id: str) -> str:
    """Incarnation and number, where the source names the member."""
    if event.of_cluster:
        return message_id
    return "/".join(message_id.rsplit("/", 2)[-2:])


def _told(
    memory: Memory, envelope: Envelope[Message], reporter: Reporter
) -> tuple[Memory, list[Told]]:
    message = envelope.message
    match message:
        case ClusterObserved(view=view):
            return memory.with_view(view), []
        case changes.LeaderElected() | changes.LeaderLost():
            return memory, [_of_leader(memory, message)]
        case changes.ConfigurationKeyChanged(removed=removed):
            return _of_configuration(memory, removed=removed)
        case changes.OwnMemberChanged(document=document):
            return _of_member(memory, document)
        case changes.MemberJoined(member=member):
            return memory, [Told(MemberJoined(member=member))]
        case changes.MemberLeft(member=member):
            return memory, [Told(MemberLeft(member=member))]
        case changes.StoreLost(error=error):
            return memory, [Told(StoreLost(error=error))]
        case changes.StoreBack(away_for=away):
            return memory, [Told(StoreBack(away_seconds=away))]
        case daemon.DaemonStarted(incarnation=incarnation, versions=versions):
            version = dict(versions).get("regnal", "")
            event = DaemonStarted(incarnation=incarnation, regnal=version)
            # Instants may be of another boot, and what changed meanwhile nobody told.
            anew = {"promotion": None, "changes": (), "is_seen": False}
            return memory.model_copy(update=anew), [Told(event)]
        case daemon.ShutdownCompleted():
            return memory, [Told(DaemonStopped())]
        case PostmasterExited(expected=False):
            return memory, [Told(_crash(memory, message))]
        case Rejected(source=source, error=error):
            rejected = ConfigurationRejected(source=source, error=error)
            return memory, [Told(rejected)]
    return _told_elsewhere(memory, envelope, reporter)


def _told_elsewhere(
    memory: Memory, envelope: Envelope[Message], reporter: Reporter
) -> tuple[Memory, list[Told]]:
    """Incidents and promotions, from which changes of leader are made; requests; and
    what PostgreSQL tells."""
    message = envelope.message
    match message:
        case incidents.IncidentOpened():
            return note_opening(memory, message, _opened(message))
        case incidents.SuccessorNoted():
            return changes_told(note_successor(memory, message), reporter)
        case incidents.IncidentSettled(incident=name):
            settled = IncidentSettled(
                incident=name,
                leader=message.leader,
                settled=message.settled,
                lasted_seconds=message.lasted,
            )
            return memory.without_incident(name), [Told(settled, name, name)]
        case incidents.IncidentAcknowledged(incident=name, by=by, comment=comment):
            closed = IncidentAcknowledged(incident=name, by=by, comment=comment)
            return memory, [Told(closed, name, name)]
        case incidents.IncidentJudged(incident=name):
            return memory, [Told(_explained(message), None, name)]
    return _told_of_postgres(memory, envelope, reporter)


def _told_of_postgres(
    memory: Memory, envelope: Envelope[Message], reporter: Reporter
) -> tuple[Memory, list[Told]]:
    known = promoted(memory, envelope, reporter)
    if known is not None:
        after, told = changes_told(known.memory, reporter)
        return after, [known.told, *told]
    asked = requests_told(memory, envelope.message)
    if asked is not None:
        return asked
    return postgres_told(memory, envelope.message)


def _of_leader(
    memory: Memory, message: changes.LeaderElected | changes.LeaderLost
) -> Told:
    former = memory.former
    trace: TraceName | None = None
    if former is not None:
        trace = reign_trace(former.revision)
    if isinstance(message, changes.LeaderLost):
        revision = former.revision if former is not None else None
        lost = LeaderLost(previous=message.previous, revision=revision)
        identity = f"{message.previous}/{revision}" if revision else None
        return Told(lost, identity, trace)
    reign = memory.reign
    is_known = reign is not None and reign.leader == message.member
    revision = reign.revision if reign is not None and is_known else None
    elected = LeaderElected(
        leader=message.member,
        previous=message.previous,
        conn_url=memory.conn_urls.get(message.member),
        revision=revision,
    )
    return Told(elected, f"{message.member}/{revision}" if revision else None, trace)


def _of_configuration(memory: Memory, *, removed: bool) -> tuple[Memory, list[Told]]:
    before, after = memory.config, memory.view_config
    revision = memory.config_revision or None
    changed = ConfigurationChanged(
        options=changed_options(before, after), removed=removed
    )
    told = [Told(changed, revision)]
    if after is not None:
        paused = is_paused(after)
        if paused != is_paused(before):
            told.append(Told(PauseChanged(paused=paused), revision))
    kept = before if after is None else after
    return memory.model_copy(update={"config": kept}), told


def _of_member(memory: Memory, document: str) -> tuple[Memory, list[Told]]:
    shown = shown_in(document)
    if shown is None:
        return memory, []
    known = memory.model_copy(update=shown._asdict())
    if (shown.state, shown.role) == (memory.state, memory.role):
        return known, []
    event = MemberStateChanged(
        state=shown.state,
        role=shown.role,
        previous_state=memory.state,
        previous_role=memory.role,
        timeline=shown.timeline,
    )
    return known, [Told(event)]


def _crash(memory: Memory, exited: PostmasterExited) -> Event:
    return PostgresCrashed(
        pid=exited.pid,
        exit_status=exited.exit_status,
        signal=exited.signal,
        out_of_memory=exited.oom_killed,
        role=memory.role,
    )


def _opened(opened: incidents.IncidentOpened) -> Event:
    return IncidentOpened(
        incident=opened.incident,
        what=opened.what,
        weight=opened.weight,
        member=opened.member,
        began=opened.began,
        text=opened.text,
        includes=opened.includes,
    )


def _explained(judged: incidents.IncidentJudged) -> Event:
    return IncidentExplained(
        incident=judged.incident,
        cause=judged.cause,
        root=judged.root,
        sentence=judged.sentence,
        outage_seconds=judged.outage,
        author=judged.author,
    )
