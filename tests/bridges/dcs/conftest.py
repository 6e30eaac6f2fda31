"""The real servers of the store tests, and stores on them, each test in its own scope."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.contract import Store
from regnal.bridges.dcs.keys import Place
from regnal.bridges.dcs.open import open_store
from regnal.bridges.dcs.raft import RaftStore
from tests.bridges.dcs.raft_nodes import SharedNode, start_nodes
from tests.servers.etcd import EtcdCluster, needs_etcd

OpenStore = Callable[[str], Store]
"""Opens the store for the member of that name; all in the scope of the test."""

SCOPES = (f"scope{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """Three servers; a test that hurts one heals it."""
    with EtcdCluster(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def raft_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[SharedNode]]:
    nodes = start_nodes(tmp_path_factory.mktemp("raft"))
    yield nodes
    for node in nodes:
        node.end()


@pytest.fixture(
    params=["raft", pytest.param("etcd3", marks=[pytest.mark.server, needs_etcd])]
)
def store_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def scope() -> str:
    return next(SCOPES)


@pytest.fixture
def member_store(
    store_name: str, scope: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[OpenStore]:
    opened: list[Store] = []
    numbers = itertools.count()

    def open_for(member: str) -> Store:
        store: Store
        if store_name == "raft":
            nodes: list[SharedNode] = request.getfixturevalue("raft_nodes")
            node = nodes[next(numbers) % len(nodes)]
            store = RaftStore(node, Place("service", scope), member, boottime)
        else:
            cluster: EtcdCluster = request.getfixturevalue("etcd")
            store = open_store(
                "etcd3",
                {"hosts": cluster.hosts},
                namespace="service",
                scope=scope,
                member=member,
                ttl=30.0,
            )
        opened.append(store)
        return store

    yield open_for
    for store in opened:
        store.close()
