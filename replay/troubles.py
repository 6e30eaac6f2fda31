"""Troubles: what is missing, damaged, unreachable or left out, and what to do about it.

Nothing of this ends the work: what is left is used, and every tool tells its troubles
the same way.  A trouble is a value (code, subject), the sentence is made for people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

TroubleCode: TypeAlias = Literal[
    "place_unusable",
    "no_journal",
    "bundle_refused",
    "bundle_flawed",
    "bundle_says",
    "member_unreachable",
    "member_refused",
    "answer_cut_off",
    "stream_unusable",
    "stream_rubbish",
    "other_cluster",
    "journal_mixed",
    "journal_joined",
    "journal_conflict",
    "journal_damaged",
    "member_missing",
]

TROUBLES: Mapping[TroubleCode, str] = {
    "place_unusable": "A place that was named does not exist, or is nothing to read.",
    "no_journal": "A place was read, and there is no journal in it.",
    "bundle_refused": "A file is no bundle, or one that may not be unpacked.",
    "bundle_flawed": "A bundle is not as it was made; the rest of it is used.",
    "bundle_says": "Whoever made the bundle had a trouble; it is as it was then.",
    "member_unreachable": "The REST API of a member did not answer.",
    "member_refused": "The REST API of a member answered, but gave no journal.",
    "answer_cut_off": "A journal came in part; what came is used.",
    "stream_unusable": "A NATS server or its stream cannot be read.",
    "stream_rubbish": "Messages of a stream are no records; they are left out.",
    "other_cluster": "A journal belongs to another cluster; it is left out.",
    "journal_mixed": "Segments of several members lie in one directory.",
    "journal_joined": "A member's journal was found in several places, and is joined.",
    "journal_conflict": "A member has two journals that do not fit; one is left out.",
    "journal_damaged": "Records of a journal are damaged or missing.",
    "member_missing": "A member is spoken of, and its journal is not there.",
}
"""All codes there are, in the order in which they can come about."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that keeps the story from being complete."""

    code: TroubleCode
    subject: str
    """The member or the place that it is about."""

    text: str
    """A sentence for people: what it is, and what to do."""

    def __str__(self) -> str:
        return self.text
