"""Which accounts a new cluster gets, and in what statements."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regnal.bridges.postgres.accounts import (
    WantedAccount,
    quiet_settings,
    quote_identifier,
    quote_literal,
    role_statement,
    wanted_accounts,
)
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.options import Credentials, PostgresOptions
from tests.bridges.postgres.recorder import Driven
from tests.bridges.postgres.servers import SUPERUSER, connect, options_for

PLAIN = options_for(Path("/nowhere"))


def names(options: PostgresOptions, version: int = 150000, **how: Any) -> list[str]:
    how.setdefault("with_superuser", True)
    return [account.name for account in wanted_accounts(options, version, **how)]


def test_each_account_is_wanted_once() -> None:
    """BOOT-16."""
    assert names(PLAIN) == ["postgres", "replicator", "rewinder"]
    assert names(PLAIN, with_superuser=False) == ["replicator", "rewinder"]
    assert names(PLAIN, 100000) == ["postgres", "replicator"]  # it could not rewind
    one = dataclasses.replace(PLAIN, rewind=SUPERUSER, replication=SUPERUSER)
    assert names(one) == ["postgres"]


def test_without_names_there_is_nothing_to_do() -> None:
    """CFG-38."""
    nobody = Credentials()
    options = dataclasses.replace(
        PLAIN, superuser=nobody, replication=nobody, rewind=nobody
    )
    assert names(options) == []


def test_users_of_before_are_created_with_their_options(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Contracts 6.6: those that we need anyway are skipped."""
    users = {
        "app": {"password": "p", "options": ["createdb"]},
        "group": {"options": ["NOLOGIN"]},
        "postgres": {"password": "no"},
        "replicator": {"password": "no"},
    }
    options = dataclasses.replace(PLAIN, bootstrap={"users": users})
    accounts = list(wanted_accounts(options, 150000, with_superuser=False))[2:]
    assert [role_statement(account, exists=False) for account in accounts] == [
        "CREATE ROLE \"app\" WITH createdb LOGIN PASSWORD 'p'",
        'CREATE ROLE "group" WITH NOLOGIN',
    ]
    assert "deprecated" in caplog.text


@pytest.mark.parametrize(
    "users", [["app"], {"app": "p"}, {"app": {"options": ["x; DROP ROLE y"]}}]
)
def test_users_that_make_no_sense_are_refused(users: object) -> None:
    options = dataclasses.replace(PLAIN, bootstrap={"users": users})
    with pytest.raises(OperationError, match=r"bootstrap\.users"):
        names(options)


def test_a_role_that_exists_is_altered() -> None:
    account = WantedAccount('a"b', ("LOGIN",), "it's")
    assert role_statement(account, exists=True) == (
        "ALTER ROLE \"a\"\"b\" WITH LOGIN PASSWORD 'it''s'"
    )
    assert "it's" not in repr(account)


@pytest.mark.parametrize(
    ("version", "missing"),
    [(90300, {"sample"}), (120000, {"log_min_duration_sample"}), (150000, set())],
)
def test_the_session_is_told_only_settings_that_the_version_knows(
    version: int, missing: set[str]
) -> None:
    """BOOT-17, P-PG-02."""
    found = quiet_settings(version)
    assert "-c log_statement=none" in found
    assert "-c pgaudit.log=none" in found
    assert not any(word in found for word in missing)


VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.mark.server
def test_the_server_reads_what_was_quoted(primary: Driven) -> None:
    """P-PG-03: whatever standard_conforming_strings says."""
    session = connect(primary.options)

    @settings(database=None)  # we are another user meanwhile
    @given(VALUES)
    def holds(value: str) -> None:
        name = quote_identifier(f"x{value[:10]}")
        with session.cursor() as cursor:
            for conforming in ("on", "off"):
                cursor.execute(f"SET standard_conforming_strings TO {conforming}")
                cursor.execute(f"SELECT {quote_literal(value)} AS {name}")
                assert cursor.fetchone() == (value,)

    holds()
    session.close()
