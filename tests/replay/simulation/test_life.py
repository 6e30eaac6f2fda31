"""A life is the same each time it is lived, to the bit, and its journals can be told."""

from pathlib import Path

import pytest

from regnal.actors.cast import DECIDERS
from regnal.replay.explaining.explain import Investigation
from regnal.replay.simulation.faults import in_order, parse_fault
from regnal.replay.simulation.laws import LawBroken
from regnal.replay.simulation.life import Life, live
from regnal.replay.simulation.world import World
from regnal.replay.verify import verify_journal

NAMES = ("pg1", "pg2", "pg3")
FAULTS = in_order(
    map(
        parse_fault,
        (
            "33 slow_network store 20 0.1",
            "34 lossy_network pg2 20 0.3",
            "36 kill_host @primary 32",
        ),
    )
)
LIFE = Life(NAMES, 11, FAULTS)


def content(directory: Path) -> dict[str, bytes]:
    files = sorted(directory.rglob("*.jsonl"))
    return {str(file.relative_to(directory)): file.read_bytes() for file in files}


def test_the_same_life_writes_the_same_journals_to_the_byte(tmp_path: Path) -> None:
    first, second = live(LIFE, tmp_path / "first"), live(LIFE, tmp_path / "second")
    assert first == second == live(LIFE)
    written = content(tmp_path / "first")
    assert len(written) > len(NAMES)
    assert written == content(tmp_path / "second")


def test_its_journals_are_verified_and_explained(tmp_path: Path) -> None:
    lived = live(LIFE, tmp_path)
    assert not lived.is_broken
    investigation = Investigation({name: tmp_path / name for name in NAMES})
    worst = max(investigation.listed(), key=lambda one: one.outage or 0)
    assert worst.cause == "host_lost"
    (outage,) = lived.outages
    assert worst.outage is not None
    assert (
        abs(worst.outage - outage.duration) < 11
    )  # a heartbeat: when it died nobody saw
    assert outage.after.startswith("kill_host")
    for name in NAMES:
        verification = verify_journal(tmp_path / name, DECIDERS)
        assert verification.differences == []
        assert verification.steps > 50


def test_that_the_run_ends_is_no_incident(tmp_path: Path) -> None:
    """Nobody stopped the daemons: their journals end as if they were read live."""
    live(LIFE, tmp_path)
    investigation = Investigation({name: tmp_path / name for name in NAMES})
    assert "leaderless" not in {one.kind for one in investigation.listed()}


class Broken(World):
    """A world in which the guard of a frozen daemon does nothing."""

    def _fence(self, name: str, deadline: float) -> None:
        return


def test_a_law_that_breaks_is_noticed_at_once() -> None:
    """Law 2 without its guard: the frozen primary goes on writing."""
    schedule = in_order([parse_fault("35 freeze_daemon @primary 60")])
    world = Broken(NAMES, DECIDERS, seed=1, schedule=schedule)
    world.start()
    world.begin_traffic()
    with pytest.raises(LawBroken, match=r"law 1: .* takes writes without a lease"):
        world.run(90)


def test_a_decider_that_raises_is_an_error_of_its_life() -> None:
    life = Life(NAMES, 1, in_order([parse_fault("35 kill_host nobody 5")]))
    lived = live(life)
    assert lived.broken == "error"
    assert "KeyError" in lived.why


def test_a_member_that_may_not_be_mended_is_stranded_and_no_failure() -> None:
    """It diverged, and may be neither rewound nor rebuilt."""
    faults = ("33 cut_from_peers @primary 6", "36 kill_host @primary 32")
    life = Life(NAMES, 1, in_order(map(parse_fault, faults)), {"use_pg_rewind": False})
    lived = live(life)
    assert not lived.is_broken, lived.why
    assert len(lived.stranded) == 1
    assert lived.lost > 0
