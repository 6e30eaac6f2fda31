"""Some rounds of faults as a test: the worst ones, in both modes.

`python -m tests.faults.rounds` plays all of them, for as long as one likes.
"""

from pathlib import Path

import pytest

from tests.faults.network import needs_namespaces
from tests.faults.rounds import Run, line_of, running, schedule
from tests.faults.trouble import FAULTS, by_name
from tests.servers.etcd import needs_etcd

pytestmark = [
    pytest.mark.faults,
    needs_namespaces,
    needs_etcd,
    pytest.mark.timeout(900),
]

WORST = (
    "daemon frozen",
    "host killed",
    "leader reached by clients only",
    "replies of DCS are lost",
    "two DCS nodes stopped",
    "switchover, host killed",
)


def play(run: Run, names: tuple[str, ...]) -> None:
    for name in names:
        done = run.play(by_name(name))
        assert done.is_good, line_of(done)


def test_nothing_acknowledged_is_lost_in_synchronous_mode(tmp_path: Path) -> None:
    with running("sync", 1, tmp_path) as run:
        play(run, WORST)
        assert sum(one.lost for one in run.rounds) == 0


def test_no_two_primaries_in_asynchronous_mode(tmp_path: Path) -> None:
    with running("async", 1, tmp_path) as run:
        play(run, WORST[:4])


def test_a_seed_gives_the_same_faults_each_time() -> None:
    first, second = schedule(7, FAULTS), schedule(7, FAULTS)
    names = [next(first).name for _ in range(3 * len(FAULTS))]
    assert names == [next(second).name for _ in names]
    assert sorted(names[: len(FAULTS)]) == sorted(fault.name for fault in FAULTS)
