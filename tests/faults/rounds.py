"""Rounds of faults on a real cluster: clients write, something breaks, all is checked.

    python -m tests.faults.rounds --minutes 10 --seed 7 --mode sync
    python -m tests.faults.rounds --fault "host killed" --rounds 3 --mode async

A round is: a complete cluster, a fault, its end, a complete cluster again.  Then the
history of the clients, the rows that are there, the journals and the servers' logs are
held against what was promised.  The same seed gives the same faults in the same order.
Exit status 1: a round failed; what it left behind is in the directory that is named.
"""

import argparse
import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psycopg2

from regnal.demo.binaries import NothingToRun
from regnal.demo.cluster import Document, Member
from regnal.journal.places import segments
from regnal.journal.stamps import wall_text
from regnal.replay.evidence.writing import overlaps as journal_overlaps
from regnal.replay.explaining.explain import Investigation
from tests.faults.checkers import (
    longest_outage,
    lost,
    overlaps,
    phantoms,
    stale_reads,
    two_primaries,
)
from tests.faults.disks import own_disks
from tests.faults.history import Follower
from tests.faults.lab import Lab, laboratory, wait_a_little
from tests.faults.server_logs import stretches_of
from tests.faults.trouble import FAULTS, Arena, Fault, by_name
from tests.faults.workload import TABLES

REPOSITORY = Path(__file__).parents[2]
EVIDENCE = Path("/tmp/regnal-fault-rounds")

SETTLE = 2.0
"""Seconds of undisturbed writing before each fault."""

AFTERMATH = 4.0
"""Seconds for which a cluster must be well before it counts as recovered."""

RECOVERY_LIMIT = 90.0
"""Seconds after the end of a fault within which all must be well by itself."""

LOG_TOLERANCE = 0.05
"""Seconds by which lines of two servers' logs may be late."""

ROWS = "SELECT id FROM regnal_rows"


@dataclass
class Round:
    """What came of one round."""

    number: int
    fault: str
    mode: str
    leader: str
    successor: str = ""
    outage: float = 0.0
    """Seconds without an acknowledged row, as the clients lived through it."""

    recovered: float | None = None
    """Seconds from the end of the fault to a complete cluster; None: not in time."""

    acknowledged: int = 0
    unknown: int = 0
    lost: int = 0
    explained: str = ""
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.problems


class Run:
    """One cluster, one workload, any number of rounds."""

    def __init__(self, lab: Lab, arena: Arena, mode: str, evidence: Path) -> None:
        self._lab = lab
        self._arena = arena
        self._mode = mode
        self._evidence = evidence
        self._history = Follower(lab.directory / "history.jsonl")
        self._known_lost: set[int] = set()
        self.rounds: list[Round] = []

    @contextlib.contextmanager
    def workload(self) -> Iterator[None]:
        cluster = self._lab.cluster
        self._lab.stage.sql(self._lab.stage.leader(), TABLES)
        asked = {
            "servers": {
                member.name: cluster.connection_string_to(member)
                for member in cluster.members
            },
            "history": str(self._lab.directory / "history.jsonl"),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.workload"],
            stdin=subprocess.PIPE,
            cwd=REPOSITORY,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(asked))
        process.stdin.close()
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)

    def play(self, fault: Fault) -> Round:
        self._lab.stage.wait("a healthy cluster", self._is_healthy, RECOVERY_LIMIT)
        wait_a_little(SETTLE)
        began, began_wall = time.monotonic(), time.time()
        leader = self._lab.stage.leader()
        one = Round(len(self.rounds) + 1, fault.name, self._mode, leader.name)
        self.rounds.append(one)
        try:
            fault.begin(self._arena)
            wait_a_little(fault.seconds)
        finally:
            self._arena.let_go_on()
        ended = time.monotonic()
        try:
            self._lab.stage.wait("recovery", self._is_healthy, RECOVERY_LIMIT)
            one.recovered = time.monotonic() - ended
            # What was set in motion may come to light only now.
            wait_a_little(AFTERMATH)
            self._lab.stage.wait("recovery", self._is_healthy, RECOVERY_LIMIT)
        except NothingToRun as error:
            one.problems.append(f"it did not recover: {str(error).splitlines()[0]}")
            self._arena.let_go_on()
        self._check(one, began, began_wall)
        if not one.is_good:
            self._keep(one)
        return one

    def _is_healthy(self) -> bool:
        """Complete, and rows were acknowledged in the last second."""
        if not self._lab.cluster.is_complete():
            return False
        recent = self._history.catch_up()[-200:]
        now = time.monotonic()
        return any(
            op.kind == "append" and op.result == "acknowledged" and op.ended > now - 1
            for op in recent
        )

    def _check(self, one: Round, began: float, began_wall: float) -> None:
        now = time.monotonic()
        history = self._history.catch_up()
        recent = [op for op in history if op.ended >= began - SETTLE]
        appends = [op for op in recent if op.kind == "append"]
        one.acknowledged = sum(op.result == "acknowledged" for op in appends)
        one.unknown = sum(op.result == "unknown" for op in appends)
        one.outage = longest_outage(history, began, now).seconds
        for found in two_primaries(recent):
            one.problems.append(
                f"{found.old} acknowledged {found.writes} writes up to "
                f"{found.until - found.since:.3f} s after {found.new} had begun"
            )
        self._check_rows(one)
        stale = stale_reads(recent)
        if stale and self._mode == "sync":
            one.problems.append(f"{len(stale)} stale reads, such as {stale[0]}")
        self._check_logs(one, began_wall)
        self._check_journals(one, began_wall)

    def _check_rows(self, one: Round) -> None:
        leader = self._lab.cluster.leader()
        if leader is None:
            return
        one.successor = leader.name if leader.name != one.leader else ""
        until = time.monotonic()
        with contextlib.suppress(psycopg2.Error):
            rows = self._lab.stage.sql(leader, ROWS)
            present = frozenset(int(row[0]) for row in rows)
            history = [op for op in self._history.catch_up() if op.ended < until]
            gone = set(lost(history, present)) - self._known_lost
            one.lost = len(gone)
            self._known_lost |= gone
            if gone and self._mode == "sync":
                one.problems.append(f"{len(gone)} acknowledged rows are lost")
            asked = {op.number for op in history if op.kind == "append"}
            came_back = phantoms(history, present & asked)
            if came_back:
                one.problems.append(f"{len(came_back)} refused rows are there")

    def _check_logs(self, one: Round, since: float) -> None:
        stretches = [
            stretch
            for member in self._arena.members
            for stretch in stretches_of(member.name, member.directory / "pg_log")
        ]
        for old, new in overlaps(stretches, LOG_TOLERANCE):
            if (old.until or 0) < since:
                continue
            both = (old.until or 0) - new.since
            one.problems.append(
                f"by their logs {old.server} and {new.server} took writes for {both:.3f} s"
            )

    def _check_journals(self, one: Round, since: float) -> None:
        journals = {
            member.name: member.journal
            for member in self._arena.members
            if member.journal.exists() and segments(member.journal)
        }
        text = wall_text(int((since - 5) * 1e6))
        investigation = Investigation(journals, since=text)
        for both in journal_overlaps(investigation.stretches):
            if both.until < since:
                continue
            one.problems.append(
                f"by their journals {both.members} took writes for "
                f"{both.until - both.since:.3f} s"
            )
        outages = [
            told
            for told in investigation.listed()
            if told.began > since - 1
            and (told.weight == "outage" or told.kind == "leader_changed")
        ]
        one.explained = ", ".join(dict.fromkeys(told.cause for told in outages)) or "-"
        expected = by_name(one.fault).expected
        if expected and not expected & {told.cause for told in outages}:
            one.remarks.append(f"explain names {one.explained}, not {min(expected)}")

    def _keep(self, one: Round) -> None:
        """What is needed to find out why."""
        place = self._evidence / f"round-{one.number}-{one.fault.replace(' ', '-')}"
        place.mkdir(parents=True, exist_ok=True)
        for member in self._arena.members:
            kept = place / member.name
            kept.mkdir(exist_ok=True)
            for name in ("journal", "pg_log"):
                with contextlib.suppress(OSError):
                    shutil.copytree(
                        member.directory / name, kept / name, dirs_exist_ok=True
                    )
            with contextlib.suppress(OSError):
                shutil.copy(member.log, kept)
        shutil.copy(self._lab.directory / "history.jsonl", place)
        (place / "round.json").write_text(json.dumps(asdict(one), indent=1))


def amend(member: Member, document: Document) -> None:
    """Small WAL for small disks, and logs of the servers that can be read."""
    dynamic = document["bootstrap"]["dcs"]["postgresql"]["parameters"]
    dynamic |= {"max_wal_size": "96MB", "min_wal_size": "48MB", "wal_keep_size": "32MB"}
    document["postgresql"]["parameters"] |= {
        "logging_collector": "on",
        "log_directory": str(member.directory / "pg_log"),
        "log_filename": "postgresql.log",
        "log_line_prefix": "%n [%p] ",
        "log_rotation_size": "0",
        "log_rotation_age": "0",
        "log_checkpoints": "off",
    }


@contextlib.contextmanager
def running(
    mode: str, seed: int, evidence: Path, lease: float | None = None
) -> Iterator[Run]:
    """A cluster that has just been bootstrapped, its clients writing.

    `lease`: seconds, if it is to be shorter than ttl.
    """

    def amend_all(member: Member, document: Document) -> None:
        amend(member, document)
        if lease is not None:
            document["fencing"] = {"lease": lease}
            document["watchdog"] = {"mode": "off"}

    with (
        own_disks() as disks,
        laboratory(
            amend=amend_all,
            synchronous=mode == "sync",
            prepare=disks.prepare,
            may_be_slow=True,
        ) as lab,
    ):
        lab.stage.writer.stop()
        arena = Arena(lab, disks, random.Random(seed))
        run = Run(lab, arena, mode, evidence)
        with run.workload():
            yield run


def schedule(seed: int, chosen: Sequence[Fault]) -> Iterator[Fault]:
    """Each fault once in random order, then again in another order, and so on."""
    chance = random.Random(seed)
    while True:
        order = list(chosen)
        chance.shuffle(order)
        yield from order


HEAD = (
    f"{'#':>3} {'fault':31} {'leader':6} {'next':5} {'outage':>7} {'healed':>7} "
    f"{'acked':>6} {'lost':>5} {'unkn':>4}  explain"
)


def line_of(one: Round) -> str:
    healed = "never" if one.recovered is None else f"{one.recovered:.1f} s"
    text = (
        f"{one.number:>3} {one.fault:31} {one.leader:6} {one.successor or '=':5} "
        f"{one.outage:>5.1f} s {healed:>7} {one.acknowledged:>6} {one.lost:>5} "
        f"{one.unknown:>4}  {one.explained}"
    )
    marked = [f"    !!! {problem}" for problem in one.problems]
    marked += [f"      ? {remark}" for remark in one.remarks]
    return "\n".join([text, *marked])


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.rounds",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mode", choices=("sync", "async"), default="sync")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="no new round after so long")
    parser.add_argument("--rounds", type=int, help="default: each fault once")
    parser.add_argument("--fault", action="append", help="only this one (repeatable)")
    parser.add_argument("--lease", type=float, help="fencing.lease; default: none")
    parser.add_argument("--evidence", type=Path, default=EVIDENCE)
    parser.add_argument("--json", type=Path, help="write the rounds there as well")
    asked = parser.parse_args()
    try:
        chosen = [by_name(name) for name in asked.fault or ()] or list(FAULTS)
    except KeyError as error:
        names = "\n  ".join(fault.name for fault in FAULTS)
        parser.error(f"there is no fault {error}; there are:\n  {names}")
    limit = asked.rounds or (10**6 if asked.minutes else len(chosen))
    end = time.monotonic() + 60 * asked.minutes if asked.minutes else float("inf")
    print(f"mode {asked.mode}, seed {asked.seed}\n{HEAD}", flush=True)  # noqa: T201
    with running(asked.mode, asked.seed, asked.evidence, asked.lease) as run:
        for fault in schedule(asked.seed, chosen):
            if len(run.rounds) >= limit or time.monotonic() > end:
                break
            print(line_of(run.play(fault)), flush=True)  # noqa: T201
            if run.rounds[-1].recovered is None:
                break
        if asked.json:
            document = [asdict(one) for one in run.rounds]
            asked.json.write_text(json.dumps(document, indent=1))
    bad = sum(not one.is_good for one in run.rounds)
    print(f"{len(run.rounds)} rounds, {bad} with problems")  # noqa: T201
    if bad:
        print(f"What they left behind is in {asked.evidence}.")  # noqa: T201
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
