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

import pytest

from tests.bridges.postgres.servers import initdb


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A data directory straight from initdb, to copy; made once."""
    with as_postgres():
        folder = Path(tempfile.mkdtemp(prefix="regnal-template-", dir="/tmp"))
        initdb(folder / "data")
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def playground() -> Iterator[Path]:
    """An empty folder of the user that may run PostgreSQL, who we are meanwhile."""
    with as_postgres():
        folder = Path(tempfile.mkdtemp(prefix="regnal-", dir="/tmp"))
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


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
