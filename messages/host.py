"""The host: what its kernel tells when something did not run, or had no room.

A daemon that was absent cannot see what happened meanwhile; the kernel kept account.
"""

from typing import Literal

from regnal.messages.base import Bytes, MemberName, Observation, Seconds, Value


class KernelAccount(Value):
    """What the kernel counted between two moments; None: it does not tell here."""

    ran: Seconds
    """CPU time that all threads of the daemon used since it was last seen to run."""

    over: Seconds
    """What follows is read every few seconds: it was counted from that long ago, time
    of suspend not counted."""

    cpus: int
    """Of the host."""

    waited: Seconds | None = None
    """How long the thread that watches was ready and had no CPU."""

    another_waited: Seconds | None = None
    """The longest that any other of its threads did: perhaps the one that had the
    interpreter, for which all the others wait."""

    blocked_on_io: Seconds | None = None
    """How long it waited for disks, where the kernel keeps delay accounts."""

    major_faults: int | None = None
    """Pages of the daemon that had to be read from disk."""

    stolen: Seconds | None = None
    """CPU time that the hypervisor gave to others, over all CPUs."""

    throttled: Seconds | None = None
    """For which the cgroup was held back by its CPU quota, over all CPUs."""

    frozen: Seconds | None = None
    """For which the cgroup was frozen, as that of a paused container is."""

    cpu_pressure: Seconds | None = None
    """For which some task of the host waited for a CPU (PSI, `some`)."""

    memory_pressure: Seconds | None = None
    """For which all tasks of the host waited for memory (PSI, `full`)."""

    io_pressure: Seconds | None = None
    """For which all tasks of the host waited for disks (PSI, `full`)."""


class MailboxAge(Value):
    """What waits in the mailbox of an actor."""

    actor: str
    waiting: int
    oldest: Seconds
    """How long the message that is handled, or comes next, has been waiting."""


class StallNoticed(Observation):
    """The daemon did not run for a while, says a thread that does nothing but sleep
    a little and look at the clock."""

    kind: Literal["stall_noticed"] = "stall_noticed"
    missing: Seconds
    """How much longer than it should the thread slept, suspend included."""

    suspended: Seconds
    """Of these, how long the machine was suspended (BOOTTIME against MONOTONIC)."""

    wall_step: Seconds
    """By how much the wall clock moved against the others; negative: back."""

    continued: bool
    """Whether SIGCONT came meanwhile: a signal had stopped the daemon."""

    account: KernelAccount
    mailboxes: tuple[MailboxAge, ...]
    """Of the actors that have something to hear."""


class ClockStepped(Observation):
    """The wall clock was set while the daemon ran; that NTP lets it run a little
    faster or slower is no step.  (For one during a stall see `StallNoticed`.)"""

    kind: Literal["clock_stepped"] = "clock_stepped"
    step: Seconds
    """Negative: back."""


class ClockSkewSeen(Observation):
    """Another member's wall clock differs from ours, as its stamps show; told when it
    first does by more than a second, and when that changes by more than one."""

    kind: Literal["clock_skew_seen"] = "clock_skew_seen"
    member: MemberName
    ahead: Seconds
    """At least so much, since a stamp is older than the moment it is seen; negative:
    behind.  Who cannot know how old a stamp is never says behind."""


class ActorsLate(Observation):
    """The daemon runs, but an actor does not get through its mailbox.  Told once, and
    again when it is twice as late."""

    kind: Literal["actors_late"] = "actors_late"
    mailboxes: tuple[MailboxAge, ...]
    """Of the late ones."""

    account: KernelAccount
    """Since they were last in time."""


class DiskRoom(Value):
    """A file system, as statvfs(3) shows it to the daemon's user."""

    path: str
    free: Bytes
    size: Bytes
    free_files: int | None
    """How many files more it can have; None: as many as there is room for."""
