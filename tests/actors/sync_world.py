"""A primary, its standbys and a store that answers late, twice or never.

The world is as hostile as PostgreSQL and a store can be while they keep their word:
a standby acknowledges as soon as it may, an answer comes long after the deed, a
write without an answer lands when nobody thinks of it any more, views and
observations are old.  What is acknowledged, and who could win an election, is
computed from the world and not from what the manager believes.
"""

from dataclasses import dataclass, field

from regnal.actors.standby_names import EVERYBODY, NOBODY, parse_standby_names
from regnal.actors.sync_plan import Electors, is_safe
from regnal.actors.sync_standby_manager import SYNC_STANDBY_MANAGER
from regnal.actors.sync_state import SyncManager
from regnal.messages.base import Message
from regnal.messages.cluster import (
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    StoreAnswered,
    SyncState,
)
from regnal.messages.postgres import (
    SetSynchronousStandbys,
    SynchronousStandbysRefused,
    SynchronousStandbysSet,
)
from regnal.messages.store import ReadCluster, WriteSync
from regnal.messages.timers import SetTimer, TimerFired
from tests.actors.builders import (
    BEAT,
    Told,
    acquired,
    begun,
    configured,
    member,
    phase,
    primary,
    seen,
    sender,
    tags,
)

NAMES = ("a", "b", "c", "d")
SETTINGS = (
    configured(synchronous_mode="on"),
    configured(synchronous_mode="on", synchronous_mode_strict=True),
    configured(synchronous_mode="on", synchronous_node_count=2),
    configured(synchronous_mode="quorum"),
    configured(synchronous_mode="quorum", synchronous_node_count=2),
    configured(synchronous_mode="quorum", synchronous_mode_strict=True),
)


@dataclass
class Standby:
    connected: bool = False
    flushed: int = 0
    nosync: bool = False


@dataclass
class World:
    """Call an event with a number that chooses among what is possible."""

    lsn: int = 10
    acknowledged: int = 0
    value: str = ""
    key: SyncState = field(
        default_factory=lambda: SyncState(
            leader="pg1", standbys=(), quorum=0, revision=1
        )
    )
    standbys: dict[str, Standby] = field(
        default_factory=lambda: {name: Standby() for name in NAMES}
    )
    told: Told[SyncManager] = field(init=False)
    to_store: list[WriteSync] = field(default_factory=list)
    to_postgres: list[SetSynchronousStandbys] = field(default_factory=list)
    answers: list[Message] = field(default_factory=list)
    limbo: list[WriteSync] = field(default_factory=list)
    """Writes without an answer that may land yet."""

    late_values: list[str] = field(default_factory=list)
    """Values that PostgreSQL was too slow to take, and may take yet."""

    views: list[Message] = field(default_factory=list)
    observation: Message | None = None
    """The one that the monitor is making, as of its start."""

    look_at: float | None = None

    def __post_init__(self) -> None:
        self.told = begun(
            SYNC_STANDBY_MANAGER,
            SETTINGS[0],
            self._view(),
            phase("primary"),
            acquired(),
        )
        self.happened()

    # What PostgreSQL does.

    def commit(self, chosen: int) -> None:
        self.lsn += 1 + chosen % 3

    def flush(self, chosen: int) -> None:
        standby = self._standby(chosen)
        if standby.connected:
            standby.flushed = self.lsn

    def connect(self, chosen: int) -> None:
        """One of them, or all."""
        for standby in self.standbys.values() if chosen > 8 else ():
            standby.connected = True
        self._standby(chosen).connected = True

    def disconnect(self, chosen: int) -> None:
        self._standby(chosen).connected = False

    def take_value(self, chosen: int) -> None:
        """PostgreSQL does what it was asked; the answer comes later."""
        if not self.to_postgres:
            return
        asked = self.to_postgres.pop(0).value
        match chosen % 4:
            case 0:
                refused = SynchronousStandbysRefused(value=asked, error="too slow")
                self.late_values.append(asked)
                self.answers.append(refused)
            case 1:
                self.answers.append(SynchronousStandbysRefused(value=asked, error="no"))
            case _:
                # What was set last is what a late reload finds.
                self.late_values.clear()
                self.value = asked
                self.answers.append(SynchronousStandbysSet(value=asked, lsn=self.lsn))

    def take_late_value(self, chosen: int) -> None:
        if self.late_values:
            self.value = self.late_values.pop()
            self.late_values.clear()

    # What the store does.

    def take_write(self, chosen: int) -> None:
        if not self.to_store:
            return
        asked = self.to_store.pop(0)
        match chosen % 4:
            case 0:
                self.limbo.append(asked)
                self.answers.append(KeyUnconfirmed(key="sync", error="timeout"))
            case 1:
                self._land(asked)
                self.answers.append(KeyUnconfirmed(key="sync", error="timeout"))
            case _:
                if self._land(asked):
                    revision = self.key.revision
                    self.answers.append(KeyWritten(key="sync", revision=revision))
                else:
                    self.answers.append(KeyRefused(key="sync"))

    def land_late_write(self, chosen: int) -> None:
        if self.limbo:
            self._land(self.limbo.pop(chosen % len(self.limbo)))

    def _land(self, asked: WriteSync) -> bool:
        if asked.if_revision != self.key.revision:
            return False
        assert isinstance(self.key.revision, int)
        self.key = SyncState(
            leader=asked.leader,
            standbys=asked.standbys,
            quorum=asked.quorum,
            revision=self.key.revision + 1,
        )
        self.views.append(self._view())
        return True

    # What the manager hears.

    def answer(self, chosen: int) -> None:
        if self.answers:
            self._hear(self.answers.pop(0))

    def show_view(self, chosen: int) -> None:
        if self.views:
            self._hear(self.views.pop(0))

    def begin_observation(self, chosen: int) -> None:
        if self.observation is None:
            self.observation = self._observation()

    def end_observation(self, chosen: int) -> None:
        if self.observation is not None:
            ended, self.observation = self.observation, None
            self._hear(ended)

    def beat(self, chosen: int) -> None:
        self._hear(BEAT)

    def store_answers(self, chosen: int) -> None:
        self._hear(StoreAnswered())

    def pass_time(self, chosen: int) -> None:
        self.told = self.told.hear(at=self.told.at + (1.0, 5.0, 11.0)[chosen % 3])
        if self.look_at is not None and self.told.at >= self.look_at:
            self.look_at = None
            self._hear(TimerFired(name="sync_standby_manager:look", due_at=0))

    # What people do.

    def configure(self, chosen: int) -> None:
        self._hear(SETTINGS[chosen % len(SETTINGS)])

    def tag(self, chosen: int) -> None:
        standby = self._standby(chosen)
        standby.nosync = not standby.nosync
        self.views.append(self._view())

    # Stretches in which nothing is wrong, without which little would ever happen.

    def catch_up(self, chosen: int) -> None:
        for standby in self.standbys.values():
            if standby.connected:
                standby.flushed = self.lsn

    def serve(self, chosen: int) -> None:
        """What is asked is done and answered."""
        for _ in range(1 + chosen % 3):
            self.take_value(2)
            self.take_write(2)
            self.happened()
            while self.answers:
                self.answer(0)

    def look(self, chosen: int) -> None:
        self.end_observation(0)
        self.begin_observation(0)
        self.end_observation(0)

    # What holds.

    def happened(self) -> None:
        """Acknowledge all that may be, and check that no election could lose it."""
        value = parse_standby_names(self.value)
        assert value is not None
        attached = [s for s in self.standbys.items() if s[1].connected]
        if value == NOBODY:
            self.acknowledged = self.lsn
        else:
            flushed = sorted(
                (
                    s.flushed
                    for name, s in attached
                    if value == EVERYBODY or name in value.names
                ),
                reverse=True,
            )
            if len(flushed) >= value.count:
                self.acknowledged = max(self.acknowledged, flushed[value.count - 1])
        electors = Electors(self.key.standbys, self.key.quorum)
        assert is_safe(value, electors), (value, electors)
        for name in NAMES:
            assert not self._could_win(name) or self._has_all(name), (name, self.key)

    def _could_win(self, name: str) -> bool:
        key = self.key
        if key.quorum == 0:
            return name in key.standbys
        own = self.standbys[name].flushed
        votes = [v for v in key.standbys if self.standbys[v].flushed <= own]
        return len(votes) >= key.quorum + 1

    def _has_all(self, name: str) -> bool:
        return self.standbys[name].flushed >= self.acknowledged

    def calm_down(self) -> None:
        """Everything works and is answered for a while."""
        for number in range(60):
            for name in NAMES:
                index = NAMES.index(name)
                self.connect(index)
                self.flush(index)
            self.pass_time(number % 3)
            self.beat(0)
            self.begin_observation(0)
            self.end_observation(0)
            for event in (self.take_value, self.take_write, self.answer):
                event(2)
                self.happened()
            while self.views:
                self.show_view(0)
            self.happened()

    # The rest.

    def _standby(self, chosen: int) -> Standby:
        return self.standbys[NAMES[chosen % len(NAMES)]]

    def _hear(self, message: Message) -> None:
        self.told = self.told.hear(message)
        for said in self.told.said:
            match said:
                case WriteSync():
                    assert not self.to_store, "one change at a time"
                    self.to_store.append(said)
                case SetSynchronousStandbys():
                    assert not self.to_postgres, "one change at a time"
                    self.to_postgres.append(said)
                case ReadCluster():
                    self.views.append(self._view())
                case SetTimer(at=at):
                    self.look_at = at
                case _:
                    pass

    def _view(self) -> Message:
        members = [
            member(name, tags=tags(nosync=standby.nosync))
            for name, standby in self.standbys.items()
        ]
        return seen("pg1", *members, sync=self.key)

    def _observation(self) -> Message:
        value = parse_standby_names(self.value)
        names = value.names if value else ()
        senders = tuple(
            sender(name, s.flushed, sync_state="sync" if name in names else "async")
            for name, s in self.standbys.items()
            if s.connected
        )
        return primary(
            senders=senders,
            synchronous_standby_names=self.value,
            write_lsn=self.lsn,
        )
