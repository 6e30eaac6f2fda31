"""What the weaver remembers of a journal between two records.

A value that JSON can hold, as that of the public events; it is bounded: of an incident
with more spans than `MAXIMUM_SPANS` the rest is counted, and not kept.
"""

from pydantic import BaseModel, ConfigDict, Field

from regnal.events.spans.naming import RootName
from regnal.events.spans.span import Attribute, UnixNanos
from regnal.messages.base import Instant, MemberName
from regnal.messages.envelope import MessageId, PartName
from regnal.messages.operations import Phase

MAXIMUM_SPANS = 400
MAXIMUM_MOMENTS = 60
MAXIMUM_OWNERS = 400
MAXIMUM_TRACES = 50
MAXIMUM_REVISIONS = 8
"""Of more the oldest are forgotten; of spans of one incident the newest are left out."""

Key = str
"""Names a span within an episode: a phase (`elect`, `elect#2`), or the id of the message
that began it."""


class _Kept(BaseModel):
    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="strings")


class Point(_Kept):
    """A moment of a span."""

    name: str
    at: UnixNanos
    attributes: dict[str, Attribute] = {}


class Linked(_Kept):
    """To a phase of another member in the same trace."""

    member: MemberName
    phase: str
    """Empty: what spans that member's part."""

    why: str


class Thread(_Kept):
    """A span under way, or ended and not told yet."""

    key: Key
    name: str
    kind: str = ""
    """Of the command or intent that it is of; empty: a phase."""

    parent: Key | None = None
    """None: what spans the whole episode."""

    start: UnixNanos
    end: UnixNanos | None = None
    attributes: dict[str, Attribute] = {}
    moments: list[Point] = []
    links: list[Linked] = []
    status: str = "unset"
    status_text: str = ""


class Ending(_Kept):
    """A reign that ended."""

    revision: str
    former: MemberName
    at: UnixNanos
    leader: MemberName | None = None
    """Who leads since; None: nobody yet."""

    is_planned: bool = False


class Episode(_Kept):
    """A stretch of a member's life in which something goes on."""

    opened_by: MessageId
    what: RootName
    start: UnixNanos
    last: UnixNanos
    """When something was last seen that belongs to it."""

    anchor: Instant
    anchor_wall: UnixNanos
    """One moment on both clocks: within an episode the one that never steps counts."""

    incident: str | None = None
    """As the member called what befell it alone."""

    includes: list[str] = []
    """Incidents that turned out to be its beginning."""

    ending: Ending | None = None
    """Of a reign: then the trace is that of all members."""

    has_request: bool = False
    """Whether somebody asked for another leader."""

    change: str = ""
    """As the incident calls it: planned, manual, automatic, none."""

    leader: MemberName | None = None
    revision: str = ""
    """Who led when it began, and by which key; None: nobody, or not known."""

    was_leader: bool = False
    started: bool = False
    """Whether the daemon started in it."""

    gone_at: UnixNanos | None = None
    """Since when nobody held the leader key; None: somebody does."""

    awaits_stream: bool = False
    """Whether our standby has still to stream."""

    attributes: dict[str, Attribute] = {}
    moments: list[Point] = []
    error: str = ""
    open: list[Thread] = []
    ended: list[Thread] = []
    """Not told yet, since nobody knows the trace."""

    owners: dict[MessageId, Key] = {}
    """Which span a message belongs to, so that what it causes does, too."""

    names: dict[str, int] = {}
    """How often there was a phase of the name."""

    count: int = 0
    dropped: int = 0
    ordinal: int = 0
    """How many of this member there are in its trace; 0: the trace is not known."""


class Rule(_Kept):
    """Of the last step: what its messages were said by."""

    actor: PartName
    rule: str = ""
    said: list[MessageId] = []
    candidates: list[str] = []


class Reign(_Kept):
    leader: MemberName
    revision: str
    session: str | None = None


class Memory(_Kept):
    """All that is remembered of one journal."""

    boot: str = ""
    phase: Phase = "unknown"
    store_lost: bool = False
    is_down: bool = False
    """Whether the daemon ended in order, and has not started since."""

    reign: Reign | None = None
    """The last one that was seen."""

    is_led: bool = False
    """Whether somebody holds the leader key, as last seen."""

    gone_at: Instant | None = None
    key_at: Instant | None = None
    """When its present revision was first seen; None: not in this life."""

    request: str | None = None
    """Revision of the `failover` key as last seen; None: there was none."""

    past: list[str] = []
    """Revisions of leader keys of before, the newest last."""

    rule: Rule | None = None
    episode: Episode | None = None
    told: dict[str, int] = Field(default_factory=dict)
    """Traces that this member had part in, and how often."""
