"""Where the demonstration takes PostgreSQL from, and as whom it runs."""

import importlib.util
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

DEBIAN = Path("/usr/lib/postgresql")
WHEEL = "pgserver"
USERS = ("postgres", "nobody")
"""Tried in this order when started as root, which PostgreSQL refuses."""


class NothingToRun(Exception):
    """Something that the demonstration needs is not there; the text says what."""


def postgres_directory() -> Path:
    """PostgreSQL's programs: the newest that is installed, else the wheel's."""
    for name in sorted(DEBIAN.glob("*/bin/postgres"), key=_version, reverse=True):
        return name.parent
    found = shutil.which("postgres")
    if found and (Path(found).parent / "initdb").exists():
        return Path(found).resolve().parent
    # Importing the package would start to look for servers: only its place counts.
    spec = importlib.util.find_spec(WHEEL)
    if spec is not None and spec.origin is not None:
        directory = Path(spec.origin).parent / "pginstall" / "bin"
        if (directory / "postgres").exists():
            return directory
    raise NothingToRun(
        "PostgreSQL was not found: install it, or the extra that brings it along "
        "(pip install 'regnal[demo]')"
    )


def _version(program: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in program.parts[-3].split(".") if part.isdigit())


@dataclass(frozen=True, slots=True)
class User:
    """As whom daemons and PostgreSQL run; None: as we do."""

    uid: int | None
    gid: int | None
    name: str

    def own(self, path: Path) -> None:
        """Give the path, and all below it, to this user."""
        if self.uid is None or self.gid is None:
            return
        for one in (path, *path.rglob("*")):
            os.chown(one, self.uid, self.gid)


AS_WE_ARE = User(None, None, "")


def unprivileged_user() -> User:
    """Ourselves, or as root somebody whom PostgreSQL accepts."""
    if os.geteuid() != 0:
        return User(None, None, pwd.getpwuid(os.geteuid()).pw_name)
    for name in USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(entry.pw_uid, entry.pw_gid, name)
    raise NothingToRun(
        "PostgreSQL refuses to run as root, and there is no user "
        f"{' or '.join(USERS)}: start the demonstration as another user"
    )
