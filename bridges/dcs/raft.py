"""The embedded Raft as a store: the daemons keep the keys among themselves.

No server is needed; the members (or two members and a voting process without
PostgreSQL) must be three.  There are no sessions: a member key has its own ttl.  The
leader key says which run of which daemon wrote it, so that what is carried out late
cannot take it from another.
"""

import secrets
import threading
from collections.abc import Callable

from regnal.bridges.contract import Clock
from regnal.bridges.dcs import keys
from regnal.bridges.dcs.contract import (
    FailoverDraft,
    KeyAnswer,
    LeaseAnswer,
    Store,
    StoreUnavailable,
    SyncDraft,
)
from regnal.bridges.dcs.keys import Place, StoredKey
from regnal.bridges.dcs.raft_map import Change, Condition
from regnal.bridges.dcs.raft_node import RaftNode, Reply
from regnal.bridges.dcs.raft_settings import raft_settings
from regnal.bridges.dcs.request import StoreRequest
from regnal.messages.base import Instant, JsonText, MemberName, Seconds
from regnal.messages.cluster import (
    ClusterView,
    FailsafeMember,
    HistoryLine,
    LeaderStatus,
    Revision,
)

CONTACT_GRACE: Seconds = 2.0
"""Without a Raft leader for no longer than this is an election and no outage."""

CTL = "ctl"
"""Owner of what an observer writes; no member lives by it."""


def open_store(request: StoreRequest) -> Store:
    settings = raft_settings(request.options, observer=request.member is None)
    node = RaftNode(settings, request.clock)
    return RaftStore(node, request.place, request.member, request.clock)


class RaftStore:
    has_sessions = False

    def __init__(
        self,
        node: RaftNode,
        place: Place,
        member: MemberName | None,
        clock: Clock,
    ) -> None:
        """`member`: in whose name we write; None: an observer (ctl)."""
        self._place = place
        self._owner = member or CTL
        self._runs = [self._new_run()]
        """The last is the one of now."""

        self._clock = clock
        self._changed = threading.Condition()
        self._changes = 0
        self._closed = False
        self._node = node
        self._node.call_on_change(self._note_change)

    def connect(self, deadline: Instant) -> None:
        self._transact([], [], deadline)

    def read(self, deadline: Instant, consistent: bool = False) -> ClusterView:
        # An empty transaction: when it was applied here, everything before it was.
        self._transact([], [], deadline)
        return self._view()

    def watch(self, report: Callable[[ClusterView], None]) -> None:
        self._node.start()
        seen = -1
        in_contact_at = self._clock()
        while not self._closed:
            changes = self._wait_for_change(seen)
            if self._node.in_contact:
                in_contact_at = self._clock()
                if changes != seen:
                    seen = changes
                    report(self._view())
            elif self._clock() > in_contact_at + CONTACT_GRACE:
                raise StoreUnavailable("raft: no majority with a leader is in contact")

    def touch_member(
        self, member: MemberName, document: JsonText, ttl: Seconds, deadline: Instant
    ) -> KeyAnswer:
        return self._put(keys.member_path(member), document, deadline, ttl=ttl)

    def acquire_leader(
        self, member: MemberName, ttl: Seconds, deadline: Instant
    ) -> LeaseAnswer:
        return self._lease("value_or_absent", member, ttl, deadline)

    def renew_leader(
        self, member: MemberName, ttl: Seconds, deadline: Instant
    ) -> LeaseAnswer:
        return self._lease("value", member, ttl, deadline)

    def release_leader(
        self, member: MemberName, status: LeaderStatus | None, deadline: Instant
    ) -> None:
        changes: list[Change] = [("delete", self._place.path(keys.LEADER))]
        if status is not None:
            changes.insert(0, self._set(keys.STATUS, keys.status_document(status)))
        self._let_go(member, changes, deadline)

    def hand_over_leader(
        self,
        member: MemberName,
        to: MemberName,
        status: LeaderStatus,
        ttl: Seconds,
        deadline: Instant,
    ) -> LeaseAnswer:
        leader = self._place.path(keys.LEADER)
        changes = [
            self._set(keys.STATUS, keys.status_document(status)),
            self._set_leader(to, ttl),
        ]
        reply = self._let_go(member, changes, deadline)
        entry = reply.facts[leader]
        # Refused, yet as we wanted it: an earlier attempt of ours was made.
        ours = entry is not None and entry[0] == to and entry[2] in self._runs
        return LeaseAnswer(reply.held or ours, entry and entry[0], reply.asked_at)

    def withdraw_hand_over(
        self, member: MemberName, to: MemberName, deadline: Instant
    ) -> LeaseAnswer:
        leader = self._place.path(keys.LEADER)
        reply = self._if_ours(to, [("delete", leader)], deadline)
        entry = reply.facts[leader]
        if not reply.held and entry is None and not reply.is_first:
            raise StoreUnavailable("raft: the leader key is gone, perhaps through us")
        return LeaseAnswer(reply.held, entry and entry[0], reply.asked_at)

    def take_initialize(self, value: str, deadline: Instant) -> KeyAnswer:
        path = self._place.path(keys.INITIALIZE)
        change = self._set(keys.INITIALIZE, value)
        reply = self._transact([(path, "absent", None)], [change], deadline)
        entry = reply.facts[path]
        if entry is None or entry[0] != value:
            return KeyAnswer(False, entry and entry[1])
        # The owner tells our own earlier attempt from somebody else's bootstrap.
        is_ours = reply.held or entry[2] == self._owner
        return KeyAnswer(is_ours or value != "", entry[1])

    def confirm_initialize(self, value: str, deadline: Instant) -> KeyAnswer:
        return self._put(
            keys.INITIALIZE, value, deadline, condition=("value_or_absent", "")
        )

    def cancel_initialize(self, deadline: Instant) -> KeyAnswer:
        return self._delete(keys.INITIALIZE, ("value", ""), deadline)

    def write_config(
        self, document: JsonText, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer:
        condition = (
            ("absent", None) if if_revision == "absent" else _unchanged(if_revision)
        )
        return self._put(keys.CONFIG, document, deadline, condition=condition)

    def write_failover(
        self, draft: FailoverDraft, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer:
        return self._put(
            keys.FAILOVER,
            keys.failover_document(draft),
            deadline,
            condition=_unchanged(if_revision),
        )

    def write_sync(
        self, draft: SyncDraft, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer:
        condition = _unchanged(if_revision) or ("absent", None)
        document = keys.sync_document(draft)
        return self._put(keys.SYNC, document, deadline, condition=condition)

    def delete_sync(self, if_revision: Revision | None, deadline: Instant) -> KeyAnswer:
        return self._delete(keys.SYNC, _unchanged(if_revision), deadline)

    def write_history(
        self, lines: tuple[HistoryLine, ...], deadline: Instant
    ) -> KeyAnswer:
        return self._put(keys.HISTORY, keys.history_document(lines), deadline)

    def write_status(
        self, status: LeaderStatus, position_too: bool, deadline: Instant
    ) -> KeyAnswer:
        if position_too:
            self._put(keys.OLD_POSITION, str(status.optime), deadline)
        return self._put(keys.STATUS, keys.status_document(status), deadline)

    def write_failsafe(
        self, members: tuple[FailsafeMember, ...], deadline: Instant
    ) -> KeyAnswer:
        return self._put(keys.FAILSAFE, keys.failsafe_document(members), deadline)

    def delete_cluster(self, deadline: Instant) -> None:
        self._transact([], [("delete_below", self._place.prefix)], deadline)

    def close(self) -> None:
        self._closed = True
        self._node.close()
        self._note_change()

    def _transact(
        self, conditions: list[Condition], changes: list[Change], deadline: Instant
    ) -> Reply:
        self._node.start()
        return self._node.transact(conditions, changes, deadline)

    def _lease(
        self, test: str, member: MemberName, ttl: Seconds, deadline: Instant
    ) -> LeaseAnswer:
        leader = self._place.path(keys.LEADER)
        change = self._set_leader(member, ttl)
        reply = self._transact([(leader, test, member)], [change], deadline)
        entry = reply.facts[leader]
        return LeaseAnswer(reply.held, entry and entry[0], reply.asked_at)

    def _let_go(
        self, member: MemberName, changes: list[Change], deadline: Instant
    ) -> Reply:
        """Only as long as it is this run that has the leader key.  Who does not know what
        became of it goes on as another, since it may yet be carried out."""
        try:
            return self._if_ours(member, changes, deadline)
        except StoreUnavailable:
            self._runs.append(self._new_run())
            raise

    def _if_ours(
        self, value: MemberName, changes: list[Change], deadline: Instant
    ) -> Reply:
        """If the leader key has this value from us."""
        leader = self._place.path(keys.LEADER)

        def attempt(run: str) -> Reply:
            conditions = [(leader, "value", value), (leader, "owner", run)]
            return self._transact(conditions, changes, deadline)

        reply = attempt(self._runs[-1])
        entry = reply.facts[leader]
        if reply.held or entry is None or entry[0] != value:
            return reply
        # From before we did not know what had become of it, and nothing came of that.
        return attempt(entry[2]) if entry[2] in self._runs[:-1] else reply

    def _put(
        self,
        key: str,
        value: str,
        deadline: Instant,
        *,
        ttl: Seconds | None = None,
        condition: tuple[str, str | Revision | None] | None = None,
    ) -> KeyAnswer:
        path = self._place.path(key)
        conditions = [] if condition is None else [(path, *condition)]
        reply = self._transact(conditions, [self._set(key, value, ttl)], deadline)
        entry = reply.facts[path]
        if entry is None or entry[0] != value:
            return KeyAnswer(False, entry and entry[1])
        return KeyAnswer(True, entry[1])

    def _delete(
        self,
        key: str,
        condition: tuple[str, str | Revision | None] | None,
        deadline: Instant,
    ) -> KeyAnswer:
        path = self._place.path(key)
        conditions = [] if condition is None else [(path, *condition)]
        reply = self._transact(conditions, [("delete", path)], deadline)
        return KeyAnswer(reply.facts[path] is None)

    def _set(self, key: str, value: str, ttl: Seconds | None = None) -> Change:
        return ("set", self._place.path(key), value, ttl, self._owner)

    def _set_leader(self, member: MemberName, ttl: Seconds) -> Change:
        return ("set", self._place.path(keys.LEADER), member, ttl, self._runs[-1])

    def _new_run(self) -> str:
        return f"{self._owner}/{secrets.token_hex(4)}"

    def _view(self) -> ClusterView:
        prefix = self._place.prefix
        return keys.cluster_view(
            {
                path[len(prefix) :]: StoredKey(entry.value, entry.index, entry.owner)
                for path, entry in self._node.map.entries.items()
                if path.startswith(prefix)
            }
        )

    def _note_change(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _wait_for_change(self, seen: int) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, CONTACT_GRACE / 4)
            return self._changes


def _unchanged(revision: Revision | None) -> tuple[str, Revision] | None:
    return None if revision is None else ("index", revision)
