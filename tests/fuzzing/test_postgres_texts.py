"""What PostgreSQL's programs print and its files hold, also when torn or of another
kind: understood, or said not to be; never an exception of its own, never a hang."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regnal.actors.standby_names import parse_standby_names
from regnal.bridges.postgres.binary_version import parse_output
from regnal.bridges.postgres.conf_syntax import (
    assignments_text,
    parse_assignments,
    without_assignments,
)
from regnal.bridges.postgres.connection_string import (
    InvalidConnectionString,
    build,
    differences,
    masked,
    parse,
)
from regnal.bridges.postgres.control_data import (
    control_data,
    is_shut_down,
    parse_fields,
)
from regnal.bridges.postgres.crash_recovery import parse_postmaster_options
from regnal.bridges.postgres.guc.description import parse_descriptions
from regnal.bridges.postgres.guc.rules import parse_rules
from regnal.bridges.postgres.guc.values import parse_number
from regnal.bridges.postgres.lost_commits import end_of_wal, is_commit, record_end_in
from regnal.bridges.postgres.monitor_query import UnusableAnswer, read_answer
from regnal.bridges.postgres.pgpass import PassfileEntry, passfile_text
from regnal.bridges.postgres.pid_file import parse_pid_file, why_not_postmaster
from regnal.bridges.postgres.processes import look_at
from regnal.bridges.postgres.promotion import parse_history
from regnal.bridges.postgres.wal import format_lsn, parse_lsn
from tests.fuzzing.hostile import (
    NUMBERS,
    TEXTS,
    VALUES,
    answer_or,
    damaged,
    lines,
    many,
)

DATA = Path(__file__).parents[1] / "data" / "postgres"


def real(name: str) -> list[str]:
    return (DATA / name).read_text().splitlines()


CONTROL = real("15-in-production.txt")
PLACES = st.sampled_from(
    [
        *("16/B374D848", "0/0", "FFFFFFFF/FFFFFFFF", "-1/0", "0/-1", "1_0/0", "/", "0"),
        *("0/1FFFFFFFF", "x/y", "0/ 1", "FFFFFFFFF/0", "\u0663/0"),
    ]
)
NUMERALS = NUMBERS.map(str) | TEXTS
GEOMETRY = ("Bytes per WAL segment", "WAL block size", "Latest checkpoint location")
CHANGED = st.dictionaries(
    st.sampled_from(GEOMETRY)
    | st.sampled_from([line.partition(":")[0] for line in CONTROL]),
    PLACES | NUMERALS,
    max_size=4,
)


@many
@given(lines(CONTROL))
def test_torn_control_data_are_understood_or_said_not_to_be(output: str) -> None:
    found = control_data(parse_fields(output), DATA)
    assert found is None or found.model_validate_json(found.model_dump_json()) == found


@many
@example({"Bytes per WAL segment": str(1 << 33)}, b"\x28\0\0\0")
@example({"WAL block size": "-8"}, b"\x28\0\0\0")
@given(CHANGED, st.binary(min_size=4, max_size=4))
def test_strange_control_data_are_understood_or_said_not_to_be(
    tmp_path_factory: pytest.TempPathFactory, changed: dict[str, str], head: bytes
) -> None:
    """Also where the WAL file that they name is there, with any record in it."""
    folder = tmp_path_factory.getbasetemp() / "control"
    wal = folder / "pg_wal"
    wal.mkdir(parents=True, exist_ok=True)
    (wal / "000000010000000000000000").write_bytes(head * 64)
    fields = {
        **parse_fields("\n".join(CONTROL)),
        "Latest checkpoint location": "0/28",
        **changed,
    }
    found = control_data(fields, folder)
    assert found is None or found.checkpoint_end_lsn < 1 << 65


@many
@given(st.binary(max_size=64))
def test_any_pg_control_is_shut_down_or_not(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "pg_control"
    (folder / "global").mkdir(parents=True, exist_ok=True)
    (folder / "global" / "pg_control").write_bytes(data)
    assert is_shut_down(folder) in (True, False)


@many
@example("1\n/data\n" + "9" * 400)
@given(
    st.lists(st.sampled_from(real("15-postmaster.pid")) | NUMERALS, max_size=9).map(
        "\n".join
    )
)
def test_any_pid_file_names_a_postmaster_or_none(text: str) -> None:
    """PG-02, PG-04: and a process that runs is held against it without an error."""
    file = parse_pid_file(text)
    if file is None:
        return
    assert file.pid > 0
    look_at(file.pid)
    somebody = look_at(os.getpid())
    assert somebody is not None
    hidden = replace(somebody, directory=None, executable=None)
    for process in (somebody, hidden):
        assert why_not_postmaster(process, file, DATA) is not None


@many
@given(st.tuples(NUMERALS, PLACES, TEXTS).map("\t".join), st.lists(TEXTS, max_size=3))
def test_any_timeline_history_gives_lines_that_can_be_stored(
    line: str, strange: list[str]
) -> None:
    text = "\n".join(["1\t0/3000000\tno recovery target specified", line, *strange])
    found = parse_history(text.encode("utf-8", "replace").decode())
    assert found[0].lsn == 0x3000000
    for each in found:
        assert each.model_validate_json(each.model_dump_json()) == each
        assert 0 < each.timeline < 1 << 32
        assert 0 <= each.lsn < 1 << 64


@many
@given(PLACES | TEXTS)
def test_a_position_is_one_that_postgresql_could_print(text: str) -> None:
    lsn = answer_or(ValueError, lambda: parse_lsn(text))
    if lsn is not None:
        assert 0 <= lsn < 1 << 64
        assert parse_lsn(format_lsn(lsn)) == lsn


@many
@example("", "error in WAL record at 0/1: invalid record length at " + "9" * 9 + "/1")
@example("rmgr: Transaction len (rec/tot): 1/ 34, tx: 7, lsn: x/y, prev 0/0", "")
@given(lines(real("15-waldump.txt")), lines(real("15-waldump-end.txt")))
def test_torn_lines_of_pg_waldump_count_or_do_not(output: str, errors: str) -> None:
    for line in output.splitlines():
        is_commit(line)
        end = record_end_in(line)
        assert end is None or end > 0
    end_of_wal(errors)


ASSIGNMENTS = st.sampled_from(
    [
        "port = 5432",
        "primary_conninfo = 'host=pg2 password=''x'''",
        "a.b = on # comment",
        r"x = '\8'",
        r"x = '\\777\n\q\60'",
        "x = '\u00b2\\\u00b2'",
        "include 'other.conf'",
        "x 'unfinished",
        "x=" + " " * 2000 + "'",
    ]
)


@many
@example(r"x = '\8'")
@given(st.lists(ASSIGNMENTS | ASSIGNMENTS.flatmap(damaged) | TEXTS).map("\n".join))
def test_any_configuration_file_can_be_read_and_cleaned(text: str) -> None:
    found = parse_assignments(text)
    cleaned = without_assignments(text, {"port", "primary_conninfo"})
    assert not {"port", "primary_conninfo"} & parse_assignments(cleaned).keys()
    assert without_assignments(cleaned, {"port", "primary_conninfo"}) == cleaned
    held = {name: value for name, value in found.items() if "\0" not in value}
    assert parse_assignments(assignments_text(held)) == held


CONNINFO = st.sampled_from(
    [
        "host=pg2 port=5432 user=replicator password='a b' application_name=pg1",
        "postgresql://u:p%20w@pg1:5432,[::1]:5433/db?sslmode=require&target=x",
        "postgres://h?ssl=true",
        r"host = 'it\'s'",
        r"user=a\ b password=\\",
    ]
)


@many
@given(CONNINFO | CONNINFO.flatmap(damaged) | TEXTS, CONNINFO)
def test_any_connection_string_is_read_or_refused(text: str, other: str) -> None:
    parameters = answer_or(InvalidConnectionString, lambda: parse(text))
    masked(text)
    if parameters is not None:
        assert parse(build(parameters)) == parameters
        differences(parameters, parse(other), 170000)


@many
@example(PassfileEntry("evil\n*:*:*:postgres", "5432", "u", "p"))
@given(st.builds(PassfileEntry, TEXTS, TEXTS, TEXTS, TEXTS))
def test_nothing_adds_a_line_or_a_field_to_the_passfile(entry: PassfileEntry) -> None:
    for line in passfile_text([entry]).split("\n")[:-1]:
        plain = line.replace("\\\\", "").replace("\\:", "")
        assert len(plain.split(":")) == 5


@many
@given(st.sampled_from(['ANY 2 (pg1, "Pg 2")', "FIRST 1 (*)", "a,b"]).flatmap(damaged))
def test_any_synchronous_standby_names_are_understood_or_not(text: str) -> None:
    found = parse_standby_names(text)
    assert found is None or found.count >= 0


@many
@given(TEXTS, NUMERALS)
def test_what_else_the_programs_print(text: str, number: str) -> None:
    parse_output(f"postgres (PostgreSQL) {number}")
    parse_postmaster_options(f'/bin/postgres "-c" "{text}={number}" --{text}')
    parse_descriptions("\t".join([text, "sighup", "", "INTEGER", *([number] * 4)]))
    list(parse_rules(f"{text}  {number}  integer  {number}..{number}", "x"))
    parse_number(number, text)


ANSWER: dict[str, Any] = {
    "in_recovery": True,
    "started_at": "2030-01-02 03:04:05.000000+00:00",
    "system_identifier": "7301234567890123456",
    "wal_file": "000000010000000000000001",
    **dict.fromkeys(("write_lsn", "received_lsn", "replayed_lsn"), "0/3000148"),
    "replayed_at": None,
    "replay_paused": False,
    "receiver": {
        "pid": 7,
        "status": "streaming",
        "slot_name": "pg1",
        "received_tli": 1,
        "latest_end_lsn": "0/3000148",
        "sender_host": "pg2",
        "sender_port": 5432,
    },
    "senders": None,
    "slots": [],
    "synchronous_standby_names": "",
    "settings": {},
    "pending_restart": {},
    "conninfo": "host=pg2 port=5432",
    "primary_slot_name": "pg1",
}
NAMES = st.sampled_from(sorted(ANSWER))


@many
@example({"receiver": 1}, set())
@given(st.dictionaries(NAMES, VALUES, max_size=3), st.sets(NAMES, max_size=2))
def test_any_answer_to_the_heartbeat_is_a_status_or_a_named_error(
    changed: dict[str, Any], missing: set[str]
) -> None:
    """A patched server, or a pooler in between, gives no reason to end."""
    answer = {n: v for n, v in {**ANSWER, **changed}.items() if n not in missing}
    found = answer_or(UnusableAnswer, lambda: read_answer(answer, 150000))
    if found is not None:
        status = found.status
        assert type(status).model_validate_json(status.model_dump_json()) == status
