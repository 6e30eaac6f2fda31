"""Verification: is the journal as it was written, and does anybody else agree?

The chain shows what was changed, removed or inserted.  That the end was cut off,
or the whole of it written anew, only a witness shows: another host that kept the
head of the chain (number and hash of the last record) at some time.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from regnal.journal.chain_check import Damage
from regnal.journal.encoding import NO_HASH
from regnal.journal.ledger import Head
from regnal.journal.places import RecordNumber
from regnal.journal.reader import EVERYTHING, Record, Window, scan
from regnal.journal.retention import Expired
from regnal.messages.base import Bytes, MemberName

HEARD_EVERY = 1000
"""Records between two reports of progress: some milliseconds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification found."""

    member: MemberName | None
    """None: the journal has no readable beginning of a segment."""

    first: RecordNumber
    head: Head
    """The last record; number 0: there is none."""

    ends_at: str
    """Hybrid time of the last record, those held back included; empty: there is none."""

    records: int
    segments: int
    lost: int
    """Records that the journal itself says were never written."""

    gaps: int
    expired: tuple[Expired, ...]
    """Removed by retention, says the journal."""

    damages: tuple[Damage, ...]
    """In the order of the chain; removal by retention is none."""

    confirmed: tuple[Head, ...]
    """Witnesses whose record is in the chain."""

    denied: tuple[Head, ...]
    """Witnesses whose record is not, though it should be."""

    @property
    def is_whole(self) -> bool:
        serious = any(damage.is_serious for damage in self.damages)
        return self.records > 0 and not serious and not self.denied


def verify(
    directory: Path,
    witnesses: Iterable[Head] = (),
    window: Window = EVERYTHING,
    heard: Callable[[Bytes], None] = lambda done: None,
) -> Verdict:
    """Read the segments that overlap the window, and check the chain.  Raises OSError.

    A witness that names a record removed by retention proves nothing either way.
    `heard` is told now and then how much has been read.
    """
    sought = set(witnesses)
    numbers = {witness.number for witness in sought}
    found: set[Head] = set()
    member: MemberName | None = None
    records = segments = lost = gaps = 0
    first: RecordNumber = 0
    last: Record | None = None
    latest: Record | None = None
    done: Bytes = 0
    expired: list[Expired] = []
    damages: list[Damage] = []
    for item in scan(directory, window, with_held=True, whole=True):
        if isinstance(item, Damage):
            damages.append(item)
            continue
        latest = item
        if item.is_held:
            continue
        last = item
        records += 1
        done += len(item.line)
        if records % HEARD_EVERY == 0:
            heard(done)
        match item.kind:
            case "message" | "step":
                pass  # nearly all of them
            case "start":
                segments += 1
                member = item.fields["member"]
            case "gap":
                gaps += 1
                lost += item.fields["lost"]
            case "expired":
                expired.append(Expired(item.fields["first"], item.fields["last"]))
        first = first or item.n
        if item.n in numbers and Head(item.n, item.hash) in sought:
            found.add(Head(item.n, item.hash))
    head = Head(0, NO_HASH) if last is None else Head(last.n, last.hash)
    return Verdict(
        member=member,
        first=first,
        head=head,
        ends_at="" if latest is None else str(latest.fields.get("hlc", "")),
        records=records,
        segments=segments,
        lost=lost,
        gaps=gaps,
        expired=tuple(expired),
        damages=tuple(d for d in damages if not _is_expired(d, expired)),
        confirmed=tuple(sorted(found)),
        denied=tuple(
            witness
            for witness in sorted(sought - found)
            if not _is_gone(witness.number, first, expired)
        ),
    )


def _is_expired(damage: Damage, expired: Iterable[Expired]) -> bool:
    if damage.what != "missing":
        return False
    return any(
        gone.first <= damage.first and damage.last <= gone.last for gone in expired
    )


def _is_gone(
    number: RecordNumber, first: RecordNumber, expired: Iterable[Expired]
) -> bool:
    return number < first or any(gone.first <= number <= gone.last for gone in expired)
