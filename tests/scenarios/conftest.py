"""The clusters of the scenarios: one per module and store, healthy before each test."""

from collections.abc import Iterator

import pytest

from regnal.demo.cluster import Amend, as_it_is
from tests.scenarios.journals import (
    Replays,
    assert_chains_are_whole,
    assert_one_primary_at_a_time,
    assert_traces_keep_the_laws,
)
from tests.servers.etcd import EtcdCluster, needs_etcd
from tests.servers.members import EmbeddedRaft, Stage, StoreSwitch, ThreeEtcd, stage

STORES = ["raft", pytest.param("etcd3", marks=needs_etcd)]


@pytest.fixture(scope="module")
def store_name() -> str:
    """Modules that play on both stores parametrize it."""
    return "raft"


@pytest.fixture(scope="module")
def store(
    store_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StoreSwitch]:
    if store_name == "raft":
        yield EmbeddedRaft()
        return
    with EtcdCluster(tmp_path_factory.mktemp("etcd")) as etcd:
        yield ThreeEtcd(etcd)


@pytest.fixture(scope="module")
def synchronous() -> bool:
    return False


@pytest.fixture(scope="module")
def amend() -> Amend:
    """What a module's cluster has in its configuration over the usual."""
    return as_it_is


@pytest.fixture(scope="module")
def shared_stage(
    store: StoreSwitch, synchronous: bool, amend: Amend, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    """In the end nothing shows two primaries, and the traces are whole."""
    failed_before = request.session.testsfailed
    with stage(store, amend, synchronous=synchronous) as playing:
        yield playing
        for what, seconds in playing.outages.items():
            print(f"\n  no commit for {seconds:6.2f} s: {what}", end="")  # noqa: T201
        if request.session.testsfailed > failed_before:
            playing.is_evidence = True
        try:
            assert_one_primary_at_a_time(playing.members)
            assert_traces_keep_the_laws(playing.members)
        except AssertionError:
            playing.is_evidence = True
            raise


@pytest.fixture(scope="module")
def replays(shared_stage: Stage) -> Replays:
    return Replays(shared_stage.members)


@pytest.fixture
def cluster(shared_stage: Stage, replays: Replays) -> Iterator[Stage]:
    """A healthy cluster; after the scenario its journals are verified and replayed."""
    shared_stage.heal()
    yield shared_stage
    try:
        assert_chains_are_whole(shared_stage.members)
        replays.assert_same()
    except AssertionError:
        shared_stage.is_evidence = True
        raise
