"""Dead letters: events that a receiver would not take, kept until a person sends them.

A file of JSON lines, `{"id":…,"at":…,"why":…,"body":…}`, the oldest first.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from regnal.bridges.webhook.sender import Letter
from regnal.messages.base import Bytes, WallTime

MAXIMUM_BYTES: Bytes = 16 * 1024 * 1024
"""Of the file; what comes then is not kept."""


class DeadLetter(NamedTuple):
    letter: Letter
    at: WallTime
    why: str


class DeadLetters:
    """The file of one webhook; daemon and tools may use it at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, letter: Letter, at: WallTime, why: str) -> bool:
        """Whether there was room.  Raises OSError."""
        line = json.dumps(
            {"id": letter.id, "at": at, "why": why, "body": letter.body.decode()}
        )
        with self._locked():
            descriptor = os.open(
                self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
            with open(descriptor, "ab") as file:  # noqa: PTH123 - a descriptor
                if file.tell() > MAXIMUM_BYTES:
                    return False
                file.write(line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        return True

    def all(self) -> list[DeadLetter]:
        """Raises OSError."""
        with self._locked():
            return list(self._read())

    def resend(self, send: Callable[[Letter], None]) -> int:
        """Send each, the oldest first, and forget it; how many there were.

        What `send` raises ends it: the rest stays.  Raises OSError.
        """
        done = 0
        while letters := self.all():
            letter = letters[0].letter
            send(letter)
            done += 1
            with self._locked():
                self._forget_first()
        return done

    def _forget_first(self) -> None:
        rest = self._path.read_bytes().partition(b"\n")[2]
        if not rest:
            self._path.unlink()
            return
        draft = self._path.with_name(f"{self._path.name}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(rest)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def _read(self) -> Iterator[DeadLetter]:
        if not self._path.exists():
            return
        for line in self._path.read_bytes().splitlines():
            content = json.loads(line)
            letter = Letter(content["id"], content["body"].encode())
            yield DeadLetter(letter, content["at"], content["why"])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time.  Raises OSError."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        with self._path.with_name(f"{self._path.name}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
