"""Who leads, and how that changed."""

from typing import ClassVar

from regnal.events.base import Event, EventName
from regnal.messages.base import LSN, Bytes, MemberName, Seconds, Timeline, WallTime


class LeaderElected(Event):
    """Another member holds the leader key than before.  PostgreSQL of that member may
    not take writes yet: `postgres.promoted` tells when it does."""

    name: ClassVar[EventName] = "leader.elected"
    of_cluster: ClassVar[bool] = True
    leader: MemberName
    previous: MemberName | None = None
    """The last leader that was seen; null: none was."""

    conn_url: str | None = None
    """Where its PostgreSQL is, without any password; null: not known."""

    revision: str | None = None
    """Of the leader key, as the store counts: names this reign."""

    def concerned(self) -> MemberName:
        return self.leader


class LeaderLost(Event):
    """Nobody holds the leader key any more."""

    name: ClassVar[EventName] = "leader.lost"
    of_cluster: ClassVar[bool] = True
    previous: MemberName
    revision: str | None = None
    """Of the key as it was last seen."""

    def concerned(self) -> MemberName:
        return self.previous


class FailoverStarted(Event):
    """The reign of a leader ended, and nobody had asked for that."""

    name: ClassVar[EventName] = "failover.started"
    of_cluster: ClassVar[bool] = True
    incident: str
    """Its name, for `regnal explain -i`."""

    former: MemberName
    began: WallTime
    text: str
    """What was seen, in one sentence."""

    def concerned(self) -> MemberName:
        return self.former


class _LeadershipMoved(Event):
    incident: str
    """Names the change, for `regnal explain -i`."""

    former: MemberName
    leader: MemberName
    conn_url: str | None = None
    timeline: Timeline
    """The new one."""

    lsn: LSN
    """Where the new timeline began to take writes."""

    leaderless_seconds: Seconds | None = None
    """From the end of the former reign, as this member saw it, until the next began."""

    promoted_after_seconds: Seconds
    """From the end of the former reign until PostgreSQL of the new leader took writes."""

    unreceived_wal_bytes: Bytes | None = None
    """How much WAL the former leader had published beyond what the new one had: at most
    so much is missing.  0: nothing that was published; null: not known."""

    def concerned(self) -> MemberName:
        return self.leader


class FailoverCompleted(_LeadershipMoved):
    """The new leader takes writes.  Told by the new leader."""

    name: ClassVar[EventName] = "failover.completed"
    of_cluster: ClassVar[bool] = True
    change: str
    """`automatic`: the members chose; `manual`: a person named the successor."""


class FailoverAverted(Event):
    """The former leader leads again: no other member took its place."""

    name: ClassVar[EventName] = "failover.averted"
    of_cluster: ClassVar[bool] = True
    incident: str
    leader: MemberName

    def concerned(self) -> MemberName:
        return self.leader


class SwitchoverCompleted(_LeadershipMoved):
    """As it was asked for, another member leads and takes writes.  Told by the new
    leader."""

    name: ClassVar[EventName] = "switchover.completed"
    of_cluster: ClassVar[bool] = True
