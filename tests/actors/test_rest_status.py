"""What the REST API shows of this member, and when it is told (docs/contracts.md 4.3)."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from regnal.actors.rest import REST
from regnal.actors.rest_state import Rest
from regnal.messages.base import Message
from regnal.messages.cluster import (
    FailsafeMember,
    KeyWritten,
    LeaderStatus,
    StoreAnswered,
    StoreUnreachable,
    SyncState,
)
from regnal.messages.daemon import ShutdownRequested
from regnal.messages.fencing import (
    DisableWatchdog,
    FencingJudged,
    WatchdogActivated,
    WatchdogFailed,
)
from regnal.messages.lease import (
    LeaderHandedOver,
    LeaderReleased,
    LeaseRefused,
    LeaseUnconfirmed,
)
from regnal.messages.operations import DemotePostgres, IntentFailed
from regnal.messages.postgres import PostgresPromoted, PostmasterExited, WalReceiver
from regnal.messages.probes import FailsafeAnswered, FailsafeVote
from regnal.messages.reasons import because
from regnal.messages.status import PublishStatus, TagText, WithdrawPrimary
from regnal.messages.timers import SetTimer, TimerFired
from tests.actors.builders import (
    SYSTEM,
    Told,
    acquired,
    begun,
    configured,
    phase,
    primary,
    renewed,
    seen,
    sender,
    standby,
    tags,
)
from tests.actors.rest_requests import leader, replica, restart, snapshot, switchover

REASON = because("LEASE_GONE")
DEMOTE = DemotePostgres(mode="immediate", reason=REASON)
BEAT = SetTimer(name="heartbeat", at=110.0)
CRASH = PostmasterExited(
    pid=1, exit_status=None, signal=9, expected=False, control=None
)
AGREED = FailsafeAnswered(
    votes=(FailsafeVote(name="pg2", accepted=True),), asked_at=120.0
)


def document(told: Told[Rest]) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(snapshot(told).document)
    return shown


def metrics(told: Told[Rest]) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(snapshot(told).metrics)
    return values


# The document.


def test_the_document_of_a_primary() -> None:
    """REST-01, REST-13, P-REST-02."""
    told = leader(
        primary(
            postmaster_started_at="2030-04-30T11:02:03.123456+00:00",
            write_lsn=83886408,
            timeline=3,
            senders=(sender("pg2", sync_state="sync", sync_priority=1),),
        )
    )
    assert document(told) == {
        "state": "running",
        "postmaster_start_time": "2030-04-30 11:02:03.123456+00:00",
        "role": "primary",
        "server_version": 150018,
        "xlog": {"location": 83886408},
        "timeline": 3,
        "replication": [
            {
                "usename": "replicator",
                "application_name": "pg2",
                "client_addr": None,
                "state": "streaming",
                "sync_state": "sync",
                "sync_priority": 1,
            }
        ],
        "database_system_identifier": SYSTEM,
        "patroni": {"version": "4.1.5", "scope": "demo", "name": "pg1"},
    }


def test_the_document_of_a_replica() -> None:
    """REST-01, P-REST-03, P-REST-04; the names are those that the race reads."""
    told = replica(
        standby(
            replayed_at="2030-04-30T12:00:00+00:00",
            pending_restart=True,
            pending_restart_reason='{"max_connections": {"old_value": "100"}}',
        ),
        tags=tags(document='{"clonefrom": true}'),
        paused=True,
    )
    shown = document(told)
    assert shown["role"] == "replica"
    assert shown["xlog"] == {
        "received_location": 900,
        "replayed_location": 890,
        "replayed_timestamp": "2030-04-30 12:00:00.000000+00:00",
        "paused": False,
    }
    assert shown["replication_state"] == "streaming"
    assert shown["tags"] == {"clonefrom": True}
    assert shown["pause"] is True
    assert shown["pending_restart"] is True
    assert shown["pending_restart_reason"] == {"max_connections": {"old_value": "100"}}
    assert "replication" not in shown
    assert "cluster_unlocked" not in shown


def test_a_replica_from_the_archive() -> None:
    """P-REST-03."""
    told = replica(standby(receiver=None, received_lsn=None))
    assert document(told)["replication_state"] == "in archive recovery"
    assert document(told)["xlog"]["received_location"] == 0


def test_without_an_answer_only_the_outline_is_known() -> None:
    """REST-01, REST-28: state, role and what is known of the cluster."""
    shown = document(leader(primary(process="unresponsive")))
    assert (shown["state"], shown["role"]) == ("unknown", "primary")
    assert not {"xlog", "server_version", "timeline"} & shown.keys()
    assert shown["patroni"]["name"] == "pg1"


@pytest.mark.parametrize(
    ("mode", "standbys", "key"),
    [
        ("on", ("pg2",), "sync_standby"),
        ("on", ("PG2",), "sync_standby"),
        ("quorum", ("pg2", "pg3"), "quorum_standby"),
        ("off", ("pg2",), None),
        ("on", ("pg3",), None),
    ],
)
def test_synchronous_standbys_are_shown(
    mode: str, standbys: tuple[str, ...], key: str | None
) -> None:
    """REST-01, REST-07."""
    sync = SyncState(leader="pg1", standbys=standbys, quorum=0, revision=1)
    told = replica(seen=seen("pg1", "pg2", "pg3", sync=sync), synchronous_mode=mode)
    shown = {"sync_standby", "quorum_standby"} & document(told).keys()
    assert shown == ({key} if key else set())
    assert snapshot(told).is_synchronous is (key == "sync_standby")
    assert snapshot(told).is_quorum is (key == "quorum_standby")
    assert metrics(told)["patroni_sync_standby"] == int(key == "sync_standby")


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(begun(REST, configured(), primary()), id="nothing was heard"),
        pytest.param(leader(seen("pg1", leader=None)), id="no leader"),
        pytest.param(
            leader(StoreUnreachable(error="timeout", unanswered_for=11)), id="no store"
        ),
    ],
)
def test_a_cluster_without_leader_is_unlocked(told: Told[Rest]) -> None:
    """REST-27."""
    assert document(told)["cluster_unlocked"] is True
    assert metrics(told)["patroni_cluster_unlocked"] == 1


def test_fencing_that_does_not_work_is_shown() -> None:
    """REST-01, WDOG-04: a watchdog that is required, and the guard."""
    reason = because("WATCHDOG_FAILED", error="no device")
    told = leader(FencingJudged(verdict="failed", reason=reason))
    assert document(told)["watchdog_failed"] is True
    works_again = told.hear(FencingJudged(verdict="stands"))
    assert "watchdog_failed" not in document(works_again)
    optional = leader(WatchdogFailed(error="no device"), watchdog_mode="automatic")
    assert "watchdog_failed" not in document(optional)


def test_the_first_snapshot_has_all_metrics() -> None:
    """P-REST-25, METRICS-02, P-REST-21."""
    values = metrics(begun(REST, configured(failsafe_mode=True)))
    assert values["patroni_version"] == "040105"
    assert values["patroni_postgres_running"] == 0
    assert values["patroni_failsafe_mode_enabled"] == 1


def test_metrics_of_a_primary_and_of_a_replica() -> None:
    """METRICS-01, METRICS-02, P-REST-21, P-FSAFE-13."""
    listed = (FailsafeMember(name="pg1", api_url="http://pg1:8008/patroni"),)
    values = metrics(leader(seen("pg1", failsafe=listed)))
    assert values["patroni_primary"] == values["patroni_master"] == 1
    assert values["patroni_xlog_location"] == 1000
    assert "patroni_xlog_received_location" not in values
    assert values["patroni_failsafe_member"] == 1
    values = metrics(replica(standby(replayed_at="2030-03-17T17:46:40+00:00")))
    assert values["patroni_replica"] == values["patroni_postgres_streaming"] == 1
    assert values["patroni_xlog_received_location"] == 900
    assert values["patroni_xlog_replayed_timestamp"] == 1_900_000_000
    assert "patroni_xlog_location" not in values


@pytest.mark.parametrize(
    ("state", "number"), [("running", 5), ("creating replica", 4), ("crashed", 14)]
)
def test_states_have_numbers(state: str, number: int) -> None:
    """P-REST-21: they never change."""
    told = replica(phase("standby", state=state))
    assert metrics(told)["patroni_postgres_state"] == number


def test_tags_are_texts_to_compare_with() -> None:
    """REST-10: what is no text is in lower case."""
    document = '{"zone": "A", "nosync": true, "n": 5}'
    told = replica(tags=tags(document=document, noloadbalance=True))
    assert snapshot(told).tags == (
        TagText(name="zone", value="A"),
        TagText(name="nosync", value="true"),
        TagText(name="n", value="5"),
    )
    assert snapshot(told).noloadbalance


@pytest.mark.parametrize(
    ("stored", "upstream", "leader_lsn"), [(950, 900, 950), (850, 900, 900)]
)
def test_lag_counts_from_what_is_known_of_the_leader(
    stored: int, upstream: int, leader_lsn: int
) -> None:
    """REST-06, P-REST-12."""
    receiver = WalReceiver(
        status="streaming",
        sender_host="pg1",
        sender_port=5432,
        slot_name=None,
        latest_end_lsn=upstream,
    )
    told = replica(
        seen("pg1", "pg2", status=LeaderStatus(optime=stored)),
        standby(receiver=receiver),
    )
    assert snapshot(told).leader_lsn == leader_lsn


# Who is the primary, and until when.


def test_a_leader_is_shown_as_long_as_its_lease_lets_it_write() -> None:
    """REST-02, law 6."""
    told = leader()
    assert snapshot(told).leader_until == 125.0
    assert snapshot(told).accepts_writes
    assert snapshot(told.hear(renewed(140.0))).leader_until == 135.0


def test_a_leader_is_shown_until_it_must_step_down() -> None:
    """Law 6: whoever asks a member that is stuck is not told yes beyond law 1; with a
    hardware watchdog that is earlier, in pause and in a standby cluster at the end."""
    with_device = leader().hear(WatchdogActivated(timeout=25))
    assert snapshot(with_device.hear(renewed(140.0))).leader_until == 130.0
    without = with_device.hear(DisableWatchdog(), renewed(141.0))
    assert snapshot(without).leader_until == 136.0
    assert snapshot(leader(paused=True)).leader_until == 130.0


@pytest.mark.parametrize(
    "news",
    [
        pytest.param(DEMOTE, id="demoted"),
        pytest.param(LeaseRefused(action="renew", holder="pg2"), id="lock lost"),
        pytest.param(LeaderReleased(member="pg1"), id="released"),
        pytest.param(LeaderHandedOver(to="pg2"), id="handed over"),
        pytest.param(
            LeaseUnconfirmed(action="release", error="timeout"), id="let go of"
        ),
        pytest.param(ShutdownRequested(signal=15), id="the daemon stops"),
        pytest.param(CRASH, id="PostgreSQL crashed"),
        pytest.param(phase("stopping", "primary", "stopping"), id="it stops"),
    ],
)
def test_the_primary_is_withdrawn_at_once(news: Message) -> None:
    """REST-26, ELEC-06, law 6."""
    told = leader().hear(news)
    assert isinstance(told.said[0], WithdrawPrimary)
    shown = snapshot(told)
    assert not (shown.accepts_writes and shown.leader_until > 100.0)


def test_a_renewal_without_an_answer_changes_nothing() -> None:
    """Law 6: the lease is ours until it ends; the server looks at the clock."""
    told = leader().hear(LeaseUnconfirmed(action="renew", error="timeout"))
    assert snapshot(told).leader_until == 125.0
    assert not told.of(WithdrawPrimary)


def test_the_lease_is_kept_while_demoting_but_not_shown() -> None:
    """REST-26: a graceful stop goes on renewing."""
    told = leader(DEMOTE).hear(renewed(150.0))
    assert snapshot(told).leader_until == 0


def test_a_demotion_that_failed_leaves_a_primary() -> None:
    told = leader(DEMOTE).hear(
        IntentFailed(intent="demote_postgres", reason=REASON), renewed(150.0)
    )
    assert snapshot(told).accepts_writes
    assert snapshot(told).leader_until == 145.0


def test_the_role_stays_primary_until_it_has_stopped() -> None:
    """REST-25: monitors and callbacks see a consistent order."""
    told = leader(
        DEMOTE, phase("stopping", "primary", "stopping", intent="demote_postgres")
    )
    assert document(told)["state"] == "stopping"
    assert snapshot(told).accepts_writes is False


def test_a_promotion_is_shown_in_the_same_step() -> None:
    """Flow 3: a load balancer must not wait for the next look at PostgreSQL."""
    told = replica(acquired(130.0, "pg2"), phase("promoting", "standby")).hear()
    assert document(told)["role"] == "promoted"
    assert not snapshot(told).accepts_writes
    promoted = told.hear(PostgresPromoted(timeline=2, lsn=1000, history=()))
    (published,) = promoted.of(PublishStatus)
    assert published.snapshot.accepts_writes
    assert published.snapshot.role == "primary"


def test_a_standby_cluster_has_no_primary() -> None:
    """REST-04, SBY-14."""
    told = begun(
        REST,
        configured(standby_cluster={"host": "remote"}),
        standby(),
        phase("standby"),
        seen("pg1", "pg2"),
        acquired(130.0),
    )
    assert snapshot(told).is_standby_cluster
    assert snapshot(told).role == "standby_leader"
    assert not told.state.serves_writes(100.0)


def test_in_pause_without_the_store_the_role_decides() -> None:
    """PAUSE-14."""
    told = leader(
        LeaderReleased(member="pg1"),
        StoreUnreachable(error="timeout", unanswered_for=11),
        paused=True,
    )
    assert snapshot(told).paused_primary
    assert not snapshot(told.hear(StoreAnswered())).paused_primary


# Failsafe mode on the primary.


def test_all_members_together_prolong_what_is_shown() -> None:
    """P-FSAFE-01, P-FSAFE-10."""
    told = leader(failsafe_mode=True).hear(AGREED, at=121.0)
    assert snapshot(told).leader_until == 145.0
    assert document(told)["failsafe_mode_is_active"] is True
    over = told.hear(renewed(160.0), at=130.0)
    assert "failsafe_mode_is_active" not in document(over)


@pytest.mark.parametrize(
    ("given", "answered", "at"),
    [
        pytest.param(leader(), AGREED, 121.0, id="the mode is off"),
        pytest.param(
            leader(failsafe_mode=True),
            FailsafeAnswered(
                votes=(
                    FailsafeVote(name="pg2", accepted=True),
                    FailsafeVote(name="pg3", accepted=False),
                ),
                asked_at=120.0,
            ),
            121.0,
            id="one is missing",
        ),
        pytest.param(leader(failsafe_mode=True), AGREED, 131.0, id="too late"),
    ],
)
def test_nothing_less_prolongs_it(
    given: Told[Rest], answered: FailsafeAnswered, at: float
) -> None:
    """P-FSAFE-05, law 6."""
    assert given.hear(answered, at=at).state.lease_until == 130.0


# When it is told.


def test_an_idle_leader_publishes_once_a_beat() -> None:
    told = leader(primary(), BEAT, renewed(140.0)).hear(at=110.0)
    count = 0
    for step in (
        told.hear(BEAT),
        told.hear(BEAT, primary()),
        told.hear(BEAT, primary(), renewed(150.0)),
    ):
        count += len(step.of(PublishStatus))
    assert count == 1


def test_an_idle_replica_publishes_once_a_beat() -> None:
    """P-REST-07: that election thinks is the news."""
    told = replica(standby(), BEAT).hear(BEAT, at=110.0)
    assert len(told.of(PublishStatus)) == 1
    assert snapshot(told).heartbeat_at == 110.0
    assert not told.hear(standby(), KeyWritten(key="member", revision=1)).said


@pytest.mark.parametrize(
    "news",
    [
        pytest.param(SetTimer(name="election:wake", at=1.0), id="a timer"),
        pytest.param(KeyWritten(key="member", revision=1), id="a key"),
        pytest.param(TimerFired(name="other", due_at=1.0), id="a timer fired"),
        pytest.param(standby(), id="the same PostgreSQL"),
    ],
)
def test_what_changes_nothing_is_not_published(news: Message) -> None:
    assert not replica().hear(news).said


def test_a_position_is_news() -> None:
    """REST-06: lag is compared with it."""
    told = replica().hear(standby(replayed_lsn=895))
    assert snapshot(told).replayed_lsn == 895
    assert told.said


def test_nothing_is_published_before_the_settings_are_known() -> None:
    assert not begun(REST, primary(), phase("primary")).all_said


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(renewed(150.0), id="lease"),
        pytest.param(KeyWritten(key="member", revision=1), id="key"),
        pytest.param(StoreAnswered(), id="back again"),
        pytest.param(LeaseRefused(action="acquire", holder="pg2"), id="a no, too"),
    ],
)
def test_any_answer_of_the_store_is_a_contact(answer: Message) -> None:
    """P-REST-01: Unix time."""
    told = leader().hear(answer, at=500.0)
    assert told.state.dcs_last_seen == 1_900_000_500


# A store that does not answer.


def test_a_hiccup_of_the_store_is_no_outage() -> None:
    """REST-29: /sync and its like go on for retry_timeout."""
    told = replica().hear(StoreUnreachable(error="reset", unanswered_for=1))
    assert snapshot(told).store_known
    (timer,) = told.of(SetTimer)
    assert timer.at == 109.0
    fired = TimerFired(name=timer.name, due_at=timer.at)
    assert not snapshot(told.hear(fired, at=109.0)).store_known
    assert snapshot(told.hear(StoreAnswered(), fired, at=109.0)).store_known


def test_a_store_that_answers_is_known_again() -> None:
    told = replica(StoreUnreachable(error="timeout", unanswered_for=11))
    assert not snapshot(told).store_known
    assert snapshot(told.hear(seen("pg1", "pg2"))).store_known


def test_a_daemon_that_has_just_started_is_alive() -> None:
    """P-REST-07: liveness counts from the start."""
    assert snapshot(begun(REST, configured())).heartbeat_at == 100.0


# The state itself.


@pytest.mark.parametrize(
    "told",
    [
        begun(REST),
        leader(
            switchover(), restart(request="r2"), restart(schedule="2030-05-01T00:00Z")
        ),
        replica(tags=tags(document='{"a": 1}')),
    ],
)
def test_the_state_can_be_written_and_read(told: Told[Rest]) -> None:
    """A snapshot of it begins each segment of the journal."""
    adapter = TypeAdapter(Rest)
    assert adapter.validate_json(adapter.dump_json(told.state)) == told.state
