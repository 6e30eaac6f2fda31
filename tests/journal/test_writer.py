"""What the daemon's threads may rely on when they write their journal."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from regnal.journal.options import JournalOptions
from regnal.journal.places import JournalLocked, JournalUnusable
from regnal.journal.verification import verify
from regnal.journal.waiting import Kept
from regnal.journal.writer import JournalWriter
from regnal.messages.cluster import StoreAnswered
from regnal.messages.lease import LeaderReleased
from regnal.messages.timers import TimerFired
from tests.journal.builders import IDENTITY, TOY, first_life, fold, kinds, records
from tests.journal.member_writer import OPTIONS, eventually, speaking


class CountedSync:
    """`fdatasync`, counted, and slow or failing on demand."""

    def __init__(self) -> None:
        self.count = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.errors: list[int] = []

    def __call__(self, descriptor: int) -> None:
        self.count += 1
        assert self.go_on.wait(30)
        if self.errors:
            error = self.errors.pop()
            raise OSError(error, os.strerror(error))
        os.fdatasync(descriptor)


def test_a_step_that_decides_who_writes_is_on_disk_before_it_is_sent(
    tmp_path: Path,
) -> None:
    sync = CountedSync()
    with speaking(tmp_path, fdatasync=sync) as speaker:
        assert speaker.order("acquire", durable=True) is Kept.ON_DISK
        assert sync.count == 1
        *_, step, said = records(tmp_path)
        assert kinds([step, said]) == ["step", "message"]
        assert said.fields["type"] == "acquire_leader"


def test_a_step_that_orders_something_is_written_before_it_is_sent(
    tmp_path: Path,
) -> None:
    sync = CountedSync()
    with speaking(tmp_path, fdatasync=sync) as speaker:
        assert speaker.order("read", durable=False) is Kept.WRITTEN
        assert records(tmp_path)[-1].fields["type"] == "read_cluster"
    assert sync.count == 1  # at the end


def test_an_idle_member_needs_no_fdatasync(tmp_path: Path) -> None:
    sync = CountedSync()
    with speaking(tmp_path, fdatasync=sync) as speaker:
        for number in range(50):
            speaker.beat(number)
        eventually(
            lambda: fold(records(tmp_path, with_held=True)) == speaker.memory,
            "the last beat to be written",
        )
        assert sync.count == 0
    assert fold(records(tmp_path)) == speaker.memory


def test_what_was_said_is_in_the_journal_in_its_order(tmp_path: Path) -> None:
    with speaking(tmp_path) as speaker:
        for _ in range(300):
            kept, heard = speaker.say(LeaderReleased(member="pg1"))
            assert kept is Kept.QUEUED
            speaker.hear(heard)
    found = records(tmp_path)
    assert [r.fields["id"] for r in found if r.kind == "message"] == speaker.said
    assert fold(found) == speaker.memory


def test_those_who_wait_together_share_one_fdatasync(tmp_path: Path) -> None:
    sync = CountedSync()
    options = JournalOptions(patience=20)
    with speaking(tmp_path, options, fdatasync=sync) as speaker:
        sync.go_on.clear()
        kept: list[Kept] = []

        def order() -> None:
            kept.append(speaker.order("acquire", durable=True))

        threads = [threading.Thread(target=order) for _ in range(20)]
        threads[0].start()
        eventually(lambda: sync.count == 1, "the first fdatasync")
        for thread in threads[1:]:
            thread.start()
        eventually(
            lambda: speaker.writer.head.number == 2 + 20 * 3, "all to be written"
        )
        sync.go_on.set()
        for thread in threads:
            thread.join()
        assert kept == [Kept.ON_DISK] * 20
        # Writing and asking are two moments: a straggler may need a third.
        assert sync.count <= 3


def test_a_head_that_others_may_witness_is_on_the_disk(tmp_path: Path) -> None:
    sync = CountedSync()
    with speaking(tmp_path, fdatasync=sync) as speaker:
        speaker.order("read", durable=False)
        assert sync.count == 0
        kept = speaker.writer.keep()
        assert sync.count == 1
        assert kept == speaker.writer.head
        assert kept.number == records(tmp_path)[-1].n


def test_a_head_that_a_disk_does_not_keep_is_shown_to_nobody(tmp_path: Path) -> None:
    """After a failure of the power it would look like one of a forged journal."""
    sync = CountedSync()
    with speaking(tmp_path, fdatasync=sync) as speaker:
        speaker.order("read", durable=False)
        sync.errors.append(errno.EIO)
        assert speaker.writer.keep() is None
        sync.go_on.clear()
        assert speaker.writer.keep() is None, "a disk that is late"
        sync.go_on.set()
        eventually(lambda: speaker.writer.keep() is not None, "the disk to keep it")


def test_a_slow_disk_is_waited_for_once_and_briefly(tmp_path: Path) -> None:
    sync = CountedSync()
    with speaking(tmp_path, fdatasync=sync) as speaker:
        sync.go_on.clear()
        try:
            begun = time.monotonic()
            kept = speaker.order("acquire", durable=True)
            assert kept is Kept.QUEUED
            assert OPTIONS.patience <= time.monotonic() - begun < OPTIONS.patience + 2

            begun = time.monotonic()
            for _ in range(20):
                kept = speaker.order("acquire", durable=True)
                assert kept is Kept.WRITTEN
            assert time.monotonic() - begun < 20 * OPTIONS.patience / 2
            assert speaker.writer.trouble is None
        finally:
            sync.go_on.set()

        def is_on_disk() -> bool:
            kept = speaker.order("acquire", durable=True)
            return kept is Kept.ON_DISK

        eventually(is_on_disk, "the disk to be waited for again")
    assert verify(tmp_path).is_whole


def test_after_a_failed_fdatasync_the_journal_says_so_and_begins_anew(
    tmp_path: Path,
) -> None:
    sync = CountedSync()
    with speaking(tmp_path, fdatasync=sync) as speaker:
        sync.errors = [errno.EIO]
        kept = speaker.order("acquire", durable=True)
        assert kept is Kept.WRITTEN
        eventually(
            lambda: [r.kind for r in records(tmp_path)].count("start") == 2,
            "a new segment",
        )
        assert speaker.order("acquire", durable=True) is Kept.ON_DISK
    gaps = [r for r in records(tmp_path) if r.kind == "gap"]
    assert len(gaps) == 1
    assert "Input/output error" in gaps[0].fields["why"]
    assert verify(tmp_path).is_whole


def test_nobody_else_may_read_a_journal(tmp_path: Path) -> None:
    options = replace(OPTIONS, segment_bytes=3_000, quiet_bytes=1_000)
    with speaking(tmp_path / "journal", options) as speaker:
        for number in range(20):
            speaker.beat(number)
            speaker.order("acquire", durable=True)
        speaker.beat(20)
        eventually(
            lambda: list((tmp_path / "journal").glob("*.gz")), "a segment to be sealed"
        )
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.glob("journal/*")}
    assert modes == {0o600}
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700


def test_only_one_process_writes_a_journal(tmp_path: Path) -> None:
    with (
        speaking(tmp_path),
        pytest.raises(JournalLocked, match="being written by another process"),
    ):
        JournalWriter(tmp_path, IDENTITY, (TOY,))


def test_a_directory_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    with pytest.raises(JournalUnusable, match=r"cannot write the journal in .*file"):
        JournalWriter(occupied, IDENTITY, (TOY,))


def test_each_start_has_an_incarnation_of_its_own(tmp_path: Path) -> None:
    for incarnation in (1, 2, 3):
        with speaking(tmp_path) as speaker:
            _, said = speaker.say(StoreAnswered())
            assert said.id == f"pg1/{incarnation}/1"
    (tmp_path / "incarnation").write_text("rubbish")
    with speaking(tmp_path) as speaker:
        assert speaker.writer.stamper.incarnation == 4
    assert verify(tmp_path).is_whole


def test_all_threads_start_at_once_and_end_with_the_journal(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with speaking(tmp_path) as speaker:
        started = {t.name for t in set(threading.enumerate()) - before}
        assert started == {"journal-writer", "journal-sync", "journal-retention"}
        speaker.order("acquire", durable=True)
        assert {t.name for t in set(threading.enumerate()) - before} == started
    assert set(threading.enumerate()) == before


def test_a_reader_can_wait_for_what_comes(tmp_path: Path) -> None:
    with speaking(tmp_path) as speaker:
        number = speaker.writer.head.number
        assert not speaker.writer.wait_beyond(number, 0.01)
        speaker.say(StoreAnswered())
        assert speaker.writer.wait_beyond(number, 10)


def test_the_head_names_the_last_record(tmp_path: Path) -> None:
    with speaking(tmp_path) as speaker:
        speaker.order("acquire", durable=True)
        last = records(tmp_path)[-1]
        head = speaker.writer.head
        assert str(head) == f"{last.n}:{last.fields['hash']}"
    assert verify(tmp_path, [head]).is_whole
    assert not verify(tmp_path, [head._replace(hash="0" * 32)]).is_whole


WRITER_TO_BE_KILLED = """
import sys, pathlib
from tests.journal.member_writer import speaking
with speaking(pathlib.Path(sys.argv[1])) as speaker:
    number = 0
    while True:
        number += 1
        speaker.beat(number)
        if number % 7 == 0:
            speaker.order("acquire", durable=number % 14 == 0)
        print(number, speaker.memory.beat_at, flush=True)
"""


@pytest.mark.parametrize("beats", [1, 20, 300])
def test_kill_9_loses_nothing_that_had_an_effect(tmp_path: Path, beats: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER_TO_BE_KILLED, tmp_path],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    try:
        for _ in range(beats):
            number, beat_at = process.stdout.readline().split()
    finally:
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
    for line in rest.splitlines(keepends=True):
        if line.endswith("\n"):
            number, beat_at = line.split()
    with speaking(tmp_path) as speaker:
        assert speaker.writer.stamper.incarnation == 2
        found = records(tmp_path)
    assert verify(tmp_path).is_whole
    # Each beat ordered something: it was not acknowledged before it was written.
    assert fold(first_life(found)).beat_at >= float(beat_at)
    orders = [r for r in found if r.fields.get("type") == "acquire_leader"]
    assert len(orders) >= int(number) // 7


def test_a_timer_that_is_routine_is_held_for_the_reader_who_asks(
    tmp_path: Path,
) -> None:
    with speaking(tmp_path) as speaker:
        for number in range(3):
            kept = speaker.hear(speaker.say(TimerFired(name="x", due_at=number))[1])
            assert kept is Kept.WRITTEN
        held = [r for r in records(tmp_path, with_held=True) if r.is_held]
        assert kinds(held) == ["message", "step", "message"] * 3
        assert held[0].n == speaker.writer.head.number + 1
