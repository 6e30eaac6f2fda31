"""The supervisor's table, row by row: what is wanted, what is ordered, how it ends."""

from dataclasses import dataclass
from typing import Any

import pytest

from regnal.actors.postgres_supervisor import POSTGRES_SUPERVISOR
from regnal.actors.supervisor_transitions import TRANSITIONS
from regnal.messages.base import Message
from regnal.messages.operations import (
    BecomePrimary,
    BootstrapCluster,
    CloneMember,
    DemotePostgres,
    FollowLeader,
    IntentFailed,
    IntentFulfilled,
    IntentRefused,
    PhaseChanged,
    ReinitializeMember,
    RestartInPlace,
    StartAsPrimary,
    StopForShutdown,
)
from regnal.messages.postgres import (
    CancelOperation,
    CheckDivergence,
    CheckpointPostgres,
    ClonePostgres,
    DivergenceChecked,
    ObservePostgres,
    PostgresObserved,
    PostgresReloaded,
    PostgresStatus,
    PostmasterExited,
    RecoverCrashed,
    ReloadPostgres,
    RemoveDataDirectory,
    RestartPostgres,
    StartPostgres,
    StopPostgres,
    Upstream,
)
from regnal.messages.reasons import because
from regnal.messages.settings import DEFAULT_START_TIMEOUT, StandbyCluster
from regnal.messages.timers import SetTimer
from tests.actors.builders import begun, configured
from tests.actors.operator_model import Answer, Machine, control

WHY = because("SHUTDOWN")
PG2 = Upstream(member="pg2", host="pg2", port="5432", slot="pg1", is_leader=True)
PG3 = PG2.model_copy(update={"member": "pg3", "host": "pg3"})

PROMOTE = BecomePrimary(reason=WHY)
FOLLOW = FollowLeader(upstream=PG2, check_divergence=False, reason=WHY)
COMPARE = FollowLeader(upstream=PG2, check_divergence=True, reason=WHY)
ALONE = FollowLeader(upstream=None, check_divergence=True, reason=WHY)
SWITCH_OVER = DemotePostgres(mode="graceful", reason=WHY)
STEP_DOWN = DemotePostgres(mode="immediate", reason=WHY)
BOOTSTRAP = BootstrapCluster(reason=WHY)
CLONE = CloneMember(source=PG2, upstream=PG2, reason=WHY)
START = StartAsPrimary(timeout=300, reason=WHY)
STOP = StopForShutdown(reason=WHY)
RESTART = RestartInPlace(timeout=60, request="r1", reason=WHY)
REBUILD = ReinitializeMember(source=PG2, force=False, request="r2", reason=WHY)

PRIMARY: dict[str, Any] = {"running": True, "role": "primary", "clean": False}
STANDBY: dict[str, Any] = {"running": True, "role": "standby", "clean": False}
STOPPED: dict[str, Any] = {"running": False, "role": "primary"}
CRASHED: dict[str, Any] = {**STOPPED, "clean": False}
STOPPED_STANDBY: dict[str, Any] = {"running": False, "role": "standby"}
ABSENT: dict[str, Any] = {"exists": False, "running": False}
DIVERGED: dict[str, Any] = {"verdict": "diverged"}


def machine(given: dict[str, Any], **settings: Any) -> Machine:
    """A server in this condition, seen by its supervisor."""
    begins = Machine(**given)
    begins.hear(configured("pg1", **settings))
    begins.observe()
    return begins


@dataclass(frozen=True)
class Story:
    """`when` is wanted; the operator's commands are answered `answers`; `then` are the
    kinds of the commands, in order."""

    given: dict[str, Any]
    when: Message
    then: str
    """Kinds of the commands, in order: `!` fails, `~` is late, `?` was refused."""

    phase: str
    fails: bool = False
    settings: tuple[tuple[str, Any], ...] = ()

    def play(self) -> Machine:
        told = machine(self.given, **dict(self.settings))
        told.transitions.clear()
        told.hear(self.when)
        for expected in self.then.split():
            kind = told.queue[0].kind
            assert kind == expected.rstrip("!~?"), f"{kind}, not {expected}"
            told.answer(ANSWERS.get(expected[-1], "well"))
        return told


ANSWERS: dict[str, Answer] = {"!": "badly", "~": "late", "?": "refused"}

HOOK = (("callbacks", {"pre_promote": True}),)
REWIND = (("use_pg_rewind", True),)
REBUILD_DIVERGED = (("remove_data_directory_on_diverged_timelines", True),)
REBUILD_UNREWOUND = (
    ("use_pg_rewind", True),
    ("remove_data_directory_on_rewind_failure", True),
)

STORIES = {
    # BOOT-01, BOOT-19: a failed bootstrap is moved aside.
    "a new cluster": Story(ABSENT, BOOTSTRAP, "initialise_database", "primary"),
    "a new cluster fails": Story(
        ABSENT,
        BOOTSTRAP,
        "initialise_database! stop_postgres remove_data_directory",
        "absent",
        fails=True,
    ),
    # REPL-01..09, BOOT-31.
    "a new member": Story(ABSENT, CLONE, "clone_postgres start_postgres", "standby"),
    "a clone fails": Story(ABSENT, CLONE, "clone_postgres!", "absent", fails=True),
    "a clone of what runs": Story(STANDBY, CLONE, "", "standby"),
    "a clone of a primary": Story(PRIMARY, CLONE, "", "standby"),
    "a clone of what has data": Story(
        STOPPED_STANDBY, CLONE, "start_postgres", "standby"
    ),
    # ELEC-11, P-ELEC-11.
    "the primary starts again": Story(CRASHED, START, "start_postgres", "primary"),
    "the primary does not start": Story(
        CRASHED, START, "start_postgres!", "stopped", fails=True
    ),
    "the primary runs": Story(PRIMARY, START, "", "primary"),
    # CB-08, RWD-07: the checkpoint after the promotion belongs to nobody.
    "a promotion": Story(
        STANDBY, PROMOTE, "promote_postgres checkpoint_postgres", "primary"
    ),
    # Law 1: the order may yet be followed, so only a stop makes sure.
    "a promotion fails": Story(
        STANDBY, PROMOTE, "promote_postgres! stop_postgres", "stopped", fails=True
    ),
    "a promotion takes too long": Story(
        STANDBY, PROMOTE, "promote_postgres~ stop_postgres", "stopped", fails=True
    ),
    "a promotion that was ordered too late": Story(
        STANDBY, PROMOTE, "promote_postgres?", "standby", fails=True
    ),
    "a primary takes too long to start": Story(
        CRASHED, START, "start_postgres~ stop_postgres", "stopped", fails=True
    ),
    "a promotion after the hook": Story(
        STANDBY,
        PROMOTE,
        "run_pre_promote promote_postgres checkpoint_postgres",
        "primary",
        settings=HOOK,
    ),
    "the hook refuses": Story(
        STANDBY, PROMOTE, "run_pre_promote!", "standby", fails=True, settings=HOOK
    ),
    "a promotion of a primary": Story(
        PRIMARY, PROMOTE, "checkpoint_postgres", "primary"
    ),
    # ELEC-02, ELEC-15: demotion; a checkpoint shortens only a graceful stop.
    "a switchover": Story(
        PRIMARY, SWITCH_OVER, "checkpoint_postgres stop_postgres", "stopped"
    ),
    "a switchover after a long checkpoint": Story(
        {**PRIMARY, "checkpoint_takes": 2.0},
        SWITCH_OVER,
        "checkpoint_postgres checkpoint_postgres stop_postgres",
        "stopped",
    ),
    "a switchover whose checkpoint fails": Story(
        PRIMARY, SWITCH_OVER, "checkpoint_postgres! stop_postgres", "stopped"
    ),
    "a switchover whose stop fails": Story(
        PRIMARY,
        SWITCH_OVER,
        "checkpoint_postgres stop_postgres! stop_postgres",
        "stopped",
    ),
    "stepping down": Story(PRIMARY, STEP_DOWN, "stop_postgres", "stopped"),
    "stepping down as a standby": Story(STANDBY, STEP_DOWN, "", "standby"),
    "stepping down stopped": Story(STOPPED, STEP_DOWN, "", "stopped"),
    "stepping down without data": Story(ABSENT, STEP_DOWN, "", "absent"),
    # ELEC-16: the end of the daemon.
    "the end of a primary's daemon": Story(
        PRIMARY, STOP, "checkpoint_postgres stop_postgres", "stopped"
    ),
    "the end of a standby's daemon": Story(STANDBY, STOP, "stop_postgres", "stopped"),
    "the end of a stopped one's": Story(STOPPED, STOP, "", "stopped"),
    "the end of an empty one's": Story(ABSENT, STOP, "", "absent"),
    # ELEC-13.
    "a restart of a primary": Story(PRIMARY, RESTART, "restart_postgres", "primary"),
    "a restart of a standby": Story(STANDBY, RESTART, "restart_postgres", "standby"),
    "a restart fails": Story(
        STANDBY, RESTART, "restart_postgres!", "stopped", fails=True
    ),
    "a restart of nothing": Story(STOPPED, RESTART, "", "stopped", fails=True),
    # BOOT-29, BOOT-32.
    "a rebuild": Story(
        STANDBY,
        REBUILD,
        "stop_postgres remove_data_directory clone_postgres start_postgres",
        "standby",
    ),
    "a rebuild of a former primary": Story(
        PRIMARY,
        REBUILD,
        "stop_postgres remove_data_directory clone_postgres start_postgres",
        "standby",
    ),
    "a rebuild that cannot remove": Story(
        STOPPED, REBUILD, "remove_data_directory!", "stopped", fails=True
    ),
    "a rebuild that cannot clone": Story(
        ABSENT, REBUILD, "clone_postgres!", "absent", fails=True
    ),
    "a rebuild whose stop fails and whose data were never there": Story(
        STANDBY,
        REBUILD,
        "stop_postgres! stop_postgres remove_data_directory",
        "absent",
        fails=True,
    ),
    # RWD-02, RWD-04: following another leader.
    "following": Story(STANDBY, FOLLOW, "follow_upstream", "standby"),
    "following fails": Story(
        STANDBY, FOLLOW, "follow_upstream!", "standby", fails=True
    ),
    "following after a comparison": Story(
        STANDBY, COMPARE, "check_divergence follow_upstream", "standby"
    ),
    "following, the comparison fails": Story(
        STANDBY, COMPARE, "check_divergence!", "standby", fails=True
    ),
    "following as a primary": Story(
        PRIMARY, COMPARE, "stop_postgres check_divergence start_postgres", "standby"
    ),
    "following with another history": Story(
        {**STANDBY, **DIVERGED},
        COMPARE,
        "check_divergence stop_postgres rewind_postgres start_postgres",
        "standby",
        settings=REWIND,
    ),
    "starting to follow": Story(
        STOPPED_STANDBY, COMPARE, "check_divergence start_postgres", "standby"
    ),
    "starting to follow fails": Story(
        STOPPED_STANDBY, FOLLOW, "start_postgres!", "stopped", fails=True
    ),
    "starting to follow, the comparison fails": Story(
        STOPPED_STANDBY, COMPARE, "check_divergence!", "stopped", fails=True
    ),
    "nothing to follow with": Story(
        ABSENT, FOLLOW, "clone_postgres start_postgres", "standby"
    ),
    # PG-30, PG-31, RWD-08: single-user recovery, once, if it is of use.
    "a crashed primary follows": Story(
        CRASHED,
        COMPARE,
        "recover_crashed check_divergence start_postgres",
        "standby",
        settings=REWIND,
    ),
    "a crashed primary follows without rewind": Story(
        CRASHED, COMPARE, "check_divergence start_postgres", "standby"
    ),
    "a crashed primary without a leader": Story(
        CRASHED, ALONE, "recover_crashed start_postgres", "standby"
    ),
    "a crashed primary that does not recover": Story(
        CRASHED, ALONE, "recover_crashed! start_postgres", "standby"
    ),
    # RWD-16, RWD-17: what may be done with a history of its own.
    "a former primary is rewound": Story(
        {**STOPPED, **DIVERGED},
        COMPARE,
        "check_divergence rewind_postgres start_postgres",
        "standby",
        settings=REWIND,
    ),
    "the rewind fails": Story(
        {**STOPPED, **DIVERGED},
        COMPARE,
        "check_divergence rewind_postgres!",
        "stopped",
        fails=True,
        settings=REWIND,
    ),
    "the rewind fails and a rebuild is allowed": Story(
        {**STOPPED, **DIVERGED},
        COMPARE,
        "check_divergence rewind_postgres! remove_data_directory clone_postgres "
        "start_postgres",
        "standby",
        settings=REBUILD_UNREWOUND,
    ),
    "a former primary is rebuilt": Story(
        {**STOPPED, **DIVERGED},
        COMPARE,
        "check_divergence remove_data_directory clone_postgres start_postgres",
        "standby",
        settings=REBUILD_DIVERGED,
    ),
    "a former primary cannot be mended": Story(
        {**STOPPED, **DIVERGED}, COMPARE, "check_divergence", "stopped", fails=True
    ),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=list(STORIES))
def test_what_is_wanted_is_done_in_the_right_order(story: Story) -> None:
    """BOOT-19, BOOT-29, ELEC-11, ELEC-13, ELEC-15, PG-30, PG-31, RWD-02, RWD-04,
    RWD-07, RWD-08, RWD-16, RWD-17, CB-08, P-ELEC-11."""
    told = story.play()
    assert told.queue == []
    assert told.wanted == set()
    assert told.phase == story.phase
    assert _failed(told) == story.fails


def _failed(told: Machine) -> bool:
    ends = [
        m
        for m in told.told.all_said
        if isinstance(m, IntentFulfilled | IntentFailed | IntentRefused)
    ]
    assert len(ends) == 1
    assert not isinstance(ends[0], IntentRefused)
    return isinstance(ends[0], IntentFailed)


def test_every_row_of_the_table_is_shown_above() -> None:
    taken = {text for story in STORIES.values() for text in story.play().transitions}
    rows = {row.taken_from(phase) for row in TRANSITIONS for phase in row.phases}
    assert rows - taken == set()


def test_no_row_hides_behind_another() -> None:
    """Two rows with the same beginning differ in their condition."""
    keys = [(p, row.on, row.when) for row in TRANSITIONS for p in row.phases]
    assert len(keys) == len(set(keys))


# Orders, word by word.


def only_order(told: Machine) -> Message:
    assert len(told.queue) == 1
    return told.queue[0]


@pytest.mark.parametrize(
    ("settings", "kill_after"),
    [
        pytest.param({"primary_stop_timeout": 7}, None, id="asynchronous: never"),
        pytest.param(
            {"primary_stop_timeout": 7, "synchronous_mode": "on"}, 7, id="synchronous"
        ),
        pytest.param({"synchronous_mode": "on"}, None, id="no limit"),
    ],
)
def test_a_graceful_stop_is_cut_short_only_where_nothing_can_be_lost(
    settings: dict[str, Any], kill_after: float | None
) -> None:
    """PG-27."""
    told = machine(PRIMARY, **settings)
    told.hear(SWITCH_OVER)
    told.answer("well")
    assert only_order(told) == StopPostgres(
        mode="fast", checkpoint_first=False, timeout=60, kill_after=kill_after
    )


def test_stepping_down_kills_before_the_lease_can_end() -> None:
    """ELEC-02, law 1."""
    told = machine(PRIMARY, lease_margin=5)
    told.hear(STEP_DOWN)
    stop = only_order(told)
    assert isinstance(stop, StopPostgres)
    assert stop.mode == "immediate"
    assert stop.kill_after is not None
    assert stop.kill_after < 5


@pytest.mark.parametrize("role", ["primary", "standby"])
def test_a_restart_keeps_the_role(role: str) -> None:
    """ELEC-13: and waits as long as was asked."""
    told = machine({"running": True, "role": role})
    told.hear(RESTART)
    assert only_order(told) == RestartPostgres(role=role, upstream=None, timeout=60)  # type: ignore[arg-type]


def test_a_standby_cluster_clones_from_its_remote() -> None:
    """SBY-05."""
    remote = PG2.model_copy(update={"member": None, "host": "far", "is_leader": False})
    told = machine(ABSENT, standby_cluster=StandbyCluster(host="far"))
    told.hear(CloneMember(source=remote, upstream=remote, reason=WHY))
    assert only_order(told) == ClonePostgres(source=remote, remote=True)


def test_a_member_of_a_standby_cluster_clones_from_its_leader() -> None:
    told = machine(ABSENT, standby_cluster=StandbyCluster(host="far"))
    told.hear(CLONE)
    assert only_order(told) == ClonePostgres(source=PG2, remote=False)


@pytest.mark.parametrize(
    ("state", "recovers"),
    [
        ("in production", True),
        ("shutting down", True),
        ("in crash recovery", True),
        ("shut down", False),
        ("shut down in recovery", False),
        ("in archive recovery", False),
    ],
)
def test_only_a_primary_that_did_not_stop_cleanly_is_recovered(
    state: str, recovers: bool
) -> None:
    """PG-30."""
    told = machine(STOPPED, use_pg_rewind=True)
    told.hear(
        PostgresObserved(
            status=PostgresStatus(
                process="absent", data_directory="valid", control=control(state)
            )
        )
    )
    told.hear(COMPARE)
    assert isinstance(only_order(told), RecoverCrashed) == recovers


def test_where_rewind_is_impossible_nothing_is_recovered_for_it() -> None:
    """RWD-01, PG-30: neither wal_log_hints nor checksums."""
    told = machine(STOPPED, use_pg_rewind=True)
    told.hear(
        PostgresObserved(
            status=PostgresStatus(
                process="absent",
                data_directory="valid",
                control=control("in production", wal_log_hints=False),
            )
        )
    )
    told.hear(COMPARE)
    assert not isinstance(only_order(told), RecoverCrashed)


# Who interrupts whom.


@pytest.mark.parametrize(
    ("first", "given", "then"),
    [
        pytest.param(PROMOTE, STANDBY, STEP_DOWN, id="promotion, stepping down"),
        pytest.param(PROMOTE, STANDBY, STOP, id="promotion, shutdown"),
        pytest.param(SWITCH_OVER, PRIMARY, STEP_DOWN, id="switchover, stepping down"),
        pytest.param(STOP, PRIMARY, STEP_DOWN, id="shutdown, stepping down"),
        pytest.param(CLONE, ABSENT, STOP, id="clone, shutdown"),
        pytest.param(COMPARE, STOPPED_STANDBY, PROMOTE, id="comparison, promotion"),
        pytest.param(RESTART, PRIMARY, STEP_DOWN, id="restart, stepping down"),
        pytest.param(
            START,
            CRASHED,
            ReinitializeMember(source=PG2, force=True, request="r", reason=WHY),
            id="start, forced rebuild",
        ),
    ],
)
def test_the_stronger_intent_interrupts(
    first: Message, given: dict[str, Any], then: Message
) -> None:
    """BOOT-30, ELEC-12, P-ELEC-16: it cancels, and comes when the operator let go."""
    told = machine(given)
    told.hear(first)
    told.hear(then)
    assert told.told.of(CancelOperation)
    assert len(told.queue) == 1  # nothing is ordered before the answer
    told.answer("cancelled")
    told.settle()
    assert told.wanted == set()


@pytest.mark.parametrize(
    ("first", "given", "then"),
    [
        pytest.param(STEP_DOWN, PRIMARY, PROMOTE, id="stepping down, promotion"),
        pytest.param(STEP_DOWN, PRIMARY, STOP, id="stepping down, shutdown"),
        pytest.param(PROMOTE, STANDBY, FOLLOW, id="promotion, following"),
        pytest.param(RESTART, PRIMARY, REBUILD, id="restart, rebuild"),
        pytest.param(CLONE, ABSENT, FOLLOW, id="clone, following"),
    ],
)
def test_a_weaker_intent_is_refused(
    first: Message, given: dict[str, Any], then: Message
) -> None:
    """BOOT-30: the answer says which action is in progress."""
    told = machine(given)
    told.hear(first)
    busy_with = told.told.state.intent
    told.hear(then)
    (refused,) = told.told.said
    assert isinstance(refused, IntentRefused)
    assert refused.reason.code == "IN_PROGRESS"
    assert told.told.state.intent == busy_with


def test_an_intent_that_waits_for_the_operator_is_replaced_by_a_stronger_one() -> None:
    """ELEC-02: the lease ends while the switchover's checkpoint is being ended for the
    shutdown."""
    told = machine(PRIMARY)
    told.hear(SWITCH_OVER)
    told.hear(STOP)
    told.hear(STEP_DOWN)
    assert told.told.said == (
        IntentFailed(
            intent="stop_for_shutdown",
            reason=because("IN_PROGRESS", action="demote_postgres"),
        ),
    )
    told.answer("cancelled")
    told.settle()
    assert told.phase == "stopped"


def test_an_intent_that_waits_for_the_operator_is_not_replaced_by_a_weaker_one() -> (
    None
):
    told = machine(STANDBY)
    told.hear(PROMOTE)
    told.hear(STEP_DOWN)
    told.hear(FOLLOW)
    assert told.told.of(IntentRefused)
    assert len(told.queue) == 1


def test_stepping_down_at_once_takes_the_place_of_a_switchover_without_a_word() -> None:
    """Both are demotions: the end of the first would be taken for that of the second,
    and election would believe that PostgreSQL goes on."""
    told = machine(PRIMARY)
    told.hear(SWITCH_OVER)
    told.hear(STEP_DOWN)
    assert not told.told.of(IntentFailed)
    assert not told.told.of(IntentRefused)


def test_a_rewind_is_not_cut_short_for_another_leader() -> None:
    """RWD-16: it would leave a directory that nothing can use."""
    told = machine({**STOPPED, **DIVERGED}, use_pg_rewind=True)
    told.hear(COMPARE)
    told.answer("well")
    assert told.phase == "rewinding"
    told.hear(COMPARE.model_copy(update={"upstream": PG3}))
    assert told.told.of(IntentRefused)


def test_a_comparison_gives_way_to_another_leader() -> None:
    """RWD-04."""
    told = machine(STOPPED_STANDBY)
    told.hear(COMPARE)
    told.hear(COMPARE.model_copy(update={"upstream": PG3}))
    assert told.told.of(CancelOperation)
    told.answer("cancelled")
    told.observe()
    order = only_order(told)
    assert order.upstream == PG3  # type: ignore[attr-defined]


def test_the_checkpoint_after_a_promotion_keeps_nobody_waiting() -> None:
    """RWD-07: a stronger wish or a weaker one ends it."""
    told = machine(STANDBY)
    told.hear(PROMOTE)
    told.answer("well")
    assert told.wanted == set()
    assert isinstance(only_order(told), CheckpointPostgres)
    told.hear(RESTART)
    assert told.told.of(CancelOperation)
    told.answer("cancelled")
    assert isinstance(only_order(told), RestartPostgres)


@pytest.mark.parametrize(
    ("given", "when", "order"),
    [
        pytest.param(STOPPED_STANDBY, FOLLOW, StartPostgres, id="start as standby"),
        pytest.param(CRASHED, COMPARE, RecoverCrashed, id="crash recovery"),
    ],
)
def test_no_start_timeout_of_a_primary_leaves_others_their_time(
    given: dict[str, Any], when: Message, order: type[Message]
) -> None:
    """ELEC-11: 0 only says that the crash of a primary is a failover."""
    told = machine(given, primary_start_timeout=0, use_pg_rewind=True)
    told.hear(when)
    found = only_order(told)
    assert isinstance(found, order)
    assert found.timeout == DEFAULT_START_TIMEOUT  # type: ignore[attr-defined]  # of both


# What is not known yet, and what nobody asked for.


def test_an_upstream_that_is_not_ready_is_asked_again() -> None:
    """RWD-05, RWD-06."""
    told = machine({**STOPPED_STANDBY, "verdict": "upstream_not_ready"})
    told.hear(COMPARE)
    told.answer("well")
    (timer,) = told.told.of(SetTimer)
    assert told.now < timer.at <= told.now + 1
    assert told.queue == []
    told.verdict = "can_follow"
    told.wake()
    told.answer("well")
    assert isinstance(only_order(told), StartPostgres)


def test_data_that_are_gone_are_compared_no_more() -> None:
    """BOOT-33."""
    told = machine({**STOPPED_STANDBY, "verdict": "unknown"})
    told.hear(COMPARE)
    told.answer("well")
    told.exists = False
    told.observe()
    assert told.told.of(PhaseChanged)[0].phase == "absent"
    assert told.told.of(IntentFailed)[0].reason.code == "DATA_DIRECTORY_GONE"
    told.wake()
    assert told.queue == []


def test_the_timer_of_an_older_comparison_asks_nothing_twice() -> None:
    told = machine({**STOPPED_STANDBY, "verdict": "unknown"})
    told.hear(COMPARE)
    told.answer("well")
    told.hear(COMPARE.model_copy(update={"upstream": PG3}))
    assert len(told.queue) == 1
    told.wake()
    assert len(told.queue) == 1


def test_a_crash_recovery_that_failed_is_tried_again_when_nothing_else_helps() -> None:
    """PG-30: until somebody mends what stood in its way nobody knows our end."""
    told = machine({**CRASHED, "verdict": "unknown"}, use_pg_rewind=True)
    told.hear(COMPARE)
    assert isinstance(only_order(told), RecoverCrashed)
    told.answer("badly")
    for _ in range(4):
        assert isinstance(only_order(told), CheckDivergence)
        told.answer("well")
        told.wake()
    assert isinstance(only_order(told), RecoverCrashed)
    told.answer("well")
    told.verdict = "can_follow"
    assert isinstance(only_order(told), CheckDivergence)
    told.answer("well")
    assert isinstance(only_order(told), StartPostgres)


@pytest.mark.parametrize("may_rebuild", [True, False])
def test_histories_of_one_timeline_that_differ_are_not_rewound(
    may_rebuild: bool,
) -> None:
    """RWD-03: pg_rewind would find nothing to do."""
    told = machine(
        STOPPED_STANDBY,
        use_pg_rewind=True,
        remove_data_directory_on_rewind_failure=may_rebuild,
    )
    told.hear(COMPARE)
    told.queue.clear()
    told.hear(
        DivergenceChecked(
            verdict="diverged",
            local_timeline=2,
            local_lsn=2000,
            upstream_timeline=2,
            switch_lsn=None,
        )
    )
    if may_rebuild:
        assert isinstance(only_order(told), RemoveDataDirectory)
    else:
        assert told.queue == []
        assert told.told.of(IntentFailed)[0].reason.code == "DIVERGED"


def test_before_anything_was_seen_the_supervisor_looks_first() -> None:
    """P-ELEC-22: a daemon starts beside a PostgreSQL that may run."""
    told = Machine(**PRIMARY)
    told.hear(configured("pg1"))
    told.hear(STEP_DOWN)
    assert told.told.of(ObservePostgres)
    assert told.queue == []
    told.observe()
    assert isinstance(only_order(told), StopPostgres)


def test_while_the_supervisor_looks_a_stronger_intent_takes_the_place() -> None:
    """ELEC-16."""
    told = Machine(**PRIMARY)
    told.hear(configured("pg1"))
    told.hear(FOLLOW)
    told.hear(STOP)
    assert told.told.of(IntentFailed)
    told.observe()
    assert isinstance(only_order(told), CheckpointPostgres)


@pytest.mark.parametrize(
    ("given", "phase"),
    [(PRIMARY, "primary"), (STANDBY, "standby"), (STOPPED, "stopped")],
)
def test_a_postgres_that_is_found_is_adopted_as_it_is(
    given: dict[str, Any], phase: str
) -> None:
    """OPS: a daemon that starts restarts nothing."""
    told = machine(given)
    assert told.phase == phase
    assert told.queue == []


def test_a_crash_is_told_at_once() -> None:
    """PG-14."""
    told = machine(PRIMARY)
    told.crash()
    (changed,) = told.told.of(PhaseChanged)
    assert (changed.phase, changed.state) == ("stopped", "crashed")
    assert changed.control is not None
    assert changed.control.state == "in production"


def test_a_stop_by_hand_is_no_crash() -> None:
    """PAUSE-10: reported as stopped."""
    told = machine(PRIMARY)
    told.running, told.clean = False, True
    told.hear(
        PostmasterExited(
            pid=1, exit_status=0, signal=None, expected=False, control=told.control()
        )
    )
    (changed,) = told.told.of(PhaseChanged)
    assert changed.state == "stopped"


def test_the_end_of_the_postmaster_before_is_not_that_of_this_one() -> None:
    """Law 1: it is told late, since its children are waited for; meanwhile PostgreSQL was
    seen to be gone, and was started again."""
    told = machine(CRASHED)
    told.look()
    told.hear(START)
    told.answer("well")
    assert told.phase == "primary"
    told.hear(
        PostmasterExited(
            pid=99, exit_status=None, signal=9, expected=False, control=None
        )
    )
    assert told.phase == "primary"
    assert not told.told.of(PhaseChanged)
    told.crash()
    assert told.phase == "stopped"


def test_an_old_observation_does_not_undo_what_the_operator_says() -> None:
    """P-ELEC-07: made before the start ended, told while it goes on."""
    told = machine(CRASHED)
    told.look()
    told.hear(START)
    told.observe()
    assert told.phase == "starting"
    told.answer("well")
    assert told.phase == "primary"


def test_changed_settings_reach_postgres_when_nothing_else_is_under_way() -> None:
    """CFG: reload."""
    changed = configured("pg1").model_copy(update={"postgres_changed": True})
    told = machine(STANDBY)
    told.hear(FOLLOW)
    told.hear(changed)
    assert not told.told.of(ReloadPostgres)
    told.answer("well")
    assert told.told.of(ReloadPostgres)


def test_the_answer_to_a_reload_is_nobody_elses() -> None:
    """It is queued before the demotion's stop, and may be ended with it."""
    changed = configured("pg1").model_copy(update={"postgres_changed": True})
    told = machine(PRIMARY)
    told.hear(changed)
    told.hear(STEP_DOWN)
    kinds = [order.kind for order in told.queue]
    assert kinds == ["reload_postgres", "stop_postgres"]
    told.hear(PostgresReloaded())
    assert told.phase == "stopping"


def test_an_outcome_that_nobody_waits_for_changes_nothing() -> None:
    idle = begun(POSTGRES_SUPERVISOR, configured("pg1"))
    assert idle.hear(PostgresReloaded()).said == ()
