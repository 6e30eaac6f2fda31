"""The callbacks: each happening is reported once, with the role that is true then."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from regnal.actors.callbacks import CALLBACKS, Callbacks
from regnal.messages import settings as settings_words
from regnal.messages.base import Message
from regnal.messages.callbacks import RunCallback
from regnal.messages.lease import LeaderReleased, LeaseRefused
from regnal.messages.operations import DemotePostgres, IntentFailed
from regnal.messages.postgres import (
    PostgresPromoted,
    PostgresReloaded,
    PostgresStarted,
    PostgresStopped,
    UpstreamFollowed,
)
from regnal.messages.reasons import because
from regnal.messages.settings import StandbyCluster
from tests.actors.builders import Told, acquired, begun, configured, phase, renewed

ALL = settings_words.Callbacks(
    on_start=True, on_stop=True, on_restart=True, on_reload=True, on_role_change=True
)
SETTINGS = configured(callbacks=ALL)
REMOTE = configured(callbacks=ALL, standby_cluster=StandbyCluster(host="far"))
REASON = because("SHUTDOWN")
STANDBY_RUNS = PostgresStarted(role="standby", postmaster_pid=7)
PRIMARY_RUNS = PostgresStarted(role="primary", postmaster_pid=7)
STOPPED = PostgresStopped(control=None)
PROMOTED = PostgresPromoted(timeline=2, lsn=1, history=())
GONE = phase("stopped", "primary", "crashed")

STANDBY = begun(CALLBACKS, SETTINGS, phase("standby"))
PRIMARY = begun(CALLBACKS, SETTINGS, phase("primary"), acquired())


def ran(told: Told[Callbacks]) -> Sequence[tuple[str, str]]:
    """Action and role of every script that was run, the first one left out."""
    return [
        (said.action, said.role)
        for said in told.all_said
        if isinstance(said, RunCallback)
    ][1:]


def test_an_adopted_standby_is_started() -> None:
    """CB-01, CB-02."""
    assert STANDBY.all_said == (
        RunCallback(action="on_start", role="replica", scope="demo"),
    )


def test_an_adopted_primary_is_started_once_it_holds_the_lease() -> None:
    """CB-02: attached with the right role."""
    told = begun(CALLBACKS, SETTINGS, phase("primary"))
    assert told.said == ()
    told = told.hear(acquired(), renewed())
    assert told.all_said == (
        RunCallback(action="on_start", role="primary", scope="demo"),
    )


def test_a_new_cluster_is_reported_when_it_has_a_leader() -> None:
    """Wire contract 8.1: not during bootstrap."""
    told = begun(
        CALLBACKS,
        SETTINGS,
        phase("bootstrapping", "absent", "initializing new cluster"),
        phase("primary", "bootstrapping"),
    )
    assert told.all_said == ()
    assert told.hear(acquired()).said == (
        RunCallback(action="on_start", role="primary", scope="demo"),
    )


def test_a_promotion_is_one_change_of_role_to_primary() -> None:
    """CB-03, P-NAMES-04."""
    told = STANDBY.hear(
        acquired(),
        phase("promoting", "standby", intent="become_primary"),
        PROMOTED,
        phase("primary", "promoting"),
        renewed(),
    )
    assert ran(told) == [("on_role_change", "primary")]


def test_a_demotion_is_a_stop_and_a_change_of_role() -> None:
    """CB-03."""
    told = PRIMARY.hear(
        DemotePostgres(mode="graceful", reason=REASON),
        phase("stopping", "primary", "stopping"),
        STOPPED,
        phase("stopped", "stopping", "stopped"),
        LeaderReleased(member="pg1"),
        phase("starting", "stopped", "starting"),
        STANDBY_RUNS,
        phase("standby", "starting"),
    )
    assert ran(told)[0] == ("on_stop", "primary")
    assert ran(told)[-1] == ("on_role_change", "replica")
    assert ("on_start", "replica") not in ran(told)


def test_a_start_in_the_same_role_is_a_start() -> None:
    told = STANDBY.hear(
        phase("stopping", "standby", "stopping"),
        STOPPED,
        phase("stopped", "stopping", "stopped"),
        phase("starting", "stopped", "starting"),
        STANDBY_RUNS,
        phase("standby", "starting"),
    )
    assert ran(told) == [("on_stop", "replica"), ("on_start", "replica")]


def test_a_restart_in_place_is_a_restart() -> None:
    told = PRIMARY.hear(
        phase("restarting", "primary", "restarting"),
        PRIMARY_RUNS,
        phase("primary", "restarting"),
    )
    assert ran(told) == [("on_restart", "primary")]


def test_a_reload_is_a_reload() -> None:
    assert ran(PRIMARY.hear(PostgresReloaded())) == [("on_reload", "primary")]
    follows = STANDBY.hear(UpstreamFollowed(restarted=False))
    assert ran(follows) == [("on_reload", "replica")]
    follows = STANDBY.hear(UpstreamFollowed(restarted=True))
    assert ran(follows) == [("on_restart", "replica")]


def test_a_standby_leader_by_reload_hears_of_its_role_alone() -> None:
    """CB-03, CB-04."""
    told = begun(CALLBACKS, REMOTE, phase("standby")).hear(
        acquired(), UpstreamFollowed(restarted=False)
    )
    assert ran(told) == [("on_role_change", "standby_leader")]
    told = told.hear(UpstreamFollowed(restarted=False))
    assert ran(told)[1:] == [("on_reload", "standby_leader")]
    told = told.hear(
        LeaseRefused(action="renew", holder="pg2"), UpstreamFollowed(restarted=True)
    )
    assert ran(told)[2:] == [("on_role_change", "replica")]


def test_the_end_of_a_standby_cluster_is_a_promotion() -> None:
    """CB-03, SBY-14."""
    told = begun(CALLBACKS, REMOTE, phase("standby"), acquired(), SETTINGS)
    told = told.hear(PROMOTED, phase("primary", "promoting"))
    assert ran(told)[-1] == ("on_role_change", "primary")


def test_a_crashed_primary_that_starts_again_is_a_start() -> None:
    told = PRIMARY.hear(GONE, phase("starting", "stopped", "starting"), PRIMARY_RUNS)
    assert ran(told) == [("on_start", "primary")]


def test_a_crashed_primary_that_becomes_a_standby_changes_its_role() -> None:
    """CB-05."""
    told = PRIMARY.hear(GONE, LeaderReleased(member="pg1"), STANDBY_RUNS)
    assert ran(told) == [("on_role_change", "demoted"), ("on_role_change", "replica")]


def test_a_crashed_primary_that_does_not_start_changes_its_role_once() -> None:
    """CB-05, ELEC-14, P-ELEC-12."""
    told = PRIMARY.hear(
        GONE,
        IntentFailed(intent="start_as_primary", reason=REASON),
        LeaderReleased(member="pg1"),
        DemotePostgres(mode="offline", reason=REASON),
    )
    assert ran(told) == [("on_role_change", "demoted")]


def test_a_promotion_by_hand_is_noticed() -> None:
    assert ran(STANDBY.hear(phase("primary", "standby"))) == [
        ("on_role_change", "primary")
    ]


def test_what_is_not_configured_is_not_run() -> None:
    only_stop = configured(callbacks=settings_words.Callbacks(on_stop=True))
    told = begun(CALLBACKS, only_stop, phase("standby"), PostgresReloaded())
    assert told.all_said == ()
    told = told.hear(phase("stopping", "standby"), STOPPED)
    assert told.said == (RunCallback(action="on_stop", role="replica", scope="demo"),)


ANYTHING: tuple[Message, ...] = (
    SETTINGS,
    REMOTE,
    acquired(),
    renewed(),
    LeaderReleased(member="pg1"),
    LeaseRefused(action="renew", holder=None),
    DemotePostgres(mode="offline", reason=REASON),
    IntentFailed(intent="start_as_primary", reason=REASON),
    phase("primary"),
    phase("standby"),
    phase("stopping"),
    phase("stopped"),
    phase("restarting"),
    STANDBY_RUNS,
    PRIMARY_RUNS,
    STOPPED,
    PROMOTED,
    PostgresReloaded(),
    UpstreamFollowed(restarted=False),
)


@given(st.lists(st.sampled_from(ANYTHING), max_size=25))
def test_a_change_of_role_is_never_to_the_role_before(
    messages: Sequence[Message],
) -> None:
    """CB-03."""
    told = begun(CALLBACKS, SETTINGS)
    for message in messages:
        before = told.state.reported
        told = told.hear(message)
        for said in told.of(RunCallback):
            if said.action == "on_role_change":
                assert before not in (None, said.role)
            elif said.action != "on_stop" and before is not None:
                assert said.role == before
        assert len(told.said) <= 1


def test_the_state_can_be_written_and_read() -> None:
    adapter = TypeAdapter(Callbacks)
    assert adapter.validate_json(adapter.dump_json(PRIMARY.state)) == PRIMARY.state
