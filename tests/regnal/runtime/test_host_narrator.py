"""What an operator reads in the log of stalls, late actors and clocks."""

import logging
from pathlib import Path

import pytest

from regnal.messages.host import (
    ActorsLate,
    ClockSkewSeen,
    ClockStepped,
    KernelAccount,
    MailboxAge,
    StallNoticed,
)
from regnal.runtime.host_narrator import HostMessage, tell_of_host

STALLS = Path(__file__).parents[2] / "data" / "stalls"
ACCOUNT = KernelAccount(ran=0.25, over=4.0, cpus=2)


def stall(name: str) -> StallNoticed:
    return StallNoticed.model_validate_json((STALLS / f"{name}.json").read_text())


@pytest.mark.parametrize(
    ("message", "level", "parts"),
    [
        pytest.param(
            stall("starved"),
            logging.WARNING,
            ["did not run for 6.", "waited 6.", "s for a CPU", "`regnal explain`"],
            id="starved",
        ),
        pytest.param(
            stall("stopped"),
            logging.WARNING,
            ["did not run for", "stopped by a signal"],
            id="stopped",
        ),
        pytest.param(
            ActorsLate(
                mailboxes=(MailboxAge(actor="election", waiting=3, oldest=4.21),),
                account=ACCOUNT,
            ),
            logging.WARNING,
            ["election has 3, the oldest for 4.2 s", "; ran 0.2 s.", "disk"],
            id="late",
        ),
        pytest.param(
            ClockStepped(step=-3600.0),
            logging.WARNING,
            ["set back by 3600.0 s", "NTP"],
            id="step",
        ),
        pytest.param(
            ClockSkewSeen(member="pg2", ahead=-4.5),
            logging.WARNING,
            ["pg2 is at least 4.5 s behind ours", "NTP"],
            id="skew",
        ),
        pytest.param(
            ClockSkewSeen(member="pg2", ahead=0.2),
            logging.INFO,
            ["pg2 agrees with ours again"],
            id="no skew any more",
        ),
    ],
)
def test_one_line_says_what_to_look_at(
    message: HostMessage,
    level: int,
    parts: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    tell_of_host(message)
    (line,) = caplog.records
    assert line.levelno == level
    for part in parts:
        assert part in line.getMessage()
    assert "None" not in line.getMessage()
