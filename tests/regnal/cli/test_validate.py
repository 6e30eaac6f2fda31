"""`regnal validate-config`, and its form as an option (CFG-19, P-CFG-02, P-CFG-03)."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.regnal.configuration.builders import document
from tests.regnal.runtime.test_preflight import free_port, programs

__all__ = ["programs"]  # a fixture


def regnal(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "regnal", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environ},
    )


@pytest.fixture
def valid(tmp_path: Path, programs: Path) -> dict[str, Any]:
    return document(
        restapi={"listen": f"127.0.0.1:{free_port()}", "connect_address": "10.0.0.1:1"},
        postgresql={
            "listen": f"127.0.0.1:{free_port()}",
            "connect_address": "10.0.0.1:2",
            "data_dir": str(tmp_path / "data"),
            "pgpass": str(tmp_path / "pgpass"),
            "bin_dir": str(programs),
            "authentication": {"superuser": {"password": "hunter2"}},
        },
    )


def written(directory: Path, content: dict[str, Any]) -> str:
    file = directory / "regnal.yml"
    file.write_text(json.dumps(content))
    return str(file)


def test_a_valid_configuration_ends_with_0(
    valid: dict[str, Any], tmp_path: Path
) -> None:
    """CFG-19, P-CFG-03: and is printed on demand, passwords masked."""
    with socket.create_server(("127.0.0.1", 0)) as store:
        valid["etcd3"]["host"] = f"127.0.0.1:{store.getsockname()[1]}"
        file = written(tmp_path, valid)
        silent = regnal("validate-config", file)
        printed = regnal("--validate-config", file, "--print")
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")
    assert printed.returncode == 0
    assert "hunter2" not in printed.stdout
    shown = yaml.safe_load(printed.stdout)
    assert shown["postgresql"]["listen"] == valid["postgresql"]["listen"]
    assert not (tmp_path / "data").exists()


def test_problems_are_lines_on_stderr_and_status_1(
    valid: dict[str, Any], tmp_path: Path
) -> None:
    """CFG-19, P-CFG-02"""
    valid["etcd3"]["host"] = f"127.0.0.1:{free_port()}"
    with socket.create_server(("127.0.0.1", 0)) as other:
        valid["restapi"]["listen"] = f"127.0.0.1:{other.getsockname()[1]}"
        file = written(tmp_path, valid)
        result = regnal("--validate-config", file, "-p")
        ignoring = regnal("--validate-config", "-i", file)
    assert result.returncode == 1
    assert result.stdout == ""
    paths = [line.split(":")[0] for line in result.stderr.splitlines()]
    assert paths == ["etcd3", "restapi.listen"]
    assert [line.split(":")[0] for line in ignoring.stderr.splitlines()] == ["etcd3"]


def test_wrong_values_are_all_named_at_once(
    valid: dict[str, Any], tmp_path: Path
) -> None:
    """CFG-19"""
    valid["tags"] = {"nofailover": "perhaps"}
    valid["watchdog"] = {"mode": "fierce"}
    valid["bootstrap"] = {"dcs": {"ttl": "long", "postgresql": {"parameters": []}}}
    del valid["scope"]
    result = regnal("validate-config", written(tmp_path, valid))
    assert result.returncode == 1
    paths = [line.split(":")[0] for line in result.stderr.splitlines()]
    assert sorted(paths) == [
        "bootstrap.dcs.postgresql.parameters",
        "bootstrap.dcs.ttl",
        "scope",
        "tags.nofailover",
        "watchdog.mode",
    ]


def test_broken_yaml_is_one_line_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "regnal.yml").write_text("scope: a\n  name: b\n")
    result = regnal("validate-config", str(tmp_path / "regnal.yml"))
    assert result.returncode == 1
    assert "(line 2)" in result.stderr
    assert result.stderr.count("\n") == 1


def test_unknown_options_are_warnings(valid: dict[str, Any], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as store:
        valid["etcd3"]["host"] = f"127.0.0.1:{store.getsockname()[1]}"
        valid["postgresql"]["datadir"] = "/x"
        result = regnal("validate-config", written(tmp_path, valid))
    assert result.returncode == 0
    assert result.stderr.startswith("warning: postgresql.datadir is not a known option")


def test_without_a_file_the_variables_are_checked() -> None:
    result = regnal("--validate-config", PATRONI_CONFIGURATION="name: [x]")
    assert result.returncode == 1
    assert "name: ['x'] is not a text" in result.stderr
    assert "(PATRONI_CONFIGURATION, line 1)" in result.stderr


def test_a_wrong_command_line_ends_with_2() -> None:
    """Contract 9.2"""
    assert regnal("validate-config", "--nonsense").returncode == 2
