"""Law 4: what synchronous mode acknowledged, no automatic failover loses."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.actors.sync_world import NAMES, World
from tests.examples import examples

EVENTS = (
    World.commit,
    World.flush,
    World.connect,
    World.disconnect,
    World.catch_up,
    World.catch_up,
    World.serve,
    World.serve,
    World.serve,
    World.look,
    World.look,
    World.look,
    World.take_value,
    World.take_late_value,
    World.take_write,
    World.land_late_write,
    World.answer,
    World.answer,
    World.show_view,
    World.begin_observation,
    World.end_observation,
    World.beat,
    World.beat,
    World.store_answers,
    World.pass_time,
    World.configure,
    World.tag,
)

SEEDS = st.integers(0, 2**32)
"""Of a story: long ones are what finds anything, and chance writes long ones."""


def told(seed: int) -> World:
    """The world after a story, in which the law held after every event."""
    chance = random.Random(seed)
    world = World()
    for _ in range(120):
        EVENTS[chance.randrange(len(EVENTS))](world, chance.randrange(12))
        world.happened()
    return world


@given(SEEDS)
@examples(60)
def test_nobody_who_could_win_lacks_what_was_acknowledged(seed: int) -> None:
    """SYNC-01, SYNC-02, P-SYNC-05, P-QUORUM-02, P-QUORUM-08, P-QUORUM-09."""
    told(seed)


@given(SEEDS)
@examples(30)
def test_when_it_is_calm_the_choice_is_reached(seed: int) -> None:
    """SYNC-01: a healthy standby is synchronous whenever one exists."""
    world = told(seed)
    world.calm_down()
    able = [name for name in NAMES if not world.standbys[name].nosync]
    assert not world.to_store
    assert not world.to_postgres
    assert bool(world.key.standbys) == bool(able)
    assert set(world.key.standbys) <= set(able)
    value = world.told.state.value
    assert value is not None
    if able:
        assert set(value.names) == set(world.key.standbys)
        assert len(world.key.standbys) == world.key.quorum + value.count
