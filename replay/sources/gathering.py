"""What the sources find, before it is known which journals belong together."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from regnal.bridges.http.options import ClientOptions
from regnal.bridges.nats.options import NatsOptions
from regnal.journal.ledger import Head
from regnal.journal.progress import Progress
from regnal.journal.survey import Configuration
from regnal.messages.base import MemberName
from regnal.replay.troubles import Trouble, TroubleCode


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every source."""

    since: str | None
    until: str | None
    """Moments as `wall_text` writes them; None: no limit."""

    client: ClientOptions
    progress: Progress
    nats: NatsOptions | None = None
    """How to speak to NATS; None: as the place says."""


@dataclass(frozen=True, slots=True)
class FoundJournal:
    """A directory of segments, from wherever it came."""

    directory: Path
    origin: str
    """As the user named the place, without passwords."""

    scope: str | None = None
    """As the source says, for records that do not."""

    configuration: Configuration | None = None
    """In force at the end, as far as the sender said."""

    witness: Head | None = None
    """The last record, as the sender saw it."""


@dataclass
class Gathered:
    """Grows as one source after the other is asked."""

    journals: list[FoundJournal] = field(default_factory=list)
    spoken_of: set[MemberName] = field(default_factory=set)
    """Members that an answer names."""

    troubles: list[Trouble] = field(default_factory=list)

    def trouble(self, code: TroubleCode, subject: str, text: str) -> None:
        """Without what a terminal would obey: names and answers are others'."""
        shown = "".join(c if c.isprintable() else "?" for c in text)
        self.troubles.append(Trouble(code, subject, shown))


class Workshop:
    """Directories for what is no directory yet; nobody else can read them."""

    def __init__(self) -> None:
        self._whole: tempfile.TemporaryDirectory[str] | None = None
        self._count = 0

    def new(self) -> Path:
        """The path of a directory that does not exist yet.  Raises OSError where
        there is no room for temporary files (TMPDIR)."""
        if self._whole is None:
            self._whole = tempfile.TemporaryDirectory(prefix="regnal-")
        self._count += 1
        return Path(self._whole.name) / f"{self._count:06d}"

    def close(self) -> None:
        if self._whole is not None:
            self._whole.cleanup()


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Everything in it is gone at the end of the block."""
    shop = Workshop()
    try:
        yield shop
    finally:
        shop.close()
