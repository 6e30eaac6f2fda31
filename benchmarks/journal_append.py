"""What a record costs: appending with and without the disk, reading back.

    python -m benchmarks.journal_append [DIRECTORY]

DIRECTORY is on the disk to be measured; by default a temporary one.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from regnal.actors.step import Decider, Step
from regnal.journal.decoding import envelope_of
from regnal.journal.ledger import Identity
from regnal.journal.options import JournalOptions
from regnal.journal.reader import Record, scan
from regnal.journal.retention import compress
from regnal.journal.writer import JournalWriter
from regnal.messages.base import Message
from regnal.messages.envelope import Envelope
from regnal.messages.lease import AcquireLeader, LeaderReleased
from regnal.messages.postgres import PostgresObserved, PostgresStatus, WalSender
from regnal.messages.store import ReadCluster

IDENTITY = Identity("pg1", "bench", (("regnal", "0"),), "boot")

# Everything stays: what is measured is writing, not removing.
OPTIONS = JournalOptions(keep_bytes=1 << 40, buffer_bytes=1 << 28)

SMALL = LeaderReleased(member="pg1")

SENDER = WalSender(
    pid=4711,
    username="replicator",
    application_name="pg2",
    client_addr="10.0.0.2",
    state="streaming",
    sync_state="async",
    sync_priority=0,
    write_lsn=83886080,
    flush_lsn=83886080,
    replay_lsn=83886080,
)


@dataclass(frozen=True, slots=True)
class Nothing:
    """State of an actor that remembers nothing."""


ACTOR = Decider(
    name="election",
    hears=(LeaderReleased,),
    state=Nothing,
    initial=lambda member: Nothing(),
    handle=lambda state, envelope: Step(state),
)


@contextmanager
def writer(directory: Path) -> Iterator[JournalWriter]:
    opened = JournalWriter(directory, IDENTITY, (ACTOR,), OPTIONS)
    try:
        yield opened
    finally:
        opened.close(60)


def said(journal: JournalWriter, message: Message) -> Envelope[Message]:
    return journal.stamper.envelope(message, said_by="dcs", cause=None, trace=None)


def status(number: int) -> Message:
    """A primary with two standbys, a little further each time."""
    sender = SENDER.model_copy(update={"replay_lsn": number})
    return PostgresObserved(
        status=PostgresStatus(
            process="accepting",
            data_directory="valid",
            postmaster_pid=number,  # never like the one before
            in_recovery=False,
            timeline=3,
            write_lsn=83886080 + number,
            senders=(sender, sender),
        )
    )


def order(journal: JournalWriter, command: Message, *, durable: bool) -> None:
    heard = said(journal, SMALL)
    journal.message(heard)
    step = Step(Nothing(), (command,), "measure", {"now": 4711.5, "holder": None})
    spoken = [
        journal.stamper.envelope(command, said_by="election", cause=heard, trace=None)
    ]
    journal.step("election", heard, step, spoken, durable=durable)


def measure(action: Callable[[int], object], count: int, pause: float) -> list[float]:
    """Microseconds of each of `count` actions, with a pause between them."""
    taken = []
    for number in range(count):
        begun = time.perf_counter_ns()
        action(number)
        taken.append((time.perf_counter_ns() - begun) / 1000)
        if pause:
            time.sleep(pause)
    return sorted(taken)


def report(what: str, taken: Sequence[float]) -> None:
    print(
        f"{what:<58}{statistics.median(taken):>9.1f}"
        f"{taken[int(len(taken) * 0.99)]:>9.1f}{taken[-1]:>10.1f}"
    )


def appending(directory: Path) -> None:
    print(f"{'microseconds a call':<58}{'median':>9}{'p99':>9}{'longest':>10}")
    with writer(directory) as journal:
        for pause, how in ((0.0, "one after the other"), (0.001, "one a millisecond")):
            report(
                f"observation, small, {how}",
                measure(lambda n: journal.message(said(journal, SMALL)), 5000, pause),
            )
        report(
            "observation of PostgreSQL, two standbys",
            measure(lambda n: journal.message(said(journal, status(n))), 3000, 0.001),
        )
        read = ReadCluster(deadline=1.0)
        report(
            "step with an order, survives our death",
            measure(lambda n: order(journal, read, durable=False), 2000, 0.001),
        )
        acquire = AcquireLeader(member="pg1", ttl=30, deadline=1.0)
        report(
            "step that decides who writes, on disk (fdatasync)",
            measure(lambda n: order(journal, acquire, durable=True), 500, 0.001),
        )
        grouped(journal, acquire)


def grouped(journal: JournalWriter, command: Message) -> None:
    """Eight threads at once share their fdatasync."""
    taken: list[float] = []

    def run() -> None:
        taken.extend(measure(lambda n: order(journal, command, durable=True), 100, 0.0))

    threads = [threading.Thread(target=run) for _ in range(8)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = 800 / (time.perf_counter() - begun)
    report(f"the same by 8 threads at once ({rate:,.0f} a second)", sorted(taken))


def reading(directory: Path) -> None:
    with writer(directory) as journal:
        for number in range(100_000):
            journal.message(said(journal, SMALL if number % 4 else status(number)))
    plain = sum(path.stat().st_size for path in directory.glob("*.jsonl"))
    if not plain:  # it was compressed as soon as it was sealed
        plain = sum(len(i.line) for i in scan(directory) if isinstance(i, Record))
    print(f"\n{'records a second, reading (and checking the chain)':<58}")
    for path in directory.glob("*.jsonl"):
        compress(path)
    timed("compressed segments", lambda: sum(1 for _ in scan(directory)), plain)
    timed("as messages of the vocabulary", lambda: _decoded(directory), plain)


def _decoded(directory: Path) -> int:
    count = 0
    for item in scan(directory):
        if isinstance(item, Record) and item.kind == "message":
            envelope_of(item)
            count += 1
    return count


def timed(what: str, action: Callable[[], int], size: int) -> None:
    begun = time.perf_counter()
    count = action()
    seconds = time.perf_counter() - begun
    print(
        f"{what:<58}{count / seconds:>9,.0f}  "
        f"({size / seconds / 2**20:.0f} MiB a second)"
    )


def main() -> None:
    with tempfile.TemporaryDirectory(
        dir=sys.argv[1] if len(sys.argv) > 1 else None
    ) as name:
        appending(Path(name) / "append")
        reading(Path(name) / "read")


if __name__ == "__main__":
    main()
