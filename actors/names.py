"""Names derived from names (docs/contracts.md 1.3)."""

import string

from regnal.messages.base import MemberName

SLOT_NAME_LIMIT = 63
_ALLOWED = frozenset(string.ascii_lowercase + string.digits + "_")


def slot_name(member: MemberName) -> str:
    """Name of the replication slot of `member`.

    Lower case; `-` and `.` become `_`; anything else that a slot may not have
    becomes `u` and its code point; cut to 63 characters.
    """
    text = "".join(_slot_character(character) for character in member.lower())
    return text[:SLOT_NAME_LIMIT]


def _slot_character(character: str) -> str:
    if character in "-.":
        return "_"
    if character in _ALLOWED:
        return character
    return f"u{ord(character):04d}"
