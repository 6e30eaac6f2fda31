"""Witnesses: what the journals of other members know of the head of a journal.

A member shows the head of its journal in its key, and every other member journals
what it sees of that key.  Whoever cuts the end of one journal off, or writes it anew,
would have to do so to all of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import NamedTuple

from regnal.journal.chain_check import Damage
from regnal.journal.ledger import Head
from regnal.journal.reader import EVERYTHING, Window, scan
from regnal.journal.stamps import parse_hlc
from regnal.journal.verification import Verdict
from regnal.messages.base import MemberName, Seconds

COPIED_WITHIN: Seconds = 60.0
"""Journals are copied one after the other: within that time a later copy may know more
of an earlier one than that has itself."""

_SHOWN = b'"journal_head":"'
"""In every record that is worth parsing: nothing else shows a head.  (In a text
within a record its quotes have backslashes.)"""


class Owner(NamedTuple):
    """Whose journal it is; two clusters may have members of one name."""

    scope: str
    member: MemberName


class Witness(NamedTuple):
    """A member saw that another's journal had come to this record."""

    whose: Owner
    head: Head
    seen_by: MemberName
    seen_at: str
    """By the hybrid clock of who saw it, as text."""


def seen_by_others(
    journals: Sequence[Path], window: Window = EVERYTHING
) -> Mapping[Owner, Sequence[Witness]]:
    """What these journals know of each other.  Raises OSError."""
    seen: dict[Owner, list[Witness]] = {}
    if len(journals) > 1:
        for journal in journals:
            for witness in witnesses_in(journal, window):
                seen.setdefault(witness.whose, []).append(witness)
    return seen


def witnesses_in(directory: Path, window: Window = EVERYTHING) -> Iterator[Witness]:
    """The heads of others that this journal has, each once.  Raises OSError."""
    whose: Owner | None = None
    seen: set[tuple[MemberName, Head]] = set()
    for item in scan(directory, window, with_held=True, whole=True):
        if isinstance(item, Damage):
            continue
        if item.kind == "start":
            whose = Owner(str(item.fields["scope"]), str(item.fields["member"]))
        if whose is None or _SHOWN not in item.line:
            continue
        for member, head in _heads(item.fields):
            if member != whose.member and (member, head) not in seen:
                seen.add((member, head))
                hlc = str(item.fields.get("hlc"))
                yield Witness(Owner(whose.scope, member), head, whose.member, hlc)


def without_later_copies(verdict: Verdict, witnesses: Iterable[Witness]) -> Verdict:
    """The verdict without the denials of those who saw the journal go on, just after
    its copy was made.  Who cuts an end off that is longer is seen all the same."""
    later = {
        witness.head
        for witness in witnesses
        if witness.head.number > verdict.head.number
        and _seconds_between(verdict.ends_at, witness.seen_at) < COPIED_WITHIN
    }
    denied = tuple(head for head in verdict.denied if head not in later)
    return replace(verdict, denied=denied)


def _seconds_between(earlier: str, later: str) -> Seconds:
    """Between two hybrid times; endless where they cannot be read."""
    try:
        return (parse_hlc(later).wall_us - parse_hlc(earlier).wall_us) / 1e6
    except ValueError:
        return inf


def _heads(fields: dict[str, object]) -> Iterable[tuple[MemberName, Head]]:
    """Of a record that shows members; nothing of one that is not what it seems."""
    match fields:
        case {"type": "cluster_observed", "data": {"view": {"members": [*members]}}}:
            for member in members:
                match member:
                    case {"name": str(name), "journal_head": str(text)}:
                        head = parse_head(text)
                        if head is not None:
                            yield name, head


def parse_head(text: str) -> Head | None:
    """`812:8a1f…`, as a member's key has it; None: that is none."""
    number, _, digest = text.partition(":")
    is_number = number.isascii() and number.isdecimal() and len(number) < 20
    is_hash = len(digest) == 32 and set(digest) <= set("0123456789abcdef")
    return Head(int(number), digest) if is_number and is_hash else None
