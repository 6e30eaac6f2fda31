"""Small journals for tests: a member, a toy actor, and whoever speaks."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from regnal.actors.step import Decider, Step
from regnal.journal.chain_check import Damage
from regnal.journal.entries import message_entry, step_entry
from regnal.journal.ledger import Identity, Ledger
from regnal.journal.options import JournalOptions
from regnal.journal.reader import Record, scan
from regnal.journal.stamps import Clocks, Stamper
from regnal.messages.base import Instant, Message
from regnal.messages.cluster import StoreAnswered, StoreUnreachable
from regnal.messages.envelope import Envelope
from regnal.messages.lease import (
    AcquireLeader,
    LeaderReleased,
    LeaderRenewed,
    ReleaseLeader,
    RenewLeader,
)
from regnal.messages.store import ReadCluster
from regnal.messages.timers import TimerFired
from tests.journal.replaying import Replay

IDENTITY = Identity(
    member="pg1", scope="demo", versions=(("regnal", "0.1.0"),), boot_id="boot-1"
)


ORDERS: dict[str, Message] = {
    "acquire": AcquireLeader(member="pg1", ttl=30, deadline=1.0),
    "read": ReadCluster(deadline=1.0),
}
"""What the toy actor orders when it hears that the store is away, for this reason."""


@dataclass(frozen=True, slots=True)
class Memory:
    """State of the toy actor: the last of each thing that it was told."""

    beat_at: Instant = 0.0
    valid_until: Instant = float("inf")
    answers: int = 0
    """Of messages that are not routine: these it may count."""


def remember(memory: Memory, envelope: Envelope[Message]) -> Step[Memory]:
    """The toy actor: renews at each beat while the lease is valid.

    Its facts are all that it knows: replay finds every difference.
    """
    facts = {"memory": memory}
    match envelope.message:
        case TimerFired(due_at=at) if at > memory.valid_until:
            # What a replay of stale state would conclude.
            gone = ReleaseLeader(member="pg1", last_lsn=None, deadline=at)
            return Step(replace(memory, answers=-1), (gone,), "give_up", facts)
        case TimerFired(due_at=at):
            wish = RenewLeader(member="pg1", ttl=30, deadline=at + 10)
            return Step(replace(memory, beat_at=at), (wish,), "renew", facts)
        case LeaderRenewed(valid_until=until):
            return Step(replace(memory, valid_until=until))
        case StoreUnreachable(error=order) if order in ORDERS:
            told = replace(memory, answers=memory.answers + 1)
            return Step(told, (ORDERS[order],), order, facts)
        case _:
            return Step(replace(memory, answers=memory.answers + 1), (), "count", facts)


TOY = Decider(
    name="election",
    hears=(TimerFired, LeaderRenewed, StoreAnswered, StoreUnreachable, LeaderReleased),
    state=Memory,
    initial=lambda member: Memory(),
    handle=remember,
)


@dataclass
class FakeTime:
    """Clocks that the test turns."""

    seconds: float = 1_000.0
    clocks: Clocks = field(init=False)

    def __post_init__(self) -> None:
        self.clocks = Clocks(
            wall=lambda: 1_700_000_000_000_000 + int(self.seconds * 1_000_000),
            boot=lambda: self.seconds,
        )


@dataclass
class Member:
    """A member that writes its journal from one thread."""

    directory: Path
    options: JournalOptions = field(default_factory=JournalOptions)
    time: FakeTime = field(default_factory=FakeTime)
    incarnation: int = 1
    memory: Memory = field(default_factory=Memory)
    identity: Identity = IDENTITY
    stamper: Stamper = field(init=False)
    ledger: Ledger = field(init=False)
    mailbox: deque[Envelope[Message]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        name = self.identity.member
        self.stamper = Stamper(name, self.incarnation, self.time.clocks)
        self.ledger = Ledger(
            self.directory, self.identity, self.stamper, (TOY,), self.options
        )

    def open(self) -> "Member":
        self.ledger.open()
        return self

    def said(self, message: Message, by: str = "dcs") -> Envelope[Message]:
        return self.stamper.envelope(message, said_by=by, cause=None, trace=None)

    def enter(self, message: Message, by: str = "dcs") -> Envelope[Message]:
        """A bridge says it; the actor has not heard it yet."""
        envelope = self.said(message, by)
        self.ledger.enter(message_entry(envelope))
        if isinstance(message, TOY.hears):
            self.mailbox.append(envelope)
        return envelope

    def hear(self) -> None:
        """The actor takes the next message from its mailbox."""
        heard = self.mailbox.popleft()
        step = remember(self.memory, heard)
        self.memory = step.state
        said = [
            self.stamper.envelope(one, said_by="election", cause=heard, trace=None)
            for one in step.said
        ]
        stamp = self.stamper.stamp(), self.time.seconds
        self.ledger.enter(step_entry("election", heard, step, said, stamp))

    def tell(self, message: Message) -> None:
        """Said and heard at once, with all that waited."""
        self.enter(message)
        while self.mailbox:
            self.hear()

    def beat(self) -> None:
        """One quiet heartbeat: two messages from outside, two steps."""
        self.time.seconds += 10
        self.tell(TimerFired(name="heartbeat", due_at=self.time.seconds))
        self.tell(LeaderRenewed(member="pg1", valid_until=self.time.seconds + 30))

    @property
    def truth(self) -> Memory:
        """The actor's state when it has heard everything."""
        memory = self.memory
        for envelope in self.mailbox:
            memory = remember(memory, envelope).state
        return memory


def records(directory: Path, *, with_held: bool = False) -> list[Record]:
    """All records; there must be no damage."""
    items = list(scan(directory, with_held=with_held))
    damages = [item for item in items if isinstance(item, Damage)]
    assert damages == []
    return [item for item in items if isinstance(item, Record)]


def damages(directory: Path) -> list[Damage]:
    return [item for item in scan(directory) if isinstance(item, Damage)]


def kinds(found: Sequence[Record]) -> list[str]:
    return [record.kind for record in found]


def fold(found: Sequence[Record]) -> Memory:
    """What replay finds when the toy actor has heard everything."""
    return Replay(TOY).take_all(found).settled()


def first_life(found: Sequence[Record]) -> Sequence[Record]:
    """The records of the first incarnation."""
    starts = [
        index
        for index, record in enumerate(found)
        if record.kind == "start" and record.fields["why"] == "opened"
    ]
    return found[: [*starts, len(found)][1]]


def last_segment(directory: Path) -> Path:
    return max(directory.glob("journal-*.jsonl"))
