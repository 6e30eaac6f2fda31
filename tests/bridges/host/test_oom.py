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
    assert kills.killed(kills.count(), status) is expected


@pytest.mark.parametrize("status", [KILLED, 1, None])
def test_no_kill_is_certain(host: Host, status: int | None) -> None:
    host.count(3)
    kills = OomKills(4711, host.proc)
    assert kills.killed(kills.count(), status) is False


def test_what_it_has_outlived_is_no_reason(host: Host) -> None:
    host.count(3)
    kills = OomKills(4711, host.proc)
    host.count(4)
    kills.note(kills.count())
    assert kills.killed(kills.count(), KILLED) is False


def test_where_nothing_is_counted_nothing_is_known(host: Host) -> None:
    kills = OomKills(4711, host.proc)
    assert kills.killed(kills.count(), KILLED) is None


def test_a_cgroup_that_is_gone_tells_nothing(host: Host) -> None:
    host.count(3)
    kills = OomKills(4711, host.proc)
    host.file.unlink()
    assert kills.killed(kills.count(), KILLED) is None


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
    kills = OomKills(4711, proc)
    assert kills.killed(kills.count(), KILLED) is False


class Machine:
    """A host with two cgroups, `old` and `new`; the process is in the first."""

    def __init__(self, folder: Path, mount: str, count: str) -> None:
        """`mount`: type and options of the hierarchy; `count`: name of its file."""
        self.proc = folder / "proc"
        for process in ("self", "4711"):
            (self.proc / process).mkdir(parents=True)
        line = f"1 1 0:1 / {folder}/cgroups rw - {mount}\n"
        (self.proc / "self" / "mountinfo").write_text(line)
        self._membership = self.proc / "4711" / "cgroup"
        self._prefix = "0::" if mount.startswith("cgroup2") else "4:memory:"
        self._counts = {
            "old": Host(self.proc, folder / "cgroups" / "old" / count),
            "new": Host(self.proc, folder / "cgroups" / "new" / count),
            "root": Host(self.proc, folder / "cgroups" / count),
            "host": Host(self.proc, self.proc / "vmstat"),
        }
        self.count(old=0, new=0, root=0, host=0)
        self.move("/old")
        self.kills = OomKills(4711, self.proc)

    def count(self, **kills: int) -> None:
        for where, count in kills.items():
            self._counts[where].count(count)

    def move(self, cgroup: str) -> None:
        self._membership.write_text(f"{self._prefix}{cgroup}\n")

    def reap(self) -> None:
        self._membership.unlink()

    @property
    def killed(self) -> bool | None:
        return self.kills.killed(self.kills.count(), KILLED)


@pytest.mark.parametrize(
    ("in_new", "on_host", "killed"),
    [
        pytest.param(1, 1, True, id="killed there"),
        pytest.param(1, 0, False, id="somebody was killed there long ago"),
        pytest.param(0, 1, False, id="somebody was killed elsewhere"),
    ],
)
def test_a_process_that_was_moved_since_it_was_last_seen(
    tmp_path: Path, in_new: int, on_host: int, killed: bool
) -> None:
    machine = Machine(tmp_path, "cgroup2 cgroup2 rw", "memory.events")
    machine.move("/new")
    machine.count(new=in_new, host=on_host)
    assert machine.killed is killed


GONE = pytest.mark.parametrize(
    ("in_old", "on_host", "killed"),
    [
        pytest.param(1, 1, True, id="killed where it was last seen"),
        pytest.param(0, 0, False, id="nobody was killed"),
        pytest.param(0, 1, None, id="it may have been moved meanwhile"),
    ],
)


@GONE
def test_a_process_that_somebody_else_has_reaped(
    tmp_path: Path, in_old: int, on_host: int, killed: bool | None
) -> None:
    machine = Machine(tmp_path, "cgroup2 cgroup2 rw", "memory.events")
    machine.reap()
    machine.count(old=in_old, host=on_host)
    assert machine.killed is killed


@GONE
def test_a_zombie_that_version_1_shows_in_the_root(
    tmp_path: Path, in_old: int, on_host: int, killed: bool | None
) -> None:
    machine = Machine(tmp_path, "cgroup cgroup rw,memory", "memory.oom_control")
    machine.move("/")
    machine.count(old=in_old, host=on_host)
    assert machine.killed is killed
