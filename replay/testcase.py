"""A test case: an incident as a regression test of the deciders.

A slice of every member's journal, and a file for pytest that has today's deciders hear
it again.  Both are kept with the code: what was decided in that night is decided so for
ever, or somebody says why not.
"""

import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regnal.actors.cast import DECIDERS
from regnal.actors.step import Decider
from regnal.journal.places import RecordNumber, segments
from regnal.journal.retention import compress
from regnal.messages.base import Command, MemberName
from regnal.messages.vocabulary import VOCABULARY
from regnal.replay.case import Case
from regnal.replay.evidence.incidents import Incident
from regnal.replay.evidence.wall import clock_text
from regnal.replay.explaining.explain import Investigation
from regnal.replay.explaining.window import Surroundings, Told
from regnal.replay.slicing import slice_journal
from regnal.replay.telling.differences import difference_text
from regnal.replay.verify import verify_journal

MAXIMUM_DECISIONS = 60
"""That the file lists; the slice has all."""

_WIDTH = 88


@dataclass(frozen=True, slots=True)
class TestCase:
    """What was written."""

    __test__ = False  # pytest looks at the name

    file: Path
    journals: Path
    records: Mapping[MemberName, int]
    """By member, how many are in its slice."""


def differences(
    directory: Path,
    changed: Collection[RecordNumber] = (),
    deciders: Sequence[Decider[Any]] = DECIDERS,
) -> str:
    """What today's deciders do otherwise than this journal says, as a diff; empty: all
    of it comes out the same.

    `changed`: records whose difference is wanted.  That one of them does not differ, or
    that nothing can be compared, is told as well.
    """
    result = verify_journal(directory, deciders)
    found = [one for one in result.differences if one.record not in changed]
    stale = set(changed) - {one.record for one in result.differences}
    told = [difference_text(found)] if found else []
    told += [f"record {number} does not differ any more" for number in sorted(stale)]
    if not result.steps:
        told += ["nothing can be compared", *result.troubles]
    return "\n".join(told)


def write_testcase(
    investigation: Investigation, case: Case, incident: Incident, file: Path
) -> TestCase:
    """Write `file`, and beside it a directory of the same name without `test_`.

    Raises OSError, FileExistsError among them: nothing is overwritten.
    """
    journals = file.with_name(file.stem.removeprefix("test_"))
    around = investigation.surroundings(incident)
    sentence = investigation.story(incident).verdict.sentence
    with file.open("x", encoding="utf-8") as output:
        journals.mkdir()
        records = {}
        for journal in case.journals:
            stretch = _stretch(around, journal.member)
            if stretch:
                target = journals / journal.member
                count = slice_journal(journal.directory, stretch, target, DECIDERS)
                records[journal.member] = count
                for segment in segments(target):
                    compress(segment.path)
        output.write(_source(incident, sentence, around, tuple(records), journals.name))
    return TestCase(file, journals, records)


def file_name(incident: Incident) -> str:
    """`test_reign_33.py`."""
    return f"test_{re.sub(r'[^a-z0-9]+', '_', incident.name.lower()).strip('_')}.py"


def _stretch(around: Surroundings, member: MemberName) -> range:
    numbers = [told.record for told in around.of(member)]
    return range(min(numbers), max(numbers) + 1) if numbers else range(0)


def _source(
    incident: Incident,
    sentence: str,
    around: Surroundings,
    members: tuple[MemberName, ...],
    journals: str,
) -> str:
    when = clock_text(incident.began, with_date=True)
    return _TEMPLATE.format(
        sentence=_paragraph(f"{sentence}."),
        origin=_paragraph(
            f"This is {incident.name} of {when[:-4]} (UTC), as `regnal testcase` wrote "
            f"it. {_ABOUT.format(journals=journals)}"
        ),
        decisions="\n".join(_decisions(around)) or "    none",
        journals=journals,
        members=", ".join(f'"{member}"' for member in members),
    )


def _paragraph(text: str) -> str:
    safe = text.replace("\\", "/").replace('"""', "'''")
    return "\n".join(textwrap.wrap(safe, _WIDTH - len('"""')))


def _decisions(around: Surroundings) -> Iterator[str]:
    """What was ordered and by which rule, routine left out."""
    found = [told for told in around.told if told.is_step and _orders(around, told)]
    for told in found[:MAXIMUM_DECISIONS]:
        orders = ", ".join(_orders(around, told))
        text = (
            f"    {clock_text(told.moment)}  {told.member}  {told.what or told.part}: "
            f"{orders}"
        )
        yield text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
    if len(found) > MAXIMUM_DECISIONS:
        yield f"    and {len(found) - MAXIMUM_DECISIONS} more"


def _orders(around: Surroundings, told: Told) -> list[str]:
    kinds = [around.type_of(identifier) for identifier in told.said]
    return [kind for kind in kinds if kind is not None and _is_order(kind)]


def _is_order(kind: str) -> bool:
    word = VOCABULARY.get(kind)
    return word is not None and issubclass(word, Command) and not word.routine


_ABOUT = """\
The journals in {journals}/ begin with the states of all actors and have what they heard
and decided; `regnal journal show`, `regnal replay state` and the like read them."""

_TEMPLATE = '''"""{sentence}

{origin}

{decisions}
"""

from pathlib import Path

import pytest

from regnal.replay.testcase import differences

JOURNALS = Path(__file__).with_name("{journals}")

CHANGED: dict[tuple[str, int], str] = {{}}
"""Where deciders do otherwise by now, and shall: (member, record), and why."""


@pytest.mark.parametrize("member", [{members}])
def test_it_is_decided_as_it_was(member: str) -> None:
    changed = [record for owner, record in CHANGED if owner == member]
    diff = differences(JOURNALS / member, changed)
    if diff:
        pytest.fail(f"- as it was, + as it is decided now\\n\\n{{diff}}", pytrace=False)
'''
