"""etcd with authentication, and over TLS with certificates on both sides."""

import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.contract import Store, StoreDenied, StoreUnavailable
from regnal.bridges.dcs.open import open_store
from tests.bridges.dcs.watching import Watching
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


class Certificates(NamedTuple):
    authority: Path
    server: tuple[Path, Path]
    client: tuple[Path, Path]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = certificate("authority", authority_key, None, None)
    (folder / "ca.pem").write_bytes(pem(authority))
    pairs = []
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        signed = certificate(name, key, authority, authority_key)
        (folder / f"{name}.pem").write_bytes(pem(signed))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        pairs.append((folder / f"{name}.pem", folder / f"{name}.key"))
    return Certificates(folder / "ca.pem", *pairs)


def certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey | None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signer = issuer_key or key
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
        .sign(signer, hashes.SHA256())
    )


def pem(signed: x509.Certificate) -> bytes:
    return signed.public_bytes(serialization.Encoding.PEM)


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
