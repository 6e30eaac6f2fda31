"""libpq's connection strings: what we read and write is what libpq reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn

from regnal.bridges.postgres.connection_string import (
    InvalidConnectionString,
    build,
    differences,
    masked,
    parse,
    split_hosts,
)

KEYWORDS = st.sampled_from(["host", "port", "user", "password", "dbname", "options"])
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.dictionaries(KEYWORDS, VALUES))
def test_what_is_built_is_parsed_back(parameters: dict[str, str]) -> None:
    assert parse(build(parameters)) == parameters


@given(st.dictionaries(KEYWORDS, VALUES, min_size=1))
def test_libpq_reads_what_is_built(parameters: dict[str, str]) -> None:
    """P-PG-10."""
    assert parse_dsn(build(parameters)) == parameters


@pytest.mark.parametrize(
    "text",
    [
        "host=h port=5433 dbname=d",
        "host = h  port= 5433",
        "user='a b' password='it\\'s' options='-c x=\\\\y'",
        r"user=a\ b password=\'q",
        "host='' dbname=d",
        "\n host=h\tport=1\n",
        "postgresql://",
        "postgres://h",
        "postgres://u:p%40w@h:5433/d",
        "postgresql://u@h/d?sslmode=require&application_name=a%20b",
        "postgresql://[::1]:5433,[fe80::1],h:5434/d",
        "postgresql://a:1,b:2,c/d?target_session_attrs=read-write",
        "postgresql:///d?host=/var/run/postgresql",
        "postgresql://%2Fvar%2Frun%2Fpostgresql/d",
        "postgresql://u@/d",
        "postgresql://h?ssl=true",
        "postgresql://h/?connect_timeout=3",
    ],
)
def test_libpq_reads_the_same(text: str) -> None:
    """P-PG-10, CFG-21: both notations, several hosts, IPv6."""
    ours = {key: value for key, value in parse(text).items() if value}
    assert ours == {key: value for key, value in parse_dsn(text).items() if value}


@pytest.mark.parametrize(
    "text",
    [
        "host",
        "host h",
        "host='h",
        "postgresql://[::1/d",
        "postgresql://h?sslmode",
        "postgresql://h/%zz",
        "postgresql://h/%00",
        "postgresql://h/%ff",
    ],
)
def test_what_is_no_connection_string_is_said_so_without_quoting_it(text: str) -> None:
    """SEC-05: the text may hold a password."""
    with pytest.raises(InvalidConnectionString) as error:
        parse(f"{text} password=hidden" if "://" not in text else text)
    assert "hidden" not in str(error.value)


def test_a_keyword_that_our_libpq_does_not_know_is_kept() -> None:
    assert parse("host=h invented=1")["invented"] == "1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("host=h password=s3cret sslpassword=t", "host=h password=*** sslpassword=***"),
        ("postgres://u:s3cret@h/d", "user=u password=*** host=h dbname=d"),
        ("what is = this password='", "(unreadable connection string)"),
    ],
)
def test_secrets_are_masked(text: str, shown: str) -> None:
    """SEC-05."""
    assert masked(text) == shown


WANTED = {
    "host": "10.0.0.1",
    "port": "5432",
    "user": "rep",
    "passfile": "/pgpass",
    "application_name": "pg2",
    "dbname": "postgres",
}


@pytest.mark.parametrize(
    ("actual", "version", "found"),
    [
        pytest.param({}, 150000, (), id="the same"),
        pytest.param({"sslmode": "prefer"}, 150000, (), id="a default, written"),
        pytest.param({"sslmode": "require"}, 150000, ("sslmode",), id="another"),
        pytest.param({"port": None}, 150000, (), id="the default port, left out"),
        pytest.param({"host": "10.0.0.2"}, 150000, ("host",), id="another host"),
        pytest.param(
            {"passfile": None, "password": "********"}, 150000, (), id="obfuscated"
        ),
        pytest.param({"passfile": "/other"}, 150000, ("password",), id="passfile"),
        pytest.param({"passfile": None}, 150000, ("password",), id="no password"),
        pytest.param({"dbname": "replication"}, 150000, (), id="dbname before 17"),
        pytest.param({"dbname": "other"}, 170000, ("dbname",), id="dbname in 17"),
        pytest.param(
            {"fallback_application_name": "walreceiver", "sslcompression": "0"},
            150000,
            (),
            id="what the receiver adds",
        ),
    ],
)
def test_strings_are_compared_by_meaning(
    actual: dict[str, str | None], version: int, found: tuple[str, ...]
) -> None:
    """REPL-16, P-SLOT-16."""
    changed = {**WANTED, **actual}
    present = {key: value for key, value in changed.items() if value is not None}
    assert differences(WANTED, present, version) == found


def test_several_hosts_with_one_port_mean_that_port_for_each() -> None:
    """P-SBY-01, P-PG-10."""
    assert split_hosts("a, [::1],b", "5433") == (
        ("a", "5433"),
        ("::1", "5433"),
        ("b", "5433"),
    )
    one = {**WANTED, "host": "a,b", "port": "5433"}
    two = {**WANTED, "host": "a,b", "port": "5433,5433"}
    assert differences(one, two, 150000) == ()
