"""The named worlds: every law holds in each of them.

Those that take minutes are explored in part here; `make check-model` explores them
for as long as one wants.
"""

import pytest

from regnal.replay.model.explore import Limits, beginning, explore
from regnal.replay.model.world import World
from regnal.replay.model.worlds import WORLDS, NamedWorld

AT_FIRST = 100
STATES = 20_000


def explored(named: NamedWorld, states: int) -> None:
    model = World(named.bounds)
    report = explore(
        model, beginning(model, named.begins), Limits(states=states), recovers=True
    )
    assert report.broken is None, report.path


@pytest.mark.parametrize("named", WORLDS, ids=lambda named: named.name)
@pytest.mark.slow
def test_every_law_holds(named: NamedWorld) -> None:
    """Laws 1 to 5, and that the cluster comes to rest once all is mended."""
    explored(named, STATES)


@pytest.mark.parametrize(
    "named",
    [w for w in WORLDS if w.name in ("failover", "switchover")],
    ids=lambda named: named.name,
)
def test_every_law_holds_at_first(named: NamedWorld) -> None:
    explored(named, AT_FIRST)
