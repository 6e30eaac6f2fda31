"""The clients of a simulated cluster: they write all the time, and remember what was
acknowledged, and when nothing was.

They sit on every host, so that a primary that is cut off has its own: what it acknowledged
counts.  Outages are those that clients outside see, whom the network may cut off, too.
"""

from collections.abc import Callable
from dataclasses import dataclass

from regnal.messages.base import Instant, MemberName, Seconds
from regnal.replay.simulation.postgres import SimulatedPostgres

PATIENCE: Seconds = 5.0
"""How long a client waits for the synchronous standbys."""

A_GAP: Seconds = 1.0
"""Writes that stop for longer count as an outage."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row that was written and is not acknowledged yet."""

    row: int
    member: MemberName
    pid: int
    """Of the postmaster: with it the session is gone."""

    since: Instant


class Clients:
    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.gaps: list[tuple[Instant, Seconds]] = []
        """When clients outside could write again, and how long they could not."""

        self.last: Instant = 0.0
        """When a client outside had a row acknowledged last; 0: none had."""

        self._row = 0
        self._waiting: list[Waiting] = []

    def write(self, server: SimulatedPostgres, now: Instant) -> None:
        """One row more, to a primary."""
        self._row += 1
        server.append(self._row)
        self._waiting.append(Waiting(self._row, server.member, server.pid, now))

    def settle(
        self,
        servers: dict[MemberName, SimulatedPostgres],
        now: Instant,
        is_reached: Callable[[MemberName], bool],
    ) -> None:
        """Acknowledge the rows that are safe, as the primary judges it now.

        `is_reached`: whether clients outside reach this member.
        """
        still: list[Waiting] = []
        for waiting in self._waiting:
            server = servers[waiting.member]
            if server.pid != waiting.pid or not server.takes_writes:
                continue  # the session is gone: nobody knows
            if now > waiting.since + PATIENCE:
                continue
            if _is_safe(waiting.row, server, servers):
                self.acknowledged.append(waiting.row)
                if is_reached(waiting.member):
                    self._go_on(now)
            else:
                still.append(waiting)
        self._waiting = still

    def silence(self, now: Instant) -> Seconds:
        """For how long nobody outside could write; 0 before the first row."""
        return now - self.last if self.last else 0.0

    def _go_on(self, now: Instant) -> None:
        gap = self.silence(now)
        if gap > A_GAP:
            self.gaps.append((now, gap))
        self.last = now


def _is_safe(
    row: int, server: SimulatedPostgres, servers: dict[MemberName, SimulatedPostgres]
) -> bool:
    """Whether as many synchronous standbys have it as must."""
    if not server.synchronous_standby_names:
        return True
    wanted = server.standby_names
    if not wanted.count:
        return True
    attached = [
        peer
        for name, peer in sorted(servers.items())
        if peer.streaming
        and peer.upstream == server.member
        and (wanted.everybody or name.lower() in wanted.names)
    ]
    if not wanted.by_quorum:
        attached = attached[: wanted.count]
    return sum(row in peer.own_rows for peer in attached) >= wanted.count
