"""PostgreSQL's parameters as they are to be in force."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import pytest

from regnal.bridges.postgres.controlled_parameters import raised_for_standby
from regnal.bridges.postgres.guc.description import (
    NO_DESCRIPTIONS,
    Descriptions,
    parse_descriptions,
)
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.parameters import (
    EffectiveParameters,
    checked_settings,
    effective_parameters,
    log_changes,
)
from tests.bridges.postgres.servers import options_for

PLAIN = options_for(Path("/nowhere"), parameters={})


def given(**changes: Any) -> PostgresOptions:
    return dataclasses.replace(PLAIN, **changes)


def effective(
    parameters: dict[str, Any],
    version: int = 150000,
    descriptions: Descriptions = NO_DESCRIPTIONS,
) -> EffectiveParameters:
    return effective_parameters(given(parameters=parameters), version, descriptions)


def value_of(name: str, value: Any, version: int = 150000) -> str | None:
    return effective({name: value}, version).values.get(name)


def test_controlled_parameters_have_defaults_and_go_onto_the_command_line() -> None:
    """CFG-24, contracts 6.5."""
    found = effective({})
    assert set(found.arguments) == {
        "--listen_addresses=127.0.0.1",
        f"--port={PLAIN.port}",
        "--cluster_name=demo",
        "--wal_level=replica",
        "--hot_standby=on",
        "--max_connections=100",
        "--max_wal_senders=10",
        "--max_prepared_transactions=0",
        "--max_locks_per_transaction=64",
        "--track_commit_timestamp=off",
        "--max_replication_slots=10",
        "--max_worker_processes=8",
        "--wal_log_hints=on",
    }
    assert found.values["wal_keep_size"] == "128MB"
    assert not found.complaints


def test_an_old_version_gets_what_it_knows() -> None:
    """CFG-24, PG-01."""
    found = effective({"wal_level": "logical"}, 90300)
    assert found.values == {
        "hot_standby": "on",
        "listen_addresses": "127.0.0.1",
        "max_connections": "100",
        "max_locks_per_transaction": "64",
        "max_prepared_transactions": "0",
        "max_wal_senders": "10",
        "port": PLAIN.port,
        "wal_keep_segments": "8",
        "wal_level": "hot_standby",
    }


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("max_connections", 25, "25"),
        ("max_connections", 24, "100"),
        ("max_connections", "200", "200"),
        ("max_connections", "0", "100"),
        ("max_connections", 0, "100"),
        ("max_connections", "lots", "100"),
        ("max_connections", 10**9, "262143"),
        ("max_locks_per_transaction", 31, "64"),
        ("max_worker_processes", 2, "2"),
        ("max_worker_processes", 1, "8"),
        ("max_prepared_transactions", 0, "0"),
        ("max_prepared_transactions", -1, "0"),
        ("max_wal_senders", 2, "10"),
        ("max_replication_slots", 3, "10"),
        ("wal_keep_size", "16MB", "16MB"),
        ("wal_keep_size", "1GB", "1GB"),
        ("wal_keep_size", 15, "128MB"),
        ("wal_keep_size", "16kB", "128MB"),
        ("track_commit_timestamp", True, "on"),
        ("track_commit_timestamp", "perhaps", "off"),
        ("wal_log_hints", False, "off"),  # P-CFG-12
        ("hot_standby", False, "on"),
        ("wal_level", "minimal", "replica"),
        ("wal_level", "LOGICAL", "logical"),
    ],
)
def test_what_is_below_the_minimum_becomes_the_default(
    name: str, value: Any, written: str
) -> None:
    """CFG-24, P-CFG-10: with a complaint."""
    found = effective({name: value})
    assert found.values[name] == written
    is_flag = isinstance(value, bool) and name != "hot_standby"
    complains = str(value).lower() != written.lower() and not is_flag
    assert bool(found.complaints) == complains


@pytest.mark.parametrize("name", ["listen_addresses", "port", "cluster_name"])
def test_parameters_of_other_options_cannot_be_set(name: str) -> None:
    """CFG-24."""
    found = effective({name.upper(): "9999"})
    assert found.values[name] != "9999"
    assert name in found.complaints[0]


@pytest.mark.parametrize(
    ("given_parameters", "version", "name", "written"),
    [
        ({"wal_keep_segments": 10}, 130000, "wal_keep_size", "160MB"),
        ({"wal_keep_segments": "10"}, 150000, "wal_keep_size", "160MB"),
        ({"wal_keep_segments": 10, "wal_keep_size": "1GB"}, 150000, "wal_keep_size", "1GB"),
        ({"wal_keep_size": "160MB"}, 120000, "wal_keep_segments", "10"),
        ({"wal_keep_size": "168MB"}, 120000, "wal_keep_segments", "11"),
        ({"wal_keep_size": 167}, 120000, "wal_keep_segments", "10"),
        ({"wal_keep_size": "1GB"}, 90600, "wal_keep_segments", "64"),
        ({"wal_keep_segments": "x"}, 150000, "wal_keep_size", "128MB"),
    ],
)  # fmt: skip
def test_either_option_of_kept_wal_serves_every_version(
    given_parameters: dict[str, Any], version: int, name: str, written: str
) -> None:
    """CFG-25, P-CFG-11."""
    found = effective(given_parameters, version).values
    assert found[name] == written
    assert ("wal_keep_size" in found) == (version >= 130000)
    assert ("wal_keep_segments" in found) == (version < 130000)


@pytest.mark.parametrize(
    ("value", "version", "written"),
    [
        ("hot_standby", 90600, "replica"),
        ("replica", 90500, "hot_standby"),
        ("logical", 90400, "logical"),
        ("logical", 90300, "hot_standby"),
    ],
)
def test_the_two_names_of_one_wal_level(value: str, version: int, written: str) -> None:
    """CFG-26."""
    assert value_of("wal_level", value, version) == written


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("no_such_thing", 1, "is not a parameter"),
        ("checkpoint_segments", 10, "is not a parameter"),
        ("autovacuum", "maybe", "is not a boolean"),
        ("log_statement", "some", "must be one of"),
        ("work_mem", "10s", "is not a number"),
        ("bad name", 1, "is not a parameter"),
    ],
)
def test_what_would_keep_the_server_from_starting_is_dropped(
    name: str, value: Any, complaint: str
) -> None:
    """CFG-23."""
    found = effective({name: value})
    assert name not in found.values
    assert complaint in found.complaints[0]


def test_a_parameter_without_value_is_not_set() -> None:
    found = effective({"work_mem": None})
    assert "work_mem" not in found.values
    assert not found.complaints


def test_names_may_be_written_in_any_case() -> None:
    """CFG-22."""
    found = effective({"timezone": "UTC", "WORK_MEM": "1MB", "Max_Connections": 50})
    assert found.values["TimeZone"] == "UTC"
    assert found.values["work_mem"] == "1MB"
    assert "--max_connections=50" in found.arguments


def test_parameters_of_extensions_are_taken_as_they_are() -> None:
    """CFG-28."""
    found = effective({"pg_stat_statements.max": 5000, "a.b.c": "x", "a.": 1})
    assert found.values["pg_stat_statements.max"] == "5000"
    assert found.values["a.b.c"] == "x"
    assert "a." not in found.values


DESCRIPTIONS = parse_descriptions(
    "forks_own\tsighup\tGroup\tBOOL\toff\t\t\tA.\t\n"
    "forks_number\tpostmaster\tGroup\tINTEGER\t1\t0\t10\tA.\t\n"
    "work_mem\tuser\tGroup\tINTEGER\t4096\t1024\t2048\tA.\t\n"
)


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("forks_own", True, "on"),
        ("forks_own", "maybe", None),
        ("forks_number", 5, "5"),
        ("forks_number", 11, "10"),
        ("forks_number", "5GB", "5GB"),
        ("work_mem", "1GB", "2048"),
    ],
)
def test_the_binary_knows_better(name: str, value: Any, written: str | None) -> None:
    """P-CFG-09: parameters of forks, and limits of this very build."""
    assert effective({name: value}, 150000, DESCRIPTIONS).values.get(name) == written


def test_synchronous_standby_names_are_the_users_until_the_mode_is_on() -> None:
    """Contracts 6.5."""
    name = "synchronous_standby_names"
    options = given(parameters={name: "users"})
    assert effective_parameters(options, 150000).values[name] == "users"
    owned = dataclasses.replace(options, synchronous_mode=True)
    assert name not in effective_parameters(owned, 150000).values
    ours = effective_parameters(owned, 150000, synchronous_standby_names='"pg2"')
    assert ours.values[name] == '"pg2"'


def test_feedback_is_sent_where_logical_slots_need_it() -> None:
    """Contracts 6.5."""
    options = given(parameters={"hot_standby_feedback": False}, has_logical_slots=True)
    assert effective_parameters(options, 150000).values["hot_standby_feedback"] == "on"


def test_addresses_of_ipv6_go_without_brackets() -> None:
    """CFG-21, P-PG-17."""
    options = given(listen_addresses="[::1], 10.0.0.1")
    found = effective_parameters(options, 150000)
    assert found.values["listen_addresses"] == "::1,10.0.0.1"


def test_a_standby_starts_with_what_its_primary_had(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """REPL-30."""
    fields = {
        "max_connections setting": "200",
        "max_worker_processes setting": "8",
        "max_wal_senders setting": "20",
        "max_prepared_xacts setting": "unreadable",
        "max_locks_per_xact setting": "32",
    }
    raised = raised_for_standby(effective({}).controlled, fields)
    assert raised["max_connections"] == "200"
    assert raised["max_wal_senders"] == "20"
    assert raised["max_prepared_transactions"] == "0"
    assert raised["max_locks_per_transaction"] == "64"
    assert "max_connections = 200" in caplog.text


def test_recovery_settings_are_checked_where_they_are_parameters() -> None:
    """CFG-23, REPL-22."""
    given_settings = {
        "recovery_target": "",
        "recovery_min_apply_delay": "5 minutes",
        "restore_command": "cp %p",
        "standby_mode": "on",
    }
    values, complaints = checked_settings(given_settings, 150000, NO_DESCRIPTIONS)
    assert values == {"recovery_target": "", "restore_command": "cp %p"}
    assert len(complaints) == 2
    assert checked_settings(given_settings, 110000, NO_DESCRIPTIONS) == (
        given_settings,
        (),
    )


def test_each_change_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """CFG-29, P-CFG-34."""
    caplog.set_level(logging.INFO)
    descriptions = parse_descriptions(
        "max_connections\tpostmaster\tG\tINTEGER\t\t\t\t\n"
    )
    log_changes(
        {"work_mem": "1MB", "same": "1", "gone": "x", "primary_conninfo": "password=a"},
        {"work_mem": "2MB", "same": "1", "max_connections": "9", "primary_conninfo": "b"},
        descriptions,
    )  # fmt: skip
    assert caplog.messages == [
        "Changed gone from 'x' to its default.",
        "Changed max_connections from its default to '9' (a restart may be needed).",
        "Changed primary_conninfo from (hidden) to (hidden).",
        "Changed work_mem from '1MB' to '2MB'.",
    ]
