"""A real cluster for scenarios: members with PostgreSQL on a store of each kind.

`Stage` is what a scenario plays on: the cluster of the demonstration, a client that
writes all the time, the store with its switch, and questions to single servers.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil
import psycopg2

from regnal.demo.binaries import postgres_directory, unprivileged_user
from regnal.demo.cluster import (
    Amend,
    Cluster,
    Document,
    Member,
    Plan,
    as_it_is,
    processes_of,
)
from regnal.demo.writer import Writer
from regnal.journal.chain_check import Damage
from regnal.journal.reader import Record, scan
from tests.servers.etcd import EtcdCluster

TTL = 20
"""Seconds; the smallest that is allowed."""

LOOP_WAIT = 3
RETRY_TIMEOUT = 5

PATIENCE = 90.0
"""Seconds that anything may take on a busy machine; no measure of the product."""


class StoreSwitch(Protocol):
    """The store of a cluster, which a scenario takes away and gives back."""

    def amend(self, member: Member, document: Document) -> None:
        """Put the store's section into the member's configuration."""
        ...

    def stop(self, stage: "Stage") -> None:
        """From now on nobody gets an answer; nothing is closed."""
        ...

    def go_on(self, stage: "Stage") -> None: ...


class EmbeddedRaft:
    """The members are the store: without its partners the leader has none."""

    def __init__(self) -> None:
        self._stopped: list[Member] = []

    def amend(self, member: Member, document: Document) -> None:
        """The demonstration's configuration has it."""

    def stop(self, stage: "Stage") -> None:
        self._stopped = stage.replicas()
        for member in self._stopped:
            stage.cluster.signal_daemon(member, signal.SIGSTOP)

    def go_on(self, stage: "Stage") -> None:
        for member in self._stopped:
            stage.cluster.signal_daemon(member, signal.SIGCONT)
        self._stopped = []


class ThreeEtcd:
    def __init__(self, etcd: EtcdCluster) -> None:
        self._etcd = etcd

    def amend(self, member: Member, document: Document) -> None:
        del document["raft"]
        document["etcd3"] = {"hosts": self._etcd.hosts}

    def stop(self, stage: "Stage") -> None:
        for server in self._etcd.servers:
            server.pause()

    def go_on(self, stage: "Stage") -> None:
        for server in self._etcd.servers:
            server.resume()


@dataclass
class Stage:
    cluster: Cluster
    store: StoreSwitch
    writer: Writer
    outages: dict[str, float] = field(default_factory=dict)
    """Longest time without an acknowledged commit, by what caused it."""

    is_evidence: bool = False
    """Something failed: logs and journals stay when the cluster has ended."""

    @property
    def members(self) -> tuple[Member, ...]:
        return self.cluster.members

    def leader(self) -> Member:
        """The primary; waits for one."""
        self.wait("a primary", lambda: self.cluster.leader() is not None)
        leader = self.cluster.leader()
        return leader if leader is not None else self.leader()

    def replicas(self) -> list[Member]:
        leader = self.leader()
        return [member for member in self.members if member is not leader]

    def wait(
        self, what: str, is_so: Callable[[], bool], seconds: float = PATIENCE
    ) -> None:
        self.cluster.wait(what, seconds, is_so)

    def wait_until_complete(self) -> None:
        """A primary, everybody else streams from it, and the client writes."""
        self.wait("a complete cluster", self.cluster.is_complete)
        self.wait_for_commits()

    def wait_for_commits(self, count: int = 20) -> None:
        since = time.monotonic()
        self.wait("commits", lambda: self.writer.commits_since(since) >= count)

    def wait_for_another_leader(self, former: Member) -> Member:
        self.wait(
            "another primary", lambda: self.cluster.leader() not in (None, former)
        )
        return self.leader()

    def note_outage(self, what: str, since: float) -> float:
        outage = self.writer.longest_outage(since).seconds
        self.outages[what] = outage
        return outage

    def ctl(self, *arguments: str) -> str:
        """Run regnalctl, which must succeed; what it prints."""
        done = self.cluster.ctl(*arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def sql(self, member: Member, statement: str) -> list[tuple[Any, ...]]:
        """Ask this server, whatever its role.  Raises psycopg2.Error."""
        connection = psycopg2.connect(self.cluster.connection_string_to(member))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def accepts_writes(self, member: Member) -> bool:
        try:
            return not self.sql(member, "SELECT pg_is_in_recovery()")[0][0]
        except psycopg2.Error:
            return False

    def heal(self) -> None:
        """Whatever the scenario before left behind: let all run, and wait."""
        self.let_everything_go_on()
        for member in self.members:
            if not self.cluster.is_running(member):
                self.cluster.kill(member)
                self.cluster.start(member)
        self.wait_until_complete()

    def let_everything_go_on(self) -> None:
        self.store.go_on(self)
        for member in self.members:
            for pid in processes_of(member):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def timeline(self, member: Member) -> int:
        timeline: int = self.cluster.get(member, "patroni")["timeline"]
        return timeline

    def pends(self, member: Member) -> bool:
        """Whether it waits for a restart."""
        return bool(self.cluster.get(member, "patroni").get("pending_restart"))

    def dynamic(self) -> dict[str, Any]:
        return self.cluster.get(self.leader(), "config")


def postmaster_pid(member: Member) -> int:
    """Of the postmaster that runs, or ran last; 0: none ever did."""
    try:
        return int((member.data / "postmaster.pid").read_text().split("\n")[0])
    except (OSError, ValueError):
        return 0


def backends(member: Member, title: str) -> list[psutil.Process]:
    """PostgreSQL's children whose title has this word, such as `walsender`."""
    children = psutil.Process(postmaster_pid(member)).children()
    return [child for child in children if title in " ".join(child.cmdline())]


def records(member: Member) -> Iterator[Record]:
    """The member's journal."""
    for item in scan(member.journal):
        assert not isinstance(item, Damage), item
        yield item


def heard(member: Member, kind: str, after: int = 0) -> list[dict[str, Any]]:
    """The messages of this kind in the journal, those after the record's number."""
    return [
        record.fields
        for record in records(member)
        if record.kind == "message"
        and record.n > after
        and record.fields["type"] == kind
    ]


def last_record(member: Member) -> int:
    return max((record.n for record in records(member)), default=0)


@contextlib.contextmanager
def stage(
    store: StoreSwitch,
    amend: Amend = as_it_is,
    *,
    synchronous: bool = False,
) -> Iterator[Stage]:
    """A cluster of three that has just been bootstrapped, with a client that writes.

    All that was started is ended with the block, and removed but for evidence.
    """
    directory = Path(tempfile.mkdtemp(prefix="regnal-scenario-", dir="/tmp"))
    directory.chmod(0o755)

    def amend_all(member: Member, document: Document) -> None:
        store.amend(member, document)
        amend(member, document)

    cluster = Cluster(
        Plan(
            directory=directory,
            programs=postgres_directory(),
            user=unprivileged_user(),
            synchronous=synchronous,
            ttl=TTL,
            loop_wait=LOOP_WAIT,
            retry_timeout=RETRY_TIMEOUT,
        ),
        amend=amend_all,
    )
    playing = Stage(cluster, store, Writer(cluster.connection_string()))
    with contextlib.ExitStack() as endings:
        endings.callback(_remove, playing, directory)
        endings.callback(cluster.stop)
        endings.callback(playing.let_everything_go_on)
        for member in cluster.members:
            cluster.start(member)
        playing.wait("two streaming standbys", cluster.is_complete)
        playing.writer.start()
        endings.callback(playing.writer.stop)
        yield playing


def _remove(playing: Stage, directory: Path) -> None:
    if not playing.is_evidence:
        shutil.rmtree(directory, ignore_errors=True)
