"""A story: all that is told of an incident, as a value.

Every form of the report is made of it: text, Markdown, HTML, and JSON, whose schema
(`regnal explain --schema`, docs/schemas/story.json) is that of these classes.  Moments
are seconds since 1970 on the time line that all members share; `clock` of a member says
how its own wall clock differs.
"""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from regnal.messages.base import LSN, Bytes, MemberName, Seconds, Timeline
from regnal.messages.reasons import Reason

STORY_FORMAT = 1
"""Of the JSON; a field may be added without another number."""

Moment = float
"""Seconds since 1970."""


class Told(BaseModel):
    """A frozen part of a story."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")


class Reference(Told):
    """Where in the journals it stands: `regnal journal show --after N-1 -n 1`."""

    member: MemberName
    record: int


class Proof(Told):
    """A fact that shows the cause."""

    moment: Moment
    member: MemberName
    text: str
    at: Reference


class Verdict(Told):
    """The one sentence, and what it rests on."""

    sentence: str
    cause: str
    """A code of the published list: what decided how this went."""

    root: str
    """The code of what began it; the same as `cause`, unless that is why nobody took
    over, or the start after a crash failed."""

    hindrances: tuple[str, ...]
    """Codes of what kept members from taking over meanwhile."""

    rule: str
    """The rule of explain that spoke."""

    facts: dict[str, Any]
    """What it saw."""

    proofs: tuple[Proof, ...]
    note: str
    """A sentence more, such as what the kernel says of a stall; or empty."""

    missing: tuple[str, ...]
    """What would be needed to be sure, or to know more."""

    alternatives: tuple[str, ...]
    """Codes that the journals do not exclude."""

    remedy: str


class Author(Told):
    """Who asked for it."""

    what: str
    """`switchover`, `failover`, `restart`, `shutdown`."""

    address: str | None
    """None: it did not come through the REST API (a signal, a key in the DCS)."""

    username: str | None
    user_agent: str | None
    through: MemberName
    """The member that was asked."""


class Outage(Told):
    """How long nobody could write."""

    since: Moment
    until: Moment | None
    """None: to the end of the journals."""

    seconds: Seconds
    certainty: Literal["measured", "at_most", "at_least"]
    how: str
    """How the two ends are known."""


class Loss(Told):
    """What the former leader had and the new one has not."""

    wal_bytes: Bytes | None
    """None: not known."""

    certainty: Literal["measured", "at_most", "at_least", "unknown"]
    transactions: int | None
    """Commit records in it; None: not counted."""

    acknowledged: int | None
    """Of these, how many clients had been told of; None: not known."""

    former_end: LSN | None
    switch: LSN | None
    sentence: str


class Phase(Told):
    """A stretch of the outage."""

    code: Literal["detection", "decision", "promotion", "clients_back"]
    began: Moment
    seconds: Seconds
    what: str
    """What this time was spent on."""


class Candidate(Told):
    """A member, as a candidate, and why it was taken or passed over."""

    member: MemberName
    judged_by: MemberName
    moment: Moment
    verdict: Reason
    sentence: str
    position: LSN | None
    timeline: Timeline | None
    taken: bool


class Link(Told):
    """One link of the causal chain, or one moment of what a member saw."""

    moment: Moment
    member: MemberName
    part: str
    """The actor that decided, or the bridge that said it."""

    what: str
    """The rule that spoke, or the type of a message."""

    is_decision: bool
    heard: str | None
    """Type of the message that a decision was an answer to."""

    facts: dict[str, Any]
    said: tuple[str, ...]
    """Types of what a decision said."""

    text: str
    """In words."""

    at: Reference


class View(Told):
    """What a member saw and did meanwhile."""

    member: MemberName
    role: Literal["former_leader", "new_leader", "other"]
    has_journal: bool
    moments: tuple[Link, ...]


class Advice(Told):
    """What would have made it faster or safer."""

    setting: str
    """Its name in the configuration, such as `ttl`; or empty."""

    now: str
    """Its value then; or empty."""

    try_: str
    """The value to consider; or empty."""

    gain: str
    """What it would have changed, and what it costs."""


class State(Told):
    """A stretch of a lane of the timeline."""

    state: str
    since: Moment
    until: Moment
    at: Reference


class Lane(Told):
    """One bar of a member in the timeline."""

    name: Literal["daemon", "role", "lease", "postgres", "writable", "store"]
    states: tuple[State, ...]


class MemberTold(Told):
    """A member, and its clock."""

    member: MemberName
    has_journal: bool
    versions: dict[str, str]
    clock_ahead: Seconds | None
    """Of its wall clock before most others'; None: by less than is worth telling."""

    lanes: tuple[Lane, ...]


class Event(Told):
    """A point in the timeline: a decision or something that happened."""

    id: str
    """Of the message, or of the message that a step heard with `actor` before it."""

    moment: Moment
    member: MemberName
    part: str
    what: str
    is_decision: bool
    cause: str | None
    """`id` of another event: an arrow is drawn from it."""

    facts: dict[str, Any]
    text: str
    at: Reference


class EpisodeTold(Told):
    """Something lesser that fell into the same time."""

    kind: str
    began: Moment
    ended: Moment
    members: tuple[MemberName, ...]
    text: str


class IncidentTold(Told):
    """An incident in the list."""

    name: str
    kind: str
    weight: Literal["outage", "degraded", "notice"]
    began: Moment
    ended: Moment
    member: MemberName
    successor: MemberName | None
    cause: str
    sentence: str
    outage: Seconds | None
    """None: writing went on."""

    acknowledged_by: str | None
    """None: it is open, or needs no acknowledgement."""


class Trouble(Told):
    """Something about the journals themselves."""

    code: str
    text: str


class Story(Told):
    """An incident, whole."""

    format: int = STORY_FORMAT
    name: str
    kind: str
    weight: Literal["outage", "degraded", "notice"]
    scope: str
    began: Moment
    ended: Moment
    former: MemberName
    leader: MemberName | None
    """Who took over, or came back; None: nobody."""

    timeline: Timeline | None
    """Of the new leader."""

    verdict: Verdict
    author: Author | None
    outage: Outage | None
    loss: Loss | None
    phases: tuple[Phase, ...]
    chain: tuple[Link, ...]
    """From the first cause to the end of the outage, each the cause of the next."""

    candidates: tuple[Candidate, ...]
    views: tuple[View, ...]
    advice: tuple[Advice, ...]
    episodes: tuple[EpisodeTold, ...]
    members: tuple[MemberTold, ...]
    events: tuple[Event, ...]
    troubles: tuple[Trouble, ...]
    """What is wrong with the journals, or missing; the rest was used."""

    aliases: tuple[str, ...]
    """Names that members gave it when it happened."""
