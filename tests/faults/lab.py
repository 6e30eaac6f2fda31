"""The laboratory: three members on hosts of their own, with three etcd or with Raft.

What befalls them is made here as it would be outside: power is cut with the network,
links lose packets without a word, disks are small, memory is short.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from regnal.demo.binaries import postgres_directory, unprivileged_user
from regnal.demo.cluster import (
    Amend,
    Cluster,
    Document,
    Host,
    Member,
    Plan,
    as_it_is,
    processes_of,
)
from regnal.demo.writer import Writer
from regnal.journal.places import segments
from regnal.replay.explaining.explain import Investigation
from regnal.replay.explaining.story import Story
from tests.faults.network import Network, NetworkHost
from tests.servers.etcd import BINARY as ETCD
from tests.servers.members import EmbeddedRaft, Stage

TTL, LOOP_WAIT, RETRY_TIMEOUT = 20, 2, 5
KEEP = "REGNAL_KEEP_LABS"
"""Set this variable to keep logs and journals, to see why a test failed."""

CLIENT_PORT, PEER_PORT = 2379, 2380
BEHIND_PROXY = 12379
"""Where etcd listens if a proxy that can delay stands in front of it."""

FAULTS = Path(__file__).parent
READY_WITHIN = 30.0


class EtcdOnHosts:
    """Three etcd servers, each on a host of its own."""

    def __init__(
        self, folder: Path, network: Network, *, may_be_slow: bool = False
    ) -> None:
        self.hosts = [network.add(f"etcd{number}") for number in range(1, 4)]
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._proxies: list[subprocess.Popen[bytes]] = []
        self._may_be_slow = may_be_slow
        self._delay = folder / "etcd.delay"

    @property
    def urls(self) -> list[str]:
        return [f"{host.address}:{CLIENT_PORT}" for host in self.hosts]

    def start(self) -> None:
        for host in self.hosts:
            self._start(host)
            if self._may_be_slow:
                self._start_proxy(host)

    def _start(self, host: NetworkHost) -> None:
        peers = ",".join(
            f"{host.name}=http://{host.address}:{PEER_PORT}" for host in self.hosts
        )
        port = BEHIND_PROXY if self._may_be_slow else CLIENT_PORT
        with (self._folder / f"{host.name}.log").open("ab") as log:
            self._processes[host.name] = subprocess.Popen(
                [
                    *host.enter(),
                    str(ETCD),
                    f"--name={host.name}",
                    f"--data-dir={self._folder / host.name}",
                    f"--listen-client-urls=http://{host.address}:{port}",
                    f"--advertise-client-urls=http://{host.address}:{CLIENT_PORT}",
                    f"--listen-peer-urls=http://{host.address}:{PEER_PORT}",
                    f"--initial-advertise-peer-urls=http://{host.address}:{PEER_PORT}",
                    f"--initial-cluster={peers}",
                    "--initial-cluster-state=new",
                    "--unsafe-no-fsync",
                    "--log-level=warn",
                    "--heartbeat-interval=100",
                    "--election-timeout=1000",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _start_proxy(self, host: NetworkHost) -> None:
        program = [sys.executable, "-I", str(FAULTS / "delaying_proxy.py")]
        ports = [str(CLIENT_PORT), str(BEHIND_PROXY)]
        with (self._folder / f"{host.name}.proxy.log").open("ab") as log:
            self._proxies.append(
                subprocess.Popen(
                    [*host.enter(), *program, host.address, *ports, str(self._delay)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def signal(self, number: signal.Signals, count: int | None = None) -> None:
        """To the first `count` servers; None: to all."""
        for host in self.hosts[:count]:
            self._processes[host.name].send_signal(number)

    def kill(self, count: int) -> None:
        """SIGKILL to the first `count` servers."""
        for host in self.hosts[:count]:
            self._processes[host.name].kill()
            self._processes[host.name].wait()

    def delay(self, seconds: float) -> None:
        """Hold back all that clients ask and hear; needs `may_be_slow`."""
        assert self._may_be_slow
        self._delay.write_text(str(seconds))

    def let_go_on(self) -> None:
        """Every server runs, and at once."""
        self._delay.unlink(missing_ok=True)
        for host in self.hosts:
            if self._processes[host.name].poll() is not None:
                self._start(host)
        self.signal(signal.SIGCONT)

    def delete_leader_key(self, scope: str) -> None:
        """As a person with etcdctl would."""
        self.ctl("del", f"/service/{scope}/leader")

    def ctl(self, *words: str) -> str:
        done = subprocess.run(
            [
                *self.hosts[0].enter(),
                shutil.which("etcdctl") or str(Path(str(ETCD)).with_name("etcdctl")),
                f"--endpoints={','.join(self.urls)}",
                *words,
            ],
            env={**os.environ, "ETCDCTL_API": "3"},
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout

    def stop(self) -> None:
        for process in (*self._proxies, *self._processes.values()):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


@dataclass
class Lab:
    """The cluster, its network, and what can be done to it."""

    stage: Stage
    network: Network
    hosts: dict[str, NetworkHost]
    etcd: EtcdOnHosts | None
    directory: Path
    clocks: dict[str, Path] = field(default_factory=dict)
    """By member: the file that says by how many seconds its clock is wrong."""

    noted: dict[str, str] = field(default_factory=dict)

    @property
    def cluster(self) -> Cluster:
        return self.stage.cluster

    @property
    def dcs_hosts(self) -> list[NetworkHost]:
        return self.etcd.hosts if self.etcd is not None else []

    def others(self, member: Member) -> list[NetworkHost]:
        return [host for name, host in self.hosts.items() if name != member.name]

    def cut_from_dcs(self, member: Member) -> None:
        self.network.cut(self.hosts[member.name], *self.dcs_hosts)

    def cut_from_members(self, member: Member) -> None:
        self.network.cut(self.hosts[member.name], *self.others(member))

    def lose_host(self, member: Member) -> None:
        """Its power fails: nobody is told, and nothing of it runs on."""
        self.hosts[member.name].unplug()
        self.cluster.kill(member)

    def return_host(self, member: Member) -> None:
        self.network.heal()
        self.cluster.start(member)

    def explained(self, kind: str | None = None) -> Story:
        """The latest incident (of this kind), explained from all members' journals."""
        investigation = self.investigation()
        if kind is None:
            return investigation.story(investigation.find("latest"))
        found = [one for one in investigation.incidents if one.kind == kind]
        assert found, [(one.kind, one.name) for one in investigation.incidents]
        return investigation.story(found[-1])

    def investigation(self, *without: Member) -> Investigation:
        names = {member.name for member in without}
        journals = {
            member.name: member.journal
            for member in self.stage.members
            if member.name not in names and member.journal.exists()
        }
        return Investigation({n: d for n, d in journals.items() if segments(d)})

    def heal(self) -> None:
        """Let everything work again, and wait until it does."""
        let_all_go_on(self)
        for member in self.stage.members:
            if not self.cluster.is_running(member):
                self.cluster.kill(member)
                self.cluster.start(member)
        self.stage.wait_until_complete()


@contextlib.contextmanager
def laboratory(
    store: Literal["etcd3", "raft"] = "etcd3",
    amend: Amend = as_it_is,
    *,
    synchronous: bool = False,
    prepare: Callable[[Member], None] = lambda member: None,
    may_be_slow: bool = False,
) -> Iterator[Lab]:
    """A cluster that has just been bootstrapped; all that was made is gone with the block.

    `may_be_slow`: etcd's answers can be delayed.
    """
    directory = Path(tempfile.mkdtemp(prefix="regnal-lab-", dir="/tmp"))
    directory.chmod(0o755)
    user = unprivileged_user()
    with contextlib.ExitStack() as endings:
        if KEEP not in os.environ:
            endings.callback(shutil.rmtree, directory, ignore_errors=True)
        network = endings.enter_context(Network())
        hosts = {name: network.add(name) for name in ("pg1", "pg2", "pg3")}
        etcd = None
        if store == "etcd3":
            etcd = EtcdOnHosts(directory, network, may_be_slow=may_be_slow)
            etcd.start()
            endings.callback(etcd.stop)

        clocks = {name: directory / f"{name}.clock" for name in hosts}

        def amend_all(member: Member, document: Document) -> None:
            if etcd is not None:
                del document["raft"]
                document["etcd3"] = {"hosts": etcd.urls}
            amend(member, document)

        cluster = Cluster(
            Plan(
                directory=directory,
                programs=postgres_directory(),
                user=user,
                synchronous=synchronous,
                ttl=TTL,
                loop_wait=LOOP_WAIT,
                retry_timeout=RETRY_TIMEOUT,
                hosts=tuple(
                    _with_clock(host.host(user), clocks[name])
                    for name, host in hosts.items()
                ),
                clients=(network.subnet,),
            ),
            amend=amend_all,
        )
        stage = Stage(cluster, EmbeddedRaft(), Writer(cluster.connection_string()))
        lab = Lab(stage, network, hosts, etcd, directory, clocks)
        endings.callback(cluster.stop)
        endings.callback(let_all_go_on, lab)
        for member in cluster.members:
            prepare(member)
            user.own(member.directory)
        for member in cluster.members:
            cluster.start(member)
        stage.wait("two streaming standbys", cluster.is_complete)
        stage.writer.start()
        endings.callback(stage.writer.stop)
        stage.wait_for_commits()
        yield lab


def _with_clock(host: Host, clock: Path) -> Host:
    """Its daemon's wall clock is wrong by what the file says."""
    settings = (f"PYTHONPATH={FAULTS / 'clock'}", f"REGNAL_TEST_CLOCK={clock}")
    return Host(host.address, (*host.enter, "env", *settings))


def let_all_go_on(lab: Lab) -> None:
    lab.network.heal()
    for clock in lab.clocks.values():
        clock.unlink(missing_ok=True)
    if lab.etcd is not None:
        lab.etcd.let_go_on()
    for member in lab.stage.members:
        for pid in processes_of(member):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def wait_a_little(seconds: float) -> None:
    """Let something last so long; not a wait for something."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
