"""Incidents: what befell the cluster, open until a person has acknowledged it.

Opened once, by every member that saw it happen; *settled* when all has been well again
for a heartbeat; *closed* when a person acknowledged it.  What somebody had wanted (weight
`notice`) needs nobody's acknowledgement and is kept for the history alone.
"""

from typing import Literal, TypeAlias

from regnal.messages.base import (
    Command,
    Decision,
    Instant,
    MemberName,
    Observation,
    Outcome,
    Seconds,
    Value,
    WallTime,
)
from regnal.messages.cluster import Revision
from regnal.messages.reasons import Reason

IncidentName: TypeAlias = str
"""Such as `reign-4711`; see `actors/incident_names.py`."""

IncidentWhat: TypeAlias = Literal[
    "reign_ended",
    "primary_interrupted",
    "primary_stopped",
    "fenced",
    "store_outage",
    "stall",
    "actor_failed",
]
"""reign_ended: the leader key is gone, or in other hands.  primary_interrupted:
PostgreSQL ended unasked while it was primary.  primary_stopped: somebody else than
the daemon shut it down.  fenced: the guard killed PostgreSQL.  store_outage: the DCS
did not answer for longer than a heartbeat.  stall: the daemon did not run for longer
than a heartbeat.  actor_failed: one of its actors failed on message after message."""

IncidentWeight: TypeAlias = Literal["outage", "degraded", "notice"]
"""outage: nobody could write, or might have been unable to.  degraded: less safe than
it should be.  notice: as somebody wanted it."""

ChangeOfLeader: TypeAlias = Literal["planned", "manual", "automatic", "none"]
"""planned: asked for while the former leader still led.  manual: a person named the
successor of a leader that was lost.  automatic: the members chose.  none: the former
leader leads again."""


class IncidentVerdict(Value):
    """What an explanation concluded; codes are those of `regnal explain --causes`."""

    cause: str
    """What decided how it went."""

    root: str
    """What began it; mostly the same."""

    sentence: str
    outage: Seconds | None
    """How long nobody could write; None: writing went on."""

    author: str | None
    """Who asked for it; None: nobody, as far as the journals tell."""


class Incident(Value):
    """An incident, as far as a member knows it."""

    name: IncidentName
    what: IncidentWhat
    weight: IncidentWeight
    member: MemberName
    """Whom it befell: the former leader, or the member that tells."""

    began: WallTime
    began_at: Instant
    text: str
    """What was seen, in one sentence."""

    includes: tuple[IncidentName, ...] = ()
    """Incidents that turned out to be its beginning, and exist no more."""

    leader: MemberName | None = None
    """Who leads since; None: nobody yet, or nobody's reign ended."""

    change: ChangeOfLeader | None = None
    """How that came about; None: see `leader`."""

    changed_at: Instant | None = None
    settled: WallTime | None = None
    """When all was well again; None: it is not."""

    acknowledged: WallTime | None = None
    acknowledged_by: str | None = None
    """Who closed it; None: nobody did."""

    comment: str | None = None
    verdict: IncidentVerdict | None = None
    """None: not explained (yet), or not by this member."""

    holds_until: Instant | None = None
    """Until when no automatic failover follows it; None: it holds none up."""

    bars: Reason | None = None
    """Why this member must not be started as primary because of it; None: it may."""

    @property
    def needs_acknowledgement(self) -> bool:
        return self.weight != "notice"

    @property
    def is_open(self) -> bool:
        """Whether a person has yet to look at it."""
        return self.needs_acknowledgement and self.acknowledged is None

    @property
    def is_settled(self) -> bool:
        return self.settled is not None

    def is_called(self, name: IncidentName) -> bool:
        """Whether it has this name, or one that it had at its beginning."""
        return name == self.name or name in self.includes


class IncidentOpened(Decision):
    """It begins; those that it `includes` end, since they were its beginning."""

    kind: Literal["incident_opened"] = "incident_opened"
    incident: IncidentName
    what: IncidentWhat
    weight: IncidentWeight
    member: MemberName
    began: WallTime
    began_at: Instant
    text: str
    includes: tuple[IncidentName, ...]


class IncidentContinued(Decision):
    """Something more happened before it was settled."""

    kind: Literal["incident_continued"] = "incident_continued"
    incident: IncidentName
    what: IncidentWhat
    at: Instant
    text: str


class SuccessorNoted(Decision):
    """Somebody leads after a reign that ended."""

    kind: Literal["successor_noted"] = "successor_noted"
    incident: IncidentName
    leader: MemberName
    change: ChangeOfLeader
    at: Instant


class IncidentSettled(Decision):
    """All has been well for a heartbeat: since `settled`."""

    kind: Literal["incident_settled"] = "incident_settled"
    incident: IncidentName
    leader: MemberName | None
    settled: WallTime
    lasted: Seconds


class IncidentAcknowledged(Decision):
    """A person has seen it: it is closed."""

    kind: Literal["incident_acknowledged"] = "incident_acknowledged"
    incident: IncidentName
    by: str
    """User name, or where there is none the address."""

    at: WallTime
    comment: str | None


class IncidentLapsed(Decision):
    """Too many are open: this one, the oldest, is closed without anybody's word."""

    kind: Literal["incident_lapsed"] = "incident_lapsed"
    incident: IncidentName
    at: WallTime


class OwnReign(Value):
    """We led when the daemon ended, and did not give the key away."""

    revision: Revision
    """Of the leader key."""

    until: Instant
    """The last moment that was written down."""


class IncidentsRecalled(Observation):
    """What the journal remembers from before the daemon's start.  Instants are of this
    boot: those of another were converted by the wall clock."""

    kind: Literal["incidents_recalled"] = "incidents_recalled"
    incidents: tuple[Incident, ...]
    """The oldest first."""

    crashes: tuple[Instant, ...]
    """Unasked ends of PostgreSQL as primary, the oldest first."""

    reign: OwnReign | None
    """None: another led, or we left in order, or too long ago."""

    trouble: str | None
    """What kept us from reading all that there is; None: nothing did."""


class PinJournal(Command):
    """Keep the segments from `since` on, new ones too, until `UnpinJournal`."""

    kind: Literal["pin_journal"] = "pin_journal"
    incident: IncidentName
    since: WallTime


class UnpinJournal(Command):
    """The incident needs no segments any more."""

    kind: Literal["unpin_journal"] = "unpin_journal"
    incident: IncidentName


class ExplainIncident(Command):
    """Explain it from the journals, in a process of its own.

    Answered by `IncidentJudged` or `ExplanationFailed`, unless `DropExplanation` comes
    before.
    """

    kind: Literal["explain_incident"] = "explain_incident"
    incident: IncidentName
    since: WallTime
    """From when on the journals tell of it."""


class DropExplanation(Command):
    """End the explanation under way: something happens just now."""

    kind: Literal["drop_explanation"] = "drop_explanation"
    incident: IncidentName


class IncidentJudged(Outcome):
    """The explanation's verdict; see `IncidentVerdict`."""

    kind: Literal["incident_judged"] = "incident_judged"
    incident: IncidentName
    cause: str
    root: str
    sentence: str
    outage: Seconds | None
    author: str | None


class ExplanationFailed(Outcome):
    """No verdict: the explanation failed, or took too long."""

    kind: Literal["explanation_failed"] = "explanation_failed"
    incident: IncidentName
    error: str


# What policy makes of the history (settings `min_time_between_failovers` and
# `crash_loop_*`).  It only ever forbids.


class FailoverHeld(Decision):
    """No automatic failover before `until`: the last one is too recent."""

    kind: Literal["failover_held"] = "failover_held"
    incident: IncidentName
    """Of that failover; its acknowledgement ends the hold."""

    leader: MemberName
    """Who leads since, and may lead again."""

    until: Instant


class FailoverReleased(Decision):
    """Automatic failover is as usual again."""

    kind: Literal["failover_released"] = "failover_released"
    incident: IncidentName


class CrashCounted(Decision):
    """PostgreSQL ended unasked as primary, and may be started again."""

    kind: Literal["crash_counted"] = "crash_counted"
    crashes: int
    """Within `crash_loop_window`."""

    limit: int


class LeadershipBarred(Decision):
    """This member's PostgreSQL must not become primary until the incident is
    acknowledged."""

    kind: Literal["leadership_barred"] = "leadership_barred"
    incident: IncidentName
    reason: Reason


class LeadershipAllowed(Decision):
    """It may lead again."""

    kind: Literal["leadership_allowed"] = "leadership_allowed"
    incident: IncidentName


IncidentDecision: TypeAlias = (
    IncidentOpened
    | IncidentContinued
    | SuccessorNoted
    | IncidentSettled
    | IncidentAcknowledged
    | IncidentLapsed
    | FailoverHeld
    | FailoverReleased
    | LeadershipBarred
    | LeadershipAllowed
)
"""What changes the memory of incidents; see `actors/incident_memory.py`."""
