"""The log: queue, thread, file, formats, levels (LOG-01 to LOG-07, P-LOG-01 to 04)."""

import contextlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regnal.configuration.checking import with_defaults
from regnal.configuration.log_format import Formats, make_formatter
from regnal.configuration.logs import (
    FILE_NAME,
    LogOptions,
    LogSystem,
    RecordQueue,
    log_options,
)
from regnal.configuration.problems import ConfigurationError
from regnal.configuration.schema import LOCAL

logger = logging.getLogger("regnal.test")
DEADLINE = 20.0


@pytest.fixture
def log(stderr: "Stderr") -> Iterator[LogSystem]:
    root = logging.getLogger()
    level = root.level
    system = LogSystem()
    system.install()
    yield system
    system.close()
    root.setLevel(level)


class Stderr:
    """What was written to stderr since the test began."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    def getvalue(self) -> str:
        self._text += self._capsys.readouterr().err
        return self._text


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Stderr:
    return Stderr(capsys)


def options(**section: Any) -> LogOptions:
    return log_options(with_defaults(LOCAL, {"log": section}))


def wait_for(condition: Any, what: str) -> None:
    """Give the other thread its time."""
    end = time.monotonic() + DEADLINE
    step = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"waited for {what}"
        step.wait(0.005)


def test_defaults() -> None:
    """LOG-01"""
    assert options() == LogOptions(
        level=logging.INFO,
        formats=Formats(),
        max_queue_size=1000,
        directory=None,
        file_num=4,
        file_size=25_000_000,
        file_mode=None,
        loggers={},
        deduplicate_heartbeats=False,
    )


def test_the_log_goes_to_stderr(log: LogSystem, stderr: Stderr) -> None:
    """LOG-02"""
    log.configure(options())
    logger.info("Promoted to %s.", "leader", extra={"timeline": 3})
    logger.debug("not asked for")
    assert log.close()
    assert stderr.getvalue().endswith(" INFO: Promoted to leader. timeline=3\n")
    assert stderr.getvalue().count("\n") == 1


def test_what_came_before_the_configuration_is_written(
    log: LogSystem, stderr: Stderr
) -> None:
    """P-LOG-04"""
    logger.info("early")
    logger.debug("early and not asked for")
    log.configure(options(format="%(message)s"))
    assert log.close()
    assert stderr.getvalue() == "early\n"


def test_the_early_log_is_written_though_no_configuration_was_found(
    log: LogSystem, stderr: Stderr
) -> None:
    """P-LOG-04, LOG-05"""
    logger.error("no configuration")
    assert log.close()
    assert "ERROR: no configuration" in stderr.getvalue()


def test_nothing_is_lost_at_the_end(log: LogSystem, stderr: Stderr) -> None:
    """LOG-05"""
    log.configure(options(format="%(message)s", max_queue_size=10_000))
    for number in range(5000):
        logger.info("%d", number)
    assert log.close()
    assert stderr.getvalue().split() == [str(number) for number in range(5000)]


def test_the_file_rotates_by_size(log: LogSystem, tmp_path: Path) -> None:
    """LOG-02"""
    log.configure(
        options(dir=str(tmp_path), file_size=1000, file_num=2, format="%(message)s")
    )
    for _ in range(100):
        logger.info("x" * 99)
    assert log.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [FILE_NAME, FILE_NAME + ".1", FILE_NAME + ".2"]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_the_file_has_the_mode_asked_for(
    mode: int, log: LogSystem, tmp_path: Path
) -> None:
    """P-LOG-02"""
    log.configure(options(dir=str(tmp_path), mode=mode))
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == mode


def test_the_mode_is_by_umask_otherwise(log: LogSystem, tmp_path: Path) -> None:
    """P-LOG-02"""
    umask = os.umask(0o027)
    try:
        log.configure(options(dir=str(tmp_path)))
    finally:
        os.umask(umask)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o640


def test_a_directory_that_is_not_there_is_named(log: LogSystem, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"^log\.dir: .*patroni\.log cannot be written: No such",
    ):
        log.configure(options(dir=str(tmp_path / "none")))


def test_a_reload_that_fails_leaves_the_log_as_it_was(
    log: LogSystem, stderr: Stderr, tmp_path: Path
) -> None:
    """CFG-13"""
    log.configure(options(format="%(message)s"))
    with pytest.raises(ConfigurationError):
        log.configure(options(dir=str(tmp_path / "none"), level="ERROR"))
    logger.info("still here")
    assert log.close()
    assert stderr.getvalue() == "still here\n"


def test_reload_changes_file_level_and_loggers(
    log: LogSystem, stderr: Stderr, tmp_path: Path
) -> None:
    """LOG-01, CFG-12"""
    other = logging.getLogger("some.library")
    log.configure(options(format="%(message)s", loggers={"some.library": "DEBUG"}))
    other.debug("one")
    wait_for(stderr.getvalue, "the first line")
    log.configure(options(dir=str(tmp_path), format="%(message)s", level="ERROR"))
    other.debug("two")
    logger.info("three")
    logger.error("four")
    assert log.close()
    assert stderr.getvalue() == "one\n"
    assert (tmp_path / FILE_NAME).read_text() == "four\n"


def failing() -> None:
    try:
        raise ValueError("of\nno use")
    except ValueError:
        logger.exception("It failed")


@pytest.mark.parametrize(
    ("level", "traceback_level", "is_shown"),
    [
        ("INFO", "ERROR", True),
        ("DEBUG", "DEBUG", True),
        ("INFO", "DEBUG", False),
        ("CRITICAL", "ERROR", False),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "json"])
def test_tracebacks_appear_only_at_their_level(
    kind: str, level: str, traceback_level: str, is_shown: bool
) -> None:
    """LOG-07: otherwise one line with the exception's text."""
    formatter = make_formatter(
        options(type=kind, level=level, traceback_level=traceback_level).formats
    )
    try:
        raise ValueError("of\nno use")
    except ValueError:
        record = logger.makeRecord(
            "regnal.test", logging.ERROR, "", 0, "It failed", (), sys.exc_info()
        )
    text = formatter.format(record)
    assert ("Traceback" in text) is is_shown
    if not is_shown:
        assert "It failed: ValueError: of no use" in text
        assert "\n" not in text


def test_json_lines(log: LogSystem, stderr: Stderr) -> None:
    """P-LOG-01"""
    log.configure(
        options(
            type="json",
            format=["message", {"levelname": "level"}, "asctime"],
            static_fields={"app": "regnal"},
            dateformat="%Y",
        )
    )
    logger.warning("Odd: %s", "ü", extra={"lag": 5, "odd": {1, 2}.__class__})
    assert log.close()
    line = json.loads(stderr.getvalue())
    assert line["message"] == "Odd: ü"
    assert line["level"] == "WARNING"
    assert line["app"] == "regnal"
    assert line["lag"] == 5
    assert len(line["asctime"]) == 4
    assert next(iter(line)) == "app"


def test_json_lines_have_the_fields_of_a_format_text(
    log: LogSystem, stderr: Stderr
) -> None:
    """P-LOG-01"""
    log.configure(options(type="json", format="%(levelname)s %(name)s %(message)s"))
    logger.warning("x")
    assert log.close()
    assert json.loads(stderr.getvalue()) == {
        "levelname": "WARNING",
        "name": "regnal.test",
        "message": "x",
    }


def test_repeated_heartbeats_can_be_left_out(log: LogSystem, stderr: Stderr) -> None:
    """P-LOG-03"""
    log.configure(options(format="%(message)s", deduplicate_heartbeat_logs=True))
    lines = [
        "no action. I am (a), the leader with the lock",
        "no action. I am (a), the leader with the lock",
        "something else",
        "no action. I am (a), the leader with the lock",
        "PAUSE: no action. I am (a)",
        "PAUSE: no action. I am (a)",
        "no action. I am (a), the leader with the lock",
        "something else",
    ]
    for line in lines:
        logger.info(line)
    assert log.close()
    assert stderr.getvalue().splitlines() == [lines[n] for n in (0, 2, 4, 6, 7)]


def test_heartbeats_are_repeated_by_default(log: LogSystem, stderr: Stderr) -> None:
    log.configure(options(format="%(message)s"))
    logger.info("no action. I am (a)")
    logger.info("no action. I am (a)")
    assert log.close()
    assert stderr.getvalue().count("no action") == 2


def fill(pipe: int) -> None:
    """Write lines of dashes until the pipe takes no more."""
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b"-" * 4095 + b"\n")
    os.set_blocking(pipe, True)


def test_a_writer_that_is_stuck_delays_nobody(
    log: LogSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LOG-04: records are dropped and counted; status 5 at the end (contract 9.2)."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as reader, os.fdopen(write_end, "w") as stream:
        fill(write_end)
        monkeypatch.setattr(sys, "stderr", stream)
        log.configure(options(format="%(message)s", max_queue_size=50))
        started = time.monotonic()
        for _ in range(5000):
            logger.info("x" * 200)
        assert time.monotonic() - started < 5
        assert not log.close(timeout=0.05)
        lines: list[str] = []
        drain = threading.Thread(target=lambda: lines.extend(iter(reader.readline, "")))
        drain.start()
        assert log.close()
        stream.close()
        drain.join(DEADLINE)
    lines = [line for line in lines if line.strip("-\n")]
    told = [line for line in lines if "log records were dropped" in line]
    dropped = sum(int(line.split()[0]) for line in told)
    assert len(lines) - len(told) + dropped == 5000
    assert dropped > 1000


def test_a_full_disk_is_told_once_and_the_writer_goes_on(
    log: LogSystem, stderr: Stderr, tmp_path: Path
) -> None:
    (tmp_path / FILE_NAME).symlink_to("/dev/full")
    log.configure(options(dir=str(tmp_path)))
    for _ in range(3):
        logger.info("lost")
    wait_for(stderr.getvalue, "the complaint")
    (tmp_path / "good").mkdir()
    log.configure(options(dir=str(tmp_path / "good"), format="%(message)s"))
    logger.info("kept")
    assert log.close()
    assert stderr.getvalue().count("cannot be written") == 1
    assert "No space left" in stderr.getvalue()
    assert (tmp_path / "good" / FILE_NAME).read_text().endswith("kept\n")


def test_a_bad_log_call_does_not_end_the_writer(log: LogSystem, stderr: Stderr) -> None:
    """LOG-06"""
    log.configure(options(format="%(message)s"))
    logger.info("%d apples", "two")
    logger.info("good")
    assert log.close()
    assert stderr.getvalue() == "%d apples ('two',)\ngood\n"


def test_closing_ends_the_thread(log: LogSystem) -> None:
    """LOG-06"""
    log.configure(options())
    assert any(thread.name == "log" for thread in threading.enumerate())
    log.close()
    assert not any(thread.name == "log" for thread in threading.enumerate())


def test_a_signal_handler_may_log_while_its_thread_does() -> None:
    queue = RecordQueue(10)
    record = logging.makeLogRecord({})
    with queue._changed:
        queue.put(record)
    assert queue.take() == ([record], 0)
