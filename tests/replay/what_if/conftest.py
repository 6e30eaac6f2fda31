"""Recordings that are asked about: simulated clusters, each made once."""

from pathlib import Path

import pytest

from tests.replay.what_if.recorded_world import RecordedWorld

NAMES = ("pg1", "pg2", "pg3")


@pytest.fixture(scope="session")
def takeover(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pg1 leads; its host is lost at 45 s.  The lease ends, and another takes over."""
    directory = tmp_path_factory.mktemp("takeover")
    world = RecordedWorld(directory, NAMES, seed=1)
    world.begin_traffic()
    world.start()
    world.run(45)
    assert world.primaries == {"pg1"}
    world.kill_host("pg1")
    world.run(32)
    assert world.primaries == {"pg2"}
    world.close()
    return directory


@pytest.fixture(scope="session")
def lagging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `takeover`, but nobody has streamed from pg1 for its last 20 seconds."""
    directory = tmp_path_factory.mktemp("lagging")
    world = RecordedWorld(directory, NAMES, seed=1)
    world.begin_traffic()
    world.start()
    world.run(25)
    world.partition("pg1", "pg2")
    world.partition("pg1", "pg3")
    world.run(20)
    world.kill_host("pg1")
    world.run(32)
    assert world.primaries in ({"pg2"}, {"pg3"})
    world.close()
    return directory


@pytest.fixture(scope="session")
def lost_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The DCS is gone from 45 s on, until the leader has stepped down."""
    directory = tmp_path_factory.mktemp("lost_store")
    world = RecordedWorld(directory, NAMES, seed=1)
    world.begin_traffic()
    world.start()
    world.run(45)
    world.lose_the_store()
    world.run(30)
    assert world.primaries == set()
    world.close()
    return directory


@pytest.fixture(scope="session")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `takeover`, in a cluster without guards, and sooner."""
    directory = tmp_path_factory.mktemp("unguarded")
    world = RecordedWorld(directory, NAMES, seed=1, guard=False)
    world.begin_traffic()
    world.start()
    world.run(15)
    world.kill_host("pg1")
    world.run(32)
    assert world.primaries == {"pg2"}
    world.close()
    return directory
