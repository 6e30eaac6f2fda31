"""The monitor: what it says of a server in each condition."""

import dataclasses
import json
import logging
import os
import re
import signal
import time

import pytest

from regnal.bridges.postgres.monitor_query import status_query
from regnal.messages.postgres import (
    PostgresObserved,
    PostgresPromoted,
    PostgresReloaded,
    PostgresStarted,
    PostgresStatus,
    PostgresStopped,
    PromotePostgres,
    ReloadPostgres,
    RestartPostgres,
    RunPrePromote,
    StartPostgres,
)
from tests.bridges.postgres.recorder import (
    START_PRIMARY,
    STOP_FAST,
    Driven,
    NewMember,
    now,
    start_standby,
    streams,
)
from tests.bridges.postgres.servers import sql

figures = logging.getLogger("figures")


@pytest.mark.parametrize("version", [90600, 100000, 110000, 130000, 170000, 180000])
def test_there_is_one_statement_for_each_version(version: int) -> None:
    """PG-22."""
    statement = status_query(version)

    assert statement.count("%s") == 1
    assert ("xlog" in statement) == (version < 100000)
    assert ("failover" in statement) == (version >= 170000)


@pytest.mark.server
def test_a_primary_is_observed(pair: tuple[Driven, Driven]) -> None:
    """PG-22, PG-23."""
    primary, _ = pair
    sql(primary.options, "SELECT pg_create_physical_replication_slot('s')")

    status = primary.observe()

    assert status.is_accepting
    assert status.is_primary
    assert status.timeline == 1
    assert status.write_lsn is not None
    assert status.position == status.write_lsn
    assert status.received_lsn is None
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00:00",
        status.postmaster_started_at or "",
    )
    assert [sender.application_name for sender in status.senders] == ["pg2"]
    assert status.senders[0].client_addr == "127.0.0.1"
    assert [slot.name for slot in status.slots] == ["s"]
    assert status.control is None
    assert not status.pending_restart


@pytest.mark.server
def test_a_standby_is_observed(pair: tuple[Driven, Driven]) -> None:
    primary, standby = pair
    sql(primary.options, "CREATE TABLE t ()")

    status = standby.observe_until(
        lambda status: status.replayed_at is not None, "replayed a commit"
    )

    assert status.is_standby
    assert status.timeline == 1
    assert status.replication_state == "streaming"
    assert status.received_lsn is not None
    assert status.replayed_lsn is not None
    assert status.receiver is not None
    assert status.receiver.sender_port == int(primary.options.port)
    assert status.primary_conninfo_host == "127.0.0.1"
    assert status.primary_conninfo_port == primary.options.port
    assert status.system_identifier == primary.observe().system_identifier


@pytest.mark.server
def test_a_standby_is_observed_without_new_connections(
    pair: tuple[Driven, Driven],
) -> None:
    """REPL-28, PG-21: neither a session nor a replication connection each time."""
    _, standby = pair
    standby.observe()

    pids = heartbeat_pids(standby)
    for _ in range(20):
        standby.observe()

    assert heartbeat_pids(standby) == pids
    assert len(pids) == 1


def heartbeat_pids(member: Driven) -> list[int]:
    rows = sql(
        member.options,
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'Patroni heartbeat'",
    )
    return [row[0] for row in rows]


@pytest.mark.server
def test_the_search_path_is_safe(primary: Driven) -> None:
    """P-PG-01: what somebody planted in public is not called."""
    sql(
        primary.options,
        "CREATE FUNCTION public.pg_is_in_recovery() RETURNS boolean"
        " LANGUAGE sql AS 'SELECT true'",
        "ALTER DATABASE postgres SET search_path = public, pg_catalog",
    )
    primary.do(
        RestartPostgres(role="primary", upstream=None, timeout=60.0), PostgresStarted
    )

    assert primary.observe().is_primary


@pytest.mark.server
def test_a_stopped_server_is_observed_by_its_control_file(
    new_member: NewMember,
) -> None:
    member = new_member.make()

    status = member.observe()

    assert status.process == "absent"
    assert status.data_directory == "valid"
    assert status.control is not None
    assert status.system_identifier == status.control.system_identifier
    assert status.timeline == 1


@pytest.mark.server
def test_a_server_that_does_not_answer_is_told_apart_from_a_dead_one(
    primary: Driven,
) -> None:
    """P-ELEC-07: with what was last known of it."""
    before = primary.observe()
    backend = heartbeat_pids(primary)[0]
    assert before.postmaster_pid is not None
    os.kill(backend, signal.SIGSTOP)
    os.kill(before.postmaster_pid, signal.SIGSTOP)
    try:
        status = primary.observe()
        assert status.process == "unresponsive"
        assert status.is_primary
        assert status.write_lsn == before.write_lsn
        assert status.postmaster_pid == before.postmaster_pid
    finally:
        os.kill(backend, signal.SIGCONT)
        os.kill(before.postmaster_pid, signal.SIGCONT)
    heard = len(primary.voice.said)
    primary.voice.wait_for(
        PostgresObserved,
        lambda said: (
            isinstance(said.message, PostgresObserved)
            and said.message.status.is_accepting
            and said.cause is None
        ),
        "observation that it answers again, unasked",
        heard,
    )


@pytest.mark.server
def test_a_server_that_restarts_by_itself_is_seen_at_once(primary: Driven) -> None:
    """A crashed backend makes the postmaster end all others and recover."""
    rows = sql(
        primary.options,
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'",
    )
    heard = len(primary.voice.said)

    os.kill(rows[0][0], signal.SIGKILL)

    primary.voice.wait_for(
        PostgresObserved,
        lambda said: (
            isinstance(said.message, PostgresObserved)
            and said.message.status.process in ("starting", "unresponsive")
        ),
        "observation that it does not accept connections",
        heard,
    )
    primary.voice.wait_for(
        PostgresObserved,
        lambda said: (
            isinstance(said.message, PostgresObserved)
            and said.message.status.is_primary
            and said.message.status.is_accepting
        ),
        "observation that it does again",
        heard,
    )


@pytest.mark.server
def test_the_loss_of_a_standby_is_seen_by_its_primary(
    pair: tuple[Driven, Driven],
) -> None:
    primary, standby = pair
    assert primary.observe().senders
    heard = len(primary.voice.said)
    began = now()

    os.kill(standby.observe().postmaster_pid or 0, signal.SIGKILL)

    _, said = primary.voice.wait_for(
        PostgresObserved,
        lambda said: (
            isinstance(said.message, PostgresObserved)
            and not said.message.status.senders
        ),
        "observation without senders",
        heard,
    )
    figures.info(f"loss of a standby seen after {(said.at - began) * 1000:.1f} ms")


@pytest.mark.server
def test_the_monitor_does_not_wait_for_the_operator(new_member: NewMember) -> None:
    member = new_member.make(pre_promote="sleep 600")
    member.do(START_PRIMARY, PostgresStarted)
    member.order(RunPrePromote())

    assert member.observe().is_accepting


@pytest.mark.server
def test_after_an_operation_it_is_observed_unasked(new_member: NewMember) -> None:
    member = new_member.make()
    heard = len(member.voice.said)

    member.do(START_PRIMARY, PostgresStarted)

    observed, _ = member.voice.wait_for(
        PostgresObserved,
        lambda said: (
            isinstance(said.message, PostgresObserved)
            and said.message.status.is_primary
        ),
        "observation of the started server",
        heard,
    )
    assert observed.status.server_version >= 150000


@pytest.mark.server
def test_what_was_asked_before_a_promotion_is_not_told_after_it(
    pair: tuple[Driven, Driven], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A primary that seems to be a standby loses its guard, and is promoted again."""
    _, standby = pair
    monitor = standby.bridge._monitor
    observe, asked = monitor.observe, standby.observe()

    def observe_for_long() -> PostgresStatus:
        monkeypatch.setattr(monitor, "observe", observe)
        standby.do(PromotePostgres(timeout=30.0), PostgresPromoted)
        return asked

    monkeypatch.setattr(monitor, "observe", observe_for_long)

    assert asked.is_standby
    assert standby.observe().is_primary


@pytest.mark.server
def test_a_cascading_standby_shows_the_timeline_that_it_replays(
    pair: tuple[Driven, Driven], new_member: NewMember
) -> None:
    """P-RWD-10."""
    primary, standby = pair
    third = new_member.copy(primary, "pg3")
    third.do(start_standby(standby), PostgresStarted)
    third.observe_until(streams, "streamed")
    assert third.observe().timeline == 1

    primary.do(STOP_FAST, PostgresStopped)
    standby.do(PromotePostgres(timeout=30.0), PostgresPromoted)

    third.observe_until(
        lambda status: status.timeline == 2 and streams(status), "was on timeline 2"
    )


@pytest.mark.server
def test_a_restart_that_is_pending_is_told_with_its_reasons(primary: Driven) -> None:
    options = primary.with_parameters(shared_buffers="32MB", max_connections="42")
    primary.bridge.reconfigure(options)
    primary.do(ReloadPostgres(), PostgresReloaded)

    status = primary.observe()

    assert status.pending_restart
    reason = json.loads(status.pending_restart_reason or "{}")
    assert reason["max_connections"] == {"old_value": "100", "new_value": "42"}
    assert reason["shared_buffers"]["old_value"] == "16MB"
    assert reason["shared_buffers"]["new_value"] == "32MB"
    primary.do(
        RestartPostgres(role="primary", upstream=None, timeout=60.0), PostgresStarted
    )
    assert not primary.observe().pending_restart


@pytest.mark.server
def test_a_standby_that_starts_with_more_than_configured_is_pending(
    pair: tuple[Driven, Driven],
) -> None:
    """REPL-30."""
    primary, standby = pair
    primary.bridge.reconfigure(primary.with_parameters(max_connections="150"))
    standby.do(STOP_FAST, PostgresStopped)
    primary.do(
        RestartPostgres(role="primary", upstream=None, timeout=60.0), PostgresStarted
    )
    standby.do(start_standby(primary), PostgresStarted)
    sql(primary.options, "CHECKPOINT")
    # It replays the change, and may not start again with less.
    standby.observe_until(
        lambda status: status.replay_paused or not status.is_accepting, "noticed"
    )
    standby.do(STOP_FAST, PostgresStopped)

    standby.do(start_standby(primary), PostgresStarted)

    status = standby.observe()
    assert json.loads(status.pending_restart_reason or "{}") == {
        "max_connections": {"old_value": "150", "new_value": "100"}
    }


@pytest.mark.server
def test_a_heartbeat_costs_little(pair: tuple[Driven, Driven]) -> None:
    for member in pair:
        member.observe()
        times = []
        began_cpu = time.process_time()
        for _ in range(50):
            began = now()
            member.observe()
            times.append((now() - began) * 1000)
        cpu = (time.process_time() - began_cpu) / 50 * 1000
        figures.info(
            f"{member.options.name}: observation {sorted(times)[25]:.1f} ms,"
            f" of it {cpu:.1f} ms of our CPU"
        )
        assert sorted(times)[25] < 50


@pytest.mark.server
def test_a_server_without_our_account_is_not_taken_for_dead(
    new_member: NewMember,
) -> None:
    """PG-13."""
    member = new_member.make()
    stranger = dataclasses.replace(member.options.superuser, password="wrong")
    member.bridge.reconfigure(dataclasses.replace(member.options, superuser=stranger))

    started = member.do(START_PRIMARY, PostgresStarted)

    assert started.role == "primary"
    status = member.observe()
    assert status.process == "unresponsive"
    assert status.postmaster_pid == started.postmaster_pid
    assert status.in_recovery is None


@pytest.mark.server
def test_a_standby_without_upstream_accepts_connections(new_member: NewMember) -> None:
    member = new_member.make()

    member.do(
        StartPostgres(role="standby", upstream=None, timeout=60.0), PostgresStarted
    )

    status = member.observe()
    assert status.is_standby
    assert status.timeline == 1
    assert status.replication_state == "in archive recovery"
    assert status.primary_conninfo_host is None
