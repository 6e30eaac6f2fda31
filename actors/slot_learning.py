"""How the slot manager learns from messages; nothing is decided here."""

from regnal.actors.names import slot_name
from regnal.actors.postmaster import heard_of
from regnal.actors.slot_state import ROUTINE_AFTER, Gone, Rest, SlotManager
from regnal.messages.base import Instant, Message
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
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
    PostgresObserved,
    PostgresPromoted,
    PostgresStarted,
    PostgresStatus,
    PostmasterExited,
    SlotChanged,
    SlotRefused,
)
from regnal.messages.settings import ConfigurationApplied


def learn(manager: SlotManager, envelope: Envelope[Message]) -> SlotManager:
    """The manager after the message, before any rule looks at it."""
    message, now = envelope.message, envelope.at
    match message:
        case ConfigurationApplied(settings=settings):
            before = manager.settings
            same = before is not None and before.slots == settings.slots
            return replace(
                manager, settings=settings, copied=manager.copied if same else ()
            )
        case ClusterObserved(view=view):
            return _learn_cluster(manager, view, now)
        case LeaderAcquired(member=member) if member == manager.member:
            return _learn_to_lead(manager, now)
        case LeaderRenewed(member=member) if member == manager.member:
            return manager if manager.has_lease else _learn_to_lead(manager, now)
        case LeaderReleased() | LeaderHandedOver() | LeaseRefused():
            return replace(manager, has_lease=False, gone=(), status_due=False)
        case KeyRefused(key="status") | KeyUnconfirmed(key="status"):
            return replace(manager, written=None)
        case SlotChanged(name=name, change=change):
            return _learn_change(manager, name, change, now)
        case SlotRefused(name=name, change=change):
            return _answered(manager, change, name, now)
        case _:
            return _learn_of_postgres(manager, message)


def _learn_of_postgres(manager: SlotManager, message: Message) -> SlotManager:
    if manager.postmaster.is_late(message):
        return manager
    postmaster = heard_of(manager.postmaster, message)
    if postmaster is not manager.postmaster:
        manager = replace(manager, postmaster=postmaster)
    match message:
        case PostgresObserved(status=status):
            return _learn_status(manager, status)
        case PhaseChanged(phase=phase, intent=intent):
            return replace(manager, phase=phase, intent=intent)
        case PostgresPromoted(lsn=lsn, timeline=timeline) if manager.postgres:
            promoted = manager.postgres.model_copy(
                update={"in_recovery": False, "write_lsn": lsn, "timeline": timeline}
            )
            return replace(manager, postgres=promoted, status_due=True)
        case PostgresStarted() | PostmasterExited():
            # SLOT-12: another postmaster; what was asked of the last one is void, but
            # for a copy, which restarts PostgreSQL itself.
            copies = tuple(asked for asked in manager.asked if asked[0] == "copied")
            return replace(manager, asked=copies)
        case _:
            return manager


def _learn_status(manager: SlotManager, status: PostgresStatus) -> SlotManager:
    observed = replace(manager, postgres=status, is_observed=True)
    if not status.is_accepting:
        return observed
    well = {slot.name for slot in status.slots if slot.wal_status != "lost"}
    return replace(
        observed,
        slots=status.slots,
        copied=tuple(name for name in manager.copied if name not in well),
    )


def _learn_cluster(
    manager: SlotManager, view: ClusterView, now: Instant
) -> SlotManager:
    before = manager.cluster
    written, copied = manager.written, manager.copied
    if before is None or before.status != view.status:
        written = view.status
    if before is not None and before.leader_name != view.leader_name:
        copied = ()
    known = view.members
    present = {member.name for member in view.members}
    if view.leader is None:
        lost = (m for m in manager.known_members if m.name not in present)
        known = tuple(sorted((*view.members, *lost), key=lambda m: m.name))
    learned = replace(
        manager,
        cluster=view,
        known_members=known,
        written=written,
        copied=copied,
    )
    if not manager.has_lease:
        return learned
    names = (slot_name(member.name) for member in manager.known_members)
    return replace(learned, gone=_gone(learned, tuple(names), now))


def _learn_to_lead(manager: SlotManager, now: Instant) -> SlotManager:
    """P-SLOT-04: the clock of every slot that the last leader kept starts anew."""
    cluster = manager.cluster
    kept = cluster.status.retain_slots if cluster and cluster.status else ()
    names = (*kept, *(slot_name(member.name) for member in manager.known_members))
    leading = replace(manager, has_lease=True, gone=(), status_due=True)
    return replace(leading, gone=_gone(leading, names, now))


def _gone(
    manager: SlotManager, names: tuple[str, ...], now: Instant
) -> tuple[Gone, ...]:
    """Of `names` and those that were gone already, the ones without a member."""
    assert manager.cluster is not None or not names
    members = manager.cluster.members if manager.cluster else ()
    present = {slot_name(member.name) for member in members}
    present.add(slot_name(manager.member))
    since = {gone.slot: gone.since for gone in manager.gone}
    for name in names:
        since.setdefault(name, now)
    return tuple(
        Gone(name, since[name]) for name in sorted(since) if name not in present
    )


def _learn_change(
    manager: SlotManager, name: str, change: str, now: Instant
) -> SlotManager:
    answered = _answered(manager, change, name, now)
    if change != "dropped":
        return answered
    left = tuple(slot for slot in manager.slots if slot.name != name)
    return replace(answered, slots=left)


def _answered(
    manager: SlotManager, change: str, name: str, now: Instant
) -> SlotManager:
    settings = manager.settings
    until = now + ROUTINE_AFTER * (settings.loop_wait if settings else 0)
    others = (rest for rest in manager.resting if rest.until > now)
    return replace(
        manager,
        asked=tuple(asked for asked in manager.asked if asked != (change, name)),
        resting=(*others, Rest(change, name, until)),
        copied=(*manager.copied, name) if change == "copied" else manager.copied,
    )
