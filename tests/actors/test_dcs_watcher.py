"""The store's watcher: our member key, the leader's keys, and what changed."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from regnal.actors.dcs_watcher import DCS_WATCHER
from regnal.actors.dcs_watcher_state import DcsWatcher
from regnal.journal.stamps import parse_hlc
from regnal.messages.base import Message
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
from regnal.messages.cluster import (
    FailsafeMember,
    HistoryLine,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    StoreAnswered,
    StoreUnreachable,
)
from regnal.messages.daemon import JournalKept, ShutdownCompleted, ShutdownRequested
from regnal.messages.lease import LeaderReleased
from regnal.messages.operations import (
    DemotePostgres,
    IntentFailed,
    IntentFulfilled,
    RestartInPlace,
)
from regnal.messages.postgres import (
    CheckpointDone,
    ControlData,
    PostgresCloned,
    PostgresPromoted,
    PostgresStarted,
    PostmasterExited,
)
from regnal.messages.reasons import because
from regnal.messages.requests import ScheduledRestartChanged
from regnal.messages.store import (
    TakeInitialize,
    TouchMember,
    WriteConfig,
    WriteFailsafe,
    WriteHistory,
)
from tests.actors.builders import (
    BEAT,
    SYSTEM,
    WALL,
    Told,
    acquired,
    begun,
    configured,
    member,
    phase,
    primary,
    seen,
    standby,
    tags,
)

LEADER = begun(
    DCS_WATCHER,
    configured(),
    seen("pg1", "pg2"),
    primary(),
    phase("primary"),
    acquired(),
)
STANDBY = begun(DCS_WATCHER, configured("pg2"), standby(), phase("standby"), name="pg2")
PROMOTED = PostgresPromoted(
    timeline=3,
    lsn=5000,
    history=(
        HistoryLine(timeline=1, lsn=100, reason="first"),
        HistoryLine(timeline=2, lsn=5000, reason="no recovery target specified"),
    ),
)


def shown(told: Told[DcsWatcher]) -> dict[str, Any]:
    """The value of our key as written by the last step, without our clock."""
    (touch,) = told.of(TouchMember)
    content: dict[str, Any] = json.loads(touch.document)
    del content["hlc"]
    return content


def test_the_key_of_a_primary_is_as_readers_expect_it() -> None:
    """Wire contract 2.1, 13."""
    told = LEADER.hear(BEAT, primary(write_lsn=83886408, timeline=3))
    assert shown(told) == {
        "conn_url": "postgres://pg1:5432/postgres",
        "api_url": "http://pg1:8008/patroni",
        "state": "running",
        "role": "primary",
        "version": "4.1.5",
        "xlog_location": 83886408,
        "timeline": 3,
    }


def test_the_key_of_a_standby_has_both_positions() -> None:
    """ELEC-22, P-REST-03."""
    told = begun(
        DCS_WATCHER,
        configured("pg2", tags=tags(clonefrom=True, document='{"clonefrom":true}')),
        standby(),
        name="pg2",
    )
    assert shown(told) == {
        "conn_url": "postgres://pg2:5432/postgres",
        "api_url": "http://pg2:8008/patroni",
        "state": "running",
        "role": "replica",
        "version": "4.1.5",
        "tags": {"clonefrom": True},
        "xlog_location": 900,
        "receive_lsn": 900,
        "replay_lsn": 890,
        "replication_state": "streaming",
        "timeline": 1,
    }


def test_the_value_is_written_without_blanks_and_bound_to_the_ttl() -> None:
    told = LEADER.hear(BEAT, primary(write_lsn=2000), at=110.0)
    (touch,) = told.of(TouchMember)
    assert " " not in touch.document
    assert (touch.member, touch.ttl, touch.deadline) == ("pg1", 30, 120.0)


def test_an_idle_beat_says_the_same_document_again_and_nothing_else() -> None:
    first = LEADER.hear(BEAT, primary())
    second = first.hear(BEAT, primary(), at=110.0)
    third = second.hear(BEAT, primary(), at=120.0)
    assert len(third.said) == 1
    assert third.of(TouchMember)[0].document == second.of(TouchMember)[0].document
    assert not third.step.facts
    assert replace(third.state, touched_at=None) == replace(
        second.state, touched_at=None
    )


def test_our_clock_is_new_when_something_else_is() -> None:
    """An idle member must not write because its own clock goes on."""
    before = LEADER.hear(BEAT, primary(write_lsn=1001), at=110.0)
    (touch,) = before.of(TouchMember)
    assert parse_hlc(json.loads(touch.document)["hlc"]).wall_us == WALL + 100_000_000
    (touch,) = before.hear(primary(timeline=2), at=113.0).of(TouchMember)
    stamp = parse_hlc(json.loads(touch.document)["hlc"])
    assert stamp.wall_us == WALL + 113_000_000
    assert stamp.member == "pg1"


def test_the_head_of_our_journal_is_shown_when_it_is_told() -> None:
    """Also by an idle member, whose clock is shown anew with it."""
    told = LEADER.hear(JournalKept(head="812:8a1f"), at=113.0)
    (touch,) = told.of(TouchMember)
    document = json.loads(touch.document)
    assert document["journal_head"] == "812:8a1f"
    assert parse_hlc(document["hlc"]).wall_us == WALL + 113_000_000
    assert told.of(OwnMemberChanged) == (), "that is nothing to restart a pooler for"

    (later,) = told.hear(BEAT, primary(), at=120.0).of(TouchMember)
    assert later.document == touch.document, "and makes no beat a write"


def test_a_member_of_which_nothing_is_known_yet_shows_its_head_later() -> None:
    told = begun(DCS_WATCHER, JournalKept(head="2:8a1f"))
    assert told.said == ()
    (touch,) = told.hear(configured(), primary()).of(TouchMember)
    assert json.loads(touch.document)["journal_head"] == "2:8a1f"


def test_a_change_is_told_to_readers_and_a_position_is_none() -> None:
    told = LEADER.hear(primary(timeline=2))
    (changed,) = told.of(OwnMemberChanged)
    assert "xlog_location" not in changed.document
    assert json.loads(changed.document)["timeline"] == 2
    assert (
        told.hear(BEAT, primary(timeline=2, write_lsn=9), at=110.0).of(OwnMemberChanged)
        == ()
    )


def test_a_beat_waits_for_what_postgres_says() -> None:
    told = LEADER.hear(BEAT, at=110.0)
    assert told.said == ()
    assert shown(told.hear(primary(write_lsn=7)))["xlog_location"] == 7


def test_a_position_alone_is_no_hurry() -> None:
    told = LEADER.hear(BEAT, primary(), primary(write_lsn=2000))
    assert told.said == ()


def test_nothing_is_written_before_settings_and_postgres_are_known() -> None:
    assert begun(DCS_WATCHER, standby(), BEAT, BEAT).all_said == ()
    assert begun(DCS_WATCHER, configured(), BEAT, BEAT).all_said == ()


def _is(content: dict[str, Any], **expected: Any) -> bool:
    return all(content.get(key) == value for key, value in expected.items())


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        pytest.param(configured(paused=True), {"pause": True}, id="PAUSE-04"),
        pytest.param(
            primary(pending_restart=True, pending_restart_reason='{"a":{}}'),
            {"pending_restart": True, "pending_restart_reason": {"a": {}}},
            id="pending restart",
        ),
        pytest.param(
            PostmasterExited(
                pid=1, exit_status=None, signal=9, expected=False, control=None
            ),
            {"state": "crashed", "role": "primary", "xlog_location": None},
            id="crash: still ours while we hold the lease",
        ),
        pytest.param(
            phase("stopping", "primary", "stopping", "demote_postgres"),
            {"state": "stopping"},
            id="stopping",
        ),
        pytest.param(
            ScheduledRestartChanged(document='{"schedule":"2030"}'),
            {"scheduled_restart": {"schedule": "2030"}},
            id="scheduled restart",
        ),
        pytest.param(
            configured(proxy_url="postgres://p"),
            {"proxy_url": "postgres://p"},
            id="P-CFG-06",
        ),
    ],
)
def test_what_others_must_know_is_written_at_once(
    when: Message, expected: dict[str, Any]
) -> None:
    """ELEC-17, PAUSE-04."""
    assert _is(shown(LEADER.hear(when)), **expected)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_an_odd_document_of_somebody_else_is_left_out(text: str) -> None:
    told = LEADER.hear(
        ScheduledRestartChanged(document=text),
        primary(pending_restart=True, pending_restart_reason=text),
    )
    content = shown(told)
    assert "pending_restart_reason" not in content
    assert "scheduled_restart" not in content


def test_a_demotion_shows_itself_with_the_stop_that_follows() -> None:
    demote = DemotePostgres(mode="graceful", reason=because("SHUTDOWN"))
    decided = LEADER.hear(demote)
    assert decided.said == ()
    stopping = decided.hear(phase("stopping", "primary", "stopping", "demote_postgres"))
    assert _is(shown(stopping), role="demoted", state="stopping")
    started = stopping.hear(
        phase("stopped", "stopping", "stopped", "demote_postgres"),
        LeaderReleased(member="pg1"),
        phase("starting", "stopped", "starting", "follow_leader"),
        PostgresStarted(role="standby", postmaster_pid=7),
        phase("standby", "starting"),
    )
    roles = [
        json.loads(touch.document)["role"]
        for touch in started.all_said
        if isinstance(touch, TouchMember)
    ]
    assert roles[-1] == "replica"
    assert roles.count("demoted") >= 2


def test_a_demotion_that_is_refused_leaves_a_primary() -> None:
    told = LEADER.hear(
        DemotePostgres(mode="graceful", reason=because("SHUTDOWN")),
        IntentFailed(intent="demote_postgres", reason=because("SHUTDOWN")),
    ).hear(BEAT, primary(), at=110.0)
    assert shown(told)["role"] == "primary"


def test_the_roles_of_a_new_member() -> None:
    """Wire contract 1.2."""
    empty = standby(
        process="absent", data_directory="empty", in_recovery=None, receiver=None
    )
    told = begun(DCS_WATCHER, configured("pg2"), empty, name="pg2")
    assert _is(shown(told), role="uninitialized", state="stopped", timeline=None)
    told = told.hear(phase("cloning", "absent", "creating replica"))
    assert _is(shown(told), role="uninitialized", state="creating replica")
    told = told.hear(PostgresCloned(method="basebackup"))
    told = told.hear(phase("starting", "cloning", "starting"))
    assert _is(shown(told), role="replica", state="starting")
    told = told.hear(phase("standby", "starting"), standby())
    assert _is(shown(told), role="replica", state="running")


def test_a_stopped_former_primary_is_demoted() -> None:
    control = ControlData(
        system_identifier=SYSTEM,
        state="shut down",
        timeline=1,
        checkpoint_lsn=1,
        redo_lsn=1,
        wal_log_hints=False,
        checksums=True,
    )
    stopped = primary(process="absent", in_recovery=None, control=control)
    told = begun(DCS_WATCHER, configured(), stopped, phase("stopped", state="stopped"))
    assert _is(shown(told), role="demoted", state="stopped", xlog_location=None)


def test_the_lock_holder_of_a_standby_cluster_is_standby_leader() -> None:
    """SBY-12."""
    told = begun(
        DCS_WATCHER,
        configured(standby_cluster={"host": "far"}),
        standby(),
        phase("standby"),
        acquired(),
    )
    assert shown(told)["role"] == "standby_leader"


def test_a_promotion_is_shown_until_its_checkpoint_is_done() -> None:
    """RWD-06, RWD-07, P-ELEC-19."""
    promoting = STANDBY.hear(phase("promoting", "standby"))
    assert shown(promoting)["role"] == "promoted"
    promoted = promoting.hear(PROMOTED)
    assert _is(
        shown(promoted),
        role="primary",
        timeline=3,
        xlog_location=5000,
        checkpoint_after_promote=False,
        replication_state=None,
    )
    earlier = promoted.hear(CheckpointDone(timeline=2, took=0.1))
    assert earlier.said == ()
    done = earlier.hear(CheckpointDone(timeline=3, took=0.1))
    assert "checkpoint_after_promote" not in shown(done)


def test_an_observation_from_before_the_promotion_undoes_nothing() -> None:
    told = STANDBY.hear(phase("promoting", "standby"), PROMOTED)
    told = told.hear(standby(), at=110.0)
    assert _is(shown(told), role="primary", timeline=3)


def test_a_synchronous_standby_that_leaves_says_so() -> None:
    """SYNC-13, P-SYNC-04."""
    given = begun(
        DCS_WATCHER,
        configured("pg2", synchronous_mode="on"),
        standby(),
        phase("standby"),
        name="pg2",
    )
    told = given.hear(ShutdownRequested(signal=15))
    assert shown(told)["tags"] == {"nosync": True, "sync_priority": 0}
    restart = RestartInPlace(timeout=10, request=None, reason=because("SHUTDOWN"))
    told = given.hear(restart)
    assert shown(told)["tags"] == {"nosync": True, "sync_priority": 0}
    told = told.hear(IntentFulfilled(intent="restart_in_place"))
    assert "tags" not in shown(told)


def test_the_last_word_is_that_postgres_is_stopped() -> None:
    """ELEC-17."""
    told = STANDBY.hear(
        ShutdownRequested(signal=15), phase("stopped", "stopping", "stopped")
    )
    assert shown(told)["state"] == "stopped"
    assert told.hear(ShutdownCompleted(), BEAT, BEAT).said == ()


def test_in_pause_the_daemons_end_changes_no_key() -> None:
    """PAUSE-16."""
    told = begun(
        DCS_WATCHER, configured(paused=True), primary(), phase("primary"), acquired()
    )
    before = len(told.all_said)
    told = told.hear(ShutdownRequested(signal=15), ShutdownCompleted(), BEAT, BEAT)
    assert len(told.all_said) == before


def test_a_key_that_vanished_is_written_again_at_once() -> None:
    """ELEC-21."""
    told = LEADER.hear(seen("pg2"))
    assert len(told.of(TouchMember)) == 1
    assert told.hear(seen("pg2", "pg3")).of(TouchMember) == ()
    assert len(told.hear(BEAT, primary(), at=110.0).of(TouchMember)) == 1


def test_our_key_is_refreshed_as_soon_as_the_store_answers_again() -> None:
    told = LEADER.hear(StoreUnreachable(error="no route", unanswered_for=1.0))
    assert told.said == (StoreLost(error="no route"),)
    assert told.hear(StoreUnreachable(error="still", unanswered_for=2.0)).said == ()
    back = told.hear(StoreAnswered(), at=107.5)
    assert back.of(StoreBack) == (StoreBack(away_for=7.5),)
    assert len(back.of(TouchMember)) == 1
    assert back.hear(StoreAnswered()).of(StoreBack) == ()


# History.


def test_a_promotion_writes_the_history_with_time_and_name() -> None:
    """ELEC-23."""
    stored = (
        HistoryLine(timeline=1, lsn=100, reason="x", at="2020-01-01", leader="pg9"),
    )
    told = STANDBY.hear(
        seen("pg2", leader="pg2", history=stored),
        acquired(name="pg2"),
        phase("promoting", "standby"),
    ).hear(PROMOTED, at=200.5)
    (write,) = told.of(WriteHistory)
    assert write.lines == (
        HistoryLine(timeline=1, lsn=100, reason="first", at="2020-01-01", leader="pg9"),
        HistoryLine(
            timeline=2,
            lsn=5000,
            reason="no recovery target specified",
            at="2030-03-17T17:50:00.500000+00:00",
            leader="pg2",
        ),
    )
    assert write.deadline == 210.5
    assert told.hear(KeyWritten(key="history", revision=2), BEAT).of(WriteHistory) == ()


def test_a_history_without_an_answer_is_written_again_at_the_next_beat() -> None:
    told = LEADER.hear(PROMOTED)
    assert len(told.of(WriteHistory)) == 1
    told = told.hear(KeyUnconfirmed(key="history", error="timeout"))
    assert told.said == ()
    assert len(told.hear(BEAT).of(WriteHistory)) == 1


def test_the_history_is_cut_to_its_newest_lines() -> None:
    """ELEC-24."""
    told = LEADER.hear(configured(max_timelines_history=1), PROMOTED)
    assert [line.timeline for line in told.of(WriteHistory)[0].lines] == [2]


def test_a_wiped_history_is_written_again_by_the_lock_holder_alone() -> None:
    """ELEC-21."""
    stored = (HistoryLine(timeline=1, lsn=100, reason="x"),)
    told = LEADER.hear(primary(timeline=2), seen("pg1", history=stored))
    assert told.hear(seen("pg1", history=None)).of(WriteHistory)[0].lines == stored
    released = told.hear(LeaderReleased(member="pg1"))
    assert released.hear(seen("pg1", history=None)).of(WriteHistory) == ()


def test_timeline_one_has_no_history() -> None:
    """Wire contract 2.4."""
    stored = (HistoryLine(timeline=4, lsn=100, reason="an earlier cluster"),)
    told = LEADER.hear(seen("pg1", history=stored))
    assert told.of(WriteHistory)[0].lines == ()
    # A view that is older than our write changes nothing before the next beat.
    told = told.hear(KeyWritten(key="history", revision=3), seen("pg1", history=stored))
    assert told.of(WriteHistory) == ()


# What must never be missing.


def test_a_lost_configuration_is_written_again() -> None:
    """CFG-17."""
    told = LEADER.hear(seen("pg1", config='{"pause":true}'), seen("pg1", config=None))
    (write,) = told.of(WriteConfig)
    assert (write.document, write.if_revision) == ('{"pause":true}', "absent")
    assert told.hear(seen("pg1", "pg2", config=None)).of(WriteConfig) == ()
    refused = told.hear(KeyRefused(key="config"))
    assert refused.hear(BEAT).of(WriteConfig) == (
        write.model_copy(update={"deadline": 110.0}),
    )


def test_a_store_that_was_wiped_gets_the_configuration_in_force() -> None:
    """CFG-17, ELEC-21: whatever is known first, that the lease or the key is gone."""
    given = LEADER.hear(seen("pg1", config='{"ttl":20}'))
    wiped = seen(leader=None, config=None, initialize=None)
    told = given.hear(wiped)
    assert told.of(WriteConfig)[0].document == '{"ttl":20}'
    assert told.of(TakeInitialize) == ()
    told = given.hear(LeaderReleased(member="pg1"), wiped)
    assert told.of(WriteConfig)[0].document == '{"ttl":20}'


def test_only_the_lock_holder_writes_it() -> None:
    """CFG-17, P-ELEC-13."""
    told = STANDBY.hear(
        seen("pg1", "pg2"), seen("pg2", leader=None, config=None, initialize=None)
    )
    assert told.of(WriteConfig) == ()
    assert told.of(TakeInitialize) == ()


def test_the_primary_that_holds_the_lock_restores_initialize() -> None:
    """ELEC-21, P-ELEC-13."""
    told = LEADER.hear(seen("pg1", initialize=None))
    assert told.of(TakeInitialize)[0].system_identifier == SYSTEM
    # Somebody who is creating a cluster is left alone.
    assert LEADER.hear(seen("pg1", initialize="")).of(TakeInitialize) == ()


def test_the_failsafe_key_names_every_member() -> None:
    """P-FSAFE-02."""
    told = LEADER.hear(configured(failsafe_mode=True))
    (write,) = told.of(WriteFailsafe)
    assert write.members == (
        FailsafeMember(name="pg1", api_url="http://pg1:8008/patroni"),
        FailsafeMember(name="pg2", api_url="http://pg2:8008/patroni"),
    )
    assert told.hear(BEAT).of(WriteFailsafe) == ()
    told = told.hear(KeyWritten(key="failsafe", revision=1), seen("pg1", "pg2"))
    assert told.of(WriteFailsafe) == ()
    told = told.hear(seen("pg1", "pg2", member("pg3", api_url=None), "pg4"))
    assert [m.name for m in told.of(WriteFailsafe)[0].members] == ["pg1", "pg2", "pg4"]


# What changed.


def test_what_is_found_first_is_no_change() -> None:
    assert begun(DCS_WATCHER, seen("pg1", "pg2")).said == ()


@pytest.mark.parametrize(
    ("when", "then"),
    [
        pytest.param(seen("pg1", "pg2", leader=None), (LeaderLost(previous="pg1"),)),
        pytest.param(
            seen("pg1", "pg2", leader="pg2"),
            (LeaderElected(member="pg2", previous="pg1"),),
        ),
        pytest.param(seen("pg1", "pg2", "pg3"), (MemberJoined(member="pg3"),)),
        pytest.param(seen("pg1"), (MemberLeft(member="pg2"),)),
        pytest.param(
            seen("pg1", "pg2", config="{}x"), (ConfigurationKeyChanged(removed=False),)
        ),
        pytest.param(
            seen("pg1", "pg2", config=None), (ConfigurationKeyChanged(removed=True),)
        ),
        pytest.param(seen("pg1", member("pg2", state="stopped")), ()),
    ],
)
def test_each_change_is_told_once(when: Message, then: tuple[Message, ...]) -> None:
    given = begun(DCS_WATCHER, seen("pg1", "pg2"))
    told = given.hear(when)
    assert told.said == then
    assert told.hear(when).said == ()


def test_a_new_leader_is_told_with_the_one_before_the_gap() -> None:
    told = begun(DCS_WATCHER, seen("pg1"), seen("pg1", leader=None))
    told = told.hear(seen("pg1", leader="pg2"))
    assert told.said == (LeaderElected(member="pg2", previous="pg1"),)


def test_the_state_can_be_written_and_read() -> None:
    told = LEADER.hear(PROMOTED, configured(failsafe_mode=True))
    adapter = TypeAdapter(DcsWatcher)
    assert adapter.validate_json(adapter.dump_json(told.state)) == told.state
