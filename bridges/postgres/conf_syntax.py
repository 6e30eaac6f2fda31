"""The language of postgresql.conf, recovery.conf and postgresql.auto.conf.

Section 20.1.2 of the PostgreSQL manual: `name = 'value'`, one to a line.
"""

import re
from collections.abc import Container, Mapping

_ASSIGNMENT = re.compile(
    r"""\s*(?P<name>[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)*)
        (?:\s*=\s*|\s+)
        (?P<value>'(?:[^'\\\n]|\\.|'')*'|[^\s#']+)
        \s*(?:\#.*)?$""",
    re.VERBOSE,
)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def quoted(value: str) -> str:
    """A value that cannot break out of its line, whatever is in it.

    Raises ValueError for the one character that PostgreSQL cannot read: NUL.
    """
    if "\0" in value:
        raise ValueError("a value cannot contain a NUL character")
    escaped = (
        value.replace("\\", "\\\\")
        .replace("'", "''")
        .replace("\n", "\\n")
        .replace("\r", "\\r")
    )
    return f"'{escaped}'"


def assignments_text(settings: Mapping[str, str]) -> str:
    """One assignment to a line, in the order given."""
    return "".join(f"{name} = {quoted(value)}\n" for name, value in settings.items())


def parse_assignments(text: str) -> dict[str, str]:
    """Name (lower case) to value; the last one counts.  Includes are not followed."""
    found: dict[str, str] = {}
    for line in text.split("\n"):  # not splitlines: it divides at other characters too
        assignment = _parse_line(line)
        if assignment is not None:
            found[assignment[0]] = assignment[1]
    return found


def without_assignments(text: str, names: Container[str]) -> str:
    """The text without the lines that set one of `names` (in lower case)."""
    kept = []
    for line in text.split("\n"):
        assignment = _parse_line(line)
        if assignment is None or assignment[0] not in names:
            kept.append(line)
    return "\n".join(kept)


def _parse_line(line: str) -> tuple[str, str] | None:
    match = _ASSIGNMENT.match(line)
    if match is None or match["name"].lower().startswith("include"):
        return None
    return match["name"].lower(), _unquoted(match["value"])


def _unquoted(text: str) -> str:
    if not text.startswith("'"):
        return text

    def meaning(match: re.Match[str]) -> str:
        found = match.group(0)
        if found == "''":
            return "'"
        if found[1] in "01234567":
            return chr(int(found[1:], 8) & 0xFF)
        return _ESCAPES.get(found[1], found[1])

    return re.sub(r"''|\\[0-7]{1,3}|\\.", meaning, text[1:-1])
