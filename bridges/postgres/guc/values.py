"""A value checked against its rule: taken, clamped to a limit, or dropped.

How PostgreSQL reads numbers, units and booleans is in section 20.1.1 of its
manual.
"""

import math
import re
from dataclasses import dataclass, replace

from regnal.bridges.postgres.guc.rules import Rule

MEMORY_UNITS = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
TIME_UNITS = {
    "us": 1,
    "ms": 1000,
    "s": 10**6,
    "min": 60 * 10**6,
    "h": 3600 * 10**6,
    "d": 86400 * 10**6,
}
BOOLEANS = {
    "true": True,
    "false": False,
    "yes": True,
    "no": False,
    "on": True,
    "off": False,
    "1": True,
    "0": False,
}
_NUMBER = re.compile(
    r"\s*(?P<number>[-+]?(?:0[xX][0-9A-Fa-f]+|\d*\.?\d+(?:[eE][-+]?\d+)?|\d+\.))"
    r"\s*(?P<unit>[A-Za-z]*)\s*"
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What becomes of a value."""

    value: str | None
    """As it is to be written; None: it is dropped."""

    complaint: str | None = None
    """What a person should know, without the parameter's name; None: nothing."""


def check_value(rule: Rule, given: object) -> Checked:
    """What the rule makes of a value as it came from YAML or JSON."""
    text = as_text(given)
    if text is None:
        return Checked(None, f"has a value of an unusable kind: {given!r}")
    match rule.type:
        case "string":
            return Checked(text)
        case "bool":
            if parse_boolean(text) is None:
                return Checked(None, f"is not a boolean: {text!r}")
            return Checked(text.strip())
        case "enum" | "enumbool":
            return _check_choice(rule, text)
        case "integer" | "real":
            return _check_number(rule, text)


def as_text(given: object) -> str | None:
    """A YAML value as PostgreSQL writes it; None: there is no way to write it."""
    match given:
        case bool():
            return "on" if given else "off"
        case str():
            return None if "\0" in given else given
        case int():
            return str(given)
        case float():
            return repr(given) if math.isfinite(given) else None
        case list() | tuple():
            parts = [as_text(part) for part in given]
            return None if None in parts else ",".join(map(str, parts))
        case _:
            return None


def parse_boolean(text: str) -> bool | None:
    """PostgreSQL takes any beginning that can only mean one thing."""
    word = text.strip().lower()
    if not word:
        return None
    meanings = {
        value for name, value in BOOLEANS.items() if name.startswith(word)
    }  # `o` may be on or off
    return meanings.pop() if len(meanings) == 1 else None


def parse_number(text: str, unit: str) -> float | None:
    """The number in base units of the parameter; None: it is not one.

    Raises nothing: a unit of another kind (`10s` for a size) is no number either.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    number = _parse_digits(match["number"])
    if number is None or not match["unit"]:
        return number
    given, base = _factor(match["unit"]), _base_factor(unit)
    if given is None or base is None or given[0] != base[0]:
        return None
    return number * given[1] / base[1]


def canonical_unit(text: str) -> str:
    """The number with its unit spelled as PostgreSQL wants it: `4GB` for `4gb`."""
    match = _NUMBER.fullmatch(text)
    if match is None or not match["unit"]:
        return text.strip()
    for unit in (*MEMORY_UNITS, *TIME_UNITS):
        if unit.lower() == match["unit"].lower():
            return f"{match['number']}{unit}"
    return text.strip()


def with_bounds(rule: Rule, minimum: float, maximum: float) -> Rule:
    """The rule with the limits of the server at hand."""
    return replace(rule, minimum=minimum, maximum=maximum)


def _check_choice(rule: Rule, text: str) -> Checked:
    word = text.strip()
    if rule.type == "enumbool" and parse_boolean(word) is not None:
        return Checked(word)
    for choice in rule.choices:
        if choice.lower() == word.lower():
            return Checked(choice)
    allowed = ", ".join(choice or "''" for choice in rule.choices)
    return Checked(None, f"is {text!r}, but must be one of {allowed}")


def _check_number(rule: Rule, text: str) -> Checked:
    number = parse_number(text, rule.unit)
    if number is None:
        unit = f" of unit {rule.unit}" if rule.unit else ""
        return Checked(None, f"is not a number{unit}: {text!r}")
    if rule.type == "integer":
        number = round(number)
    limit = min(max(number, rule.minimum), rule.maximum)
    if limit == number:
        return Checked(canonical_unit(text))
    written = str(int(limit)) if rule.type == "integer" else repr(limit)
    return Checked(
        written,
        f"is {text}, beyond its limit; {written}{_of_unit(rule.unit)} is taken",
    )


def _of_unit(unit: str) -> str:
    return f" ({unit})" if unit else ""


def _parse_digits(text: str) -> float | None:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if re.fullmatch(r"0[xX][0-9A-Fa-f]+", digits):
        return sign * int(digits, 16)
    if re.fullmatch(r"0\d+", digits):  # as C reads it
        return sign * int(digits, 8) if set(digits) <= set("01234567") else None
    number = sign * float(digits)
    return number if math.isfinite(number) else None


def _factor(unit: str) -> tuple[str, int] | None:
    for kind, units in (("memory", MEMORY_UNITS), ("time", TIME_UNITS)):
        for name, factor in units.items():
            if name.lower() == unit.lower():
                return kind, factor
    return None


def _base_factor(unit: str) -> tuple[str, int] | None:
    """A base unit may be a multiple, such as `8kB`."""
    match = re.fullmatch(r"(\d*)([A-Za-z]+)", unit)
    if match is None:
        return None
    factor = _factor(match[2])
    return None if factor is None else (factor[0], factor[1] * int(match[1] or 1))
