"""Reading a journal for evidence: records with their life, and who is in a hurry.

Most records of a journal (timers, snapshots of the REST API, touched keys) show
nothing that others do not; they are told apart by their first bytes, unparsed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regnal.journal.chain_check import Damage
from regnal.journal.reader import EVERYTHING, Record, Window, scan
from regnal.messages.base import Instant, Seconds
from regnal.replay.evidence.fitting import unfit, with_plain_numbers

FOREVER: Seconds = 1e10
"""No host runs for three hundred years."""

_HEAD_BYTES = 600
"""Within them a record of ours has named its type; one that has not is parsed."""

_TYPE = re.compile(rb'"from":"\w+","type":"(\w+)"')
_ACTOR = re.compile(rb'"actor":"(\w+)","heard":"[^"]*"(?:,"rule":"(\w*))?')


@dataclass(slots=True)
class Entry:
    """A record that can be used, and in which life of the daemon it was written."""

    record: Record
    at: Instant
    incarnation: int
    misfits: int = 0
    """What had to be left out of its data: see `fitting`."""

    @property
    def fields(self) -> dict[str, Any]:
        return self.record.fields

    @property
    def number(self) -> int:
        return self.record.n

    @property
    def kind(self) -> str:
        return self.record.kind

    @property
    def type(self) -> str:
        """Of a message; empty for other records."""
        return str(self.fields.get("type", ""))

    @property
    def data(self) -> dict[str, Any]:
        data = self.fields.get("data")
        return data if isinstance(data, dict) else {}

    @property
    def rule(self) -> str:
        """Of a step, if one spoke."""
        return str(self.fields.get("rule") or "")

    @property
    def hlc(self) -> str:
        return str(self.fields.get("hlc", ""))


Wanted = Callable[[bytes], bool]
"""Whether a record with this `type` (a message) or `actor/rule` (a step) is wanted."""


def entries(
    directory: Path,
    window: Window = EVERYTHING,
    *,
    wanted: Wanted | None = None,
    damaged: Callable[[Damage], None] = lambda damage: None,
) -> Iterator[Entry]:
    """The usable records in order; None wants all.  Raises OSError.

    Records of the journal about itself (start, seal, gap, ...) always come.
    """
    incarnation = 0
    for item in scan(directory, window, with_held=True):
        if isinstance(item, Damage):
            damaged(item)
            continue
        if wanted is not None and not _is_wanted(item, wanted):
            continue
        fields = item.fields
        at = fields["at"]
        if not 0 <= at < FOREVER:
            continue
        if item.kind == "start" and isinstance(fields.get("incarnation"), int):
            incarnation = fields["incarnation"]
        for name in ("data", "facts"):
            if name in fields:
                fields[name] = with_plain_numbers(item.line, fields[name])
        entry = Entry(item, float(at), incarnation)
        if item.kind == "message":
            entry.misfits = unfit(entry.type, entry.data)
        yield entry


def _is_wanted(record: Record, wanted: Wanted) -> bool:
    head = record.line[:_HEAD_BYTES]
    if record.kind == "message":
        match = _TYPE.search(head)
        return match is None or wanted(match[1])
    if record.kind == "step":
        match = _ACTOR.search(head)
        return match is None or wanted(b"%b/%b" % (match[1], match[2] or b""))
    return True
