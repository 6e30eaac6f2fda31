"""How many hours of a cluster the simulator plays in a minute of CPU time.

    python -m benchmarks.simulation [HOURS [PROFILE...]]

Three members with default settings.  Quiet hours are counted and not played
(docs/simulation.md); both are told.
"""

import sys
import time

from regnal.replay.simulation.campaign import Cluster, draw, lives
from regnal.replay.simulation.life import live
from regnal.replay.simulation.profiles import HOUR, PROFILES

NAMES = ("pg1", "pg2", "pg3")
SEED = 1


def main(hours: float, profiles: list[str]) -> None:
    print(
        "profile        hours  faults  played h  CPU s  hours/min  faults/min  broken"
    )
    for name in profiles:
        schedule = draw(PROFILES[name], hours, NAMES, SEED)
        began = time.process_time()
        lived = [live(life) for life in lives(Cluster(NAMES, {}), schedule, SEED)]
        minutes = (time.process_time() - began) / 60
        played = sum(one.played for one in lived) / HOUR
        print(
            f"{name:12}  {hours:6g}  {len(schedule):6}  {played:8.2f}  {minutes * 60:5.1f}"
            f"  {hours / minutes:9.0f}  {len(schedule) / minutes:10.0f}"
            f"  {sum(one.is_broken for one in lived):6}"
        )


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(
        float(arguments[0]) if arguments else 40.0,
        arguments[1:] or ["az-loss", "crashes", "partitions", "everything"],
    )
