"""What reading a large journal takes: records a second, and memory.

    python -m benchmarks.journal_read [MEBIBYTES] [DIRECTORY]

The journal is made of the records of a real one (tests/journals), again and again, with
numbers, clocks and hashes as if the member had lived on.  Each measurement runs in a
process of its own, whose peak memory is told.  DIRECTORY is on the disk to be used; by
default a temporary one.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from regnal.journal.bundles import Content, Making, write_bundle
from regnal.journal.encoding import NO_HASH, line
from regnal.journal.options import JournalOptions
from regnal.journal.places import segment_path, segments
from regnal.journal.reader import Record, Window, scan
from regnal.journal.retention import compress
from regnal.journal.segment_input import begun_at
from regnal.journal.stamps import hlc_text, parse_hlc
from regnal.journal.unbundling import unpack_bundle
from regnal.journal.verification import verify
from regnal.replay.case import opened
from regnal.replay.explaining.explain import LATEST, Investigation

MUSEUM = Path(__file__).parent.parent / "tests" / "journals" / "0.1.0-demo" / "pg1"

MEBIBYTE = 1024 * 1024

DEFAULT_SIZE = 512
"""Mebibytes: half of what a member keeps by default, packed eight times as much."""

LIFE = 200_000_000
"""Microseconds between two repetitions; the real journal is three minutes long."""

_PREVIOUS = re.compile(rb'(?<="previous":")[0-9a-f]{32}')
_HLC = re.compile(rb'(?<="hlc":")[^"]+')


def make(directory: Path, size: int, *, with_starts: bool = False) -> None:
    """A journal of about so many bytes.

    `with_starts`: each repetition is a life of the daemon, so that it can be replayed;
    else the records of a segment are of one.
    """
    directory.mkdir()
    bodies = [
        record.line.partition(b",")[2].rpartition(b',"hash"')[0]
        for record in scan(MUSEUM)
        if isinstance(record, Record)
    ]
    limit = JournalOptions().segment_bytes
    number, own, written, file = 0, NO_HASH, 0, None
    for text in _lives(bodies, size):
        is_start = b'"kind":"start"' in text
        if is_start and (file is None or file.tell() > limit):
            if file is not None:
                file.close()
            file = segment_path(directory, number + 1).open("wb")
        elif is_start and not with_starts:
            continue  # the same segment goes on
        number += 1
        made, own = line(number, _PREVIOUS.sub(own.encode(), text), own)
        assert file is not None
        written += file.write(made)
        if written >= size:
            break
    assert file is not None
    file.close()


def _lives(bodies: list[bytes], size: int) -> Iterator[bytes]:
    """The bodies again and again, each time later."""
    for life in range(size):
        for body in bodies:
            found = _HLC.search(body)
            assert found is not None
            stamp = parse_hlc(found[0].decode())
            later = replace(stamp, wall_us=stamp.wall_us + life * LIFE)
            yield body.replace(found[0], hlc_text(later).encode(), 1)


def scanned(directory: Path) -> int:
    return sum(1 for _ in scan(directory))


def parsed(directory: Path) -> int:
    return sum(
        1 for item in scan(directory) if isinstance(item, Record) and item.fields
    )


def verified(directory: Path) -> int:
    verdict = verify(directory)
    assert verdict.is_whole
    return verdict.records


def windowed(directory: Path) -> int:
    """The last segment's time, of all of them."""
    since = begun_at(segments(directory)[-1])
    return sum(1 for _ in scan(directory, Window(since=since)))


def bundled(directory: Path) -> int:
    making = Making(made_at="", made_by="")
    target = directory.with_name("bundle.tar.gz")
    manifest = write_bundle(target, [Content(directory)], making)
    return manifest.journals[0].records or 0


def unbundled(directory: Path) -> int:
    with tempfile.TemporaryDirectory(dir=directory.parent) as name:
        bundle = directory.with_name("bundle.tar.gz")
        manifest = unpack_bundle(bundle, Path(name) / "out").manifest
    assert manifest is not None
    return manifest.journals[0].records or 0


def explained(directory: Path) -> int:
    """What `regnal explain` does: the pass over all of it, then the latest story."""
    found = Investigation({"pg1": directory})
    assert found.story(found.find(LATEST)).verdict
    return 0


def looked_at(directory: Path) -> int:
    """As every tool of replay begins: what is it, and of whom?"""
    with opened([str(directory)]) as case:
        assert len(case.journals) == 1
    return 0


MEASURES: Mapping[str, tuple[str, str, Callable[[Path], int]]] = {
    "scan": ("plain", "read and check the chain", scanned),
    "parse": ("plain", "the same, every record parsed", parsed),
    "verify": ("plain", "`journal verify`", verified),
    "scan-packed": ("packed", "read and check the chain, compressed", scanned),
    "window": ("packed", "the last segment of it, by --since", windowed),
    "explain": ("packed", "`explain`, the latest incident", explained),
    "look": ("packed", "open a case of it (no record is read)", looked_at),
    "bundle": ("packed", "`journal export`, with its check", bundled),
    "unbundle": ("packed", "unpack that bundle, digests checked", unbundled),
}
"""By name: on which form of the journal, what it is, and what is done."""


PARTS = ("look", "window")
"""These do not read all of it."""


def measure(name: str, directory: Path) -> None:
    """In the child: one line of JSON."""
    before = peak()
    begun, used = time.perf_counter(), time.process_time()
    records = MEASURES[name][2](directory)
    result = {
        "records": records,
        "seconds": time.perf_counter() - begun,
        "cpu": time.process_time() - used,
        "peak": peak(),
        "before": before,
    }
    print(json.dumps(result))


def peak() -> float:
    """Mebibytes.  Not getrusage: its ru_maxrss begins with that of the parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main(size: int, below: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=below) as name:
        plain, packed = Path(name) / "plain", Path(name) / "packed"
        make(plain, size * MEBIBYTE)
        make(packed, size * MEBIBYTE)
        for segment in segments(packed):
            compress(segment.path)
        found = [segment.path.stat().st_size for segment in segments(plain)]
        small = sum(segment.path.stat().st_size for segment in segments(packed))
        print(
            f"{sum(found) / MEBIBYTE:.0f} MiB in {len(found)} segments, "
            f"{small / MEBIBYTE:.0f} MiB compressed\n"
        )
        print(
            f"{'':<40}{'records/s':>12}{'MiB/s':>8}{'seconds':>9}{'of CPU':>8}"
            f"{'peak MiB':>10}{'more':>6}"
        )
        for key, (form, what, _) in MEASURES.items():
            _report(key, what, Path(name) / form, sum(found))


def _report(name: str, what: str, directory: Path, size: int) -> None:
    child = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.journal_read"),
            "--measure",
            name,
            directory,
        ],
        stdout=subprocess.PIPE,
        check=True,
    )
    got = json.loads(child.stdout)
    # By CPU time: a machine that others use too would else be measured.
    rate = f"{got['records'] / got['cpu']:,.0f}" if got["records"] else ""
    speed = f"{size / got['cpu'] / MEBIBYTE:.0f}" if name not in PARTS else ""
    print(
        f"{what:<40}{rate:>12}{speed:>8}{got['seconds']:>9.2f}{got['cpu']:>8.2f}"
        f"{got['peak']:>10.0f}{got['peak'] - got['before']:>6.0f}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], Path(sys.argv[3]))
    else:
        main(
            int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_SIZE,
            sys.argv[2] if len(sys.argv) > 2 else None,
        )
