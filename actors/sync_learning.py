"""How the manager of synchronous standbys learns; nothing is decided here."""

from regnal.actors.postmaster import heard_of
from regnal.actors.standby_names import parse_standby_names
from regnal.actors.sync_plan import Electors
from regnal.actors.sync_silence import Silence, silences
from regnal.actors.sync_state import UNKNOWN_REVISION, SyncManager, electors_of
from regnal.messages.base import Instant, Message, Seconds
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    StoreAnswered,
    SyncState,
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
    PostgresStatus,
    PostmasterExited,
    SynchronousStandbysRefused,
    SynchronousStandbysSet,
)
from regnal.messages.settings import ConfigurationApplied
from regnal.messages.timers import TimerFired

HEARTBEAT = "heartbeat"
LOOK = "sync_standby_manager:look"
"""Timer: look whether a standby has caught up."""

ARRIVES_WITHIN: Seconds = 15.0
"""A member that has just started is looked for that long; then the beats do."""


def learn(manager: SyncManager, envelope: Envelope[Message]) -> SyncManager:
    """The manager after the message, before any rule looks at it."""
    message, now = envelope.message, envelope.at
    match message:
        case ConfigurationApplied(settings=settings):
            return replace(manager, settings=settings, is_catching_up=False)
        case ClusterObserved(view=view):
            return _learn_cluster(manager, view, now)
        case TimerFired(name=name):
            if name == HEARTBEAT:
                return replace(manager, resting=False, looking_twice=False)
            expected = (
                manager.is_catching_up
                or manager.is_watching
                or now < manager.look_until
            )
            return replace(manager, look_due=name == LOOK and expected)
        case StoreAnswered():
            return replace(manager, resting=False)
        case KeyWritten() | KeyRefused() | KeyUnconfirmed():
            return _learn_of_key(manager, message, now)
        case LeaderAcquired(member=member) | LeaderRenewed(member=member):
            return replace(manager, has_lease=member == manager.member)
        case LeaderReleased() | LeaderHandedOver() | LeaseRefused():
            return replace(manager, has_lease=False, is_catching_up=False)
        case _:
            return _learn_of_postgres(manager, message, now)


def _learn_cluster(
    manager: SyncManager, view: ClusterView, now: Instant
) -> SyncManager:
    known = replace(manager, cluster=view)
    if _has_started(manager.cluster, view):
        known = replace(known, look_until=now + ARRIVES_WITHIN, look_due=True)
    if _same(manager.key, view.sync):
        return replace(known, key=view.sync, key_is_seen=True)
    adopted = replace(
        known,
        key=view.sync,
        key_is_stale=False,
        resting=manager.resting and not manager.key_is_stale,
    )
    if not manager.has_lease or (manager.key_is_seen and not manager.key_is_doubted):
        # Views come in order: this one is newer than the key that we know.
        return replace(adopted, key_is_seen=True, key_is_doubted=False, unsettled=())
    patience = manager.settings.retry_timeout if manager.settings else 0
    if not manager.key_is_doubted and now < manager.key_written_at + patience:
        # Older than what we wrote; or newer, and then the store will refuse our next
        # change of it.
        return known
    # Somebody changed what we wrote before we saw it, or the view is very old: either
    # may be so, until the store grants a change of one of them.
    return replace(
        adopted,
        key_is_doubted=True,
        unsettled=_with(manager.unsettled, electors_of(manager.key, manager.member)),
    )


def _has_started(before: ClusterView | None, view: ClusterView) -> bool:
    """Whether a member runs that did not when the cluster was seen before."""
    running = [m.name for m in before.members if m.is_running] if before else []
    return any(m.is_running and m.name not in running for m in view.members)


def _with(
    unsettled: tuple[Electors | None, ...], electors: Electors | None
) -> tuple[Electors | None, ...]:
    return unsettled if electors in unsettled else (*unsettled, electors)


def _same(own: SyncState | None, seen: SyncState | None) -> bool:
    if own is None or seen is None:
        other = own or seen
        # Some stores keep an empty value where others remove the key.
        return other is None or not (other.leader or other.standbys)
    if own.revision == UNKNOWN_REVISION:
        return own == seen.model_copy(update={"revision": UNKNOWN_REVISION})
    return own.revision == seen.revision


def _learn_of_key(manager: SyncManager, message: Message, now: Instant) -> SyncManager:
    if manager.writing is None and not manager.deleting:
        return manager  # election claims the key before a promotion
    answered = replace(manager, writing=None, deleting=False)
    match message:
        case KeyWritten(key="sync", revision=revision):
            key = manager.writing
            if key is not None:
                number = UNKNOWN_REVISION if revision is None else revision
                key = key.model_copy(update={"revision": number})
            return replace(
                answered,
                key=key,
                key_is_seen=_same(key, manager.key),
                key_written_at=now,
                key_is_stale=False,
                key_is_doubted=False,
                unsettled=(),
                restore_due=manager.restore_due or key is None,
            )
        case KeyRefused(key="sync"):
            return replace(answered, key_is_stale=True, read_due=True, resting=True)
        case KeyUnconfirmed(key="sync"):
            asked = electors_of(manager.writing, manager.member)
            return replace(
                answered, unsettled=_with(manager.unsettled, asked), resting=True
            )
        case _:
            return manager


def _learn_of_postgres(
    manager: SyncManager, message: Message, now: Instant
) -> SyncManager:
    if manager.postmaster.is_late(message):
        return manager
    postmaster = heard_of(manager.postmaster, message)
    if postmaster is not manager.postmaster:
        manager = replace(manager, postmaster=postmaster)
    match message:
        case PostgresObserved(status=status):
            found = _silences(manager, status, now)
            known = replace(manager, silences=found)
            return _learn_status(_watch(known), status)
        case PhaseChanged(phase=phase):
            known = replace(manager, phase=phase, is_catching_up=False)
            return _forget(known) if phase in ("stopped", "absent") else known
        case PostmasterExited():
            return _forget(manager)
        case PostgresPromoted(lsn=lsn) if manager.postgres is not None:
            promoted = manager.postgres.model_copy(
                update={"in_recovery": False, "write_lsn": lsn, "senders": ()}
            )
            # What was in force before counts from here: a standby has no position of
            # its own to count from.
            return replace(manager, postgres=promoted, since_lsn=lsn)
        case SynchronousStandbysSet(value=value, lsn=lsn):
            return replace(
                manager,
                setting=None,
                value=parse_standby_names(value),
                value_text=value,
                since_lsn=lsn,
                doubtful=(),
                looking_twice=False,
                look_due=True,
            )
        case SynchronousStandbysRefused(value=value) if manager.setting is not None:
            doubtful = parse_standby_names(value)
            known = replace(manager, setting=None, resting=True)
            if doubtful is None or doubtful in manager.doubtful:
                return known
            return replace(known, doubtful=(*manager.doubtful, doubtful))
        case _:
            return manager


def _forget(manager: SyncManager) -> SyncManager:
    """PostgreSQL ended: what will be in force next is read when it runs again."""
    return replace(
        manager,
        value=None,
        value_text=None,
        since_lsn=None,
        setting=None,
        doubtful=(),
        looking_twice=False,
        is_catching_up=False,
    )


def _silences(
    manager: SyncManager, status: PostgresStatus, now: Instant
) -> tuple[Silence, ...]:
    settings = manager.settings
    if settings is None or status.in_recovery is not False:
        return ()
    # Two looks at least: while nobody looked, nothing is held against a standby.
    return silences(manager.silences, status, now, settings.retry_timeout / 2)


def _watch(manager: SyncManager) -> SyncManager:
    """What is owed at one look may be on its way: another look tells.  Whoever has
    confirmed something by then is not looked at again before the next beat."""
    owing = [one for one in manager.silences if one.name in manager.synchronous]
    lasting = any(one.lasted > 0 for one in owing)
    watching = lasting or (bool(owing) and not manager.is_watching)
    return replace(manager, is_watching=watching, watch_due=watching)


def _learn_status(manager: SyncManager, status: PostgresStatus) -> SyncManager:
    known = replace(manager, postgres=status)
    if not status.is_accepting:
        return known
    text = status.synchronous_standby_names
    if text is None or manager.setting is not None:
        return known
    if text == manager.value_text:
        return replace(known, looking_twice=False)
    value = parse_standby_names(text)
    if (
        manager.value_text is not None
        and not manager.looking_twice
        and value not in manager.doubtful
    ):
        # At most one observation can be older than our last change: the monitor has
        # one connection.  The one that is asked for now tells.
        return replace(known, looking_twice=True, look_due=True)
    return replace(
        known,
        value=value,
        value_text=text,
        since_lsn=status.write_lsn,
        doubtful=() if value in manager.doubtful else manager.doubtful,
        looking_twice=False,
        is_found=True,
    )
