"""The session: one lease of etcd, to which our leader and member keys are bound.

It is prolonged only when a command asks for it, never by itself: a daemon whose
election is stuck must lose its lease.
"""

import math
import threading
from typing import NamedTuple

from regnal.bridges.contract import Clock
from regnal.bridges.dcs.etcd3_client import Etcd3Client
from regnal.bridges.dcs.etcd3_protocol import natural
from regnal.bridges.dcs.etcd3_server import LeaseGone
from regnal.messages.base import Instant, Seconds

FRESH: Seconds = 1.0
"""A prolongation that was asked for so recently serves another command of the same
heartbeat too: the leader renews the lock and touches the member key in one go."""

FRESH_PART = 0.1
"""Of the ttl, that may be lost so at most."""


REMEMBERED = 4
"""Leases: another ttl, or one that was lost, needs a new one."""


class Held(NamedTuple):
    """A lease that was alive when etcd was asked."""

    lease: int
    ttl: Seconds
    asked_at: Instant
    """It lives until `asked_at + ttl` at least."""

    revision: int
    """Of the store when it answered."""


class Session:
    """Safe from any thread; no thread waits for the request of another."""

    def __init__(self, client: Etcd3Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Held | None = None
        self._granted: tuple[int, ...] = ()
        """The last leases that were granted to this process."""

    @property
    def lease(self) -> int | None:
        """None: none was granted yet, or it is lost."""
        held = self._held
        return held and held.lease

    def was_granted(self, lease: int) -> bool:
        """Whether it is ours, or was before another ttl was asked for."""
        return lease in self._granted

    def keep(self, ttl: Seconds, deadline: Instant, fresh: Seconds = FRESH) -> Held:
        """Prolong the lease, or get one if there is none of that ttl.

        Nothing is asked if it was prolonged less than `fresh` ago.  Raises
        StoreUnavailable.
        """
        held = self._held
        if held is not None and held.ttl == ttl:
            if self._clock() < held.asked_at + min(fresh, ttl * FRESH_PART):
                return held
            try:
                return self._note(self._prolong(held, deadline))
            except LeaseGone:
                self.forget(held.lease)
        return self._note(self._grant(ttl, deadline))

    def forget(self, lease: int) -> None:
        """etcd says that the lease is gone."""
        with self._lock:
            if self._held is not None and self._held.lease == lease:
                self._held = None

    def _prolong(self, held: Held, deadline: Instant) -> Held:
        request = {"ID": str(held.lease)}
        reply = self._client.call("/lease/keepalive", request, deadline)
        result = reply.body.get("result")
        # The ttl that is left; a lease that is gone has none.
        if not isinstance(result, dict) or not natural(result.get("TTL")):
            raise LeaseGone(f"lease {held.lease:x}")
        return Held(held.lease, held.ttl, reply.asked_at, reply.header.revision)

    def _grant(self, ttl: Seconds, deadline: Instant) -> Held:
        # Whole seconds, never fewer than we count on.
        request = {"TTL": str(math.ceil(ttl)), "ID": "0"}
        reply = self._client.call("/lease/grant", request, deadline)
        lease = natural(reply.body.get("ID"))
        return Held(lease, ttl, reply.asked_at, reply.header.revision)

    def _note(self, held: Held) -> Held:
        """Of two leases granted to two threads at a time, the first one is ours."""
        with self._lock:
            if held.lease not in self._granted:
                self._granted = (*self._granted, held.lease)[-REMEMBERED:]
            ours = self._held
            if ours is not None and ours.ttl == held.ttl and ours.lease != held.lease:
                return ours
            if (
                ours is None
                or ours.lease != held.lease
                or ours.asked_at < held.asked_at
            ):
                self._held = held
            return self._held or held
