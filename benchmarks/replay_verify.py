"""What replaying a large journal takes: records a second, and memory.

    python -m benchmarks.replay_verify [MEBIBYTES] [DIRECTORY]

The journal is that of `benchmarks.journal_read`, one life of a daemon after the other.  Each
measurement runs in a process of its own, whose peak memory is told.  What actors say of
their clock differs, for the clocks were moved.  DIRECTORY is on the disk to be used; by
default a temporary one.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.journal_read import MEBIBYTE, make, peak
from regnal.actors.cast import DECIDERS
from regnal.journal.places import segments
from regnal.journal.reader import Record, scan
from regnal.journal.segment_input import begun_at
from regnal.replay.playback.hearing import Hearing
from regnal.replay.playback.player import play
from regnal.replay.rebuild import rebuild
from regnal.replay.verify import verify_journal

DEFAULT_SIZE = 128
"""Mebibytes."""


def heard(directory: Path) -> int:
    """Who heard what, without any decider."""
    hearing = Hearing(DECIDERS)
    return sum(sum(1 for _ in hearing.take(item)) for item in scan(directory))


def played(directory: Path) -> int:
    return sum(1 for _ in play(directory, DECIDERS))


def verified(directory: Path) -> int:
    result = verify_journal(directory, DECIDERS)
    assert not result.troubles, result.troubles[0]
    return result.messages


def at_the_end(directory: Path) -> int:
    return rebuild(directory, DECIDERS).record


def in_the_middle(directory: Path) -> int:
    found = segments(directory)
    return rebuild(directory, DECIDERS, begun_at(found[len(found) // 2])).record


MEASURES: Mapping[str, tuple[str, Callable[[Path], int]]] = {
    "hear": ("who heard what", heard),
    "play": ("the same through the deciders", played),
    "verify": ("`replay verify`", verified),
    "end": ("`replay state`, at the end", at_the_end),
    "middle": ("`replay state --at` a moment in the middle", in_the_middle),
}
"""By name: what it is, and what is done."""

WHOLE = ("hear", "play", "verify")
"""These read all of it."""


def measure(name: str, directory: Path) -> None:
    """In the child: one line of JSON."""
    begun, used = time.perf_counter(), time.process_time()
    MEASURES[name][1](directory)
    result = {
        "seconds": time.perf_counter() - begun,
        "cpu": time.process_time() - used,
        "peak": peak(),
    }
    print(json.dumps(result))


def main(size: int, below: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=below) as name:
        directory = Path(name) / "journal"
        make(directory, size * MEBIBYTE, with_starts=True)
        records = sum(1 for item in scan(directory) if isinstance(item, Record))
        count = len(segments(directory))
        print(f"{records:,} records, {size} MiB in {count} segments\n")
        print(f"{'':<44}{'records/s':>10}{'seconds':>9}{'of CPU':>8}{'peak MiB':>10}")
        for key, (what, _) in MEASURES.items():
            child = subprocess.run(
                [
                    *(sys.executable, "-m", "benchmarks.replay_verify"),
                    *("--measure", key, directory),
                ],
                stdout=subprocess.PIPE,
                check=True,
            )
            got = json.loads(child.stdout)
            # By CPU time: a machine that others use too would else be measured.
            rate = f"{records / got['cpu']:,.0f}" if key in WHOLE else ""
            print(
                f"{what:<44}{rate:>10}{got['seconds']:>9.2f}{got['cpu']:>8.2f}"
                f"{got['peak']:>10.0f}"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], Path(sys.argv[3]))
    else:
        main(
            int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_SIZE,
            sys.argv[2] if len(sys.argv) > 2 else None,
        )
