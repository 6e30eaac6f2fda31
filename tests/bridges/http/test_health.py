"""Health checks: every row of the table in docs/contracts.md 4.2."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.http.health import (
    CHECKS,
    NO_PARAMETERS,
    Moment,
    is_alive,
    is_ready,
    parse_question,
    parse_size,
    passes,
)
from regnal.messages.status import StatusSnapshot, TagText
from tests.bridges.http import running

NOW = 1000.0
LEASED = {"leader_until": NOW + 1}

PRIMARY = running.primary(**LEASED)
REPLICA = running.replica()
STANDBY_LEADER = running.replica(
    role="standby_leader", is_replica=False, is_standby_cluster=True, **LEASED
)
SYNC = running.replica(is_synchronous=True)
QUORUM = running.replica(is_quorum=True)
STOPPED = running.snapshot(state="stopped", role="demoted", store_known=True)

PRIMARY_CHECKS = {"", "primary", "master", "read-write"}
STANDBY_LEADER_CHECKS = {"standby-leader", "standby_leader"}
COMBINED = {"read-only-sync", "read-only-synchronous", "read-only-quorum"}


def passing(shown: StatusSnapshot, query: str = "", **fields: Any) -> set[str]:
    """The checks that answer 200."""
    moment = Moment(shown.model_copy(update=fields), False, NOW, parse_question(query))
    return {name for name in (*CHECKS, "unknown", "patroni2") if passes(name, moment)}


def moment(shown: StatusSnapshot, query: str = "", **fields: Any) -> Moment:
    return Moment(shown.model_copy(update=fields), False, NOW, parse_question(query))


@pytest.mark.parametrize(
    ("shown", "checks"),
    [
        pytest.param(
            PRIMARY,
            PRIMARY_CHECKS | {"leader", "read-only", "health"} | COMBINED,
            id="primary",
        ),
        pytest.param(
            STANDBY_LEADER,
            STANDBY_LEADER_CHECKS | {"leader", "read-only", "health"} | COMBINED,
            id="standby leader",
        ),
        pytest.param(
            REPLICA,
            {"replica", "read-only", "asynchronous", "async", "health"},
            id="replica",
        ),
        pytest.param(
            SYNC,
            {
                "replica",
                "read-only",
                "synchronous",
                "sync",
                "read-only-sync",
                "read-only-synchronous",
                "health",
            },
            id="synchronous standby",
        ),
        pytest.param(
            QUORUM,
            {"replica", "read-only", "quorum", "read-only-quorum", "health"},
            id="quorum standby",
        ),
        pytest.param(STOPPED, set(), id="stopped"),
    ],
)
def test_which_checks_pass(shown: StatusSnapshot, checks: set[str]) -> None:
    """REST-02 to REST-09, P-REST-06; an unknown path never does."""
    assert passing(shown) == checks


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"leader_until": NOW}, id="the lease has ended"),
        pytest.param({"leader_until": 0}, id="no lease"),
    ],
)
def test_a_primary_without_a_lease_is_none(fields: dict[str, Any]) -> None:
    """REST-02, REST-26, law 6: the role alone is nothing."""
    assert passing(PRIMARY, **fields) == {"health"}


def test_a_primary_that_takes_no_writes_is_none() -> None:
    """REST-02: it holds the lock, and starts or stops."""
    assert not PRIMARY_CHECKS & passing(PRIMARY, accepts_writes=False)
    assert "leader" in passing(PRIMARY, accepts_writes=False)


def test_a_withdrawn_primary_is_none_whatever_the_snapshot_says() -> None:
    """REST-26, law 6."""
    withdrawn = Moment(PRIMARY, True, NOW)
    assert {name for name in CHECKS if passes(name, withdrawn)} == {"health"}


def test_the_leader_of_a_standby_cluster_is_no_primary() -> None:
    """REST-02, REST-03, REST-04, SBY-13, SBY-14."""
    assert not PRIMARY_CHECKS & passing(STANDBY_LEADER, accepts_writes=True)
    assert not STANDBY_LEADER_CHECKS & passing(PRIMARY)


@given(st.floats(0, 2000), st.floats(0, 2000), st.booleans())
def test_law_6(now: float, until: float, withdrawn: bool) -> None:
    """A primary check passes only while the lease lasts."""
    shown = PRIMARY.model_copy(update={"leader_until": until})
    assert passes("primary", Moment(shown, withdrawn, now)) == (
        now < until and not withdrawn
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"noloadbalance": True},
        {"is_running": False},
        {"is_replica": False},
    ],
)
def test_what_a_replica_must_be(fields: dict[str, Any]) -> None:
    """REST-05, REST-07."""
    assert passing(SYNC, **fields) <= {"health"}


def test_synchrony_needs_the_store() -> None:
    """REST-07: who is listed may have changed."""
    needing = {"sync", "synchronous", "async", "asynchronous", "quorum"} | COMBINED
    for shown in (PRIMARY, REPLICA, SYNC, QUORUM):
        assert not needing & passing(shown, store_known=False)


@pytest.mark.parametrize(
    ("shown", "checks"),
    [
        pytest.param(
            running.primary(leader_until=0, paused_primary=True),
            PRIMARY_CHECKS | {"leader", "read-only", "health"},
            id="primary",
        ),
        pytest.param(REPLICA, {"replica", "read-only", "health"}, id="replica"),
        pytest.param(
            STANDBY_LEADER,
            STANDBY_LEADER_CHECKS | {"leader", "read-only", "health"},
            id="standby leader",
        ),
    ],
)
def test_in_pause_without_the_store_the_role_decides(
    shown: StatusSnapshot, checks: set[str]
) -> None:
    """PAUSE-14."""
    assert passing(shown, paused=True, store_known=False) == checks


@pytest.mark.parametrize(
    ("lag", "passes"),
    [
        ("50", False),
        ("99", False),
        ("100", True),
        ("1kB", True),
        ("0.05kB", False),
        ("nonsense", True),
        ("", True),
        ("-1", True),
        ("10 XB", True),
    ],
)
def test_lag_limits_replicas(lag: str, passes: bool) -> None:
    """REST-06: what cannot be read is no limit."""
    behind = running.replica(leader_lsn=1100)
    checks = {"replica", "async", "asynchronous", "read-only"}
    assert passing(behind, f"lag={lag}") == (
        checks | {"health"} if passes else {"health"}
    )


def test_lag_does_not_limit_the_primary() -> None:
    """REST-06."""
    assert "read-only" in passing(PRIMARY, "lag=0", leader_lsn=10**9)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16", 16),
        ("16kB", 16384),
        ("64MB", 64 << 20),
        ("1GB", 1 << 30),
        ("2TB", 2 << 40),
        ("1.5kB", 1536),
        (" 7 ", 7),
        ("16KB", None),
        ("1e3", None),
        ("٣", None),
        ("9" * 400, None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    """REST-06."""
    assert parse_size(text) == size


TAGGED = {"tags": (TagText(name="zone", value="a"), TagText(name="ssd", value="true"))}


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        ("tag_zone=a", True),
        ("tag_zone=a&tag_ssd=true", True),
        ("tag_zone=b", False),
        ("tag_zone=a&tag_zone=b", False),
        ("tag_rack=a", False),
        ("tag_zone=", False),
        ("tag_zone=%61", True),
    ],
)
def test_tags_must_be_there_with_their_value(query: str, passes: bool) -> None:
    """REST-10, CFG-39: several are all demanded."""
    checks = {"replica", "read-only", "async", "asynchronous", "health"}
    assert passing(REPLICA, query, **TAGGED) == (checks if passes else set())


def test_the_checks_of_the_leader_ignore_tags() -> None:
    """REST-10."""
    leading = PRIMARY_CHECKS | {"leader"}
    assert passing(PRIMARY, "tag_zone=b", **TAGGED) == leading
    assert passing(STANDBY_LEADER, "tag_zone=b") == STANDBY_LEADER_CHECKS | {"leader"}


def test_the_replication_state_can_be_demanded() -> None:
    """P-REST-09."""
    assert "replica" in passing(REPLICA, "replication_state=streaming")
    assert "replica" not in passing(REPLICA, "replication_state=in+archive+recovery")


@pytest.mark.parametrize(
    ("shown", "quiet", "alive"),
    [
        pytest.param(PRIMARY, 29, True, id="primary in time"),
        pytest.param(PRIMARY, 30, False, id="primary late"),
        pytest.param(REPLICA, 59, True, id="replica in time"),
        pytest.param(REPLICA, 60, False, id="replica late"),
    ],
)
def test_liveness(shown: StatusSnapshot, quiet: float, alive: bool) -> None:
    """REST-12, P-REST-07."""
    at = moment(shown, ttl=30, heartbeat_at=NOW - quiet)
    assert is_alive(at) is alive
    assert is_alive(moment(shown, ttl=30, heartbeat_at=NOW - quiet, paused=True))


@pytest.mark.parametrize(
    ("shown", "query", "fields", "ready"),
    [
        pytest.param(PRIMARY, "", {}, True, id="leader"),
        pytest.param(STANDBY_LEADER, "", {}, True, id="standby leader"),
        pytest.param(REPLICA, "", {}, True, id="replica"),
        pytest.param(REPLICA, "", {"noloadbalance": True}, True, id="noloadbalance"),
        pytest.param(
            REPLICA,
            "",
            {"replication_state": "in archive recovery"},
            False,
            id="archive",
        ),
        pytest.param(REPLICA, "", {"is_running": False}, False, id="not running"),
        pytest.param(REPLICA, "", {"leader_lsn": 1000 + 1048577}, False, id="lags"),
        pytest.param(REPLICA, "", {"leader_lsn": 1000 + 1048576}, True, id="just not"),
        pytest.param(REPLICA, "lag=10", {"leader_lsn": 1011}, False, id="own limit"),
        pytest.param(REPLICA, "lag=10", {"replayed_lsn": 900}, False, id="to apply"),
        pytest.param(
            REPLICA, "lag=10&mode=apply", {"replayed_lsn": 900}, False, id="apply"
        ),
        pytest.param(
            REPLICA, "lag=10&mode=write", {"replayed_lsn": 900}, True, id="write"
        ),
        pytest.param(STOPPED, "", {}, False, id="stopped"),
    ],
)
def test_readiness(
    shown: StatusSnapshot, query: str, fields: dict[str, Any], ready: bool
) -> None:
    """REST-11, P-REST-08."""
    assert is_ready(moment(shown, query, **fields)) is ready


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="Max number of fields"):
        parse_question("&".join(f"tag_{n}=x" for n in range(101)))


@given(st.text(max_size=60))
def test_no_query_does_harm(query: str) -> None:
    parse_question(query)


def test_no_parameters() -> None:
    assert parse_question("") == NO_PARAMETERS
