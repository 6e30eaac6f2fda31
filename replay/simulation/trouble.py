"""Trouble: makes the faults of a schedule happen to a world, and end."""

from regnal.messages.base import Instant, MemberName, Message
from regnal.replay.simulation.faults import (
    AIMED_FOR,
    LAST,
    PRIMARY,
    SENDER,
    STANDBY,
    SYNC,
    WHO_IS_MEANT,
    Fault,
    FaultKind,
    Schedule,
)
from regnal.replay.simulation.harm import BEGINNINGS, Stage


class Trouble:
    """The faults of one schedule."""

    def __init__(self, stage: Stage, schedule: Schedule) -> None:
        self.begun: list[tuple[Instant, FaultKind, tuple[str, ...]]] = []
        """What happened, to whom it did."""

        self._stage = stage
        self._coming = len(schedule)
        """How many faults have not ended yet."""

        self._aimed: list[Fault] = []
        """Those that wait for their moment."""

        for fault in schedule:
            come = self._aim if fault.aim else self._begin
            stage.scheduler.at(fault.at, lambda fault=fault, come=come: come(fault))  # type: ignore[misc]

    @property
    def is_over(self) -> bool:
        """Whether every fault has ended, or lapsed."""
        return self._coming == 0

    def at_moment(self, sender: MemberName, message: Message) -> None:
        """A daemon gives an order, or is about to be told something."""
        for fault in tuple(self._aimed):
            if fault.aim == message.kind:  # type: ignore[attr-defined]
                self._aimed.remove(fault)
                self._begin(fault, sender)

    def _aim(self, fault: Fault) -> None:
        self._aimed.append(fault)
        self._stage.scheduler.after(AIMED_FOR, lambda: self._lapse(fault))

    def _lapse(self, fault: Fault) -> None:
        if fault in self._aimed:
            self._aimed.remove(fault)
            self._coming -= 1

    def _begin(self, fault: Fault, sender: MemberName | None = None) -> None:
        stage = self._stage
        targets = tuple(self._meant(word, sender) for word in fault.targets)
        self.begun.append((stage.scheduler.now, fault.kind, targets))
        end = BEGINNINGS[fault.kind](stage, targets, fault.amount)

        def ended() -> None:
            self._coming -= 1
            if end is not None:
                end()

        stage.scheduler.after(fault.duration, ended)

    def _meant(self, word: str, sender: MemberName | None) -> str:
        if word not in WHO_IS_MEANT:
            return word
        stage = self._stage
        if sender is not None and word == SENDER:
            return sender
        primary = next(iter(sorted(stage.primaries)), stage.last_primary)
        names = sorted(stage.members)
        primary = primary or names[0]
        if word == PRIMARY or len(names) == 1:
            return primary
        if word == SYNC and stage.store.sync and stage.store.sync.standbys:
            return stage.store.sync.standbys[0]
        standbys = [name for name in names if name != primary]
        assert word in (STANDBY, LAST, SYNC)
        return standbys[-1] if word == LAST else standbys[0]
