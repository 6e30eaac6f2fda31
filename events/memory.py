"""What the translator remembers of a journal between two records: little, and bounded.

It is a value that JSON can hold: who goes on after a restart goes on with it, and says
the same events as if it had never ended.
"""

import json
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from regnal.messages.base import (
    LSN,
    Bytes,
    Instant,
    JsonText,
    MemberName,
    RequestId,
    Timeline,
)
from regnal.messages.cluster import ClusterView, Revision

MAXIMUM_INCIDENTS = 20
MAXIMUM_REQUESTS = 50
MAXIMUM_REFUSALS = 100
"""Of more the oldest are forgotten."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")


class Reign(_Kept):
    """A leader, by its key."""

    leader: MemberName
    revision: str
    position: LSN = 0
    """The furthest that it published of its WAL; 0: not known."""


class Change(_Kept):
    """An incident that a reign's end is."""

    incident: str
    former: MemberName
    began_at: Instant
    position: LSN = 0
    """Of the former leader; 0: not known."""

    leader: MemberName | None = None
    """None: nobody yet."""

    change: str = ""
    noted_at: Instant = 0.0
    told: bool = False
    """Whether its end was told."""


class Promotion(_Kept):
    timeline: Timeline
    lsn: LSN
    at: Instant


class Request(_Kept):
    """A switchover that somebody asked this member for."""

    request: RequestId
    scheduled_at: str | None
    cancels: str | None = None
    """Who wants a scheduled one deleted; None: this asks for one."""


class Memory(_Kept):
    reign: Reign | None = None
    """The last one that was seen."""

    former: Reign | None = None
    """The one that ended last."""

    is_led: bool = False
    """Whether somebody holds the leader key, as last seen."""

    is_seen: bool = False
    """Whether the cluster was observed since the daemon's start."""

    conn_urls: dict[MemberName, str] = {}
    config: JsonText | None = None
    """The dynamic configuration as last told; None: there was none."""

    view_config: JsonText | None = None
    config_revision: str = ""
    state: str | None = None
    role: str | None = None
    timeline: Timeline | None = None
    synchronous: str | None = None
    unsettled: tuple[str, ...] = ()
    """Names of incidents, the newest last."""

    changes: tuple[Change, ...] = ()
    promotion: Promotion | None = None
    requests: tuple[Request, ...] = ()
    refusals: dict[str, str] = {}
    """Slots, and why they could not be changed."""

    def with_view(self, view: ClusterView) -> "Memory":
        """The cluster was observed."""
        known: dict[str, object] = {
            "conn_urls": {m.name: m.conn_url for m in view.members if m.conn_url},
            "view_config": view.config,
            "config_revision": _text(view.config_revision),
            "is_led": view.leader is not None,
        }
        if not self.is_seen:
            known |= {"is_seen": True, "config": view.config}  # found, not changed
        leader = view.leader
        if leader is None:
            if self.is_led:
                known["former"] = self.reign
        else:
            reign = Reign(
                leader=leader.name,
                revision=_text(leader.revision),
                position=_position(view),
            )
            if self.is_led and self.reign and self.reign.leader != reign.leader:
                known["former"] = self.reign
            elif self.is_led and self.reign:
                furthest = max(self.reign.position, reign.position)
                reign = reign.model_copy(update={"position": furthest})
            known["reign"] = reign
        return self.model_copy(update=known)

    def change_called(self, incident: str) -> Change | None:
        for change in self.changes:
            if change.incident == incident:
                return change
        return None

    def with_change(self, change: Change) -> "Memory":
        others = [c for c in self.changes if c.incident != change.incident]
        return self.model_copy(
            update={"changes": (*others, change)[-MAXIMUM_INCIDENTS:]}
        )

    def with_incident(self, name: str, includes: tuple[str, ...]) -> "Memory":
        rest = [n for n in self.unsettled if n != name and n not in includes]
        return self.model_copy(update={"unsettled": (*rest, name)[-MAXIMUM_INCIDENTS:]})

    def without_incident(self, name: str) -> "Memory":
        return self.model_copy(
            update={
                "unsettled": tuple(n for n in self.unsettled if n != name),
                "changes": tuple(c for c in self.changes if c.incident != name),
            }
        )

    def with_refusal(self, slot: str, error: str) -> "Memory":
        others = [item for item in self.refusals.items() if item[0] != slot]
        kept = dict([*others, (slot, error)][-MAXIMUM_REFUSALS:])
        return self.model_copy(update={"refusals": kept})

    def with_request(self, request: Request) -> "Memory":
        return self.model_copy(
            update={"requests": (*self.requests, request)[-MAXIMUM_REQUESTS:]}
        )

    def without_request(self, request: RequestId) -> "Memory":
        rest = tuple(r for r in self.requests if r.request != request)
        return self.model_copy(update={"requests": rest})

    def request_called(self, request: RequestId) -> Request | None:
        for known in self.requests:
            if known.request == request:
                return known
        return None


NOTHING = Memory()


class Shown(NamedTuple):
    """What a member key says of PostgreSQL."""

    state: str
    role: str
    timeline: Timeline | None


def shown_in(document: JsonText) -> Shown | None:
    """None: the document is none of ours."""
    content = _object(document)
    state, role = content.get("state"), content.get("role")
    if not isinstance(state, str) or not isinstance(role, str):
        return None
    timeline = content.get("timeline")
    return Shown(state, role, timeline if isinstance(timeline, int) else None)


def changed_options(
    before: JsonText | None, after: JsonText | None
) -> tuple[str, ...] | None:
    """Names at the top of two documents whose values differ; None: there is no other
    document."""
    if after is None:
        return None
    old, new = _object(before), _object(after)
    names = sorted(old.keys() | new.keys())
    return tuple(name for name in names if old.get(name) != new.get(name))


def is_paused(config: JsonText | None) -> bool:
    return _object(config).get("pause") is True


def unreceived(change: Change, promotion: Promotion) -> Bytes | None:
    """WAL that the former leader had published beyond the promotion's begin."""
    if not change.position:
        return None
    return max(0, change.position - promotion.lsn)


def _object(document: JsonText | None) -> dict[str, object]:
    if document is None:
        return {}
    try:
        content = json.loads(document)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _text(revision: Revision | None) -> str:
    return "" if revision is None else str(revision)


def _position(view: ClusterView) -> LSN:
    leader, status = view.leader_member, view.status
    return max(
        leader.position if leader is not None else 0,
        status.optime if status is not None else 0,
    )
