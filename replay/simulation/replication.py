"""Streaming between simulated servers: who receives from whom, and who notices what."""

from collections.abc import Callable, Mapping

from regnal.messages.base import LSN, Instant, MemberName, Seconds
from regnal.replay.simulation.network import Network
from regnal.replay.simulation.postgres import SimulatedPostgres

RECEIVER_TIMEOUT: Seconds = 60.0
"""wal_receiver_timeout and wal_sender_timeout, as PostgreSQL comes: a peer that went
without a word is missed so late."""


class Replication:
    """Moves the log from upstreams to those who stream from them."""

    def __init__(
        self,
        servers: Mapping[MemberName, SimulatedPostgres],
        network: Network,
        ended: Callable[[MemberName, LSN], None],
    ) -> None:
        """`ended` is told whose WAL receiver lost its upstream."""
        self._servers = servers
        self._network = network
        self._ended = ended

    def stream(self, now: Instant) -> None:
        """Let everybody receive what there is."""
        for name, server in self._servers.items():
            if server.role == "standby" and server.is_open:
                self._stream(name, server, now)

    def flush(self, name: MemberName) -> None:
        """A fast shutdown: attached standbys receive everything."""
        source = self._servers[name]
        for standby in self._servers.values():
            if self._is_attached(standby, source):
                standby.stream_from(source)

    def silent_for(self, name: MemberName, now: Instant) -> Seconds | None:
        """For how long a standby that is attached has not been heard, the longest;
        None: all are heard.  A fast shutdown waits for it."""
        spans = [
            now - standby.silent_since
            for standby in self._servers.values()
            if standby.upstream == name
            and standby.streaming
            and standby.silent_since is not None
        ]
        return max(spans, default=None)

    def _is_attached(
        self, standby: SimulatedPostgres, source: SimulatedPostgres
    ) -> bool:
        return (
            standby.streaming
            and standby.is_open
            and standby.upstream == source.member
            and self._network.connects(standby.member, source.member)
        )

    def _stream(
        self, name: MemberName, server: SimulatedPostgres, now: Instant
    ) -> None:
        source = self._servers.get(server.upstream or "")
        if source is None:
            return
        if not self._network.connects(name, source.member):
            if server.streaming:
                self._miss(name, server, now)
            return
        server.silent_since = None
        if source.suspended:
            return
        was_streaming = server.streaming
        has_slot = server.slot_name is None or server.slot_name in source.slots
        server.streaming = (
            source.sends and has_slot and not server.has_diverged_from(source)
        )
        if server.streaming:
            server.stream_from(source)
        elif was_streaming:
            self._ended(name, server.lsn)

    def _miss(self, name: MemberName, server: SimulatedPostgres, now: Instant) -> None:
        if server.silent_since is None:
            server.silent_since = now
        elif now >= server.silent_since + RECEIVER_TIMEOUT:
            server.streaming, server.silent_since = False, None
            self._ended(name, server.lsn)
