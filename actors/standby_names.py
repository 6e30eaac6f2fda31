"""The parameter synchronous_standby_names: what it says, and how it is written.

PostgreSQL's manual, "Replication": `[FIRST] n (names)`, `ANY n (names)`, or a list
of names, of which the first that is there must acknowledge; `*` is everybody.
Names are compared with application_name without regard to case.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from regnal.messages.base import MemberName

_TOKEN = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^\s,()"]+)|([,()]))')
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
_KEYWORDS = ("any", "first")


@dataclass(frozen=True, slots=True)
class StandbyNames:
    """Who must acknowledge a commit."""

    names: tuple[str, ...] = ()
    """In lower case, sorted, each once."""

    count: int = 0
    """How many of them must; 0: nobody."""

    everybody: bool = False
    """`*`: any standby whatever may be one of `count`."""

    by_quorum: bool = False
    """ANY; otherwise the first that are there."""

    @property
    def needs_all(self) -> bool:
        """Whether no commit is acknowledged without each of them."""
        return not self.everybody and self.count >= len(self.names)

    def says_the_same(self, other: "StandbyNames") -> bool:
        """Whether PostgreSQL waits for the same standbys."""
        same = (self.names, self.count, self.everybody)
        if same != (other.names, other.count, other.everybody):
            return False
        return self.needs_all or self.by_quorum == other.by_quorum


NOBODY = StandbyNames()
EVERYBODY = StandbyNames(count=1, everybody=True)


def standby_names(
    names: Iterable[str], count: int, *, by_quorum: bool = False
) -> StandbyNames:
    """`count` of these, in whatever case and order."""
    lower = tuple(sorted({name.lower(): None for name in names}))
    wanted = min(max(count, 0), len(lower))
    return StandbyNames(names=lower, count=wanted, by_quorum=by_quorum)


@lru_cache(maxsize=64)
def parse_standby_names(text: str) -> StandbyNames | None:
    """What the value says; None: it is not one that we can read."""
    tokens = _tokens(text)
    if tokens is None:
        return None
    if not tokens:
        return NOBODY
    by_quorum, count = False, 1
    if len(tokens) > 2 and tokens[-1] == ("mark", ")"):
        kind, word = tokens[0]
        if kind == "word" and word.lower() in _KEYWORDS:
            by_quorum = word.lower() == "any"
            tokens = tokens[1:]
        kind, word = tokens[0]
        if kind != "word" or not word.isdecimal() or tokens[1] != ("mark", "("):
            return None
        count, tokens = int(word), tokens[2:-1]
    names = _listed(tokens)
    if names is None:
        return None
    if "*" in names:
        return StandbyNames(count=count, everybody=True, by_quorum=by_quorum)
    return standby_names(names, count, by_quorum=by_quorum)


def standby_names_text(
    names: Iterable[MemberName], count: int, *, by_quorum: bool = False
) -> str:
    """The value of the parameter, names sorted (wire contract 9.5)."""
    quoted = [quote(name) for name in sorted(names)]
    if not quoted:
        return ""
    listed = ",".join(quoted)
    if by_quorum:
        return f"ANY {count} ({listed})"
    return listed if len(quoted) == 1 else f"{count} ({listed})"


def quote(name: MemberName) -> str:
    """SYNC-09, P-SYNC-13: double quotes around whatever is not a plain identifier."""
    if _PLAIN.match(name) and name.lower() not in _KEYWORDS:
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _tokens(text: str) -> list[tuple[str, str]] | None:
    tokens: list[tuple[str, str]] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            return None
        quoted, word, mark = match.groups()
        if quoted is not None:
            tokens.append(("name", quoted.replace('""', '"')))
        elif word is not None:
            tokens.append(("word", word))
        else:
            tokens.append(("mark", mark))
        at = match.end()
    return tokens


def _listed(tokens: list[tuple[str, str]]) -> list[str] | None:
    """Names with commas between them."""
    if len(tokens) % 2 == 0 or any(t != ("mark", ",") for t in tokens[1::2]):
        return None
    names = tokens[0::2]
    return None if any(k == "mark" for k, _ in names) else [name for _, name in names]
