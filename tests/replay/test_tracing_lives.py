"""Traces of lives full of faults, in virtual time: the laws of spans hold."""

from pathlib import Path

import pytest

from regnal.replay.case import opened
from regnal.replay.simulation.campaign import Cluster, draw, lives
from regnal.replay.simulation.life import live
from regnal.replay.simulation.profiles import PROFILES
from regnal.replay.tracing import spans_of
from tests.events.spans.laws import broken

NAMES = ("pg1", "pg2", "pg3")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5, 11, 23])
def test_ids_parents_and_times_agree_across_members(seed: int, tmp_path: Path) -> None:
    schedule = draw(PROFILES["hell"], 0.25, NAMES, seed)
    life = next(lives(Cluster(NAMES, {}), schedule, seed))
    live(life, tmp_path)
    with opened([str(tmp_path)]) as case:
        spans = list(spans_of(case))
    assert len(spans) > 30
    assert broken(spans) == []
