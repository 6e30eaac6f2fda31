"""Single keys and small transactions in etcd, each one request."""

from collections.abc import Sequence
from typing import NamedTuple

from regnal.bridges.contract import Clock
from regnal.bridges.dcs.contract import KeyAnswer
from regnal.bridges.dcs.etcd3_cache import WatchCache
from regnal.bridges.dcs.etcd3_client import Etcd3Client, Reply
from regnal.bridges.dcs.etcd3_protocol import (
    Json,
    KeyValue,
    if_revision,
    key_values,
    key_values_of_transaction,
    op_delete,
    op_put,
    op_range,
    range_below,
    range_of,
    transaction,
)
from regnal.messages.base import Instant
from regnal.messages.cluster import Revision


class Outcome(NamedTuple):
    """What became of a transaction about one key."""

    is_made: bool
    found: KeyValue | None
    """The key, where the transaction read it; None: there is none."""

    reply: Reply


class Etcd3Keys:
    """Raises what `Etcd3Client.call` does; the cache hears what the watch owes it."""

    def __init__(self, client: Etcd3Client, cache: WatchCache, clock: Clock) -> None:
        self._client = client
        self._cache = cache
        self._clock = clock

    def read_below(self, prefix: str, deadline: Instant) -> tuple[KeyValue, ...]:
        # The gateway's reads are linearizable unless one asks for less.
        reply = self._client.call("/kv/range", range_below(prefix), deadline)
        found = key_values(reply.body)
        self._cache.compare(found, reply.header.revision, self._clock())
        return found

    def delete_below(self, prefix: str, deadline: Instant) -> None:
        self._client.call("/kv/deleterange", range_below(prefix), deadline)

    def read(self, path: str, deadline: Instant) -> tuple[KeyValue | None, Reply]:
        reply = self._client.call("/kv/range", range_of(path), deadline)
        return next(iter(key_values(reply.body)), None), reply

    def transact(
        self, compare: Sequence[Json], success: Sequence[Json], path: str, at: Instant
    ) -> Outcome:
        """`success` if all comparisons hold, else read `path`; `at` is the deadline."""
        request = transaction(compare, success, [op_range(path)])
        reply = self._client.call("/kv/txn", request, at)
        is_made = reply.body.get("succeeded") is True
        found = next(iter(key_values_of_transaction(reply.body)), None)
        if not is_made and found is not None:
            # Refused because what we knew was old: the watch owes us this change.
            self._expect(found.mod_revision)
        elif is_made and any("request_range" not in each for each in success):
            self._expect(reply.header.revision)
        return Outcome(is_made, found, reply)

    def put_if(
        self, compare: Sequence[Json], path: str, value: str, deadline: Instant
    ) -> KeyAnswer:
        """Written too if the key has that value already: it may have been us."""
        outcome = self.transact(compare, [op_put(path, value)], path, deadline)
        if outcome.is_made:
            return KeyAnswer(True, outcome.reply.header.revision)
        found = outcome.found
        is_wanted = found is not None and found.value == value
        return KeyAnswer(is_wanted, found and found.mod_revision)

    def put_all(self, changes: Sequence[Json], deadline: Instant) -> KeyAnswer:
        reply = self._client.call("/kv/txn", transaction([], changes), deadline)
        self._expect(reply.header.revision)
        return KeyAnswer(True, reply.header.revision)

    def delete_if(
        self, compare: Sequence[Json], path: str, deadline: Instant
    ) -> KeyAnswer:
        outcome = self.transact(compare, [op_delete(path)], path, deadline)
        return KeyAnswer(outcome.is_made or outcome.found is None)

    def _expect(self, revision: int) -> None:
        self._cache.expect(revision, self._clock())


def unchanged(path: str, revision: Revision | None) -> list[Json]:
    """None: whatever is there.  A revision of another store never compares equal."""
    if revision is None:
        return []
    number = int(revision) if str(revision).isdecimal() else -1
    return [if_revision(path, number)]
