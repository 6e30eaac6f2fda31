"""HAProxy asks our health checks, as it does in every installation."""

import contextlib
import csv
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bridges.http.running import DEADLINE, Api, primary, replica, serving

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        shutil.which("haproxy") is None, reason="haproxy is not installed"
    ),
]

CONFIGURATION = """
global
    stats socket {socket} mode 600 level admin
defaults
    mode tcp
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    timeout check 1s
    default-server inter 50ms fall 1 rise 1
"""

BACKEND = """
backend {name}
    option httpchk {method} {path}
    http-check expect status 200
    server member 127.0.0.1:{port} check
"""

CHECKS = [
    (f"{method}-{path.removeprefix('/')}", method, path)
    for method in ("OPTIONS", "GET", "HEAD")
    for path in ("/primary", "/replica", "/liveness")
]


@contextlib.contextmanager
def haproxy(directory: Path, port: int) -> Iterator[Path]:
    """Yields its control socket."""
    control = directory / "control"
    configuration = directory / "haproxy.cfg"
    configuration.write_text(
        CONFIGURATION.format(socket=control)
        + "".join(
            BACKEND.format(name=name, method=method, path=path, port=port)
            for name, method, path in CHECKS
        )
    )
    process = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(configuration)])
    try:
        yield control
    finally:
        process.terminate()
        process.wait(DEADLINE)


def seen(control: Path) -> dict[str, str]:
    """Each backend, and what HAProxy takes its server for."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE)
        try:
            client.connect(str(control))
        except OSError:
            return {}
        client.sendall(b"show stat\n")
        text = ""
        while data := client.recv(65536):
            text += data.decode()
    rows = csv.DictReader(text.removeprefix("# ").splitlines())
    return {
        row["pxname"]: f"{row['status']} {row['check_status']} {row['check_code']}"
        for row in rows
        if row["svname"] == "member"
    }


def wait_for(control: Path, up: set[str]) -> None:
    """Until exactly these checks pass and the others are answered with 503."""
    wanted = {
        name: "UP L7OK 200" if path in up else "DOWN L7STS 503"
        for name, _, path in CHECKS
    }
    deadline = time.monotonic() + DEADLINE
    while (found := seen(control)) != wanted:
        assert time.monotonic() < deadline, f"HAProxy sees {found}"


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as running:
        yield running


def test_haproxy_follows_the_role(api: Api, tmp_path: Path) -> None:
    """REST-30, P-REST-05, REST-02, REST-05, REST-26: with GET, OPTIONS and HEAD."""
    api.publish(primary())
    with haproxy(tmp_path, api.port) as control:
        wait_for(control, {"/primary", "/liveness"})
        api.withdraw()
        wait_for(control, {"/liveness"})
        api.publish(replica())
        wait_for(control, {"/replica", "/liveness"})
