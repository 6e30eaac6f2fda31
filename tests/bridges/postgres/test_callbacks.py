"""Callbacks: arguments, one at a time, ended with their children."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from regnal.bridges.postgres.bridge import PostgresBridge
from regnal.bridges.postgres.processes import look_at
from regnal.messages.callbacks import (
    CallbackAction,
    CallbackEnded,
    CallbackFailed,
    RunCallback,
)
from tests.bridges.postgres.recorder import Driven
from tests.bridges.postgres.servers import options_for


@pytest.fixture
def member(tmp_path: Path) -> Iterator[Driven]:
    """No server is needed for this."""
    record = tmp_path / "record"
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\necho "$@" >> {record}\nexit 3\n')
    script.chmod(0o755)
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\nsleep 600 &\necho $$ $! > {tmp_path}/pids\nwait\n")
    slow.chmod(0o755)
    driven = Driven(
        options_for(
            tmp_path,
            callbacks={
                "on_start": str(slow),
                "on_stop": str(tmp_path / "missing"),
                "on_role_change": f"{script} 'two words'",
                "on_reload": str(script),
            },
        )
    )
    yield driven
    driven.stop_bridge()


def callback(action: CallbackAction) -> RunCallback:
    return RunCallback(action=action, role="primary", scope="demo")


def pids_of_slow(member: Driven) -> list[int]:
    file = member.options.data_dir.parent / "pids"
    member.wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
    return [int(pid) for pid in file.read_text().split()]


def is_gone(pid: int) -> bool:
    process = look_at(pid)
    return process is None or process.is_zombie


def test_a_callback_gets_action_role_and_scope(member: Driven, tmp_path: Path) -> None:
    """CB-01; its own arguments are split as a shell would."""
    ended = member.do(callback("on_role_change"), CallbackEnded)

    assert ended.exit_status == 3
    record = (tmp_path / "record").read_text()
    assert record == "two words on_role_change primary demo\n"


def test_a_new_callback_ends_the_running_one_with_its_children(
    member: Driven,
) -> None:
    """CB-06: and no zombie remains."""
    first = member.order(callback("on_start"))
    pids = pids_of_slow(member)

    member.do(callback("on_role_change"), CallbackEnded)

    killed = member.answer_to(first)
    assert isinstance(killed, CallbackEnded)
    assert killed.exit_status < 0
    member.wait_until(lambda: all(is_gone(pid) for pid in pids))
    assert look_at(pids[0]) is None


def test_on_reload_neither_ends_nor_waits_for_others(member: Driven) -> None:
    """P-CB-01."""
    member.order(callback("on_start"))
    pids = pids_of_slow(member)

    member.do(callback("on_reload"), CallbackEnded)

    assert not any(is_gone(pid) for pid in pids)
    member.do(callback("on_role_change"), CallbackEnded)


def test_a_missing_script_is_reported(member: Driven) -> None:
    failed = member.do(callback("on_stop"), CallbackFailed)

    assert "No such file" in failed.error


def test_without_a_script_nothing_is_said(member: Driven) -> None:
    nothing = member.order(callback("on_restart"))

    member.do(callback("on_role_change"), CallbackEnded)

    assert nothing.id not in [said.cause for said in member.voice.said]


def test_the_bridge_performs_callbacks(member: Driven) -> None:
    assert isinstance(member.bridge, PostgresBridge)
    assert RunCallback in member.bridge.performs
