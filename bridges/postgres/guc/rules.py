"""Which parameters exist in which version, and what they take: rules from data files.

Every `*.rules` file of this folder is read, in alphabetical order; a line that
says something else about a parameter in an overlapping version is added, and the
first that fits counts.
"""

import functools
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal, TypeAlias, get_args

logger = logging.getLogger(__name__)

ValueType: TypeAlias = Literal["bool", "integer", "real", "string", "enum", "enumbool"]
VALUE_TYPES: tuple[str, ...] = get_args(ValueType)

NEWEST = 10**9
"""Above every version number."""


@dataclass(frozen=True, slots=True)
class VersionRange:
    """From `first` up to and without `end`, as PostgreSQL counts versions."""

    first: int
    end: int

    def __contains__(self, server_version: int) -> bool:
        return self.first <= server_version < self.end


@dataclass(frozen=True, slots=True)
class Rule:
    """One parameter in some versions."""

    name: str
    """As PostgreSQL spells it."""

    versions: tuple[VersionRange, ...]
    type: ValueType
    unit: str
    """What a bare number counts in, such as `8kB`; empty: a plain number."""

    minimum: float = float("-inf")
    maximum: float = float("inf")
    choices: tuple[str, ...] = ()


class MalformedRule(ValueError):
    """A line of a rules file cannot be understood."""


def find_rule(name: str, server_version: int) -> Rule | None:
    """The rule for a parameter, however its name is capitalised."""
    for rule in load_rules().get(name.lower(), ()):
        if any(server_version in versions for versions in rule.versions):
            return rule
    return None


@functools.cache
def load_rules() -> dict[str, tuple[Rule, ...]]:
    """All rules by name in lower case.  Read once; what cannot be read is skipped."""
    rules: dict[str, tuple[Rule, ...]] = {}
    folder = resources.files(__package__)
    for file in sorted(_files_of(folder), key=lambda file: file.name):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            logger.warning("Skipped the rules file %s: %s", file, error)
            continue
        for rule in parse_rules(text, file.name):
            key = rule.name.lower()
            rules[key] = (*rules.get(key, ()), rule)
    return rules


def parse_rules(text: str, source: str) -> Iterator[Rule]:
    """The rules of a file; a line that is malformed is logged and skipped."""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            yield parse_rule(line)
        except ValueError as error:
            logger.warning("Skipped %s, line %d: %s", source, number, error)


def parse_rule(line: str) -> Rule:
    """Raises MalformedRule."""
    columns = re.split(r"\s{2,}", line.strip())
    if not 3 <= len(columns) <= 4:
        raise MalformedRule(f"expected three or four columns, found {len(columns)}")
    name, versions, type_and_unit = columns[:3]
    value_type, _, unit = type_and_unit.partition(" ")
    if value_type not in VALUE_TYPES:
        raise MalformedRule(f"{value_type} is not a type")
    domain = columns[3] if len(columns) == 4 else ""
    minimum, maximum = float("-inf"), float("inf")
    choices: tuple[str, ...] = ()
    if value_type in ("integer", "real"):
        minimum, maximum = _parse_bounds(domain)
    elif domain:
        choices = tuple(word.strip().strip('"') for word in domain.split(","))
    return Rule(
        name=name,
        versions=tuple(parse_versions(versions)),
        type=value_type,  # type: ignore[arg-type]  # checked above
        unit=unit,
        minimum=minimum,
        maximum=maximum,
        choices=choices,
    )


def parse_versions(text: str) -> Iterator[VersionRange]:
    """Such as `*`, `13+`, `..12`, `9.6..10`, `17`, or several of them."""
    for part in text.split():
        if part == "*":
            yield VersionRange(0, NEWEST)
        elif part.endswith("+"):
            yield VersionRange(parse_version(part.removesuffix("+")), NEWEST)
        else:
            first, dots, last = part.partition("..")
            begin = parse_version(first) if first else 0
            yield VersionRange(begin, _end_of_major(last if dots else first))


def parse_version(text: str) -> int:
    """`9.6.5`, `9.6`, `10` or `10.3` as PostgreSQL counts them.

    Raises MalformedRule.
    """
    match = re.fullmatch(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?", text)
    if match is None:
        raise MalformedRule(f"{text[:50]} is not a version")
    major, second, third = (int(part or 0) for part in match.groups())
    if major >= 10:
        return major * 10000 + second
    return major * 10000 + second * 100 + third


def _end_of_major(text: str) -> int:
    version = parse_version(text)
    if version >= 100000:
        return (version // 10000 + 1) * 10000
    return (version // 100 + 1) * 100


def _parse_bounds(text: str) -> tuple[float, float]:
    limits = {"-max": float("-inf"), "max": float("inf")}
    low, dots, high = (part.strip() for part in text.partition(".."))
    if not dots:
        raise MalformedRule(f"{text} is not a range")
    return (
        limits[low] if low in limits else float(low),
        limits[high] if high in limits else float(high),
    )


def _files_of(folder: Traversable) -> list[Traversable]:
    try:
        return [file for file in folder.iterdir() if file.name.endswith(".rules")]
    except OSError as error:
        logger.warning("Cannot list the rules of parameters: %s", error)
        return []
