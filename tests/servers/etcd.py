"""A real etcd cluster on the loopback, for tests.

    with EtcdCluster(tmp_path, size=3) as etcd:
        options = {"hosts": etcd.hosts}

Its servers end with the block; a test may kill, pause and restart them one by one.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.servers.ports import free_port

BINARY = shutil.which(
    "etcd", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
)

needs_etcd = pytest.mark.skipif(BINARY is None, reason="no etcd binary is installed")

START_LIMIT = 20.0
"""Seconds for a server to answer."""


class EtcdServer:
    """One member of the cluster: a process, its ports and its data."""

    def __init__(self, name: str, folder: Path, scheme: str) -> None:
        self.name = name
        self.client_port = free_port()
        self.peer_port = free_port()
        self.url = f"{scheme}://127.0.0.1:{self.client_port}"
        self.peer_url = f"http://127.0.0.1:{self.peer_port}"
        self.folder = folder / name
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """As `hosts` of the configuration has it."""
        return f"127.0.0.1:{self.client_port}"

    def kill(self) -> None:
        """As a crash of its machine, but that the kernel says so to the others."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(timeout=10)
            self.process = None

    def pause(self) -> None:
        """It keeps its connections and answers nothing; stands when this returns."""
        self._signal(signal.SIGSTOP)
        if self.process is not None:
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


class EtcdCluster:
    def __init__(
        self,
        folder: Path,
        size: int = 3,
        *,
        arguments: tuple[str, ...] = (),
        tls: tuple[Path, Path, Path] | None = None,
        heartbeat_ms: int = 50,
        election_ms: int = 500,
    ) -> None:
        """`tls`: files with the authority, the certificate and the key; clients must
        show a certificate of that authority as well."""
        assert BINARY is not None, "guard the test with needs_etcd"
        scheme = "https" if tls else "http"
        self._tls = tls
        self._arguments = (
            f"--heartbeat-interval={heartbeat_ms}",
            f"--election-timeout={election_ms}",
            *arguments,
        )
        self.servers = tuple(
            EtcdServer(f"etcd{number}", folder, scheme) for number in range(size)
        )

    @property
    def hosts(self) -> list[str]:
        return [server.host for server in self.servers]

    def __enter__(self) -> Self:
        for server in self.servers:
            self.start(server)
        self.wait_until_ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self.servers:
            server.kill()

    def start(self, server: EtcdServer) -> None:
        """Also again after `kill`: it finds its data."""
        peers = ",".join(f"{each.name}={each.peer_url}" for each in self.servers)
        command = [
            str(BINARY),
            f"--name={server.name}",
            f"--data-dir={server.folder}",
            f"--listen-client-urls={server.url}",
            f"--advertise-client-urls={server.url}",
            f"--listen-peer-urls={server.peer_url}",
            f"--initial-advertise-peer-urls={server.peer_url}",
            f"--initial-cluster={peers}",
            "--initial-cluster-state=new",
            "--unsafe-no-fsync",
            "--log-level=warn",
            *self._arguments,
        ]
        if self._tls is not None:
            authority, certificate, key = self._tls
            command += [
                f"--trusted-ca-file={authority}",
                f"--cert-file={certificate}",
                f"--key-file={key}",
                "--client-cert-auth",
            ]
        with server.log.open("ab") as log:
            server.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def wait_until_ready(self) -> None:
        """Every running server serves clients, and they have a leader."""
        if self._tls is not None:
            _wait(lambda: all(map(_listens, self.servers)), "etcd to listen", self)
            return
        _wait(lambda: all(map(_is_healthy, self.servers)), "etcd to be healthy", self)

    def post(self, path: str, request: dict[str, Any], token: str = "") -> Any:
        """Ask the first running server directly, as another program would."""
        server = next(each for each in self.servers if each.process is not None)
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = token
        body = json.dumps(request).encode()
        asked = urllib.request.Request(f"{server.url}/v3{path}", body, headers)
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return json.load(answer)


def _is_healthy(server: EtcdServer) -> bool:
    if server.process is None:
        return True
    assert server.process.poll() is None, server.log.read_text()[-2000:]
    try:
        with urllib.request.urlopen(f"{server.url}/health", timeout=1) as answer:
            return bool(json.load(answer).get("health") == "true")
    except (OSError, urllib.error.URLError, ValueError):
        return False


def _listens(server: EtcdServer) -> bool:
    assert server.process is None or server.process.poll() is None
    try:
        socket.create_connection(("127.0.0.1", server.client_port), 1).close()
    except OSError:
        return False
    return True


def _wait(is_true: Callable[[], bool], what: str, cluster: EtcdCluster) -> None:
    end = time.monotonic() + START_LIMIT
    while not is_true():
        logs = [server.log.read_text()[-1000:] for server in cluster.servers]
        assert time.monotonic() < end, f"waited {START_LIMIT} s for {what}: {logs}"
        time.sleep(0.02)
