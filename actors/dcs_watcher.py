"""The store's watcher: keeps our keys as they should be, and tells what changed.

Our member key follows PostgreSQL and the settings; as the lock holder we also
keep the keys that must never be missing (history, configuration, initialize,
failsafe).  RULES are asked from top to bottom, and all that apply speak.

The member key is written with every heartbeat, when PostgreSQL has answered for it
(the bridge skips a value that is there already, and refreshes the session), and at
once when anything but a WAL position changes, or the journal's head is told.
"""

from regnal.actors import own_member
from regnal.actors.dcs_watcher_rules import KEEPING, TELLING
from regnal.actors.dcs_watcher_state import HEARTBEAT, TOUCH_AFTER, DcsWatcher
from regnal.actors.history_lines import merged_history
from regnal.actors.own_member import OWN_MEMBER_HEARS, OwnMember
from regnal.actors.rule_list import all_that_apply
from regnal.actors.step import Decider, Step
from regnal.actors.wall_time import hlc_text, iso_text
from regnal.messages.base import Instant, MemberName, Message
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    StoreAnswered,
    StoreUnreachable,
)
from regnal.messages.daemon import JournalKept, ShutdownCompleted
from regnal.messages.envelope import Envelope
from regnal.messages.frozen import replace
from regnal.messages.lease import LeaderAcquired, LeaderRenewed
from regnal.messages.operations import DemotePostgres
from regnal.messages.postgres import PostgresObserved, PostgresPromoted
from regnal.messages.probes import FailsafeAnswered
from regnal.messages.timers import TimerFired

RULES = (*TELLING, *KEEPING)


def handle(watcher: DcsWatcher, envelope: Envelope[Message]) -> Step[DcsWatcher]:
    """One message; see RULES."""
    known = learn(watcher, envelope)
    if isinstance(envelope.message, DemotePostgres):
        # The stop that follows shows itself; a write now would only delay the
        # hand-over of the leader key.
        return Step(_forget_the_moment(known))
    step = all_that_apply(RULES, known, envelope.at)
    return Step(_forget_the_moment(step.state), step.said, step.rule, step.facts)


def _forget_the_moment(watcher: DcsWatcher) -> DcsWatcher:
    """Leave nothing in the state that only concerned the message just heard."""
    return replace(watcher, touch_due=False, store_answers=False, clock=None)


def learn(watcher: DcsWatcher, envelope: Envelope[Message]) -> DcsWatcher:
    """The watcher after hearing the message, before any rule looks at it."""
    message = envelope.message
    heard = replace(
        watcher, own=own_member.learn(watcher.own, message), clock=envelope.hlc
    )
    match message:
        case ClusterObserved(view=view):
            return _observed(heard, view)
        case StoreUnreachable(error=error):
            since = watcher.store_lost_at
            return replace(
                heard,
                store_lost_at=envelope.at if since is None else since,
                store_error=error,
            )
        case StoreAnswered():
            return replace(heard, store_answers=True, touch_due=True, resting=())
        case TimerFired(name=name) if name == HEARTBEAT:
            return replace(heard, resting=())
        case PostgresObserved():
            return replace(heard, touch_due=_is_due(watcher, envelope.at))
        case PostgresPromoted(timeline=timeline, history=lines):
            merged = merged_history(
                lines,
                watcher.history,
                timeline=timeline,
                leader=watcher.own.member,
                at=iso_text(envelope.wall_us),
            )
            return replace(heard, history=merged, history_due=True)
        case KeyWritten(key=key):
            return _answered(heard, key, written=True)
        case KeyRefused(key=key) | KeyUnconfirmed(key=key):
            return _answered(heard, key, written=False)
        case FailsafeAnswered(votes=votes) if all(vote.accepted for vote in votes):
            return replace(heard, leads_by_promise=True)
        case LeaderAcquired() | LeaderRenewed():
            return replace(heard, leads_by_promise=False)
        case JournalKept(head=head):
            # Now and then: reason enough to write our key also on an idle member.
            hlc = hlc_text(envelope.hlc)
            return replace(heard, journal_head=head, hlc=hlc, touch_due=True)
        case ShutdownCompleted():
            return replace(heard, ended=True)
        case _:
            return heard


def _is_due(watcher: DcsWatcher, now: Instant) -> bool:
    """Whether the last write of our key is long enough ago."""
    settings = watcher.own.settings
    if settings is None or watcher.touched_at is None:
        return True
    return now - watcher.touched_at >= TOUCH_AFTER * settings.loop_wait


def _observed(watcher: DcsWatcher, view: ClusterView) -> DcsWatcher:
    before = watcher.cluster
    failsafe = watcher.failsafe
    if before is None or before.failsafe != view.failsafe:
        failsafe = view.failsafe
    keep_history = watcher.history_due or view.history is None
    return replace(
        watcher,
        cluster=view,
        store_answers=True,
        config=view.config if view.config is not None else watcher.config,
        history=watcher.history if keep_history else view.history,
        failsafe=failsafe,
    )


def _answered(watcher: DcsWatcher, key: str, *, written: bool) -> DcsWatcher:
    if key not in watcher.asked:
        return watcher
    remaining = tuple(asked for asked in watcher.asked if asked != key)
    resting = (*watcher.resting, key)
    if not written:
        return replace(watcher, asked=remaining, resting=resting)
    return replace(
        watcher,
        asked=remaining,
        resting=watcher.resting if key == "failsafe" else resting,
        history_due=watcher.history_due and key != "history",
        failsafe=watcher.failsafe_asked if key == "failsafe" else watcher.failsafe,
    )


def initial(member: MemberName) -> DcsWatcher:
    return DcsWatcher(own=OwnMember(member))


DCS_WATCHER = Decider(
    name="dcs_watcher",
    hears=(
        *OWN_MEMBER_HEARS,
        ClusterObserved,
        StoreUnreachable,
        StoreAnswered,
        KeyWritten,
        KeyRefused,
        KeyUnconfirmed,
        TimerFired,
        FailsafeAnswered,
        JournalKept,
        ShutdownCompleted,
    ),
    state=DcsWatcher,
    initial=initial,
    handle=handle,
)
