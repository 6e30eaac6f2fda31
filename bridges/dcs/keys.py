"""Where the keys of a cluster are, and what their values mean.

Pure translation between a store's texts and the values of
`regnal.messages.cluster`; layout and shapes are in docs/contracts.md 2.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from regnal.bridges.dcs.contract import FailoverDraft, SyncDraft
from regnal.bridges.dcs.json_values import (
    clean,
    compact,
    number_of,
    parse,
    parse_object,
    text_of,
)
from regnal.bridges.dcs.member_values import member_view
from regnal.messages.base import JsonText, MemberName
from regnal.messages.cluster import (
    ClusterView,
    FailoverRequest,
    FailsafeMember,
    HistoryLine,
    LeaderStatus,
    LeaderView,
    MemberView,
    Revision,
    SlotPosition,
    SyncState,
)

INITIALIZE = "initialize"
CONFIG = "config"
LEADER = "leader"
FAILOVER = "failover"
SYNC = "sync"
HISTORY = "history"
STATUS = "status"
OLD_POSITION = "optime/leader"
FAILSAFE = "failsafe"
MEMBERS = "members/"

OLD_REQUEST = re.compile(r'([^\s:{}\[\]"]*):([^\s:{}\[\]"]*)')
"""`failover` before it was JSON: `leader:member`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store keeps the keys of one cluster."""

    namespace: str
    scope: str
    group: int | None = None
    """Of a Citus cluster."""

    @property
    def prefix(self) -> str:
        """`/service/demo/`, with no slash doubled."""
        group = "" if self.group is None else str(self.group)
        parts = f"{self.namespace}/{self.scope}/{group}".split("/")
        return "/" + "".join(f"{part}/" for part in parts if part)

    def path(self, key: str) -> str:
        return self.prefix + key


class StoredKey(NamedTuple):
    """A key as a store shows it."""

    value: str
    revision: Revision
    session: str | None = None


Keys = Mapping[str, StoredKey]
"""By path below the prefix, such as `members/n1`."""


def cluster_view(keys: Keys) -> ClusterView:
    config = keys.get(CONFIG)
    initialize = keys.get(INITIALIZE)
    leader = keys.get(LEADER)
    return ClusterView(
        initialize=initialize and initialize.value,
        leader=leader
        and LeaderView(
            name=leader.value, revision=leader.revision, session=leader.session
        ),
        members=_members(keys),
        config=config and config.value,
        config_revision=config and config.revision,
        failover=_failover(keys.get(FAILOVER)),
        sync=_sync(keys.get(SYNC)),
        history=_history(keys.get(HISTORY)),
        status=_status(keys),
        failsafe=_failsafe(keys.get(FAILSAFE)),
    )


def decode(raw: bytes) -> str:
    """The text of a value, whatever the bytes are."""
    return clean(raw.decode("utf-8", "replace"))


def member_path(member: MemberName) -> str:
    return MEMBERS + member


def failover_document(draft: FailoverDraft) -> JsonText:
    fields = {
        "leader": draft.leader,
        "member": draft.candidate,
        "scheduled_at": draft.scheduled_at,
    }
    return compact({name: value for name, value in fields.items() if value})


def sync_document(draft: SyncDraft) -> JsonText:
    return compact(
        {
            "leader": draft.leader,
            "quorum": draft.quorum if draft.leader else None,
            "sync_standby": ",".join(sorted(draft.standbys)) or None,
        }
    )


def history_document(lines: tuple[HistoryLine, ...]) -> JsonText:
    return compact([_history_entry(line) for line in lines])


def status_document(status: LeaderStatus) -> JsonText:
    fields: dict[str, Any] = {"optime": status.optime}
    if status.slots:
        fields["slots"] = {slot.name: slot.lsn for slot in status.slots}
    if status.retain_slots:
        fields["retain_slots"] = list(status.retain_slots)
    return compact(fields)


def failsafe_document(members: tuple[FailsafeMember, ...]) -> JsonText:
    return compact({member.name: member.api_url for member in members})


def _members(keys: Keys) -> tuple[MemberView, ...]:
    names = sorted(key for key in keys if key.startswith(MEMBERS) and key != MEMBERS)
    return tuple(member_view(key[len(MEMBERS) :], keys[key].value) for key in names)


def _failover(key: StoredKey | None) -> FailoverRequest | None:
    if key is None:
        return None
    data = parse_object(key.value)
    old = OLD_REQUEST.fullmatch(key.value.strip())
    if old is not None:
        data = {"leader": old.group(1), "member": old.group(2)}
    leader = text_of(data.get("leader")) or None
    candidate = text_of(data.get("member")) or None
    scheduled_at = text_of(data.get("scheduled_at")) or None
    if leader is None and candidate is None:
        return None
    if scheduled_at is None and data.get("scheduled_at"):
        # A time that is no text must not turn into "at once".
        return None
    return FailoverRequest(
        leader=leader,
        candidate=candidate,
        scheduled_at=scheduled_at,
        revision=key.revision,
    )


def _sync(key: StoredKey | None) -> SyncState | None:
    if key is None:
        return None
    data = parse_object(key.value)
    leader = text_of(data.get("leader")) or None
    names = (text_of(data.get("sync_standby")) or "").split(",")
    return SyncState(
        leader=leader,
        standbys=tuple(name.strip() for name in names if name.strip()),
        quorum=(number_of(data.get("quorum")) or 0) if leader else 0,
        revision=key.revision,
    )


def _history(key: StoredKey | None) -> tuple[HistoryLine, ...] | None:
    if key is None:
        return None
    entries = parse(key.value)
    if not isinstance(entries, list):
        return ()
    lines = (_history_line(entry) for entry in entries)
    return tuple(line for line in lines if line is not None)


def _history_line(entry: Any) -> HistoryLine | None:
    """`[timeline, lsn, reason, at, leader]`; the last two came later."""
    if not isinstance(entry, list) or len(entry) < 3:
        return None
    timeline, lsn = number_of(entry[0]), number_of(entry[1])
    if timeline is None or lsn is None:
        return None
    return HistoryLine(
        timeline=timeline,
        lsn=lsn,
        reason=text_of(entry[2]) or "",
        at=text_of(entry[3]) if len(entry) > 3 else None,
        leader=text_of(entry[4]) if len(entry) > 4 else None,
    )


def _history_entry(line: HistoryLine) -> list[Any]:
    entry = [line.timeline, line.lsn, line.reason, line.at, line.leader]
    while entry[-1] is None:
        entry.pop()
    return entry


def _status(keys: Keys) -> LeaderStatus | None:
    key = keys.get(STATUS) or keys.get(OLD_POSITION)
    if key is None:
        return None
    value = parse(key.value)
    if not isinstance(value, dict):
        return LeaderStatus(optime=number_of(value) or 0)
    slots = value.get("slots")
    retained = value.get("retain_slots")
    return LeaderStatus(
        optime=number_of(value.get("optime")) or 0,
        slots=_slots(slots) if isinstance(slots, dict) else (),
        retain_slots=tuple(clean(name) for name in retained if isinstance(name, str))
        if isinstance(retained, list)
        else (),
    )


def _slots(slots: dict[str, Any]) -> tuple[SlotPosition, ...]:
    positions = ((clean(name), number_of(lsn)) for name, lsn in slots.items())
    return tuple(
        SlotPosition(name=name, lsn=lsn) for name, lsn in positions if lsn is not None
    )


def _failsafe(key: StoredKey | None) -> tuple[FailsafeMember, ...] | None:
    if key is None:
        return None
    return tuple(
        FailsafeMember(name=clean(name), api_url=clean(url))
        for name, url in parse_object(key.value).items()
        if isinstance(url, str)
    )
