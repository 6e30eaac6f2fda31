"""etcd with authentication, and over TLS with certificates on both sides."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.contract import Store, StoreDenied, StoreUnavailable
from regnal.bridges.dcs.open import open_store
from tests.bridges.dcs.watching import Watching
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.etcd import EtcdCluster, needs_etcd

pytestmark = [pytest.mark.server, needs_etcd]

TTL = 30.0


class User(NamedTuple):
    name: str
    password: str


ROOT = User("root", "secret-of-root")
MEMBER = User("member", "secret-of-member")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """Authentication is on; MEMBER may use /service/, and nothing else."""
    folder = tmp_path_factory.mktemp("guarded")
    # A token that nobody used for two seconds is forgotten.
    with EtcdCluster(folder, size=1, arguments=("--auth-token-ttl=2",)) as cluster:
        for user in (ROOT, MEMBER):
            cluster.post("/auth/user/add", user._asdict())
            cluster.post("/auth/role/add", {"name": user.name})
            grant = {"user": user.name, "role": user.name}
            cluster.post("/auth/user/grant", grant)
        permission = {
            "permType": "READWRITE",
            "key": "L3NlcnZpY2Uv",  # /service/
            "range_end": "L3NlcnZpY2Uw",
        }
        grant_service = {"name": "member", "perm": permission}
        cluster.post("/auth/role/grant", grant_service)
        cluster.post("/auth/enable", {})
        yield cluster


def opened(
    cluster: EtcdCluster, scope: str, user: User | None, **options: str
) -> Store:
    credentials = {"username": user.name, "password": user.password} if user else {}
    return open_store(
        "etcd3",
        {"hosts": cluster.hosts, **credentials, **options},
        namespace="service",
        scope=scope,
        member="ours",
        ttl=TTL,
    )


def soon(seconds: float = 5.0) -> float:
    return boottime() + seconds


def root_token(cluster: EtcdCluster) -> str:
    answer = cluster.post("/auth/authenticate", ROOT._asdict())
    return str(answer["token"])


def test_everything_works_with_a_password(guarded: EtcdCluster, scope: str) -> None:
    """DCS-ETCD3-04, P-DCS-04"""
    store = opened(guarded, scope, MEMBER)
    store.connect(soon())
    with Watching(store) as watching:
        assert store.touch_member("ours", "{}", TTL, soon()).written
        assert store.acquire_leader("ours", TTL, soon()).granted
        assert store.renew_leader("ours", TTL, soon()).granted
        watching.until(lambda view: view.leader_name == "ours")


def test_a_wrong_password_is_refused_at_once(guarded: EtcdCluster, scope: str) -> None:
    """DCS-ETCD3-04: the one reason for which a daemon ends at its start"""
    store = opened(guarded, scope, User("member", "wrong"))
    asked_at = boottime()
    with pytest.raises(StoreDenied, match="invalid user ID or password") as problem:
        store.connect(soon(30.0))
    assert boottime() - asked_at < 5.0
    assert "wrong" not in str(problem.value)
    store.close()


def test_no_password_is_refused_at_once(guarded: EtcdCluster, scope: str) -> None:
    store = opened(guarded, scope, None)
    with pytest.raises(StoreDenied, match="set username and password"):
        store.connect(soon(30.0))
    store.close()


def test_keys_that_are_not_ours_are_refused(guarded: EtcdCluster) -> None:
    store = open_store(
        "etcd3",
        {"hosts": guarded.hosts, "username": "member", "password": MEMBER.password},
        namespace="foreign",
        scope="demo",
        member="ours",
        ttl=TTL,
    )
    with pytest.raises(StoreDenied, match="permission denied"):
        store.read(soon(30.0))
    with pytest.raises(StoreDenied, match="permission denied"):
        store.watch(lambda view: None)
    store.close()


def test_a_password_where_none_is_needed_does_no_harm(
    etcd: EtcdCluster, scope: str
) -> None:
    store = opened(etcd, scope, MEMBER)
    assert store.acquire_leader("ours", TTL, soon()).granted
    store.close()


def test_a_token_that_was_forgotten_is_renewed(
    guarded: EtcdCluster, scope: str
) -> None:
    """P-DCS-04: etcd was restarted, and knows no tokens any more"""
    store = opened(guarded, scope, MEMBER)
    assert store.acquire_leader("ours", TTL, soon()).granted
    (server,) = guarded.servers
    server.kill()
    guarded.start(server)
    guarded.wait_until_ready()
    assert store.renew_leader("ours", TTL, soon()).granted
    store.close()


def test_a_change_of_users_outdates_the_token(guarded: EtcdCluster, scope: str) -> None:
    """P-DCS-04: `revision of auth store is old`"""
    store = opened(guarded, scope, MEMBER)
    assert store.acquire_leader("ours", TTL, soon()).granted
    token = root_token(guarded)
    guarded.post("/auth/user/add", {"name": f"new-{scope}", "password": "x"}, token)
    assert store.touch_member("ours", "{}", TTL, soon()).written
    assert store.renew_leader("ours", TTL, soon()).granted
    store.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def encrypted(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[EtcdCluster]:
    files = (certificates.authority, *certificates.server)
    folder = tmp_path_factory.mktemp("encrypted")
    with EtcdCluster(folder, size=1, tls=files) as cluster:
        yield cluster


def test_everything_works_over_tls(
    encrypted: EtcdCluster, certificates: Certificates, scope: str
) -> None:
    """DCS-ETCD-01, DCS-ETCD-16"""
    store = opened(
        encrypted,
        scope,
        None,
        protocol="https",
        cacert=str(certificates.authority),
        cert=str(certificates.client[0]),
        key=str(certificates.client[1]),
    )
    store.connect(soon(10.0))
    with Watching(store) as watching:
        assert store.touch_member("ours", "{}", TTL, soon()).written
        assert store.acquire_leader("ours", TTL, soon()).granted
        watching.until(lambda view: view.leader_name == "ours")
        store.release_leader("ours", None, soon())
        watching.forget()
        assert store.acquire_leader("ours", TTL, soon()).granted
        watching.until(lambda view: view.leader_name == "ours")


def test_a_server_of_another_authority_is_not_trusted(
    encrypted: EtcdCluster, certificates: Certificates, scope: str
) -> None:
    store = opened(
        encrypted,
        scope,
        None,
        protocol="https",
        cert=str(certificates.client[0]),
        key=str(certificates.client[1]),
    )
    with pytest.raises(StoreUnavailable, match="certificate verify failed"):
        store.connect(soon(1.0))
    store.close()


def test_without_a_certificate_of_ours_nobody_answers(
    encrypted: EtcdCluster, certificates: Certificates, scope: str
) -> None:
    authority = str(certificates.authority)
    store = opened(encrypted, scope, None, protocol="https", cacert=authority)
    with pytest.raises(StoreUnavailable):
        store.connect(soon(1.0))
    store.close()
