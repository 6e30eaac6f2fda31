"""Commits that only our WAL has: pg_waldump's output, and real servers."""

import dataclasses
import os
import signal
from pathlib import Path

import pytest

from regnal.bridges.postgres import lost_commits
from regnal.bridges.postgres.lost_commits import (
    end_of_files,
    end_of_wal,
    ends_with_its_file,
    is_commit,
    record_end_in,
    says_nothing_follows,
)
from regnal.bridges.postgres.wal import format_lsn, parse_lsn
from regnal.messages.postgres import (
    CheckDivergence,
    CheckpointDone,
    CheckpointPostgres,
    CrashRecovered,
    DivergenceChecked,
    OperationCancelled,
    PostgresPromoted,
    PostgresStarted,
    PostgresStopped,
    PromotePostgres,
    RecoverCrashed,
    StartPostgres,
)
from tests.bridges.postgres.recorder import (
    CANCEL,
    STOP_FAST,
    Driven,
    upstream_of,
)
from tests.bridges.postgres.servers import sql

DATA = Path(__file__).parents[2] / "data" / "postgres"


@pytest.mark.parametrize("version", ["15", "16", "17", "18"])
def test_commits_in_the_output_of_pg_waldump(version: str) -> None:
    """Of a session that made five ordinary commits and one of a prepared transaction,
    and rolled two back; a name of a prepared transaction has the word in it, too."""
    lines = (DATA / f"{version}-waldump.txt").read_text().splitlines()
    assert len(lines) == 10
    assert sum(map(is_commit, lines)) == 6


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        pytest.param(
            "rmgr: Transaction len (rec/tot):     34/    34, tx:        565, lsn: "
            "0/01636418, prev 0/016363E0, desc: COMMIT 2017-10-05 10:00:00.123456 CEST",
            True,
            id="10",
        ),
        pytest.param(
            "rmgr: Transaction len (rec/tot):      8/    34, tx:       1010, lsn: "
            "0/0DBA1A30, prev 0/0DBA19F0, desc: COMMIT 2016-01-01 10:00:00.123456 CET",
            True,
            id="9.5",
        ),
        pytest.param(
            "rmgr: Transaction len (rec/tot):     12/    44, tx:        689, lsn: "
            "0/0301F3D8, prev 0/0301F370, bkp: 0000, desc: commit: 2014-05-01 10:00:00",
            True,
            id="9.3",
        ),
        pytest.param(
            "rmgr: Heap        len (rec/tot):     59/    59, tx:        725, lsn: "
            "0/01516808, prev 0/015167D0, desc: COMMIT off 1 flags 0x08",
            False,
            id="of something else",
        ),
        pytest.param(
            "rmgr: Transaction len (rec/tot):    250/   250, tx:        730, lsn: "
            "0/0152C5A0, prev 0/0152C560, desc: PREPARE gid x, desc: COMMIT 1: 2026-11",
            False,
            id="a name that is made to deceive",
        ),
        pytest.param("", False, id="nothing"),
    ],
)
def test_lines_of_other_versions(line: str, counts: bool) -> None:
    assert is_commit(line) is counts


@pytest.mark.parametrize("version", ["15", "16", "17", "18"])
def test_where_the_last_transaction_ends(version: str) -> None:
    lines = (DATA / f"{version}-waldump.txt").read_text().splitlines()
    ends = [record_end_in(line) for line in lines]
    end = end_of_wal((DATA / f"{version}-waldump-end.txt").read_text())
    assert end is not None
    assert ends[-1] is not None
    assert 0 <= end - ends[-1] < 8
    assert record_end_in("rmgr: Heap len (rec/tot): 59/ 59, lsn: 0/1, prev 0/0") is None


@pytest.mark.parametrize("version", ["15", "16", "17", "18"])
def test_where_the_wal_ends(version: str) -> None:
    """Just behind the last record that pg_waldump shows."""
    stderr = (DATA / f"{version}-waldump-end.txt").read_text()
    last = (DATA / f"{version}-waldump.txt").read_text().splitlines()[-1]
    start = parse_lsn(last.partition("lsn: ")[2].partition(",")[0])
    end = end_of_wal(stderr)
    assert end is not None
    assert start < end <= start + 48, format_lsn(end)


@pytest.mark.parametrize(
    "stderr",
    [
        "",
        "pg_waldump: fatal: error in WAL record at 0/152C878: unexpected pageaddr 0/A5",
        'pg_waldump: error: could not find file "000000010000000000000003"',
    ],
)
def test_an_end_that_is_not_told_is_not_known(stderr: str) -> None:
    assert end_of_wal(stderr) is None


def test_the_end_in_the_words_of_versions_10_to_14() -> None:
    for level in ("FATAL: ", "fatal:"):
        text = (
            f"pg_waldump: {level} error in WAL record at 0/1653C08: invalid record "
            "length at 0/1653C40: wanted 24, got 0"
        )
        assert end_of_wal(text) == 0x1653C40


NEXT = 'pg_waldump: error: could not find file "000000010000000000000003": No such file'


@pytest.mark.parametrize(
    ("files", "since", "is_end"),
    [
        pytest.param([2], 0x2000028, True, id="WAL ends with its file"),
        pytest.param([1, 2], 0x1000028, True, id="after several files"),
        pytest.param([2, 4], 0x2000028, False, id="one is missing in between"),
        pytest.param([2], 0x3000028, False, id="the first is missing"),
        pytest.param([], 0x2000028, False, id="all are missing"),
    ],
)
def test_a_missing_file(
    tmp_path: Path, files: list[int], since: int, is_end: bool
) -> None:
    for number in files:
        with (tmp_path / f"0000000100000000{number:08X}").open("wb") as file:
            file.truncate(16 << 20)
    (tmp_path / "000000020000000000000009").touch()
    (tmp_path / "00000002.history").touch()
    assert ends_with_its_file(tmp_path, since, NEXT) is is_end


@pytest.mark.parametrize(
    ("files", "position", "end"),
    [
        pytest.param([2], 0x2000028, 0x3000000, id="one"),
        pytest.param([1, 2, 3], 0x2000028, 0x4000000, id="several"),
        pytest.param([2, 4], 0x2000028, None, id="a gap before others"),
        pytest.param([2], 0x3000000, None, id="its own is missing"),
        pytest.param([], 0x2000028, None, id="none"),
    ],
)
def test_where_the_files_of_a_timeline_end(
    tmp_path: Path, files: list[int], position: int, end: int | None
) -> None:
    for number in files:
        with (tmp_path / f"0000000100000000{number:08X}").open("wb") as file:
            file.truncate(16 << 20)
    (tmp_path / "000000020000000000000009").touch()
    (tmp_path / "00000001.history").touch()
    assert end_of_files(tmp_path, 1, position) == end


def check(upstream: Driven) -> CheckDivergence:
    return CheckDivergence(upstream=upstream_of(upstream), timeout=10.0)


def diverge(primary: Driven, standby: Driven) -> None:
    """Let the primary commit what the standby does not hear of, and crash; promote
    the standby."""
    sql(primary.options, "CREATE TABLE t (a int)")
    standby.do(STOP_FAST, PostgresStopped)
    sql(
        primary.options,
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t SELECT generate_series(1, 10000)",
        "BEGIN; INSERT INTO t VALUES (2); ROLLBACK",
        "CREATE TABLE u (a int)",
        "SELECT pg_switch_wal()",
        "DROP TABLE u",
    )
    os.kill(primary.observe().postmaster_pid or 0, signal.SIGKILL)
    primary.observe_until(lambda status: status.process == "absent", "ended")
    alone = StartPostgres(role="standby", upstream=None, timeout=60.0)
    standby.do(alone, PostgresStarted)
    standby.do(PromotePostgres(timeout=30.0), PostgresPromoted)
    standby.do(CheckpointPostgres(timeout=30.0), CheckpointDone)


@pytest.mark.server
def test_commits_of_a_crashed_primary_that_nobody_else_has(
    pair: tuple[Driven, Driven],
) -> None:
    primary, standby = pair
    diverge(primary, standby)
    primary.do(RecoverCrashed(timeout=60.0), CrashRecovered)

    checked = primary.do(check(standby), DivergenceChecked)

    assert checked.verdict == "diverged"
    assert checked.lost_commits == 4, checked.explanation
    assert "4 commits after it are ours alone" in checked.explanation


@pytest.mark.server
def test_a_crashed_primary_tells_how_far_its_wal_really_goes(
    pair: tuple[Driven, Driven],
) -> None:
    """pg_control knows its last checkpoint alone: here one after the divergence."""
    primary, standby = pair
    sql(primary.options, "CREATE TABLE t (a int)")
    standby.do(STOP_FAST, PostgresStopped)
    sql(primary.options, "INSERT INTO t VALUES (1)", "CHECKPOINT")
    sql(primary.options, "INSERT INTO t VALUES (2)")
    (end,) = sql(primary.options, "SELECT pg_current_wal_flush_lsn()::text")[0]
    os.kill(primary.observe().postmaster_pid or 0, signal.SIGKILL)
    primary.observe_until(lambda status: status.process == "absent", "ended")
    alone = StartPostgres(role="standby", upstream=None, timeout=60.0)
    standby.do(alone, PostgresStarted)
    standby.do(PromotePostgres(timeout=30.0), PostgresPromoted)
    standby.do(CheckpointPostgres(timeout=30.0), CheckpointDone)

    checked = primary.do(check(standby), DivergenceChecked)

    assert checked.verdict == "diverged"
    assert checked.lost_commits == 2
    assert checked.lost_wal is not None
    assert checked.switch_lsn is not None
    # The checkpoints, and the rest of the file, are nobody's data.
    assert 0 < checked.lost_wal <= parse_lsn(end) - checked.switch_lsn
    assert checked.local_lsn < parse_lsn(end), "it stays what pg_control says"
    assert f"our WAL goes on to {end}" in checked.explanation


@pytest.mark.server
def test_more_wal_than_can_be_read_is_not_counted(
    pair: tuple[Driven, Driven], monkeypatch: pytest.MonkeyPatch
) -> None:
    primary, standby = pair
    diverge(primary, standby)
    primary.do(RecoverCrashed(timeout=60.0), CrashRecovered)
    monkeypatch.setattr(lost_commits, "COUNT_UP_TO", 8192)

    checked = primary.do(check(standby), DivergenceChecked)

    assert checked.verdict == "diverged"
    assert checked.lost_commits is None


HANGS = """#!/bin/sh
echo $$ > {pid_file}
echo 'rmgr: Transaction len 34, lsn: 0/1, prev 0/1, desc: COMMIT 2026-11-28'
exec sleep 600
"""


@pytest.mark.server
def test_a_count_that_takes_too_long_delays_nobody(
    pair: tuple[Driven, Driven], playground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary, standby = pair
    diverge(primary, standby)
    primary.do(RecoverCrashed(timeout=60.0), CrashRecovered)
    program, pid_file = playground / "pg_waldump", playground / "pid"
    program.write_text(HANGS.format(pid_file=pid_file))
    program.chmod(0o755)
    slow = dataclasses.replace(primary.options, bin_names={"pg_waldump": str(program)})
    primary.bridge.reconfigure(slow)

    ordered = primary.order(check(standby))
    primary.wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
    primary.order(CANCEL)
    assert isinstance(primary.answer_to(ordered), OperationCancelled)
    assert has_ended(pid_file)

    monkeypatch.setattr(lost_commits, "COUNT_WITHIN", 0.3)
    checked = primary.do(check(standby), DivergenceChecked)
    assert checked.verdict == "diverged"
    assert checked.lost_commits is None, "part of a count is none"
    assert has_ended(pid_file)


def has_ended(pid_file: Path) -> bool:
    return not Path(f"/proc/{pid_file.read_text().strip()}").exists()


@pytest.mark.parametrize(
    "stderr",
    [
        "pg_waldump: error: could not find a valid record after 0/8F33C50",
        "pg_waldump: fatal: could not find a valid record after 0/8F33C50",
        "pg_xlogdump: FATAL:  could not find a valid record after 0/8F33C50",
    ],
)
def test_a_program_that_finds_no_record_says_so(stderr: str) -> None:
    assert says_nothing_follows(stderr)


@pytest.mark.parametrize(
    "stderr",
    [
        "",
        'pg_waldump: error: could not find file "000000010000000000000009": No such file',
        "pg_waldump: error: error in WAL record at 0/152C878: invalid record length",
    ],
)
def test_any_other_trouble_says_nothing_of_the_end(stderr: str) -> None:
    assert not says_nothing_follows(stderr)
