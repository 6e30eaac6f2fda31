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
from regnal.journal.stamps import wall_clock
from regnal.messages.base import MemberName, Seconds
from regnal.runtime.consumers import is_wanted


class ServedEvents:
    """What `regnal.runtime.deferred.DeferredEvents` gives.

    Reading begins with the segment of what was asked for, since what was said there before
    tells what later records mean.
    """

    def __init__(
        self,
        directory: Path,
        whose: tuple[str, MemberName],
        wait_beyond: Callable[[RecordNumber, Seconds], bool],
    ) -> None:
        """`whose`: scope and member.  `wait_beyond` is that of the journal's writer."""
        self._directory = directory
        self._reporter = Reporter(*whose)
        self._wait_beyond = wait_beyond

    def events(
        self, asked: EventQuestion, now: RecordNumber
    ) -> Iterator[EventFrame | None]:
        """`now`: the last record of the journal when it was asked.  Raises ValueError."""
        since = None if asked.since is None else parse_moment(asked.since, wall_clock())
        after = asked.after or 0
        if after > now:
            after = 0  # of a journal that was lost; this one was begun anew
        if asked.after is None and since is None and asked.follow:
            after = start = now
        else:
            found = segments_of(self._directory, Window(after=after, since=since))
            start = found[0].first - 1 if found else after
        reader = EventReader(self._reporter)
        for item in self._records(start, ends=not asked.follow):
            if item is None:
                yield None
                continue
            events = [event for event in reader.read(item) if _is_asked(event, asked)]
            if item.n > after and (since is None or item.wall >= since):
                yield from _frames(item.n, events)

    def _records(self, start: RecordNumber, *, ends: bool) -> Iterator[Record | None]:
        """Those after `start`; None: it waits."""
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
