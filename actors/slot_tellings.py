"""Rules of the slot manager that tell a person what is wrong with slots."""

from regnal.actors.names import slot_name
from regnal.actors.rule_list import Remark
from regnal.actors.slot_state import SlotManager
from regnal.actors.slot_wishes import fits, present_and_wanted
from regnal.messages.base import Instant, MemberName
from regnal.messages.frozen import replace
from regnal.messages.slots import (
    LogicalSlotMismatched,
    LogicalSlotsNotSupported,
    SlotNameClash,
    SlotNamesClash,
)


def tell_which_names_clash(
    manager: SlotManager, now: Instant
) -> Remark[SlotManager] | None:
    """SLOT-02: members that would share a slot."""
    if manager.cluster is None:
        return None
    groups: dict[str, list[MemberName]] = {}
    for member in manager.cluster.members:
        groups.setdefault(slot_name(member.name), []).append(member.name)
    clashes = tuple(
        SlotNameClash(slot=slot, members=tuple(members))
        for slot, members in sorted(groups.items())
        if len(members) > 1
    )
    if clashes == manager.clashes_told:
        return None
    return Remark(
        replace(manager, clashes_told=clashes), said=(SlotNamesClash(clashes=clashes),)
    )


def tell_what_is_not_supported(
    manager: SlotManager, now: Instant
) -> Remark[SlotManager] | None:
    """SLOT-09: logical slots need PostgreSQL 11."""
    status = manager.postgres
    if manager.settings is None or status is None or not status.server_version:
        return None
    names: tuple[str, ...] = ()
    if not manager.is_modern:
        names = tuple(s.name for s in manager.settings.slots if s.type == "logical")
    if names == manager.unsupported_told:
        return None
    told = replace(manager, unsupported_told=names)
    if not names:
        return Remark(told)
    return Remark(
        told,
        said=(
            LogicalSlotsNotSupported(names=names, server_version=status.server_version),
        ),
    )


def tell_what_does_not_fit(
    manager: SlotManager, now: Instant
) -> Remark[SlotManager] | None:
    """A slot that has the name of a configured one, and is another."""
    if not manager.is_ready:
        return None
    pairs = [pair for pair in present_and_wanted(manager) if not fits(*pair)]
    names = tuple(slot.name for slot, _ in pairs)
    if names == manager.mismatched_told:
        return None
    return Remark(
        replace(manager, mismatched_told=names),
        said=tuple(
            LogicalSlotMismatched(
                name=slot.name,
                found=f"{slot.type}/{slot.database}/{slot.plugin}",
                configured=f"{wish.type}/{wish.database}/{wish.plugin}",
            )
            for slot, wish in pairs
            if slot.name not in manager.mismatched_told
        ),
    )
