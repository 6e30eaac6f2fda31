"""The journal never blocks safety: real disks, full and frozen."""

import time
from pathlib import Path

from regnal.journal.options import JournalOptions
from regnal.journal.verification import verify
from regnal.journal.waiting import Kept
from regnal.messages.cluster import StoreUnreachable
from tests.journal.builders import fold, kinds, records
from tests.journal.disks import fill, freezable_disk, small_disk
from tests.journal.member_writer import OPTIONS, Speaker, eventually, speaking

LONG = StoreUnreachable(error="x" * 500, unanswered_for=1.0)


def order(speaker: Speaker) -> tuple[Kept, float]:
    begun = time.monotonic()
    kept = speaker.order("acquire", durable=True)
    return kept, time.monotonic() - begun


def all_is_kept(speaker: Speaker, directory: Path) -> bool:
    found = {r.fields["id"] for r in records(directory) if r.kind == "message"}
    return set(speaker.said) <= found


def lost_in(directory: Path) -> int:
    return sum(r.fields["lost"] for r in records(directory) if r.kind == "gap")


def test_a_full_disk_is_not_waited_for_and_nothing_is_lost_while_the_buffer_lasts(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        directory = disk / "journal"
        with speaking(directory) as speaker:
            assert order(speaker)[0] is Kept.ON_DISK
            ballast = fill(disk)
            for _ in range(200):
                speaker.hear(speaker.say(LONG)[1])
            kept, took = order(speaker)
            assert kept is Kept.QUEUED
            assert took < OPTIONS.patience / 2
            assert "No space left" in (speaker.writer.trouble or "")
            ballast.unlink()
            eventually(lambda: speaker.writer.trouble is None, "the disk to be used")
            assert order(speaker)[0] is Kept.ON_DISK
            assert all_is_kept(speaker, directory)
        found = records(directory)
        assert "gap" not in kinds(found)
        assert fold(found) == speaker.memory
        assert verify(directory).is_whole


def test_what_the_buffer_could_not_hold_is_a_gap_and_a_snapshot_follows(
    tmp_path: Path,
) -> None:
    options = JournalOptions(patience=0.25, retry_seconds=0.05, buffer_bytes=50_000)
    with small_disk(tmp_path / "disk") as disk:
        directory = disk / "journal"
        with speaking(directory, options) as speaker:
            ballast = fill(disk)
            lost = 0
            for _ in range(300):
                kept, heard = speaker.say(LONG)
                lost += kept is Kept.LOST
                lost += speaker.hear(heard) is Kept.LOST
            assert lost > 0
            ballast.unlink()
            eventually(lambda: lost_in(directory) == lost, "the gap to be noted")
            assert order(speaker)[0] is Kept.ON_DISK
            assert all_is_kept(speaker, directory)
        found = records(directory)
        gaps = [r for r in found if r.kind == "gap"]
        assert gaps[0].fields["first"] <= gaps[0].fields["last"]
        after = found[found.index(gaps[-1]) :]
        assert kinds(after)[:4] == ["gap", "seal", "start", "snapshot"]
        verdict = verify(directory)
        assert verdict.is_whole
        assert verdict.lost == lost


def test_a_daemon_starts_on_a_full_disk_and_writes_as_soon_as_it_can(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        directory = disk / "journal"
        with speaking(directory) as speaker:
            speaker.order("acquire", durable=True)
        ballast = fill(disk)
        with speaking(directory) as speaker:
            assert speaker.writer.trouble is not None
            assert order(speaker)[0] is Kept.QUEUED
            ballast.unlink()
            eventually(lambda: speaker.writer.trouble is None, "the disk to be used")
            assert order(speaker)[0] is Kept.ON_DISK
        found = records(directory)
        starts = [r for r in found if r.kind == "start"]
        assert len({r.fields["incarnation"] for r in starts}) == 2
        second = found[found.index(starts[1]) :]
        assert fold(second) == speaker.memory
        ids = {r.fields["id"] for r in second if r.kind == "message"}
        assert ids == set(speaker.said)
        assert verify(directory).is_whole


def test_a_disk_that_does_not_answer_is_waited_for_once_and_briefly(
    tmp_path: Path,
) -> None:
    with freezable_disk(tmp_path / "disk") as disk:
        directory = disk.mount_point / "journal"
        with speaking(directory) as speaker:
            assert order(speaker)[0] is Kept.ON_DISK
            disk.freeze()
            try:
                kept, took = order(speaker)
                assert kept is Kept.QUEUED
                assert took < OPTIONS.patience + 2
                begun = time.monotonic()
                for _ in range(20):
                    assert order(speaker)[0] is Kept.QUEUED
                assert time.monotonic() - begun < 20 * OPTIONS.patience / 2
            finally:
                disk.thaw()
            eventually(
                lambda: order(speaker)[0] is Kept.ON_DISK,
                "the disk to be waited for again",
            )
            assert all_is_kept(speaker, directory)
        assert fold(records(directory)) == speaker.memory
        assert verify(directory).is_whole
