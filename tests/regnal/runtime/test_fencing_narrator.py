"""What the log says of the guard and of the watchdog."""

import logging

import pytest

from regnal.actors.step import Step
from regnal.messages.base import Message
from regnal.messages.fencing import (
    FencingJudged,
    GuardFailed,
    GuardFenced,
    GuardStarted,
    WatchdogActivated,
    WatchdogFailed,
    WatchdogNotUsable,
)
from regnal.messages.reasons import because
from regnal.runtime.narrator import Narrator
from tests.actors.builders import BEAT, configured, envelope

REASON = because("GUARD_FAILED", error="no memory")


def lines(*messages: Message, mode: str = "automatic") -> None:
    told = Narrator("pg1")
    told("configuration_files", envelope(configured(watchdog_mode=mode)), None)
    for message in messages:
        if isinstance(message, WatchdogNotUsable | FencingJudged):
            told("watchdog", envelope(BEAT), Step(None, (message,)))
        else:
            told("guard", envelope(message), None)


def started(locked: bool, schedule: str) -> GuardStarted:
    return GuardStarted.model_validate(
        {"pid": 7, "taken_over": False, "memory_locked": locked, "schedule": schedule}
    )


@pytest.mark.parametrize(
    ("message", "level", "words"),
    [
        (
            started(True, "realtime"),
            logging.INFO,
            "its memory is locked, it runs before",
        ),
        (
            started(False, "preferred"),
            logging.INFO,
            "LimitMEMLOCK=32M, it has nice -20",
        ),
        (started(True, "normal"), logging.INFO, "LimitRTPRIO=1"),
        (
            GuardStarted(pid=7, taken_over=True, memory_locked=None, schedule=None),
            logging.INFO,
            "The guard of before goes on (pid 7)",
        ),
        (GuardFailed(error="no memory"), logging.ERROR, "no memory"),
        (
            GuardFenced(postmaster_pid=4, at=1.0, late_by=0.0, left=2),
            logging.WARNING,
            "2 processes hung in the kernel",
        ),
        (WatchdogActivated(timeout=25), logging.INFO, "25 s after the last renewal"),
        (
            FencingJudged(verdict="failed", reason=REASON),
            logging.ERROR,
            "must not lead: the guard does not work: no memory",
        ),
    ],
)
def test_what_happens_is_told_with_what_to_do(
    message: Message, level: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "regnal")
    lines(message)
    (record,) = caplog.records
    assert record.levelno == level
    assert words in record.getMessage()


@pytest.mark.parametrize(
    ("mode", "level"), [("automatic", logging.DEBUG), ("required", logging.WARNING)]
)
def test_the_troubles_of_a_watchdog_matter_where_it_is_required(
    mode: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """P-LOG-06, WDOG-04."""
    caplog.set_level(logging.DEBUG, "regnal")
    lines(
        WatchdogFailed(error="/dev/watchdog: No such file or directory"),
        WatchdogFailed(error="/dev/watchdog: No such file or directory"),
        WatchdogNotUsable(timeout=10, loop_wait=10),
        mode=mode,
    )
    assert [record.levelno for record in caplog.records] == [level, level]
    assert "No such file" in caplog.messages[0]
    assert "raise ttl" in caplog.messages[1]
