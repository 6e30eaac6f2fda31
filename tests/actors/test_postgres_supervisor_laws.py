"""What holds of the supervisor whatever is wanted of it, and whatever becomes of it."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.messages.base import Message
from regnal.messages.operations import (
    BecomePrimary,
    BootstrapCluster,
    CloneMember,
    DemotePostgres,
    FollowLeader,
    ReinitializeMember,
    RestartInPlace,
    StartAsPrimary,
    StopForShutdown,
)
from regnal.messages.postgres import Upstream
from regnal.messages.reasons import because
from tests.actors.builders import configured
from tests.actors.operator_model import Machine
from tests.examples import examples

WHY = because("SHUTDOWN")
PG2 = Upstream(member="pg2", host="pg2", port="5432", slot="pg1", is_leader=True)
PG3 = PG2.model_copy(update={"member": "pg3", "host": "pg3"})

WANTED: tuple[Message, ...] = (
    BecomePrimary(reason=WHY),
    FollowLeader(upstream=PG2, check_divergence=True, reason=WHY),
    FollowLeader(upstream=PG3, check_divergence=False, reason=WHY),
    FollowLeader(upstream=None, check_divergence=True, reason=WHY),
    DemotePostgres(mode="graceful", reason=WHY),
    DemotePostgres(mode="immediate", reason=WHY),
    BootstrapCluster(reason=WHY),
    CloneMember(source=PG2, upstream=PG2, reason=WHY),
    StartAsPrimary(timeout=300, reason=WHY),
    StopForShutdown(reason=WHY),
    RestartInPlace(timeout=60, request="r", reason=WHY),
    ReinitializeMember(source=PG2, force=False, request="r", reason=WHY),
    ReinitializeMember(source=PG2, force=True, request="r", reason=WHY),
)
DONE = ("well", "well", "badly", "late", "refused", "cancelled")
VERDICTS = ("can_follow", "diverged", "upstream_not_ready", "unknown")

happenings = st.one_of(
    st.tuples(st.just("want"), st.sampled_from(WANTED)),
    st.tuples(st.just("answer"), st.sampled_from(DONE)),
    st.tuples(st.just("answer"), st.sampled_from(DONE)),
    st.tuples(st.just("crash"), st.none()),
    st.tuples(st.just("look"), st.none()),
    st.tuples(st.just("observe"), st.none()),
    st.tuples(st.just("wake"), st.none()),
    st.tuples(st.just("verdict"), st.sampled_from(VERDICTS)),
    st.tuples(st.just("configure"), st.booleans()),
)
machines = st.builds(
    Machine,
    exists=st.booleans(),
    running=st.booleans(),
    role=st.sampled_from(("primary", "standby")),
    clean=st.booleans(),
    checkpoint_takes=st.sampled_from((0.1, 2.0)),
)


def happen(machine: Machine, what: str, how: Any) -> None:
    match what:
        case "want":
            machine.hear(how)
        case "answer" if machine.queue:
            machine.answer(how)
        case "crash":
            machine.crash()
        case "look":
            machine.look()
        case "observe":
            machine.observe()
        case "wake":
            machine.wake()
        case "verdict":
            machine.verdict = how
        case "configure":
            machine.hear(configured("pg1", use_pg_rewind=how, **HOOKED))


HOOKED = {
    "remove_data_directory_on_rewind_failure": True,
    "callbacks": {"pre_promote": True},
}


@given(machine=machines, story=st.lists(happenings, max_size=25))
@examples(100)
def test_one_thing_at_a_time_and_nobody_writes_unasked(
    machine: Machine, story: list[tuple[str, Any]]
) -> None:
    """It never raises, orders nothing while something else is under way (unless that
    was cancelled), promotes or starts a primary only for an intent that wants it, ends
    every intent once, and comes to rest (PG-12, PG-13, ELEC-15, ELEC-27)."""
    machine.exists = machine.exists or machine.running
    machine.hear(configured("pg1", use_pg_rewind=True, **HOOKED))
    machine.observe()
    for what, how in story:
        happen(machine, what, how)
    machine.settle()
    assert machine.wanted == set()
    supervisor = machine.told.state
    assert supervisor.intent is None
    assert supervisor.waiting is None
    stopped = "stopped" if machine.exists else "absent"
    assert supervisor.phase == (machine.role if machine.running else stopped)


@pytest.mark.parametrize("seed", range(5))
def test_long_stories_end_well(seed: int) -> None:
    """As above: what takes many steps to happen."""
    chance = random.Random(seed)
    for _ in range(100):
        machine = Machine(
            running=chance.random() < 0.5,
            role="primary" if chance.random() < 0.5 else "standby",
            clean=chance.random() < 0.5,
            checkpoint_takes=chance.choice((0.1, 2.0)),
        )
        machine.hear(configured("pg1", use_pg_rewind=True, **HOOKED))
        machine.observe()
        for _ in range(40):
            what, choices = chance.choice(HAPPENINGS)
            happen(machine, what, chance.choice(choices))
        machine.settle()
        assert machine.wanted == set()


HAPPENINGS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("want", WANTED),
    *(("answer", DONE) for _ in range(3)),
    *((what, (None,)) for what in ("crash", "look", "observe", "wake")),
    ("verdict", VERDICTS),
    ("configure", (True, False)),
)
