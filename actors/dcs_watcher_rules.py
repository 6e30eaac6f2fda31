"""Rules of the store's watcher: TELLING what changed, KEEPING our keys."""

from typing import TypeAlias

from regnal.actors.dcs_watcher_state import DcsWatcher, Told
from regnal.actors.history_lines import shortened
from regnal.actors.member_document import (
    compact,
    member_content,
    without_positions,
)
from regnal.actors.rule_list import Remark
from regnal.actors.wall_time import hlc_text
from regnal.messages.base import Instant, Message
from regnal.messages.changes import (
    ConfigurationKeyChanged,
    LeaderElected,
    LeaderLost,
    MemberJoined,
    MemberLeft,
    OwnMemberChanged,
    StoreBack,
    StoreLost,
)
from regnal.messages.cluster import FailsafeMember
from regnal.messages.frozen import replace
from regnal.messages.settings import Settings
from regnal.messages.store import (
    TakeInitialize,
    TouchMember,
    WriteConfig,
    WriteFailsafe,
    WriteHistory,
)

Said: TypeAlias = Remark[DcsWatcher] | None


def _leads(watcher: DcsWatcher) -> bool:
    """Whether the lease is ours, and nobody else's name is in the key: who was frozen
    for long believes in a lease that another has."""
    view = watcher.cluster
    holder = view.leader_name if view is not None else None
    return watcher.own.has_lease and holder in (None, watcher.own.member)


def tell_that_the_store_is_lost(watcher: DcsWatcher, now: Instant) -> Said:
    if watcher.store_lost_at is None or watcher.lost_told or watcher.store_answers:
        return None
    return Remark(
        replace(watcher, lost_told=True), said=(StoreLost(error=watcher.store_error),)
    )


def tell_that_the_store_is_back(watcher: DcsWatcher, now: Instant) -> Said:
    if not watcher.store_answers or watcher.store_lost_at is None:
        return None
    away_for = max(0.0, now - watcher.store_lost_at)
    return Remark(
        replace(watcher, store_lost_at=None, lost_told=False),
        said=(StoreBack(away_for=away_for),),
    )


def tell_what_changed(watcher: DcsWatcher, now: Instant) -> Said:
    """Leader, members and configuration, each once per change."""
    view, told = watcher.cluster, watcher.told
    if view is None:
        return None
    leader = view.leader_name
    members = tuple(member.name for member in view.members)
    if told is None:
        return Remark(replace(watcher, told=Told(leader, leader, members, view.config)))
    own = watcher.own.member
    now_told = Told(leader, leader or told.last_leader, members, view.config)
    if now_told == told:
        return None
    said: list[Message] = [
        *_of_leader(told, leader),
        *(MemberJoined(member=name) for name in members if name not in told.members),
        *(MemberLeft(member=name) for name in told.members if name not in members),
    ]
    if view.config != told.config:
        said.append(ConfigurationKeyChanged(removed=view.config is None))
    # Our own key was wiped, or has expired: write it again.
    vanished = own in told.members and own not in members
    return Remark(
        replace(watcher, told=now_told, touch_due=watcher.touch_due or vanished),
        said=tuple(said),
        facts={"leader": leader, "members": members},
    )


def _of_leader(told: Told, leader: str | None) -> tuple[Message, ...]:
    if leader == told.leader:
        return ()
    if leader is None:
        assert told.leader is not None
        return (LeaderLost(previous=told.leader),)
    return (LeaderElected(member=leader, previous=told.last_leader),)


def write_the_history(watcher: DcsWatcher, now: Instant) -> Said:
    """After a promotion, and again if the key vanished (ELEC-21, ELEC-23)."""
    settings, view = watcher.own.settings, watcher.cluster
    if settings is None or not _leads(watcher) or not watcher.may_ask("history"):
        return None
    lines = watcher.history
    if view is not None and _began_anew(watcher):
        lines = ()
    elif not watcher.history_due and not _history_vanished(watcher):
        return None
    lines = shortened(lines or (), settings.max_timelines_history)
    return Remark(
        replace(watcher, asked=(*watcher.asked, "history")),
        said=(WriteHistory(lines=lines, deadline=now + settings.retry_timeout),),
        facts={"lines": len(lines)},
    )


def _began_anew(watcher: DcsWatcher) -> bool:
    """Timeline 1 has no history: what the key has is of an earlier cluster."""
    status, view = watcher.own.postgres, watcher.cluster
    return (
        view is not None
        and bool(view.history)
        and status is not None
        and status.is_primary
        and status.timeline == 1
        and not watcher.history_due
    )


def _history_vanished(watcher: DcsWatcher) -> bool:
    view = watcher.cluster
    return view is not None and view.history is None and bool(watcher.history)


def write_the_configuration_again(watcher: DcsWatcher, now: Instant) -> Said:
    """CFG-17: the key vanished; what was in force stays in force."""
    settings, view = watcher.own.settings, watcher.cluster
    if settings is None or view is None or view.config is not None:
        return None
    if not _is_ours_to_keep(watcher) or watcher.config is None:
        return None
    if not watcher.may_ask("config"):
        return None
    return Remark(
        replace(watcher, asked=(*watcher.asked, "config")),
        said=(
            WriteConfig(
                document=watcher.config,
                if_revision="absent",
                deadline=now + settings.retry_timeout,
            ),
        ),
        facts={"leader": view.leader_name},
    )


def _is_ours_to_keep(watcher: DcsWatcher) -> bool:
    """Whether the lock is ours, or went with all the other keys while we ran as
    primary: nobody else then knows the configuration any better."""
    if watcher.own.has_lease:
        return True
    if watcher.told is None or watcher.own.phase != "primary":
        return False
    return watcher.told.leader is None and (
        watcher.told.last_leader == watcher.own.member
    )


def create_the_initialize_key_again(watcher: DcsWatcher, now: Instant) -> Said:
    """ELEC-21, P-ELEC-13: only the primary that holds the lock restores it."""
    settings, view, status = (
        watcher.own.settings,
        watcher.cluster,
        watcher.own.postgres,
    )
    if settings is None or view is None or status is None:
        return None
    if view.initialize is not None or not _leads(watcher):
        return None
    if view.leader_name != watcher.own.member:
        # Everything was wiped: election begins with the lock.
        return None
    if not status.is_primary or status.system_identifier is None:
        return None
    if watcher.own.phase != "primary" or not watcher.may_ask("initialize"):
        return None
    return Remark(
        replace(watcher, asked=(*watcher.asked, "initialize")),
        said=(
            TakeInitialize(
                system_identifier=status.system_identifier,
                deadline=now + settings.retry_timeout,
            ),
        ),
        facts={"system_identifier": status.system_identifier},
    )


def list_the_members_for_failsafe(watcher: DcsWatcher, now: Instant) -> Said:
    """P-FSAFE-02: whom a primary must ask when the store is gone, and who may race
    then: nobody joins them who has not promised what the others have."""
    settings, view = watcher.own.settings, watcher.cluster
    if settings is None or view is None or not settings.failsafe_mode:
        return None
    if watcher.leads_by_promise:
        return None
    if not _leads(watcher) or not watcher.may_ask("failsafe"):
        return None
    wanted = _failsafe_members(watcher, settings)
    if wanted == watcher.failsafe:
        return None
    return Remark(
        replace(watcher, asked=(*watcher.asked, "failsafe"), failsafe_asked=wanted),
        said=(WriteFailsafe(members=wanted, deadline=now + settings.retry_timeout),),
        facts={"before": watcher.failsafe},
    )


def _failsafe_members(
    watcher: DcsWatcher, settings: Settings
) -> tuple[FailsafeMember, ...]:
    assert watcher.cluster is not None
    urls = {m.name: m.api_url for m in watcher.cluster.members if m.api_url}
    urls[watcher.own.member] = settings.api_url
    return tuple(
        FailsafeMember(name=name, api_url=url) for name, url in sorted(urls.items())
    )


def show_our_member(watcher: DcsWatcher, now: Instant) -> Said:
    """Our key, at every beat, and at once when others must hear of a change."""
    own = watcher.own
    if not own.is_known or own.settings is None:
        return None
    content = member_content(own)
    shown = compact(without_positions(content))
    changed = shown != watcher.shown
    if watcher.ended and (not changed or watcher.shown is None):
        return None
    if not changed and not watcher.touch_due:
        return None
    hlc = watcher.hlc
    if changed and watcher.clock is not None:
        hlc = hlc_text(watcher.clock)
    touch = TouchMember(
        member=own.member,
        ttl=own.settings.ttl,
        document=compact({**content, "hlc": hlc, **_witnessed(watcher)}),
        deadline=now + own.settings.retry_timeout,
    )
    written = replace(watcher, shown=shown, hlc=hlc, touched_at=now)
    if not changed:
        return Remark(written, said=(touch,))
    return Remark(written, said=(touch, OwnMemberChanged(document=shown)))


def _witnessed(watcher: DcsWatcher) -> dict[str, str]:
    """The head of our journal, once it is known."""
    head = watcher.journal_head
    return {} if head is None else {"journal_head": head}


TELLING = (
    tell_that_the_store_is_lost,
    tell_that_the_store_is_back,
    tell_what_changed,
)
KEEPING = (
    write_the_history,
    write_the_configuration_again,
    create_the_initialize_key_again,
    list_the_members_for_failsafe,
    show_our_member,
)
