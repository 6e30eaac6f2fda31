"""The embedded Raft's nodes fail, freeze and come back; ctl observes."""

import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.contract import Store, StoreUnavailable
from regnal.bridges.dcs.keys import Place
from regnal.bridges.dcs.open import open_store
from regnal.bridges.dcs.raft import RaftStore
from regnal.bridges.dcs.raft_node import RaftNode
from regnal.bridges.dcs.raft_settings import RaftTimings
from regnal.messages.cluster import LeaderStatus
from tests.bridges.dcs.raft_nodes import (
    SharedNode,
    settings_of,
    start_nodes,
    wait_until,
)
from tests.bridges.dcs.watching import Watching
from tests.servers.ports import free_port

# pysyncobj leaves it to the interpreter to close what it has read.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

TTL = 30.0
Starting = Callable[..., list[SharedNode]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starting]:
    started: list[SharedNode] = []

    def start_three(password: str | None = None) -> list[SharedNode]:
        nodes = start_nodes(tmp_path, password)
        started.extend(nodes)
        return nodes

    yield start_three
    for node in started:
        node.end()


def soon(seconds: float = 5.0) -> float:
    return boottime() + seconds


def store_on(node: RaftNode, member: str) -> RaftStore:
    return RaftStore(node, Place("service", "demo"), member, boottime)


def leader_of(nodes: list[SharedNode]) -> SharedNode:
    (leader,) = (node for node in nodes if node.is_raft_leader)
    return leader


def others_of(nodes: list[SharedNode], one: SharedNode) -> list[SharedNode]:
    return [node for node in nodes if node is not one]


def test_the_death_of_the_raft_leader_is_survived(start: Starting) -> None:
    """DCS-RAFT-01: another leads well within two seconds, and no lease is lost"""
    nodes = start()
    dead = leader_of(nodes)
    alive = others_of(nodes, dead)
    ours, theirs = store_on(alive[0], "ours"), store_on(alive[1], "theirs")
    with Watching(theirs) as watching:
        assert ours.acquire_leader("ours", 3.0, soon()).granted
        began = time.monotonic()
        dead.end()
        assert ours.renew_leader("ours", 3.0, soon()).granted
        assert time.monotonic() - began < 2.0
        assert watching.failures == []
        assert not theirs.acquire_leader("theirs", TTL, soon()).granted
        gone_at, _ = watching.until(
            lambda view: view.leader is None and len(watching.views) > 1, 10.0
        )
        assert gone_at


def test_a_lease_ends_in_time_though_the_raft_leader_died_meanwhile(
    start: Starting,
) -> None:
    """The new Raft leader has counted all along: the ttl does not begin anew."""
    nodes = start()
    dead = leader_of(nodes)
    alive = others_of(nodes, dead)
    ours, theirs = store_on(dead, "ours"), store_on(alive[0], "theirs")
    held = ours.acquire_leader("ours", 2.5, soon())
    assert held.granted
    with Watching(theirs) as watching:
        dead.end()
        watching.forget()
        watching.until(lambda view: view.leader is None)
        assert 2.5 <= boottime() - held.asked_at < 3.5
    assert store_on(alive[1], "x").acquire_leader("x", TTL, soon()).granted


def test_a_frozen_raft_leader_that_wakes_up_ends_no_lease_too_soon(
    start: Starting,
) -> None:
    nodes = start()
    frozen = leader_of(nodes)
    ours = store_on(others_of(nodes, frozen)[0], "ours")
    assert ours.acquire_leader("ours", 1.2, soon()).granted
    frozen.freeze()
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert ours.renew_leader("ours", 1.2, soon(2.0)).granted
        time.sleep(0.1)
    frozen.thaw()
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert ours.renew_leader("ours", 1.2, soon()).granted
        time.sleep(0.1)


def test_without_a_majority_nothing_is_granted(start: Starting) -> None:
    nodes = start()
    ours = store_on(nodes[0], "ours")
    assert ours.acquire_leader("ours", TTL, soon()).granted
    for node in nodes[1:]:
        node.freeze()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        ours.renew_leader("ours", TTL, soon(1.0))
    assert 0.9 < time.monotonic() - began < 1.5
    with pytest.raises(StoreUnavailable):
        ours.read(soon(0.3))
    for node in nodes[1:]:
        node.thaw()
    assert ours.renew_leader("ours", TTL, soon(10.0)).granted


def test_the_watch_says_when_the_majority_is_gone(start: Starting) -> None:
    nodes = start()
    ours = store_on(nodes[0], "ours")
    with Watching(ours) as watching:
        for node in nodes[1:]:
            node.freeze()
        wait_until(lambda: bool(watching.failures), "the watch to say so")
        for node in nodes[1:]:
            node.thaw()
        watching.forget()
        assert ours.acquire_leader("ours", TTL, soon(10.0)).granted
        watching.until(lambda view: view.leader_name == "ours")


def test_what_was_written_outlives_all_nodes(start: Starting, tmp_path: Path) -> None:
    """DCS-RAFT-05: journal and dump lie in data_dir"""
    nodes = start()
    settings = [node._settings for node in nodes]
    store_on(nodes[0], "ours").write_config('{"ttl":30}', None, soon())
    for node in nodes:
        node.end()
    assert len(list(tmp_path.glob("*.journal"))) == 3
    again = [SharedNode(each, boottime) for each in settings]
    try:
        for node in again:
            node.start()
        view = store_on(again[1], "theirs").read(soon(10.0))
        assert view.config == '{"ttl":30}'
    finally:
        for node in again:
            node.end()


def test_a_node_that_lost_its_data_gets_all_of_it_back(
    start: Starting, tmp_path: Path
) -> None:
    """Also what is in no journal any more, but in a dump."""
    nodes = start()
    store = store_on(nodes[0], "ours")
    store.write_config('{"ttl":30}', None, soon())
    for node in nodes:
        node.compact()
    wait_until(lambda: len(list(tmp_path.glob("*.dump"))) == 3, "all dumps")
    store.touch_member("ours", "{}", TTL, soon())
    lost = next(node for node in nodes if not node.is_raft_leader)
    settings = lost._settings
    lost.end()
    settings.journal_file.unlink()
    settings.dump_file.unlink()
    new = SharedNode(settings, boottime)
    new.start()
    try:
        view = store_on(new, "theirs").read(soon(10.0))
        assert view.config == '{"ttl":30}'
        assert view.member("ours") is not None
    finally:
        new.end()


def test_with_a_password_all_is_well_and_without_it_nobody_gets_in(
    start: Starting,
) -> None:
    """DCS-RAFT-02, DCS-RAFT-03"""
    nodes = start(password="secret")
    ours = store_on(nodes[0], "ours")
    assert ours.acquire_leader("ours", TTL, soon()).granted
    for number in range(50):
        assert ours.touch_member("ours", str(number), TTL, soon()).written
    assert all(node.in_contact for node in nodes)
    partners = [str(node._settings.self_addr) for node in nodes]
    stranger = observer(partners)
    with pytest.raises(StoreUnavailable):
        stranger.read(soon(1.5), consistent=True)
    stranger.close()
    guest = observer(partners, password="secret")
    assert guest.read(soon(), consistent=True).leader_name == "ours"
    guest.close()


def test_ctl_observes_and_writes_without_being_a_node(start: Starting) -> None:
    """DCS-RAFT-06: the daemon's own address is one more partner"""
    nodes = start()
    store_on(nodes[0], "ours").acquire_leader("ours", TTL, soon())
    addresses = [str(node._settings.self_addr) for node in nodes]
    ctl = open_store(
        "raft",
        {"self_addr": addresses[0], "partner_addrs": addresses[1:]},
        namespace="service",
        scope="demo",
        member=None,
        ttl=TTL,
    )
    began = time.monotonic()
    view = ctl.read(soon(), consistent=True)
    assert view.leader_name == "ours"
    assert ctl.write_config('{"ttl":20}', "absent", soon()).written
    assert time.monotonic() - began < 2.0
    ctl.close()
    assert store_on(nodes[1], "x").read(soon()).config == '{"ttl":20}'


def test_ctl_does_not_hang_if_nobody_is_there() -> None:
    """DCS-RAFT-06, P-DCS-19"""
    ctl = observer([f"127.0.0.1:{free_port()}" for _ in range(3)])
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        ctl.connect(soon(0.5))
    ctl.close()
    assert time.monotonic() - began < 1.5


def test_a_port_that_is_taken_is_waited_for(tmp_path: Path) -> None:
    """As the daemon before us may still be ending."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        node = SharedNode(settings_of(tmp_path, address, (address,)), boottime)
        store = store_on(node, "ours")
        with pytest.raises(StoreUnavailable, match=f"cannot listen on {address}"):
            store.connect(soon(0.5))
    store.connect(soon(5.0))
    node.end()


def test_one_node_alone_is_a_cluster(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    usual = settings_of(tmp_path, address, (address,), timings=RaftTimings())
    node = SharedNode(dataclasses.replace(usual, bind_addr=None), boottime)
    store = store_on(node, "ours")
    assert store.acquire_leader("ours", TTL, soon()).granted
    node.end()


def test_names_of_hosts_are_resolved(tmp_path: Path) -> None:
    """DCS-RAFT-04"""
    addresses = tuple(f"localhost:{free_port()}" for _ in range(3))
    nodes = [
        SharedNode(settings_of(tmp_path, address, addresses), boottime)
        for address in addresses
    ]
    for node in nodes:
        node.start()
    assert store_on(nodes[0], "ours").acquire_leader("ours", TTL, soon(10.0)).granted
    for node in nodes:
        node.end()


def test_many_writers_at_a_time_leave_all_nodes_alike(
    start: Starting, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = start()

    def write(node: SharedNode, name: str) -> None:
        store = store_on(node, name)
        for number in range(40):
            assert store.touch_member(name, str(number), TTL, soon(10.0)).written

    threads = [
        threading.Thread(target=write, args=(node, f"m{number}-{place}"))
        for number, node in enumerate(nodes)
        for place in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for node in nodes:
        store_on(node, "reader").read(soon())  # has then applied everything
    values = [
        {path: entry.value for path, entry in node.map.entries.items()}
        for node in nodes
    ]
    assert len(values[0]) == 9
    assert values[0] == values[1] == values[2]
    assert [each for each in caplog.records if each.levelname == "CRITICAL"] == []


def observer(partners: list[str], **options: str) -> Store:
    return open_store(
        "raft",
        {"partner_addrs": partners, **options},
        namespace="service",
        scope="demo",
        member=None,
        ttl=TTL,
    )


def test_who_does_not_know_whether_it_let_go_goes_on_as_another(
    start: Starting,
) -> None:
    """Law 1: what may come late is bound to the run of before; and a hand-over that was
    made after all is known again, and withdrawn."""
    nodes = start()
    store = store_on(nodes[0], "ours")
    assert store.acquire_leader("ours", TTL, soon()).granted
    before = store.read(soon()).leader
    for node in nodes[1:]:
        node.freeze()
    with pytest.raises(StoreUnavailable):
        store.release_leader("ours", None, soon(1.0))
    for node in nodes[1:]:
        node.thaw()
    assert store.acquire_leader("ours", TTL, soon()).granted
    now = store.read(soon()).leader
    assert before is not None
    assert now is not None
    assert (now.name, now.session != before.session) == ("ours", True)
    status = LeaderStatus(optime=7)
    assert store.hand_over_leader("ours", "theirs", status, TTL, soon()).granted
    store._runs.append(store._new_run())
    assert store.hand_over_leader("ours", "theirs", status, TTL, soon()).granted
    assert store.withdraw_hand_over("ours", "theirs", soon()).granted
