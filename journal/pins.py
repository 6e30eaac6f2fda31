"""Pins: which segments are kept, and for which incidents.

A pin is a file beside its segment: `{"incidents":["reign-4711"]}`.  While it is there
retention keeps the segment (at most `keep_pinned_age`); it goes with its last incident.
What else stands in it, such as the `reason` of an older program's or a person's pin,
stays, and keeps the segment until somebody removes the file.
"""

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

from regnal.journal.encoding import json_bytes
from regnal.journal.places import RecordNumber, Segment, replace_file, segments
from regnal.journal.reader import Window, segments_of
from regnal.messages.incidents import IncidentName


def pin(segment: Segment, incident: IncidentName) -> None:
    """Keep the segment for this incident, too.  Raises OSError."""
    content = _content(segment)
    names = _names(content)
    if incident not in names:
        _write(segment, {**content, "incidents": [*names, incident]})


def unpin(segment: Segment, incident: IncidentName) -> None:
    """This incident needs the segment no more.  Raises OSError."""
    content = _content(segment)
    names = _names(content)
    if incident not in names:
        return
    rest = {**content, "incidents": [name for name in names if name != incident]}
    if not rest["incidents"]:
        del rest["incidents"]
    if rest:
        _write(segment, rest)
    else:
        segment.pin.unlink(missing_ok=True)


class Pins:
    """The incidents that keep segments of one journal; safe from any thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._first: dict[IncidentName, RecordNumber] = {}
        """First record of the first segment that each of them keeps."""

    def keep(self, incident: IncidentName, since: str) -> None:
        """Pin what has records of `since` (as `wall_text` writes it) and later, and
        what will be written, until `release`.  Raises OSError."""
        with self._lock:
            found = segments_of(self._directory, Window(since=since))
            if found:
                self._first[incident] = found[0].first
            self._cover()

    def release(self, incident: IncidentName) -> None:
        """Raises OSError."""
        with self._lock:
            self._first.pop(incident, None)
            for segment in segments(self._directory):
                if segment.pin.exists():
                    unpin(segment, incident)

    def cover(self) -> None:
        """Pin what was begun since, before retention looks at it.  Raises OSError."""
        with self._lock:
            self._cover()

    def _cover(self) -> None:
        if not self._first:
            return
        for segment in segments(self._directory):
            for incident, first in self._first.items():
                if segment.first >= first:
                    pin(segment, incident)


def _content(segment: Segment) -> dict[str, Any]:
    """Empty: there is no pin, or nobody can read it."""
    with contextlib.suppress(FileNotFoundError, ValueError, RecursionError):
        content = json.loads(segment.pin.read_bytes())
        return content if isinstance(content, dict) else {"reason": str(content)}
    return {"reason": "unreadable"} if segment.pin.exists() else {}


def _names(content: dict[str, Any]) -> list[IncidentName]:
    names = content.get("incidents")
    return [str(name) for name in names] if isinstance(names, list) else []


def _write(segment: Segment, content: dict[str, Any]) -> None:
    replace_file(segment.pin, json_bytes(content) + b"\n")
