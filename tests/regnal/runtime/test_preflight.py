"""What is seen before the start: binaries, data directory, ports, files, store."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from regnal.configuration.problems import Problem
from regnal.configuration.source import Effective
from regnal.runtime.options import StoreOptions
from regnal.runtime.preflight import (
    problems_at_start,
    problems_of_validation,
    remarks_at_start,
)
from regnal.runtime.reachability import store_endpoints, store_problems
from tests.regnal.configuration.builders import document, laid_over, loaded

NEEDS_NO_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Programs that say a version, and do nothing else."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in (
        "pg_ctl",
        "initdb",
        "pg_controldata",
        "pg_basebackup",
        "postgres",
        "pg_isready",
    ):
        program = directory / name
        program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.18'\n")
        program.chmod(0o755)
    return directory


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[int]:
    with socket.create_server((host, 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with listening() as port:
        return port


@pytest.fixture
def base(tmp_path: Path, programs: Path) -> dict[str, Any]:
    """A configuration without any problem, but for the store."""
    return document(
        restapi={
            "listen": f"127.0.0.1:{free_port()}",
            "connect_address": "10.9.8.7:8008",
        },
        postgresql={
            "listen": f"127.0.0.1:{free_port()}",
            "connect_address": "10.9.8.7:5432",
            "data_dir": str(tmp_path / "data"),
            "pgpass": str(tmp_path / "pgpass"),
            "bin_dir": str(programs),
        },
    )


def effective_of(base: dict[str, Any], directory: Path, **sections: Any) -> Effective:
    return loaded(laid_over(base, sections), directory=directory)


def at_start(base: dict[str, Any], directory: Path, **sections: Any) -> list[Problem]:
    """Without the one of being root, which a test may well be."""
    found = problems_at_start(effective_of(base, directory, **sections))
    return [problem for problem in found if problem.path != "user"]


def data_directory(tmp_path: Path, version: str = "15") -> Path:
    data = tmp_path / "data"
    (data / "pg_wal").mkdir(parents=True)
    (data / "PG_VERSION").write_text(version + "\n")
    data.chmod(0o700)
    return data


def test_a_good_host_has_no_problem(base: dict[str, Any], tmp_path: Path) -> None:
    """CFG-19: and nothing is changed on disk."""
    effective = effective_of(base, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert at_start(base, tmp_path) == []
    assert remarks_at_start(effective) == []
    with listening() as port:
        base["etcd3"]["host"] = f"127.0.0.1:{port}"
        assert problems_of_validation(effective_of(base, tmp_path)) == []
    assert sorted(tmp_path.rglob("*")) == before


def test_root_is_told_to_go(base: dict[str, Any], tmp_path: Path) -> None:
    problems = problems_at_start(effective_of(base, tmp_path))
    if os.geteuid() == 0:
        assert [problem.path for problem in problems] == ["user"]
    else:
        assert problems == []


def test_missing_programs_are_named_in_one_line(
    base: dict[str, Any], programs: Path, tmp_path: Path
) -> None:
    """CFG-19, CFG-34"""
    (programs / "initdb").unlink()
    (programs / "postgres").unlink()
    (problem,) = at_start(base, tmp_path)
    assert problem.path == "postgresql.bin_dir"
    assert problem.reason == f"initdb, postgres not found in {programs}"


def test_programs_may_have_other_names(
    base: dict[str, Any], programs: Path, tmp_path: Path
) -> None:
    """P-CFG-05"""
    (programs / "initdb").rename(programs / "initdb15")
    assert (
        at_start(base, tmp_path, postgresql={"bin_name": {"initdb": "initdb15"}}) == []
    )


def test_an_empty_bin_dir_means_the_path(
    base: dict[str, Any],
    programs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CFG-34, P-CFG-02"""
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assert at_start(base, tmp_path, postgresql={"bin_dir": ""}) == []


def test_data_of_another_version_is_named(base: dict[str, Any], tmp_path: Path) -> None:
    """CFG-19"""
    data = data_directory(tmp_path, "14")
    (problem,) = at_start(base, tmp_path)
    assert problem.path == "postgresql.data_dir"
    assert problem.reason == (
        f"{data} is of PostgreSQL 14, the programs in {tmp_path / 'bin'} are of 15"
    )
    assert "bin_dir" in problem.remedy
    data_directory_version = data / "PG_VERSION"
    data_directory_version.write_text("9.6\n")
    assert "is of PostgreSQL 9.6" in at_start(base, tmp_path)[0].reason
    data_directory_version.write_text("15\n")
    assert at_start(base, tmp_path) == []


def test_a_broken_version_file_is_named(base: dict[str, Any], tmp_path: Path) -> None:
    data_directory(tmp_path, "fifteen")
    (problem,) = at_start(base, tmp_path)
    assert "PG_VERSION cannot be used: fifteen is not a version" in problem.reason


def test_a_mode_that_postgresql_refuses_is_named(
    base: dict[str, Any], tmp_path: Path
) -> None:
    data = data_directory(tmp_path)
    data.chmod(0o755)
    (problem,) = at_start(base, tmp_path)
    assert "has mode 0755" in problem.reason
    data.chmod(0o750)
    assert at_start(base, tmp_path) == []


def test_a_file_is_no_data_directory(base: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    (problem,) = at_start(base, tmp_path)
    assert problem.reason.endswith("is not a directory")


@NEEDS_NO_ROOT
def test_a_directory_that_is_not_ours_is_named(
    base: dict[str, Any], tmp_path: Path
) -> None:
    data = data_directory(tmp_path)
    data.chmod(0o500)
    (problem,) = at_start(base, tmp_path)
    assert "cannot be written by the user" in problem.reason


def test_something_else_in_the_data_directory_is_found_by_validation(
    base: dict[str, Any], tmp_path: Path
) -> None:
    """CFG-19: version file and WAL directory."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "thesis.txt").write_text("years of work")
    problems = problems_of_validation(effective_of(base, tmp_path), with_ports=False)
    assert f"{data} is not empty and has no PG_VERSION" in str(problems)
    (data / "PG_VERSION").write_text("15\n")
    problems = problems_of_validation(effective_of(base, tmp_path), with_ports=False)
    assert f"{data} is not empty and has no pg_wal" in str(problems)
    (data / "pg_wal").mkdir()
    data.chmod(0o700)
    problems = problems_of_validation(effective_of(base, tmp_path), with_ports=False)
    assert "is not empty" not in str(problems)


@pytest.mark.parametrize("section", ["restapi", "postgresql"])
def test_a_taken_port_is_named(
    section: str, base: dict[str, Any], tmp_path: Path
) -> None:
    """CFG-19; the daemon ends with status 1 (contract 9.2)"""
    with listening() as port:
        listen = {"listen": f"127.0.0.1:{port}"}
        (problem,) = at_start(base, tmp_path, **{section: listen})
        assert problem.path == f"{section}.listen"
        assert problem.reason == f"127.0.0.1:{port} is in use by another program"
        with_ports = problems_of_validation(effective_of(base, tmp_path))
        without = problems_of_validation(effective_of(base, tmp_path), with_ports=False)
        assert problem in with_ports
        assert problem not in without


def test_a_port_taken_on_any_address_is_found_for_all(
    base: dict[str, Any], tmp_path: Path
) -> None:
    """P-CFG-02: `*:<port>` is accepted."""
    with listening() as port:
        (problem,) = at_start(base, tmp_path, restapi={"listen": f"*:{port}"})
        assert "is in use" in problem.reason
    assert at_start(base, tmp_path) == []


def test_an_address_of_another_host_is_named(
    base: dict[str, Any], tmp_path: Path
) -> None:
    (problem,) = at_start(base, tmp_path, restapi={"listen": "192.0.2.1:8008"})
    assert problem.reason == "192.0.2.1:8008 is not an address of this host"
    (problem,) = at_start(base, tmp_path, restapi={"listen": "nowhere.invalid:8008"})
    assert "nowhere.invalid:8008 is not known" in problem.reason


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "0.0.0.0", "*", "[::1]"])
def test_validation_refuses_addresses_that_mean_every_host(
    address: str, base: dict[str, Any], tmp_path: Path
) -> None:
    """CFG-19"""
    effective = effective_of(
        base, tmp_path, restapi={"connect_address": f"{address}:8008"}
    )
    problems = problems_of_validation(effective, with_ports=False)
    assert "restapi.connect_address" in [problem.path for problem in problems]


@pytest.mark.parametrize(
    "tags",
    [
        {"nofailover": True, "failover_priority": 0},
        {"nosync": False, "sync_priority": 1},
    ],
)
def test_validation_refuses_two_tags_for_one_thing(
    tags: dict[str, Any], base: dict[str, Any], tmp_path: Path
) -> None:
    """Contract 6.10; a daemon makes do with them (P-CFG-30)."""
    effective = effective_of(base, tmp_path, tags=tags)
    problems = problems_of_validation(effective, with_ports=False)
    assert f"tags.{next(iter(tags))}" in [problem.path for problem in problems]
    assert at_start(base, tmp_path) == []


def test_validation_refuses_timers_below_their_minima(
    base: dict[str, Any], tmp_path: Path
) -> None:
    """P-CFG-02; a daemon raises them (P-CFG-01)."""
    low = {"ttl": 19, "loop_wait": 0, "retry_timeout": 2, "synchronous_node_count": 0}
    effective = effective_of(base, tmp_path, bootstrap={"dcs": low})
    problems = problems_of_validation(effective, with_ports=False)
    named = [problem.path for problem in problems if problem.path != "etcd3"]
    assert named == [f"bootstrap.dcs.{name}" for name in low]
    assert at_start(base, tmp_path) == []


@pytest.mark.parametrize("mode", ["off", "automatic", "required"])
def test_a_watchdog_that_is_required_must_be_there(
    base: dict[str, Any], tmp_path: Path, mode: str
) -> None:
    """CFG-19, P-CFG-02, WDOG-04."""
    device = tmp_path / "watchdog"
    watchdog = {"mode": mode, "device": str(device)}
    problems = problems_of_validation(effective_of(base, tmp_path, watchdog=watchdog))
    reasons = [p.reason for p in problems if p.path == "watchdog.device"]
    told = f"{device} cannot be used: No such file or directory"
    assert [reason.split(";")[0] for reason in reasons] == (
        [told] if mode == "required" else []
    )


def test_files_that_are_named_must_be_there(
    base: dict[str, Any], tmp_path: Path
) -> None:
    certificate = tmp_path / "cert.pem"
    (problem,) = at_start(base, tmp_path, restapi={"certfile": str(certificate)})
    assert str(problem).startswith(f"restapi.certfile: {certificate} does not exist;")
    certificate.write_text("x")
    assert at_start(base, tmp_path) == []
    (problem,) = at_start(base, tmp_path, etcd3={"cacert": "/none/ca"})
    assert problem.path == "etcd3.cacert"


def test_places_to_write_are_looked_at(base: dict[str, Any], tmp_path: Path) -> None:
    base["postgresql"]["pgpass"] = "/none/pgpass"
    # Without a password there will be no such file (SEC-03).
    assert at_start(base, tmp_path) == []
    base["postgresql"]["authentication"] = {
        "replication": {"username": "rep", "password": "secret"}
    }
    (problem,) = at_start(base, tmp_path)
    assert problem.path == "postgresql.pgpass"
    base["postgresql"]["pgpass"] = str(tmp_path)
    (problem,) = at_start(base, tmp_path)
    assert problem.reason == f"{tmp_path} is a directory"
    base["postgresql"]["pgpass"] = str(tmp_path / "pgpass")
    (problem,) = at_start(base, tmp_path, log={"dir": "/none"})
    assert problem.path == "log.dir"


def test_a_journal_that_cannot_be_written_does_not_keep_the_daemon_from_running(
    base: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    effective = effective_of(
        base, tmp_path, journal={"dir": str(tmp_path / "file" / "j")}
    )
    assert at_start(base, tmp_path) == []
    assert remarks_at_start(effective)[0].startswith("journal.dir: ")


def section(name: str, **options: Any) -> StoreOptions:
    return StoreOptions(name, options, "service", "demo")


@pytest.mark.parametrize(
    ("store", "endpoints"),
    [
        (section("etcd3", host="a:1"), ["a:1"]),
        (section("etcd3", host="a"), ["a:2379"]),
        (section("etcd3", host="a", port=5), ["a:5"]),
        (
            section("etcd", hosts=["a:1", "[::1]:2", "http://c:3"]),
            ["a:1", "[::1]:2", "c:3"],
        ),
        (section("etcd3", url="https://a"), ["a:2379"]),
        (section("etcd3", srv="x"), []),
        (section("consul"), ["127.0.0.1:8500"]),
        (section("consul", url="http://c:1"), ["c:1"]),
        (section("zookeeper", hosts=["z", "y:2"]), ["z:2181", "y:2"]),
        (section("exhibitor", hosts=["e"], port=80), ["e:80"]),
        (section("raft", self_addr="a:1", partner_addrs=["b:1"]), []),
        (section("kubernetes"), []),
    ],
)
def test_where_stores_listen(store: StoreOptions, endpoints: list[str]) -> None:
    """CFG-21"""
    assert [str(endpoint) for endpoint in store_endpoints(store)] == endpoints


def test_one_address_that_answers_is_enough() -> None:
    """CFG-19"""
    with listening() as port:
        dead, alive = f"127.0.0.1:{free_port()}", f"127.0.0.1:{port}"
        assert list(store_problems(section("etcd3", hosts=[dead, alive]))) == []
        (problem,) = store_problems(section("etcd3", hosts=[dead]))
    assert str(problem) == (
        f"etcd3: no answer from {dead} (Connection refused); start the store, or correct "
        "its address"
    )


def test_an_address_that_cannot_be_read_is_named() -> None:
    (problem,) = store_problems(section("etcd3", hosts=["a:b"]))
    assert "'b' is not a port" in problem.reason


@pytest.mark.server
def test_the_version_of_real_programs_is_known(
    base: dict[str, Any], tmp_path: Path
) -> None:
    """CFG-19"""
    real = Path("/usr/lib/postgresql/15/bin")
    if not real.is_dir() or shutil.which("initdb", path=str(real)) is None:
        pytest.skip("needs PostgreSQL 15")
    base["postgresql"]["bin_dir"] = str(real)
    data_directory(tmp_path, "13")
    (problem,) = at_start(base, tmp_path)
    assert "is of PostgreSQL 13" in problem.reason
