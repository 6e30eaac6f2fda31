"""Where we connect to, and as whom."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from regnal.bridges.postgres.connection_string import parse
from regnal.bridges.postgres.conninfo import (
    Account,
    connect_parameters,
    local_dsn,
    local_parameters,
    replication_parameters,
    upstream_conninfo,
    upstream_dsn,
)
from regnal.bridges.postgres.options import Credentials, PostgresOptions
from regnal.messages.postgres import Upstream
from tests.bridges.postgres.servers import options_for

NEW = 180000
OLD = 90300
LEADER = Upstream(
    member="pg1", host="10.0.0.1", port="5433", slot="pg2", is_leader=True
)
EVERYTHING = Credentials(
    "rep",
    "s3cret",
    {
        "sslmode": "verify-full",
        "sslkey": "/key",
        "sslcert": "/cert",
        "sslrootcert": "/root",
        "sslcrl": "/crl",
        "sslpassword": "kEy",
        "gssencmode": "disable",
        "channel_binding": "require",
        "sslcrldir": "/crls",
        "sslnegotiation": "direct",
    },
)


def given(tmp_path: Path, **changes: Any) -> PostgresOptions:
    plain = options_for(tmp_path, "pg2", parameters={})
    return dataclasses.replace(plain, **changes)


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("*", "localhost"),
        ("0.0.0.0", "localhost"),
        ("::", "localhost"),
        ("10.0.0.5,localhost", "localhost"),
        ("10.0.0.5,10.0.0.6", "10.0.0.5"),
        ("[fd00::5],10.0.0.6", "fd00::5"),
        ("", "localhost"),
    ],
)
def test_we_reach_our_server_by_tcp(tmp_path: Path, listen: str, host: str) -> None:
    """PG-18, P-PG-17."""
    options = given(tmp_path, listen_addresses=listen)
    assert local_parameters(options, libpq_version=NEW)["host"] == host


@pytest.mark.parametrize(
    ("directories", "host"),
    [
        (None, None),
        ("/run/pg, /tmp", "/run/pg"),
        ("@abstract,/tmp", "/tmp"),
        ('"/with space",/tmp', "/with space"),
        ("", "10.0.0.5"),
    ],
)
@pytest.mark.parametrize(
    ("account", "option"),
    [("superuser", "use_unix_socket"), ("replication", "use_unix_socket_repl")],
)
def test_we_reach_our_server_by_socket(
    tmp_path: Path,
    directories: str | None,
    host: str | None,
    account: Account,
    option: str,
) -> None:
    """PG-18, REPL-27, P-PG-16: libpq's own default where the server has its own."""
    options = given(
        tmp_path,
        listen_addresses="10.0.0.5",
        parameters={"Unix_Socket_Directories": directories},
        **{option: True},
    )
    found = local_parameters(options, account, libpq_version=NEW)
    assert found.get("host") == host
    other: Account = "replication" if account == "superuser" else "superuser"
    assert local_parameters(options, other, libpq_version=NEW)["host"] == "10.0.0.5"


def test_the_driver_gets_the_password_and_a_safe_search_path(tmp_path: Path) -> None:
    """P-PG-01."""
    options = given(tmp_path, superuser=EVERYTHING)
    found = connect_parameters(options, libpq_version=NEW, settings="-c a=b")
    assert found["password"] == "s3cret"
    assert found["sslpassword"] == "kEy"
    assert found["options"] == "-c search_path=pg_catalog -c a=b"
    replication = replication_parameters(options, libpq_version=NEW)
    assert replication["replication"] == "1"  # REPL-25
    assert "options" not in replication


def test_nothing_that_a_process_list_may_show_holds_a_secret(tmp_path: Path) -> None:
    """SEC-05."""
    options = given(
        tmp_path, superuser=EVERYTHING, replication=EVERYTHING, rewind=EVERYTHING
    )
    accounts: tuple[Account, ...] = ("superuser", "replication", "rewind")
    for account in accounts:
        for text in (
            local_dsn(options, account, libpq_version=NEW),
            upstream_dsn(options, LEADER, account, libpq_version=NEW),
        ):
            assert "s3cret" not in text
            assert "kEy" not in text
            assert parse(text)["sslmode"] == "verify-full"


def test_a_standby_follows_with_all_that_the_section_says(tmp_path: Path) -> None:
    """REPL-14, REPL-15, SEC-01, SEC-02, P-CFG-08, P-SLOT-16."""
    options = given(tmp_path, replication=EVERYTHING)
    found = parse(upstream_conninfo(options, LEADER, server_version=NEW))
    assert found == {
        **EVERYTHING.connection_parameters,
        "user": "rep",
        "passfile": str(options.pgpass),
        "host": "10.0.0.1",
        "port": "5433",
        "application_name": "pg2",
        "dbname": "postgres",
    }


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        (OLD, {"gssencmode", "channel_binding", "sslpassword", "sslcrldir"}),
        (120000, {"channel_binding", "sslpassword", "sslcrldir", "sslnegotiation"}),
        (130000, {"sslcrldir", "sslnegotiation"}),
        (140000, {"sslnegotiation"}),
        (170000, set()),
    ],
)
def test_keywords_that_the_version_does_not_know_are_left_out(
    tmp_path: Path, version: int, missing: set[str]
) -> None:
    """SEC-02, P-CFG-08."""
    options = given(tmp_path, replication=EVERYTHING)
    found = parse(upstream_conninfo(options, LEADER, server_version=version))
    assert not missing & found.keys()
    assert "sslcrl" in found
    # Before 10 libpq may not know passfiles.
    assert ("password" in found) == (version < 100000)
    assert ("passfile" in found) == (version >= 100000)


def test_with_kerberos_no_password_is_mentioned(tmp_path: Path) -> None:
    """SEC-03."""
    options = given(tmp_path, replication=Credentials("rep"), krbsrvname="pgsql")
    found = parse(upstream_conninfo(options, LEADER, server_version=NEW))
    assert found["krbsrvname"] == "pgsql"
    assert not {"password", "passfile"} & found.keys()


def test_an_address_of_ipv6_goes_without_brackets(tmp_path: Path) -> None:
    """CFG-21, P-PG-10."""
    upstream = LEADER.model_copy(update={"host": "[fd00::1]"})
    found = parse(upstream_conninfo(given(tmp_path), upstream, server_version=NEW))
    assert found["host"] == "fd00::1"


@pytest.mark.parametrize(("version", "attrs"), [(OLD, None), (100000, "read-write")])
def test_of_several_remote_hosts_the_one_that_takes_writes_is_wanted(
    tmp_path: Path, version: int, attrs: str | None
) -> None:
    """P-SBY-01."""
    upstream = LEADER.model_copy(update={"host": "a,b", "member": None})
    found = parse(upstream_conninfo(given(tmp_path), upstream, server_version=version))
    assert found.get("target_session_attrs") == attrs


def test_the_superuser_rewinds_where_no_other_is_named(tmp_path: Path) -> None:
    options = given(tmp_path, rewind=Credentials())
    dsn = upstream_dsn(options, LEADER, "rewind", libpq_version=NEW)
    assert parse(dsn)["user"] == options.superuser.username


def test_without_user_names_libpq_chooses(tmp_path: Path) -> None:
    """CFG-38."""
    options = given(tmp_path, superuser=Credentials())
    assert "user" not in parse(local_dsn(options, libpq_version=NEW))
