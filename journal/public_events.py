"""Public events from records: what of a journal other systems may subscribe to.

One reader follows one member's journal; what it remembers between two records is a
small text, with which another can go on.
"""

import re
from collections.abc import Sequence

from pydantic import ValidationError

from regnal.events.cloud import CloudEvent, Reporter, Said, cloud_event
from regnal.events.incidents import JournalGap
from regnal.events.memory import NOTHING, Memory
from regnal.events.tracing import TraceName
from regnal.events.translate import KINDS, translate
from regnal.journal.decoding import Undecodable, envelope_of
from regnal.journal.places import RecordNumber
from regnal.journal.reader import Record
from regnal.journal.stamps import Microseconds, wall_text
from regnal.messages.base import JsonText

_TYPE = re.compile(rb'"type":"(\w+)"')
"""Of the message, in the head of its record: a quote within a text has a backslash."""


class EventReader:
    """Tells what each record is for the public; records in their order."""

    def __init__(self, reporter: Reporter, memory: JsonText | None = None) -> None:
        """`memory` of another reader, up to the same record; None: from the beginning,
        or unknown.  One that cannot be read is as if there was none."""
        self.reporter = reporter
        self._memory = NOTHING
        if memory is not None:
            try:
                self._memory = Memory.model_validate_json(memory)
            except ValidationError:
                self._memory = NOTHING

    @property
    def memory(self) -> JsonText:
        return self._memory.model_dump_json(exclude_defaults=True)

    @property
    def incident(self) -> TraceName | None:
        """The name of the one that goes on; None: none does."""
        return self._memory.unsettled[-1] if self._memory.unsettled else None

    def read(self, record: Record) -> Sequence[CloudEvent]:
        """What is held, and what this program does not know, tells nothing."""
        if record.kind != "message" or record.is_held:
            return ()
        kind = _TYPE.search(record.line)
        if kind is None or kind[1].decode() not in KINDS:
            return ()
        try:
            envelope = envelope_of(record)
        except Undecodable:
            return ()
        time = wall_text(envelope.wall_us)
        self._memory, events = translate(self._memory, envelope, self.reporter, time)
        return events

    def gap(
        self, first: RecordNumber, last: RecordNumber, wall: Microseconds
    ) -> CloudEvent:
        """These records are gone."""
        said = Said(f"{self.reporter.member}/gap/{first}-{last}", wall_text(wall))
        event = JournalGap(first=first, last=last)
        return cloud_event(
            event, f"gap/{first}-{last}", self.reporter, said, said.journal_id
        )
