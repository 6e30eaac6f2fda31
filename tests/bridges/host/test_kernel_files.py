"""What kernels write, and what is read from it (real texts in tests/data/host)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.host.kernel_files import (
    blocked_on_io,
    frozen,
    oom_kills,
    pressure,
    stolen,
    throttled,
    waited_for_a_cpu,
)

DATA = Path(__file__).parents[2] / "data" / "host"
TICKS = 100


def text(name: str) -> str:
    return (DATA / name).read_text()


def test_how_long_a_thread_waited_for_a_cpu() -> None:
    ran, waited, _ = text("6.18-schedstat.txt").split()
    assert int(ran) > 0
    assert waited_for_a_cpu(text("6.18-schedstat.txt")) == pytest.approx(
        int(waited) / 1e9
    )


def test_how_long_a_thread_was_blocked_whatever_its_program_is_called() -> None:
    stat = text("6.18-thread-stat.txt")
    assert "((odd) name) R 1)" in stat
    assert blocked_on_io(stat, TICKS) == 0.0
    fields = stat.split(" ")
    fields[-11] = "250"  # the 42nd of 52
    assert blocked_on_io(" ".join(fields), TICKS) == 2.5


def test_what_the_hypervisor_took() -> None:
    line = text("6.18-stat.txt").splitlines()[0]
    assert stolen(text("6.18-stat.txt"), TICKS) == int(line.split()[8]) / TICKS


@pytest.mark.parametrize("resource", ["cpu", "memory", "io"])
@pytest.mark.parametrize("share", ["some", "full"])
def test_pressure(resource: str, share: str) -> None:
    found = text(f"6.18-pressure-{resource}.txt")
    (line,) = [one for one in found.splitlines() if one.startswith(share)]
    total_us = int(line.rpartition("=")[2])
    assert pressure(found, share) == pytest.approx(total_us / 1e6)


def test_pressure_of_older_kernels_has_no_full_line_for_cpus() -> None:
    old = "some avg10=0.00 avg60=0.00 avg300=0.00 total=157622151\n"
    assert pressure(old, "some") == pytest.approx(157.622151)
    assert pressure(old, "full") is None


def test_what_a_quota_held_back_in_both_versions() -> None:
    assert throttled(text("v1-cpu.stat.txt")) == pytest.approx(0.939, abs=0.001)
    version_2 = (
        "usage_usec 4000\nuser_usec 3000\nsystem_usec 1000\nnr_periods 5\n"
        "nr_throttled 4\nthrottled_usec 2500000\nnr_bursts 0\nburst_usec 0\n"
    )
    assert throttled(version_2) == 2.5


def test_a_cgroup_without_the_controller_knows_of_no_quota() -> None:
    assert throttled("usage_usec 4000\nuser_usec 3000\nsystem_usec 1000\n") is None


def test_how_long_a_cgroup_was_frozen() -> None:
    assert frozen("frozen_usec 5000371\n") == pytest.approx(5.000371)


@pytest.mark.parametrize(
    ("found", "kills"),
    [
        pytest.param(text("6.18-vmstat.txt"), 0, id="the host's"),
        pytest.param(text("v1-memory.oom_control.txt"), 0, id="version 1"),
        pytest.param(
            "low 0\nhigh 0\nmax 21\noom 3\noom_kill 2\noom_group_kill 0\n",
            2,
            id="version 2",
        ),
        pytest.param("oom_kill_disable 0\nunder_oom 0\n", None, id="before 4.13"),
    ],
)
def test_how_many_were_killed_for_want_of_memory(found: str, kills: int | None) -> None:
    assert oom_kills(found) == kills


@given(
    st.text() | st.sampled_from(["cpu 1 2", "some total=x", "oom_kill -1", ") " * 60])
)
def test_whatever_stands_in_a_file_is_no_error(found: str) -> None:
    waited_for_a_cpu(found)
    blocked_on_io(found, TICKS)
    stolen(found, TICKS)
    pressure(found, "full")
    throttled(found)
    frozen(found)
    oom_kills(found)
