"""The lives in which the simulator must catch the mutants, in their order.

    first = hostile_life(1)

Each is a new cluster of three and one strike, whose details come from the number.
"""

import random
from typing import Any

from regnal.replay.simulation.faults import in_order
from regnal.replay.simulation.life import BEGINNING, Life
from regnal.replay.simulation.strikes import (
    STRIKES,
    an_end_is_told_late,
    struck_at,
    the_leader_key_is_deleted,
)

NAMES = ("a", "b", "c")
STRUCK = (*STRIKES, the_leader_key_is_deleted, an_end_is_told_late)
COMMON: dict[str, Any] = {
    "ttl": 20,
    "loop_wait": 5,
    "retry_timeout": 5,
    "maximum_lag_on_failover": 3000,
}
"""Heartbeats come fast, and three seconds without a row are too much lag."""

MODES = ("off", "on", "quorum")


def hostile_life(number: int) -> Life:
    """From 1 on.  Each strike comes in each mode."""
    chance = random.Random(number)
    around, which = divmod(number - 1, len(STRUCK))
    faults = struck_at(BEGINNING + chance.uniform(0, 5), STRUCK[which](chance))
    mode = MODES[(around + which) % len(MODES)]
    return Life(NAMES, number, in_order(faults), {**COMMON, "synchronous_mode": mode})
