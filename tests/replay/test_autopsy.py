"""Why a daemon did not run: accounts of real stalls, and of those we cannot make."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.messages.host import KernelAccount, StallNoticed
from regnal.replay.autopsy import StallCode, diagnose

DATA = Path(__file__).parents[1] / "data" / "stalls"


@pytest.mark.parametrize(
    ("recorded", "code", "words"),
    [
        ("stopped", "stopped", "a signal"),
        ("frozen", "stopped", "paused container"),
        ("debugged", "stopped", "a debugger"),
        ("busy", "busy", "kept the interpreter"),
        ("starved", "starved", "got no CPU"),
        ("throttled", "throttled", "CPU quota"),
    ],
)
def test_recorded_stalls(recorded: str, code: StallCode, words: str) -> None:
    """Of a real process (tests/regnal/runtime/watched.py) on kernel 6.18."""
    text = (DATA / f"{recorded}.json").read_text()
    found = diagnose(StallNoticed.model_validate_json(text))
    assert found.code == code
    assert words in found.sentence


def stall(
    missing: float = 30.0,
    *,
    continued: bool = False,
    asleep: float = 0.0,
    **counted: Any,
) -> StallNoticed:
    """Of a daemon whose kernel tells everything, and counted nothing but this."""
    quiet: dict[str, Any] = {
        name: 0 for name in KernelAccount.model_fields if name not in ("over", "cpus")
    }
    account = KernelAccount(over=missing + 4.0, cpus=4, **(quiet | counted))
    return StallNoticed(
        missing=missing,
        suspended=asleep,
        wall_step=0.0,
        continued=continued,
        account=account,
        mailboxes=(),
    )


CASES: dict[str, tuple[StallNoticed, StallCode]] = {
    "a laptop that was closed": (stall(3600, asleep=3599.5), "suspended"),
    "stopped by hand while the host was busy": (
        stall(continued=True, cpu_pressure=25.0, io_pressure=20.0),
        "stopped",
    ),
    "SIGCONT came, but it had waited all the time": (
        stall(continued=True, waited=29.0, cpu_pressure=29.0),
        "starved",
    ),
    "a quota, and it waits in the queue meanwhile": (
        stall(throttled=29.0, waited=29.5, ran=0.3),
        "throttled",
    ),
    "a quota that slows down a daemon that runs all the time": (
        stall(throttled=18.0, ran=16.0),
        "busy",
    ),
    "the whole machine got no CPU": (stall(stolen=115.0, waited=29.0), "stolen"),
    "only our CPU was taken": (stall(stolen=29.0), "stolen"),
    "a little steal beside a starved daemon": (
        stall(stolen=6.0, waited=28.0),
        "starved",
    ),
    "swapped out": (
        stall(major_faults=5000, memory_pressure=24.0, io_pressure=24.0),
        "memory",
    ),
    "swapped out, with delay accounts": (
        stall(major_faults=5000, memory_pressure=24.0, blocked_on_io=27.0),
        "memory",
    ),
    "its program is on a disk that hangs": (
        stall(major_faults=1, io_pressure=29.0),
        "io",
    ),
    "a disk hangs, with delay accounts": (stall(blocked_on_io=29.0), "io"),
    "an endless loop in C code": (stall(ran=29.8), "busy"),
    "half a loop, half a queue": (stall(ran=14.0, waited=12.0), "busy"),
    "half a queue, half a loop": (stall(ran=12.0, waited=14.0), "starved"),
    "nothing at all": (stall(), "stopped"),
    "a busy host, but we did not even want to run": (
        stall(cpu_pressure=29.0, io_pressure=29.0, memory_pressure=1.0),
        "stopped",
    ),
    "the thread that has the interpreter waits for a CPU": (
        stall(ran=5.0, waited=2.0, another_waited=22.0, cpu_pressure=29.0),
        "starved",
    ),
    "a third of it is known": (stall(ran=10.0), "unknown"),
}


@pytest.mark.parametrize("name", CASES)
def test_accounts_of_the_kernel(name: str) -> None:
    given, code = CASES[name]
    assert diagnose(given).code == code


def test_what_the_kernel_does_not_tell_is_named() -> None:
    account = KernelAccount(ran=0.0, over=34.0, cpus=4)
    found = diagnose(stall().model_copy(update={"account": account}))
    assert found.code == "unknown"
    assert "/proc/thread-self/schedstat" in found.sentence


COUNTED = st.none() | st.floats(0.0, 1e6)


@given(
    stall=st.builds(
        stall,
        st.floats(1.0, 1e6),
        continued=st.booleans(),
        asleep=st.floats(0.0, 1e6),
        ran=st.floats(0.0, 1e6),
        waited=COUNTED,
        another_waited=COUNTED,
        blocked_on_io=COUNTED,
        major_faults=st.none() | st.integers(0, 10**9),
        stolen=COUNTED,
        throttled=COUNTED,
        frozen=COUNTED,
        memory_pressure=COUNTED,
        io_pressure=COUNTED,
    )
)
def test_every_account_has_a_diagnosis_and_its_sentence(stall: StallNoticed) -> None:
    found = diagnose(stall)
    assert found.sentence
    assert "None" not in found.sentence
