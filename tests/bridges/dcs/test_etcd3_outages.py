"""etcd's servers fail, freeze, come back, or never were what they seemed."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.contract import Store, StoreUnavailable
from regnal.bridges.dcs.etcd3_server import NodeFailed
from regnal.bridges.dcs.etcd3_session import FRESH_PART
from regnal.bridges.dcs.open import open_store
from regnal.messages.cluster import LeaderStatus
from tests.bridges.dcs.odd_server import OddServer
from tests.bridges.dcs.watching import Watching
from tests.servers.etcd import EtcdCluster, EtcdServer, needs_etcd
from tests.servers.ports import free_port
from tests.servers.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.server, needs_etcd]

TTL = 30.0
SLACK = 0.5
"""Seconds by which a deadline may be missed on a busy machine."""


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """A cluster to hurt; every test leaves it whole."""
    with EtcdCluster(tmp_path_factory.mktemp("fragile")) as cluster:
        yield cluster


Opening = Callable[..., Store]


@pytest.fixture
def opening(scope: str) -> Iterator[Opening]:
    opened: list[Store] = []

    def open_with(member: str, **options: Any) -> Store:
        store = open_store(
            "etcd3",
            options,
            namespace="service",
            scope=scope,
            member=member,
            ttl=TTL,
        )
        opened.append(store)
        return store

    yield open_with
    for store in opened:
        store.close()


def soon(seconds: float = 10.0) -> float:
    return boottime() + seconds


def server_in_use(store: Any, cluster: EtcdCluster) -> EtcdServer:
    current = store._client.endpoints.current
    return next(server for server in cluster.servers if server.url == current)


def test_the_death_of_a_server_is_survived(
    fragile: EtcdCluster, opening: Opening
) -> None:
    """DCS-ETCD-02, DCS-ETCD-10, P-DCS-06"""
    ours = opening("ours", hosts=fragile.hosts)
    theirs = opening("theirs", hosts=fragile.hosts)
    assert ours.acquire_leader("ours", TTL, soon()).granted
    with Watching(theirs) as watching:
        theirs.touch_member("theirs", "{}", TTL, soon())
        victim = server_in_use(theirs, fragile)
        victim.kill()
        assert ours.renew_leader("ours", TTL, soon()).granted
        ours.release_leader("ours", None, soon())
        watching.until(lambda view: view.leader is None)
        assert watching.failures == []
    fragile.start(victim)
    fragile.wait_until_ready()


def test_only_one_server_needs_to_be_configured(
    fragile: EtcdCluster, opening: Opening
) -> None:
    """DCS-ETCD-09, DCS-ETCD-02: the others are learnt from it"""
    store = opening("ours", hosts=fragile.hosts[:1])
    store.touch_member("ours", "{}", TTL, soon())
    assert server_in_use(store, fragile) is fragile.servers[0]
    fragile.servers[0].kill()
    assert store.acquire_leader("ours", TTL, soon()).granted
    fragile.start(fragile.servers[0])
    fragile.wait_until_ready()


def test_behind_a_proxy_no_servers_are_looked_for(
    fragile: EtcdCluster, opening: Opening
) -> None:
    """DCS-ETCD-05, DCS-ETCD3-03"""
    store: Any = opening("ours", hosts=fragile.hosts[:1], use_proxies=True)
    store.touch_member("ours", "{}", TTL, soon())
    assert store._client.endpoints.round() == (fragile.servers[0].url,)


def test_a_frozen_server_leaves_time_for_the_others(
    fragile: EtcdCluster, opening: Opening
) -> None:
    """DCS-ETCD-10: a server that answers nothing gets a share of the time only"""
    store = opening("ours", hosts=fragile.hosts)
    assert store.acquire_leader("ours", TTL, soon()).granted
    store.touch_member("ours", "{}", TTL, soon())
    victim = server_in_use(store, fragile)
    victim.pause()
    began = time.monotonic()
    assert store.renew_leader("ours", TTL, soon(4.0)).granted
    assert time.monotonic() - began < 3.0
    victim.resume()
    fragile.wait_until_ready()


def test_who_does_not_know_whether_it_let_go_takes_another_session(
    fragile: EtcdCluster, opening: Opening
) -> None:
    """Law 1: what may come late is bound to the lease of before; and a hand-over that was
    made after all is known again, and withdrawn."""
    store: Any = opening("ours", hosts=fragile.hosts)
    assert store.acquire_leader("ours", TTL, soon()).granted
    before = store._session.lease
    for server in fragile.servers:
        server.pause()
    with pytest.raises(StoreUnavailable):
        store.release_leader("ours", None, soon(1.0))
    for server in fragile.servers:
        server.resume()
    fragile.wait_until_ready()
    assert store.acquire_leader("ours", TTL, soon()).granted
    assert store._session.lease not in (None, before)
    status = LeaderStatus(optime=7)
    assert store.hand_over_leader("ours", "theirs", status, TTL, soon()).granted
    store._session.forget(store._session.lease)
    again = store.hand_over_leader("ours", "theirs", status, TTL, soon())
    assert again.granted
    assert store.withdraw_hand_over("ours", "theirs", soon()).granted


def test_a_frozen_store_is_unavailable_at_the_deadline_and_recovers(
    fragile: EtcdCluster, opening: Opening
) -> None:
    """DCS-05, DCS-ETCD-10: not before, since the whole time is to be used"""
    ours = opening("ours", hosts=fragile.hosts)
    theirs = opening("theirs", hosts=fragile.hosts)
    with Watching(theirs) as watching:
        assert ours.acquire_leader("ours", TTL, soon()).granted
        for server in fragile.servers:
            server.pause()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            ours.renew_leader("ours", TTL, soon(2.0))
        assert 1.9 <= time.monotonic() - began < 2.0 + SLACK
        for server in fragile.servers:
            server.resume()
        assert ours.renew_leader("ours", TTL, soon()).granted
        ours.release_leader("ours", None, soon())
        watching.until(lambda view: view.leader is None)


def test_without_a_majority_nothing_is_granted(
    fragile: EtcdCluster, opening: Opening
) -> None:
    """DCS-ETCD-11"""
    store = opening("ours", hosts=fragile.hosts)
    assert store.acquire_leader("ours", TTL, soon()).granted
    for server in fragile.servers[1:]:
        server.kill()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.renew_leader("ours", TTL, soon(1.5))
    assert 1.4 <= time.monotonic() - began < 1.5 + SLACK
    with pytest.raises(StoreUnavailable):
        store.read(soon(1.0), consistent=True)
    for server in fragile.servers[1:]:
        fragile.start(server)
    assert store.renew_leader("ours", TTL, soon(20.0)).granted
    fragile.wait_until_ready()


def test_the_watch_says_when_nobody_answers(
    fragile: EtcdCluster, opening: Opening
) -> None:
    store = opening("ours", hosts=fragile.hosts)
    with Watching(store) as watching:
        for server in fragile.servers:
            server.kill()
        end = time.monotonic() + 10
        while not watching.failures and time.monotonic() < end:
            time.sleep(0.02)
        assert watching.failures
        watching.forget()
        for server in fragile.servers:
            fragile.start(server)
        watching.until(lambda view: True, seconds=20.0)
        fragile.wait_until_ready()


def test_a_server_that_does_not_listen_costs_no_time(
    fragile: EtcdCluster, opening: Opening
) -> None:
    hosts = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    store = opening("ours", hosts=[*hosts, fragile.hosts[0]], use_proxies=True)
    began = time.monotonic()
    assert store.acquire_leader("ours", TTL, soon()).granted
    assert time.monotonic() - began < 1.0


def test_a_daemon_that_starts_before_its_store_waits_for_it(
    tmp_path: Path, opening: Opening
) -> None:
    cluster = EtcdCluster(tmp_path, size=1)
    store = opening("ours", hosts=cluster.hosts)
    with pytest.raises(StoreUnavailable):
        store.connect(soon(0.5))
    with cluster:
        store.connect(soon(10.0))


ERROR = b'{"error":"etcdserver: leader changed","code":14}'


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(200, b"{", id="broken JSON"),
        pytest.param(200, ERROR, id="an error labelled as success"),
        pytest.param(503, ERROR, id="unavailable"),
        pytest.param(300, b"Raft Internal Error", id="raft internal error"),
        pytest.param(500, b"etcdserver: no leader", id="mislabelled"),
        pytest.param(429, b"", id="too many requests"),
        pytest.param(502, b"<html>bad gateway</html>", id="a gateway in between"),
        pytest.param(404, b"404 page not found", id="another version"),
    ],
)
def test_an_odd_server_is_left_for_another(
    status: int, body: bytes, fragile: EtcdCluster, opening: Opening
) -> None:
    """P-DCS-07, DCS-ETCD-11, DCS-08"""
    odd = OddServer(lambda path: (status, body))
    store: Any = opening("ours", hosts=[odd.host, *fragile.hosts])
    try:
        store._client.endpoints.note_answer(f"http://{odd.host}")
        assert store.acquire_leader("ours", TTL, soon()).granted
        assert store.renew_leader("ours", TTL, soon()).granted
        assert odd.asked
        (agent,) = odd.agents
        assert agent.startswith("Regnal/")
        assert " Python/" in agent
    finally:
        odd.close()


@pytest.mark.parametrize(
    ("version", "path"),
    [
        pytest.param("3.0.4", "/v3alpha/kv/range", id="oldest"),
        pytest.param("3.2.32", "/v3alpha/kv/range", id="3.2"),
        pytest.param("3.3.27", "/v3beta/kv/range", id="3.3"),
        pytest.param("3.4.23", "/v3/kv/range", id="3.4"),
        pytest.param("3.6.0-rc.1", "/v3/kv/range", id="3.6"),
    ],
)
def test_the_path_depends_on_the_version(
    version: str, path: str, opening: Opening
) -> None:
    """DCS-ETCD3-02, DCS-ETCD3-03"""
    server = OddServer(lambda path: (200, b"{}"), version)
    try:
        store = opening("ours", hosts=[server.host], use_proxies=True)
        assert store.read(soon()).leader is None
        assert server.asked == [path]
    finally:
        server.close()


def test_another_server_is_taken_to_be_of_the_version_that_is_known(
    opening: Opening,
) -> None:
    """DCS-ETCD3-02: it is asked because one has failed, and time is short.  What it does
    not know it says, and then it is asked for its version."""

    def answer(path: str) -> tuple[int, bytes]:
        known = path.startswith("/v3beta/")
        return (200, b"{}") if known else (404, b"404 page not found")

    first = OddServer(lambda path: (200, b"{}"), "3.4.23")
    second = OddServer(lambda path: (200, b"{}"), "3.4.23")
    third = OddServer(answer, "3.3.27")
    hosts = [server.host for server in (first, second, third)]
    store: Any = opening("ours", hosts=hosts, use_proxies=True)
    servers = store._client.servers
    try:
        assert servers.ask(f"http://{first.host}", "/kv/range", {}, 5.0) == {}
        assert servers.ask(f"http://{second.host}", "/kv/range", {}, 5.0) == {}
        assert (first.greeted, second.greeted) == (1, 0)
        with pytest.raises(NodeFailed):
            servers.ask(f"http://{third.host}", "/kv/range", {}, 5.0)
        assert servers.ask(f"http://{third.host}", "/kv/range", {}, 5.0) == {}
        assert third.asked == ["/v3/kv/range", "/v3beta/kv/range"]
    finally:
        for server in (first, second, third):
            server.close()


@pytest.mark.parametrize("version", ["3.0.3", "2.3.8", "", "new"])
def test_a_version_that_is_too_old_is_named(version: str, opening: Opening) -> None:
    server = OddServer(lambda path: (200, b"{}"), version)
    try:
        store = opening("ours", hosts=[server.host], use_proxies=True)
        with pytest.raises(StoreUnavailable, match="version"):
            store.read(soon(0.3))
    finally:
        server.close()


def test_a_store_that_answers_slowly_is_waited_for(opening: Opening) -> None:
    """Its answers take longer than an equal share of the deadline: once that is known,
    a server is waited for as long as it takes."""

    def answer(path: str) -> tuple[int, bytes]:
        time.sleep(0.5)
        return 200, b"{}"

    servers = [OddServer(answer) for _ in range(3)]
    hosts = [server.host for server in servers]
    store = opening("ours", hosts=hosts, use_proxies=True)
    try:
        with pytest.raises(StoreUnavailable):
            store.read(soon(1.5))
        for _ in range(3):
            began = time.monotonic()
            assert store.read(soon(1.5)).leader is None
            assert time.monotonic() - began < 0.5 + SLACK
    finally:
        for server in servers:
            server.close()


def test_a_server_behind_the_times_is_left_for_another(
    fragile: EtcdCluster, opening: Opening
) -> None:
    """P-DCS-02: its Raft term is lower than one seen before"""
    store: Any = opening("ours", hosts=fragile.hosts)
    store.touch_member("ours", "{}", TTL, soon())
    header = store._client.servers._seen
    stale = {"cluster_id": header.cluster, "raft_term": str(header.raft_term - 1)}
    body = json.dumps({"header": stale, "kvs": []}).encode()
    odd = OddServer(lambda path: (200, body))
    try:
        store._client.endpoints.learn([f"http://{odd.host}"])
        store._client.endpoints.note_answer(f"http://{odd.host}")
        view = store.read(soon(), consistent=True)
        assert view.member("ours") is not None
        assert odd.asked
    finally:
        odd.close()


def test_a_watch_that_is_told_nothing_is_given_up(
    fragile: EtcdCluster, opening: Opening
) -> None:
    """P-DCS-06: no stale data, though the connection seems alive"""
    ours = opening("ours", hosts=fragile.hosts)
    with TcpProxy(fragile.servers[0].client_port) as proxy:
        proxy.muted = "/watch"
        theirs = opening("theirs", hosts=[proxy.host], use_proxies=True)
        with Watching(theirs) as watching:
            assert ours.acquire_leader("ours", TTL, soon()).granted
            watching.until(lambda view: view.leader_name == "ours", seconds=8.0)


def test_a_heartbeat_reads_anew_if_others_write_to_etcd(
    fragile: EtcdCluster, opening: Opening
) -> None:
    """P-DCS-06: the watch tells our keys only; whether it is alive is to be seen"""
    store = opening("ours", hosts=fragile.hosts)
    with TcpProxy(fragile.servers[0].client_port) as proxy:
        store = opening("ours", hosts=[proxy.host], use_proxies=True)
        with Watching(store) as watching:
            store.touch_member("ours", "{}", 1.0, soon())
            watching.until(lambda view: view.member("ours") is not None)
            fragile.post("/kv/put", {"key": "eA==", "value": "eA=="})
            proxy.asked.clear()
            wait_for_next_heartbeat()
            store.touch_member("ours", "{}", 1.0, soon())
            assert proxy.asked == ["/v3/lease/keepalive", "/v3/kv/range"]
            proxy.asked.clear()
            wait_for_next_heartbeat()
            store.touch_member("ours", "{}", 1.0, soon())
            assert proxy.asked == ["/v3/lease/keepalive"]


def test_what_an_idle_member_asks(fragile: EtcdCluster, opening: Opening) -> None:
    """P-DCS-05: the lease is prolonged once a heartbeat, and nothing is written"""
    with TcpProxy(fragile.servers[0].client_port) as proxy:
        leader = opening("leader", hosts=[proxy.host], use_proxies=True)
        with Watching(leader) as watching:
            assert leader.acquire_leader("leader", 1.0, soon()).granted
            leader.touch_member("leader", "{}", 1.0, soon())
            watching.until(lambda view: view.member("leader") is not None)
            proxy.asked.clear()
            for _ in range(3):
                wait_for_next_heartbeat()
                assert leader.renew_leader("leader", 1.0, soon()).granted
                assert leader.touch_member("leader", "{}", 1.0, soon()).written
            assert proxy.asked == ["/v3/lease/keepalive", "/v3/kv/range"] * 3


def wait_for_next_heartbeat() -> None:
    """Until a prolonged lease of one second counts as due again."""
    time.sleep(1.0 * FRESH_PART * 1.5)
