"""The outbox: the journal as one consumer outside reads it, from where it ended last.

    outbox = Outbox(directory, "nats-events", begin_after=None)
    while items := outbox.take():
        ...                                # send them, however long that takes
        outbox.confirm(memory)

The place up to which all was sent is on the disk (`outbox/NAME.json` in the journal's
directory), so that a restart goes on there: at least once, in the order of the journal.
Nothing is copied: what waits is in the journal, and if retention removes it first, a
`Gap` comes in its place.
"""

import json
import logging
from collections import deque
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from regnal.journal.chain_check import Damage
from regnal.journal.encoding import Hash, json_bytes
from regnal.journal.places import RecordNumber, replace_file
from regnal.journal.reader import Record, Window, follow
from regnal.messages.base import Bytes, JsonText

logger = logging.getLogger(__name__)

DIRECTORY = "outbox"
FORMAT = 1

MAXIMUM_RECORDS = 200
MAXIMUM_BYTES: Bytes = 1024 * 1024
"""Of one portion; a single record may be larger."""

TRAIL = 16
"""Places that are remembered: a failure of the power may take the end of a journal with
it, and then an earlier one still is where it was."""


class Place(NamedTuple):
    """A record of the chain."""

    number: RecordNumber
    hash: Hash


class Gap(NamedTuple):
    """Records that are gone: removed by retention, or damaged."""

    first: RecordNumber
    last: RecordNumber

    @property
    def size(self) -> int:
        return self.last - self.first + 1


Item: TypeAlias = Record | Gap


class Outbox:
    """One consumer's way through the journal; used by one thread."""

    def __init__(
        self, directory: Path, consumer: str, *, begin_after: Place | None
    ) -> None:
        """`begin_after`: of a consumer that is new; None: all that there is."""
        self._directory = directory
        self._path = directory / DIRECTORY / f"{consumer}.json"
        self._trail: deque[Place] = deque(maxlen=TRAIL)
        self.memory: JsonText | None = None
        """What the consumer kept at the last place; None: nothing."""

        is_new = not self._load()
        self._saved = self._state if self._trail else None
        if is_new and begin_after is not None and begin_after.number:
            self._trail.append(begin_after)
        self._taken: Place | None = None
        """The last record that was taken; None: none was since the last confirmation."""

        self._items: Generator[Item | None] | None = None

    @property
    def position(self) -> RecordNumber:
        """Up to here all was sent."""
        return self._trail[-1].number if self._trail else 0

    @property
    def read_to(self) -> RecordNumber:
        """Up to here all was taken."""
        return self._taken.number if self._taken is not None else self.position

    def take(self) -> Sequence[Item]:
        """What comes next, as much as may be kept in memory; empty: nothing at present.

        Raises OSError where the journal cannot be read.
        """
        if self._items is None:
            self._items = self._from_here()
        taken: list[Item] = []
        size: Bytes = 0
        try:
            while len(taken) < MAXIMUM_RECORDS and size < MAXIMUM_BYTES:
                item = next(self._items)
                if item is None:
                    break
                taken.append(item)
                if isinstance(item, Record):
                    size += len(item.line)
                    self._taken = Place(item.n, item.hash)
        except OSError:
            self._items = None  # a generator that raised is at its end
            if not taken:
                raise
        return taken

    def confirm(self, memory: JsonText | None = None) -> None:
        """All that was taken is sent.  It is not on the disk before `save`."""
        if self._taken is not None:
            self._trail.append(self._taken)
            self._taken = None
        self.memory = memory

    def save(self) -> None:
        """Bring the place to the disk, if it is another: that of a new consumer, too,
        which may not send anything for long.  Raises OSError."""
        if not self._trail or self._state == self._saved:
            return
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        content = {"format": FORMAT, "trail": list(self._trail), "memory": self.memory}
        replace_file(self._path, json_bytes(content) + b"\n")
        self._saved = self._state

    @property
    def _state(self) -> tuple[Place, JsonText | None]:
        """A consumer may know more without another record: time has passed."""
        return self._trail[-1], self.memory

    def close(self) -> None:
        """Let go of the file that is being read."""
        items, self._items = self._items, None
        if items is not None:
            items.close()

    def _load(self) -> bool:
        """Whether there is a file.  One that cannot be read says to send everything:
        things come again, rather than never."""
        try:
            content = json.loads(self._path.read_bytes())
            trail = [Place(int(number), str(own)) for number, own in content["trail"]]
            memory = content["memory"]
        except FileNotFoundError:
            return False
        except (OSError, ValueError, TypeError, KeyError) as error:
            logger.warning(
                "%s cannot be read (%s): all of the journal is sent again.",
                self._path,
                error,
            )
            return True
        self._trail.extend(trail)
        self.memory = memory if isinstance(memory, str) else None
        return True

    def _from_here(self) -> Generator[Item | None]:
        """None: nothing more at present.  Raises OSError."""
        self._step_back()
        # The record that was sent last, if it is there, shows that nothing is missing.
        expected = self.read_to + 1
        is_first = expected == 1  # what was removed before was not for us
        for item in follow(self._directory, Window(after=expected - 1)):
            if isinstance(item, int):
                yield None
            elif isinstance(item, Record) and item.n >= expected:
                if item.n > expected and not is_first:
                    yield Gap(expected, item.n - 1)
                yield item
                expected, is_first = item.n + 1, False

    def _step_back(self) -> None:
        """To the last place that still is in the journal as it was.  Where none is, this
        is another journal: from its beginning."""
        if not self._trail or self._taken is not None:
            return
        known = {place.number: place for place in self._trail}
        found: Place | None = None
        oldest: RecordNumber | None = None
        for item in follow(self._directory, Window(after=min(known) - 1)):
            if isinstance(item, int):
                break
            if isinstance(item, Damage):
                continue
            oldest = item.n if oldest is None else oldest
            place = known.get(item.n)
            if place is not None and place.hash == item.hash:
                found = place
            if item.n >= self.position:
                break
        if found is None and oldest is not None and oldest > self.position:
            return  # all the places were removed since
        while self._trail and self._trail[-1] != found:
            self._trail.pop()
        if found is None:
            logger.warning(
                "The journal in %s was begun anew: all of it is sent.", self._directory
            )
            self.memory = None
