"""Lives of a cluster in a hostile world, each from one seed.

A seed that fails is kept in `REGRESSIONS`, with what it showed.
"""

from typing import Any

import pytest

from tests.scenarios.simulated.hostile import live

SYNCHRONOUS: dict[str, Any] = {
    "synchronous_mode": "on",
    # A person may fail over to an asynchronous member: that may lose rows.
    "without": ("failover",),
}
QUORUM = {**SYNCHRONOUS, "synchronous_mode": "quorum"}
TWO = {**SYNCHRONOUS, "synchronous_node_count": 2}
STRICT = {**SYNCHRONOUS, "synchronous_mode_strict": True}
FAILSAFE: dict[str, Any] = {"failsafe_mode": True}
SHORT: dict[str, Any] = {"ttl": 20, "loop_wait": 5, "retry_timeout": 5}


QUICK = [
    *((seed, {}) for seed in range(2)),
    *((seed, SYNCHRONOUS) for seed in range(4, 6)),
    (8, QUORUM),
    (10, FAILSAFE),
    (13, TWO),
    (14, STRICT),
    (15, SHORT),
]
MORE = [
    *((seed, {}) for seed in range(2, 4)),
    *((seed, SYNCHRONOUS) for seed in range(6, 8)),
    (9, QUORUM),
    *((seed, FAILSAFE) for seed in range(11, 13)),
]


@pytest.mark.parametrize(
    ("seed", "settings"),
    [*QUICK, *(pytest.param(*more, marks=pytest.mark.slow) for more in MORE)],
)
def test_no_law_breaks_and_the_cluster_comes_to_rest(
    seed: int, settings: dict[str, Any]
) -> None:
    """Laws 1, 3, 4 and 6; ELEC-27."""
    live(seed, **settings)


FIRST_FAULTS = {**FAILSAFE, "without": ("wipe store", "pause", "restart daemon")}
"""What a seed means hangs on the faults there are: these were found with fewer."""

REGRESSIONS = [
    pytest.param(
        10,
        FIRST_FAULTS,
        id="a candidate that was asked for and may not lead kept all from leading",
    ),
    pytest.param(
        12,
        FIRST_FAULTS,
        id="a leader that was frozen listed a member that had promised nothing",
    ),
]


@pytest.mark.parametrize(("seed", "settings"), REGRESSIONS)
def test_what_once_went_wrong_goes_well(seed: int, settings: dict[str, Any]) -> None:
    """P-FSAFE-02, P-FSAFE-03, P-FSAFE-06."""
    live(seed, **settings)
