"""Rules of the manager of synchronous standbys: what is done next."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from regnal.actors.step import Step
from regnal.actors.sync_learning import LOOK
from regnal.actors.sync_plan import Electors, SetValue, WriteKey, next_change
from regnal.actors.sync_state import (
    UNKNOWN_REVISION,
    SyncManager,
    spelled,
    spelled_value,
)
from regnal.messages.base import Instant, Seconds
from regnal.messages.cluster import (
    SyncState,
)
from regnal.messages.frozen import replace
from regnal.messages.postgres import (
    ObservePostgres,
    SetSynchronousStandbys,
)
from regnal.messages.store import DeleteSync, ReadCluster, WriteSync
from regnal.messages.timers import SetTimer

LOOK_AGAIN_AFTER: Seconds = 0.5
"""While a standby is expected to arrive or to catch up, it is looked for this often."""

Said: TypeAlias = Step[SyncManager] | None
Rule: TypeAlias = Callable[[SyncManager, Instant], Said]


def read_the_key_again(manager: SyncManager, now: Instant) -> Said:
    """The store refused a change: the key is not what we think."""
    if not manager.read_due or manager.settings is None:
        return None
    return Step(
        manager,
        said=(ReadCluster(deadline=now + manager.settings.retry_timeout),),
        rule="read_the_key_again",
        facts={"key": manager.key},
    )


def look_twice_at_the_value(manager: SyncManager, now: Instant) -> Said:
    """P-SYNC-08: another value than ours was observed, perhaps an older one."""
    if not (manager.looking_twice and manager.look_due):
        return None
    return Step(manager, said=(ObservePostgres(),), rule="look_twice_at_the_value")


def take_the_next_step(manager: SyncManager, now: Instant) -> Said:
    """As the leader: the next change of the plan."""
    settings = manager.settings
    if settings is None or not settings.is_synchronous:
        return None
    if not manager.is_primary or manager.cluster is None or manager.is_waiting:
        return None
    situation = manager.situation()
    change = next_change(situation)
    facts = {
        "key": manager.key,
        "value": manager.value_text,
        "wanted": situation.wanted,
        "count": situation.count,
        "caught_up": situation.caught_up,
        "streaming": situation.streaming,
    }
    match change:
        case WriteKey(electors=electors, why=why):
            return _write(manager, electors, now, why, facts)
        case SetValue(value=value, why=why):
            return _set(manager, spelled_value(manager, value), why, facts)
        case None:
            return None


def delete_the_key_when_the_mode_is_off(manager: SyncManager, now: Instant) -> Said:
    settings = manager.settings
    if settings is None or settings.is_synchronous or manager.is_waiting:
        return None
    if not manager.has_lease or manager.key is None or not manager.key_is_there:
        return None
    return Step(
        replace(manager, deleting=True),
        said=(
            DeleteSync(
                if_revision=manager.key.revision,
                deadline=now + settings.retry_timeout,
            ),
        ),
        rule="delete_the_key_when_the_mode_is_off",
        facts={"key": manager.key},
    )


def restore_the_users_value(manager: SyncManager, now: Instant) -> Said:
    """P-SYNC-12: with the mode off the parameter is the user's."""
    settings = manager.settings
    if settings is None or settings.is_synchronous or not manager.restore_due:
        return None
    if not _may_set(manager) or (manager.key_is_there and manager.has_lease):
        return None
    if manager.value_text == settings.synchronous_standby_names:
        return Step(replace(manager, restore_due=False))
    return _set(
        manager,
        settings.synchronous_standby_names,
        "restore_the_users_value",
        {"value": manager.value_text},
    )


def prepare_a_standby_for_promotion(manager: SyncManager, now: Instant) -> Said:
    """SYNC-04: what is in force at the moment of a promotion must be strict at once,
    and must not name the standbys of another time."""
    settings = manager.settings
    if settings is None or not settings.is_synchronous or not manager.is_standby:
        return None
    wanted = "*" if settings.synchronous_mode_strict else ""
    if not _may_set(manager) or manager.value_text == wanted:
        return None
    return _set(
        manager,
        wanted,
        "prepare_a_standby_for_promotion",
        {"value": manager.value_text},
    )


def look_for_standbys(manager: SyncManager, now: Instant) -> Said:
    """A standby counts from the moment at which it streams and has everything, not
    from the next beat on."""
    if not manager.look_due:
        return None
    if manager.is_catching_up or _is_pending(manager):
        looking = replace(manager, is_catching_up=True)
    elif now < manager.look_until and _is_lacking(manager):
        looking = manager
    elif manager.is_watching and manager.is_primary:
        return Step(manager, said=(ObservePostgres(),), rule="look_for_standbys")
    else:
        return None
    # The timer is set with the question: an answer may change nothing, and then
    # nobody would ask again.
    return Step(
        looking,
        said=(ObservePostgres(), SetTimer(name=LOOK, at=now + LOOK_AGAIN_AFTER)),
        rule="look_for_standbys",
    )


def watch_a_standby_that_owes(manager: SyncManager, now: Instant) -> Said:
    """Whoever confirms nothing is found out by looks in short order, and not by beats."""
    settings = manager.settings
    if settings is None or not settings.is_synchronous or not manager.is_primary:
        return None
    if not manager.watch_due:
        return None
    return Step(
        manager,
        said=(SetTimer(name=LOOK, at=now + LOOK_AGAIN_AFTER),),
        rule="watch_a_standby_that_owes",
        facts={"silences": manager.silences},
    )


def _is_lacking(manager: SyncManager) -> bool:
    """Whether a member that has started would be chosen if it streamed."""
    settings = manager.settings
    if settings is None or not settings.is_synchronous or not manager.is_primary:
        return False
    situation = manager.situation()
    wished = max(settings.synchronous_node_count, 1)
    if len(situation.wanted) >= wished and not situation.by_quorum:
        return False
    return manager.expects_standbys


def _is_pending(manager: SyncManager) -> bool:
    settings = manager.settings
    if settings is None or not settings.is_synchronous or not manager.is_primary:
        return False
    if manager.is_waiting or manager.cluster is None:
        return False
    electors = manager.electors
    names = electors.names if electors else ()
    return any(name not in names for name in manager.situation().wanted)


def _may_set(manager: SyncManager) -> bool:
    """Whether PostgreSQL runs, we know its value, and nothing is under way."""
    return (
        not manager.is_waiting
        and manager.value_text is not None
        and manager.phase in ("primary", "standby")
        and manager.postgres is not None
        and manager.postgres.is_accepting
    )


def _write(
    manager: SyncManager,
    electors: Electors,
    now: Instant,
    why: str,
    facts: Mapping[str, object],
) -> Step[SyncManager]:
    assert manager.settings is not None
    standbys = tuple(sorted(spelled(manager, name) for name in electors.names))
    wanted = SyncState(
        leader=manager.member,
        standbys=standbys,
        quorum=electors.quorum,
        revision=UNKNOWN_REVISION,
    )
    return Step(
        replace(manager, writing=wanted, is_catching_up=False),
        said=(
            WriteSync(
                leader=manager.member,
                standbys=standbys,
                quorum=electors.quorum,
                if_revision=manager.key.revision if manager.key else None,
                deadline=now + manager.settings.retry_timeout,
            ),
        ),
        rule=why,
        facts=facts,
    )


def _set(
    manager: SyncManager, text: str, why: str, facts: Mapping[str, object]
) -> Step[SyncManager]:
    assert manager.settings is not None
    return Step(
        replace(
            manager,
            setting=text,
            is_catching_up=False,
            restore_due=manager.restore_due or manager.settings.is_synchronous,
        ),
        said=(
            SetSynchronousStandbys(value=text, timeout=manager.settings.retry_timeout),
        ),
        rule=why,
        facts=facts,
    )
