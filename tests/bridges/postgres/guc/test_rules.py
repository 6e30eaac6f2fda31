"""The rules of PostgreSQL's parameters, and the files that hold them."""

import pytest

from regnal.bridges.postgres.guc.rules import (
    MalformedRule,
    find_rule,
    load_rules,
    parse_rule,
    parse_rules,
    parse_version,
)


def test_every_line_of_the_files_is_understood(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """P-CFG-09, P-CFG-31."""
    load_rules.cache_clear()
    assert len(load_rules()) > 350
    assert not caplog.records


@pytest.mark.parametrize("version", [90300, 90600, 100000, 120000, 150000, 180000])
def test_no_parameter_has_two_rules_for_one_version(version: int) -> None:
    for name, rules in load_rules().items():
        fitting = [r for r in rules if any(version in v for v in r.versions)]
        assert len(fitting) <= 1, name


@pytest.mark.parametrize(
    ("name", "version", "exists"),
    [
        ("work_mem", 90300, True),
        ("wal_keep_segments", 120005, True),
        ("wal_keep_segments", 130000, False),
        ("wal_keep_size", 130000, True),
        ("wal_keep_size", 120005, False),
        ("checkpoint_segments", 90426, True),
        ("checkpoint_segments", 90500, False),
        ("max_wal_size", 90500, True),
        ("promote_trigger_file", 150000, True),
        ("promote_trigger_file", 160000, False),
        ("summarize_wal", 160000, False),
        ("summarize_wal", 170000, True),
        ("io_method", 180000, True),
        # P-CFG-32: back-patched.
        ("allow_in_place_tablespaces", 150000, True),
        ("allow_in_place_tablespaces", 140005, True),
        ("allow_in_place_tablespaces", 140004, False),
        ("allow_in_place_tablespaces", 100023, True),
        ("allow_in_place_tablespaces", 90600, False),
        # Not for a file: they are other people's or the server's own.
        ("data_directory", 150000, False),
        ("block_size", 150000, False),
        ("server_version", 150000, False),
    ],
)
def test_a_parameter_exists_in_its_versions(
    name: str, version: int, exists: bool
) -> None:
    """CFG-23."""
    assert (find_rule(name, version) is not None) == exists


def test_names_are_found_in_any_case_and_spelled_as_postgresql_does() -> None:
    """CFG-22."""
    for name in ("datestyle", "INTERVALSTYLE", "TimeZone"):
        rule = find_rule(name, 150000)
        assert rule is not None
        assert rule.name in ("DateStyle", "IntervalStyle", "TimeZone")


@pytest.mark.parametrize(
    ("text", "number"),
    [("9.6.5", 90605), ("9.6", 90600), ("10.3", 100003), ("15", 150000)],
)
def test_versions_of_two_and_three_parts_are_numbers(text: str, number: int) -> None:
    """PG-36."""
    assert parse_version(text) == number


@pytest.mark.parametrize(
    "line",
    [
        "name  15+",
        "name  15+  tristate",
        "name  fifteen+  bool",
        "name  15+  integer  1 to 2",
        "name  15+  bool  a  b",
    ],
)
def test_a_line_that_is_wrong_is_skipped(
    line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """P-CFG-31."""
    with pytest.raises(MalformedRule):
        parse_rule(line)
    rules = list(parse_rules(f"{line}\n# comment\n\nother  *  bool\n", "own.rules"))
    assert [rule.name for rule in rules] == ["other"]
    assert "own.rules, line 1" in caplog.text
