"""What other programs find in etcd, byte for byte (docs/contracts.md 2 and 3.2)."""

import base64
from typing import Any

import pytest

from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.contract import FailoverDraft, SyncDraft
from regnal.bridges.dcs.open import open_store
from regnal.messages.cluster import FailsafeMember, HistoryLine, LeaderStatus
from tests.servers.etcd import EtcdCluster, needs_etcd

pytestmark = [pytest.mark.server, needs_etcd]

TTL = 30.0
DOCUMENT = '{"conn_url":"postgres://10.1.0.11:5432/postgres","role":"primary"}'


def soon() -> float:
    return boottime() + 5.0


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def keys_below(etcd: EtcdCluster, prefix: str) -> dict[str, Any]:
    """Path below the prefix to (value, lease)."""
    end = prefix[:-1] + "0"
    answer = etcd.post("/kv/range", {"key": b64(prefix), "range_end": b64(end)})
    found = {}
    for each in answer.get("kvs", ()):
        path = base64.b64decode(each["key"]).decode()
        value = base64.b64decode(each.get("value", "")).decode()
        found[path.removeprefix(prefix)] = (value, each.get("lease", "0"))
    return found


def test_keys_are_where_and_what_peers_expect(etcd: EtcdCluster, scope: str) -> None:
    """DCS-02, DCS-ETCD3-05: leader and member hang on one lease, nothing else does"""
    store = open_store(
        "etcd3",
        {"hosts": ", ".join(etcd.hosts)},
        namespace="/service/",
        scope=scope,
        member="n1",
        ttl=TTL,
    )
    store.take_initialize("", soon())
    store.confirm_initialize("7301234567890123456", soon())
    store.write_config('{"ttl":30}', "absent", soon())
    store.touch_member("n1", DOCUMENT, TTL, soon())
    store.acquire_leader("n1", TTL, soon())
    store.write_failover(FailoverDraft("n1", "n2", None), None, soon())
    store.write_sync(SyncDraft("n1", ("n3", "n2"), 1), None, soon())
    store.write_history((HistoryLine(timeline=1, lsn=5, reason="r"),), soon())
    store.write_status(LeaderStatus(optime=5), True, soon())
    members = (FailsafeMember(name="n1", api_url="http://10.1.0.11:8008/patroni"),)
    store.write_failsafe(members, soon())
    store.close()

    found = keys_below(etcd, f"/service/{scope}/")
    leases = {path: lease for path, (_, lease) in found.items()}
    values = {path: value for path, (value, _) in found.items()}
    assert values == {
        "initialize": "7301234567890123456",
        "config": '{"ttl":30}',
        "leader": "n1",
        "members/n1": DOCUMENT,
        "failover": '{"leader":"n1","member":"n2"}',
        "sync": '{"leader":"n1","quorum":1,"sync_standby":"n2,n3"}',
        "history": '[[1,5,"r"]]',
        "status": '{"optime":5}',
        "optime/leader": "5",
        "failsafe": '{"n1":"http://10.1.0.11:8008/patroni"}',
    }
    lease = leases.pop("leader")
    assert leases.pop("members/n1") == lease != "0"
    assert set(leases.values()) == {"0"}
    left = etcd.post("/lease/timetolive", {"ID": lease})
    assert left["grantedTTL"] == "30"


def test_a_leader_key_of_a_peer_is_respected(etcd: EtcdCluster, scope: str) -> None:
    """DCS-ETCD-18: also one without a lease, as a scaffold writes it"""
    leader = b64(f"/service/{scope}/leader")
    etcd.post("/kv/put", {"key": leader, "value": b64("peer")})
    store = open_store(
        "etcd3",
        {"hosts": etcd.hosts},
        namespace="service",
        scope=scope,
        member="n1",
        ttl=TTL,
    )
    refused = store.acquire_leader("n1", TTL, soon())
    assert (refused.granted, refused.holder) == (False, "peer")
    assert store.read(soon()).leader_name == "peer"
    store.close()


def test_garbage_in_every_key_is_read(etcd: EtcdCluster, scope: str) -> None:
    paths = "initialize config leader members/x failover sync history status failsafe"
    for path in (*paths.split(), "unknown", "members/", "optime/leader"):
        key = b64(f"/service/{scope}/{path}")
        raw = base64.b64encode(b'\xff{"\x00').decode()
        etcd.post("/kv/put", {"key": key, "value": raw})
    store = open_store(
        "etcd3",
        {"hosts": etcd.hosts},
        namespace="service",
        scope=scope,
        member="n1",
        ttl=TTL,
    )
    view = store.read(soon())
    assert view.leader is not None
    assert [member.name for member in view.members] == ["x"]
    store.close()
