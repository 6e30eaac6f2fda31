"""Real disks in trouble: one that is full, one that does not answer.

They are mounted by the test, which only root may; others skip, and are told why.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MEBIBYTE = 1024 * 1024


@contextmanager
def small_disk(mount_point: Path, size: int = MEBIBYTE) -> Iterator[Path]:
    """A file system in memory that is full after `size` bytes."""
    _mount(mount_point, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")
    try:
        yield mount_point
    finally:
        _run("umount", "--lazy", mount_point)


class FreezableDisk:
    """A file system on which every write can be made to wait, without an error."""

    def __init__(self, mount_point: Path) -> None:
        self.mount_point = mount_point

    def freeze(self) -> None:
        _run("fsfreeze", "--freeze", self.mount_point)

    def thaw(self) -> None:
        """No harm if it is not frozen."""
        subprocess.run(
            ["fsfreeze", "--unfreeze", self.mount_point],
            check=False,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def freezable_disk(mount_point: Path) -> Iterator[FreezableDisk]:
    """Skips where there is no loop device."""
    for program in ("mkfs.ext4", "fsfreeze"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    image = mount_point.with_suffix(".img")
    image.touch()
    os.truncate(image, 16 * MEBIBYTE)
    _run("mkfs.ext4", "-q", image)
    _mount(mount_point, "-o", "loop", str(image))
    disk = FreezableDisk(mount_point)
    try:
        yield disk
    finally:
        disk.thaw()
        _run("umount", "--lazy", mount_point)
        image.unlink()


def fill(disk: Path) -> Path:
    """Take all the room there is; remove the file that is returned to give it back."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return ballast


def _mount(mount_point: Path, *arguments: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    mount_point.mkdir()
    done = subprocess.run(
        ["mount", *arguments, mount_point], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)
