"""A simulated host: its power, its clocks and its disk."""

from dataclasses import dataclass, field

from regnal.messages.base import Command, MemberName, Seconds
from regnal.replay.simulation.scheduler import Scheduler

EPOCH_US = 1_800_000_000_000_000
"""Microseconds since 1970 when virtual time begins."""

FLUSH: Seconds = 0.001
"""A commit on a healthy disk."""

JOURNAL_PATIENCE: Seconds = 0.5
"""How long a step that decides who writes waits for the journal at most (the default
of journal/options.py)."""


@dataclass
class Host:
    """What all programs of a member share."""

    name: MemberName
    scheduler: Scheduler
    is_up: bool = True
    is_suspended: bool = False
    """Nothing runs; its clock of instants goes on."""

    boots: int = 1
    wall_step_us: int = 0
    """By how much its wall clock is wrong."""

    disk_is_full: bool = False
    disk_slowness: float = 1.0
    """How many times longer everything takes that waits for the disk."""

    extra: dict[type[Command], Seconds] = field(default_factory=dict)
    """What commands of these classes take longer, for reasons of PostgreSQL's own."""

    late_end: Seconds = 0.0
    """How much later than it is seen the end of a postmaster is told: children hang."""

    @property
    def runs(self) -> bool:
        return self.is_up and not self.is_suspended

    @property
    def boot_id(self) -> str:
        return f"simulated-{self.name}-{self.boots}"

    @property
    def flush(self) -> Seconds:
        """How long a commit waits for the disk."""
        return FLUSH * self.disk_slowness

    @property
    def journal_delay(self) -> Seconds:
        """How long a step that decides who writes waits for the journal."""
        if self.disk_is_full:
            return 0.0  # refused at once: it goes on without
        return min(JOURNAL_PATIENCE, FLUSH * (self.disk_slowness - 1))

    def wall(self) -> int:
        """Microseconds since 1970, as this host believes."""
        return EPOCH_US + int(self.scheduler.now * 1e6) + self.wall_step_us
