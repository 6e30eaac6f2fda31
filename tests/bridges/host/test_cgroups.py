"""Where the cgroups of a process are, on hosts of every kind."""

from pathlib import Path

import pytest

from regnal.bridges.host.cgroups import VERSION_2, cgroup_directories

DATA = Path(__file__).parents[2] / "data" / "host"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "self").mkdir()
    return tmp_path


def describe(proc: Path, cgroup: str, mountinfo: str) -> Path:
    (proc / "self" / "cgroup").write_text(cgroup)
    (proc / "self" / "mountinfo").write_text(mountinfo)
    return proc


def host(proc: Path, kind: str) -> Path:
    """A host as one of those under tests/data/host."""
    cgroup = (DATA / f"{kind}-cgroup.txt").read_text()
    return describe(proc, cgroup, (DATA / f"{kind}-mountinfo.txt").read_text())


@pytest.mark.parametrize(
    ("kind", "controller", "directories"),
    [
        pytest.param(
            "v2",
            "memory",
            (
                "/sys/fs/cgroup/system.slice/regnal.service",
                "/sys/fs/cgroup/system.slice",
                "/sys/fs/cgroup",
            ),
            id="a service under version 2",
        ),
        pytest.param(
            "hybrid",
            "memory",
            (
                "/sys/fs/cgroup/memory/system/0c2e",
                "/sys/fs/cgroup/memory/system",
                "/sys/fs/cgroup/memory",
            ),
            id="both versions: that which has the controller",
        ),
        pytest.param(
            "hybrid", VERSION_2, ("/sys/fs/cgroup/unified",), id="both: version 2"
        ),
        pytest.param(
            "v1-container",
            "cpu",
            ("/sys/fs/cgroup/cpu,cpuacct",),
            id="a container sees its own cgroup as the root",
        ),
        pytest.param("v1-container", VERSION_2, (), id="no version 2 at all"),
    ],
)
def test_the_cgroup_and_those_around_it(
    proc: Path, kind: str, controller: str, directories: tuple[str, ...]
) -> None:
    found = cgroup_directories(controller, proc=host(proc, kind))
    assert tuple(map(str, found)) == directories


@pytest.mark.parametrize(
    ("cgroup", "mountinfo"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param(
            "0::/../outside\n", "1 1 0:1 / /c rw - cgroup2 c rw\n", id="outside"
        ),
        pytest.param("0::/x\n", "1 1 0:1 /y /c rw - cgroup2 c rw\n", id="elsewhere"),
        pytest.param("x\n0:\n::\n", "1 - cgroup2\n - \n", id="nonsense"),
    ],
)
def test_a_cgroup_that_cannot_be_seen_is_none(
    proc: Path, cgroup: str, mountinfo: str
) -> None:
    assert cgroup_directories("cpu", proc=describe(proc, cgroup, mountinfo)) == ()


def test_a_blank_in_a_path_is_understood(proc: Path) -> None:
    found = cgroup_directories(
        "cpu",
        proc=describe(
            proc, "0::/my daemon\n", "1 1 0:1 / /sys/my\\040c rw - cgroup2 c rw\n"
        ),
    )
    assert str(found[0]) == "/sys/my c/my daemon"


def test_a_process_that_has_ended_has_none(proc: Path) -> None:
    assert cgroup_directories("cpu", "4711", proc=host(proc, "v2")) == ()


def test_our_own_cgroup_exists() -> None:
    """On whatever host the tests run."""
    for directory in cgroup_directories("memory"):
        assert directory.is_dir()
