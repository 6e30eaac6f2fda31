"""Values of parameters: taken, clamped, dropped."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.postgres.guc.rules import Rule, find_rule, parse_rule
from regnal.bridges.postgres.guc.values import (
    as_text,
    check_value,
    parse_boolean,
    parse_number,
)


def rule(name: str, version: int = 150000) -> Rule:
    found = find_rule(name, version)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("work_mem", "64MB", "64MB"),
        ("work_mem", "64mb", "64MB"),
        ("work_mem", " 64 MB ", "64MB"),
        ("work_mem", 4096, "4096"),
        ("work_mem", "4096", "4096"),
        ("work_mem", "1.5GB", "1.5GB"),
        ("work_mem", "1kB", "64"),  # below the least
        ("max_connections", "100", "100"),
        ("max_connections", 10**9, "262143"),
        ("max_connections", "100MB", None),
        ("max_connections", "many", None),
        ("statement_timeout", "5min", "5min"),
        ("statement_timeout", "5MB", None),
        ("statement_timeout", "5MIN", "5min"),
        ("autovacuum_vacuum_scale_factor", 0.05, "0.05"),
        ("autovacuum_vacuum_scale_factor", "1e-3", "1e-3"),
        ("autovacuum_vacuum_scale_factor", 500, "100.0"),
        ("unix_socket_permissions", "0770", "0770"),
        ("unix_socket_permissions", "0x1ff", "0x1ff"),
        ("unix_socket_permissions", 511, "511"),
        ("unix_socket_permissions", 512, "511"),
        ("vacuum_cost_delay", "0.5", "0.5"),
        ("autovacuum", True, "on"),
        ("autovacuum", "TRUE", "TRUE"),
        ("autovacuum", "tr", "tr"),
        ("autovacuum", 0, "0"),
        ("autovacuum", "maybe", None),
        ("autovacuum", "o", None),
        ("synchronous_commit", "remote_apply", "remote_apply"),
        ("synchronous_commit", "Remote_Apply", "remote_apply"),
        ("synchronous_commit", False, "off"),
        ("synchronous_commit", "sometimes", None),
        ("wal_compression", "lz4", "lz4"),
        ("wal_compression", True, "on"),
        ("wal_compression", "zip", None),
        ("log_statement", "ddl", "ddl"),
        ("log_statement", True, None),
        ("default_transaction_isolation", "repeatable read", "repeatable read"),
        ("ssl_min_protocol_version", "", ""),
        ("archive_command", "cp %p '/a/%f'", "cp %p '/a/%f'"),
        ("archive_command", "a\0b", None),
        ("shared_preload_libraries", ["a", "b"], "a,b"),
        ("shared_preload_libraries", {"a": 1}, None),
        ("DateStyle", "ISO, DMY", "ISO, DMY"),
    ],
)
def test_a_value_is_checked(name: str, value: Any, written: str | None) -> None:
    """CFG-23, P-CFG-10: with a complaint whenever it is not taken as it is."""
    checked = check_value(rule(name), value)
    assert checked.value == written
    as_given = written is not None and check_value(rule(name), written).value == written
    assert as_given == (written is not None)
    if written is None:
        assert checked.complaint


def test_what_is_clamped_is_told_with_its_unit() -> None:
    """P-CFG-34."""
    assert check_value(rule("work_mem"), "1kB").complaint == (
        "is 1kB, beyond its limit; 64 (kB) is taken"
    )


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("128MB", "MB", 128),
        ("128MB", "kB", 131072),
        ("1GB", "8kB", 131072),
        ("16", "8kB", 16),
        ("2", "16MB", 2),
        ("1h", "s", 3600),
        ("90s", "min", 1.5),
        ("10", "", 10),
        ("-1", "kB", -1),
        ("0x10", "", 16),
        ("010", "", 8),
        ("09", "", None),
        ("1e3", "", 1000),
        ("1kB", "s", None),
        ("1e999", "", None),
        ("", "", None),
        ("kB", "kB", None),
    ],
)
def test_numbers_are_read_in_the_unit_of_the_parameter(
    text: str, unit: str, number: float | None
) -> None:
    assert parse_number(text, unit) == number


@pytest.mark.parametrize(
    ("text", "value"),
    [("y", True), ("f", False), ("of", False), ("o", None), ("", None), ("2", None)],
)
def test_booleans_may_be_abbreviated_as_far_as_they_are_clear(
    text: str, value: bool | None
) -> None:
    assert parse_boolean(text) is value


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
RULES = st.sampled_from(
    [
        parse_rule("a  *  integer kB  64 .. 2147483647"),
        parse_rule("a  *  real  0 .. 1"),
        parse_rule("a  *  bool"),
        parse_rule("a  *  enumbool  x, y"),
        parse_rule("a  *  string"),
    ]
)


@given(RULES, YAML)
def test_whatever_is_taken_is_taken_again(rule: Rule, value: object) -> None:
    """CFG-23: what we write is valid by the same rule, whatever YAML held."""
    checked = check_value(rule, value)
    if checked.value is not None:
        assert check_value(rule, checked.value).value == checked.value
        assert check_value(rule, checked.value).complaint is None
        assert "\0" not in checked.value


@given(YAML)
def test_only_what_can_be_written_is_text(value: object) -> None:
    text = as_text(value)
    assert text is None or isinstance(text, str)
