"""The simulated world: members, a store, PostgreSQL servers, clients, faults.

After every event the safety laws are checked (docs/architecture.md 5); a law
that does not hold raises `LawBroken`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from regnal.actors.step import Decider
from regnal.messages.base import Command, Instant, MemberName, Seconds
from regnal.messages.cluster import FailoverRequest
from regnal.messages.daemon import ShutdownRequested
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import (
    ActivateWatchdog,
    ArmGuard,
    CheckWatchdog,
    DisarmGuard,
    GuardArmed,
    WatchdogFailed,
)
from regnal.messages.postgres import (
    PostgresObserved,
    PostmasterExited,
    ReplicationEnded,
)
from regnal.messages.requests import (
    AcknowledgementRequested,
    Caller,
    FailsafePosted,
    RequestAnswered,
)
from regnal.messages.settings import ConfigurationApplied, Settings
from regnal.messages.status import PublishStatus, StatusSnapshot
from regnal.replay.simulation.member import Daemon, SimulatedMember
from regnal.replay.simulation.operator import SimulatedOperator
from regnal.replay.simulation.postgres import SimulatedPostgres
from regnal.replay.simulation.prober import SimulatedProber
from regnal.replay.simulation.scheduler import Scheduler
from regnal.replay.simulation.store import SimulatedStore
from regnal.replay.simulation.store_bridge import SimulatedStoreBridge

REPLICATION_DELAY: Seconds = 0.02
CLIENT_PAUSE: Seconds = 0.1
RESUME_WITHIN: Seconds = 1.0
"""After a pause a primary may have no lease any more: it must see to that first."""


class LawBroken(AssertionError):
    """A safety law did not hold."""


class World:
    """N members and everything around them."""

    def __init__(
        self,
        names: Sequence[MemberName],
        deciders: Sequence[Decider[Any]],
        *,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self.scheduler = Scheduler(seed)
        self.store = SimulatedStore(self.scheduler)
        self.postgres = {name: SimulatedPostgres(name) for name in names}
        self.settings = settings
        self.cut: set[frozenset[str]] = set()
        """Pairs of members, or of a member and "store", that cannot talk."""

        self.acknowledged: list[int] = []
        self.write_gaps: list[tuple[float, float]] = []
        self.guards: dict[MemberName, float] = {}
        """Deadline of each armed guard; it outlives the daemon."""

        self._guarded: dict[MemberName, Daemon] = {}
        """The daemons that know that their guard is armed."""

        self._has_guards = False
        """Whether one was ever armed: the first primary of a cluster is one before."""

        self.fenced: list[tuple[float, MemberName]] = []
        self.lease_until: dict[MemberName, Instant] = {}
        """Until when each member may at most believe that it has the lease."""

        self.lossy = 0.0
        """Share of the requests to the store that are lost, late or not answered."""

        self.snapshots: dict[MemberName, StatusSnapshot] = {}
        """What the REST API of each member serves."""

        self._resumed_at = float("-inf")
        self._asked: dict[str, Callable[[RequestAnswered], None]] = {}
        self._last_write = 0.0
        self._row = 0
        self.members = {
            name: SimulatedMember(name, self.scheduler, deciders, self._perform)
            for name in names
        }
        self.operators: dict[MemberName, SimulatedOperator] = {}
        self.store_bridges: dict[MemberName, SimulatedStoreBridge] = {}
        self.probers: dict[MemberName, SimulatedProber] = {}

    # What a test or a fault does.

    def start(self, *names: MemberName) -> None:
        """Start the daemons of these members, or of all."""
        for name in names or tuple(self.members):
            member = self.members[name]
            recalled = member.recall()
            daemon = member.start()
            self.operators[name] = SimulatedOperator(self, member, daemon)
            bridge = SimulatedStoreBridge(self, member, daemon)
            self.store_bridges[name] = bridge
            self.probers[name] = SimulatedProber(self, member, daemon)
            member.say(daemon, "incident_keeper", recalled)
            member.say(daemon, "configuration", self._configuration(name))
            member.say(daemon, "monitor", PostgresObserved(status=self.status_of(name)))
            bridge.start()

    def run(self, seconds: Seconds) -> None:
        """Let time pass, with clients writing and replication going on."""
        end = self.scheduler.now + seconds
        self.scheduler.run_until(end, self.check_laws)

    def begin_traffic(self) -> None:
        """Clients write and standbys stream from now on."""
        self._replicate()
        self._write()

    def kill_host(self, name: MemberName) -> None:
        """Daemon and PostgreSQL end at once."""
        self.kill_daemon(name)
        self._crash(self.postgres[name])

    def kill_daemon(self, name: MemberName) -> None:
        self.members[name].kill()
        self.snapshots.pop(name, None)
        self.store.unwatch(name)

    def kill_postgres(self, name: MemberName) -> None:
        """The postmaster crashes, the daemon sees it at once."""
        server = self.postgres[name]
        pid = server.pid
        self._crash(server)
        member = self.members[name]
        if member.daemon is not None:
            exited = PostmasterExited(
                pid=pid,
                exit_status=None,
                signal=9,
                expected=False,
                control=server.control(),
            )
            member.say(member.daemon, "monitor", exited)
            self.observe(name)

    def partition(self, one: str, other: str) -> None:
        """Neither hears of the other; "store" is a name, too."""
        self.cut.add(frozenset((one, other)))

    def lose_the_store(self) -> None:
        """Nobody reaches it."""
        for name in self.members:
            self.partition(name, "store")

    def heal(self) -> None:
        self.cut.clear()
        for bridge in self.store_bridges.values():
            bridge.reconnect()

    def shut_down(self, name: MemberName) -> None:
        member = self.members[name]
        if member.daemon is not None:
            member.say(member.daemon, "process", ShutdownRequested(signal=15))

    def acknowledge(self, name: MemberName, *incidents: str) -> None:
        """A person acknowledges these (or all) of this member's incidents."""
        member = self.members[name]
        if member.daemon is not None:
            asked = AcknowledgementRequested(
                request="ack",
                caller=Caller(address="", username="ann", user_agent=None),
                incidents=incidents or None,
                comment=None,
            )
            member.say(member.daemon, "http", asked)

    def request_switchover(
        self, leader: MemberName | None, candidate: MemberName | None
    ) -> None:
        self.store.failover = FailoverRequest(
            leader=leader,
            candidate=candidate,
            scheduled_at=None,
            revision=self.store.next_revision(),
        )
        self.store.changed()

    def configure(self, **settings: Any) -> None:
        """Change settings everywhere, as the config key would."""
        if self.settings.get("paused") and not settings.get("paused", True):
            self._resumed_at = self.scheduler.now
        self.settings.update(settings)
        for name, member in self.members.items():
            if member.daemon is not None:
                member.say(member.daemon, "configuration", self._configuration(name))

    # What is asked of the world.

    @property
    def primaries(self) -> set[MemberName]:
        servers = self.postgres.items()
        return {name for name, server in servers if server.takes_writes}

    def reaches(self, one: str, other: str) -> bool:
        return frozenset((one, other)) not in self.cut

    def daemon_answers(self, name: MemberName) -> bool:
        daemon = self.members[name].daemon
        return daemon is not None and not daemon.frozen

    def shows_barred(self, name: MemberName) -> bool:
        snapshot = self.snapshots.get(name)
        return snapshot is not None and '"barred": true' in snapshot.document

    def rows(self, name: MemberName) -> set[int]:
        return self.postgres[name].own_rows

    def status_of(self, name: MemberName) -> Any:
        return self.postgres[name].status(self.postgres)

    def observe(self, name: MemberName, cause: Envelope[Any] | None = None) -> None:
        """The monitor of `name` looks at PostgreSQL."""
        member = self.members[name]
        if member.daemon is not None:
            observed = PostgresObserved(status=self.status_of(name))
            member.say(member.daemon, "monitor", observed, cause)

    def settings_of(self, name: MemberName) -> Settings:
        values = {
            "name": name,
            "scope": "demo",
            "conn_url": f"postgres://{name}:5432/postgres",
            "api_url": f"http://{name}:8008/patroni",
            "version": "4.1.5",
            "use_pg_rewind": True,
            **self.settings,
        }
        return Settings(**values)

    def request(
        self,
        name: MemberName,
        posted: FailsafePosted,
        answered: Callable[[RequestAnswered], None],
    ) -> None:
        """Ask the `rest` actor of `name`; it may never answer."""
        member = self.members[name]
        if member.daemon is not None:
            self._asked[posted.request] = answered
            member.say(member.daemon, "http", posted)

    def says_primary(self, name: MemberName) -> bool:
        """Whether `GET /primary` answers 200."""
        snapshot = self.snapshots.get(name)
        return (
            self.daemon_answers(name)
            and snapshot is not None
            and snapshot.accepts_writes
            and not snapshot.is_standby_cluster
            and self.scheduler.now < snapshot.leader_until
        )

    def check_laws(self) -> None:
        """Laws 1, 2 and 6: one member takes writes, under its own lease and with its guard
        armed, and one says so.

        A new cluster's first primary exists a moment before its lease; in pause a
        person decides.
        """
        primaries, now = self.primaries, self.scheduler.now
        if len(primaries) > 1:
            raise LawBroken(f"{now:.3f}: primaries {sorted(primaries)}")
        if not self.lease_until or self.settings.get("paused"):
            return
        if now < self._resumed_at + RESUME_WITHIN:
            return
        for name in primaries:
            if now >= self.lease_until.get(name, 0):
                raise LawBroken(f"{now:.3f}: {name} takes writes without a lease")
            guards = self._has_guards and self.settings.get("guard", True)
            if guards and name not in self.guards:
                raise LawBroken(f"{now:.3f}: {name} takes writes without a guard")
        telling = [n for n, s in self.snapshots.items() if s.accepts_writes]
        if len(telling) > 1:
            telling = [name for name in telling if self.says_primary(name)]
        if len(telling) > 1:
            raise LawBroken(f"{now:.3f}: GET /primary is 200 on {telling}")

    def check_nothing_is_lost(self, leader: MemberName) -> None:
        """Law 4: every acknowledged row is on the leader."""
        lost = set(self.acknowledged) - self.rows(leader)
        if lost:
            raise LawBroken(f"{len(lost)} acknowledged rows are not on {leader}")

    # How it goes on by itself.

    def _configuration(self, name: MemberName) -> ConfigurationApplied:
        return ConfigurationApplied(
            settings=self.settings_of(name),
            document="{}",
            postgres_changed=False,
            dynamic=None,
        )

    def _perform(self, daemon: Daemon, envelope: Envelope[Command]) -> None:
        match envelope.message:
            case ArmGuard() | DisarmGuard():
                self._order_guard(daemon, envelope)
                return
            case ActivateWatchdog(device=device) | CheckWatchdog(device=device):
                failed = WatchdogFailed(error=f"{device}: No such file or directory")
                self.members[daemon.name].say(
                    daemon, "watchdog_device", failed, envelope
                )
                return
            case PublishStatus(snapshot=snapshot):
                self.snapshots[daemon.name] = snapshot
                return
            case RequestAnswered(request=request):
                if request in self._asked:
                    self._asked.pop(request)(envelope.message)
                return
        if self.store_bridges[daemon.name].perform(envelope):
            return
        if not self.probers[daemon.name].perform(envelope):
            self.operators[daemon.name].perform(envelope)

    def _order_guard(self, daemon: Daemon, envelope: Envelope[Command]) -> None:
        name, order = daemon.name, envelope.message
        if not isinstance(order, ArmGuard):
            self.guards.pop(name, None)
            self._guarded.pop(name, None)
            return
        if not (order.unless_armed and name in self.guards):
            deadline = order.deadline
            self.guards[name] = deadline
            self._has_guards = True
            self.scheduler.at(deadline, lambda: self._fence(name, deadline))
        if self._guarded.get(name) is not daemon:
            self._guarded[name] = daemon
            armed = GuardArmed(guard_pid=1)
            self.members[name].say(daemon, "guard", armed, envelope)

    def _fence(self, name: MemberName, deadline: float) -> None:
        """The guard of a host kills its primary when nobody armed it anew."""
        if self.guards.get(name) == deadline and self.postgres[name].running:
            self.fenced.append((self.scheduler.now, name))
            self.kill_postgres(name)

    def _crash(self, server: SimulatedPostgres) -> None:
        server.clean = not server.running
        server.was_standby = server.role == "standby"
        server.running = server.starting = server.streaming = False

    def _replicate(self) -> None:
        for name, server in self.postgres.items():
            if server.running and not server.starting and server.role == "standby":
                self._stream(name, server)
        self.scheduler.after(REPLICATION_DELAY, self._replicate)

    def _stream(self, name: MemberName, server: SimulatedPostgres) -> None:
        was_streaming = server.streaming
        source = self.postgres.get(server.upstream or "")
        server.streaming = (
            source is not None
            and source.running
            and not source.starting
            and self.reaches(name, source.member)
            and not server.has_diverged_from(source)
        )
        if server.streaming and source is not None:
            server.stream_from(source)
        elif was_streaming:
            member = self.members[name]
            if member.daemon is not None:
                ended = ReplicationEnded(received_lsn=server.lsn)
                member.say(member.daemon, "monitor", ended)
                self.observe(name)

    def _write(self) -> None:
        """A client writes where it finds a primary; acknowledged rows are kept."""
        self.scheduler.after(CLIENT_PAUSE, self._write)
        for name in self.primaries:
            server = self.postgres[name]
            self._row += 1
            row = self._row
            server.append(row)
            waits = set(_names(server.synchronous_standby_names))
            self._acknowledge_when(name, row, waits, self.scheduler.now + 5)

    def _acknowledge_when(
        self, name: MemberName, row: int, waits: set[str], until: float
    ) -> None:
        """Acknowledge the row once all synchronous standbys have it."""
        server = self.postgres[name]
        if not server.takes_writes or self.scheduler.now > until:
            return
        missing = [
            w for w in waits if w not in self.postgres or row not in self.rows(w)
        ]
        if missing:
            self.scheduler.after(
                CLIENT_PAUSE if self.scheduler.now > until - 4 else REPLICATION_DELAY,
                lambda: self._acknowledge_when(name, row, waits, until),
            )
            return
        self.acknowledged.append(row)
        gap = self.scheduler.now - self._last_write
        if self._last_write and gap > 1:
            self.write_gaps.append((self.scheduler.now, gap))
        self._last_write = self.scheduler.now


def _names(value: str) -> list[str]:
    inner = value.split("(")[-1].rstrip(")")
    return [n.strip().strip('"') for n in inner.split(",") if n.strip()]
