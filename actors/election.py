"""Election: who leads, and what this member does about it.

Read RULES from top to bottom.  The first that applies decides; its name is what
the journal, `explain` and the log call the decision.
"""

from regnal.actors import (
    election_creation,
    election_fencing,
    election_following,
    election_lease,
    election_pause,
    election_policy,
    election_race,
    election_shutdown,
)
from regnal.actors.election_learning import learn
from regnal.actors.election_rule import Rule
from regnal.actors.election_state import Election
from regnal.actors.election_upkeep import keep_up
from regnal.actors.step import Decider, Step
from regnal.messages.base import Instant, MemberName, Message
from regnal.messages.cluster import (
    ClusterObserved,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    StoreAnswered,
    StoreUnreachable,
)
from regnal.messages.daemon import ShutdownRequested
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import (
    DisableWatchdog,
    FencingJudged,
    WatchdogActivated,
    WatchdogFailed,
)
from regnal.messages.frozen import replace
from regnal.messages.incidents import (
    CrashCounted,
    FailoverHeld,
    FailoverReleased,
    LeadershipAllowed,
    LeadershipBarred,
)
from regnal.messages.lease import (
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseCommand,
    LeaseRefused,
    LeaseUnconfirmed,
)
from regnal.messages.operations import (
    IntentFailed,
    IntentFulfilled,
    IntentRefused,
    PhaseChanged,
)
from regnal.messages.postgres import (
    DatabaseInitialised,
    PostgresObserved,
    PostgresPromoted,
    PostgresStopped,
    PostmasterExited,
    ReplicationEnded,
    ShutdownCheckpointed,
)
from regnal.messages.probes import FailsafeAnswered, PeersProbed
from regnal.messages.requests import (
    FailsafePosted,
    ReinitializeWanted,
    RestartWanted,
)
from regnal.messages.settings import ConfigurationApplied
from regnal.messages.timers import TimerFired

RULES: tuple[Rule, ...] = (
    # Who may not write any more.
    election_lease.step_down_when_the_lease_is_refused,
    election_lease.step_down_when_another_leads,
    election_lease.ask_the_members_before_stepping_down,
    election_lease.step_down_before_the_lease_ends,
    election_lease.step_down_without_a_lease,
    election_fencing.step_down_without_fencing,
    # The daemon's end, and planned changes under way.
    election_shutdown.leave_postgres_alone_when_paused,
    election_shutdown.hand_the_lease_over,
    election_shutdown.give_the_switchover_up_after_a_crash,
    election_shutdown.withdraw_an_unanswered_hand_over,
    election_shutdown.stop_postgres_for_the_shutdown,
    election_shutdown.complete_the_shutdown,
    # Whose data and whose lease this is.
    election_creation.refuse_data_of_another_cluster,
    election_policy.stop_the_start_after_too_many_crashes,
    election_policy.give_the_lease_up_after_too_many_crashes,
    election_lease.take_up_our_lease,
    election_lease.retake_a_deleted_lease,
    # Pause.
    election_pause.take_the_free_lease_in_pause,
    election_pause.race_for_the_candidate_in_pause,
    election_pause.promote_the_candidate_in_pause,
    election_pause.release_the_lease_in_pause,
    # One thing at a time.
    election_race.leave_the_lease_to_a_primary_without_a_store,
    election_fencing.release_without_fencing,
    election_fencing.want_fencing_before_the_promotion,
    election_race.claim_the_sync_key,
    election_race.wait_for_the_last_record,
    election_fencing.wait_for_fencing_before_the_promotion,
    election_race.promote_with_the_lease,
    election_race.take_a_promotion_for_done,
    election_race.release_after_a_failed_promotion,
    election_following.release_a_lease_that_found_us_waiting,
    election_shutdown.make_way_for_a_request_while_starting,
    election_following.reinitialize_this_member,
    election_race.stay_out_of_the_race,
    election_race.stand_back_for_a_running_primary,
    election_race.acquire_as_the_best_candidate,
    election_race.acquire_as_the_next_candidate,
    election_race.leave_the_race_to_a_better_one,
    election_race.probe_the_members_on_suspicion,
    election_race.wait_for_the_answers,
    election_policy.leave_the_lead_to_others_after_too_many_crashes,
    election_policy.hold_the_failover_after_a_recent_one,
    election_following.wait_no_longer_for_a_leader_that_is_gone,
    election_following.wait_for_the_supervisor,
    election_pause.keep_hands_off_in_pause,
    # Requests.
    election_shutdown.drop_a_stale_schedule,
    election_shutdown.probe_before_the_switchover,
    election_shutdown.begin_the_switchover,
    election_shutdown.clear_a_request_that_is_done,
    election_following.restart_this_member,
    # Beginnings.
    election_creation.give_the_failed_bootstrap_up,
    election_creation.confirm_the_new_cluster,
    election_creation.bootstrap_the_cluster,
    election_creation.take_over_an_existing_primary,
    election_creation.create_the_initialize_key,
    election_creation.refuse_a_replica_without_a_cluster,
    election_creation.refuse_an_unusable_data_directory,
    election_creation.release_the_lease_of_a_lost_data_directory,
    election_creation.clone_this_member,
    # PostgreSQL does not run.
    election_policy.wait_until_the_crash_is_counted,
    election_fencing.want_fencing_before_the_start,
    election_creation.start_the_primary_again,
    election_creation.release_the_lease_of_a_dead_primary,
    election_creation.start_as_standby,
    # Nothing special.
    election_following.follow_the_leader,
    election_following.look_whether_we_stream,
    election_following.compare_histories_of_a_standby_that_does_not_stream,
    election_following.keep_leading,
    election_following.keep_following,
)


def handle(view: Election, envelope: Envelope[Message]) -> Step[Election]:
    """Learn, let the first rule that applies speak, then keep up the chores."""
    now = envelope.at
    known = _miss_the_answer(learn(view, envelope), now)
    if known.schedule_at is not None and now >= known.schedule_at:
        known = replace(known, schedule_is_due=True)
    if known.poll_at is not None and now >= known.poll_at:
        known = replace(known, poll_at=None)
    must_lead_by = _lease_is_due(known, now)
    if must_lead_by != known.must_lead_by:
        known = replace(known, must_lead_by=must_lead_by)
    for rule in RULES if known.is_informed else BEFORE_ALL_IS_KNOWN:
        conclusion = rule(known, now)
        if conclusion is not None:
            state, chores = keep_up(conclusion.state, now)
            said = (*conclusion.said, *chores)
            return Step(
                _expecting_an_answer(state, said),
                said=said,
                rule=rule.__name__,
                facts=conclusion.facts,
            )
    state, chores = keep_up(known, now)
    state = _expecting_an_answer(state, chores)
    return Step(state, said=chores, rule="wait_to_be_informed")


def _expecting_an_answer(view: Election, said: tuple[Message, ...]) -> Election:
    by = _answer_by(view, said)
    return view if by == view.answer_by else replace(view, answer_by=by)


def _answer_by(view: Election, said: tuple[Message, ...]) -> Instant | None:
    if view.asking is None:
        return None
    for message in said:
        if isinstance(message, LeaseCommand):
            return message.deadline + ANSWER_GRACE
    return view.answer_by


def _miss_the_answer(view: Election, now: Instant) -> Election:
    """Every command is answered, but we may have failed to hear it: then nothing is
    known of it, and we must not wait for ever."""
    if view.asking is None or view.answer_by is None or now <= view.answer_by:
        return view
    renewing = view.renewal_due or view.asking == "renew"
    return replace(view, asking=None, answer_by=None, renewal_due=renewing)


ANSWER_GRACE = 2.0
"""Seconds after the deadline of a command in which its answer is still expected."""


def _lease_is_due(view: Election, now: Instant) -> Instant | None:
    """When a PostgreSQL that takes writes must have a lease.  The first primary of a
    new cluster is one before there is a key: nobody else can be."""
    if view.settings is None or view.has_lease or not view.is_writable:
        return None
    if view.initialize != "no" or view.busy == "bootstrap_cluster":
        return None
    if view.must_lead_by is not None:
        return view.must_lead_by
    return now + view.settings.retry_timeout


BEFORE_ALL_IS_KNOWN: tuple[Rule, ...] = (
    election_lease.step_down_before_the_lease_ends,
    election_lease.step_down_without_a_lease,
    election_shutdown.leave_postgres_alone_when_paused,
    election_shutdown.stop_postgres_for_the_shutdown,
    election_shutdown.complete_the_shutdown,
)
"""The rules that apply while settings, store or PostgreSQL are not known yet."""


def initial(member: MemberName) -> Election:
    return Election(member=member)


ELECTION = Decider(
    name="election",
    hears=(
        ConfigurationApplied,
        ClusterObserved,
        StoreUnreachable,
        StoreAnswered,
        KeyWritten,
        KeyRefused,
        KeyUnconfirmed,
        LeaderAcquired,
        LeaderRenewed,
        LeaderReleased,
        LeaderHandedOver,
        LeaseRefused,
        LeaseUnconfirmed,
        PostgresObserved,
        PostmasterExited,
        ReplicationEnded,
        ShutdownCheckpointed,
        PostgresStopped,
        PostgresPromoted,
        DatabaseInitialised,
        PhaseChanged,
        IntentFulfilled,
        IntentFailed,
        IntentRefused,
        PeersProbed,
        FailsafeAnswered,
        FailsafePosted,
        RestartWanted,
        ReinitializeWanted,
        ShutdownRequested,
        FencingJudged,
        WatchdogActivated,
        WatchdogFailed,
        DisableWatchdog,
        FailoverHeld,
        FailoverReleased,
        CrashCounted,
        LeadershipBarred,
        LeadershipAllowed,
        TimerFired,
    ),
    state=Election,
    initial=initial,
    handle=handle,
)
