"""Room on disks, as the kernel tells it."""

import os
import shutil
from pathlib import Path

from regnal.bridges.host.disks import disk_rooms


def test_each_file_system_is_told_once_under_the_first_path_on_it(
    tmp_path: Path,
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    first, second = disk_rooms((tmp_path, inside, Path("/proc"), Path("/proc/self")))
    assert first.path == str(tmp_path)
    assert second.path == "/proc"
    usage = shutil.disk_usage(tmp_path)
    assert first.size == usage.total
    assert abs(first.free - usage.free) < usage.total * 0.05
    assert first.free_files is None or first.free_files <= os.statvfs(tmp_path).f_files


def test_a_file_system_that_makes_files_as_needed_has_no_count() -> None:
    (room,) = disk_rooms((Path("/proc"),))
    assert room.free_files is None


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    assert list(disk_rooms((tmp_path / "gone",))) == []
