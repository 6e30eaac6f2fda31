"""How long nobody could write, and what the time was spent on."""

import pytest

from regnal.replay.explaining.look import Look
from regnal.replay.explaining.outage import outage_of, phases_of
from tests.replay.scenes import Scene


def look(scene: Scene) -> Look:
    return Look(scene.evidence(), scene.gap())


def phases(scene: Scene) -> dict[str, float]:
    return {p.code: round(p.seconds, 2) for p in phases_of(look(scene))}


def lost_host() -> Scene:
    scene = Scene("pg1", "pg2", "pg3").vanish("pg1", 48.0).streams_end(50.0)
    return scene.leads("pg2", 78.0, key_gone=77.9)


def crashed() -> Scene:
    return Scene("pg1", "pg2").exit("pg1", 50.0, signal=9).restarts("pg1", 52.0)


def test_a_lost_host_costs_its_lease() -> None:
    assert phases(lost_host()) == {
        "detection": 0.0,
        "decision": 28.0,
        "promotion": 0.1,
        "clients_back": 0.4,
    }
    assert round(outage_of(look(lost_host())).seconds, 2) == 28.1


def test_nobody_notices_a_host_that_ends_no_stream() -> None:
    scene = Scene("pg1", "pg2").vanish("pg1", 48.0)
    scene.mark("pg2", 77.9, "leader_lost", previous="pg1")
    told = look(scene.leads("pg2", 78.0, key_gone=77.9))
    assert outage_of(told).certainty == "at_most"
    assert round(phases_of(told)[0].seconds, 1) == 29.9


def test_a_start_in_place_has_no_promotion() -> None:
    assert phases(crashed()) == {"detection": 0.0, "decision": 2.0}


def test_an_outage_that_does_not_end_is_at_least_so_long() -> None:
    scene = Scene("pg1", "pg2").exit("pg1", 50.0).key(None, 51.0)
    told = outage_of(look(scene))
    assert (told.until, told.certainty) == (None, "at_least")
    assert round(told.seconds) == 150


@pytest.mark.parametrize("scene", [lost_host, crashed])
def test_the_phases_fill_the_outage(scene: object) -> None:
    told = look(scene())  # type: ignore[operator]
    filled = sum(p.seconds for p in phases_of(told) if p.code != "clients_back")
    assert filled == pytest.approx(outage_of(told).seconds)
