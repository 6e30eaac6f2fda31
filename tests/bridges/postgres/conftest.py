"""Tests of the PostgreSQL bridges: the user, the folder and a ready data directory.

PostgreSQL refuses to run as root.  Where the tests run as root, those that ask for
`playground` run as the user `postgres` meanwhile, and so does what they start.
"""

import contextlib
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regnal.messages.postgres import PostgresStarted
from tests.bridges.postgres.recorder import (
    START_PRIMARY,
    Driven,
    NewMember,
    start_standby,
    streams,
)
from tests.bridges.postgres.servers import (
    base_backup,
    create_accounts,
    initdb,
    options_for,
)


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A new data directory with all users, to copy; made once."""
    with as_postgres():
        folder = Path(tempfile.mkdtemp(prefix="regnal-template-", dir="/tmp"))
        initdb(folder / "data")
        create_accounts(folder / "data")
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def playground() -> Iterator[Path]:
    """An empty folder of the user that may run PostgreSQL, who we are meanwhile."""
    with as_postgres():
        folder = Path(tempfile.mkdtemp(prefix="regnal-", dir="/tmp"))
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def new_member(playground: Path, template: Path) -> Iterator[NewMember]:
    """Makes members: bridges with a data directory, stopped when the test ends."""
    made: list[Driven] = []

    def make(name: str = "pg1", **changes: Any) -> Driven:
        options = options_for(playground, name, **changes)
        shutil.copytree(template, options.data_dir)
        made.append(Driven(options))
        return made[-1]

    def copy(source: Driven, name: str, **changes: Any) -> Driven:
        options = options_for(playground, name, **changes)
        base_backup(source.options, options)
        made.append(Driven(options))
        return made[-1]

    yield NewMember(make, copy)
    for member in made:
        member.close()


@pytest.fixture
def primary(new_member: NewMember) -> Driven:
    """A member that runs as primary."""
    member = new_member.make()
    member.do(START_PRIMARY, PostgresStarted)
    return member


@pytest.fixture
def pair(primary: Driven, new_member: NewMember) -> tuple[Driven, Driven]:
    """A primary, and a standby that streams from it."""
    standby = new_member.copy(primary, "pg2")
    standby.do(start_standby(primary), PostgresStarted)
    standby.observe_until(streams, "streamed")
    return primary, standby


@contextlib.contextmanager
def as_postgres() -> Iterator[None]:
    """Be the user `postgres` for a while, if we are root; all threads are."""
    if os.geteuid() != 0:
        yield
        return
    user = pwd.getpwnam("postgres")
    groups, home = os.getgroups(), os.environ.get("HOME", "/")
    os.setgroups([])
    # A saved 0 is what lets us come back; programs that we start do not have it.
    os.setresgid(user.pw_gid, user.pw_gid, 0)
    os.setresuid(user.pw_uid, user.pw_uid, 0)
    os.environ["HOME"] = user.pw_dir
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)
        os.environ["HOME"] = home
