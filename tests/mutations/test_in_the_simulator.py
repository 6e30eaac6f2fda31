"""Every mutant is caught by the simulator, too, in few lives; in the same lives what is
not broken keeps every law and comes to rest.

A life is the same each time, so that the table in docs/model-checking.md says exactly in
which a mutant is caught.  `LIVES` leaves room for a product that changes.
"""

import pytest

from regnal.replay.simulation.life import live
from tests.mutations.lives import STRUCK, hostile_life
from tests.mutations.mutant import Mutant, broken
from tests.mutations.mutants import LIVENESS, MASKED, MUTANTS

LIVES = 2 * len(STRUCK)
"""In so many a mutant must be caught: each strike comes twice."""

AT_ONCE = (
    "create the cluster although another does",
    "never arm the guard",
    "never move the guard's deadline",
)
"""They break a law before anything has struck; the quick suite has them."""


def marked(mutant: Mutant) -> object:
    marks = () if mutant.name in AT_ONCE else (pytest.mark.slow,)
    return pytest.param(mutant, marks=marks, id=mutant.name)


@pytest.mark.parametrize("mutant", [marked(one) for one in (*MUTANTS, *LIVENESS)])
def test_the_simulator_catches_it(mutant: Mutant) -> None:
    """Laws 1 to 7, and that a cluster comes to rest (ELEC-27)."""
    with broken(mutant):
        for number in range(1, LIVES + 1):
            lived = live(hostile_life(number))
            if lived.is_broken:
                expected = "liveness" if mutant.recovers else "safety"
                assert lived.broken == expected, lived.why
                return
    pytest.fail(f"{mutant.name} was not caught in {LIVES} lives")


def survives(number: int) -> None:
    lived = live(hostile_life(number))
    assert not lived.is_broken, f"life {number}: {lived.why}"


def test_what_is_not_broken_survives_the_first_life() -> None:
    survives(1)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2, LIVES + 1))
def test_what_is_not_broken_survives_the_same_lives(number: int) -> None:
    survives(number)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MASKED, ids=lambda mutant: mutant.name)
def test_what_another_rule_stands_behind_breaks_no_law(mutant: Mutant) -> None:
    with broken(mutant):
        for number in range(1, len(STRUCK) + 1):
            survives(number)
