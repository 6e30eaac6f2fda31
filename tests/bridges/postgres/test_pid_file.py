"""postmaster.pid: read, and believed only if the process is a postmaster."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from regnal.bridges.postgres.pid_file import (
    find_postmaster,
    parse_pid_file,
    recycled_pid,
)
from regnal.bridges.postgres.processes import look_at

DATA = Path(__file__).parents[2] / "data" / "postgres"


@pytest.mark.parametrize("version", ["15", "16", "18"])
def test_the_file_of_a_running_server_is_understood(version: str) -> None:
    file = parse_pid_file((DATA / f"{version}-postmaster.pid").read_text())

    assert file is not None
    assert file.pid > 1
    assert file.data_dir == Path("/srv/pg/data")
    assert file.started_at > 1_700_000_000
    assert file.phase == "ready"


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("7\n/data\n1700000000\n5432\n/tmp\n*\n 1 2\nstarting\n", "starting"),
        ("7\n/data\n1700000000\n5432\n/tmp\n*\n 1 2\nstandby \n", "standby"),
        ("7\n/data\n1700000000\n5432\n/tmp\n*\n 1 2\n", None),
        ("-7\n/data\n1700000000\n", None),
    ],
)
def test_the_phase_is_told_where_the_version_writes_it(
    text: str, phase: str | None
) -> None:
    file = parse_pid_file(text)

    assert file is not None
    assert (file.pid, file.phase) == (7, phase)


@pytest.mark.parametrize("text", ["", "7\n", "x\n/data\n1\n", "0\n/data\n1\n"])
def test_a_file_that_is_not_complete_says_nothing(text: str) -> None:
    assert parse_pid_file(text) is None


def write_pid_file(data_dir: Path, pid: int, started_at: float) -> None:
    text = f"{pid}\n{data_dir}\n{started_at:.0f}\n5432\n/tmp\n*\n 1 2\nready\n"
    (data_dir / "postmaster.pid").write_text(text)


def test_an_unrelated_process_is_no_postmaster_and_the_log_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """PG-02, PG-03, PG-04."""
    write_pid_file(tmp_path, os.getpid(), time.time())

    assert find_postmaster(tmp_path) is None
    assert f"process {os.getpid()}" in caplog.text
    assert f"working directory is {Path.cwd()}" in caplog.text
    assert recycled_pid(tmp_path) == os.getpid()


def test_another_program_in_the_data_directory_is_no_postmaster(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """P-PG-14."""
    sleeper = subprocess.Popen(["sleep", "600"], cwd=tmp_path)
    try:
        write_pid_file(tmp_path, sleeper.pid, time.time() - 1000)

        assert find_postmaster(tmp_path) is None
        assert "began" in caplog.text
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_process_that_has_ended_is_no_postmaster(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"], cwd=tmp_path)
    ended.wait()
    write_pid_file(tmp_path, ended.pid, time.time())

    assert find_postmaster(tmp_path) is None
    assert recycled_pid(tmp_path) is None


def test_without_a_file_there_is_nobody(tmp_path: Path) -> None:
    assert find_postmaster(tmp_path) is None
    assert recycled_pid(tmp_path) is None


def test_the_start_of_a_process_is_known() -> None:
    process = look_at(os.getpid())

    assert process is not None
    assert 0 < time.time() - process.started_at < 86400
    assert process.parent == os.getppid()
    assert "python" in process.command_line
