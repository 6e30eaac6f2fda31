"""What befalls the cluster: each kind of fault, how it is made, and how long it lasts.

Read FAULTS.  `expected` are the causes that `explain` may name for it, so that a wrong
diagnosis shows as well; how the fault ends is the same for all (`Arena.let_go_on`).
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg2

from regnal.demo.cluster import Member, processes_of
from tests.faults.disks import OwnDisks
from tests.faults.lab import Lab, let_all_go_on, wait_a_little
from tests.servers.members import postmaster_pid

MEGABYTES_OF_WAL = (
    "SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000)) "
    "FROM generate_series(1, 20)"
)


@dataclass
class Arena:
    """The cluster of a run, and what chance decides."""

    lab: Lab
    disks: OwnDisks
    chance: random.Random

    @property
    def members(self) -> tuple[Member, ...]:
        return self.lab.stage.members

    def leader(self) -> Member:
        return self.lab.stage.leader()

    def replicas(self) -> list[Member]:
        """In random order."""
        replicas = self.lab.stage.replicas()
        self.chance.shuffle(replicas)
        return replicas

    def synchronous_standby(self) -> Member | None:
        names = {
            str(one.get("name"))
            for one in self.lab.cluster.get(self.leader(), "cluster").get("members", ())
            if one.get("role") == "sync_standby"
        }
        return next((one for one in self.members if one.name in names), None)

    def switch_over(self) -> None:
        """Ask for a switchover, and do not wait for it: the fault comes meanwhile."""
        leader, candidate = self.leader(), self.replicas()[0]
        standby = self.synchronous_standby() or candidate
        words = ("--leader", leader.name, "--candidate", standby.name, "--force")
        threading.Thread(
            target=self.lab.cluster.ctl, args=("switchover", *words), daemon=True
        ).start()

    def let_go_on(self) -> None:
        """The end of every fault: all that can run runs again."""
        with contextlib.suppress(OSError):
            self.disks.let_go_on()
        let_all_go_on(self.lab)
        for member in self.members:
            if not self.lab.cluster.is_running(member):
                self.lab.cluster.forget(member)
                self.lab.cluster.start(member)


@dataclass(frozen=True)
class Fault:
    name: str
    begin: Callable[[Arena], None]
    seconds: float
    """How long it lasts."""

    expected: frozenset[str]
    """What `explain` may call the cause of the outage; empty: there need be none."""

    needs_slow_dcs: bool = False


def kill_postmaster(arena: Arena) -> None:
    os.kill(postmaster_pid(arena.leader()), signal.SIGKILL)


def kill_daemon(arena: Arena) -> None:
    arena.lab.cluster.kill_daemon(arena.leader())


def freeze_daemon(arena: Arena) -> None:
    arena.lab.cluster.signal_daemon(arena.leader(), signal.SIGSTOP)


def kill_host(arena: Arena) -> None:
    arena.lab.lose_host(arena.leader())


def stop_host(arena: Arena) -> None:
    """As a hypervisor does it: nothing runs, and nobody is told."""
    for pid in processes_of(arena.leader()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)


def part_leader(arena: Arena) -> None:
    """From everybody, clients included."""
    arena.lab.hosts[arena.leader().name].unplug()


def cut_from_dcs(arena: Arena) -> None:
    arena.lab.cut_from_dcs(arena.leader())


def cut_from_members(arena: Arena) -> None:
    arena.lab.cut_from_members(arena.leader())


def cut_from_all_but_clients(arena: Arena) -> None:
    """The peer's two primaries: clients still reach the former one."""
    leader = arena.leader()
    arena.lab.cut_from_dcs(leader)
    arena.lab.cut_from_members(leader)


def lose_what_leader_says(arena: Arena) -> None:
    """It hears the DCS and the members, and they do not hear it."""
    leader = arena.leader()
    host = arena.lab.hosts[leader.name]
    host.lose(*arena.lab.dcs_hosts, *arena.lab.others(leader))


def lose_what_leader_hears(arena: Arena) -> None:
    leader = arena.leader()
    host = arena.lab.hosts[leader.name]
    for other in (*arena.lab.dcs_hosts, *arena.lab.others(leader)):
        other.lose(host)


def lose_replies_of_dcs(arena: Arena) -> None:
    """Requests arrive, and their answers do not: each may have been carried out."""
    host = arena.lab.hosts[arena.leader().name]
    for other in arena.lab.dcs_hosts:
        other.lose(host)


def part_replica(arena: Arena) -> None:
    arena.lab.hosts[arena.replicas()[0].name].unplug()


def part_synchronous_standby(arena: Arena) -> None:
    standby = arena.synchronous_standby() or arena.replicas()[0]
    arena.lab.hosts[standby.name].unplug()


def kill_synchronous_standby(arena: Arena) -> None:
    """Its PostgreSQL; the daemon starts it again."""
    standby = arena.synchronous_standby() or arena.replicas()[0]
    os.kill(postmaster_pid(standby), signal.SIGKILL)


def part_leader_after_standby(arena: Arena) -> None:
    """Just when the synchronous standby has changed, the leader is parted from all."""
    leader = arena.leader()
    part_synchronous_standby(arena)
    before = arena.synchronous_standby()
    end = time.monotonic() + 15
    while arena.synchronous_standby() in (None, before) and time.monotonic() < end:
        wait_a_little(0.1)
    arena.lab.network.heal()
    arena.lab.hosts[leader.name].unplug()


def kill_replica_then_leader(arena: Arena) -> None:
    leader, replica = arena.leader(), arena.replicas()[0]
    arena.lab.lose_host(replica)
    wait_a_little(arena.chance.uniform(0.5, 6))
    arena.lab.lose_host(leader)


def freeze_replica(arena: Arena) -> None:
    for pid in processes_of(arena.replicas()[0]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)


def stop_dcs(count: int) -> Callable[[Arena], None]:
    def stop(arena: Arena) -> None:
        assert arena.lab.etcd is not None
        arena.lab.etcd.signal(signal.SIGSTOP, count)

    return stop


def kill_dcs(count: int) -> Callable[[Arena], None]:
    def kill(arena: Arena) -> None:
        assert arena.lab.etcd is not None
        arena.lab.etcd.kill(count)

    return kill


def slow_dcs(arena: Arena) -> None:
    assert arena.lab.etcd is not None
    arena.lab.etcd.delay(0.9)


def jump_clock(arena: Arena) -> None:
    """Of the leader, an hour forward or back."""
    seconds = arena.chance.choice((3600, -3600))
    arena.lab.clocks[arena.leader().name].write_text(str(seconds))


def jump_all_clocks(arena: Arena) -> None:
    for clock in arena.lab.clocks.values():
        clock.write_text(str(arena.chance.choice((-900, -5, 5, 900))))


def freeze_disk(arena: Arena) -> None:
    arena.disks.freeze(arena.leader())


def fill_disk(arena: Arena) -> None:
    """And use up the files of WAL that are there for use again."""
    leader = arena.leader()
    arena.disks.fill(leader)
    with contextlib.suppress(psycopg2.Error):
        for _ in range(20):
            arena.lab.stage.sql(leader, MEGABYTES_OF_WAL)


def switch_over(arena: Arena) -> None:
    arena.switch_over()


def switch_over_and(harm: Callable[[Arena], None]) -> Callable[[Arena], None]:
    """The fault comes at some moment of the switchover."""

    def both(arena: Arena) -> None:
        arena.switch_over()
        wait_a_little(arena.chance.uniform(0.3, 1.6))
        harm(arena)

    return both


def freeze_any_daemon(arena: Arena) -> None:
    member = arena.chance.choice(arena.members)
    arena.lab.cluster.signal_daemon(member, signal.SIGSTOP)


def kill_any_host(arena: Arena) -> None:
    arena.lab.lose_host(arena.chance.choice(arena.members))


LOST = frozenset({"host_lost"})
CUT = frozenset({"leader_cut_off_from_dcs"})
SWITCHED = frozenset({"switchover"})
ANYTHING = frozenset[str]()

FAULTS: tuple[Fault, ...] = (
    Fault("postmaster killed", kill_postmaster, 5, frozenset({"postgres_killed"})),
    Fault("daemon killed", kill_daemon, 28, frozenset({"daemon_killed"})),
    Fault("daemon frozen", freeze_daemon, 30, frozenset({"daemon_frozen"})),
    Fault("host killed", kill_host, 28, LOST),
    Fault("host stopped", stop_host, 30, LOST | {"daemon_frozen"}),
    Fault("leader parted from all", part_leader, 28, CUT),
    Fault("leader cut from DCS", cut_from_dcs, 28, CUT),
    Fault("leader cut from members", cut_from_members, 25, ANYTHING),
    Fault("leader reached by clients only", cut_from_all_but_clients, 28, CUT),
    Fault("what leader says is lost", lose_what_leader_says, 28, CUT),
    Fault("what leader hears is lost", lose_what_leader_hears, 28, CUT),
    Fault("replies of DCS are lost", lose_replies_of_dcs, 28, CUT),
    Fault("replica parted from all", part_replica, 20, ANYTHING),
    Fault("sync standby parted", part_synchronous_standby, 20, ANYTHING),
    Fault("sync standby's postgres killed", kill_synchronous_standby, 8, ANYTHING),
    Fault("sync changed, leader parted", part_leader_after_standby, 28, CUT),
    Fault(
        "replica, then leader killed",
        kill_replica_then_leader,
        28,
        LOST | {"no_eligible_candidate"},
    ),
    Fault("replica frozen", freeze_replica, 20, ANYTHING),
    Fault("one DCS node stopped", stop_dcs(1), 12, ANYTHING),
    Fault("two DCS nodes stopped 7 s", stop_dcs(2), 7, ANYTHING),
    Fault("two DCS nodes stopped", stop_dcs(2), 25, frozenset({"dcs_down"})),
    Fault("one DCS node killed", kill_dcs(1), 12, ANYTHING),
    Fault("two DCS nodes killed", kill_dcs(2), 20, frozenset({"dcs_down"})),
    Fault("DCS slowed by 0.9 s", slow_dcs, 25, ANYTHING, needs_slow_dcs=True),
    Fault("leader's clock jumps", jump_clock, 12, ANYTHING),
    Fault("all clocks jump", jump_all_clocks, 12, ANYTHING),
    Fault("disk stuck", freeze_disk, 30, ANYTHING),
    Fault("disk full", fill_disk, 25, frozenset({"disk_full"})),
    Fault("switchover", switch_over, 8, SWITCHED),
    Fault(
        "switchover, daemon frozen", switch_over_and(freeze_any_daemon), 28, ANYTHING
    ),
    Fault("switchover, host killed", switch_over_and(kill_any_host), 28, ANYTHING),
    Fault("switchover, DCS stopped", switch_over_and(stop_dcs(2)), 12, ANYTHING),
    Fault("switchover, clients only", switch_over_and(cut_from_dcs), 28, ANYTHING),
)


def by_name(name: str) -> Fault:
    """Raises KeyError."""
    return {fault.name: fault for fault in FAULTS}[name]
