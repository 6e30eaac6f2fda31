"""Incidents: what befell the cluster, until a person has acknowledged it."""

from typing import ClassVar

from regnal.events.base import Event, EventName
from regnal.messages.base import MemberName, Seconds, WallTime


class IncidentOpened(Event):
    """An incident began, as every member tells that saw it."""

    name: ClassVar[EventName] = "incident.opened"
    of_cluster: ClassVar[bool] = True
    incident: str
    """Its name, for `regnal explain -i` and `regnalctl ack`."""

    what: str
    """`reign_ended`, `primary_interrupted`, `primary_stopped`, `fenced`,
    `store_outage`, `stall`, `actor_failed`."""

    weight: str
    """`outage`: nobody could write, or might have been unable to; `degraded`: less safe
    than it should be; `notice`: as somebody wanted it."""

    member: MemberName
    """Whom it befell."""

    began: WallTime
    text: str
    """What was seen, in one sentence."""

    includes: tuple[str, ...] = ()
    """Incidents that turned out to be its beginning, and are closed with it."""

    def concerned(self) -> MemberName:
        return self.member


class IncidentSettled(Event):
    """All has been well again for a heartbeat."""

    name: ClassVar[EventName] = "incident.settled"
    of_cluster: ClassVar[bool] = True
    incident: str
    leader: MemberName | None = None
    settled: WallTime
    lasted_seconds: Seconds


class IncidentAcknowledged(Event):
    """A person has seen it: it is closed."""

    name: ClassVar[EventName] = "incident.acknowledged"
    of_cluster: ClassVar[bool] = True
    incident: str
    by: str
    comment: str | None = None


class IncidentExplained(Event):
    """The leader has explained it from the journals of all members."""

    name: ClassVar[EventName] = "incident.explained"
    incident: str
    cause: str
    """What decided how it went; `regnal explain --causes` lists them."""

    root: str
    """What began it; mostly the same."""

    sentence: str
    outage_seconds: Seconds | None = None
    """How long nobody could write; null: writing went on."""

    author: str | None = None
    """Who asked for it; null: nobody."""


class JournalGap(Event):
    """Records of this member's journal were removed or damaged before they could be
    published: what they told is missing here, and is nowhere else."""

    name: ClassVar[EventName] = "journal.gap"
    first: int
    last: int
    """Numbers of the records, both included."""
