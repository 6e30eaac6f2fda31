"""etcd, API v3, as a store: transactions, one lease, and a watch that feeds a cache.

What an idle member asks a heartbeat: the lock holder two requests (prolong the lease,
see that the key still has our name), another member one.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

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
from regnal.bridges.dcs.etcd3_cache import WatchCache
from regnal.bridges.dcs.etcd3_client import Etcd3Client
from regnal.bridges.dcs.etcd3_keys import Etcd3Keys, Outcome, unchanged
from regnal.bridges.dcs.etcd3_protocol import (
    Json,
    KeyValue,
    if_absent,
    if_lease,
    if_revision,
    if_value,
    op_delete,
    op_put,
)
from regnal.bridges.dcs.etcd3_server import LeaseGone
from regnal.bridges.dcs.etcd3_session import FRESH, Held, Session
from regnal.bridges.dcs.etcd3_watch import Etcd3Watch
from regnal.bridges.dcs.etcd_settings import EtcdSettings, etcd_settings
from regnal.bridges.dcs.keys import Place, StoredKey
from regnal.bridges.dcs.request import StoreRequest
from regnal.messages.base import Instant, JsonText, MemberName, Seconds
from regnal.messages.cluster import (
    ClusterView,
    FailsafeMember,
    HistoryLine,
    LeaderStatus,
    Revision,
)

LEASES_TRIED = 3
"""Leases in a row that are gone as soon as they were granted are etcd's trouble."""

A = TypeVar("A")


def open_store(request: StoreRequest) -> Store:
    settings = etcd_settings("etcd3", request.options)
    return Etcd3Store(settings, request.place, request.clock)


class Etcd3Store:
    has_sessions = True

    def __init__(self, settings: EtcdSettings, place: Place, clock: Clock) -> None:
        self._place = place
        self._leader = place.path(keys.LEADER)
        self._clock = clock
        self._client = Etcd3Client(settings, clock)
        self._session = Session(self._client, clock)
        self._cache = WatchCache()
        self._keys = Etcd3Keys(self._client, self._cache, clock)
        self._watch = Etcd3Watch(self._client, place.prefix, self._cache, clock)

    def connect(self, deadline: Instant) -> None:
        self._keys.read(self._leader, deadline)

    def read(self, deadline: Instant, consistent: bool = False) -> ClusterView:
        found = self._keys.read_below(self._place.prefix, deadline)
        return self._view({each.path: each.stored() for each in found})

    def watch(self, report: Callable[[ClusterView], None]) -> None:
        self._watch.run(lambda found: report(self._view(found)))

    def touch_member(
        self, member: MemberName, document: JsonText, ttl: Seconds, deadline: Instant
    ) -> KeyAnswer:
        path = self._place.path(keys.member_path(member))

        def write(held: Held) -> KeyAnswer:
            if held.revision > self._cache.revision and self._cache.is_alive:
                # Something has changed, perhaps for us: has the watch told?
                self._keys.read_below(self._place.prefix, deadline)
            known = self._cache.keys.get(path) if self._cache.is_alive else None
            if known and (known.value, known.session) == (document, f"{held.lease:x}"):
                return KeyAnswer(True, known.revision)
            return self._keys.put_all([op_put(path, document, held.lease)], deadline)

        answer = self._with_lease(ttl, deadline, write)
        self._client.refresh_topology(deadline)
        return answer

    def acquire_leader(
        self, member: MemberName, ttl: Seconds, deadline: Instant
    ) -> LeaseAnswer:
        def acquire(held: Held) -> LeaseAnswer:
            take = op_put(self._leader, member, held.lease)
            made = self._on_leader([if_absent(self._leader)], [take], deadline)
            if made.is_made:
                return LeaseAnswer(True, member, held.asked_at)
            return self._bind(made.found, member, held, deadline)

        return self._with_lease(ttl, deadline, acquire, fresh=0.0)

    def renew_leader(
        self, member: MemberName, ttl: Seconds, deadline: Instant
    ) -> LeaseAnswer:
        def renew(held: Held) -> LeaseAnswer:
            # The lease is alive; that the key still has our name is to be seen too.
            found, _ = self._keys.read(self._leader, deadline)
            return self._bind(found, member, held, deadline)

        return self._with_lease(ttl, deadline, renew)

    def release_leader(
        self, member: MemberName, status: LeaderStatus | None, deadline: Instant
    ) -> None:
        changes = [op_delete(self._leader)]
        if status is not None:
            changes.insert(0, self._op_status(status))
        self._let_go(member, changes, self._session.lease, deadline)

    def hand_over_leader(
        self,
        member: MemberName,
        to: MemberName,
        status: LeaderStatus,
        ttl: Seconds,
        deadline: Instant,
    ) -> LeaseAnswer:
        def hand_over(held: Held) -> LeaseAnswer:
            give = op_put(self._leader, to, held.lease)
            changes = [give, self._op_status(status)]
            made = self._let_go(member, changes, held.lease, deadline)
            if made.is_made or self._is_ours(made.found, to):
                # The latter: an earlier attempt of ours was made after all.
                return LeaseAnswer(True, to, made.reply.asked_at)
            return LeaseAnswer(False, made.found and made.found.value, held.asked_at)

        return self._with_lease(ttl, deadline, hand_over, fresh=0.0)

    def withdraw_hand_over(
        self, member: MemberName, to: MemberName, deadline: Instant
    ) -> LeaseAnswer:
        found, asked = self._keys.read(self._leader, deadline)
        if found is None or not self._is_ours(found, to):
            return LeaseAnswer(False, found and found.value, asked.asked_at)
        made = self._on_leader(
            [if_revision(self._leader, found.mod_revision)],
            [op_delete(self._leader)],
            deadline,
        )
        if not made.is_made and made.found is None and not made.reply.is_first:
            raise StoreUnavailable("etcd3: the leader key is gone, perhaps through us")
        holder = made.found and made.found.value
        return LeaseAnswer(made.is_made, holder, made.reply.asked_at)

    def take_initialize(self, value: str, deadline: Instant) -> KeyAnswer:
        path = self._place.path(keys.INITIALIZE)
        made = self._keys.transact(
            [if_absent(path)], [op_put(path, value)], path, deadline
        )
        if made.is_made:
            return KeyAnswer(True, made.reply.header.revision)
        found = made.found
        if found and found.value == value:
            if value:
                return KeyAnswer(True, found.mod_revision)
            if not made.reply.is_first:
                raise StoreUnavailable("etcd3: initialize was taken, perhaps by us")
        return KeyAnswer(False, found and found.mod_revision)

    def confirm_initialize(self, value: str, deadline: Instant) -> KeyAnswer:
        path = self._place.path(keys.INITIALIZE)
        answer = self._keys.put_if([if_value(path, "")], path, value, deadline)
        if not answer.written and answer.revision is None:
            return self._keys.put_if([if_absent(path)], path, value, deadline)
        return answer

    def cancel_initialize(self, deadline: Instant) -> KeyAnswer:
        path = self._place.path(keys.INITIALIZE)
        return self._keys.delete_if([if_value(path, "")], path, deadline)

    def write_config(
        self, document: JsonText, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer:
        path = self._place.path(keys.CONFIG)
        is_absent = if_revision == "absent"
        compare = [if_absent(path)] if is_absent else unchanged(path, if_revision)
        return self._keys.put_if(compare, path, document, deadline)

    def write_failover(
        self, draft: FailoverDraft, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer:
        path = self._place.path(keys.FAILOVER)
        document = keys.failover_document(draft)
        return self._keys.put_if(unchanged(path, if_revision), path, document, deadline)

    def write_sync(
        self, draft: SyncDraft, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer:
        path = self._place.path(keys.SYNC)
        compare = unchanged(path, if_revision) or [if_absent(path)]
        document = keys.sync_document(draft)
        return self._keys.put_if(compare, path, document, deadline)

    def delete_sync(self, if_revision: Revision | None, deadline: Instant) -> KeyAnswer:
        path = self._place.path(keys.SYNC)
        return self._keys.delete_if(unchanged(path, if_revision), path, deadline)

    def write_history(
        self, lines: tuple[HistoryLine, ...], deadline: Instant
    ) -> KeyAnswer:
        path = self._place.path(keys.HISTORY)
        return self._keys.put_all(
            [op_put(path, keys.history_document(lines))], deadline
        )

    def write_status(
        self, status: LeaderStatus, position_too: bool, deadline: Instant
    ) -> KeyAnswer:
        changes = [self._op_status(status)]
        if position_too:
            old = self._place.path(keys.OLD_POSITION)
            changes.append(op_put(old, str(status.optime)))
        return self._keys.put_all(changes, deadline)

    def write_failsafe(
        self, members: tuple[FailsafeMember, ...], deadline: Instant
    ) -> KeyAnswer:
        path = self._place.path(keys.FAILSAFE)
        document = keys.failsafe_document(members)
        return self._keys.put_all([op_put(path, document)], deadline)

    def delete_cluster(self, deadline: Instant) -> None:
        self._keys.delete_below(self._place.prefix, deadline)

    def close(self) -> None:
        self._watch.close()
        self._client.close()

    def _with_lease(
        self,
        ttl: Seconds,
        deadline: Instant,
        use: Callable[[Held], A],
        *,
        fresh: Seconds = FRESH,
    ) -> A:
        """`use` the lease; with another one if it turns out to be gone."""
        for _ in range(LEASES_TRIED):
            held = self._session.keep(ttl, deadline, fresh)
            try:
                return use(held)
            except LeaseGone:
                self._session.forget(held.lease)
        raise StoreUnavailable("etcd3: every lease is gone as soon as it is granted")

    def _on_leader(
        self, compare: list[Json], success: list[Json], deadline: Instant
    ) -> Outcome:
        return self._keys.transact(compare, success, self._leader, deadline)

    def _let_go(
        self,
        member: MemberName,
        changes: list[Json],
        lease: int | None,
        deadline: Instant,
    ) -> Outcome:
        """Only as long as the key is bound to this session.

        What etcd carries out late must not take the lock from us when we lead again, nor
        from a daemon that was started since: who does not know what became of it goes
        on with another lease.
        """
        compare = [if_value(self._leader, member)]
        if lease is None:
            return self._on_leader(compare, changes, deadline)
        try:
            ours = [*compare, if_lease(self._leader, lease)]
            made = self._on_leader(ours, changes, deadline)
            found = made.found
            if made.is_made or found is None or found.value != member:
                return made
            if not self._session.was_granted(found.lease):
                return made
            # After another ttl the key is bound to our former lease until a renewal.
            ours = [*compare, if_lease(self._leader, found.lease)]
            return self._on_leader(ours, changes, deadline)
        except StoreUnavailable:
            self._session.forget(lease)
            raise

    def _bind(
        self, found: KeyValue | None, member: MemberName, held: Held, deadline: Instant
    ) -> LeaseAnswer:
        """See that the key, as found, has our name, and that it is under our lease."""
        if found is None or found.value != member:
            return LeaseAnswer(False, found and found.value, held.asked_at)
        if found.lease == held.lease:
            return LeaseAnswer(True, member, held.asked_at)
        take = op_put(self._leader, member, held.lease)
        made = self._on_leader([if_value(self._leader, member)], [take], deadline)
        holder = member if made.is_made else made.found and made.found.value
        return LeaseAnswer(made.is_made, holder, held.asked_at)

    def _is_ours(self, found: KeyValue | None, name: MemberName) -> bool:
        """Whether the key has this name, and was bound by us."""
        if found is None or found.value != name:
            return False
        return self._session.was_granted(found.lease)

    def _op_status(self, status: LeaderStatus) -> Json:
        return op_put(self._place.path(keys.STATUS), keys.status_document(status))

    def _view(self, found: Mapping[str, StoredKey]) -> ClusterView:
        length = len(self._place.prefix)
        return keys.cluster_view({path[length:]: key for path, key in found.items()})
