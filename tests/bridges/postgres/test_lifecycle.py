"""Starting, stopping, crashing, promoting and following, on real servers.

The limits in milliseconds are several times what an idle machine needs; the times
themselves are logged (pytest --log-cli-level=INFO).
"""

import dataclasses
import logging
import os
import signal
import threading
from pathlib import Path

import pytest

from regnal.bridges.postgres.pid_file import read_pid_file
from regnal.bridges.postgres.postmaster import orphans
from regnal.messages.postgres import (
    CancelOperation,
    CheckpointDone,
    CheckpointPostgres,
    FollowUpstream,
    OperationCancelled,
    OperationFailed,
    PostgresPromoted,
    PostgresReloaded,
    PostgresStarted,
    PostgresStopped,
    PostmasterExited,
    PrePromoteEnded,
    PromotePostgres,
    ReloadPostgres,
    ReplicationEnded,
    RestartPostgres,
    RunPrePromote,
    SetSynchronousStandbys,
    ShutdownCheckpointed,
    StartPostgres,
    StopPostgres,
    SynchronousStandbysSet,
    UpstreamFollowed,
)
from tests.bridges.postgres.recorder import (
    START_PRIMARY,
    STOP_FAST,
    Driven,
    NewMember,
    now,
    start_standby,
    streams,
    upstream_of,
)
from tests.bridges.postgres.servers import sql

pytestmark = pytest.mark.server
figures = logging.getLogger("figures")
PROMOTE = PromotePostgres(timeout=30.0)


def milliseconds_since(began: float) -> float:
    return (now() - began) * 1000


def postmaster_pid(member: Driven) -> int:
    pid = member.observe().postmaster_pid
    assert pid is not None
    return pid


def test_a_started_primary_accepts_writes(new_member: NewMember) -> None:
    """PG-05, PG-12, PG-15."""
    member = new_member.make()
    began = now()

    started = member.do(START_PRIMARY, PostgresStarted)

    figures.info(f"start: {milliseconds_since(began):.0f} ms")
    assert started.role == "primary"
    assert os.getsid(started.postmaster_pid) == started.postmaster_pid
    sql(member.options, "CREATE TABLE t ()")


def test_a_server_that_runs_is_not_started_again(primary: Driven) -> None:
    before = postmaster_pid(primary)

    again = primary.do(START_PRIMARY, PostgresStarted)

    assert again.postmaster_pid == before


def test_a_server_that_cannot_start_says_so_at_once(new_member: NewMember) -> None:
    member = new_member.make()
    (member.options.data_dir / "global" / "pg_control").write_bytes(b"x" * 8192)
    began = now()

    failed = member.do(START_PRIMARY, OperationFailed)

    assert failed.reason.code == "START_FAILED"
    assert milliseconds_since(began) < 5000


def test_the_end_of_the_postmaster_is_known_within_milliseconds(
    primary: Driven,
) -> None:
    """PG-14: also its signal, and none of its children is left then."""
    pid = postmaster_pid(primary)
    busy = threading.Thread(target=run_until_killed, args=(primary,))
    busy.start()
    primary.observe()
    heard = len(primary.voice.said)
    began = now()

    os.kill(pid, signal.SIGKILL)
    exited, said = primary.voice.wait_for(
        PostmasterExited, lambda _: True, "end of the postmaster", heard
    )

    figures.info(f"SIGKILL to PostmasterExited: {(said.at - began) * 1000:.1f} ms")
    assert said.at - began < 0.1
    assert exited.pid == pid
    assert exited.signal == signal.SIGKILL
    assert not exited.expected
    assert exited.control is not None
    assert exited.control.state == "in production"
    assert orphans(primary.options.data_dir) == ()
    assert primary.observe().process == "absent"
    busy.join()


def run_until_killed(member: Driven) -> None:
    with pytest.raises(Exception, match=r"connection|terminat"):
        sql(member.options, "SELECT sum(a) FROM generate_series(1, 1000000000) AS a")


def test_after_a_crash_it_starts_again(primary: Driven) -> None:
    os.kill(postmaster_pid(primary), signal.SIGKILL)
    # As the supervisor does: it orders nothing before it knows of the end.
    primary.voice.wait_for(PostmasterExited, lambda _: True, "end of it")

    primary.do(START_PRIMARY, PostgresStarted)

    assert primary.observe().is_primary


def test_a_recycled_pid_does_not_keep_it_from_starting(new_member: NewMember) -> None:
    """PG-02, PG-03: the file names a live process, which is us."""
    member = new_member.make()
    pid_file = member.options.data_dir / "postmaster.pid"
    pid_file.write_text(
        f"{os.getpid()}\n{member.options.data_dir}\n1234567890\n5432\n\n\n  1  2\n"
    )
    pid_file.chmod(0o600)

    assert member.observe().process == "absent"
    member.do(START_PRIMARY, PostgresStarted)


def test_a_running_server_is_adopted_and_not_restarted(
    primary: Driven, new_member: NewMember
) -> None:
    """PG-02: a daemon that starts again restarts nothing."""
    pid = postmaster_pid(primary)
    second = Driven(primary.options)
    try:
        status = second.observe()
        assert status.is_primary
        assert status.postmaster_pid == pid

        second.do(STOP_FAST, PostgresStopped)
        primary.voice.wait_for(PostmasterExited, lambda _: True, "end of it")
        exited, _ = second.voice.wait_for(PostmasterExited, lambda _: True, "end of it")
        assert exited.pid == pid
        assert exited.expected
        assert exited.exit_status is None
    finally:
        second.bridge.stop()


def test_the_daemon_may_stop_and_postgresql_stays(new_member: NewMember) -> None:
    member = new_member.make()
    started = member.do(START_PRIMARY, PostgresStarted)

    member.stop_bridge()

    assert sql(member.options, "SELECT 1") == [(1,)]
    os.kill(started.postmaster_pid, signal.SIGQUIT)
    os.waitpid(started.postmaster_pid, 0)


def test_a_fast_stop_tells_the_checkpoint_before_the_end(
    pair: tuple[Driven, Driven],
) -> None:
    """P-ELEC-02, P-ELEC-03: the standby has received all up to that position."""
    primary, standby = pair
    primary.observe()
    heard = len(primary.voice.said)
    began = now()

    stopped = primary.do(STOP_FAST, PostgresStopped)

    figures.info(f"fast stop of a primary: {milliseconds_since(began):.0f} ms")
    checkpointed, _ = primary.voice.wait_for(
        ShutdownCheckpointed, lambda _: True, "shutdown checkpoint", heard
    )
    assert stopped.control == checkpointed.control
    control = checkpointed.control
    assert control.state == "shut down"
    received = standby.observe().received_lsn
    assert received is not None
    assert received == control.checkpoint_end_lsn > control.checkpoint_lsn


def test_archiving_does_not_hold_up_the_word_of_the_checkpoint(
    new_member: NewMember, playground: Path
) -> None:
    """P-ELEC-02."""
    gate = playground / "gate"
    os.mkfifo(gate)
    member = new_member.make(
        parameters={
            "unix_socket_directories": str(playground),
            "archive_mode": "on",
            "archive_command": f"cat {gate}",
        }
    )
    member.do(START_PRIMARY, PostgresStarted)
    sql(member.options, "CREATE TABLE t ()", "SELECT pg_switch_wal()")

    stop = member.order(STOP_FAST)
    member.voice.wait_for(ShutdownCheckpointed, lambda _: True, "shutdown checkpoint")

    assert read_pid_file(member.options.data_dir) is not None
    member.order(CancelOperation(reason="the archive is stuck"))
    assert isinstance(member.answer_to(stop), OperationCancelled)


def test_a_stop_that_takes_too_long_kills_what_is_left(primary: Driven) -> None:
    """PG-27."""
    pid = postmaster_pid(primary)
    os.kill(pid, signal.SIGSTOP)
    began = now()

    primary.do(
        StopPostgres(mode="fast", checkpoint_first=False, timeout=30.0, kill_after=0.2),
        PostgresStopped,
    )

    assert milliseconds_since(began) < 5000
    assert orphans(primary.options.data_dir) == ()


def test_stopping_what_does_not_run_is_done_already(new_member: NewMember) -> None:
    stopped = new_member.make().do(STOP_FAST, PostgresStopped)

    assert stopped.control is not None
    assert stopped.control.was_shut_down_cleanly


def test_a_promoted_standby_takes_writes_on_a_new_timeline(
    pair: tuple[Driven, Driven],
) -> None:
    primary, standby = pair
    primary.do(STOP_FAST, PostgresStopped)
    began = now()

    promoted = standby.do(PROMOTE, PostgresPromoted)

    figures.info(f"promotion: {milliseconds_since(began):.1f} ms")
    assert milliseconds_since(began) < 2000
    assert promoted.timeline == 2
    assert [line.timeline for line in promoted.history] == [1]
    assert promoted.history[0].lsn <= promoted.lsn
    status = standby.observe()
    assert status.is_primary
    assert status.timeline == 2
    sql(standby.options, "CREATE TABLE t ()")
    done = standby.do(CheckpointPostgres(timeout=30.0), CheckpointDone)
    assert done.timeline == 2


def test_a_promoted_server_stays_primary_whatever_is_written(
    pair: tuple[Driven, Driven],
) -> None:
    """Neither the next start nor a crash makes it a standby again."""
    primary, standby = pair
    primary.do(STOP_FAST, PostgresStopped)
    standby.do(PROMOTE, PostgresPromoted)
    standby.do(
        SetSynchronousStandbys(value="pg1", timeout=10.0), SynchronousStandbysSet
    )
    standby.do(ReloadPostgres(), PostgresReloaded)

    assert not (standby.options.data_dir / "standby.signal").exists()
    assert sql(standby.options, "SHOW primary_conninfo") == [("",)]
    assert standby.observe().synchronous_standby_names == "pg1"


def test_a_server_promoted_by_hand_is_not_turned_back(
    pair: tuple[Driven, Driven],
) -> None:
    _, standby = pair
    sql(standby.options, "SELECT pg_promote()")

    standby.do(ReloadPostgres(), PostgresReloaded)

    assert not (standby.options.data_dir / "standby.signal").exists()


def test_a_primary_is_promoted_already(primary: Driven) -> None:
    promoted = primary.do(PROMOTE, PostgresPromoted)

    assert promoted.timeline == 1
    assert promoted.history == ()


def test_a_standby_tells_the_loss_of_its_upstream_at_once(
    pair: tuple[Driven, Driven],
) -> None:
    primary, standby = pair
    received = standby.observe().received_lsn
    heard = len(standby.voice.said)
    began = now()

    os.kill(postmaster_pid(primary), signal.SIGKILL)

    ended, said = standby.voice.wait_for(
        ReplicationEnded, lambda _: True, "end of replication", heard
    )
    figures.info(
        f"SIGKILL of the primary to ReplicationEnded: {(said.at - began) * 1e3:.1f} ms"
    )
    assert ended.received_lsn is not None
    assert ended.received_lsn >= (received or 0)


def test_a_standby_follows_another_upstream_without_restart(
    pair: tuple[Driven, Driven], new_member: NewMember
) -> None:
    """REPL-19: neither does it wait out the receiver's retry interval of 5 s."""
    primary, standby = pair
    third = new_member.copy(primary, "pg3")
    third.do(start_standby(primary), PostgresStarted)
    third.observe_until(streams, "streamed")
    pid = postmaster_pid(third)
    os.kill(postmaster_pid(primary), signal.SIGKILL)
    third.observe_until(lambda status: status.receiver is None, "lost its upstream")
    standby.do(PROMOTE, PostgresPromoted)
    began = now()

    followed = third.do(
        FollowUpstream(upstream=upstream_of(standby), timeout=30.0), UpstreamFollowed
    )
    third.observe_until(
        lambda status: streams(status) and status.timeline == 2, "followed"
    )

    figures.info(f"follow until streaming: {milliseconds_since(began):.0f} ms")
    assert milliseconds_since(began) < 3000
    assert not followed.restarted
    assert postmaster_pid(third) == pid
    assert third.observe().primary_conninfo_port == standby.options.port


def test_the_former_primary_becomes_a_standby(pair: tuple[Driven, Driven]) -> None:
    primary, standby = pair
    primary.do(STOP_FAST, PostgresStopped)
    standby.do(PROMOTE, PostgresPromoted)

    started = primary.do(start_standby(standby), PostgresStarted)

    assert started.role == "standby"
    primary.observe_until(
        lambda status: streams(status) and status.timeline == 2, "followed"
    )


def test_standbys_come_back_soon_after_a_restart_of_their_upstream(
    pair: tuple[Driven, Driven],
) -> None:
    primary, standby = pair
    restart = RestartPostgres(role="primary", upstream=None, timeout=60.0)
    began = now()

    primary.do(restart, PostgresStarted)
    figures.info(f"restart: {milliseconds_since(began):.0f} ms")
    standby.observe_until(streams, "streamed again")

    figures.info(f"restart until streaming: {milliseconds_since(began):.0f} ms")
    assert milliseconds_since(began) < 4000


def test_a_reload_brings_new_parameters_into_force(primary: Driven) -> None:
    changed = {**primary.options.parameters, "work_mem": "7MB", "max_connections": 55}
    options = dataclasses.replace(primary.options, parameters=changed)

    primary.bridge.reconfigure(options)
    primary.do(ReloadPostgres(), PostgresReloaded)

    assert sql(options, "SHOW work_mem") == [("7MB",)]
    status = primary.observe()
    assert status.pending_restart
    assert '"max_connections"' in (status.pending_restart_reason or "")


def test_an_adopted_standby_goes_on_following_after_a_reload(
    pair: tuple[Driven, Driven],
) -> None:
    """REPL-17."""
    primary, standby = pair
    second = Driven(standby.options)
    try:
        second.do(ReloadPostgres(), PostgresReloaded)
        status = second.observe()
        assert status.primary_conninfo_port == primary.options.port
        assert status.is_standby
    finally:
        second.bridge.stop()


def test_an_operation_under_way_is_cancelled_at_once(new_member: NewMember) -> None:
    member = new_member.make(pre_promote="sleep 600")
    hook = member.order(RunPrePromote())
    behind = member.order(ReloadPostgres())
    began = now()

    member.order(CancelOperation(reason="a stronger intent"))

    assert isinstance(member.answer_to(hook), OperationCancelled)
    assert isinstance(member.answer_to(behind), OperationCancelled)
    assert milliseconds_since(began) < 2000


@pytest.mark.parametrize(("hook", "status"), [(None, 0), ("sh -c 'exit 7'", 7)])
def test_the_status_of_pre_promote_decides(
    new_member: NewMember, hook: str | None, status: int
) -> None:
    """CB-08."""
    member = new_member.make(pre_promote=hook)

    ended = member.do(RunPrePromote(), PrePromoteEnded)

    assert ended.exit_status == status


def test_before_stop_runs_before_each_stop_and_may_fail(
    new_member: NewMember, playground: Path
) -> None:
    proof = playground / "proof"
    member = new_member.make(before_stop=f"sh -c 'touch {proof}; exit 1'")
    member.do(START_PRIMARY, PostgresStarted)

    member.do(STOP_FAST, PostgresStopped)

    assert proof.exists()


def test_missing_socket_directories_are_made(
    new_member: NewMember, playground: Path
) -> None:
    """PG-16."""
    directory = playground / "deep" / "sockets"
    member = new_member.make(parameters={"unix_socket_directories": str(directory)})

    member.do(START_PRIMARY, PostgresStarted)

    assert directory.is_dir()


def test_a_start_beyond_its_time_is_reported_and_goes_on(
    new_member: NewMember,
) -> None:
    """PG-12: a wait that times out does not turn into running."""
    member = new_member.make()

    failed = member.do(
        StartPostgres(role="primary", upstream=None, timeout=0.0), OperationFailed
    )

    assert failed.reason.code == "START_TIMEOUT"
    member.observe_until(lambda status: status.is_accepting, "accepted connections")
