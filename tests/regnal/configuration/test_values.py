"""How values are written: numbers with units, booleans, addresses (CFG-04, CFG-21)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.configuration.addresses import (
    HostPort,
    bracketed,
    parse_address,
    parse_addresses,
)
from regnal.configuration.values import (
    parse_boolean,
    parse_integer,
    parse_real,
    parse_size,
    parse_time,
)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [(text, True) for text in ("on", "ON", "true", "True", "yes", "1", 1, True)]
    + [(text, False) for text in ("off", "Off", "false", "no", "0", 0, False)],
)
def test_booleans(text: object, value: bool) -> None:
    """CFG-04"""
    assert parse_boolean(text) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (16, 16),
        ("16", 16),
        ("16B", 16),
        ("8kB", 8192),
        ("1 MB", 1024**2),
        ("1.5GB", 1024**3 * 3 // 2),
        ("2TB", 2 * 1024**4),
        ("-1", -1),
        (1e6, 1_000_000),
    ],
)
def test_sizes(text: object, value: int) -> None:
    assert parse_size(text) == value


def test_a_number_without_unit_is_in_the_unit_of_the_option() -> None:
    assert parse_size(16, "MB") == 16 * 1024**2
    assert parse_size("16kB", "MB") == 16 * 1024
    assert parse_time(5, "min") == 300


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (30, 30),
        ("30", 30),
        ("30s", 30),
        ("1500ms", 1.5),
        ("250 us", 0.00025),
        ("2min", 120),
        ("1h", 3600),
        ("1.5d", 129600),
    ],
)
def test_times(text: object, value: float) -> None:
    assert parse_time(text) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "1x",
        "MB",
        "1e3",
        "1/2",
        "٣",
        "0x10",
        "1 2",
        True,
        None,
        [],
        {},
        "9" * 41,
        float("inf"),
        float("nan"),
        10**400,
        "9" * 30,
    ],
)
def test_what_is_no_number_is_a_value_error(value: object) -> None:
    for parse in (parse_integer, parse_real, parse_size, parse_time):
        with pytest.raises(ValueError, match="is "):
            parse(value)


@given(JSON_VALUES)
def test_any_value_is_parsed_or_a_value_error(value: object) -> None:
    for parse in (parse_boolean, parse_integer, parse_real, parse_size, parse_time):
        with contextlib.suppress(ValueError):
            parse(value)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:5432", "127.0.0.1", 5432),
        ("[::1]:5432", "::1", 5432),
        ("::1:5432", "::1", 5432),
        ("*:5432", "*", 5432),
        (":8008", "", 8008),
        ("db-1.example.org:1", "db-1.example.org", 1),
    ],
)
def test_addresses_with_and_without_brackets(text: str, host: str, port: int) -> None:
    """CFG-21"""
    assert parse_address(text) == HostPort(host, port)


def test_the_last_of_several_hosts_carries_the_port() -> None:
    """CFG-21"""
    assert parse_addresses("127.0.0.1,::1,[fe80::1]:5432") == (
        ("127.0.0.1", "::1", "fe80::1"),
        5432,
    )


def test_a_default_port_is_used_where_none_is_written() -> None:
    assert parse_address("etcd1", 2379) == HostPort("etcd1", 2379)
    assert parse_address("[::1]", 2379) == HostPort("::1", 2379)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "host:",
        "host:0",
        "host:65536",
        "host:http",
        "a b:1",
        "host:99999999",
        "http://host:1",
        "[::1]",
        "a:1,b",
        "host:٣",
    ],
)
def test_what_is_no_address_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"port|host"):
        parse_address(text)


def test_what_is_published_has_brackets_around_ipv6() -> None:
    """CFG-21"""
    assert bracketed("::1") == "[::1]"
    assert bracketed("10.0.0.1") == "10.0.0.1"
    assert str(HostPort("fe80::1", 5432)) == "[fe80::1]:5432"
