"""Who was killed for want of memory, by the counts of all kinds of hosts."""

import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from regnal.bridges.host.oom import OomKills

DATA = Path(__file__).parents[2] / "data" / "host"
KILLED = -signal.SIGKILL


@dataclass
class Host:
    """A host that counts in this file."""

    proc: Path
    file: Path

    def count(self, kills: int) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(f"oom 9\noom_kill {kills}\n")


@pytest.fixture(
    params=["memory.events.local", "memory.events", "memory.oom_control", "vmstat"]
)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroups"
    for process in ("self", "4711"):
        (proc / process).mkdir(parents=True)
        (proc / process / "cgroup").write_text("0::/database\n")
    mount = f"1 1 0:1 / {cgroups} rw - cgroup2 cgroup2 rw\n"
    (proc / "self" / "mountinfo").write_text(mount)
    if request.param == "vmstat":
        return Host(proc, proc / "vmstat")
    return Host(proc, cgroups / "database" / request.param)


@pytest.mark.parametrize(
    ("status", "of_its_cgroup", "of_the_host"),
    [
        pytest.param(KILLED, True, True, id="it was killed"),
        pytest.param(1, True, None, id="it ended when a child was"),
        pytest.param(None, None, None, id="nobody tells us how it ended"),
    ],
)
def test_a_kill_since_it_was_last_seen(
    host: Host,
    status: int | None,
    of_its_cgroup: bool | None,
    of_the_host: bool | None,
) -> None:
    host.count(3)
    kills = OomKills(4711, host.proc)
    host.count(4)
    expected = of_the_host if host.file.name == "vmstat" else of_its_cgroup
    assert kills.killed(status) is expected


@pytest.mark.parametrize("status", [KILLED, 1, None])
def test_no_kill_is_certain(host: Host, status: int | None) -> None:
    host.count(3)
    assert OomKills(4711, host.proc).killed(status) is False


def test_what_it_has_outlived_is_no_reason(host: Host) -> None:
    host.count(3)
    kills = OomKills(4711, host.proc)
    host.count(4)
    kills.note(kills.count())
    assert kills.killed(KILLED) is False


def test_where_nothing_is_counted_nothing_is_known(host: Host) -> None:
    assert OomKills(4711, host.proc).killed(KILLED) is None


def test_a_cgroup_that_is_gone_tells_nothing(host: Host) -> None:
    host.count(3)
    kills = OomKills(4711, host.proc)
    host.file.unlink()
    assert kills.killed(KILLED) is None


def test_a_cgroup_of_an_old_kernel_leaves_it_to_the_host(tmp_path: Path) -> None:
    """memory.oom_control before 4.13 counts nothing."""
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "4711").mkdir()
    (proc / "4711" / "cgroup").write_text("4:memory:/\n")
    mount = f"1 1 0:1 / {tmp_path} rw - cgroup cgroup rw,memory\n"
    (proc / "self" / "mountinfo").write_text(mount)
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\n")
    (proc / "vmstat").write_text((DATA / "6.18-vmstat.txt").read_text())
    assert OomKills(4711, proc).killed(KILLED) is False
