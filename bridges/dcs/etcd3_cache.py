"""The keys of the cluster as the watch tells them, and how far they can be trusted."""

import threading
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from regnal.bridges.dcs.etcd3_protocol import KeyValue
from regnal.bridges.dcs.keys import StoredKey
from regnal.messages.base import Instant, Seconds

LATE: Seconds = 1.0
"""A watch that has not told a change so long after it is known is not alive."""


class WatchEvent(NamedTuple):
    key: KeyValue
    is_deletion: bool


class WatchCache:
    """Fed by one watch, read by everybody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: Mapping[str, StoredKey] = MappingProxyType({})
        self._revision = 0
        self._is_alive = False
        self._expected = 0
        self._expected_since: Instant = 0.0

    @property
    def revision(self) -> int:
        """All changes up to here are known."""
        return self._revision

    @property
    def is_alive(self) -> bool:
        """Whether a watch feeds it."""
        return self._is_alive

    @property
    def keys(self) -> Mapping[str, StoredKey]:
        """By whole path; never changed in place."""
        return self._keys

    def load(self, found: Iterable[KeyValue], revision: int) -> None:
        """Everything was read anew; the watch goes on from there."""
        with self._lock:
            self._keys = stored(found)
            self._revision = revision
            self._is_alive = True

    def apply(self, events: Iterable[WatchEvent], revision: int) -> None:
        """`revision`: of the store when it sent them."""
        with self._lock:
            keys = dict(self._keys)
            for event in events:
                if event.is_deletion:
                    keys.pop(event.key.path, None)
                else:
                    keys[event.key.path] = event.key.stored()
            self._keys = MappingProxyType(keys)
            self._revision = max(self._revision, revision)

    def lose(self) -> None:
        """The watch ended: what is here may be stale from now on."""
        with self._lock:
            self._is_alive = False

    def compare(self, found: Iterable[KeyValue], revision: int, now: Instant) -> None:
        """Hold what was read beside what the watch told.

        Alike: the cache is good up to `revision`.  Else the watch must tell the
        difference soon (`is_late`).
        """
        keys = stored(found)
        with self._lock:
            if keys == self._keys:
                self._revision = max(self._revision, revision)
        self.expect(revision, now)

    def expect(self, revision: int, now: Instant) -> None:
        """Our prefix has changed at `revision`, or by then: the watch must tell."""
        with self._lock:
            if self._revision < revision and self._expected <= self._revision:
                self._expected = revision
                self._expected_since = now

    def is_late(self, now: Instant) -> bool:
        with self._lock:
            waits = self._is_alive and self._revision < self._expected
            return waits and now > self._expected_since + LATE


def stored(found: Iterable[KeyValue]) -> Mapping[str, StoredKey]:
    return MappingProxyType({each.path: each.stored() for each in found})
