"""A store that keeps the keys of its clusters in memory, with the contract of all stores."""

import threading
from collections.abc import Callable, Mapping

from regnal.bridges.dcs import keys
from regnal.bridges.dcs.contract import (
    FailoverDraft,
    KeyAnswer,
    LeaseAnswer,
    StoreUnavailable,
)
from regnal.messages.base import Instant, JsonText, MemberName, Seconds
from regnal.messages.cluster import ClusterView, Revision


class MemoryStore:
    """One cluster; `put` and `delete` are for the test, the rest is the contract."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._revision = 0
        self._keys: dict[str, keys.StoredKey] = {}
        self.broken: StoreUnavailable | None = None
        self.leader_broken: StoreUnavailable | None = None
        """Raised only when the leader key is asked for."""

        self.meanwhile: Callable[[], None] | None = None
        """What somebody else does after the next read."""

        self.reads = 0
        for key, value in values.items():
            self.put(key, value)

    def put(self, key: str, value: str) -> None:
        with self._lock:
            self._revision += 1
            self._keys[key] = keys.StoredKey(value, self._revision)

    def delete(self, prefix: str) -> None:
        with self._lock:
            for key in [one for one in self._keys if one.startswith(prefix)]:
                del self._keys[key]

    def value(self, key: str) -> str | None:
        with self._lock:
            found = self._keys.get(key)
            return found.value if found else None

    def read(self, deadline: Instant, consistent: bool = False) -> ClusterView:
        assert consistent, "ctl reads what the majority confirms"
        self._answer()
        self.reads += 1
        with self._lock:
            view = keys.cluster_view(dict(self._keys))
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return view

    def write_config(
        self, document: JsonText, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer:
        return self._write(keys.CONFIG, document, if_revision)

    def write_failover(
        self, draft: FailoverDraft, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer:
        return self._write(keys.FAILOVER, keys.failover_document(draft), if_revision)

    def take_initialize(self, value: str, deadline: Instant) -> KeyAnswer:
        return self._create(keys.INITIALIZE, value)

    def touch_member(
        self, member: MemberName, document: JsonText, ttl: Seconds, deadline: Instant
    ) -> KeyAnswer:
        return self._write(keys.member_path(member), document, None)

    def acquire_leader(
        self, member: MemberName, ttl: Seconds, deadline: Instant
    ) -> LeaseAnswer:
        if self.leader_broken is not None:
            raise self.leader_broken
        self._create(keys.LEADER, member)
        holder = self.value(keys.LEADER)
        return LeaseAnswer(holder == member, holder, 0.0)

    def delete_cluster(self, deadline: Instant) -> None:
        self._answer()
        self.delete("")

    def _create(self, key: str, value: str) -> KeyAnswer:
        self._answer()
        if self.value(key) is not None:
            return KeyAnswer(False)
        self.put(key, value)
        return KeyAnswer(True)

    def _write(self, key: str, value: str, if_revision: Revision | None) -> KeyAnswer:
        self._answer()
        with self._lock:
            found = self._keys.get(key)
            if if_revision is not None and (
                found is None or found.revision != if_revision
            ):
                return KeyAnswer(False)
            self._revision += 1
            self._keys[key] = keys.StoredKey(value, self._revision)
            return KeyAnswer(True, self._revision)

    def _answer(self) -> None:
        if self.broken is not None:
            raise self.broken
