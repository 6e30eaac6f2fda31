"""The manager of synchronous standbys: what was acknowledged survives a failover.

It chooses standbys (`sync_choice`), and moves the `sync` key and PostgreSQL's
synchronous_standby_names towards that choice, one change at a time, each only when
the one before is answered, and only in an order that keeps the law at the top of
`sync_plan`.  Before a promotion election claims the key for itself alone; after it
this manager takes over.

RULES (in `sync_rules`) are asked from top to bottom; the first that has something to
say speaks.
"""

from regnal.actors.step import Decider, Step
from regnal.actors.sync_learning import learn
from regnal.actors.sync_rules import (
    Rule,
    delete_the_key_when_the_mode_is_off,
    look_for_standbys,
    look_twice_at_the_value,
    prepare_a_standby_for_promotion,
    read_the_key_again,
    restore_the_users_value,
    take_the_next_step,
    watch_a_standby_that_owes,
)
from regnal.actors.sync_state import SyncManager
from regnal.messages.base import Instant, MemberName, Message
from regnal.messages.cluster import (
    ClusterObserved,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    StoreAnswered,
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
    PostmasterExited,
    SynchronousStandbysRefused,
    SynchronousStandbysSet,
)
from regnal.messages.settings import ConfigurationApplied
from regnal.messages.synchronous import StandbyNamesFound
from regnal.messages.timers import TimerFired


def handle(manager: SyncManager, envelope: Envelope[Message]) -> Step[SyncManager]:
    """One message; see RULES."""
    known = learn(manager, envelope)
    step = _first_to_speak(known, envelope.at)
    state = replace(
        step.state, look_due=False, watch_due=False, read_due=False, is_found=False
    )
    if not known.is_found:
        return replace(step, state=state)
    # What others set is recorded as ours is: the law counts from its position.
    found = StandbyNamesFound(value=known.value_text or "", lsn=known.since_lsn)
    return replace(
        step,
        state=state,
        said=(found, *step.said),
        rule=step.rule or "find_the_standby_names",
    )


def _first_to_speak(known: SyncManager, now: Instant) -> Step[SyncManager]:
    for rule in RULES:
        spoken = rule(known, now)
        if spoken is not None:
            return spoken
    return Step(known)


RULES: tuple[Rule, ...] = (
    read_the_key_again,
    look_twice_at_the_value,
    take_the_next_step,
    delete_the_key_when_the_mode_is_off,
    restore_the_users_value,
    prepare_a_standby_for_promotion,
    look_for_standbys,
    watch_a_standby_that_owes,
)


def initial(member: MemberName) -> SyncManager:
    return SyncManager(member=member)


SYNC_STANDBY_MANAGER = Decider(
    name="sync_standby_manager",
    hears=(
        ConfigurationApplied,
        ClusterObserved,
        StoreAnswered,
        KeyWritten,
        KeyRefused,
        KeyUnconfirmed,
        LeaderAcquired,
        LeaderRenewed,
        LeaderReleased,
        LeaderHandedOver,
        LeaseRefused,
        PhaseChanged,
        PostgresObserved,
        PostgresPromoted,
        PostmasterExited,
        SynchronousStandbysSet,
        SynchronousStandbysRefused,
        TimerFired,
    ),
    state=SyncManager,
    initial=initial,
    handle=handle,
)
