"""Journals for the tests of cases: of the museum, and small ones of other clusters."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from regnal.journal.bundles import Content, Making, write_bundle
from regnal.journal.reader import Record, scan
from regnal.messages.cluster import StoreAnswered, StoreUnreachable
from regnal.replay.case import Case
from tests.journal.builders import IDENTITY, FakeTime, Member
from tests.journal.damaging import MUSEUM

MAKING = Making(made_at="2026-11-28T07:00:00+00:00", made_by="regnal 0.1.0")

MEMBERS = ("pg1", "pg2", "pg3")
"""Of the museum's cluster."""


def copied(target: Path, *members: str) -> Path:
    """A directory with these journals of the museum."""
    for name in members or MEMBERS:
        shutil.copytree(MUSEUM / name, target / name)
    return target


def small(
    directory: Path,
    member: str = "pg1",
    scope: str = "demo",
    *,
    segments: int = 3,
    begun: float = 1_000.0,
) -> Path:
    """A journal that a toy member wrote."""
    one = Member(
        directory,
        identity=replace(IDENTITY, member=member, scope=scope),
        time=FakeTime(begun),
    ).open()
    for number in range(segments):
        one.tell(StoreUnreachable(error=f"{number}", unanswered_for=1.0))
        one.tell(StoreAnswered())
        one.time.seconds += 60
        if number + 1 < segments:
            one.ledger.roll("asked")
    one.ledger.write()
    return directory


def bundle_of(target: Path, *directories: Path) -> Path:
    write_bundle(target, [Content(one) for one in directories], MAKING)
    return target


def lines_in(directory: Path) -> list[bytes]:
    """Of all records, those that are held as well; damage is passed over."""
    items = scan(directory, with_held=True)
    return [item.line for item in items if isinstance(item, Record)]


def names(case: Case) -> list[str]:
    return [journal.member for journal in case.journals]


def codes(case: Case) -> list[str]:
    return [trouble.code for trouble in case.troubles]


def said(case: Case, words: Sequence[str]) -> bool:
    """Whether one trouble has all of these words."""
    return any(all(word in str(one) for word in words) for one in case.troubles)
