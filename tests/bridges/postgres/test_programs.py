"""Programs: what they get, what comes back, and that they end when they must."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from regnal.bridges.postgres.errors import Cancelled, MissingBinary, ProgramTimeout
from regnal.bridges.postgres.processes import look_at
from regnal.bridges.postgres.programs import (
    OUTPUT_LIMIT,
    CancelToken,
    ProgramResult,
    clean_environment,
    find_binary,
    run_program,
)
from tests.bridges.postgres.servers import options_for


def run_shell(script: str, timeout: float | None = 30.0) -> ProgramResult:
    with CancelToken() as cancel:
        return run_program(["/bin/sh", "-c", script], cancel=cancel, timeout=timeout)


def test_both_streams_and_the_exit_status_come_back() -> None:
    result = run_shell("echo out; echo err >&2; exit 3")

    assert result == ProgramResult(3, "out\n", "err\n")


def test_the_end_by_a_signal_is_a_negative_status() -> None:
    assert run_shell("kill -TERM $$").exit_status == -signal.SIGTERM


def test_only_the_end_of_a_long_output_is_kept() -> None:
    result = run_shell(f"yes 0123456 | head -c {OUTPUT_LIMIT + 1000}; echo end")

    assert len(result.stdout) == OUTPUT_LIMIT
    assert result.stdout.endswith("end\n")


def test_secrets_and_the_service_manager_are_not_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PG-09, P-PG-12."""
    monkeypatch.setenv("PATRONI_SUPERUSER_PASSWORD", "secret")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    names = clean_environment().keys()

    assert "LC_ALL" in names
    assert "PATH" in names
    assert not {"NOTIFY_SOCKET", "KUBERNETES_SERVICE_HOST"} & names
    assert not any(name.startswith("PATRONI_") for name in names)


def ends_within(pid: int, seconds: float) -> bool:
    """Whether the process is gone, or a zombie, in that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        process = look_at(pid)
        if process is None or process.is_zombie:
            return True
        threading.Event().wait(0.01)
    return False


def test_cancelling_kills_the_program_and_its_children_at_once(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with CancelToken() as cancel:
        started = threading.Event()

        def cancel_when_started() -> None:
            started.wait()
            cancel.cancel("now")

        timer = threading.Thread(target=cancel_when_started)
        timer.start()
        began = time.monotonic()
        with pytest.raises(Cancelled, match="now"):
            run_program(
                ["/bin/sh", "-c", f"sleep 600 & echo $! $$ > {pids}; echo up; wait"],
                cancel=cancel,
                timeout=None,
                on_output=lambda _: started.set(),
            )
        took = time.monotonic() - began
        timer.join()

    assert took < 5
    for pid in pids.read_text().split():
        assert ends_within(int(pid), 5), "a killed process is gone a moment later"


def test_what_was_cancelled_before_is_not_started(tmp_path: Path) -> None:
    with CancelToken() as cancel:
        cancel.cancel("before")
        with pytest.raises(Cancelled, match="before"):
            run_program(["touch", tmp_path / "it"], cancel=cancel, timeout=None)

    assert not (tmp_path / "it").exists()


def test_a_program_that_takes_too_long_is_killed() -> None:
    with pytest.raises(ProgramTimeout, match="sh did not end within"):
        run_shell("echo still here; sleep 600", timeout=0.1)


def test_a_child_that_keeps_the_pipe_open_does_not_keep_us() -> None:
    began = time.monotonic()
    result = run_shell("sleep 5 & echo done")

    assert result.stdout == "done\n"
    assert time.monotonic() - began < 3


def test_lines_are_told_as_they_come_and_progress_bars_too() -> None:
    lines: list[str] = []
    with CancelToken() as cancel:
        run_program(
            ["/bin/sh", "-c", r"printf '10%%\r20%%\r'; echo done"],
            cancel=cancel,
            timeout=30.0,
            on_output=lines.append,
        )

    assert lines == ["10%", "20%", "done"]


def test_a_missing_binary_names_the_option_to_set(tmp_path: Path) -> None:
    options = options_for(tmp_path, bin_dir=tmp_path)

    with pytest.raises(MissingBinary, match=r"postgresql\.bin_dir"):
        find_binary(options, "pg_ctl")


def test_a_binary_may_have_another_name(tmp_path: Path) -> None:
    own = tmp_path / "pg_ctl.real"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    options = options_for(
        tmp_path, bin_dir=tmp_path, bin_names={"pg_ctl": "pg_ctl.real"}
    )

    assert find_binary(options, "pg_ctl") == own


def test_programs_run_though_our_directory_was_removed(tmp_path: Path) -> None:
    """PG-28."""
    before = Path.cwd()
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    try:
        assert run_shell("pwd").stdout == "/\n"
    finally:
        os.chdir(before)


def test_a_token_wakes_whoever_waits() -> None:
    with CancelToken() as cancel:
        timer = threading.Timer(0.05, lambda: cancel.cancel("woken"))
        timer.start()
        with pytest.raises(Cancelled, match="woken"):
            cancel.wait(60)
        timer.join()
