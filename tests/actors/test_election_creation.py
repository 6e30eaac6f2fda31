"""Rules of beginnings: a new cluster, a new member, a member that starts.

BOOT-01, BOOT-19, BOOT-22 to BOOT-27, BOOT-33, BOOT-34, REPL-01, REPL-06, ELEC-11,
ELEC-14, P-ELEC-08, P-ELEC-11, P-ELEC-21, RWD-04, PAUSE-05, PAUSE-06, PAUSE-10, SBY-05,
SBY-07.
"""

from dataclasses import replace

import pytest

from regnal.actors import election_creation as rules
from regnal.actors.election_state import Election, Switchover
from regnal.messages.cluster import KeyRefused, KeyUnconfirmed, KeyWritten
from regnal.messages.daemon import ExitDaemon
from regnal.messages.lease import AcquireLeader, LeaderReleased, ReleaseLeader
from regnal.messages.operations import (
    BootstrapCluster,
    CloneMember,
    FollowLeader,
    IntentFailed,
    StartAsPrimary,
)
from regnal.messages.postgres import DatabaseInitialised, PostmasterExited, Upstream
from regnal.messages.reasons import because
from regnal.messages.settings import ReplicaMethod, StandbyCluster
from regnal.messages.store import (
    CancelInitialize,
    ConfirmInitialize,
    TakeInitialize,
    WriteConfig,
)
from tests.actors.builders import SYSTEM, member, primary, standby, tags, view
from tests.actors.election_views import (
    CRASHED,
    FOUNDER,
    LEADER,
    MEMBERS,
    NEWCOMER,
    NOW,
    PG2,
    PG3,
    STANDBY,
    STOPPED,
    Case,
    check_that_it_is_silent,
    check_that_it_speaks,
    decide,
    request,
    sync,
    with_cluster,
    with_postgres,
    with_settings,
)
from tests.actors.operator_model import control

NO_CLUSTER = FOUNDER.cluster
FAILED = because("START_TIMEOUT", seconds=300.0)
ELSEWHERE = "7999999999999999999"
REMOTE = Upstream(member=None, host="far", port="5432", slot=None, is_leader=False)
FAR = StandbyCluster(host="far")
ALONE = replace(with_cluster(STOPPED, "pg1", leader=None), leader_gone_at=NOW - 60)

FOUND_PRIMARY = replace(
    FOUNDER, postgres=primary().status, phase="primary", control=None
)
FOUND_STOPPED = replace(
    FOUNDER, postgres=STOPPED.postgres, phase="stopped", control=control("shut down")
)
FOUND_REPLICA = replace(FOUNDER, postgres=standby().status, phase="standby")
UNUSABLE = with_postgres(NEWCOMER, data_directory="invalid")
CREATED = replace(
    FOUND_PRIMARY,
    cluster=view(leader=None, initialize="", config=None),
    initialize="created",
    new_identifier=SYSTEM,
)
DEAD = replace(CRASHED, failed_intent="start_as_primary", failure=FAILED)

SPEAKS = {
    "BOOT-24: other data": Case(
        rules.refuse_data_of_another_cluster,
        with_postgres(STANDBY, system_identifier=ELSEWHERE),
        (ExitDaemon,),
    ),
    "BOOT-01: an empty store and no data": Case(
        rules.create_the_initialize_key, FOUNDER, (TakeInitialize(deadline=NOW + 10),)
    ),
    "BOOT-01: the key is ours": Case(
        rules.bootstrap_the_cluster,
        replace(FOUNDER, initialize="ours"),
        (BootstrapCluster,),
    ),
    "SBY-05: of a standby cluster": Case(
        rules.bootstrap_the_cluster,
        with_settings(replace(FOUNDER, initialize="ours"), standby_cluster=FAR),
        (CloneMember(source=REMOTE, upstream=REMOTE, reason=because("BOOTSTRAP")),),
    ),
    "BOOT-19: another may try": Case(
        rules.give_the_failed_bootstrap_up,
        replace(FOUNDER, initialize="ours", failed_intent="bootstrap_cluster"),
        (CancelInitialize,),
    ),
    "BOOT-01: identifier, configuration, lease": Case(
        rules.confirm_the_new_cluster,
        CREATED,
        (ConfirmInitialize, WriteConfig, AcquireLeader),
    ),
    "BOOT-25: a running primary": Case(
        rules.take_over_an_existing_primary,
        FOUND_PRIMARY,
        (TakeInitialize(system_identifier=SYSTEM, deadline=NOW + 10),),
    ),
    "BOOT-25: a stopped primary": Case(
        rules.take_over_an_existing_primary, FOUND_STOPPED, (TakeInitialize,)
    ),
    "BOOT-25: a crashed primary": Case(
        rules.take_over_an_existing_primary,
        replace(FOUND_STOPPED, control=control("in production")),
        (TakeInitialize,),
    ),
    "BOOT-27: a replica of nobody": Case(
        rules.refuse_a_replica_without_a_cluster, FOUND_REPLICA, (ExitDaemon,)
    ),
    "BOOT-22: no cluster to join": Case(
        rules.refuse_an_unusable_data_directory,
        with_postgres(FOUNDER, data_directory="invalid"),
        (ExitDaemon,),
    ),
    "BOOT-22: a cluster to join": Case(
        rules.refuse_an_unusable_data_directory, UNUSABLE
    ),
    "BOOT-33: the data are gone": Case(
        rules.release_the_lease_of_a_lost_data_directory,
        replace(with_postgres(CRASHED, data_directory="missing"), phase="absent"),
        (ReleaseLeader,),
    ),
    "P-ELEC-21: the data cannot be read": Case(
        rules.release_the_lease_of_a_lost_data_directory,
        with_postgres(CRASHED, data_directory="unreadable"),
        (ReleaseLeader,),
    ),
    "REPL-01: from the leader": Case(
        rules.clone_this_member,
        NEWCOMER,
        (
            CloneMember(
                source=PG2,
                upstream=PG2,
                reason=because("LEADER_CHANGED", leader="pg2"),
            ),
        ),
    ),
    "REPL-09: from a member tagged clonefrom": Case(
        rules.clone_this_member,
        with_cluster(NEWCOMER, "pg1", "pg2", member("pg3", tags=tags(clonefrom=True))),
        (
            CloneMember(
                source=PG3.model_copy(update={"is_leader": False}),
                upstream=PG2,
                reason=because("LEADER_CHANGED", leader="pg2"),
            ),
        ),
    ),
    "REPL-06: without a leader by a method that needs none": Case(
        rules.clone_this_member,
        with_cluster(
            with_settings(
                NEWCOMER,
                replica_methods=(
                    ReplicaMethod(name="barman", needs_source=False, keep_data=False),
                ),
            ),
            leader=None,
        ),
        (CloneMember,),
    ),
    "P-ELEC-11: what crashed starts again": Case(
        rules.start_the_primary_again, CRASHED, (StartAsPrimary,)
    ),
    "ELEC-11: nobody else could lead": Case(
        rules.start_the_primary_again,
        with_cluster(with_settings(CRASHED, primary_start_timeout=0), "pg1"),
        (StartAsPrimary,),
    ),
    "ELEC-14: it does not start": Case(
        rules.release_the_lease_of_a_dead_primary,
        DEAD,
        (ReleaseLeader(member="pg1", last_lsn=1000, deadline=NOW + 10),),
    ),
    "ELEC-11: fail over at once": Case(
        rules.release_the_lease_of_a_dead_primary,
        with_settings(CRASHED, primary_start_timeout=0),
        (ReleaseLeader,),
    ),
    "ELEC-12: a request waits": Case(
        rules.release_the_lease_of_a_dead_primary,
        with_cluster(CRASHED, failover=request(candidate="pg2")),
        (ReleaseLeader,),
    ),
    "RWD-04: a member that stopped": Case(
        rules.start_as_standby,
        STOPPED,
        (
            FollowLeader(
                upstream=PG2,
                check_divergence=True,
                reason=because("POSTGRES_NOT_RUNNING"),
            ),
        ),
    ),
    "ELEC-27: nobody leads": Case(
        rules.start_as_standby,
        ALONE,
        (
            FollowLeader(
                upstream=None,
                check_divergence=True,
                reason=because("POSTGRES_NOT_RUNNING"),
            ),
        ),
    ),
    "flows 4: what was handed over has not diverged": Case(
        rules.start_as_standby,
        replace(STOPPED, handed_to="pg2", handed_at=NOW),
        (
            FollowLeader(
                upstream=PG2,
                check_divergence=False,
                reason=because("POSTGRES_NOT_RUNNING"),
            ),
        ),
    ),
    "SBY-07: a standby cluster without a leader": Case(
        rules.start_as_standby,
        with_settings(ALONE, standby_cluster=FAR),
        (
            FollowLeader(
                upstream=REMOTE,
                check_divergence=False,
                reason=because("POSTGRES_NOT_RUNNING"),
            ),
        ),
    ),
}
SILENT = {
    "PAUSE-06: only a warning in pause": Case(
        rules.refuse_data_of_another_cluster,
        with_settings(with_postgres(STANDBY, system_identifier=ELSEWHERE), paused=True),
    ),
    "BOOT-23: an identifier that is none": Case(
        rules.refuse_data_of_another_cluster,
        with_postgres(STANDBY, system_identifier="123"),
    ),
    "BOOT-24: the cluster has no identifier yet": Case(
        rules.refuse_data_of_another_cluster,
        with_cluster(
            with_postgres(STANDBY, system_identifier=ELSEWHERE), initialize=""
        ),
    ),
    "BOOT-01: somebody else bootstraps": Case(
        rules.create_the_initialize_key, with_cluster(FOUNDER, initialize="")
    ),
    "BOOT-01: no bootstrap section": Case(
        rules.create_the_initialize_key, with_settings(FOUNDER, may_bootstrap=False)
    ),
    "BOOT-01: nofailover": Case(
        rules.create_the_initialize_key,
        with_settings(FOUNDER, tags=tags(nofailover=True)),
    ),
    "PAUSE-05: not in pause": Case(
        rules.create_the_initialize_key, with_settings(FOUNDER, paused=True)
    ),
    "BOOT-19: not at once again": Case(
        rules.create_the_initialize_key, replace(FOUNDER, retry_at=NOW + 1)
    ),
    "law 7: there are data": Case(
        rules.create_the_initialize_key, with_postgres(FOUNDER, data_directory="valid")
    ),
    "BOOT-22: not on an unusable directory": Case(
        rules.create_the_initialize_key,
        with_postgres(FOUNDER, data_directory="invalid"),
    ),
    "BOOT-01: the key is another's": Case(rules.bootstrap_the_cluster, FOUNDER),
    "law 7: never on data": Case(
        rules.bootstrap_the_cluster, replace(FOUND_STOPPED, initialize="ours")
    ),
    "BOOT-19: nothing failed": Case(
        rules.give_the_failed_bootstrap_up, replace(FOUNDER, initialize="ours")
    ),
    "BOOT-01: it does not run yet": Case(
        rules.confirm_the_new_cluster,
        replace(CREATED, phase="starting", busy="start_as_primary"),
    ),
    "BOOT-25: another bootstraps": Case(
        rules.take_over_an_existing_primary, with_cluster(FOUND_PRIMARY, initialize="")
    ),
    "BOOT-25: a stopped standby": Case(
        rules.take_over_an_existing_primary,
        replace(FOUND_STOPPED, control=control("shut down in recovery")),
    ),
    "BOOT-25: the cluster exists": Case(rules.take_over_an_existing_primary, LEADER),
    "P-ELEC-13: a replica of a wiped store": Case(
        rules.refuse_a_replica_without_a_cluster,
        replace(FOUND_REPLICA, seen_initialized=True),
    ),
    "BOOT-27: not in pause": Case(
        rules.refuse_a_replica_without_a_cluster,
        with_settings(FOUND_REPLICA, paused=True),
    ),
    "BOOT-22: told once": Case(
        rules.refuse_an_unusable_data_directory,
        replace(
            UNUSABLE,
            failure=because("DATA_DIRECTORY_INVALID", directory="the data directory"),
        ),
    ),
    "BOOT-22: a good directory": Case(
        rules.refuse_an_unusable_data_directory, NEWCOMER
    ),
    "BOOT-33: it is being created": Case(
        rules.release_the_lease_of_a_lost_data_directory,
        replace(CREATED, phase="absent", lease_until=NOW + 20),
    ),
    "BOOT-33: the data are there": Case(
        rules.release_the_lease_of_a_lost_data_directory, CRASHED
    ),
    "REPL-01: nobody to copy from": Case(
        rules.clone_this_member, with_cluster(NEWCOMER, leader=None)
    ),
    "PAUSE-05: not cloned in pause": Case(
        rules.clone_this_member, with_settings(NEWCOMER, paused=True)
    ),
    "P-ELEC-08: not at once again": Case(
        rules.clone_this_member, replace(NEWCOMER, retry_at=NOW + 1)
    ),
    "BOOT-34: while the lease is ours": Case(
        rules.clone_this_member, replace(NEWCOMER, lease_until=NOW + 20)
    ),
    "BOOT-22: an unusable directory is not overwritten": Case(
        rules.clone_this_member, UNUSABLE
    ),
    "ELEC-14: it failed before": Case(rules.start_the_primary_again, DEAD),
    "law 3: a lease was handed to a standby that crashed": Case(
        rules.start_the_primary_again,
        replace(CRASHED, control=control("in archive recovery")),
    ),
    "law 3: nobody knows whose data these are": Case(
        rules.start_the_primary_again, replace(CRASHED, control=None)
    ),
    "law 1: the lease ends": Case(
        rules.start_the_primary_again, replace(CRASHED, lease_until=NOW + 4)
    ),
    "law 1: the store may have released the lease": Case(
        rules.start_the_primary_again, replace(CRASHED, given_up=True)
    ),
    "law 5: it was a standby": Case(
        rules.start_the_primary_again, replace(CRASHED, was_primary=False)
    ),
    "ELEC-02: it was stopped for the lease": Case(
        rules.start_the_primary_again, replace(CRASHED, stepping_down=True)
    ),
    "flows 4: it was stopped for another": Case(
        rules.start_the_primary_again, replace(CRASHED, handed_to="pg2")
    ),
    "PAUSE-10: stopped by hand in pause": Case(
        rules.start_the_primary_again, with_settings(CRASHED, paused=True)
    ),
    "the daemon ends": Case(
        rules.start_the_primary_again, replace(CRASHED, shutdown=True)
    ),
    "ELEC-14: it is being started": Case(
        rules.release_the_lease_of_a_dead_primary,
        replace(DEAD, phase="starting", busy="start_as_primary"),
    ),
    "P-ELEC-02: nobody has our last record": Case(
        rules.release_the_lease_of_a_dead_primary,
        replace(
            CRASHED,
            shutdown=True,
            shutdown_waits_since=NOW,
            shutdown_lsn=1100,
            postgres=STOPPED.postgres,
        ),
    ),
    "P-ELEC-02: it stopped for a switchover, and hands the key over": Case(
        rules.release_the_lease_of_a_dead_primary,
        replace(
            DEAD,
            switchover=Switchover("pg2", asked_by_failover=False),
            shutdown_lsn=1100,
        ),
    ),
    "flows 4: it is handed over": Case(
        rules.release_the_lease_of_a_dead_primary, replace(DEAD, handed_to="pg2")
    ),
    "we do not hold it": Case(rules.release_the_lease_of_a_dead_primary, STOPPED),
    "P-ELEC-08: not at once": Case(
        rules.start_as_standby, replace(STOPPED, retry_at=NOW + 1)
    ),
    "PAUSE-10: not in pause": Case(
        rules.start_as_standby, with_settings(STOPPED, paused=True)
    ),
    "the lease is ours": Case(rules.start_as_standby, CRASHED),
    "P-ELEC-21: data that cannot be read": Case(
        rules.start_as_standby, with_postgres(STOPPED, data_directory="unreadable")
    ),
    "the end of the daemon": Case(
        rules.start_as_standby, replace(STOPPED, shutdown=True)
    ),
}


@pytest.mark.parametrize("case", SPEAKS.values(), ids=list(SPEAKS))
def test_it_speaks(case: Case) -> None:
    check_that_it_speaks(case)


@pytest.mark.parametrize("case", SILENT.values(), ids=list(SILENT))
def test_it_is_silent(case: Case) -> None:
    check_that_it_is_silent(case)


def after_initialize_was_written(given: Election) -> Election:
    asked = replace(given, initialize="asked")
    return decide(asked, KeyWritten(key="initialize", revision=1)).state


def test_whoever_creates_the_key_bootstraps() -> None:
    """BOOT-01."""
    assert after_initialize_was_written(FOUNDER).busy == "bootstrap_cluster"


@pytest.mark.parametrize(
    "answer",
    [
        KeyRefused(key="initialize"),
        KeyUnconfirmed(key="initialize", error="timeout"),
    ],
)
def test_who_did_not_create_it_waits(answer: KeyRefused | KeyUnconfirmed) -> None:
    """BOOT-01: another was faster, or nobody knows; the next view tells."""
    asked = replace(with_cluster(FOUNDER, initialize=""), initialize="asked")
    step = decide(asked, answer)
    assert step.state.initialize == "no"
    assert step.state.busy is None


def test_a_refused_key_is_not_asked_for_again_at_once() -> None:
    """The view in which there is no key is older than the answer: until the watch had
    shown it, the store was asked over and over."""
    asked = replace(FOUND_PRIMARY, initialize="asked")
    refused = decide(asked, KeyRefused(key="initialize"))
    assert not any(isinstance(message, TakeInitialize) for message in refused.said)
    again = decide(refused.state, at=NOW + 0.5)
    assert any(isinstance(message, TakeInitialize) for message in again.said)


def test_a_primary_that_crashed_in_a_switchover_starts_again_without_it() -> None:
    """ELEC-11: nobody has its last record for sure, so that there is no hand-over; it
    held the lease for ever, and nobody led."""
    crashed = replace(CRASHED, switchover=Switchover("pg2", asked_by_failover=False))
    given_up = decide(crashed)
    assert given_up.rule == "give_the_switchover_up_after_a_crash"
    assert given_up.state.switchover is None
    assert decide(given_up.state).rule == "start_the_primary_again"


@pytest.mark.parametrize("state", ["shut down in recovery", "in archive recovery"])
def test_a_standby_is_not_started_as_primary_with_a_lease_that_was_handed_to_it(
    state: str,
) -> None:
    """Law 3: its host died meanwhile; as primary of the old timeline it would begin a
    second history there, which pg_rewind cannot tell from the first."""
    assert CRASHED.was_primary  # as long as a daemon that has started knows nothing
    handed = decide(replace(CRASHED, control=control(state)))

    assert handed.rule == "release_the_lease_of_a_dead_primary"
    assert handed.state.busy is None


def test_a_key_that_nobody_knows_of_does_not_bootstrap_data_away() -> None:
    """Law 7: the answer was lost, and the store shows the empty key: another's, or
    ours.  Nobody bootstraps until a person removes it."""
    asked = replace(FOUNDER, initialize="asked")
    told = decide(asked, KeyUnconfirmed(key="initialize", error="timeout")).state
    told = with_cluster(told, initialize="")
    assert decide(told, at=NOW + 60).state.busy is None


def test_data_that_were_found_are_not_bootstrapped_over() -> None:
    """BOOT-25: the key is created with the identifier of the data."""
    told = after_initialize_was_written(FOUND_PRIMARY)
    assert told.busy is None
    assert told.initialize == "confirming"


def test_a_new_cluster_publishes_its_identifier_and_takes_the_lease() -> None:
    """BOOT-01."""
    told = replace(CREATED, initialize="ours", new_identifier=None, busy=None)
    step = decide(told, DatabaseInitialised(system_identifier=SYSTEM))
    (confirmed,) = (m for m in step.said if isinstance(m, ConfirmInitialize))
    assert confirmed.system_identifier == SYSTEM
    (written,) = (m for m in step.said if isinstance(m, WriteConfig))
    assert written.if_revision == "absent"


def test_a_failed_bootstrap_waits_a_loop_before_it_tries_again() -> None:
    """BOOT-19."""
    busy = replace(FOUNDER, initialize="ours", busy="bootstrap_cluster")
    told = decide(busy, IntentFailed(intent="bootstrap_cluster", reason=FAILED)).state
    assert told.initialize == "no"
    assert told.retry_at == NOW + 10


def test_what_fails_is_not_tried_again_at_once() -> None:
    """P-ELEC-08."""
    busy = replace(STOPPED, busy="follow_leader")
    told = decide(busy, IntentFailed(intent="follow_leader", reason=FAILED)).state
    assert told.retry_at > NOW
    assert decide(told, at=told.retry_at).rule == "start_as_standby"


def test_a_released_lease_is_not_taken_again_on_an_old_view() -> None:
    """ELEC-14: the answer comes before the view."""
    asking = replace(DEAD, asking="release")
    told = decide(asking, LeaderReleased(member="pg1"))
    assert told.rule == "start_as_standby"


def test_in_synchronous_mode_only_who_may_lead_stands_by() -> None:
    """ELEC-11, SYNC-01."""
    given = with_settings(CRASHED, primary_start_timeout=0, synchronous_mode="on")
    nobody = with_cluster(given, sync=sync("pg1"))
    assert decide(nobody).rule == "start_the_primary_again"
    one = with_cluster(given, sync=sync("pg1", "pg3"))
    assert decide(one).rule == "release_the_lease_of_a_dead_primary"


def test_a_crash_is_known_before_the_next_observation() -> None:
    """PG-14, P-ELEC-11: the postmaster's end says what pg_control has."""
    exited = PostmasterExited(
        pid=1, exit_status=None, signal=9, expected=False, control=CRASHED.control
    )
    assert decide(LEADER, exited).state.control == CRASHED.control


def test_a_standby_leader_is_not_started_as_primary() -> None:
    """SBY-07."""
    given = with_settings(CRASHED, standby_cluster=FAR)
    assert decide(given).rule == "release_the_lease_of_a_dead_primary"


def test_members_without_addresses_are_not_followed() -> None:
    """REPL-10: what somebody else wrote into a key."""
    blank = member("pg2", conn_url=None)
    given = with_cluster(STOPPED, "pg1", blank, *MEMBERS[2:])
    (order,) = (m for m in decide(given).said if isinstance(m, FollowLeader))
    assert order.upstream is None
