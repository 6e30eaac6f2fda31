"""Options of initdb and pg_basebackup in every notation."""

import pytest

from regnal.bridges.postgres.tool_options import (
    INITDB_FORBIDDEN,
    InvalidOptions,
    ToolOption,
    is_one_of,
    may_basebackup,
    read_tool_options,
)


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        (None, []),
        ([], []),
        ({"encoding": "UTF8"}, ["--encoding=UTF8"]),
        (
            [{"encoding": "UTF8"}, "data-checksums"],
            ["--encoding=UTF8", "--data-checksums"],
        ),
        ({"data-checksums": True, "no-clean": False}, ["--data-checksums"]),
        ({"verbose": None, "max-rate": 100}, ["--verbose", "--max-rate=100"]),
        (["--locale=C", "max-rate=1M"], ["--locale=C", "--max-rate=1M"]),
    ],
)
def test_options_are_read_in_every_notation(
    given: object, arguments: list[str]
) -> None:
    """BOOT-02, REPL-07, P-CFG-23."""
    assert [option.argument for option in read_tool_options(given)] == arguments


@pytest.mark.parametrize("given", ["text", 5, [5], {"a": {"b": 1}}, {"a": [1]}])
def test_what_is_no_option_is_refused(given: object) -> None:
    with pytest.raises(InvalidOptions):
        read_tool_options(given)


@pytest.mark.parametrize(
    ("name", "forbidden"),
    [
        ("pgdata", True),
        ("pgd", True),  # getopt_long would take it for pgdata
        ("pwfile", True),
        ("sync-only", True),
        ("version", True),
        ("data-checksums", False),
        ("no-sync", False),
        ("waldir", False),
    ],
)
def test_initdb_options_that_break_the_result(name: str, forbidden: bool) -> None:
    """P-CFG-23, contracts 6.4."""
    assert is_one_of(ToolOption(name, "x"), INITDB_FORBIDDEN) == forbidden


@pytest.mark.parametrize(
    ("name", "value", "version", "allowed"),
    [
        ("max-rate", "1M", 150000, True),
        ("waldir", "/wal", 150000, True),
        ("no-password", None, 150000, True),
        ("pgdata", "/x", 150000, False),
        ("format", "tar", 150000, False),
        ("gzip", None, 150000, False),
        ("wal-method", "none", 150000, False),
        ("pass", None, 150000, False),
        ("compress", "server-lz4", 150000, True),
        ("compress", "server-lz4", 140000, False),
        ("compress", "client-gzip", 150000, False),
        ("compress", "9", 150000, False),
    ],
)
def test_basebackup_options_that_break_the_result(
    name: str, value: str | None, version: int, allowed: bool
) -> None:
    """REPL-07, P-CFG-23."""
    assert may_basebackup(ToolOption(name, value), version) == allowed
