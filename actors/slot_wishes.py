"""Which replication slots this member should have: a pure function of what it knows.

On the leader, one for each member that streams from it; with retention
(`member_slots_ttl`, PostgreSQL 11) every member that may lead has one for each
other member, those which nobody uses here advanced to where their member is.
"""

from regnal.actors.names import slot_name
from regnal.actors.slot_state import Gone, SlotManager, Wish
from regnal.messages.base import LSN, Instant, MemberName
from regnal.messages.cluster import ClusterView, MemberView
from regnal.messages.postgres import SlotView
from regnal.messages.settings import PermanentSlot, Settings


def wanted_slots(manager: SlotManager, now: Instant) -> tuple[Wish, ...]:
    """By name; a permanent slot goes before a member's of the same name (SLOT-07)."""
    assert manager.settings is not None
    assert manager.cluster is not None
    own = slot_name(manager.member)
    wishes: dict[str, Wish] = {}
    for wish in (*_permanent(manager), *_of_members(manager), *_retained(manager, now)):
        # P-SLOT-23: compared after the mapping of names.
        if wish.name != own:
            wishes.setdefault(wish.name, wish)
    return tuple(wishes[name] for name in sorted(wishes))


def present_and_wanted(manager: SlotManager) -> list[tuple[SlotView, Wish]]:
    """Slots that are here, each with the wish for it."""
    wishes = {wish.name: wish for wish in manager.wishes}
    return [(slot, wishes[slot.name]) for slot in manager.slots if slot.name in wishes]


def fits(slot: SlotView, wish: Wish) -> bool:
    """Whether the slot is the wished one, and not another of that name."""
    if slot.type != wish.type:
        return False
    if wish.type == "physical":
        return True
    return (slot.database, slot.plugin) == (wish.database, wish.plugin)


def is_ignored(slot: SlotView, settings: Settings) -> bool:
    """SLOT-10: whether one matcher has all the properties that it gives."""
    return any(
        matcher.name in (None, slot.name)
        and matcher.type in (None, slot.type)
        and matcher.database in (None, slot.database)
        and matcher.plugin in (None, slot.plugin)
        for matcher in settings.ignore_slots
    )


def streams_from(
    member: MemberView, upstream: MemberName, cluster: ClusterView, leader: bool
) -> bool:
    """Whether `member` streams from `upstream`, by its tags (SLOT-01, REPL-10).

    `leader`: `upstream` leads, so that a member without a tag, or with one that
    names nobody who runs, streams from it.
    """
    if member.name == upstream or member.tags.nostream:
        return False
    wanted = member.tags.replicatefrom
    if wanted is None or wanted == member.name:
        return leader
    if wanted == upstream:
        return True
    other = cluster.member(wanted)
    return leader and (other is None or not other.is_running)


def permanent_slots(manager: SlotManager) -> tuple[PermanentSlot, ...]:
    """Of the configuration, those that belong on a cluster like this (P-SLOT-06)."""
    assert manager.settings is not None
    kind = "standby" if manager.settings.is_standby_cluster else "primary"
    return tuple(
        slot
        for slot in manager.settings.slots
        if slot.cluster_type in (None, kind)
        and slot_name(slot.name) == slot.name
        # P-SLOT-17, SLOT-09.
        and (slot.type == "physical" or (kind == "primary" and manager.is_modern))
    )


def kept_slots(manager: SlotManager, now: Instant) -> tuple[Gone, ...]:
    """P-SLOT-01: of members that have not been gone for too long."""
    ttl = manager.settings.member_slots_ttl if manager.settings else 0
    return tuple(gone for gone in manager.gone if now - gone.since < ttl)


def _may_lead(manager: SlotManager) -> bool:
    return manager.settings is not None and manager.settings.tags.may_lead


def _permanent(manager: SlotManager) -> list[Wish]:
    elsewhere = not manager.leads
    if elsewhere and not (manager.is_modern and _may_lead(manager)):
        return []
    wishes = []
    for slot in permanent_slots(manager):
        position = _published(manager, slot.name) if elsewhere else None
        logical = slot.type == "logical"
        if elsewhere and logical and _is_behind_nostream(manager):
            continue
        wishes.append(
            Wish(
                name=slot.name,
                type=slot.type,
                database=slot.database,
                plugin=slot.plugin,
                is_used_here=not elsewhere,
                position=position,
                may_be_created=not elsewhere or position is not None,
                by_copy=elsewhere and logical,
            )
        )
    return wishes


def _of_members(manager: SlotManager) -> list[Wish]:
    assert manager.cluster is not None
    everywhere = manager.keeps and (manager.leads or _may_lead(manager))
    wishes = []
    for member in manager.cluster.members:
        if member.name == manager.member or member.tags.nostream:
            continue
        name = slot_name(member.name)
        if streams_from(member, manager.member, manager.cluster, manager.leads):
            wishes.append(Wish(name=name))
        elif everywhere:
            position = _position_of(manager, member)
            wishes.append(
                Wish(
                    name=name,
                    is_used_here=False,
                    position=position,
                    may_be_created=position is not None,
                )
            )
    return wishes


def _retained(manager: SlotManager, now: Instant) -> list[Wish]:
    """P-SLOT-04: of members whose key is gone, for a while."""
    if not manager.keeps:
        return []
    if manager.leads:
        return [
            Wish(name=gone.slot, may_be_created=False)
            for gone in kept_slots(manager, now)
        ]
    status = manager.cluster.status if manager.cluster else None
    if status is None or not _may_lead(manager):
        return []
    wishes = []
    for name in status.retain_slots:
        position = _published(manager, name)
        wishes.append(
            Wish(
                name=name,
                is_used_here=False,
                position=position,
                may_be_created=position is not None,
            )
        )
    return wishes


def _position_of(manager: SlotManager, member: MemberView) -> LSN | None:
    """Where a member is that does not stream from us: by the leader's status, or, on
    the leader and where that says nothing (P-SLOT-24), by its own key."""
    if manager.leads:
        return member.xlog_location
    published = _published(manager, slot_name(member.name))
    return published if published is not None else member.xlog_location


def _published(manager: SlotManager, name: str) -> LSN | None:
    status = manager.cluster.status if manager.cluster else None
    if status is None:
        return None
    return next((slot.lsn for slot in status.slots if slot.name == name), None)


def _is_behind_nostream(manager: SlotManager) -> bool:
    """P-SLOT-21: what a member without streaming gives on is too old for a slot."""
    assert manager.settings is not None
    assert manager.cluster is not None
    tags = manager.settings.tags
    seen = {manager.member}
    while not tags.nostream:
        upstream = tags.replicatefrom
        if upstream is None or upstream in seen:  # P-SLOT-20: cyclic tags
            return False
        seen.add(upstream)
        member = manager.cluster.member(upstream)
        if member is None:
            return False
        tags = member.tags
    return True
