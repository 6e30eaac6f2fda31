"""Members with slots, for the tests of the slot manager."""

from collections.abc import Sequence
from typing import Any

from regnal.actors.slot_manager import SLOT_MANAGER
from regnal.actors.slot_state import SlotManager
from regnal.messages.base import Message
from regnal.messages.cluster import LeaderStatus, SlotPosition
from regnal.messages.postgres import (
    AdvanceSlot,
    CreateSlot,
    DropSlot,
)
from regnal.messages.settings import PermanentSlot
from regnal.messages.store import WriteStatus
from tests.actors.builders import (
    Told,
    acquired,
    begun,
    configured,
    member,
    phase,
    primary,
    seen,
    standby,
)

PG9 = {"server_version": 90624}
CDC = PermanentSlot(name="cdc", type="logical", database="app", plugin="pgoutput")


def leader(
    *members: Any, held: Sequence[Any] = (), **settings: Any
) -> Told[SlotManager]:
    """The leader pg1 of a cluster with `members` besides itself."""
    return begun(
        SLOT_MANAGER,
        configured(**settings),
        seen("pg1", *members),
        phase("primary"),
        acquired(),
        primary(slots=tuple(held)),
    )


def replica(
    *members: Any,
    held: Sequence[Any] = (),
    positions: dict[str, int] | None = None,
    retain: Sequence[str] = (),
    server: dict[str, Any] | None = None,
    **settings: Any,
) -> Told[SlotManager]:
    """The standby pg2 of a cluster that pg1 leads."""
    status = LeaderStatus(
        optime=5000,
        slots=tuple(
            SlotPosition(name=n, lsn=p) for n, p in sorted((positions or {}).items())
        ),
        retain_slots=tuple(retain),
    )
    return begun(
        SLOT_MANAGER,
        configured("pg2", **settings),
        seen(member("pg1", role="primary"), "pg2", *members, status=status),
        phase("standby"),
        standby(slots=tuple(held), **(server or {})),
        name="pg2",
    )


def created(told: Told[SlotManager]) -> list[str]:
    return [said.name for said in told.all_said if isinstance(said, CreateSlot)]


def dropped(told: Told[SlotManager]) -> list[str]:
    return [said.name for said in told.all_said if isinstance(said, DropSlot)]


def advanced(told: Told[SlotManager]) -> dict[str, int]:
    return {said.name: said.lsn for said in told.of(AdvanceSlot)}


def published(told: Told[SlotManager]) -> LeaderStatus:
    """The status that was written last."""
    return [said for said in told.all_said if isinstance(said, WriteStatus)][-1].status


def with_permanent(
    *permanent: PermanentSlot, positions: dict[str, int], **given: Any
) -> Told[SlotManager]:
    """The standby pg2 with these permanent slots configured."""
    return replica(positions=positions, slots=permanent, **given)


def next_beat(
    told: Told[SlotManager], *messages: Message, after: float = 10.0
) -> Told[SlotManager]:
    """The messages, a beat later."""
    return told.hear(*messages, at=told.at + after)
