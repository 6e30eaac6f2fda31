"""Mutants in the simulator: the same broken rules, in lives that chance has drawn.

Only those that show within few lives are here; the model checker has them all.
"""

import pytest

from regnal.replay.simulation.campaign import Cluster, draw, lives
from regnal.replay.simulation.life import live
from regnal.replay.simulation.profiles import PROFILES
from tests.mutations.mutant import Mutant, broken
from tests.mutations.mutants import MUTANTS

NAMES = ("a", "b", "c")
HOURS = 40
LIVES = 5
"""In so many a mutant must be caught."""

SHOW_SOON = (
    "promote without the lease",
    "start as primary after a crash without the lease",
    "create the cluster although another does",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutant",
    [mutant for mutant in MUTANTS if mutant.name in SHOW_SOON],
    ids=lambda mutant: mutant.name,
)
def test_the_simulator_catches_it(mutant: Mutant) -> None:
    cluster = Cluster(NAMES, {"synchronous_mode": mutant.bounds.synchronous_mode})
    schedule = draw(PROFILES["hell"], HOURS, NAMES, 1)
    with broken(mutant):
        for number, life in enumerate(lives(cluster, schedule, 1)):
            if live(life).is_broken:
                return
            if number >= LIVES:
                break
    pytest.fail(f"{mutant.name} was not caught in {LIVES} lives")
