"""A disk of its own for each member, that can be full or stuck.

    with own_disks() as disks, laboratory(prepare=disks.prepare) as lab:
        disks.freeze(member)       # nothing is written until `let_go_on`

Everything of the member is on it: data, journal and log.  It is a file system in a
file, since that needs no device; `fsfreeze` holds back every write as a controller does
that no longer answers, and not even SIGKILL ends who waits for it.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from regnal.demo.cluster import Member
from tests.faults.lab import KEEP

SIZE = 640 << 20
"""Bytes of a disk; a cluster after some minutes of writing has half of it."""

ROOM = 1 << 20
"""Bytes that a full disk has left: less than a file of WAL."""


class OwnDisks:
    def __init__(self) -> None:
        self._mounted: list[Path] = []
        self._frozen: set[Path] = set()

    def prepare(self, member: Member) -> None:
        """Put what the member has, its configuration, on a disk of its own."""
        place = member.directory
        image = place.with_suffix(".disk")
        configuration = member.configuration.read_bytes()
        with image.open("wb") as file:
            file.truncate(SIZE)
        _run("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image))
        _run("mount", "-o", "loop", str(image), str(place))
        self._mounted.append(place)
        (place / "lost+found").rmdir()
        place.chmod(0o755)
        member.configuration.write_bytes(configuration)

    def freeze(self, member: Member) -> None:
        """Whoever writes there waits from now on."""
        self._frozen.add(member.directory)
        _run("fsfreeze", "--freeze", str(member.directory))

    def fill(self, member: Member) -> None:
        """Leave less room than the next file of WAL needs."""
        filler = member.directory / "filler"
        disk = os.statvfs(member.directory)
        size = max(1, disk.f_bavail * disk.f_frsize - ROOM)
        _run("fallocate", "-l", str(size), str(filler))

    def let_go_on(self) -> None:
        for place in self._frozen:
            _run("fsfreeze", "--unfreeze", str(place))
        self._frozen.clear()
        for place in self._mounted:
            (place / "filler").unlink(missing_ok=True)

    def remove(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.let_go_on()
        for place in self._mounted:
            subprocess.run(["umount", "-l", place], check=False)
            if KEEP not in os.environ:
                # The laboratory could not remove what was mounted in it.
                shutil.rmtree(place.parent, ignore_errors=True)


@contextlib.contextmanager
def own_disks() -> Iterator[OwnDisks]:
    disks = OwnDisks()
    try:
        yield disks
    finally:
        disks.remove()


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout
