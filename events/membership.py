"""The members: who is there, and in which state."""

from typing import ClassVar

from regnal.events.base import Event, EventName
from regnal.messages.base import MemberName, Seconds, Timeline


class MemberJoined(Event):
    """The key of a member appeared in the store.  Told by each member that saw it."""

    name: ClassVar[EventName] = "member.joined"
    member: MemberName

    def concerned(self) -> MemberName:
        return self.member


class MemberLeft(Event):
    """The key of a member was removed, or expired.  Told by each member that saw it."""

    name: ClassVar[EventName] = "member.left"
    member: MemberName

    def concerned(self) -> MemberName:
        return self.member


class MemberStateChanged(Event):
    """This member shows another state or role of its PostgreSQL than before."""

    name: ClassVar[EventName] = "member.state_changed"
    state: str
    """Such as `running`, `stopped`, `crashed`, `creating replica`."""

    role: str
    """`primary`, `replica`, `standby_leader`, `demoted`, `uninitialized`, `promoted`."""

    previous_state: str | None = None
    """null: not known."""

    previous_role: str | None = None
    timeline: Timeline | None = None
    """null: PostgreSQL does not run, or has not said."""


class DaemonStarted(Event):
    """The daemon of this member started."""

    name: ClassVar[EventName] = "daemon.started"
    incarnation: int
    """Counts the starts of this member's daemon."""

    regnal: str
    """Its version; empty: not known."""


class DaemonStopped(Event):
    """The daemon ended in order."""

    name: ClassVar[EventName] = "daemon.stopped"


class StoreLost(Event):
    """The DCS does not answer this member."""

    name: ClassVar[EventName] = "dcs.lost"
    error: str


class StoreBack(Event):
    """The DCS answers this member again."""

    name: ClassVar[EventName] = "dcs.back"
    away_seconds: Seconds
