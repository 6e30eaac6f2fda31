"""The cluster of the demonstration: configuration, daemons, killing, waiting."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import urllib3
import yaml

from regnal.demo.binaries import AS_WE_ARE, NothingToRun, User

SCOPE = "demo"
LOOPBACK = "127.0.0.1"
SUPERUSER = "postgres"
POLL = 0.05
"""Seconds between two looks at what we wait for."""

REST_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Member:
    """One member, and where it is."""

    name: str
    directory: Path
    postgres_port: int
    rest_port: int
    raft_port: int
    host: str = LOOPBACK

    @property
    def configuration(self) -> Path:
        return self.directory / "regnal.yml"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def journal(self) -> Path:
        return self.directory / "journal"

    @property
    def log(self) -> Path:
        return self.directory / "regnal.log"


@dataclass(frozen=True, slots=True)
class Host:
    """Where a member runs, if not on this host's loopback."""

    address: str
    enter: tuple[str, ...]
    """What comes before a command to have it run there."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the cluster shall be."""

    directory: Path
    programs: Path
    user: User
    synchronous: bool
    ttl: int
    loop_wait: int
    retry_timeout: int
    hosts: tuple[Host, ...] = ()
    """One for each member; none: all on the loopback."""

    clients: tuple[str, ...] = (f"{LOOPBACK}/32",)
    """Networks from which PostgreSQL lets in."""


Document = dict[str, Any]
"""The configuration of a member, as its file has it."""

Amend = Callable[[Member, Document], None]
"""Changes a member's configuration before it is written."""


def as_it_is(member: Member, document: Document) -> None:
    """Change nothing."""


class Cluster:
    """Members on this machine; everything that is started here is ended here."""

    def __init__(self, plan: Plan, count: int = 3, amend: Amend = as_it_is) -> None:
        self._plan = plan
        self._password = secrets.token_hex(8)
        ports = free_ports(3 * count)
        self.members = tuple(
            Member(
                name=f"pg{i + 1}",
                directory=plan.directory / f"pg{i + 1}",
                postgres_port=ports[3 * i],
                rest_port=ports[3 * i + 1],
                raft_port=ports[3 * i + 2],
                host=plan.hosts[i].address if plan.hosts else LOOPBACK,
            )
            for i in range(count)
        )
        self._enter = {
            member.name: host.enter
            for member, host in zip(self.members, plan.hosts, strict=False)
        }
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._http = urllib3.PoolManager(retries=False, timeout=REST_TIMEOUT)
        for member in self.members:
            member.directory.mkdir(parents=True)
            document = self._configuration(member)
            amend(member, document)
            self.configure(member, document)
        plan.user.own(plan.directory)

    def configure(self, member: Member, document: Document) -> None:
        """Write the member's configuration; its daemon reads it at its start."""
        member.configuration.write_text(yaml.safe_dump(document, sort_keys=False))

    def start(self, member: Member) -> None:
        """Start the daemon of one member."""
        # Whoever enters another host needs our rights, and gives them up there.
        enter = self._enter.get(member.name, ())
        user = self._plan.user if not enter else AS_WE_ARE
        with member.log.open("ab") as log:
            self._daemons[member.name] = subprocess.Popen(
                [
                    *enter,
                    sys.executable,
                    "-m",
                    "regnal",
                    "run",
                    str(member.configuration),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=member.directory,
                env={**os.environ, "HOME": str(member.directory)},
                user=user.uid,
                group=user.gid,
                extra_groups=None if user.uid is None else [],
                start_new_session=True,
            )

    def kill(self, member: Member) -> None:
        """SIGKILL to the daemon, to all of its PostgreSQL and to the guard, as if the
        host had lost power."""
        daemon = self._daemons.pop(member.name, None)
        for pid in processes_of(member):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if daemon is not None:
            daemon.wait()

    def kill_daemon(self, member: Member) -> None:
        """SIGKILL to the daemon alone."""
        daemon = self._daemons.pop(member.name)
        daemon.kill()
        daemon.wait()

    def stop_daemon(self, member: Member) -> int:
        """SIGTERM to the daemon, which stops its PostgreSQL; its exit status."""
        daemon = self._daemons.pop(member.name)
        daemon.terminate()
        return daemon.wait(timeout=STOP_PATIENCE)

    def forget(self, member: Member) -> None:
        """Of a daemon that has ended by itself: whatever it left behind runs on."""
        self._daemons.pop(member.name, None)

    def signal_daemon(self, member: Member, number: signal.Signals) -> None:
        self._daemons[member.name].send_signal(number)

    def is_running(self, member: Member) -> bool:
        daemon = self._daemons.get(member.name)
        return daemon is not None and daemon.poll() is None

    def stop(self) -> None:
        """End everything that we started: daemons politely, then whatever is left."""
        for daemon in self._daemons.values():
            daemon.terminate()
        for member in self.members:
            if member.name in self._daemons:
                _end(self._daemons[member.name])
        for member in self.members:
            self.kill(member)

    def daemon_pid(self, member: Member) -> int:
        return self._daemons[member.name].pid

    def daemon_pids(self) -> list[int]:
        return [daemon.pid for daemon in self._daemons.values()]

    def leader(self) -> Member | None:
        """The member whose own REST API says that it is the primary."""
        for member in self.members:
            if self.status(member, "primary") == 200:
                return member
        return None

    def is_complete(self) -> bool:
        """Whether there is a leader and everybody else streams from it."""
        leader = self.leader()
        if leader is None:
            return False
        document = self.get(leader, "cluster")
        members = document.get("members", ())
        states = sorted(str(m.get("state")) for m in members)
        if states != ["running"] + ["streaming"] * (len(self.members) - 1):
            return False
        # Without a synchronous standby nobody may take over in synchronous mode.
        has_sync = any(m.get("role") == "sync_standby" for m in members)
        return has_sync or not self._plan.synchronous

    def status(self, member: Member, path: str) -> int:
        """The status code of the member's REST API; 0 if there is no answer."""
        try:
            return self._http.request("GET", self._url(member, path)).status
        except urllib3.exceptions.HTTPError:
            return 0

    def get(self, member: Member, path: str) -> dict[str, Any]:
        """A JSON document of the member's REST API; {} if there is no answer."""
        try:
            answer = self._http.request("GET", self._url(member, path))
            document = json.loads(answer.data)
        except (urllib3.exceptions.HTTPError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}

    def wait(self, what: str, seconds: float, is_so: Callable[[], bool]) -> None:
        """Wait for a condition; NothingToRun with the reason if it does not come."""
        event = threading.Event()
        for _ in range(int(seconds / POLL)):
            if is_so():
                return
            self._check_daemons()
            event.wait(POLL)
        raise NothingToRun(
            f"waited {seconds:.0f} s in vain for {what}{self._last_words()}"
        )

    def connection_string(self) -> str:
        """To whichever member is the primary, for any PostgreSQL client."""
        return (
            f"{self._connection_string(*self.members)} target_session_attrs=read-write"
        )

    def connection_string_to(self, member: Member) -> str:
        """To this member, whatever it is."""
        return self._connection_string(member)

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run regnalctl."""
        return subprocess.run(
            [
                sys.executable,
                "-c",
                "from regnal.cli.ctl import main; main()",
                "-c",
                str(self.members[0].configuration),
                *arguments,
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    def _check_daemons(self) -> None:
        for name, daemon in self._daemons.items():
            if daemon.poll() is not None:
                raise NothingToRun(
                    f"the daemon of {name} ended with status {daemon.returncode}"
                    f"{self._last_words()}"
                )

    def _last_words(self) -> str:
        lines = []
        for member in self.members:
            if member.log.exists():
                text = member.log.read_text(errors="replace").splitlines()
                lines += [f"  {member.name}: {line}" for line in text[-3:]]
        return "\n" + "\n".join(lines) if lines else ""

    def _connection_string(self, *members: Member) -> str:
        hosts = ",".join(member.host for member in members)
        ports = ",".join(str(member.postgres_port) for member in members)
        return (
            f"host={hosts} port={ports} user={SUPERUSER} password={self._password} "
            "dbname=postgres connect_timeout=2 "
            # Of a host that lost its power nobody ever hears that the connection ended.
            "tcp_user_timeout=2000 keepalives_idle=1 keepalives_interval=1"
        )

    def _url(self, member: Member, path: str) -> str:
        return f"http://{member.host}:{member.rest_port}/{path}"

    def _configuration(self, member: Member) -> dict[str, Any]:
        plan = self._plan
        return {
            "scope": SCOPE,
            "name": member.name,
            "restapi": {
                "listen": f"{member.host}:{member.rest_port}",
                "connect_address": f"{member.host}:{member.rest_port}",
            },
            "raft": {
                "data_dir": str(member.directory / "raft"),
                "self_addr": f"{member.host}:{member.raft_port}",
                "partner_addrs": [
                    f"{other.host}:{other.raft_port}"
                    for other in self.members
                    if other is not member
                ],
            },
            "journal": {"dir": str(member.journal)},
            "bootstrap": {
                "dcs": {
                    "ttl": plan.ttl,
                    "loop_wait": plan.loop_wait,
                    "retry_timeout": plan.retry_timeout,
                    "synchronous_mode": plan.synchronous,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "parameters": {
                            "max_connections": 40,
                            "shared_buffers": "32MB",
                        },
                    },
                },
                "initdb": [{"encoding": "UTF8"}, "data-checksums"],
                "pg_hba": [
                    f"host {what} {network} scram-sha-256"
                    for network in plan.clients
                    for what in ("replication replicator", "all all")
                ],
            },
            "postgresql": {
                "listen": f"{member.host}:{member.postgres_port}",
                "connect_address": f"{member.host}:{member.postgres_port}",
                "data_dir": str(member.data),
                "bin_dir": str(plan.programs),
                "pgpass": str(member.directory / "pgpass"),
                "authentication": {
                    "superuser": {"username": SUPERUSER, "password": self._password},
                    "replication": {
                        "username": "replicator",
                        "password": self._password,
                    },
                    "rewind": {"username": "rewinder", "password": self._password},
                },
                "parameters": {"unix_socket_directories": str(member.directory)},
            },
        }


STOP_PATIENCE = 20.0
"""Seconds that a daemon has to stop its PostgreSQL and itself."""


def _end(daemon: subprocess.Popen[bytes]) -> None:
    try:
        daemon.wait(timeout=STOP_PATIENCE)
    except subprocess.TimeoutExpired:
        daemon.kill()


def processes_of(member: Member) -> list[int]:
    """Daemon, PostgreSQL, guard and whatever else works in the member's directory;
    not what somebody at a terminal does there."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            where = [process.cwd(), *process.cmdline()]
            if process.terminal() is None and any(
                _is_within(text, member.directory) for text in where
            ):
                found.append(process.pid)
    return found


def _is_within(text: str, directory: Path) -> bool:
    return text == str(directory) or f"{directory}/" in text


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody uses just now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
