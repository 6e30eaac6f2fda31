"""Every mutant breaks a law in its world of the model checker; what is not broken
keeps every law there.

A checker that catches nothing proves nothing: so the rules that the laws rest on are
broken one by one, and each time the checker must say so.
"""

import pytest

from regnal.replay.model.explore import Limits, Report, beginning, explore
from regnal.replay.model.world import World
from tests.mutations.mutant import Mutant, broken
from tests.mutations.mutants import LIVENESS, MASKED, MUTANTS

STATES = 5_000
"""In so many states a mutant must be caught; most are in less than a hundred."""

CAUGHT = (*MUTANTS, *LIVENESS)


LONG = (
    "never follow another leader",
    "never race for a free lease",
    "never rewind what has diverged",
    "ignore the maximum lag",
)
"""Each takes a second or more: for the slow suite."""

SHORT_FIRST = [
    pytest.param(mutant, marks=pytest.mark.slow) if mutant.name in LONG else mutant
    for mutant in CAUGHT
]


def explored(mutant: Mutant, states: int = STATES) -> Report:
    world = World(mutant.bounds)
    return explore(
        world,
        beginning(world, mutant.begins),
        Limits(states=states),
        recovers=mutant.recovers,
    )


def named(mutant: Mutant) -> str:
    return mutant.name


@pytest.mark.parametrize("mutant", SHORT_FIRST, ids=named)
def test_the_model_checker_catches_it(mutant: Mutant) -> None:
    with broken(mutant):
        report = explored(mutant)
    assert report.broken is not None
    assert report.path


@pytest.mark.slow
@pytest.mark.parametrize("mutant", CAUGHT, ids=named)
def test_what_is_not_broken_keeps_the_laws_in_the_same_world(mutant: Mutant) -> None:
    report = explored(mutant)
    assert report.broken is None


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MASKED, ids=named)
def test_what_another_rule_stands_behind_breaks_no_law(mutant: Mutant) -> None:
    with broken(mutant):
        report = explored(mutant)
    assert report.broken is None
    assert report.exhausted


def test_nothing_stays_broken() -> None:
    """What is patched is what it was before."""
    mutant = MUTANTS[0]
    before = [getattr(one.where, one.name) for one in mutant.patches]
    with broken(mutant):
        assert [getattr(one.where, one.name) for one in mutant.patches] != before
    assert [getattr(one.where, one.name) for one in mutant.patches] == before


def test_there_are_enough_of_them() -> None:
    names = [mutant.name for mutant in (*CAUGHT, *MASKED)]
    assert len(names) == len(set(names))
    assert len(CAUGHT) >= 20
