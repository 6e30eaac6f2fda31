"""The autopsy of a stall: why the daemon did not run, by what the kernel counted.

The thread that noticed was asleep or ready all the time, so that its absence has one
of few reasons.  Read CHECKS from top to bottom: the first that applies tells.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from regnal.messages.base import Seconds
from regnal.messages.host import KernelAccount, StallNoticed

StallCode: TypeAlias = Literal[
    "suspended",
    "stopped",
    "throttled",
    "stolen",
    "starved",
    "memory",
    "io",
    "busy",
    "unknown",
]
"""suspended: the host slept.  stopped: neither did it run, nor wait, nor was it
blocked (a signal, a debugger, a freezer).  throttled: a CPU quota.  stolen: the
hypervisor.  starved: other programs had the CPUs.  memory, io: it waited for its own
pages, or for disks.  busy: it ran, but one thread kept the interpreter to itself.
These never change: others match them."""

MOST = 0.5
"""This share of an absence must be accounted for to be its reason."""

HARDLY = 0.2
"""What is below this share is no reason at all."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    code: StallCode
    sentence: str
    """For people; begins in lower case, so that it can follow `because`."""


def diagnose(stall: StallNoticed) -> Diagnosis:
    for check in CHECKS:
        found = check(stall, stall.account)
        if found is not None:
            return found
    return _unknown(stall)


Found: TypeAlias = Diagnosis | None


def suspended(stall: StallNoticed, account: KernelAccount) -> Found:
    if stall.suspended < MOST * stall.missing:
        return None
    return Diagnosis("suspended", f"the host was suspended for {stall.suspended:.1f} s")


def stopped_by_a_signal(stall: StallNoticed, account: KernelAccount) -> Found:
    active = account.ran + _waited(account)
    if not stall.continued or active >= MOST * _awake(stall):
        return None
    return Diagnosis(
        "stopped", "a signal had stopped the daemon (SIGSTOP or SIGTSTP, then SIGCONT)"
    )


def frozen(stall: StallNoticed, account: KernelAccount) -> Found:
    if not _is_most(account.frozen, stall):
        return None
    return Diagnosis(
        "stopped",
        f"its cgroup was frozen for {account.frozen:.1f} s, as that of a paused "
        "container is",
    )


def throttled(stall: StallNoticed, account: KernelAccount) -> Found:
    """A quota that only slows down what runs a lot is a busy daemon's."""
    if not _is_most(account.throttled, stall) or _is_most(account.ran, stall):
        return None
    return Diagnosis(
        "throttled",
        f"the CPU quota of its cgroup held it back for {account.throttled:.1f} s",
    )


def stolen_from_all_cpus(stall: StallNoticed, account: KernelAccount) -> Found:
    """Then also those wait who wait for a CPU: for one that the host does not have."""
    if account.stolen is None:
        return None
    return _stolen(account) if _is_most(account.stolen / account.cpus, stall) else None


def starved(stall: StallNoticed, account: KernelAccount) -> Found:
    return _starved(account) if _is_most(_waited(account), stall) else None


def out_of_memory(stall: StallNoticed, account: KernelAccount) -> Found:
    """It waited for its own pages, while everybody waited for memory."""
    if not account.major_faults or not _is_most(account.memory_pressure, stall):
        return None
    return Diagnosis(
        "memory",
        f"the host was short of memory: {account.major_faults} pages of the daemon had "
        f"to be read from disk, and everything waited for memory for "
        f"{account.memory_pressure:.1f} s",
    )


def blocked_on_io(stall: StallNoticed, account: KernelAccount) -> Found:
    if _is_most(account.blocked_on_io, stall):
        waited = account.blocked_on_io
    elif account.major_faults and _is_most(account.io_pressure, stall):
        waited = account.io_pressure
    else:
        return None
    return Diagnosis(
        "io",
        f"it waited for a disk for {waited:.1f} s "
        f"({account.major_faults or 0} pages of the daemon were read from disk)",
    )


def busy(stall: StallNoticed, account: KernelAccount) -> Found:
    return _busy(account) if _is_most(account.ran, stall) else None


def stolen_from_us(stall: StallNoticed, account: KernelAccount) -> Found:
    """Nothing else explains it, and so much was taken from one or several CPUs."""
    return _stolen(account) if _is_most(account.stolen, stall) else None


def busy_and_starved(stall: StallNoticed, account: KernelAccount) -> Found:
    """Neither is most of it, both are: the larger is named."""
    waited = _waited(account)
    if not _is_most(account.ran + waited, stall):
        return None
    return _busy(account) if account.ran > waited else _starved(account)


def stopped(stall: StallNoticed, account: KernelAccount) -> Found:
    """By elimination: it neither ran nor waited, nor was it blocked."""
    if account.waited is None:
        return None
    active = account.ran + _waited(account) + (account.blocked_on_io or 0.0)
    if active >= HARDLY * _awake(stall) or account.major_faults:
        return None
    return Diagnosis(
        "stopped",
        "something had stopped the daemon: a debugger, a freezer, a paused virtual machine "
        "(or one of its threads slept and kept the interpreter)",
    )


CHECKS: tuple[Callable[[StallNoticed, KernelAccount], Found], ...] = (
    suspended,
    stopped_by_a_signal,
    frozen,
    throttled,
    stolen_from_all_cpus,
    starved,
    out_of_memory,
    blocked_on_io,
    busy,
    stolen_from_us,
    busy_and_starved,
    stopped,
)


def _awake(stall: StallNoticed) -> Seconds:
    """How much is to be explained, where suspend does not."""
    return stall.missing - stall.suspended


def _waited(account: KernelAccount) -> Seconds:
    """Of the thread that watches; or of another, if it waited for that one."""
    return max(account.waited or 0.0, account.another_waited or 0.0)


def _is_most(seconds: Seconds | None, stall: StallNoticed) -> bool:
    return seconds is not None and seconds >= MOST * _awake(stall)


def _stolen(account: KernelAccount) -> Diagnosis:
    return Diagnosis(
        "stolen",
        f"the hypervisor gave {account.stolen:.1f} s of its {account.cpus} CPUs to "
        "other machines",
    )


def _starved(account: KernelAccount) -> Diagnosis:
    return Diagnosis(
        "starved",
        f"it was ready for {_waited(account):.1f} s and got no CPU: other programs had "
        f"them{_beside(account.ran, 'it ran')}",
    )


def _busy(account: KernelAccount) -> Diagnosis:
    return Diagnosis(
        "busy",
        f"it used {account.ran:.1f} s of CPU while one of its threads kept the "
        f"interpreter to itself{_beside(_waited(account), 'it waited for a CPU')}",
    )


def _beside(seconds: Seconds, what: str) -> str:
    return f" ({what} for {seconds:.1f} s)" if seconds >= 0.1 else ""


def _unknown(stall: StallNoticed) -> Diagnosis:
    missing = [name for name in MISSING if getattr(stall.account, name) is None]
    if missing:
        listed = ", ".join(MISSING[name] for name in missing)
        return Diagnosis("unknown", f"the kernel does not tell here {listed}")
    return Diagnosis("unknown", "nothing that the kernel counts explains it")


MISSING = {
    "waited": "how long it waited for a CPU (/proc/thread-self/schedstat)",
    "blocked_on_io": "how long it waited for disks (kernel.task_delayacct)",
    "stolen": "what the hypervisor took (/proc/stat)",
    "throttled": "what a CPU quota held back (cpu.stat of its cgroup)",
    "io_pressure": "how the disks were loaded (/proc/pressure)",
}
"""What would be needed to know more, by the field that has it."""
