"""Divergence and its remedies: comparison, rewind, crash recovery."""

import contextlib
import dataclasses
import logging
import os
import signal
import threading
from pathlib import Path

import psycopg2
import pytest

from regnal.bridges.postgres.crash_recovery import parse_postmaster_options
from regnal.bridges.postgres.divergence import (
    OwnEnd,
    UpstreamHistory,
    compare,
    own_end_of,
    shown_history,
)
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.rewind import missing_file, refuse_without_room
from regnal.messages.cluster import HistoryLine
from regnal.messages.postgres import (
    CheckDivergence,
    CheckpointDone,
    CheckpointPostgres,
    ControlData,
    CrashRecovered,
    DataDirectoryRemoved,
    DivergenceChecked,
    FollowUpstream,
    OperationFailed,
    PostgresPromoted,
    PostgresRewound,
    PostgresStarted,
    PostgresStatus,
    PostgresStopped,
    PromotePostgres,
    RecoverCrashed,
    RemoveDataDirectory,
    RewindPostgres,
    StartPostgres,
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

figures = logging.getLogger("figures")
OWN = OwnEnd("7", timeline=1, lsn=0x5000)
LINES = (HistoryLine(timeline=1, lsn=0x5000, reason=""),)
UPSTREAM = UpstreamHistory(
    "7",
    timeline=2,
    lsn=0x9000,
    lines=LINES,
    in_recovery=False,
    checkpoint_timeline=2,
)
SAME = dataclasses.replace(UPSTREAM, timeline=1, lines=(), checkpoint_timeline=1)
PROMOTE = PromotePostgres(timeout=30.0)
CHECKPOINT = CheckpointPostgres(timeout=30.0)
BULK = "SELECT pg_logical_emit_message(false, 'x', repeat('x', 10000000))"


@pytest.mark.parametrize(
    ("own", "upstream", "verdict"),
    [
        pytest.param(OWN, UPSTREAM, "can_follow", id="ends where the upstream left"),
        pytest.param(
            dataclasses.replace(OWN, lsn=0x4000),
            UPSTREAM,
            "can_follow",
            id="ends before the upstream left",
        ),
        pytest.param(
            dataclasses.replace(OWN, lsn=0x5008),
            UPSTREAM,
            "diverged",
            id="goes beyond where the upstream left",
        ),
        pytest.param(
            dataclasses.replace(OWN, timeline=3),
            dataclasses.replace(UPSTREAM, timeline=4, checkpoint_timeline=4),
            "diverged",
            id="timeline is not in the history",
        ),
        pytest.param(
            dataclasses.replace(OWN, timeline=3, lsn=0x4000),
            UPSTREAM,
            "diverged",
            id="timeline is newer than the upstream's",
        ),
        pytest.param(
            dataclasses.replace(OWN, lsn=0x5008),
            dataclasses.replace(UPSTREAM, checkpoint_timeline=1),
            "upstream_not_ready",
            id="diverged, upstream has not checkpointed",
        ),
        pytest.param(
            OWN,
            dataclasses.replace(UPSTREAM, checkpoint_timeline=1),
            "can_follow",
            id="no need to wait for a checkpoint to follow",
        ),
        pytest.param(OWN, SAME, "can_follow", id="same timeline"),
        pytest.param(
            dataclasses.replace(OWN, lsn=0x9001),
            SAME,
            "diverged",
            id="same timeline, but ahead of the primary",
        ),
        pytest.param(
            dataclasses.replace(OWN, lsn=0x9001),
            dataclasses.replace(SAME, in_recovery=True),
            "upstream_not_ready",
            id="ahead of one that is in recovery",
        ),
        pytest.param(
            OWN,
            dataclasses.replace(SAME, in_recovery=True),
            "can_follow",
            id="one in recovery has all of ours",
        ),
        pytest.param(
            dataclasses.replace(OWN, is_final=False),
            UPSTREAM,
            "unknown",
            id="a crash left more WAL than we know",
        ),
        pytest.param(
            dataclasses.replace(OWN, lsn=0x6000, is_final=False),
            UPSTREAM,
            "diverged",
            id="a crash, but already the checkpoint is beyond",
        ),
        pytest.param(
            dataclasses.replace(OWN, system_identifier="8"),
            UPSTREAM,
            "unknown",
            id="another cluster",
        ),
    ],
)
def test_the_verdict(own: OwnEnd, upstream: UpstreamHistory, verdict: str) -> None:
    """RWD-02, RWD-03, RWD-05, RWD-06, P-RWD-01, P-RWD-02, P-RWD-03."""
    assert compare(own, upstream).verdict == verdict


CONTROL = ControlData(
    system_identifier="7",
    state="shut down",
    timeline=2,
    checkpoint_lsn=0x3000,
    redo_lsn=0x3000,
    wal_log_hints=True,
    checksums=False,
    min_recovery_end_lsn=0x4000,
    min_recovery_end_timeline=3,
    checkpoint_end_lsn=0x3078,
)


@pytest.mark.parametrize(
    ("state", "end"),
    [
        ("shut down", OwnEnd("7", 2, 0x3078)),
        ("in production", OwnEnd("7", 2, 0x3078, is_final=False)),
        ("shutting down", OwnEnd("7", 2, 0x3078, is_final=False)),
        ("shut down in recovery", OwnEnd("7", 3, 0x4000)),
        ("in archive recovery", OwnEnd("7", 3, 0x4000)),
    ],
)
def test_what_a_stopped_server_has(state: str, end: OwnEnd) -> None:
    assert own_end_of(CONTROL.model_copy(update={"state": state})) == end


def test_of_a_long_history_only_our_surroundings_are_shown() -> None:
    """RWD-18."""
    lines = tuple(HistoryLine(timeline=t, lsn=t, reason="") for t in range(1, 21))

    shown = [line.split("\t")[0] for line in shown_history(lines, 10)]

    assert shown == ["7", "8", "9", "10", "11", "12", "...", "20"]


def test_the_options_of_the_last_start_are_used_again() -> None:
    """PG-33."""
    text = (
        '/usr/lib/postgresql/15/bin/postgres "-D" "/data" '
        '"--config-file=/data/postgresql.conf" "--cluster_name=two words" "-c" '
        '"wal_level=replica"\n'
    )

    assert parse_postmaster_options(text) == {
        "config_file": "/data/postgresql.conf",
        "cluster_name": "two words",
        "wal_level": "replica",
    }


def test_the_file_that_a_rewind_misses_is_found_in_its_output() -> None:
    """RWD-14."""
    output = (
        'pg_rewind: error: could not open file "/data/pg_wal/000000010000000000000007": '
        "No such file or directory\npg_rewind: fatal: could not find previous WAL record"
    )

    assert missing_file(output) == "000000010000000000000007"
    assert missing_file("pg_rewind: fatal: could not connect") is None


def test_a_rewind_does_not_begin_on_a_full_disk(tmp_path: Path) -> None:
    """It would break off in the middle, and the data would be of no use."""
    refuse_without_room(tmp_path, needed=1)
    with pytest.raises(OperationError) as refused:
        refuse_without_room(tmp_path, needed=1 << 60)
    assert refused.value.reason.code == "NO_ROOM"
    assert "MB are needed" in str(refused.value)


def check(upstream: Driven) -> CheckDivergence:
    return CheckDivergence(upstream=upstream_of(upstream), timeout=10.0)


def rewind(upstream: Driven) -> RewindPostgres:
    return RewindPostgres(upstream=upstream_of(upstream), timeout=120.0)


WAL_FILE = 16 << 20
WRITER_AND_FLUSHED = (
    "SELECT (SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_logical%'), "
    "pg_current_wal_flush_lsn() - '0/0'"
)


@pytest.mark.server
def test_after_a_clean_switchover_nothing_has_diverged(
    pair: tuple[Driven, Driven],
) -> None:
    """RWD-03: the shutdown checkpoint ends where the new timeline begins."""
    primary, standby = pair
    primary.do(STOP_FAST, PostgresStopped)

    before = primary.do(check(standby), DivergenceChecked)
    promoted = standby.do(PROMOTE, PostgresPromoted)
    after = primary.do(check(standby), DivergenceChecked)

    assert before.verdict == "can_follow"
    assert after.verdict == "can_follow"
    assert after.local_lsn == after.switch_lsn == promoted.history[0].lsn
    assert (after.local_timeline, after.upstream_timeline) == (1, 2)


@pytest.mark.server
def test_a_server_says_whether_it_takes_writes_also_to_a_replication_user(
    pair: tuple[Driven, Driven],
) -> None:
    primary, standby = pair

    def told(of: Driven) -> bool | None:
        url = f"postgres://127.0.0.1:{of.options.port}/postgres"
        return standby.bridge.takes_writes(url, 5.0)

    assert told(primary) is True
    assert told(standby) is False
    primary.do(STOP_FAST, PostgresStopped)
    assert told(primary) is None
    assert standby.bridge.takes_writes("no address", 5.0) is None


@pytest.mark.server
def test_a_standby_that_streams_has_not_diverged(pair: tuple[Driven, Driven]) -> None:
    primary, standby = pair

    checked = standby.do(check(primary), DivergenceChecked)

    assert checked.verdict == "can_follow"
    assert checked.local_timeline == 1


def diverge(primary: Driven, standby: Driven) -> None:
    """Let the primary write and crash while the standby does not listen, and
    promote that."""
    sql(primary.options, "CREATE TABLE t (a int)")
    standby.do(STOP_FAST, PostgresStopped)
    sql(primary.options, "INSERT INTO t SELECT generate_series(1, 10000)")
    os.kill(primary.observe().postmaster_pid or 0, signal.SIGKILL)
    primary.observe_until(lambda status: status.process == "absent", "ended")
    alone = StartPostgres(role="standby", upstream=None, timeout=60.0)
    standby.do(alone, PostgresStarted)
    standby.do(PROMOTE, PostgresPromoted)
    sql(
        standby.options,
        "CREATE TABLE IF NOT EXISTS t (a int)",
        "INSERT INTO t VALUES (42)",
    )


@pytest.mark.server
def test_a_crashed_primary_is_recovered_found_diverged_and_rewound(
    pair: tuple[Driven, Driven],
) -> None:
    """PG-30, PG-32, PG-33, RWD-06, RWD-08, RWD-09, RWD-12, REPL-25, REPL-26."""
    primary, standby = pair
    diverge(primary, standby)

    assert primary.do(check(standby), DivergenceChecked).verdict == "unknown"
    recovered = primary.do(RecoverCrashed(timeout=60.0), CrashRecovered)
    assert recovered.control is not None
    assert recovered.control.state == "shut down"
    standby.do(CHECKPOINT, CheckpointDone)
    checked = primary.do(check(standby), DivergenceChecked)
    assert checked.verdict == "diverged"
    assert checked.switch_lsn is not None
    assert checked.local_lsn > checked.switch_lsn

    began = now()
    primary.do(rewind(standby), PostgresRewound)
    figures.info(f"rewind: {(now() - began) * 1000:.0f} ms")
    primary.do(start_standby(standby), PostgresStarted)
    primary.observe_until(streams, "streamed")
    primary.wait_until(lambda: sql(primary.options, "SELECT a FROM t") == [(42,)])


@pytest.mark.server
def test_a_rewind_recovers_a_crashed_server_itself(pair: tuple[Driven, Driven]) -> None:
    """RWD-08."""
    primary, standby = pair
    diverge(primary, standby)
    standby.do(CHECKPOINT, CheckpointDone)

    primary.do(rewind(standby), PostgresRewound)

    primary.do(start_standby(standby), PostgresStarted)
    primary.observe_until(streams, "streamed")


@pytest.mark.server
def test_a_running_standby_that_went_too_far_has_diverged(
    pair: tuple[Driven, Driven], new_member: NewMember
) -> None:
    primary, standby = pair
    third = new_member.copy(primary, "pg3")
    third.do(start_standby(primary), PostgresStarted)
    third.observe_until(streams, "streamed")
    diverge(primary, standby)
    standby.do(CHECKPOINT, CheckpointDone)

    checked = third.do(check(standby), DivergenceChecked)

    assert checked.verdict == "diverged"
    assert third.observe().timeline == 1


@pytest.mark.server
def test_a_standby_with_a_piece_of_a_record_too_much_can_follow(
    pair: tuple[Driven, Driven], new_member: NewMember
) -> None:
    """What a primary that crashed did not write to the end is nobody's data: a standby
    that received the piece must neither be stopped nor rewound for it."""
    primary, standby = pair
    third = new_member.copy(primary, "pg3")
    third.do(start_standby(primary), PostgresStarted)
    third.observe_until(streams, "streamed")
    crash_within_a_record(primary, third, standby)
    promoted = standby.do(PROMOTE, PostgresPromoted)
    standby.do(CHECKPOINT, CheckpointDone)
    # pg_waldump tries for five seconds to open a file that is not there.
    within = check(standby).model_copy(update={"timeout": 4.0})

    checked = third.do(within, DivergenceChecked)

    received = third.observe().received_lsn or 0
    assert received > promoted.history[0].lsn
    assert checked.verdict == "can_follow"


@pytest.mark.server
@pytest.mark.slow
def test_a_standby_with_a_piece_of_a_record_too_much_follows_in_the_end(
    pair: tuple[Driven, Driven], new_member: NewMember
) -> None:
    """It asks for the rest of the record, in a file that the new primary has not begun;
    once it has, PostgreSQL 15 panics, and follows when it is started again."""
    primary, standby = pair
    third = new_member.copy(primary, "pg3")
    third.do(start_standby(primary), PostgresStarted)
    third.observe_until(streams, "streamed")
    crash_within_a_record(primary, third, standby)
    standby.do(PROMOTE, PostgresPromoted)
    third.do(
        FollowUpstream(upstream=upstream_of(standby), timeout=30.0), UpstreamFollowed
    )
    received = third.observe().received_lsn or 0
    while (standby.observe().write_lsn or 0) < received + WAL_FILE:
        sql(standby.options, BULK)

    def has_moved(status: PostgresStatus) -> bool:
        return status.process == "absent" or status.timeline == 2

    if third.observe_until(has_moved, "followed or ended").process == "absent":
        assert third.do(check(standby), DivergenceChecked).verdict == "can_follow"
        third.do(start_standby(standby), PostgresStarted)
    third.observe_until(
        lambda status: streams(status) and status.timeline == 2, "streamed"
    )


def crash_within_a_record(primary: Driven, *standbys: Driven) -> None:
    """Kill the primary while it writes a record of several files, of which the
    standbys have the first."""
    begun = primary.observe().write_lsn or 0
    writing = threading.Thread(target=write_a_long_record, args=(primary,))
    writing.start()
    writer, flushed = 0, 0
    while not writer or flushed < begun + 2 * WAL_FILE:
        assert writing.is_alive()
        (row,) = sql(primary.options, WRITER_AND_FLUSHED)
        writer, flushed = row[0] or 0, int(row[1])
    os.kill(writer, signal.SIGSTOP)
    for each in standbys:
        each.observe_until(
            lambda status: (status.received_lsn or 0) > begun + WAL_FILE, "a piece"
        )
    os.kill(primary.observe().postmaster_pid or 0, signal.SIGKILL)
    os.kill(writer, signal.SIGKILL)
    primary.observe_until(lambda status: status.process == "absent", "ended")
    writing.join(timeout=10)


def write_a_long_record(primary: Driven) -> None:
    with contextlib.suppress(psycopg2.Error):
        sql(
            primary.options,
            "SELECT pg_logical_emit_message(true, 'x', repeat('x', 300000000))",
        )


@pytest.mark.server
def test_an_upstream_that_does_not_answer_leaves_it_unknown(
    primary: Driven, new_member: NewMember
) -> None:
    nobody = new_member.make("pg2")

    checked = primary.do(check(nobody), DivergenceChecked)

    assert checked.verdict == "unknown"
    assert "upstream" in checked.explanation


@pytest.mark.server
def test_wal_that_was_ready_is_archived_before_recovery(
    new_member: NewMember, playground: Path
) -> None:
    """P-RWD-07, PG-25: though the server itself could not archive it."""
    archive = playground / "archive"
    member = new_member.make(
        parameters={
            "unix_socket_directories": str(playground),
            "archive_mode": "on",
            "archive_command": f"test -d {archive} && cp %p {archive}/%f",
        }
    )
    member.do(START_PRIMARY, PostgresStarted)
    sql(member.options, "CREATE TABLE t ()", "SELECT pg_switch_wal()")
    os.kill(member.observe().postmaster_pid or 0, signal.SIGKILL)
    member.observe_until(lambda status: status.process == "absent", "ended")
    archive.mkdir()

    member.do(RecoverCrashed(timeout=60.0), CrashRecovered)

    assert [file.name for file in archive.iterdir()] == ["000000010000000000000001"]


@pytest.mark.server
def test_what_recovery_leaves_is_not_archived_by_it(new_member: NewMember) -> None:
    """PG-31, PG-33: a start that failed in recovery mode can be recovered, too."""
    member = new_member.make()
    member.do(START_PRIMARY, PostgresStarted)
    os.kill(member.observe().postmaster_pid or 0, signal.SIGKILL)
    member.observe_until(lambda status: status.process == "absent", "ended")
    (member.options.data_dir / "standby.signal").touch()

    recovered = member.do(RecoverCrashed(timeout=60.0), CrashRecovered)

    assert recovered.control is not None
    assert recovered.control.was_shut_down_cleanly
    assert not (member.options.data_dir / "standby.signal").exists()


@pytest.mark.server
def test_recovery_that_fails_tells_what_the_server_said(new_member: NewMember) -> None:
    """PG-34."""
    member = new_member.make()
    (member.options.data_dir / "global" / "pg_control").write_bytes(b"x" * 8192)

    failed = member.do(RecoverCrashed(timeout=60.0), OperationFailed)

    assert failed.reason.code == "PROGRAM_FAILED"
    assert "FATAL" in failed.output or "PANIC" in failed.output


@pytest.mark.server
def test_a_backup_that_was_never_started_is_not_recovered(
    new_member: NewMember,
) -> None:
    """P-RWD-12."""
    member = new_member.make()
    (member.options.data_dir / "backup_label").touch()

    failed = member.do(RecoverCrashed(timeout=60.0), OperationFailed)

    assert failed.reason.code == "BACKUP_LABEL"


@pytest.mark.server
def test_a_backup_that_was_never_started_can_follow(
    primary: Driven, new_member: NewMember
) -> None:
    """What its copied pg_control says of a crash is the source's affair."""
    copied = new_member.copy(primary, "pg2")

    checked = copied.do(check(primary), DivergenceChecked)

    assert checked.verdict == "can_follow"


@pytest.mark.server
def test_a_rewind_that_broke_off_is_never_started(
    pair: tuple[Driven, Driven], playground: Path
) -> None:
    """P-RWD-06: until the data directory is removed."""
    primary, standby = pair
    diverge(primary, standby)
    standby.do(CHECKPOINT, CheckpointDone)
    primary.do(RecoverCrashed(timeout=60.0), CrashRecovered)
    breaking = playground / "pg_rewind"
    breaking.write_text("#!/bin/sh\necho 'need to copy 5 MB' >&2\nexit 1\n")
    breaking.chmod(0o755)
    primary.bridge.reconfigure(
        dataclasses.replace(primary.options, bin_names={"pg_rewind": str(breaking)})
    )

    failed = primary.do(rewind(standby), OperationFailed)

    assert failed.reason.code == "REWIND_BROKE_DIRECTORY"
    assert primary.observe().data_directory == "invalid"
    refused = primary.do(start_standby(standby), OperationFailed)
    assert refused.reason.code == "REWIND_BROKE_DIRECTORY"
    primary.do(RemoveDataDirectory(move_aside=False), DataDirectoryRemoved)
    assert primary.observe().data_directory == "empty"


@pytest.mark.server
def test_a_rewind_that_could_not_begin_leaves_all_as_it_was(
    pair: tuple[Driven, Driven],
) -> None:
    primary, standby = pair
    diverge(primary, standby)
    primary.do(RecoverCrashed(timeout=60.0), CrashRecovered)
    standby.do(STOP_FAST, PostgresStopped)

    failed = primary.do(rewind(standby), OperationFailed)

    assert failed.reason.code == "PROGRAM_FAILED"
    assert "connect" in failed.output
    assert "secret" not in failed.output
    assert primary.observe().data_directory == "valid"
