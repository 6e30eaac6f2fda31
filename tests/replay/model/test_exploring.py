"""Exploring: what is reached, what is found, and that it is the same every time."""

from dataclasses import replace

from regnal.replay.model.bounds import Bounds
from regnal.replay.model.explore import Limits, beginning, explore
from regnal.replay.model.recovery import is_at_rest
from regnal.replay.model.story import story
from regnal.replay.model.world import World
from regnal.replay.model.worlds import WORLDS, NamedWorld
from tests.mutations.mutant import broken
from tests.mutations.mutants import MUTANTS

QUIET = Bounds(faults=0, writes=1, reorderings=0)


def world(bounds: Bounds = QUIET) -> World:
    return World(bounds)


def test_a_new_cluster_comes_to_rest() -> None:
    for members in (1, 3):
        model = world(replace(QUIET, members=members, synchronous_mode="on"))
        assert is_at_rest(model, beginning(model, "settled"))


def test_a_cluster_at_rest_does_the_same_over_and_over() -> None:
    """The space is finite: an idle cluster returns to where it was."""
    model = world(replace(QUIET, writes=0))
    report = explore(model, beginning(model, "settled"))
    assert report.exhausted
    assert report.states < 50


def test_the_same_world_has_the_same_states_every_time() -> None:
    counts = set()
    for _ in range(2):
        model = world(replace(QUIET, reorderings=1))
        report = explore(model, beginning(model, "settled"), recovers=True)
        assert report.exhausted
        assert report.broken is None
        counts.add((report.states, report.transitions, report.depth))
    assert len(counts) == 1


def test_more_orders_reach_more_states() -> None:
    states = []
    for reorderings in (0, None):
        model = world(replace(QUIET, reorderings=reorderings))
        report = explore(model, beginning(model, "settled"))
        assert report.exhausted
        states.append(report.states)
    assert states[0] < states[1]


def test_symmetric_states_are_one() -> None:
    """Two standbys that are alike: it makes no difference which of them it is."""
    states = {}
    for symmetric in (True, False):
        bounds = replace(
            QUIET,
            members=3,
            writes=0,
            faults=1,
            kinds=("freeze daemon",),
            mended=(),
            symmetric=symmetric,
        )
        model = world(bounds)
        report = explore(model, beginning(model, "settled"), Limits(states=60))
        assert report.broken is None
        states[symmetric] = report.transitions
    assert states[True] != states[False]


def test_a_limit_cuts_an_exploration_and_says_so() -> None:
    model = world(replace(QUIET, faults=1))
    report = explore(model, beginning(model, "settled"), Limits(states=30))
    assert not report.exhausted
    assert report.states >= 30


def test_the_way_to_a_broken_law_is_told() -> None:
    mutant = next(m for m in MUTANTS if m.name == "never arm the guard")
    named = NamedWorld("guard", "a daemon freezes", mutant.bounds)
    with broken(mutant):
        model = world(mutant.bounds)
        report = explore(model, beginning(model, "settled"))
        told = story(named, report)
    assert report.broken is not None
    assert any("freeze daemon" in line for line in told)
    assert report.broken in told[-1]


def test_the_named_worlds_differ() -> None:
    assert len({named.name for named in WORLDS}) == len(WORLDS)
    assert len({(named.bounds.faults, named.what) for named in WORLDS}) == len(WORLDS)
