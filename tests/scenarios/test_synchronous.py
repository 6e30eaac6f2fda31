"""Synchronous mode on real servers: what was acknowledged is never lost."""

import time

import pytest

from tests.scenarios.journals import assert_explained
from tests.servers.members import Stage

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def synchronous() -> bool:
    return True


def test_nothing_acknowledged_is_lost_with_the_host_of_the_primary(
    cluster: Stage,
) -> None:
    """Law 4; only the synchronous standby may lead after that."""
    victim = cluster.leader()
    cluster.wait(
        "a synchronous standby", lambda: len(synchronous_standbys(cluster)) == 1
    )
    cluster.wait_for_commits(200)
    (standby,) = synchronous_standbys(cluster)
    before = time.monotonic()
    cluster.cluster.kill(victim)
    successor = cluster.wait_for_another_leader(victim)
    assert successor.name == standby
    cluster.wait_for_commits()
    cluster.note_outage("host killed, synchronous", before)
    assert cluster.writer.missing() == []
    cluster.cluster.start(victim)
    cluster.wait_until_complete()
    assert cluster.writer.missing() == []
    assert_explained(cluster.members, "host_lost", former=victim, leader=successor)


def synchronous_standbys(cluster: Stage) -> list[str]:
    members = cluster.cluster.get(cluster.leader(), "cluster")["members"]
    return [member["name"] for member in members if member["role"] == "sync_standby"]
