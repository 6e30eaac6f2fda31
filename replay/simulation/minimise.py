"""The minimiser: of the faults of a life that fails, the fewest with which it still does.

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
Input", 2002): halves are tried first, then ever smaller parts, until no single fault can
be left out.  A life is the same each time it is lived, so that one trial is enough.
"""

from collections.abc import Callable

from regnal.messages.frozen import replace
from regnal.replay.simulation.faults import Schedule
from regnal.replay.simulation.life import Life, Lived, live

MOST_TRIALS = 150
"""Then the best so far is taken."""

Live = Callable[[Life], Lived]


def minimise(life: Life, lived: Lived, live: Live = live) -> tuple[Life, Lived]:
    """A life with fewer faults that breaks in the same way, and how it does."""
    best, best_lived = life, lived
    parts, trials = 2, 0
    while len(best.schedule) >= 2 and trials < MOST_TRIALS:
        for schedule in _without_a_part(best.schedule, parts):
            trials += 1
            candidate = replace(best, schedule=schedule)
            tried = live(candidate)
            if tried.broken == lived.broken:
                best, best_lived = candidate, tried
                parts = max(parts - 1, 2)
                break
        else:
            if parts >= len(best.schedule):
                break
            parts = min(2 * parts, len(best.schedule))
    return best, best_lived


def _without_a_part(schedule: Schedule, parts: int) -> list[Schedule]:
    """The schedule less each of so many parts."""
    size = max(1, -(-len(schedule) // parts))
    return [
        (*schedule[:start], *schedule[start + size :])
        for start in range(0, len(schedule), size)
    ]
