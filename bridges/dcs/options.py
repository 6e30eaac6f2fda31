"""Reading the options of a store's section: what people write, in every form.

Raises StoreMisconfigured, which names the option, the value and the remedy.
"""

from collections.abc import Mapping
from typing import Any

from regnal.bridges.dcs.contract import StoreMisconfigured
from regnal.messages.base import Seconds

TRUE_WORDS = frozenset({"true", "yes", "on", "1"})
FALSE_WORDS = frozenset({"false", "no", "off", "0", ""})


class Section:
    """The options of one store, read by name."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        self._options = options

    def text(self, option: str) -> str | None:
        """None: not set, or empty."""
        value = self._options.get(option)
        if value is None or value == "":
            return None
        if isinstance(value, bool | list | dict):
            raise self.wrong(option, value, "expected a text")
        return str(value)

    def secret(self, option: str) -> str | None:
        """As `text`, but never quoted in a message."""
        value = self._options.get(option)
        if isinstance(value, bool | list | dict):
            raise StoreMisconfigured(f"{self.name}.{option}: expected a text")
        return None if value is None or value == "" else str(value)

    def flag(self, option: str, default: bool = False) -> bool:
        value = self._options.get(option, default)
        word = str(value).strip().lower()
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS or value is None:
            return False
        raise self.wrong(option, value, "expected true or false")

    def seconds(self, option: str, default: Seconds) -> Seconds:
        value = self._options.get(option)
        if value is None or value == "":
            return default
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            raise self.wrong(option, value, "expected a number of seconds") from None
        if not 0 < seconds < 86400:
            raise self.wrong(option, value, "expected more than 0 seconds")
        return seconds

    def texts(self, option: str) -> tuple[str, ...]:
        """A list, or one text with commas and perhaps blanks between its parts."""
        value = self._options.get(option)
        if value is None:
            return ()
        if isinstance(value, str):
            value = _without_brackets(value.strip()).split(",")
        if not isinstance(value, list | tuple):
            raise self.wrong(option, value, "expected a list")
        parts = (str(part).strip().strip("'\"") for part in value)
        return tuple(part for part in parts if part)

    def wrong(self, option: str, value: object, remedy: str) -> StoreMisconfigured:
        return StoreMisconfigured(f"{self.name}.{option}: {value!r}: {remedy}")


def _without_brackets(text: str) -> str:
    """`[a:1, b:2]` is a list; `[::1]:1` and `[::1]` are addresses."""
    inner = text[1:-1]
    is_list = text.startswith("[") and text.endswith("]")
    return inner if is_list and ("," in inner or inner.count(":") < 2) else text
