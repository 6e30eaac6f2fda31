"""Public events for `GET /events`, from the journal while it grows."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from regnal.bridges.http.event_stream import EventFrame, EventQuestion
from regnal.events.cloud import CloudEvent, Reporter
from regnal.journal.moments import parse_moment
from regnal.journal.places import RecordNumber
from regnal.journal.public_events import EventReader
from regnal.journal.reader import Record, Window, follow, segments_of
from regnal.journal.serving import HEARTBEAT
from regnal.journal.stamps import Microseconds, wall_clock
from regnal.messages.base import MemberName, Seconds, WallTime
from regnal.runtime.consumers import is_wanted


class ServedEvents:
    """See `regnal.bridges.http.event_stream.EventSource`.

    Reading begins with the segment before what was asked for, since what was said there
    tells what later records mean.
    """

    def __init__(
        self,
        directory: Path,
        whose: tuple[str, MemberName],
        head: Callable[[], RecordNumber],
        wait_beyond: Callable[[RecordNumber, Seconds], bool],
        wall: Callable[[], Microseconds] = wall_clock,
    ) -> None:
        """`whose`: scope and member.  `head` and `wait_beyond` are those of the journal's writer."""
        self._directory = directory
        self._reporter = Reporter(*whose)
        self._head = head
        self._wait_beyond = wait_beyond
        self._wall = wall

    def events(self, asked: EventQuestion) -> Iterator[EventFrame | None]:
        """Raises ValueError at once if a moment cannot be read."""
        since = None if asked.since is None else parse_moment(asked.since, self._wall())
        return self._told(asked, since)

    def _told(
        self, asked: EventQuestion, since: WallTime | None
    ) -> Iterator[EventFrame | None]:
        after = asked.after or 0
        if asked.after is None and since is None:
            after = self._head() if asked.follow else 0
        elif after > self._head():
            after = 0  # of a journal that was lost; this one was begun anew
        reader = EventReader(self._reporter)
        for item in self._records(after, since, ends=not asked.follow):
            if item is None:
                yield None
                continue
            events = [event for event in reader.read(item) if _is_asked(event, asked)]
            if item.n > after and (since is None or item.wall >= since):
                yield from _frames(item.n, events)

    def _records(
        self, after: RecordNumber, since: WallTime | None, *, ends: bool
    ) -> Iterator[Record | None]:
        """From before, so that the reader knows what came before.  None: it waits."""
        found = segments_of(self._directory, Window(after=after, since=since))
        start = found[0].first - 1 if found else after
        if after and after == self._head():
            start = after  # from now on
        before: RecordNumber = 0
        for item in follow(self._directory, Window(after=start)):
            if isinstance(item, Record):
                yield item
            elif isinstance(item, int):
                if ends:
                    return
                yield None
                if item and item == before:
                    # The writer is ahead of the files: somebody removed them.
                    self._wait_beyond(sys.maxsize, HEARTBEAT)
                    continue
                while not self._wait_beyond(item, HEARTBEAT):
                    yield None
                before = item


def _is_asked(event: CloudEvent, asked: EventQuestion) -> bool:
    if asked.members and event.subject not in asked.members:
        return False
    return is_wanted(event, asked.names)


def _frames(number: RecordNumber, events: list[CloudEvent]) -> Iterator[EventFrame]:
    for place, event in enumerate(events, 1):
        # Only who has the last one has all of the record.
        is_last = place == len(events)
        yield EventFrame(number if is_last else None, event.type, event.json_bytes())
