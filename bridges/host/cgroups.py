"""Where the cgroup of a process is: cgroups(7), both versions.

A controller is in one hierarchy: that of version 1 which names it, or else the
one of version 2.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

VERSION_2 = ""
"""In the place of a controller: the hierarchy of version 2, whatever it has."""

DEPTH = 16
"""Levels that are looked at; Kubernetes has five."""

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a hierarchy can be seen."""

    root: PurePosixPath
    """Which of its cgroups is at `point`; `/` but for containers without a
    namespace of their own."""

    point: Path
    controllers: frozenset[str]
    """Of version 1; empty for version 2."""


def mounts_of(proc: Path = PROC) -> tuple[Mount, ...]:
    """All that we see; they seldom change, and a host of containers has many."""
    try:
        return tuple(parse_mounts((proc / "self" / "mountinfo").read_text()))
    except (OSError, UnicodeDecodeError):
        return ()


def parse_mounts(mountinfo: str) -> Iterator[Mount]:
    """/proc/…/mountinfo."""
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields, found = before.split(" "), after.split(" ")
        if not dash or len(fields) < 5 or found[0] not in ("cgroup", "cgroup2"):
            continue
        named = found[-1].split(",") if found[0] == "cgroup" else ()
        yield Mount(
            root=PurePosixPath(_unescaped(fields[3])),
            point=Path(_unescaped(fields[4])),
            controllers=frozenset(named),
        )


def parse_membership(cgroup: str) -> dict[str, PurePosixPath]:
    """/proc/…/cgroup: controller, or VERSION_2, to cgroup."""
    found: dict[str, PurePosixPath] = {}
    for line in cgroup.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            path = PurePosixPath(parts[2].removesuffix(" (deleted)"))
            found.update(dict.fromkeys(parts[1].split(","), path))
    return found


def cgroup_directories(
    controller: str,
    process: str = "self",
    proc: Path = PROC,
    mounts: tuple[Mount, ...] | None = None,
) -> tuple[Path, ...]:
    """The cgroup of the process and those around it, as far as we can see them.

    Empty: it has none, or has ended.  `mounts` None: as they are now.
    """
    try:
        membership = parse_membership((proc / process / "cgroup").read_text())
    except (OSError, UnicodeDecodeError):
        return ()
    hierarchy = controller if controller in membership else VERSION_2
    cgroup = membership.get(hierarchy)
    if cgroup is None or ".." in cgroup.parts:  # outside of our namespace
        return ()
    for mount in mounts_of(proc) if mounts is None else mounts:
        is_right = hierarchy in (mount.controllers or (VERSION_2,))
        if not is_right or not cgroup.is_relative_to(mount.root):
            continue
        here = mount.point / cgroup.relative_to(mount.root)
        around = (here, *here.parents)[:DEPTH]
        return tuple(one for one in around if one.is_relative_to(mount.point))
    return ()


def _unescaped(text: str) -> str:
    """A blank in a path is written as its number."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
