"""Recovery: what a writer does with the journal that it finds.

The end is cut back to the last whole group, what was held in the quiet file is
appended, the cut is noted, and the segment sealed.  Then a new one is begun.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regnal.journal.encoding import NO_HASH, Body, Hash, line, plain_body
from regnal.journal.places import RecordNumber, Segment, segments
from regnal.journal.quiet import after_of, fingerprint, leftovers, quiet_content
from regnal.journal.segment_file import SegmentFile
from regnal.journal.stamps import Stamper, hlc_text, parse_hlc
from regnal.journal.tail import Tail, record_in, tail_of
from regnal.messages.base import Bytes

CUT_SHOWN: Bytes = 16 * 1024
"""So much of what was cut is kept in the record of the cut."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where the chain goes on."""

    number: RecordNumber
    hash: Hash
    finished: tuple[Path, ...]
    """Segments that nobody writes any more and that are not compressed."""


def recover(directory: Path, stamper: Stamper) -> Recovered:
    """Mend the end of the journal.  Raises OSError; can be called again."""
    cut = b""
    found = list(segments(directory))
    while found:
        tail = tail_of(found[-1])
        if tail.number:
            break
        cut = tail.cut + cut
        _set_aside(found.pop())
    else:
        return Recovered(0, NO_HASH, ())
    if tail.hlc is not None:
        stamper.observe(parse_hlc(tail.hlc))
    last = found[-1]
    number, own = tail.number, tail.hash
    if not last.is_compressed and tail.kind != "seal":
        number, own = _finish(last, tail, tail.cut + cut, stamper)
    plain = tuple(s.path for s in found if not s.is_compressed)
    return Recovered(number, own, plain)


def seal_body(stamper: Stamper, why: str) -> Body:
    """The last record of a segment."""
    return note_body(stamper, "seal", why=why)


def note_body(stamper: Stamper, kind: str, **fields: object) -> Body:
    """A record of the journal about itself."""
    hlc, at = hlc_text(stamper.stamp()), stamper.clocks.boot()
    return plain_body({"hlc": hlc, "at": at, "kind": kind, **fields})


def _finish(
    segment: Segment, tail: Tail, cut: bytes, stamper: Stamper
) -> tuple[RecordNumber, Hash]:
    bodies = [body for group in _held(segment, tail) for body in group]
    if cut:
        bodies.append(_cut_body(cut, stamper))
    bodies.append(seal_body(stamper, "recovered"))
    number, own = tail.number, tail.hash
    content = []
    for body in bodies:
        number += 1
        text, own = line(number, body, own)
        content.append(text)
    file = SegmentFile(segment.path, tail.keep)
    try:
        file.append(b"".join(content))
        file.cut()
    finally:
        file.close()
    return number, own


def _held(segment: Segment, tail: Tail) -> list[list[Body]]:
    """What the quiet file holds that is not in the chain."""
    content = quiet_content(segment.path.parent)
    after = after_of(content)
    if after is None or after > tail.number:
        return []
    written = (fingerprint(record) for record in _records_after(segment, after, tail))
    return leftovers(content, after, written)


def _records_after(
    segment: Segment, after: RecordNumber, tail: Tail
) -> Iterator[dict[str, Any]]:
    """Records with a number beyond `after` that are not cut off."""
    if after == tail.number:
        return
    left = tail.keep
    with segment.path.open("rb") as file:
        for text in file:
            left -= len(text)
            if left < 0:
                return
            record = record_in(text)
            if record.get("n", 0) > after:
                yield record


def _cut_body(cut: bytes, stamper: Stamper) -> Body:
    return note_body(
        stamper,
        "tail_cut",
        bytes=len(cut),
        sha256=hashlib.sha256(cut).hexdigest(),
        text=cut[:CUT_SHOWN].decode(errors="backslashreplace"),
    )


def _set_aside(segment: Segment) -> None:
    """A segment without one whole record: nothing can be appended to it."""
    if segment.path.stat().st_size <= CUT_SHOWN:
        segment.path.unlink()  # the record of the cut has all of it
    else:
        segment.path.replace(segment.path.with_name(f"{segment.path.name}.damaged"))
