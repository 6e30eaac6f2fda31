"""Why a postmaster ended: what is known of its disks, and of the kernel's choice.

A file system and a cgroup of our own are made by root alone; elsewhere these are
skipped.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from regnal.bridges.host.cgroups import cgroup_directories
from regnal.messages.postgres import PostgresStarted, PostmasterExited
from tests.bridges.postgres.recorder import START_PRIMARY, Driven, NewMember
from tests.bridges.postgres.servers import connect, sql

pytestmark = pytest.mark.server

MEMORY = 48
"""MiB for a postmaster and a backend that wants more."""

DISK = 96
"""MiB of a disk that a new cluster nearly fills."""


def exit_of(member: Driven) -> PostmasterExited:
    exited, _ = member.voice.wait_for(PostmasterExited, lambda _: True, "its end")
    return exited


def test_a_server_that_was_killed_was_not_chosen_by_the_kernel(primary: Driven) -> None:
    pid = primary.observe().postmaster_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    exited = exit_of(primary)
    assert exited.oom_killed is False
    (disk,) = exited.disks
    assert disk.path == str(primary.options.data_dir)
    assert 0 < disk.free <= disk.size
    assert disk.size == shutil.disk_usage(primary.options.data_dir).total


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """To be asked for before `playground`: only root may mount."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    place = Path(tempfile.mkdtemp(prefix="regnal-disk-", dir="/tmp"))
    options = f"size={DISK}m,mode=0777"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "regnal-test", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        place.rmdir()
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)
    place.rmdir()


def test_a_server_that_has_no_room_left_for_its_wal(
    small_disk: Path, new_member: NewMember
) -> None:
    member = new_member.make()
    wal = member.options.data_dir / "pg_wal"
    place = small_disk / "pg_wal"
    shutil.move(wal, place)
    wal.symlink_to(place)
    member.do(START_PRIMARY, PostgresStarted)
    with contextlib.suppress(psycopg2.Error):
        sql(
            member.options,
            "CREATE TABLE t AS SELECT repeat('x', 1000) AS x "
            "FROM generate_series(1, 200000)",
        )
    exited = exit_of(member)
    data, disk = exited.disks
    assert data.path == str(member.options.data_dir)
    assert disk.path == str(wal)
    assert disk.size == DISK << 20
    assert disk.free < 16 << 20, "less than a file of WAL"
    assert exited.oom_killed is False


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A cgroup within ours that can be given a limit of memory; to be asked for before
    `playground`."""
    here = cgroup_directories("memory")
    if not here:
        pytest.skip("the memory cgroup of this process cannot be seen here")
    group = here[0] / f"regnal-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    try:
        if not any((group / name).exists() for name in LIMITS):
            pytest.skip("the memory controller is not enabled here")
        yield group
    finally:
        remove(group)


LIMITS = ("memory.max", "memory.limit_in_bytes")
"""Of both versions of cgroups."""


def test_a_server_that_the_kernel_kills_for_want_of_memory(
    little_memory: Path, primary: Driven
) -> None:
    pid = primary.observe().postmaster_pid
    assert pid is not None
    with contextlib.closing(connect(primary.options)) as session:
        with as_root():
            for process in (pid, session.info.backend_pid):
                (little_memory / "cgroup.procs").write_text(str(process))
            for name in LIMITS:
                if (little_memory / name).exists():
                    (little_memory / name).write_text(str(MEMORY << 20))
        primary.observe()  # where it is now
        # The backend needs more than there is, and the postmaster is the first to go.
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
        with contextlib.suppress(psycopg2.Error), session.cursor() as cursor:
            cursor.execute(f"SELECT length(repeat('x', {2 * MEMORY} << 20))")
    exited = exit_of(primary)
    assert exited.signal == signal.SIGKILL
    assert exited.oom_killed is True


@contextlib.contextmanager
def as_root() -> Iterator[None]:
    """Be root for a moment, where `playground` has made us another user."""
    user = os.geteuid()
    os.seteuid(0)
    try:
        yield
    finally:
        os.seteuid(user)


def remove(group: Path) -> None:
    """A cgroup can be removed once the kernel has buried all its processes."""
    until = time.monotonic() + 30.0
    while True:
        try:
            return group.rmdir()
        except OSError:
            assert time.monotonic() < until, f"{group} is still in use"
            time.sleep(0.02)
