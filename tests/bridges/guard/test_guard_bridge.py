"""The bridge to the guard: it outlives the daemon, is taken over, replaced, and told of."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from regnal.bridges.guard import bridge as guard_bridge
from regnal.bridges.guard import connection, guard_process
from regnal.bridges.guard.bridge import GuardBridge
from regnal.bridges.guard.connection import GuardAddress, address_of, spawn
from regnal.bridges.guard.record import GuardRecord
from regnal.journal.stamps import boot_clock as now
from regnal.messages.fencing import (
    ArmGuard,
    DisarmGuard,
    GuardArmed,
    GuardFailed,
    GuardFenced,
    GuardStarted,
)
from tests.bridges.guard.pretending import (
    Said,
    a_bridge,
    end,
    ended_within,
    order,
    postmaster,
    wait_for,
)

DAEMON = """
import socket, subprocess, sys, time
program, protocol, address, *places = sys.argv[1:]
subprocess.run([sys.executable, "-I", "-S", program, protocol, address, *places],
               start_new_session=True)
guard = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
guard.connect(chr(0) + address)
now = time.clock_gettime(time.CLOCK_BOOTTIME)
guard.send(f"arm {now + 0.8} {now + 2} 0".encode())
print(guard.recv(10), flush=True)
time.sleep(60)
"""
"""What a daemon does for its guard; one that loads little starts at once."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    return directory


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def guard(data: Path, said: Said) -> Iterator[GuardBridge]:
    bridge = a_bridge(data, said)
    bridge.start()
    yield bridge
    bridge.perform(order(DisarmGuard()))
    bridge.stop()


def arming(seconds: float) -> ArmGuard:
    return ArmGuard(deadline=now() + seconds, lease_until=now() + seconds + 1)


def started(said: Said) -> list[GuardStarted]:
    return [m for m in said.messages if isinstance(m, GuardStarted)]


def fenced(said: Said) -> list[int]:
    return [m.postmaster_pid for m in said.messages if isinstance(m, GuardFenced)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_guard_fences_when_its_daemon_is_dead_or_frozen(
    data: Path, said: Said, number: signal.Signals
) -> None:
    """Law 2: a daemon that does not run renews nothing, so PostgreSQL ends in time;
    the next life of the daemon tells of it."""
    process = postmaster(data)
    daemon = subprocess.Popen(
        [
            sys.executable,
            *("-c", DAEMON, guard_process.__file__, guard_process.PROTOCOL),
            *(str(address_of(data)), str(data), str(data.parent / "guard.jsonl")),
        ],
        stdout=subprocess.PIPE,
    )
    assert daemon.stdout is not None
    while b"ok" not in (line := daemon.stdout.readline()):
        assert line, "it ended"
    daemon.send_signal(number)
    assert ended_within(process, 5)
    process.wait()
    end(daemon)
    daemon.stdout.close()
    following = a_bridge(data, said)
    wait_for("the record", lambda: (data.parent / "guard.jsonl").exists())
    following.start()
    following.stop()
    assert fenced(said) == [process.pid]


def test_a_restarted_daemon_takes_the_armed_guard_over(data: Path, said: Said) -> None:
    """No gap: until the new daemon moves the deadline, that of the old one stands."""
    process = postmaster(data)
    first = a_bridge(data, Said())
    first.start()
    first.perform(order(arming(1.0)))
    first.stop()
    second = a_bridge(data, said)
    second.start()
    assert [m.taken_over for m in started(said)] == [True]
    second.perform(order(arming(60)))
    assert not ended_within(process, 1.2)
    assert said.count(GuardArmed) == 1
    second.perform(order(DisarmGuard()))
    second.stop()
    end(process)


def test_a_taken_over_guard_fences_unless_the_new_daemon_renews(
    data: Path, guard: GuardBridge
) -> None:
    process = postmaster(data)
    guard.perform(order(arming(0.5)))
    second = a_bridge(data, Said())
    second.start()
    assert ended_within(process, 3)
    second.stop()
    process.wait()


def test_a_guard_that_is_killed_is_replaced_at_once_with_the_same_orders(
    guard: GuardBridge, data: Path, said: Said
) -> None:
    """Nobody orders anything: its end is seen."""
    process = postmaster(data)
    guard.perform(order(arming(2)))
    (victim,) = started(said)
    psutil.Process(victim.pid).kill()
    wait_for("another guard", lambda: said.count(GuardArmed) == 2)
    assert not started(said)[-1].taken_over
    assert started(said)[-1].pid != victim.pid
    assert not ended_within(process, 0.1)
    assert ended_within(process, 5)
    process.wait()


def test_what_is_only_moved_is_not_told(guard: GuardBridge, said: Said) -> None:
    for _ in range(3):
        guard.perform(order(arming(60)))
    guard.perform(order(DisarmGuard()))
    guard.perform(order(arming(60)))
    assert said.kinds() == ["guard_started", "guard_armed", "guard_armed"]


def test_a_guard_that_cannot_be_started_is_told_once_and_tried_again(
    data: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_bridge, "PAUSE", 0.01)
    monkeypatch.setattr(guard_bridge, "RETRY_EVERY", 0.1)
    interpreter = sys.executable
    monkeypatch.setattr(sys, "executable", "/bin/false")
    bridge = a_bridge(data, said)
    bridge.start()
    bridge.perform(order(arming(60)))
    bridge.perform(order(arming(60)))
    assert said.kinds() == ["guard_failed"]
    failed = said.messages[0]
    assert isinstance(failed, GuardFailed)
    assert failed.error == "it ended while it was being started"
    monkeypatch.setattr(sys, "executable", interpreter)
    wait_for("a guard", lambda: said.count(GuardArmed) == 1)
    bridge.perform(order(DisarmGuard()))
    bridge.stop()


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("/nonexistent", "it could not be started: No such file or directory"),
        ("/bin/sleep", "it ended while it was being started"),
    ],
)
def test_why_it_could_not_be_started_is_told(
    data: Path,
    said: Said,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    error: str,
) -> None:
    monkeypatch.setattr(guard_bridge, "ATTEMPTS", 1)
    monkeypatch.setattr(sys, "executable", program)
    bridge = a_bridge(data, said)
    bridge.start()
    bridge.stop()
    assert said.messages == [GuardFailed(error=error)]


def test_a_program_that_was_replaced_under_the_daemon_asks_for_a_restart(
    data: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_bridge, "ATTEMPTS", 1)
    monkeypatch.setattr(guard_process, "PROTOCOL", "1")
    bridge = a_bridge(data, said)
    bridge.start()
    bridge.stop()
    (failed,) = said.messages
    assert isinstance(failed, GuardFailed)
    assert "another version; restart" in failed.error


def test_the_guard_of_an_older_version_stands_until_ours_is_armed(
    data: Path, said: Said
) -> None:
    """An upgrade: at every moment one of them is armed, and then only ours runs."""
    old = GuardAddress(address_of(data).name, "older")
    link, _ = spawn(old, data, data.parent / "guard.jsonl")
    link.ask(f"arm {now() + 60!r} {now() + 60!r} 0")
    link.close()
    predecessor = psutil.Process(link.pid)
    bridge = a_bridge(data, said)
    bridge.start()
    assert not started(said)[0].taken_over
    assert predecessor.is_running()
    bridge.perform(order(arming(60)))
    wait_for("its end", lambda: not predecessor.is_running())
    bridge.perform(order(DisarmGuard()))
    bridge.stop()


def test_the_guard_of_an_older_version_fences_if_ours_is_never_armed(
    data: Path, said: Said
) -> None:
    process = postmaster(data)
    link, _ = spawn(
        GuardAddress(address_of(data).name, "older"), data, data.parent / "guard.jsonl"
    )
    link.ask(f"arm {now() + 0.4!r} {now() + 1!r} 0")
    link.close()
    bridge = a_bridge(data, said)
    bridge.start()
    assert ended_within(process, 3)
    bridge.stop()
    process.wait()


def test_a_disarmed_guard_ends_with_its_daemon(data: Path, said: Said) -> None:
    bridge = a_bridge(data, said)
    bridge.start()
    bridge.perform(order(arming(60)))
    bridge.perform(order(DisarmGuard()))
    process = psutil.Process(started(said)[0].pid)
    bridge.stop()
    wait_for("its end", lambda: not process.is_running())


def test_guards_of_other_directories_are_not_ours(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert address_of(data).name != address_of(other).name
    link = data.parent / "link"
    link.symlink_to(data)
    assert address_of(link) == address_of(data), "one guard, whatever the path"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_who_pretends_to_be_the_guard_is_not_believed(
    data: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may take the name, and would say `ok` to everything."""
    monkeypatch.setattr(guard_bridge, "ATTEMPTS", 1)
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "
        "s.bind(chr(0) + sys.argv[1]); s.listen(); print(flush=True); sys.stdin.read()"
    )
    impostor = subprocess.Popen(
        ["/usr/bin/python3", "-c", program, str(address_of(data))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        user=65534,
        cwd="/",
    )
    assert impostor.stdout is not None
    impostor.stdout.readline()
    bridge = a_bridge(data, said)
    bridge.start()
    bridge.stop()
    impostor.communicate()
    (failed,) = said.messages
    assert isinstance(failed, GuardFailed)
    assert f"process {impostor.pid} of user 65534 listens in its place" in failed.error


LINE = {
    "pid": 7,
    "deadline": 9.0,
    "at": 9.1,
    "late_by": 0.1,
    "took": 0.5,
    "left": 0,
    "wall": 1_900_000_000.25,
}


def test_each_line_of_the_record_is_told_once_and_none_is_lost(tmp_path: Path) -> None:
    record = GuardRecord(tmp_path / "guard.jsonl")
    assert list(record.untold()) == []
    text = json.dumps(LINE) + "\n"
    record.path.write_text(text + "nonsense\n" + text[:20])
    (told,) = record.untold()
    assert told.wall_us == 1_900_000_000_250_000
    assert list(record.untold()) == []
    with record.path.open("a") as file:
        file.write(text[20:])
    (told,) = GuardRecord(record.path).untold()
    assert told.postmaster_pid == 7
    assert list(record.untold()) == []


def test_a_record_that_has_grown_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regnal.bridges.guard.record.LONGEST", 300)
    record = GuardRecord(tmp_path / "guard.jsonl")
    record.path.write_text((json.dumps(LINE) + "\n") * 4)
    assert len(list(record.untold())) == 4
    assert not record.path.exists()
    record.path.write_text(json.dumps(LINE) + "\n")
    assert len(list(record.untold())) == 1


def test_the_daemon_hears_of_a_fencing_with_its_next_order(
    guard: GuardBridge, data: Path, said: Said
) -> None:
    process = postmaster(data)
    guard.perform(order(arming(0.1)))
    assert ended_within(process, 3)
    process.wait()
    guard.perform(order(DisarmGuard()))
    wait_for("the report", lambda: fenced(said) == [process.pid])
    guard.perform(order(DisarmGuard()))
    assert fenced(said) == [process.pid]


def test_a_new_guard_that_was_never_ready_is_not_waited_for(
    data: Path, said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(guard_bridge, "ATTEMPTS", 1)
    monkeypatch.setattr(connection, "START_WITHIN", 0.1)
    program = tmp_path / "silent"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    began = time.monotonic()
    bridge = a_bridge(data, said)
    bridge.start()
    bridge.stop()
    assert time.monotonic() - began < 5
    assert said.messages == [GuardFailed(error="it was not ready within 0 s")]
