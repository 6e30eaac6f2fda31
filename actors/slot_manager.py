"""The slot manager: replication slots are where they are needed, and nowhere else.

RULES are asked from top to bottom whenever something changed, and all that apply
speak.  A slot is asked for as soon as its member has a key, before that member's
WAL receiver asks for it.  What is not answered is not repeated, and what was
answered not before the next beat.  An active slot is never dropped (SLOT-03), nor
anything while we do not know who leads.
"""

from collections.abc import Iterable
from typing import TypeAlias

from regnal.actors.leader_status import leader_status
from regnal.actors.rule_list import Remark, all_that_apply
from regnal.actors.slot_learning import learn
from regnal.actors.slot_state import VERSION_17, SlotManager, Wish
from regnal.actors.slot_tellings import (
    tell_what_does_not_fit,
    tell_what_is_not_supported,
    tell_which_names_clash,
)
from regnal.actors.slot_wishes import (
    fits,
    is_ignored,
    present_and_wanted,
    wanted_slots,
)
from regnal.actors.step import Decider, Step
from regnal.messages.base import LSN, Instant, MemberName, Message
from regnal.messages.cluster import (
    ClusterObserved,
    KeyRefused,
    KeyUnconfirmed,
)
from regnal.messages.envelope import Envelope
from regnal.messages.frozen import replace
from regnal.messages.lease import (
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseRefused,
)
from regnal.messages.operations import PhaseChanged
from regnal.messages.postgres import (
    AdvanceSlot,
    CopyLogicalSlots,
    CreateSlot,
    DropSlot,
    PostgresObserved,
    PostgresPromoted,
    PostgresStarted,
    PostmasterExited,
    SlotChanged,
    SlotRefused,
    SlotView,
)
from regnal.messages.settings import ConfigurationApplied
from regnal.messages.store import WriteStatus

Said: TypeAlias = Remark[SlotManager] | None


def handle(manager: SlotManager, envelope: Envelope[Message]) -> Step[SlotManager]:
    """One message; see RULES."""
    known = learn(manager, envelope)
    if known.is_ready:
        known = replace(known, wishes=wanted_slots(known, envelope.at))
    step = all_that_apply(RULES, known, envelope.at)
    state = replace(step.state, is_observed=False, wishes=())
    if all(message.routine for message in step.said):
        return Step(state, step.said, step.rule)
    return Step(state, step.said, step.rule, step.facts)


def create_missing_slots(manager: SlotManager, now: Instant) -> Said:
    """SLOT-01, SLOT-05, SLOT-06: for members and as configured."""
    if not manager.is_ready:
        return None
    present = {slot.name for slot in manager.slots}
    missing = [
        wish
        for wish in manager.wishes
        if wish.name not in present
        and wish.may_be_created
        and not wish.by_copy
        and manager.may_ask("created", wish.name, now)
    ]
    if not missing:
        return None
    return Remark(
        manager.asking("created", *(wish.name for wish in missing)),
        said=tuple(
            CreateSlot(
                name=wish.name,
                slot_type=wish.type,
                database=wish.database,
                plugin=wish.plugin,
            )
            for wish in missing
        ),
        facts={"present": tuple(slot.name for slot in manager.slots)},
    )


def drop_broken_slots(manager: SlotManager, now: Instant) -> Said:
    """To be created anew: slots that hold what nobody needs, or lost what is
    needed (P-SLOT-07, P-SLOT-08, P-SLOT-09)."""
    if not _may_drop(manager):
        return None
    broken = [
        slot
        for slot, wish in present_and_wanted(manager)
        if not slot.active and fits(slot, wish) and _is_broken(slot, wish)
    ]
    return _drop(manager, broken, now)


def drop_unknown_slots(manager: SlotManager, now: Instant) -> Said:
    """SLOT-11: neither for a member nor permanent, nor to be ignored."""
    if not _may_drop(manager):
        return None
    wanted = {wish.name for wish in manager.wishes}
    unknown = [
        slot
        for slot in manager.slots
        if slot.name not in wanted and not slot.active and not _is_left(manager, slot)
    ]
    return _drop(manager, unknown, now)


def advance_unused_slots(manager: SlotManager, now: Instant) -> Said:
    """P-SLOT-02, P-SLOT-05, P-SLOT-12: or they would keep all WAL."""
    if not manager.is_ready or not manager.is_modern:
        return None
    if not manager.is_due(manager.advanced_at, now):
        return None
    behind = [
        (slot.name, target, wish.database)
        for slot, wish in present_and_wanted(manager)
        if fits(slot, wish) and not slot.active and not slot.failover
        for target in _target(manager, slot, wish)
        if manager.may_ask("advanced", slot.name, now)
    ]
    if not behind:
        return None
    asking = manager.asking("advanced", *(name for name, _, _ in behind))
    return Remark(
        replace(asking, advanced_at=now),
        said=tuple(
            AdvanceSlot(name=name, lsn=target, database=database)
            for name, target, database in behind
        ),
    )


def copy_logical_slots(manager: SlotManager, now: Instant) -> Said:
    """SLOT-08, P-SLOT-14: those of the leader that are missing here, or lost."""
    if not manager.is_ready or manager.intent is not None or manager.phase != "standby":
        return None
    assert manager.settings is not None
    assert manager.cluster is not None
    leader = manager.cluster.leader_member
    if manager.settings.paused or leader is None or not leader.conn_url:
        return None
    if any(change == "copied" for change, _ in manager.asked):
        return None
    slots = {slot.name: slot for slot in manager.slots}
    names = tuple(
        wish.name
        for wish in manager.wishes
        if wish.by_copy
        and wish.position is not None
        and (wish.name not in slots or _is_lost(slots[wish.name], wish))
        and wish.name not in manager.copied
    )
    if not names:
        return None
    return Remark(
        manager.asking("copied", *names),
        said=(CopyLogicalSlots(names=names, leader_conn_url=leader.conn_url),),
        facts={"leader": leader.name},
    )


def write_the_status(manager: SlotManager, now: Instant) -> Said:
    """P-SLOT-03, P-DCS-20: once a beat if it changed, and when we lead newly."""
    settings = manager.settings
    if settings is None or not manager.has_lease:
        return None
    if not manager.status_due and not manager.is_due(manager.status_at, now):
        return None
    status = leader_status(manager, now)
    if status is None or status == manager.written:
        return None
    return Remark(
        replace(manager, written=status, status_at=now, status_due=False),
        said=(WriteStatus(status=status, deadline=now + settings.retry_timeout),),
    )


def _may_drop(manager: SlotManager) -> bool:
    """P-SLOT-18; and not while the list of members may be that of a lost leader."""
    if not manager.is_ready or manager.settings is None or manager.cluster is None:
        return False
    if manager.settings.paused:
        return False
    return (
        manager.has_lease if manager.is_primary else manager.cluster.leader is not None
    )


def _is_broken(slot: SlotView, wish: Wish) -> bool:
    if _is_lost(slot, wish):
        return not wish.by_copy
    if wish.type == "logical":
        return False
    return slot.restart_lsn is None or (slot.has_xmin and not wish.is_used_here)


def _is_lost(slot: SlotView, wish: Wish) -> bool:
    return fits(slot, wish) and slot.wal_status == "lost"


def _is_left(manager: SlotManager, slot: SlotView) -> bool:
    """SLOT-10, P-SLOT-15: slots that others look after."""
    assert manager.settings is not None
    assert manager.postgres is not None
    if is_ignored(slot, manager.settings):
        return True
    if not slot.failover or manager.postgres.server_version < VERSION_17:
        return False
    return manager.is_primary or slot.synced


def _drop(manager: SlotManager, slots: Iterable[SlotView], now: Instant) -> Said:
    names = [slot.name for slot in slots if manager.may_ask("dropped", slot.name, now)]
    if not names:
        return None
    return Remark(
        manager.asking("dropped", *names),
        said=tuple(DropSlot(name=name) for name in names),
        facts={"slots": tuple(s for s in manager.slots if s.name in names)},
    )


def _target(manager: SlotManager, slot: SlotView, wish: Wish) -> tuple[LSN, ...]:
    """Where to advance the slot; empty: it is there."""
    status = manager.postgres
    if wish.is_used_here or wish.position is None or status is None:
        return ()
    # Beyond what we have replayed the slot would skip what it was never asked for.
    limit = status.write_lsn if manager.is_primary else status.replayed_lsn
    target = min(wish.position, limit or 0)
    at = slot.confirmed_flush_lsn if slot.type == "logical" else slot.restart_lsn
    return (target,) if at is not None and at < target else ()


RULES = (
    tell_which_names_clash,
    tell_what_is_not_supported,
    tell_what_does_not_fit,
    create_missing_slots,
    drop_broken_slots,
    drop_unknown_slots,
    advance_unused_slots,
    copy_logical_slots,
    write_the_status,
)


def initial(member: MemberName) -> SlotManager:
    return SlotManager(member=member)


SLOT_MANAGER = Decider(
    name="slot_manager",
    hears=(
        ConfigurationApplied,
        ClusterObserved,
        PostgresObserved,
        PostgresStarted,
        PostgresPromoted,
        PostmasterExited,
        PhaseChanged,
        LeaderAcquired,
        LeaderRenewed,
        LeaderReleased,
        LeaderHandedOver,
        LeaseRefused,
        SlotChanged,
        SlotRefused,
        KeyRefused,
        KeyUnconfirmed,
    ),
    state=SlotManager,
    initial=initial,
    handle=handle,
)
