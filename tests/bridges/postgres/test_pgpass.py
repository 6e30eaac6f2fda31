"""The passfile."""

import dataclasses
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.postgres.options import Credentials, PostgresOptions
from regnal.bridges.postgres.pgpass import (
    PassfileEntry,
    needs_passfile,
    passfile_text,
    write_passfile,
)
from regnal.messages.postgres import Upstream
from tests.bridges.postgres.servers import options_for

LEADER = Upstream(member="pg1", host="10.0.0.1", port="5433", slot=None, is_leader=True)
NOBODY = Credentials()


@pytest.fixture
def options(tmp_path: Path) -> PostgresOptions:
    return options_for(tmp_path, "pg2")


def fields_as_libpq_reads(line: str) -> list[str]:
    """The rule of passwordFromFile: a backslash takes the next character as it is."""
    fields, escaped = [""], False
    for character in line:
        if escaped or character not in "\\:":
            fields[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            fields.append("")
    return fields


PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@given(PRINTABLE, PRINTABLE)
def test_libpq_reads_back_what_was_written(user: str, password: str) -> None:
    """SEC-04."""
    text = passfile_text([PassfileEntry("h", "5432", user, password)])
    assert fields_as_libpq_reads(text.removesuffix("\n")) == [
        "h",
        "5432",
        "*",
        user,
        password,
    ]


def test_what_is_missing_matches_anything() -> None:
    """SEC-04."""
    assert passfile_text([PassfileEntry("", "", "", "p")]) == "*:*:*:*:p\n"


def test_a_socket_directory_gets_a_line_for_localhost() -> None:
    """P-PG-11: under that name libpq looks a default directory up."""
    text = passfile_text([PassfileEntry("/run/pg", "5432", "u", "p")])
    assert text == "/run/pg:5432:*:u:p\nlocalhost:5432:*:u:p\n"


def test_a_password_that_no_line_can_hold_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """SEC-05: it must not become a line of its own."""
    assert passfile_text([PassfileEntry("h", "1", "u", "a\nh:1:*:root:b")]) == ""
    assert "line break" in caplog.text
    assert "root" not in caplog.text


def test_the_file_is_private_and_has_a_line_for_each_host(
    options: PostgresOptions,
) -> None:
    """SEC-04, P-SBY-01, P-PG-09."""
    upstream = LEADER.model_copy(update={"host": "a,[::1]", "port": "1,2"})

    environment = write_passfile(options, upstream)

    assert environment == {"PGPASSFILE": str(options.pgpass)}
    assert stat.S_IMODE(options.pgpass.stat().st_mode) == 0o600
    lines = options.pgpass.read_text().splitlines()
    assert "a:1:*:replicator:secret-of-replicator" in lines
    assert r"\:\:1:2:*:replicator:secret-of-replicator" in lines
    assert r"\:\:1:2:*:rewinder:secret-of-rewinder" in lines

    changed = dataclasses.replace(options, replication=Credentials("replicator", "new"))
    write_passfile(changed, upstream)
    assert "a:1:*:replicator:new" in options.pgpass.read_text().splitlines()


def test_without_passwords_there_is_no_file(options: PostgresOptions) -> None:
    """SEC-03."""
    options = dataclasses.replace(
        options,
        superuser=NOBODY,
        replication=NOBODY,
        rewind=NOBODY,
        pgpass=Path("/nowhere/pgpass"),
    )
    assert not needs_passfile(options)
    assert write_passfile(options, LEADER) == {}


def test_the_password_of_a_key_goes_by_a_service_file(options: PostgresOptions) -> None:
    """SEC-02, SEC-05: libpq has no variable for it."""
    key = {"sslpassword": "kEy"}
    options = dataclasses.replace(
        options, replication=Credentials("rep", None, connection_parameters=key)
    )

    environment = write_passfile(options, LEADER, "replication")

    service = Path(environment["PGSERVICEFILE"])
    assert service.read_text() == "[replication]\nsslpassword=kEy\n"
    assert stat.S_IMODE(service.stat().st_mode) == 0o600
    assert environment["PGSERVICE"] == "replication"
