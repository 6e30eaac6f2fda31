"""Lives of clusters under faults, each from one seed: no law breaks, and each cluster
comes to rest once its faults have ended.

A life that once broke is kept in `REGRESSIONS`, with its fewest faults and what it
showed.
"""

from typing import Any

import pytest

from regnal.replay.simulation.campaign import Cluster, draw, lives
from regnal.replay.simulation.faults import in_order, parse_fault
from regnal.replay.simulation.life import Life, Lived, live
from regnal.replay.simulation.profiles import PROFILES
from tests.examples import usually

NAMES = ("a", "b", "c")
SYNCHRONOUS: dict[str, Any] = {"synchronous_mode": "on"}
QUORUM: dict[str, Any] = {"synchronous_mode": "quorum"}
STRICT: dict[str, Any] = {**SYNCHRONOUS, "synchronous_mode_strict": True}
TWO: dict[str, Any] = {**SYNCHRONOUS, "synchronous_node_count": 2}
FAILSAFE: dict[str, Any] = {"failsafe_mode": True}
SHORT: dict[str, Any] = {"ttl": 20, "loop_wait": 5, "retry_timeout": 5}
ALL: tuple[dict[str, Any], ...] = ({}, SYNCHRONOUS, QUORUM, STRICT, FAILSAFE, SHORT)

FEW = 24
MANY = 60


def check(life: Life) -> Lived:
    lived = live(life)
    faults = "; ".join(map(str, life.schedule))
    assert not lived.is_broken, (
        f"seed {life.seed}, {life.settings}: {faults}\n{lived.why}"
    )
    return lived


@pytest.mark.parametrize("seed", usually(range(FEW), len(ALL)))
def test_a_fault_or_two(seed: int) -> None:
    """Laws 1 to 7; ELEC-27."""
    settings = ALL[seed % len(ALL)]
    faults = draw(PROFILES["everything"], 100.0, NAMES, seed)
    cluster = Cluster(NAMES, settings)
    life = next(one for one in lives(cluster, faults, seed) if _is_short(one))
    check(life)


def _is_short(life: Life) -> bool:
    return all(fault.ends_at < 75 for fault in life.schedule)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 100 + MANY))
def test_a_dozen_faults(seed: int) -> None:
    """Laws 1 to 7; ELEC-27."""
    cluster = Cluster(NAMES, ALL[seed % len(ALL)])
    check(next(lives(cluster, draw(PROFILES["hell"], 1.0, NAMES, seed), seed)))


REGRESSIONS = [
    pytest.param(
        1000008,
        {},
        ("31 cut_from_peers @primary 20", "42 kill_host @primary 70"),
        id="the winner waited a minute for records of a host without power",
    ),
    pytest.param(
        3002009008,
        {"synchronous_mode": "quorum", "synchronous_node_count": 2},
        ("35.71 switchover c", "36.24 deafen @primary 21.2", "110 set_clock a 1"),
        id="a leader that was fenced amid a switchover kept the lease, and was down",
    ),
]


@pytest.mark.parametrize(("seed", "settings", "faults"), REGRESSIONS)
def test_what_once_went_wrong_goes_well(
    seed: int, settings: dict[str, Any], faults: tuple[str, ...]
) -> None:
    life = Life(NAMES, seed, in_order(map(parse_fault, faults)), settings)
    assert max(outage.duration for outage in check(life).outages) < 40


def test_a_winner_that_died_between_the_key_and_the_promotion_is_replaced() -> None:
    """P-QUORUM-03: the key named it alone, and another was a record ahead of it."""
    faults = (
        "32.7 freeze_daemon @primary 34.4",
        "32.7:promote_postgres kill_daemon @sender 39.6",
    )
    check(Life(NAMES, 30, in_order(map(parse_fault, faults)), {**QUICK, **QUORUM}))


QUICK: dict[str, Any] = {"ttl": 20, "loop_wait": 5, "retry_timeout": 5}
RESTARTED = ("31 stop_daemon @primary 9", "31:hand_over_leader lose_answers 7 1")

LATE = [
    *(
        pytest.param(
            seed, {}, RESTARTED, id=f"a hand-over for a daemon that was stopped, {seed}"
        )
        for seed in (14, 17, 19)
    ),
    pytest.param(
        19,
        {"failsafe_mode": True},
        (
            "31:release_leader lose_answers 10.5 1",
            "31.5 stop_daemon @primary 5.1",
            "47.98 stop_daemon @primary 13.9",
        ),
        id="a release that nobody answered: its holder was promoted all the same",
    ),
    pytest.param(
        148,
        SYNCHRONOUS,
        (
            "31 freeze_daemon @primary 38.8",
            "31:renew_leader lose_answers 10.3 1",
            "31:write_sync suspend_host @sender 32.1",
        ),
        id="a release of a daemon that leads again",
    ),
    pytest.param(
        130,
        {"failsafe_mode": True},
        (
            "31 cut_from_peers @sync 30",
            "31:set_synchronous_standbys kill_postgres @sender",
            "31 lose_answers 59.6 0.4",
            "34.93:hand_over_leader kill_host @sender 9.3",
            "35.83 switchover -",
        ),
        id="a release of a daemon that leads again, in failsafe mode",
    ),
]


@pytest.mark.parametrize(("seed", "settings", "faults"), LATE)
def test_what_the_store_carries_out_late_takes_no_lock_from_who_leads_then(
    seed: int, settings: dict[str, Any], faults: tuple[str, ...]
) -> None:
    """Laws 1 and 3: with the candidate that the key named then, two took writes."""
    schedule = in_order(map(parse_fault, faults))
    check(Life(("a", "b"), seed, schedule, {**QUICK, **settings}))
