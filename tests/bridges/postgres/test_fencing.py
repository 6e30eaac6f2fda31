"""The guard and a real PostgreSQL: what clients see, and what is left."""

import contextlib
from collections.abc import Iterator

import psutil
import psycopg2
import pytest

from regnal.bridges.guard.bridge import GuardBridge
from regnal.journal.stamps import boot_clock as now
from regnal.messages.fencing import ArmGuard, DisarmGuard
from regnal.messages.postgres import PostgresStarted
from tests.bridges.guard.pretending import Said, order, wait_for
from tests.bridges.postgres.recorder import START_PRIMARY, Driven
from tests.bridges.postgres.servers import connect

pytestmark = pytest.mark.server


@pytest.fixture
def guard(primary: Driven) -> Iterator[GuardBridge]:
    data = primary.options.data_dir
    bridge = GuardBridge(data, data.parent / "guard.jsonl", Said(), now)
    bridge.start()
    yield bridge
    bridge.perform(order(DisarmGuard()))
    bridge.stop()


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_nothing_of_postgres_is_left_and_it_starts_again(
    primary: Driven, guard: GuardBridge, stopped: bool
) -> None:
    """Law 2: a backend in the middle of a statement ends, too, and so does one that
    was stopped (SIGSTOP), which no shutdown of PostgreSQL reaches."""
    busy = connect(primary.options)
    with contextlib.closing(busy):
        pid = int((primary.options.data_dir / "postmaster.pid").read_text().split()[0])
        postmaster = psutil.Process(pid)
        family = [postmaster, *postmaster.children(recursive=True)]
        for one in family if stopped else ():
            one.suspend()
        began = now()
        guard.perform(
            order(
                ArmGuard(
                    deadline=began + 0.1, lease_until=began + 2.5, postmaster_pid=pid
                )
            )
        )
        wait_for("the end of all", lambda: not any(map(is_alive, family)))
        assert now() - began < 2.5, "before the lease ends"
        with pytest.raises(psycopg2.Error):
            busy.cursor().execute("SELECT 1")
    guard.perform(order(DisarmGuard()))
    assert primary.do(START_PRIMARY, PostgresStarted).role == "primary"


def is_alive(process: psutil.Process) -> bool:
    """A zombie has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False
