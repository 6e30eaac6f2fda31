"""What the slot manager knows."""

from dataclasses import dataclass, field
from typing import Literal

from regnal.actors.postmaster import Postmaster
from regnal.messages.base import LSN, Instant, MemberName
from regnal.messages.cluster import ClusterView, LeaderStatus, MemberView
from regnal.messages.frozen import replace
from regnal.messages.operations import Phase
from regnal.messages.postgres import PostgresStatus, SlotView
from regnal.messages.settings import Settings
from regnal.messages.slots import SlotNameClash

ROUTINE_AFTER = 0.9
"""Of loop_wait: after that long an observation is a reason for routine work."""

VERSION_11 = 110000
VERSION_17 = 170000
"""As PostgreSQL counts."""

Change = tuple[str, str]
"""What is done to a slot (created, dropped, advanced, copied), and its name."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A slot whose member has no key any more."""

    slot: str
    since: Instant
    """Or since we lead: the clock starts anew then (P-SLOT-04)."""


@dataclass(frozen=True, slots=True)
class Rest:
    """A change that was answered, and is not asked again before `until`: the list of
    slots that we see may be older than the answer."""

    change: str
    name: str
    until: Instant


@dataclass(frozen=True, slots=True)
class Wish:
    """A slot that should be here."""

    name: str
    type: Literal["physical", "logical"] = "physical"
    database: str | None = None
    plugin: str | None = None
    is_used_here: bool = True
    """Whether somebody is expected to stream through it from this member."""

    position: LSN | None = None
    """How far it may be advanced where nobody uses it; None: not known, leave it."""

    may_be_created: bool = True
    """False: it is only to be kept, if it is there."""

    by_copy: bool = False
    """A logical slot of the leader, to be copied with its position."""


@dataclass(frozen=True, slots=True)
class SlotManager:
    """Slots as they are, the cluster, and what was asked of PostgreSQL."""

    member: MemberName
    settings: Settings | None = None
    cluster: ClusterView | None = None
    known_members: tuple[MemberView, ...] = ()
    """As last seen, those included whose key went with the leader's."""

    postgres: PostgresStatus | None = None
    postmaster: Postmaster = field(default_factory=Postmaster)
    slots: tuple[SlotView, ...] = ()
    """As last observed, with what was answered since."""

    phase: Phase = "unknown"
    intent: str | None = None
    has_lease: bool = False
    gone: tuple[Gone, ...] = ()
    """On the leader only."""

    asked: tuple[Change, ...] = ()
    """Not answered yet."""

    resting: tuple[Rest, ...] = ()
    copied: tuple[str, ...] = ()
    """Logical slots that a copy was tried of and that were not seen healthy since:
    not copied again under this leader, for each copy restarts PostgreSQL."""

    wishes: tuple[Wish, ...] = ()
    """What should be here, while a message is handled; empty between messages."""

    is_observed: bool = False
    """Whether the message just heard shows PostgreSQL."""

    advanced_at: Instant | None = None
    status_at: Instant | None = None
    """When the routine work was done last; None: not yet."""

    status_due: bool = False
    """Whether we lead newly, and the status shall be written without a beat."""

    written: LeaderStatus | None = None
    """The `status` key as far as we know."""

    clashes_told: tuple[SlotNameClash, ...] = ()
    unsupported_told: tuple[str, ...] = ()
    mismatched_told: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether slots can be seen and changed."""
        return (
            self.settings is not None
            and self.settings.use_slots
            and self.cluster is not None
            and self.postgres is not None
            and self.postgres.is_accepting
            and self.phase in ("primary", "standby")
        )

    @property
    def is_primary(self) -> bool:
        return self.postgres is not None and self.postgres.in_recovery is False

    @property
    def leads(self) -> bool:
        """Whether the other members stream from us unless told otherwise."""
        return self.is_primary or self.has_lease

    @property
    def is_modern(self) -> bool:
        """Slots can be advanced, so that they can be kept where nobody uses them."""
        return self.postgres is not None and self.postgres.server_version >= VERSION_11

    @property
    def keeps(self) -> bool:
        """Whether slots of absent members are kept (P-SLOT-01)."""
        return (
            self.is_modern
            and self.settings is not None
            and self.settings.member_slots_ttl > 0
        )

    def may_ask(self, change: str, name: str, now: Instant) -> bool:
        """Whether nothing is under way with the slot, and this was not just answered."""
        if any(asked == name for _, asked in self.asked):
            return False
        return all(
            (rest.change, rest.name) != (change, name) or rest.until <= now
            for rest in self.resting
        )

    def is_due(self, last: Instant | None, now: Instant) -> bool:
        """Whether it is time for routine work that was done at `last`."""
        if not self.is_observed or self.settings is None:
            return False
        return last is None or now - last >= ROUTINE_AFTER * self.settings.loop_wait

    def asking(self, change: str, *names: str) -> "SlotManager":
        """The state after these were asked."""
        return replace(
            self, asked=(*self.asked, *((change, name) for name in sorted(names)))
        )
