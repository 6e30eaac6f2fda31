"""regnalctl as a person starts it, on a real etcd."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.regnal.cli.test_ctl_list import DATA, keys_of
from tests.servers.etcd import EtcdCluster, needs_etcd
from tests.servers.ports import free_port

pytestmark = [pytest.mark.server, needs_etcd]

REGNALCTL = Path(sys.executable).with_name("regnalctl")
GIVES_UP_WITHIN = 20.0
"""Seconds, the start of the program included."""


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path_factory.mktemp("etcd"), size=1) as cluster:
        yield cluster


def put(etcd: EtcdCluster, cluster: str, scope: str) -> None:
    for key, value in keys_of(cluster).items():
        request = {"key": encoded(f"/service/{scope}/{key}"), "value": encoded(value)}
        etcd.post("/kv/put", request)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def regnalctl(
    *arguments: str, typed: str = "", program: Path = REGNALCTL
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [program, *arguments],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_cluster_is_shown_changed_and_removed(
    etcd: EtcdCluster, tmp_path: Path
) -> None:
    """CTL-01, CTL-06, CTL-22, CTL-26, CTL-29 on etcd v3."""
    put(etcd, "plain", "demo")
    file = tmp_path / "ctl.yml"
    section = {"scope": "demo", "etcd3": {"hosts": etcd.hosts}}
    file.write_text(yaml.safe_dump(section))
    run = ("--config-file", str(file))

    listed = regnalctl(*run, "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout == (DATA / "plain" / "list.txt").read_text()

    changed = regnalctl(*run, "edit-config", "-s", "ttl=25", typed="y\n")
    assert changed.stdout.endswith("Configuration changed\n")
    assert "\nttl: 25\n" in regnalctl(*run, "show-config").stdout

    removed = regnalctl(*run, "remove", "demo", typed="demo\nYes I am aware\nn1\n")
    assert removed.returncode == 0
    assert json.loads(regnalctl(*run, "list", "-f", "json").stdout) == []


def test_a_cluster_for_an_external_primary_stays(
    etcd: EtcdCluster, tmp_path: Path
) -> None:
    """CTL-27 on etcd v3: the keys do not go when the program ends."""
    file = tmp_path / "ctl.yml"
    configuration = {
        "scope": "outside",
        "name": "far",
        "etcd3": {"hosts": etcd.hosts},
        "postgresql": {"listen": "10.0.0.9:5432", "data_dir": "/nowhere"},
        "restapi": {"listen": "10.0.0.9:8008"},
    }
    file.write_text(yaml.safe_dump(configuration))

    made = regnalctl("-c", str(file), "scaffold", "outside", "--sysid", "42")

    assert (made.returncode, made.stderr) == (0, "")
    listed = regnalctl("-c", str(file), "list").stdout
    assert listed.startswith("+ Cluster: outside (42) ")
    assert "| far    | 10.0.0.9 | Leader | running |" in listed


def test_a_url_and_another_name_are_enough(etcd: EtcdCluster, tmp_path: Path) -> None:
    """CTL-01, P-CTL-06; contract 9.1: a link called patronictl is as good."""
    put(etcd, "plain", "linked")
    url = f"etcd3://{etcd.hosts[0]}/service"

    assert "| n1     | 127.0.0.1 |" in regnalctl("-d", url, "list", "linked").stdout
    link = tmp_path / "patronictl"
    link.symlink_to(REGNALCTL)
    usage = regnalctl("restart", program=link)
    assert usage.returncode == 2
    assert usage.stderr.startswith("Usage: patronictl restart ")


def test_an_unreachable_store_is_told_in_time() -> None:
    """The error names the store, the address and the remedy."""
    address = f"127.0.0.1:{free_port()}"
    before = time.monotonic()

    result = regnalctl("-d", f"etcd3://{address}", "list", "demo")

    assert time.monotonic() - before < GIVES_UP_WITHIN
    assert result.returncode == 1
    assert result.stderr.startswith(
        f"Error: No answer from the store etcd3 ({address})"
    )
    assert "check that it runs" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_reader_that_goes_away_is_no_traceback(etcd: EtcdCluster) -> None:
    """`regnalctl list | head -1`."""
    put(etcd, "plain", "piped")
    program = subprocess.Popen(
        [REGNALCTL, "-d", f"etcd3://{etcd.hosts[0]}", "list", "piped", "-w", "0.05"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stderr is not None
    with program:
        assert program.stdout.readline().startswith("+ Cluster: piped ")
        program.stdout.close()
        assert program.wait(timeout=30) != 0
        assert program.stderr.read() == ""
