"""`GET /cluster`, `/history`, `/failsafe` and `/config` (docs/contracts.md 4.4)."""

import json
from typing import Any

import pytest

from regnal.actors.rest_cluster import lsn_text
from regnal.messages.cluster import (
    FailoverRequest,
    FailsafeMember,
    HistoryLine,
    LeaderStatus,
    MemberView,
    SyncState,
)
from tests.actors.builders import member, seen, tags
from tests.actors.rest_requests import leader, snapshot


def cluster(
    *members: MemberView | str, leads: str | None = "pg1", **fields: Any
) -> dict[str, Any]:
    given = {
        key: fields.pop(key)
        for key in ("paused", "synchronous_mode", "standby_cluster")
        if key in fields
    }
    told = leader(seen=seen(*members, leader=leads, **fields), **given)
    document: dict[str, Any] = json.loads(snapshot(told).cluster)
    return document


def test_the_cluster_document() -> None:
    """REST-14, P-REST-10: as in the contract's example."""
    shown = cluster(
        member(
            "pg2",
            replication_state="streaming",
            timeline=3,
            tags=tags(document='{"clonefrom": true}'),
            xlog_location=83886408,
            receive_lsn=83886408,
            replay_lsn=83886400,
        ),
        member("pg1", role="primary", xlog_location=83886400, timeline=3),
        status=LeaderStatus(optime=83886408),
    )
    assert shown == {
        "members": [
            {
                "name": "pg1",
                "role": "leader",
                "state": "running",
                "api_url": "http://pg1:8008/patroni",
                "host": "pg1",
                "port": 5432,
                "timeline": 3,
            },
            {
                "name": "pg2",
                "role": "replica",
                "state": "streaming",
                "api_url": "http://pg2:8008/patroni",
                "host": "pg2",
                "port": 5432,
                "timeline": 3,
                "tags": {"clonefrom": True},
                "receive_lag": 0,
                "receive_lsn": "0/5000148",
                "replay_lag": 8,
                "replay_lsn": "0/5000140",
                "lag": 0,
                "lsn": "0/5000148",
            },
        ],
        "scope": "demo",
    }


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        pytest.param({}, "replica", id="asynchronous"),
        pytest.param({"synchronous_mode": "on"}, "sync_standby", id="synchronous"),
        pytest.param({"synchronous_mode": "quorum"}, "quorum_standby", id="quorum"),
    ],
)
def test_roles_of_standbys(fields: dict[str, Any], role: str) -> None:
    """REST-14."""
    sync = None
    if fields:
        sync = SyncState(leader="pg1", standbys=("PG2",), quorum=0, revision=1)
    shown = cluster("pg1", "pg2", sync=sync, **fields)
    assert [m["role"] for m in shown["members"]] == ["leader", role]


def test_the_leader_of_a_standby_cluster() -> None:
    """REST-14, SBY-13."""
    shown = cluster("pg1", standby_cluster={"host": "remote"})
    assert shown["members"][0]["role"] == "standby_leader"


def test_nobody_leads() -> None:
    shown = cluster("pg1", "pg2", leads=None)
    assert [m["role"] for m in shown["members"]] == ["replica", "replica"]


def test_a_member_of_which_little_is_known() -> None:
    """CTL-08, DCS-K8S-18: neither conn_url, api_url nor positions."""
    shown = cluster("pg1", member("pg2", conn_url=None, api_url=None, state="stopped"))
    assert shown["members"][1] == {
        "name": "pg2",
        "role": "replica",
        "state": "stopped",
        "receive_lag": "unknown",
        "receive_lsn": "unknown",
        "replay_lag": "unknown",
        "replay_lsn": "unknown",
        "lag": "unknown",
        "lsn": "unknown",
    }


def test_a_member_that_is_ahead_does_not_lag() -> None:
    """P-REST-10."""
    shown = cluster(
        "pg1", member("pg2", xlog_location=2000), status=LeaderStatus(optime=1000)
    )
    assert shown["members"][1]["lag"] == 0


@pytest.mark.parametrize(
    ("conn_url", "address"),
    [
        ("postgres://[fe80::1]:5433/postgres", ("fe80::1", 5433)),
        ("postgres://pg2/postgres", ("pg2", 5432)),
        ("postgres://pg2:port/postgres", (None, None)),
        ("what?", (None, None)),
    ],
)
def test_host_and_port(conn_url: str, address: tuple[Any, Any]) -> None:
    """REST-14: others wrote it."""
    shown = cluster("pg1", member("pg2", conn_url=conn_url))["members"][1]
    assert (shown.get("host"), shown.get("port")) == address


def test_what_a_person_should_know_of() -> None:
    """REST-14, P-REST-04, SCHED-01, PAUSE-04."""
    shown = cluster(
        member(
            "pg1",
            pending_restart=True,
            pending_restart_reason='{"max_connections": {"old_value": "1"}}',
            scheduled_restart='{"schedule": "2030-05-01T02:00:00+00:00"}',
        ),
        failover=FailoverRequest(
            leader="pg1",
            candidate=None,
            scheduled_at="2030-05-01T02:00:00+00:00",
            revision=1,
        ),
        paused=True,
    )
    assert shown["pause"] is True
    assert shown["scheduled_switchover"] == {
        "at": "2030-05-01T02:00:00+00:00",
        "from": "pg1",
    }
    first = shown["members"][0]
    assert first["pending_restart"] is True
    assert first["pending_restart_reason"] == {"max_connections": {"old_value": "1"}}
    assert first["scheduled_restart"] == {"schedule": "2030-05-01T02:00:00+00:00"}


def test_a_switchover_under_way_is_not_scheduled() -> None:
    """REST-14."""
    failover = FailoverRequest(
        leader="pg1", candidate="pg2", scheduled_at=None, revision=1
    )
    assert "scheduled_switchover" not in cluster("pg1", failover=failover)


def test_history() -> None:
    """REST-15: lines from before the feature are shorter."""
    told = leader(
        seen=seen(
            "pg1",
            history=(
                HistoryLine(timeline=1, lsn=100, reason="no recovery target specified"),
                HistoryLine(
                    timeline=2,
                    lsn=200,
                    reason="because",
                    at="2030-01-02T03:04:05+00:00",
                ),
                HistoryLine(
                    timeline=3,
                    lsn=300,
                    reason="x",
                    at="2030-01-02T03:04:05+00:00",
                    leader="pg2",
                ),
            ),
        )
    )
    assert json.loads(snapshot(told).history) == [
        [1, 100, "no recovery target specified"],
        [2, 200, "because", "2030-01-02T03:04:05+00:00"],
        [3, 300, "x", "2030-01-02T03:04:05+00:00", "pg2"],
    ]


def test_no_history_is_an_empty_one() -> None:
    """REST-15."""
    assert snapshot(leader(seen=seen("pg1", history=None))).history == "[]"


def test_failsafe() -> None:
    """P-FSAFE-04: 502 without the key."""
    listed = (FailsafeMember(name="pg1", api_url="http://pg1:8008/patroni"),)
    told = leader(seen=seen("pg1", failsafe=listed))
    assert json.loads(snapshot(told).failsafe or "") == {
        "pg1": "http://pg1:8008/patroni"
    }
    assert snapshot(leader()).failsafe is None


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ('{"ttl":30}', '{"ttl": 30}'),
        (None, None),
        ("[1]", "{}"),
        ("nonsense", "{}"),
    ],
)
def test_config(stored: str | None, shown: str | None) -> None:
    """REST-16, P-REST-13, CFG-17: what cannot be read counts as empty."""
    assert snapshot(leader(seen=seen("pg1", config=stored))).config == shown


def test_positions_are_written_as_postgresql_does() -> None:
    assert lsn_text((0x16 << 32) + 0xB374D848) == "16/B374D848"
