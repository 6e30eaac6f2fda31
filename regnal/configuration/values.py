"""Values as people write them, turned into what the program uses.

Each function raises ValueError with a reason that a person understands.
"""

import math
from fractions import Fraction

BOOLEANS = {
    "on": True,
    "true": True,
    "yes": True,
    "1": True,
    "off": False,
    "false": False,
    "no": False,
    "0": False,
}

_SIZES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_TIMES = {
    "us": Fraction(1, 1_000_000),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "min": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
_LONGEST_NUMBER = 40
"""Characters; more than any option can hold."""

_LARGEST = 2**63 - 1


def parse_boolean(value: object) -> bool:
    """on/off, true/false, yes/no, 1/0 in any case."""
    if isinstance(value, bool):
        return value
    found = BOOLEANS.get(str(value).strip().lower())
    if found is None:
        raise ValueError("is not a boolean")
    return found


def parse_integer(value: object) -> int:
    """Decimal text or a whole number."""
    number = _number(value, {}, 1)
    if number.denominator != 1:
        raise ValueError("is not a whole number")
    return int(number)


def parse_real(value: object) -> float:
    return float(_number(value, {}, 1))


def parse_size(value: object, unit: str = "B") -> int:
    """Bytes: a number of `unit`, or a text with B, kB, MB, GB or TB (1024)."""
    return round(_number(value, _SIZES, _SIZES[unit]))


def parse_time(value: object, unit: str = "s") -> float:
    """Seconds: a number of `unit`, or a text with us, ms, s, min, h or d."""
    return float(_number(value, _TIMES, _TIMES[unit]))


_Units = dict[str, Fraction] | dict[str, int]


def _number(value: object, units: _Units, default: Fraction | int) -> Fraction:
    """`value` in the base unit; `default` is the factor where it has no unit."""
    number = _unlimited(value, units, default)
    if abs(number) > _LARGEST:
        raise ValueError("is out of range")
    return number


def _unlimited(value: object, units: _Units, default: Fraction | int) -> Fraction:
    if isinstance(value, bool):
        raise ValueError("is a boolean, not a number")
    if isinstance(value, int):
        return Fraction(value) * default
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("is not a number")
        return Fraction(value) * default
    if not isinstance(value, str) or len(value) > _LONGEST_NUMBER:
        raise ValueError("is not a number")
    digits = value.strip()
    factor: Fraction | int = default
    for name in sorted(units, key=len, reverse=True):
        if digits.endswith(name) and digits[: -len(name)].strip()[-1:].isdigit():
            digits, factor = digits[: -len(name)].strip(), units[name]
            break
    if not digits.isascii() or "/" in digits or "e" in digits.lower():
        raise ValueError(_not_a_number(units))
    try:
        return Fraction(digits) * factor
    except (ValueError, ZeroDivisionError):
        raise ValueError(_not_a_number(units)) from None


def _not_a_number(units: _Units) -> str:
    if not units:
        return "is not a number"
    return f"is not a number (units are {', '.join(units)})"
