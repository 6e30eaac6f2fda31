"""What holds for each of the smaller deciders: never raises, and idle is silent."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from regnal.actors.callbacks import CALLBACKS
from regnal.actors.dcs_watcher import DCS_WATCHER
from regnal.actors.incidents import INCIDENTS
from regnal.actors.slot_manager import SLOT_MANAGER
from regnal.actors.step import Decider
from regnal.actors.sync_standby_manager import SYNC_STANDBY_MANAGER
from regnal.actors.watchdog import WATCHDOG
from regnal.messages.base import Message
from regnal.messages.cluster import (
    HistoryLine,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    LeaderStatus,
    SlotPosition,
    StoreAnswered,
    StoreUnreachable,
    SyncState,
)
from regnal.messages.daemon import (
    ActorFailed,
    JournalKept,
    ShutdownCompleted,
    ShutdownRequested,
)
from regnal.messages.fencing import (
    FencingWanted,
    GuardArmed,
    GuardFailed,
    GuardFenced,
    GuardStarted,
    WatchdogActivated,
    WatchdogFailed,
    WatchdogFound,
)
from regnal.messages.host import KernelAccount, StallNoticed
from regnal.messages.incidents import (
    ExplanationFailed,
    Incident,
    IncidentJudged,
    IncidentsRecalled,
    LeadershipAllowed,
    LeadershipBarred,
)
from regnal.messages.lease import LeaderHandedOver, LeaderReleased, LeaseRefused
from regnal.messages.operations import (
    BecomePrimary,
    BootstrapCluster,
    DemotePostgres,
    IntentFailed,
    IntentFulfilled,
    IntentRefused,
    RestartInPlace,
    StartAsPrimary,
)
from regnal.messages.postgres import (
    CheckpointDone,
    PostgresCloned,
    PostgresPromoted,
    PostgresReloaded,
    PostgresStarted,
    PostgresStopped,
    PostmasterExited,
    SlotChanged,
    SlotRefused,
    SynchronousStandbysRefused,
    SynchronousStandbysSet,
    UpstreamFollowed,
)
from regnal.messages.probes import FailsafeAnswered, FailsafeVote
from regnal.messages.reasons import because
from regnal.messages.requests import (
    AcknowledgementRequested,
    Caller,
    ScheduledRestartChanged,
)
from regnal.messages.settings import PermanentSlot
from tests.actors.builders import (
    BEAT,
    acquired,
    begun,
    configured,
    member,
    phase,
    primary,
    renewed,
    seen,
    sender,
    slot,
    standby,
    tags,
)
from tests.examples import examples

DECIDERS: tuple[Decider[Any], ...] = (
    CALLBACKS,
    DCS_WATCHER,
    SLOT_MANAGER,
    SYNC_STANDBY_MANAGER,
    WATCHDOG,
    INCIDENTS,
)
EACH = pytest.mark.parametrize("decider", DECIDERS, ids=lambda d: d.name)
REASON = because("SHUTDOWN")
CALLER = Caller(address="", username=None, user_agent=None)

ANYTHING: tuple[Message, ...] = (
    BEAT,
    configured(),
    configured(paused=True, failsafe_mode=True),
    configured(
        synchronous_mode="quorum",
        slots=(PermanentSlot(name="x"), PermanentSlot(name="l", type="logical")),
    ),
    configured(synchronous_mode="on", standby_cluster={"host": "far"}),
    configured(ttl=0, loop_wait=0, retry_timeout=0, use_slots=False),
    seen(leader=None, initialize=None, config=None, history=None),
    seen("pg1", "pg2", sync=SyncState(leader="pg1", standbys=(), quorum=9, revision=1)),
    seen(
        member("", conn_url=None, api_url=None, tags=tags(replicatefrom="")),
        leader="",
        sync=SyncState(leader=None, standbys=("", "*"), quorum=-1, revision="x"),
        status=LeaderStatus(
            optime=0, slots=(SlotPosition(name="", lsn=0),), retain_slots=("", "pg1")
        ),
        history=(HistoryLine(timeline=0, lsn=0, reason=""),),
        failsafe=(),
    ),
    primary(),
    primary(
        senders=(sender("pg2"), sender("", None)),
        slots=(slot("", None), slot("l", None, type="logical")),
        synchronous_standby_names="((",
        write_lsn=None,
        timeline=0,
        server_version=0,
        system_identifier=None,
    ),
    standby(receiver=None, replayed_lsn=None, synchronous_standby_names=None),
    standby(process="absent", data_directory="unreadable", in_recovery=None),
    standby(process="unresponsive", in_recovery=None),
    acquired(),
    acquired(name="pg9"),
    renewed(),
    LeaderReleased(member="pg1"),
    LeaderHandedOver(to="pg2"),
    LeaseRefused(action="acquire", holder=None),
    StoreUnreachable(error="", unanswered_for=0),
    StoreAnswered(),
    KeyWritten(key="sync", revision=None),
    KeyWritten(key="history", revision=3),
    KeyRefused(key="sync"),
    KeyRefused(key="config"),
    KeyUnconfirmed(key="status", error=""),
    phase("primary"),
    phase("standby"),
    phase("promoting", intent="become_primary"),
    phase("stopping", intent="demote_postgres"),
    phase("stopped"),
    phase("absent"),
    PostgresStarted(role="primary", postmaster_pid=1),
    PostgresStopped(control=None),
    PostgresCloned(method=""),
    PostgresPromoted(timeline=2, lsn=1, history=()),
    PostgresReloaded(),
    UpstreamFollowed(restarted=True),
    CheckpointDone(timeline=0, took=0),
    PostmasterExited(
        pid=0, exit_status=None, signal=None, expected=False, control=None
    ),
    SlotChanged(name="", change="created"),
    SlotRefused(name="x", change="copied", error=""),
    SynchronousStandbysSet(value="pg2", lsn=0),
    SynchronousStandbysRefused(value="((", error=""),
    BecomePrimary(reason=REASON),
    StartAsPrimary(timeout=0, reason=REASON),
    DemotePostgres(mode="offline", reason=REASON),
    RestartInPlace(timeout=0, request=None, reason=REASON),
    IntentFulfilled(intent=""),
    IntentFailed(intent="start_as_primary", reason=REASON),
    IntentRefused(intent="become_primary", reason=REASON),
    WatchdogActivated(timeout=0),
    WatchdogFound(),
    BootstrapCluster(reason=REASON),
    FencingWanted(),
    GuardStarted(pid=1, taken_over=False, memory_locked=True, schedule="normal"),
    GuardArmed(guard_pid=1),
    GuardFailed(error=""),
    WatchdogFailed(error=""),
    FailsafeAnswered(votes=(FailsafeVote(name="x", accepted=True),), asked_at=0),
    ScheduledRestartChanged(document="{"),
    JournalKept(head="812:8a1f"),
    configured(min_time_between_failovers=60, crash_loop_limit=1),
    IncidentsRecalled(
        incidents=(
            Incident(
                name="reign-1",
                what="reign_ended",
                weight="outage",
                member="pg1",
                began="",
                began_at=-1e18,
                text="",
                leader="",
                change="automatic",
                changed_at=0,
                bars=REASON,
            ),
        ),
        crashes=(1e18,),
        reign=None,
        trouble=None,
    ),
    StallNoticed(
        missing=1e9,
        suspended=0,
        wall_step=0,
        continued=False,
        account=KernelAccount(ran=0, over=1e9, cpus=0),
        mailboxes=(),
    ),
    GuardFenced(postmaster_pid=0, at=0, late_by=0),
    ActorFailed(actor="", heard="", error="x" * 9999, traceback="", failures=3),
    AcknowledgementRequested(
        request="r", caller=CALLER, incidents=None, comment="seen"
    ),
    AcknowledgementRequested(
        request="r", caller=CALLER, incidents=("reign-1", "", "x"), comment=None
    ),
    IncidentJudged(
        incident="reign-1", cause="", root="", sentence="", outage=None, author=None
    ),
    ExplanationFailed(incident="reign-1", error=""),
    LeadershipBarred(incident="", reason=REASON),
    LeadershipAllowed(incident=""),
    ShutdownRequested(signal=15),
    ShutdownCompleted(),
)


@EACH
def test_every_word_that_is_heard_is_tried(decider: Decider[Any]) -> None:
    """Of the test below."""
    tried = {type(message) for message in ANYTHING}
    assert [word.__name__ for word in decider.hears if word not in tried] == []


@EACH
@given(story=st.lists(st.sampled_from(ANYTHING), max_size=30))
@examples(25)
def test_nothing_raises_and_the_state_can_be_kept(
    decider: Decider[Any], story: Sequence[Message]
) -> None:
    heard = [message for message in story if type(message) in decider.hears]
    state = begun(decider, *heard).state
    adapter: TypeAdapter[Any] = TypeAdapter(decider.state)
    assert adapter.validate_json(adapter.dump_json(state)) == state


LEADER = (
    configured(synchronous_mode="on"),
    seen(
        "pg1",
        "pg2",
        sync=SyncState(leader="pg1", standbys=("pg2",), quorum=0, revision=1),
    ),
    phase("primary"),
    acquired(),
)
LEADER_BEAT = (
    BEAT,
    renewed(),
    primary(
        senders=(sender("pg2", sync_state="sync"),),
        slots=(slot("pg2", active=True),),
        synchronous_standby_names="pg2",
    ),
)
STANDBY = (configured(synchronous_mode="on"), seen("pg1", "pg2"), phase("standby"))
STANDBY_BEAT = (BEAT, standby(synchronous_standby_names=""))


@EACH
@pytest.mark.parametrize(
    ("begin", "beat"),
    [
        pytest.param(LEADER, LEADER_BEAT, id="leader"),
        pytest.param(STANDBY, STANDBY_BEAT, id="standby"),
    ],
)
def test_an_idle_member_says_only_what_the_journal_may_forget(
    decider: Decider[Any], begin: tuple[Message, ...], beat: tuple[Message, ...]
) -> None:
    """Routine words, no facts, and a state that keeps the last of a run alone."""
    first = begun(decider, *(m for m in begin if type(m) in decider.hears))
    for _ in range(3):
        first = first.hear(*(m for m in beat if type(m) in decider.hears))
    told = first
    for message in (m for m in beat if type(m) in decider.hears):
        told = told.hear(message)
        assert all(said.routine for said in told.said), told.said
        assert not told.step.facts
    assert told.state == first.state
