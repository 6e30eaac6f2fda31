"""Which spans a member's journal is woven into."""

import pytest

from regnal.events.spans import naming
from regnal.events.spans.memory import MAXIMUM_SPANS
from regnal.events.spans.span import Span
from regnal.events.spans.telling import part_id
from regnal.events.tracing import root_id, trace_id
from regnal.messages.base import Message
from regnal.messages.changes import StoreBack, StoreLost
from regnal.messages.cluster import FailoverRequest, KeyWritten, StoreUnreachable
from regnal.messages.daemon import (
    DaemonStarted,
    ShutdownCompleted,
    ShutdownRequested,
)
from regnal.messages.fencing import ArmGuard, FencingJudged, FencingWanted, GuardArmed
from regnal.messages.incidents import IncidentOpened
from regnal.messages.lease import (
    AcquireLeader,
    HandOverLeader,
    LeaderAcquired,
    LeaderHandedOver,
    LeaseRefused,
)
from regnal.messages.operations import (
    BecomePrimary,
    DemotePostgres,
    FollowLeader,
    IntentFailed,
    IntentFulfilled,
    ReinitializeMember,
    StartAsPrimary,
    StopForShutdown,
)
from regnal.messages.postgres import (
    CheckpointDone,
    CheckpointPostgres,
    ClonePostgres,
    CreateSlot,
    FollowUpstream,
    OperationFailed,
    PostgresCloned,
    PostgresObserved,
    PostgresPromoted,
    PostgresStarted,
    PostgresStatus,
    PostgresStopped,
    PostmasterExited,
    PromotePostgres,
    ReplicationEnded,
    RewindPostgres,
    SlotChanged,
    StartPostgres,
    StopPostgres,
    Upstream,
    UpstreamFollowed,
    WalReceiver,
)
from regnal.messages.probes import PeersProbed, ProbePeers
from regnal.messages.reasons import because
from regnal.messages.requests import (
    Caller,
    RequestAnswered,
    SwitchoverRequested,
)
from regnal.messages.store import WriteHistory
from tests.events.spans.laws import broken
from tests.events.spans.lives import Life, led_by, phase

PG1 = Upstream(member="pg1", host="10.0.0.1", port="5432", slot=None, is_leader=True)
PG2 = Upstream(member="pg2", host="10.0.0.2", port="5432", slot=None, is_leader=True)
CHANGED = because("LEADER_CHANGED", leader="pg2")
ACQUIRE = AcquireLeader(member="pg2", ttl=30.0, deadline=120.0)
ACQUIRED = LeaderAcquired(member="pg2", valid_until=150.0)
PROMOTED = PostgresPromoted(timeline=2, lsn=0x3000060, history=())
ASKED = FailoverRequest(leader="pg1", candidate="pg2", scheduled_at=None, revision=51)
CALLER = Caller(address="10.0.0.9", username=None, user_agent=None)
STREAMING = PostgresObserved(
    status=PostgresStatus(
        process="accepting",
        data_directory="valid",
        in_recovery=True,
        receiver=WalReceiver(
            status="streaming",
            sender_host=None,
            sender_port=None,
            slot_name=None,
            latest_end_lsn=None,
        ),
    )
)
STARTED = DaemonStarted(
    member="pg1", scope="demo", incarnation=2, versions=(), boot_id="b", pid=7
)
CRASHED = PostmasterExited(
    pid=99, exit_status=None, signal=9, expected=False, control=None
)


def replica(member: str = "pg2") -> Life:
    """A standby of pg1, which leads by the key of revision 10."""
    life = Life(member)
    life.says(phase("standby"))
    life.says(led_by("pg1", 10))
    return life


def leader() -> Life:
    life = Life("pg1")
    life.says(phase("primary"))
    life.says(led_by("pg1", 10))
    return life


def takes_over(life: Life) -> None:
    """The leader is lost; this member is elected and promoted."""
    ended = life.says(ReplicationEnded(received_lsn=None), by="postgres")
    probe = life.says(
        ProbePeers(targets=(), timeout=2.0),
        cause=ended,
        rule="probe_the_members_on_suspicion",
    )
    life.says(PeersProbed(peers=(), asked_at=100.0), cause=probe, by="http")
    gone = life.says(led_by(None), after=17.0, by="dcs")
    acquire = life.says(ACQUIRE, cause=gone, rule="acquire_as_the_best_candidate")
    acquired = life.says(ACQUIRED, cause=acquire, by="dcs")
    life.says(FencingWanted(), cause=acquired, rule="want_fencing_before_the_promotion")
    arm = life.says(ArmGuard(deadline=140.0), cause=acquired, by="watchdog")
    armed = life.says(GuardArmed(guard_pid=8), cause=arm, by="guard")
    judged = life.says(FencingJudged(verdict="stands"), cause=armed, by="watchdog")
    life.says(led_by("pg2", 33), by="dcs")
    become = life.says(
        BecomePrimary(reason=CHANGED), cause=judged, rule="promote_with_the_lease"
    )
    life.says(phase("promoting", "standby"), cause=become)
    promote = life.says(PromotePostgres(timeout=60.0), cause=become)
    promoted = life.says(PROMOTED, cause=promote, by="postgres")
    life.says(phase("primary", "promoting"), cause=promoted)
    life.says(IntentFulfilled(intent="become_primary"), cause=promoted)
    checkpoint = life.says(CheckpointPostgres(timeout=60.0), cause=promoted)
    life.says(CheckpointDone(timeline=2, took=0.1), cause=checkpoint, after=0.1)


def test_the_new_leader_tells_the_root_of_a_failover_and_its_phases() -> None:
    life = replica()
    takes_over(life)
    assert "failover" not in life.names  # more may come
    life.passes(6.0)
    root = life.span("failover")
    assert root.parent is None
    assert root.span == root_id("demo", "reign-10")
    assert root.trace == trace_id("demo", "reign-10")
    assert root.attributes[naming.FORMER] == "pg1"
    assert root.attributes[naming.LEADER] == "pg2"
    assert [life.parent(name) for name in ("detect", "elect", "promote")] == [
        "failover"
    ] * 3
    assert life.parent("probe_peers") == "detect"
    assert life.parent("acquire_leader") == "elect"
    assert life.parent("fencing") == "promote"
    assert life.parent("arm_guard") == "fencing"
    assert life.parent("become_primary") == "promote"
    assert life.parent("promote_postgres") == "become_primary"
    assert life.parent("checkpoint_postgres") == "failover"
    assert broken(life.spans) == []


def test_the_rule_that_decided_and_the_outcome_are_attributes() -> None:
    life = replica()
    takes_over(life)
    life.passes(6.0)
    elected = life.span("elect").attributes
    assert elected[naming.RULE] == "acquire_as_the_best_candidate"
    promoted = life.span("promote_postgres").attributes
    assert promoted[naming.TIMELINE] == 2
    assert promoted[naming.POSITION] == "0/3000060"
    assert promoted[naming.DATABASE] == "postgresql"
    assert life.span("become_primary").attributes[naming.REASON] == "LEADER_CHANGED"


def test_detection_lasts_from_the_first_sign_until_the_key_is_gone() -> None:
    life = replica()
    takes_over(life)
    life.passes(6.0)
    detected = life.span("detect")
    assert 17.0e9 < detected.end - detected.start < 17.1e9
    assert life.span("elect").start == detected.end


def test_another_replica_has_part_in_the_same_trace() -> None:
    life = replica("pg3")
    life.says(ReplicationEnded(received_lsn=None))
    life.says(led_by(None), after=17.0)
    seen = life.says(led_by("pg2", 33))
    follow = life.says(
        FollowLeader(upstream=PG2, check_divergence=False, reason=CHANGED),
        cause=seen,
        rule="follow_the_leader",
    )
    command = life.says(FollowUpstream(upstream=PG2, timeout=60.0), cause=follow)
    done = life.says(UpstreamFollowed(restarted=False), cause=command)
    life.says(IntentFulfilled(intent="follow_leader"), cause=done)
    life.says(STREAMING, after=0.2)
    life.passes(6.0)
    part = life.span("follow")
    assert part.trace == trace_id("demo", "reign-10")
    assert part.parent == root_id("demo", "reign-10")
    assert part.span == part_id("demo", "reign-10", "pg3", 1)
    assert [moment.name for moment in part.moments][-1] == "streaming"
    assert life.parent("follow_upstream") == "follow_leader"
    assert life.span("follow_upstream").attributes[naming.ADDRESS] == "10.0.0.2"
    assert broken(life.spans) == []


def test_a_replica_links_to_the_election_of_whom_it_follows() -> None:
    life, other = replica("pg3"), replica("pg2")
    life.says(led_by("pg2", 33))
    life.passes(6.0)
    takes_over(other)
    other.passes(6.0)
    (link,) = life.span("follow").links
    assert link.span == other.span("elect").span
    assert link.trace == other.span("elect").trace


def test_a_former_leader_that_starts_again_rejoins_in_the_trace_of_its_end() -> None:
    life = leader()
    life.says(STARTED, after=30.0)
    life.says(phase("stopped"))
    life.says(led_by("pg2", 33))
    follow = life.says(
        FollowLeader(upstream=PG2, check_divergence=True, reason=CHANGED),
        rule="start_as_standby",
    )
    life.says(phase("rewinding", "stopped"), cause=follow)
    rewind = life.says(RewindPostgres(upstream=PG2, timeout=60.0), cause=follow)
    life.says(
        OperationFailed(
            command="rewind_postgres", reason=because("REWIND_NOT_POSSIBLE")
        ),
        cause=rewind,
        after=2.0,
    )
    life.says(phase("stopped", "rewinding"))
    life.says(IntentFailed(intent="follow_leader", reason=CHANGED), cause=rewind)
    life.passes(700.0)
    assert life.span("rejoin").parent == root_id("demo", "reign-10")
    rewound = life.span("rewind_postgres")
    assert rewound.status == "error"
    assert rewound.attributes[naming.ERROR] == "REWIND_NOT_POSSIBLE"
    assert broken(life.spans) == []


def hands_over(life: Life) -> None:
    """The leader does as somebody asks."""
    life.says(
        SwitchoverRequested(
            request="r1",
            caller=CALLER,
            action="switchover",
            leader="pg1",
            candidate="pg2",
            scheduled_at=None,
        )
    )
    demote = life.says(
        DemotePostgres(mode="graceful", reason=because("SHUTDOWN")),
        rule="begin_the_switchover",
    )
    life.says(phase("stopping", "primary"), cause=demote)
    stop = life.says(
        StopPostgres(mode="fast", checkpoint_first=False, timeout=60.0), cause=demote
    )
    over = life.says(
        HandOverLeader(member="pg1", to="pg2", last_lsn=5, ttl=30.0, deadline=120.0),
        after=0.1,
    )
    life.says(LeaderHandedOver(to="pg2"), cause=over)
    life.says(led_by("pg2", 54, asked=ASKED))
    stopped = life.says(PostgresStopped(control=None), cause=stop)
    life.says(phase("stopped", "stopping"), cause=stopped)
    life.says(IntentFulfilled(intent="demote_postgres"), cause=stopped)
    life.says(RequestAnswered(request="r1", status=200, body="done"))
    life.says(
        FollowLeader(upstream=PG2, check_divergence=False, reason=CHANGED),
        rule="start_as_standby",
    )
    life.says(IntentFulfilled(intent="follow_leader"))
    life.says(phase("standby", "stopped"))
    life.says(STREAMING)
    life.passes(6.0)


def test_of_a_switchover_the_former_leader_tells_how_it_gave_the_lead_away() -> None:
    life = leader()
    hands_over(life)
    part = life.span("hand over")
    assert part.parent == root_id("demo", "reign-10")
    assert part.attributes[naming.REQUEST] == "r1"
    assert part.attributes[naming.STATUS] == 200
    assert life.parent("hand_over_leader") == "hand over"
    assert life.parent("stop_postgres") == "demote_postgres"
    assert life.parent("rejoin") == "hand over"
    assert life.parent("follow_leader") == "rejoin"
    assert broken(life.spans) == []


def test_of_a_switchover_the_new_leader_tells_the_root_and_detects_nothing() -> None:
    life, former = replica(), leader()
    hands_over(former)
    life.says(led_by("pg1", 10, asked=ASKED))
    life.says(ReplicationEnded(received_lsn=None), after=0.1)
    seen = life.says(led_by("pg2", 54, asked=ASKED))
    acquire = life.says(ACQUIRE, cause=seen, rule="take_up_our_lease")
    life.says(ACQUIRED, cause=acquire)
    promote = life.says(PromotePostgres(timeout=60.0))
    life.says(PROMOTED, cause=promote)
    life.says(phase("primary", "standby"))
    life.says(STREAMING)
    life.passes(700.0)
    assert life.span("switchover").parent is None
    assert "detect" not in life.names
    (link,) = life.span("promote").links
    assert link.span == former.span("hand over").span


def test_a_switchover_begins_for_the_new_leader_when_it_is_asked_for() -> None:
    life = replica()
    life.says(led_by("pg1", 10, asked=ASKED))
    life.passes(30.0)  # the leader checkpoints
    life.says(led_by("pg2", 54, asked=ASKED))
    life.says(phase("primary", "standby"))
    life.passes(6.0)
    root = life.span("switchover")
    assert 30.0e9 < root.end - root.start < 31.0e9


def test_a_request_that_comes_to_nothing_is_no_incident() -> None:
    life = replica()
    life.says(led_by("pg1", 10, asked=ASKED))
    life.says(led_by("pg1", 10))
    life.passes(6.0)
    assert life.weaver.is_idle
    assert life.spans == []


def test_a_switchover_that_is_refused_is_a_trace_with_an_error() -> None:
    life = leader()
    life.says(
        SwitchoverRequested(
            request="r1",
            caller=CALLER,
            action="switchover",
            leader="pg1",
            candidate="nobody",
            scheduled_at=None,
        )
    )
    life.says(RequestAnswered(request="r1", status=412, body="no such candidate"))
    life.passes(6.0)
    root = life.span("switchover")
    assert (root.parent, root.status) == (None, "error")
    assert root.status_text == "no such candidate"


def test_a_crash_without_failover_is_a_trace_of_its_own() -> None:
    life = leader()
    exited = life.says(CRASHED, by="postgres")
    life.says(phase("stopped", "primary"), cause=exited)
    start = life.says(
        StartAsPrimary(timeout=60.0, reason=because("SHUTDOWN")),
        cause=exited,
        rule="start_the_primary_again",
    )
    life.says(phase("starting", "stopped"), cause=start)
    command = life.says(
        StartPostgres(role="primary", upstream=None, timeout=60.0), cause=start
    )
    life.says(PostgresStarted(role="primary", postmaster_pid=100), cause=command)
    life.says(phase("primary", "starting"))
    life.says(IntentFulfilled(intent="start_as_primary"), cause=command)
    life.passes(6.0)
    root = life.span("postgres crash")
    assert root.attributes[naming.INCIDENT] == f"postgres-{exited.replace('/', '-')}"
    assert root.parent is None
    assert root.status == "error"
    assert root.moments[0].attributes[naming.SIGNAL] == 9
    assert life.parent("start_postgres") == "start_as_primary"
    assert broken(life.spans) == []


def test_a_crash_that_ends_the_reign_belongs_to_the_trace_of_all() -> None:
    life = leader()
    life.says(CRASHED)
    life.says(phase("stopped", "primary"))
    life.says(led_by("pg2", 33), after=3.0)
    life.passes(6.0)
    assert life.names == {"step down"}
    assert life.span("step down").trace == trace_id("demo", "reign-10")


def test_what_the_member_called_its_incident_names_the_trace() -> None:
    life = leader()
    exited = life.says(CRASHED)
    life.says(
        IncidentOpened(
            incident="postgres-pg1-1-99",
            what="primary_interrupted",
            weight="outage",
            member="pg1",
            began="2026-11-23T07:31:00Z",
            began_at=life.now - 0.5,
            text="PostgreSQL ended by signal 9 as primary",
            includes=("store-pg1-1-5",),
        ),
        cause=exited,
    )
    life.passes(6.0)
    root = life.span("postgres crash")
    assert root.trace == trace_id("demo", "postgres-pg1-1-99")
    (link,) = root.links
    assert link.span == root_id("demo", "store-pg1-1-5")


def test_an_outage_of_the_store_lasts_until_it_answers() -> None:
    life = leader()
    life.says(StoreUnreachable(error="timed out", unanswered_for=1.0))
    life.says(StoreLost(error="timed out"))
    life.passes(60.0)
    assert life.spans == []
    life.says(StoreBack(away_for=60.0))
    life.passes(6.0)
    root = life.span("dcs outage")
    assert 60.0e9 < root.end - root.start < 61.0e9


def test_reinitialisation_is_a_trace() -> None:
    life = replica()
    intent = life.says(
        ReinitializeMember(
            source=PG1, force=False, request="r2", reason=because("SHUTDOWN")
        ),
        rule="reinitialise_on_request",
    )
    life.says(phase("cloning", "standby"), cause=intent)
    clone = life.says(ClonePostgres(source=PG1), cause=intent)
    life.says(PostgresCloned(method="basebackup"), cause=clone, after=9.0)
    life.says(phase("standby", "cloning"))
    life.says(IntentFulfilled(intent="reinitialize_member"), cause=clone)
    life.passes(6.0)
    assert life.span("reinitialize").parent is None
    assert life.span("clone_postgres").attributes[naming.METHOD] == "basebackup"


def test_what_ends_with_the_daemon_is_told_when_it_ends() -> None:
    life = leader()
    requested = life.says(ShutdownRequested(signal=15))
    life.says(StopForShutdown(reason=because("SHUTDOWN")), cause=requested)
    life.says(ShutdownCompleted())
    assert life.span("shutdown").parent is None
    life.says(StoreUnreachable(error="closed", unanswered_for=0.0))
    life.passes(60.0)
    assert life.names == {"shutdown", "stop_for_shutdown"}


def test_a_daemon_that_is_killed_leaves_an_error() -> None:
    life = replica()
    life.says(led_by("pg2", 33))
    life.says(ACQUIRE)
    life.says(STARTED, after=5.0)
    acquired = life.span("acquire_leader")
    assert acquired.status == "error"
    assert acquired.attributes[naming.ERROR] == "daemon_ended"
    assert life.span("failover").status_text == "the daemon ended"


def test_two_ends_of_reigns_in_a_row_are_two_traces() -> None:
    life = replica("pg3")
    life.says(led_by("pg2", 33))
    command = life.says(FollowUpstream(upstream=PG2, timeout=60.0))
    life.says(led_by("pg1", 44))
    life.says(UpstreamFollowed(restarted=False), cause=command)
    life.passes(6.0)
    traces = {span.trace for span in life.spans if span.name == "follow"}
    assert traces == {trace_id("demo", "reign-10"), trace_id("demo", "reign-33")}
    assert life.span("follow_upstream").trace == trace_id("demo", "reign-33")
    assert broken(life.spans) == []


def test_an_operation_that_a_timer_brought_is_part_of_the_intent_under_way() -> None:
    life = replica("pg3")
    life.says(led_by("pg2", 33))
    life.says(FollowLeader(upstream=PG2, check_divergence=True, reason=CHANGED))
    life.says(FollowUpstream(upstream=PG2, timeout=60.0), cause="pg3/1/999")
    life.spans = ends(life)
    assert life.parent("follow_upstream") == "follow_leader"


def test_who_loses_the_race_has_not_failed() -> None:
    life = replica()
    gone = life.says(led_by(None))
    acquire = life.says(ACQUIRE, cause=gone)
    life.says(LeaseRefused(action="acquire", holder="pg3"), cause=acquire)
    life.says(led_by("pg3", 33))
    life.passes(700.0)
    elected = life.span("elect")
    assert elected.status == "unset"
    assert elected.attributes[naming.LEADER] == "pg3"
    assert life.span("follow").parent == root_id("demo", "reign-10")


def quiet(life: Life) -> None:
    """A slot is made, and a suspicion comes to nothing."""
    slot = life.says(CreateSlot(name="pg3"))
    life.says(SlotChanged(name="pg3", change="created"), cause=slot)
    life.passes(10.0)
    life.says(ReplicationEnded(received_lsn=None))
    life.says(STREAMING, after=1.0)
    life.passes(10.0)


def test_quiet_life_is_left_out_unless_somebody_wants_it() -> None:
    life = replica()
    quiet(life)
    assert life.spans == []
    wanted = Life("pg2", share=1.0)
    wanted.says(phase("standby"))
    wanted.says(led_by("pg1", 10))
    quiet(wanted)
    assert {"upkeep", "create_slot", "suspicion"} <= wanted.names
    assert broken(wanted.spans) == []


def test_no_share_drops_an_incident() -> None:
    life = replica()
    takes_over(life)
    life.passes(6.0)
    assert "failover" in life.names


def test_too_many_spans_are_counted_and_not_kept() -> None:
    life = replica("pg3")
    life.says(led_by("pg2", 33))
    for _ in range(MAXIMUM_SPANS + 7):
        probe = life.says(ProbePeers(targets=(), timeout=2.0))
        life.says(PeersProbed(peers=(), asked_at=1.0), cause=probe)
    life.passes(6.0)
    assert len(life.spans) == MAXIMUM_SPANS + 1
    dropped = life.span("follow").attributes[naming.DROPPED]
    assert dropped == 7 + 1  # detection was a span, too


def test_what_is_never_answered_ends_with_an_error() -> None:
    life = replica()
    takes_over(life)
    life.says(WriteHistory(lines=(), deadline=130.0))
    life.passes(61.0)
    life.passes(6.0)
    assert life.span("write_history").attributes[naming.ERROR] == "no_answer"


def test_the_weaver_goes_on_where_another_left_off() -> None:
    whole, parts = replica(), replica()
    takes_over(whole)
    whole.passes(6.0)
    original = parts.says

    def says_and_stops(message: Message, **how: object) -> str:
        said = original(message, **how)  # type: ignore[arg-type]
        parts.is_interrupted()
        return said

    parts.says = says_and_stops  # type: ignore[method-assign]
    takes_over(parts)
    parts.passes(6.0)
    assert parts.spans == whole.spans


def test_a_memory_that_cannot_be_read_is_none() -> None:
    life = replica()
    life.weaver.remember("{")
    takes_over(life)
    life.passes(6.0)
    assert "failover" not in life.names  # who led before is not known


def ends(life: Life) -> list[Span]:
    return [*life.spans, *life.weaver.finish()]


def test_what_is_under_way_when_the_journal_ends_is_told_as_unfinished() -> None:
    life = replica("pg3")
    life.says(led_by("pg2", 33))
    life.says(FollowUpstream(upstream=PG2, timeout=60.0))
    told = {span.name: span for span in ends(life)}
    assert told["follow"].attributes[naming.UNFINISHED] is True
    assert told["follow_upstream"].attributes[naming.UNFINISHED] is True


@pytest.mark.parametrize("kind", ["touch_member", "renew_leader", "timer_fired"])
def test_heartbeats_need_not_be_read(kind: str) -> None:
    assert not Life().weaver.wants(kind)


def test_answers_of_the_store_are_heard_while_something_goes_on() -> None:
    life = replica()
    assert not life.weaver.wants("key_written")
    life.says(led_by("pg2", 33))
    write = life.says(WriteHistory(lines=(), deadline=130.0))
    assert life.weaver.wants("key_written")
    life.says(KeyWritten(key="history", revision=35), cause=write)
    assert life.span("write_history").attributes[naming.KEY] == "history"
