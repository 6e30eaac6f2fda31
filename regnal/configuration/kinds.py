"""What an option can be: the kinds of values, and the shape of sections.

A kind turns a value of YAML or JSON, or the text of a variable, into the value
that the program uses.  `written` is the scalar as it stands in the file, so
that an unquoted `password: 0123` or `name: on` keeps its letters.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from regnal.configuration.addresses import parse_address, parse_addresses
from regnal.configuration.values import (
    parse_boolean,
    parse_integer,
    parse_real,
    parse_size,
    parse_time,
)

_LARGEST_INTEGER = 2**31 - 1
_ALL_PERMISSIONS = 0o777


class Unusable(Exception):
    """The value cannot be used: why (to follow the value), and the remedy."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Kind(Protocol):
    def parse(self, value: object, written: str | None) -> object:
        """The value to use.  Raises Unusable; `value` is never None."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """Letters; numbers and booleans count as they were written."""

    may_be_empty: bool = False
    forbidden: str = ""
    """Characters that the text may not contain."""

    def parse(self, value: object, written: str | None) -> str:
        if not isinstance(value, str | int | float):
            raise Unusable("is not a text", "write a text")
        if isinstance(value, str):
            text = value
        elif written is not None:
            text = written
        elif isinstance(value, bool):
            text = "true" if value else "false"
        else:
            text = _number_text(value)
        if not text and not self.may_be_empty:
            raise Unusable("is empty", "write a text or remove the line")
        if "\0" in text or any(character in text for character in self.forbidden):
            listed = " ".join(repr(character) for character in self.forbidden + "\0")
            raise Unusable("has a forbidden character", f"do not use {listed}")
        return text


@dataclass(frozen=True, slots=True)
class Boolean:
    def parse(self, value: object, written: str | None) -> bool:
        try:
            return parse_boolean(value)
        except ValueError as error:
            raise Unusable(str(error), "write on or off") from error


@dataclass(frozen=True, slots=True)
class Integer:
    minimum: int | None = None
    maximum: int = _LARGEST_INTEGER

    def parse(self, value: object, written: str | None) -> int:
        try:
            number = parse_integer(value)
        except ValueError as error:
            raise Unusable(str(error), "write a whole number") from error
        _check_range(number, self.minimum, self.maximum)
        return number


@dataclass(frozen=True, slots=True)
class Real:
    minimum: float | None = None
    maximum: float = _LARGEST_INTEGER

    def parse(self, value: object, written: str | None) -> float:
        try:
            number = parse_real(value)
        except ValueError as error:
            raise Unusable(str(error), "write a number") from error
        _check_range(number, self.minimum, self.maximum)
        return number


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds; whole ones where `whole`."""

    whole: bool = True
    minimum: float | None = None
    maximum: float = _LARGEST_INTEGER

    def parse(self, value: object, written: str | None) -> float:
        try:
            seconds = parse_time(value)
        except ValueError as error:
            raise Unusable(
                str(error), "write seconds, or a number with ms, s, min, h or d"
            ) from error
        if self.whole:
            seconds = round(seconds)
        _check_range(seconds, self.minimum, self.maximum)
        return seconds


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes."""

    minimum: int | None = None
    unit: str = "B"
    """Of a number without one."""

    multiple_of: int = 1

    def parse(self, value: object, written: str | None) -> int:
        try:
            size = parse_size(value, self.unit)
        except ValueError as error:
            raise Unusable(
                str(error), "write bytes, or a number with kB, MB, GB or TB"
            ) from error
        _check_range(size, self.minimum, 2**63 - 1)
        if size % self.multiple_of:
            raise Unusable(
                f"is not a multiple of {self.multiple_of} bytes",
                f"write a multiple of {self.multiple_of // 1024}kB",
            )
        return size


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words, in any case."""

    words: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other spellings, in lower case; `true` and `false` are what YAML makes of
    unquoted `on` and `off`."""

    def parse(self, value: object, written: str | None) -> str:
        text = str(value).strip().lower()
        text = self.aliases.get(text, text)
        for word in self.words:
            if text == word.lower():
                return word
        raise Unusable("is not one of the values", f"write {_listed(self.words)}")


@dataclass(frozen=True, slots=True)
class Address:
    """`host:port`; kept as text."""

    default_port: int | None = None
    several: bool = False
    """Whether `addr[,addr...]:port` is allowed."""

    def parse(self, value: object, written: str | None) -> str:
        text = Text().parse(value, written).strip()
        try:
            if self.several:
                parse_addresses(text)
            else:
                parse_address(text, self.default_port)
        except ValueError as error:
            raise Unusable(
                f"is not an address: {error}", "write host:port, such as 10.0.0.1:5432"
            ) from error
        return text


@dataclass(frozen=True, slots=True)
class Anything:
    """A scalar, list or mapping that is passed on as it is."""

    def parse(self, value: object, written: str | None) -> object:
        if not _is_finite(value):
            raise Unusable("is not a finite number", "write a number")
        return value


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, number or boolean that is passed on as it is."""

    def parse(self, value: object, written: str | None) -> object:
        if not isinstance(value, str | int | float):
            raise Unusable("is not a single value", "write a text, number or boolean")
        return Anything().parse(value, written)


@dataclass(frozen=True, slots=True)
class FileMode:
    """Permissions of a file: `0644`, which YAML reads as octal."""

    def parse(self, value: object, written: str | None) -> int:
        text = written if written is not None else str(value)
        is_octal = text[:1] == "0" and text.removeprefix("0o").isdigit()
        try:
            mode = int(text, 8) if is_octal else parse_integer(value)
        except ValueError:
            mode = -1
        if not 0 <= mode <= _ALL_PERMISSIONS:
            raise Unusable("is not a mode", "write octal permissions such as 0640")
        return mode


@dataclass(frozen=True, slots=True)
class LogFormat:
    """A format text, or (for json) names of fields, some with their new name."""

    def parse(self, value: object, written: str | None) -> object:
        if isinstance(value, list):
            return [self._field(item) for item in value]
        return Text().parse(value, written)

    def _field(self, item: object) -> object:
        if isinstance(item, str):
            return item
        if isinstance(item, dict) and len(item) == 1:
            return {str(old): str(new) for old, new in item.items()}
        raise Unusable(
            "is not a list of fields", "write names, or `field: new name` pairs"
        )


@dataclass(frozen=True, slots=True)
class Option:
    """A leaf of the schema."""

    kind: Kind
    default: Any = None
    """None: there is none."""

    required: bool = False
    secret: bool = False
    """Whether the value is never shown."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    item: "Node"
    default: tuple[Any, ...] | None = None
    from_text: bool = False
    """Whether `a,b` is read as a list of two."""

    from_mapping: bool = False
    """Whether a mapping is allowed in place of the list, and kept as it is."""


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping."""

    entries: Mapping[str, "Node"] = field(default_factory=dict)
    others: "Node | None" = None
    """What keys that are not in `entries` may hold.  None: there should be no
    other keys; they are reported and left out."""

    always: bool = False
    """Whether the section exists, with its defaults, where nobody wrote it."""

    stays_bare: bool = False
    """Whether it is kept as written, without defaults."""

    remarks: Mapping[str, str] = field(default_factory=dict)
    """Keys that belong elsewhere: what to say of them instead of `unknown`."""

    required: bool = False
    rejected: str = ""
    """Not empty: nobody may write this section, and why not."""


Node: TypeAlias = Option | Items | Section


def _check_range(number: float, minimum: float | None, maximum: float) -> None:
    if minimum is not None and number < minimum:
        raise Unusable(f"is less than {minimum}", f"write {minimum} or more")
    if number > maximum:
        raise Unusable("is too large", f"write {maximum} or less")
    if minimum is None and number < -maximum:
        raise Unusable("is too small", f"write {-maximum} or more")


def _is_finite(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_finite(inner) for inner in value.values())
    if isinstance(value, list):
        return all(_is_finite(inner) for inner in value)
    return not isinstance(value, float) or math.isfinite(value)


def _number_text(value: float) -> str:
    try:
        return str(value)
    except ValueError as error:  # more digits than Python converts
        raise Unusable("is too large", "write a text") from error


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
