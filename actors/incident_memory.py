"""What is remembered of incidents: the decisions about them, folded.

The incidents actor remembers its own decisions by this function, and after a restart
what the journal has of them is folded by it: so that both remember the same.
"""

from collections.abc import Callable
from dataclasses import dataclass

from regnal.messages.base import Instant, Message
from regnal.messages.frozen import replace
from regnal.messages.incidents import (
    FailoverHeld,
    FailoverReleased,
    Incident,
    IncidentAcknowledged,
    IncidentContinued,
    IncidentJudged,
    IncidentLapsed,
    IncidentName,
    IncidentOpened,
    IncidentSettled,
    IncidentsRecalled,
    IncidentVerdict,
    LeadershipAllowed,
    LeadershipBarred,
    SuccessorNoted,
)

MAXIMUM_OPEN = 100
"""Incidents that nobody has acknowledged; then the oldest lapses.  Whoever has so many
will not read them one by one."""

MAXIMUM_CLOSED = 100
"""Incidents that are kept for the history; the journal has them all."""

MAXIMUM_CRASHES = 100
"""Moments of unasked ends that are remembered: no crash loop needs more to be one."""

LAPSED = "nobody: too many are open"
"""In place of who acknowledged it."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The incidents, and when PostgreSQL ended unasked as primary; the oldest first."""

    incidents: tuple[Incident, ...] = ()
    crashes: tuple[Instant, ...] = ()

    def find(self, name: IncidentName) -> Incident | None:
        """The incident of this name, or that began under it."""
        for incident in reversed(self.incidents):
            if incident.is_called(name):
                return incident
        return None

    @property
    def open(self) -> tuple[Incident, ...]:
        return tuple(incident for incident in self.incidents if incident.is_open)

    @property
    def unsettled(self) -> tuple[Incident, ...]:
        return tuple(i for i in self.incidents if not i.is_settled)


FOLDED: tuple[type[Message], ...] = (
    IncidentsRecalled,
    IncidentOpened,
    IncidentContinued,
    SuccessorNoted,
    IncidentSettled,
    IncidentAcknowledged,
    IncidentLapsed,
    IncidentJudged,
    FailoverHeld,
    FailoverReleased,
    LeadershipBarred,
    LeadershipAllowed,
)
"""The messages that `remember` knows; no other changes the memory."""


def remember(memory: Memory, message: Message) -> Memory:
    """The memory after the message."""
    match message:
        case IncidentsRecalled(incidents=incidents, crashes=crashes):
            return Memory(incidents, crashes)
        case IncidentOpened():
            return _open(memory, message)
        case IncidentContinued(what="primary_interrupted", at=at):
            return _count(memory, at)
        case SuccessorNoted(incident=name, leader=leader, change=change, at=at):
            return _change(
                memory, name, lambda _: {"leader": leader, "change": change} | _at(at)
            )
        case IncidentSettled(incident=name, leader=leader, settled=settled):
            return _change(
                memory,
                name,
                lambda known: {"settled": settled, "leader": known.leader or leader},
            )
        case IncidentAcknowledged(incident=name, by=by, at=at_wall, comment=comment):
            return _change(
                memory,
                name,
                lambda _: {
                    "acknowledged": at_wall,
                    "acknowledged_by": by,
                    "comment": comment,
                },
            )
        case IncidentLapsed(incident=name, at=at_wall):
            return _change(
                memory,
                name,
                lambda _: {"acknowledged": at_wall, "acknowledged_by": LAPSED},
            )
        case IncidentJudged(incident=name):
            return _change(memory, name, lambda _: {"verdict": _verdict(message)})
        case FailoverHeld(incident=name, until=until):
            return _change(memory, name, lambda _: {"holds_until": until})
        case FailoverReleased(incident=name):
            return _change(memory, name, lambda _: {"holds_until": None})
        case LeadershipBarred(incident=name, reason=reason):
            return _change(memory, name, lambda _: {"bars": reason})
        case LeadershipAllowed(incident=name):
            # Whoever acknowledged it has seen these ends: the next is the first.
            forgiven = replace(memory, crashes=())
            return _change(forgiven, name, lambda _: {"bars": None})
        case _:
            return memory


def _at(instant: Instant) -> dict[str, object]:
    return {"changed_at": instant}


def _verdict(judged: IncidentJudged) -> IncidentVerdict:
    return IncidentVerdict(
        cause=judged.cause,
        root=judged.root,
        sentence=judged.sentence,
        outage=judged.outage,
        author=judged.author,
    )


def _open(memory: Memory, opened: IncidentOpened) -> Memory:
    incident = Incident(
        name=opened.incident,
        what=opened.what,
        weight=opened.weight,
        member=opened.member,
        began=opened.began,
        began_at=opened.began_at,
        text=opened.text,
        includes=opened.includes,
        bars=next((i.bars for i in memory.incidents if _bars(i, opened)), None),
    )
    # Revisions begin anew with a new store: the old bearer of the name gives way.
    gone = (opened.incident, *opened.includes)
    others = tuple(i for i in memory.incidents if i.name not in gone)
    known = replace(memory, incidents=_within_limits((*others, incident)))
    if opened.what == "primary_interrupted":
        return _count(known, opened.began_at)
    return known


def _bars(incident: Incident, opened: IncidentOpened) -> bool:
    return incident.bars is not None and incident.name in opened.includes


def _count(memory: Memory, at: Instant) -> Memory:
    return replace(memory, crashes=(*memory.crashes, at)[-MAXIMUM_CRASHES:])


def _change(
    memory: Memory,
    name: IncidentName,
    update: Callable[[Incident], dict[str, object]],
) -> Memory:
    changed = tuple(
        incident.model_copy(update=update(incident))
        if incident.name == name
        else incident
        for incident in memory.incidents
    )
    return replace(memory, incidents=_within_limits(changed))


def _within_limits(incidents: tuple[Incident, ...]) -> tuple[Incident, ...]:
    """Without the oldest of those that are over."""
    over = [i for i in incidents if i.is_settled and not i.is_open]
    too_many = [i.name for i in over[: max(0, len(over) - MAXIMUM_CLOSED)]]
    return tuple(i for i in incidents if i.name not in too_many)
