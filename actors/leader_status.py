"""The `status` key: how far the leader is, and its slots (docs/contracts.md 2.5)."""

from regnal.actors.names import slot_name
from regnal.actors.slot_state import SlotManager
from regnal.actors.slot_wishes import kept_slots, permanent_slots
from regnal.messages.base import LSN, Instant
from regnal.messages.cluster import LeaderStatus, SlotPosition
from regnal.messages.postgres import SlotView


def leader_status(manager: SlotManager, now: Instant) -> LeaderStatus | None:
    """The status as it is now; None: PostgreSQL is not fully healthy (ELEC-05)."""
    status = manager.postgres
    if status is None or manager.settings is None or manager.cluster is None:
        return None
    if not status.is_accepting or not status.position:
        return None
    settled = "primary" if manager.is_primary else "standby"
    if manager.phase != settled:
        return None
    if not manager.is_primary and not manager.settings.is_standby_cluster:
        return None
    if not manager.is_modern or not manager.settings.use_slots:
        return LeaderStatus(optime=status.position)
    members = _member_slots(manager, now) if manager.keeps else ()
    permanent = tuple(slot.name for slot in permanent_slots(manager))
    positions: dict[str, LSN] = {}
    for slot in status.slots:
        position = _position(slot)
        if slot.name in (*members, *permanent) and position is not None:
            positions[slot.name] = position
    if manager.keeps:
        positions[slot_name(manager.member)] = status.position
    return LeaderStatus(
        optime=status.position,
        slots=tuple(
            SlotPosition(name=name, lsn=positions[name]) for name in sorted(positions)
        ),
        retain_slots=tuple(name for name in members if name not in permanent),
    )


def _member_slots(manager: SlotManager, now: Instant) -> tuple[str, ...]:
    """Of all members, ourselves included, and of those that are gone but kept."""
    assert manager.cluster is not None
    names = [slot_name(member.name) for member in manager.cluster.members]
    left_out = {slot_name(m.name) for m in manager.cluster.members if m.tags.nostream}
    names += [gone.slot for gone in kept_slots(manager, now)]
    names = [slot_name(manager.member), *(n for n in names if n not in left_out)]
    return tuple(sorted(dict.fromkeys(names)))


def _position(slot: SlotView) -> LSN | None:
    return slot.confirmed_flush_lsn if slot.type == "logical" else slot.restart_lsn
