"""The simulated world: members, a store, PostgreSQL servers, clients, faults.

    world = World(("a", "b", "c"), DECIDERS, seed=7, schedule=faults)
    world.start()
    world.begin_traffic()
    world.run(seconds=60)

The same members, deciders, settings, seed and schedule give the same run, to the bit.
After every event the safety laws are checked (docs/architecture.md 5); a law that does
not hold raises `laws.LawBroken`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from regnal.actors.step import Decider
from regnal.messages.base import LSN, Instant, MemberName, Message, Seconds
from regnal.messages.cluster import FailoverRequest, SyncState
from regnal.messages.daemon import (
    DaemonStarted,
    ExitDaemon,
    ShutdownCompleted,
    ShutdownRequested,
)
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import (
    ActivateWatchdog,
    ArmGuard,
    CheckWatchdog,
    DisarmGuard,
    GuardArmed,
    GuardFenced,
    WatchdogFailed,
)
from regnal.messages.host import DiskRoom, KernelAccount, StallNoticed
from regnal.messages.postgres import (
    PostgresObserved,
    PostgresStatus,
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
from regnal.replay.simulation import laws
from regnal.replay.simulation.clients import Clients
from regnal.replay.simulation.faults import Schedule
from regnal.replay.simulation.host import Host
from regnal.replay.simulation.member import Daemon, SimulatedMember
from regnal.replay.simulation.network import OUTSIDE, STORE, Network
from regnal.replay.simulation.operator import SimulatedOperator
from regnal.replay.simulation.postgres import SimulatedPostgres
from regnal.replay.simulation.prober import SimulatedProber
from regnal.replay.simulation.recording import VERSIONS, Recorder
from regnal.replay.simulation.replication import Replication
from regnal.replay.simulation.scheduler import Scheduler
from regnal.replay.simulation.store import SimulatedStore
from regnal.replay.simulation.store_bridge import SimulatedStoreBridge
from regnal.replay.simulation.trouble import Trouble
from regnal.replay.simulation.tuner import SimulatedTuner

REPLICATION_DELAY: Seconds = 0.02
CLIENT_PAUSE: Seconds = 0.1

BY_HAND_FOR: Seconds = 120.0
"""A person who named a member answers so long for its promotion."""


class World:
    """N members and everything around them."""

    def __init__(
        self,
        names: Sequence[MemberName],
        deciders: Sequence[Decider[Any]],
        *,
        seed: int = 0,
        schedule: Schedule = (),
        journals: Path | None = None,
        own: Mapping[MemberName, Mapping[str, Any]] | None = None,
        **settings: Any,
    ) -> None:
        """`journals`: where the members' journals are written; None: nowhere.  `own`:
        settings of single members, beside those of all."""
        self.scheduler = Scheduler(seed)
        self.network = Network(self.scheduler)
        self.store = SimulatedStore(self.scheduler)
        self.hosts = {name: Host(name, self.scheduler) for name in names}
        self.postgres = {name: SimulatedPostgres(name) for name in names}
        self.replication = Replication(
            self.postgres, self.network, self._replication_ended
        )
        self.clients = Clients()
        self.settings = settings
        self.guards: dict[MemberName, float] = {}
        """Deadline of each armed guard; it outlives the daemon."""

        self._guarded: dict[MemberName, Daemon] = {}
        """The daemons that know that their guard is armed."""

        self.founded_at: Instant = float("inf")
        """When the first lease was granted."""

        self.fenced: list[tuple[float, MemberName]] = []
        self.lease_until: dict[MemberName, Instant] = {}
        """Until when each member may at most believe that it has the lease."""

        self.lossy = 0.0
        """Share of the requests to the store that are lost, late or not answered."""

        self.clocks_differ = False
        """Whether any wall clock was ever set."""

        self.snapshots: dict[MemberName, StatusSnapshot] = {}
        """What the REST API of each member serves."""

        self.resumed_at: Instant = float("-inf")
        """When a pause ended."""

        self.last_primary: MemberName | None = None
        self._complete: dict[MemberName, tuple[int, int]] = {}
        """Of whose log, of which generation, how many acknowledged rows were found."""

        self._electors_seen: tuple[SyncState, str, int] | None = None
        self._own = own or {}
        self._settings_of: dict[MemberName, Settings] = {}
        self._named_by_hand: dict[MemberName, Instant] = {}
        self._untold_fences: dict[MemberName, GuardFenced] = {}
        self._asked: dict[str, Callable[[RequestAnswered], None]] = {}
        self._requests = 0
        self.recorders = {
            name: Recorder(journals / name, name, "demo", deciders)
            for name in (names if journals is not None else ())
            if journals is not None
        }
        self.members = {
            name: SimulatedMember(
                name,
                self.scheduler,
                deciders,
                self._perform,
                self.hosts[name],
                self._at_moment,
                self.recorders.get(name),
            )
            for name in names
        }
        self.operators: dict[MemberName, SimulatedOperator] = {}
        self.tuners: dict[MemberName, SimulatedTuner] = {}
        self.store_bridges: dict[MemberName, SimulatedStoreBridge] = {}
        self.probers: dict[MemberName, SimulatedProber] = {}
        self.trouble = Trouble(self, schedule)

    # What a test or a fault does.

    def start(self, *names: MemberName) -> None:
        """Start the daemons of these members, or of all, and their hosts if need be."""
        for name in names or tuple(self.members):
            self.hosts[name].is_up = True
            self.network.down.discard(name)
            member = self.members[name]
            recalled = member.recall()
            daemon = member.start()
            self.operators[name] = SimulatedOperator(self, member, daemon)
            self.tuners[name] = SimulatedTuner(self, member, daemon)
            bridge = SimulatedStoreBridge(self, member, daemon)
            self.store_bridges[name] = bridge
            self.probers[name] = SimulatedProber(self, member, daemon)
            member.say(daemon, "process", self._started(name))
            member.say(daemon, "incident_keeper", recalled)
            member.say(daemon, "configuration_files", self._configuration(name))
            self._tell_of_a_fence(name)
            member.say(daemon, "monitor", PostgresObserved(status=self.status_of(name)))
            bridge.start()

    def run(self, seconds: Seconds) -> None:
        """Let time pass, with clients writing and replication going on."""
        end = self.scheduler.now + seconds
        self.scheduler.run_until(end, self.check_laws)

    def begin_traffic(self) -> None:
        """Clients write and standbys stream from now on."""
        self._tick()

    def kill_host(self, name: MemberName) -> None:
        """Daemon, guard and PostgreSQL end at once, and nobody answers."""
        self.kill_daemon(name)
        self.postgres[name].crash()
        self.postgres[name].suspended = False
        self.guards.pop(name, None)
        host = self.hosts[name]
        host.is_up = host.is_suspended = False
        host.boots += 1
        self.network.down.add(name)

    def suspend_host(self, name: MemberName) -> None:
        """Nothing of it runs, not even the guard; the clock of instants goes on."""
        host = self.hosts[name]
        if host.runs:
            host.is_suspended = self.postgres[name].suspended = True
            self.network.down.add(name)
            self.members[name].freeze()

    def resume_host(self, name: MemberName) -> None:
        """The guard, whose timer is overdue, comes first."""
        host = self.hosts[name]
        if not host.is_suspended:
            return
        host.is_suspended = self.postgres[name].suspended = False
        self.network.down.discard(name)
        deadline = self.guards.get(name)
        if deadline is not None and deadline <= self.scheduler.now:
            self._fence(name, deadline)
        self.thaw(name, suspended=True)
        self.store_bridges[name].reconnect_soon()

    def freeze(self, name: MemberName) -> None:
        """SIGSTOP to the daemon."""
        self.members[name].freeze()

    def thaw(self, name: MemberName, *, suspended: bool = False) -> None:
        """SIGCONT to the daemon."""
        if self.hosts[name].is_suspended:
            return
        member = self.members[name]
        missing = member.frozen_for(self.scheduler.now)
        member.thaw()
        if member.daemon is not None and missing:
            stall = StallNoticed(
                missing=missing,
                suspended=missing if suspended else 0.0,
                wall_step=0.0,
                continued=not suspended,
                account=KernelAccount(ran=0.0, over=missing, cpus=2),
                mailboxes=(),
            )
            member.say(member.daemon, "host", stall)

    def kill_daemon(self, name: MemberName) -> None:
        self._end_daemon(name, orderly=False)

    def _end_daemon(self, name: MemberName, *, orderly: bool) -> None:
        self.members[name].kill(orderly=orderly)
        self.snapshots.pop(name, None)
        self.store.unwatch(name)

    def kill_postgres(self, name: MemberName, signal: int = 9) -> None:
        """The postmaster crashes, the daemon sees it at once; it is told the end when the
        children are gone."""
        server, host = self.postgres[name], self.hosts[name]
        if not server.running:
            return
        pid = server.pid
        server.crash()
        member = self.members[name]
        if member.daemon is None:
            return
        room = DiskRoom(path="/data", free=0, size=10**11, free_files=None)
        exited = PostmasterExited(
            pid=pid,
            exit_status=None,
            signal=signal,
            expected=False,
            control=server.control(),
            disks=(room,) if host.disk_is_full else (),
        )
        daemon = member.daemon
        if host.late_end:
            self.scheduler.after(
                host.late_end, lambda: member.say(daemon, "monitor", exited)
            )
        else:
            member.say(daemon, "monitor", exited)
        self.observe(name)
        self.operators[name].server_ended()

    def partition(self, one: str, other: str) -> None:
        """Neither hears of the other; "store" is a name, too."""
        self.network.cut.add(frozenset((one, other)))

    def lose_the_store(self) -> None:
        """Nobody reaches it."""
        for name in self.members:
            self.partition(name, STORE)

    def heal(self) -> None:
        """The network is well again."""
        self.network.heal()
        for bridge in self.store_bridges.values():
            bridge.reconnect()

    def mend(self) -> None:
        """Everything is well again, and whoever is down is started.  A paused cluster
        stays so until its person looks."""
        self.lossy = self.store.watch_lag = 0.0
        if self.store.is_down:
            self.store.come_back()
        for name, host in self.hosts.items():
            host.disk_is_full, host.disk_slowness = False, 1.0
            host.extra.clear()
            host.late_end = 0.0
            self.resume_host(name)
            self.thaw(name)
            if self.members[name].daemon is None:
                self.start(name)
        self.heal()

    def shut_down(self, name: MemberName) -> None:
        self.ask(name, ShutdownRequested(signal=15), part="process")

    def acknowledge(self, name: MemberName, *incidents: str) -> None:
        """A person acknowledges these (or all) of this member's incidents."""
        asked = AcknowledgementRequested(
            request="ack", caller=ANN, incidents=incidents or None, comment=None
        )
        self.ask(name, asked)

    def ask(self, name: MemberName, message: Message, part: str = "http") -> None:
        """Somebody asks the daemon of `name` for something, if it is there."""
        member = self.members[name]
        if member.daemon is not None:
            member.say(member.daemon, part, message)

    def next_request(self) -> str:
        """An id for a request from outside."""
        self._requests += 1
        return f"simulated-{self._requests}"

    def request_switchover(
        self, leader: MemberName | None, candidate: MemberName | None
    ) -> None:
        if leader is None and candidate is not None:
            self._named_by_hand[candidate] = self.scheduler.now
        self.store.failover = FailoverRequest(
            leader=leader,
            candidate=candidate,
            scheduled_at=None,
            revision=self.store.next_revision(),
        )
        self.store.changed()

    def configure(self, **settings: Any) -> None:
        """Change settings everywhere, as the config key would."""
        if self.is_paused and not settings.get("paused", True):
            self.resumed_at = self.scheduler.now
        self.settings.update(settings)
        self._settings_of.clear()
        for name in self.members:
            self.ask(name, self._configuration(name), part="configuration_files")

    # What is asked of the world.

    @property
    def now(self) -> Instant:
        return self.scheduler.now

    @property
    def cut(self) -> set[frozenset[str]]:
        """Pairs of members, or of a member and "store", that cannot talk."""
        return self.network.cut

    @property
    def acknowledged(self) -> list[int]:
        return self.clients.acknowledged

    @property
    def write_gaps(self) -> list[tuple[float, float]]:
        """When writes went on, and how many seconds they had not."""
        return self.clients.gaps

    @property
    def is_paused(self) -> bool:
        return bool(self.settings.get("paused"))

    @property
    def primaries(self) -> set[MemberName]:
        servers = self.postgres.items()
        return {name for name, server in servers if server.takes_writes}

    def reaches(self, one: str, other: str) -> bool:
        return self.network.connects(one, other)

    def daemon_answers(self, name: MemberName) -> bool:
        daemon = self.members[name].daemon
        return daemon is not None and not daemon.frozen

    def is_frozen(self, name: MemberName) -> bool:
        daemon = self.members[name].daemon
        return daemon is not None and daemon.frozen

    def shows_barred(self, name: MemberName) -> bool:
        snapshot = self.snapshots.get(name)
        return snapshot is not None and '"barred": true' in snapshot.document

    def rows(self, name: MemberName) -> set[int]:
        return self.postgres[name].own_rows

    def status_of(self, name: MemberName) -> PostgresStatus:
        return self.postgres[name].status(self.postgres)

    def observe(self, name: MemberName, cause: Envelope[Any] | None = None) -> None:
        """The monitor of `name` looks at PostgreSQL."""
        member = self.members[name]
        if member.daemon is not None:
            observed = PostgresObserved(status=self.status_of(name))
            member.say(member.daemon, "monitor", observed, cause)

    def settings_of(self, name: MemberName) -> Settings:
        known = self._settings_of.get(name)
        if known is None:
            values = {
                "name": name,
                "scope": "demo",
                "conn_url": f"postgres://{name}:5432/postgres",
                "api_url": f"http://{name}:8008/patroni",
                "version": "4.1.5",
                "use_pg_rewind": True,
                **self.settings,
                **self._own.get(name, {}),
            }
            known = self._settings_of[name] = Settings(**values)
        return known

    def request(
        self,
        name: MemberName,
        posted: FailsafePosted,
        answered: Callable[[RequestAnswered], None],
    ) -> None:
        """Ask the `rest` actor of `name`; it may never answer."""
        if self.members[name].daemon is not None:
            self._asked[posted.request] = answered
            self.ask(name, posted)

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

    def has_everything(self, name: MemberName) -> bool:
        """Whether it has every acknowledged row."""
        server, rows = self.postgres[name], self.clients.acknowledged
        generation, count = self._complete.get(name, (-1, 0))
        if generation != server.generation:
            count = 0
        while count < len(rows) and rows[count] in server.own_rows:
            count += 1
        self._complete[name] = server.generation, count
        return count == len(rows)

    def should_have_stepped_down(self, name: MemberName) -> bool:
        """Whether its daemon runs, is not late, believes in its lease, and has not
        told PostgreSQL to stop."""
        daemon = self.members[name].daemon
        if daemon is None or daemon.is_late(self.scheduler.now):
            return False
        election = daemon.states["election"]
        return election.has_lease and not self.operators[name].is_told_to_stop

    def check_laws(self) -> None:
        """Those that may break at any event."""
        laws.check_writers(self)
        key = self.store.sync
        if key is not None and key.leader in self.postgres:
            names = self.postgres[key.leader].synchronous_standby_names
            seen = key, names, len(self.clients.acknowledged)
            if seen != self._electors_seen:
                self._electors_seen = seen
                laws.check_electors(self)

    def check_nothing_is_lost(self, leader: MemberName) -> None:
        """Law 4: every acknowledged row is on the leader."""
        laws.check_nothing_is_lost(self, leader)

    # What PostgreSQL tells the world.

    def promoted(self, name: MemberName) -> None:
        named_at = self._named_by_hand.get(name, float("-inf"))
        by_hand = self.scheduler.now < named_at + BY_HAND_FOR
        laws.check_promotion(self, name, by_hand=by_hand)

    def starting_primary(self, name: MemberName) -> None:
        laws.check_start(self, name)

    def letting_go(self, name: MemberName) -> None:
        laws.check_letting_go(self, name)
        self.lease_until.pop(name, None)

    def granted(self, name: MemberName, until: Instant) -> None:
        self.founded_at = min(self.founded_at, self.scheduler.now)
        self.lease_until[name] = max(until, self.lease_until.get(name, until))

    def following(self, name: MemberName, upstream: MemberName) -> None:
        laws.check_former_primary(self, name, upstream)

    def removing(self, name: MemberName) -> None:
        laws.check_removal(self, name)

    def creating(self, name: MemberName) -> None:
        laws.check_creation(self, name)

    # How it goes on by itself.

    def _at_moment(self, name: MemberName, message: Message) -> None:
        self.trouble.at_moment(name, message)

    def _started(self, name: MemberName) -> DaemonStarted:
        return DaemonStarted(
            member=name,
            scope="demo",
            incarnation=self.members[name].incarnation,
            versions=VERSIONS,
            boot_id=self.hosts[name].boot_id,
            pid=1000 + self.members[name].incarnation,
        )

    def _configuration(self, name: MemberName) -> ConfigurationApplied:
        return ConfigurationApplied(
            settings=self.settings_of(name),
            document="{}",
            postgres_changed=False,
            dynamic=None,
        )

    def _perform(self, daemon: Daemon, envelope: Envelope[Any]) -> None:
        name = daemon.name
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
                self.snapshots[name] = snapshot
                return
            case ExitDaemon() | ShutdownCompleted():
                self._end_daemon(name, orderly=True)
                return
            case RequestAnswered(request=request):
                if request in self._asked:
                    self._asked.pop(request)(envelope.message)
                return
        for bridge in (self.store_bridges, self.probers, self.tuners):
            if bridge[name].perform(envelope):
                return
        self.operators[name].perform(envelope)

    def _order_guard(self, daemon: Daemon, envelope: Envelope[Any]) -> None:
        name, order = daemon.name, envelope.message
        if not isinstance(order, ArmGuard):
            self.guards.pop(name, None)
            self._guarded.pop(name, None)
            return
        if not (order.unless_armed and name in self.guards):
            deadline = order.deadline
            self.guards[name] = deadline
            self.scheduler.at(deadline, lambda: self._fence(name, deadline))
        if self._guarded.get(name) is not daemon:
            self._guarded[name] = daemon
            armed = GuardArmed(guard_pid=1)
            self.members[name].say(daemon, "guard", armed, envelope)

    def _fence(self, name: MemberName, deadline: float) -> None:
        """The guard of a host kills its primary when nobody armed it anew."""
        server = self.postgres[name]
        if self.guards.get(name) != deadline or not server.running:
            return
        if self.hosts[name].is_suspended:
            return
        laws.check_fencing(self, name)
        now = self.scheduler.now
        self.fenced.append((now, name))
        self._untold_fences[name] = GuardFenced(
            postmaster_pid=server.pid, at=now, late_by=now - deadline
        )
        self.kill_postgres(name)
        self._tell_of_a_fence(name)

    def _tell_of_a_fence(self, name: MemberName) -> None:
        member = self.members[name]
        if member.daemon is not None and name in self._untold_fences:
            member.say(member.daemon, "guard", self._untold_fences.pop(name))

    def _replication_ended(self, name: MemberName, lsn: LSN) -> None:
        self.ask(name, ReplicationEnded(received_lsn=lsn), part="monitor")
        self.observe(name)

    def _tick(self) -> None:
        """A client writes where it finds a primary, and what it wrote spreads."""
        now = self.scheduler.now
        self.scheduler.after(CLIENT_PAUSE, self._tick)
        for name, server in self.postgres.items():
            if server.takes_writes:
                self.last_primary = name
                if self.hosts[name].disk_is_full:
                    self.kill_postgres(name, signal=6)  # PANIC: no room for WAL
                else:
                    self.clients.write(server, now)
        self.scheduler.after(REPLICATION_DELAY, self._spread)

    def _spread(self) -> None:
        self.replication.stream(self.scheduler.now)
        self.clients.settle(
            self.postgres,
            self.scheduler.now,
            lambda name: self.network.connects(OUTSIDE, name),
        )


ANN = Caller(address="", username="ann", user_agent=None)
