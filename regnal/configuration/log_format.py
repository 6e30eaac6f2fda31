"""How a log record becomes a line: plain text, or JSON.

Records carry names and numbers as fields (`extra`); in plain text they follow
the sentence as `name=value`, in JSON they are members.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEFAULT_FORMAT = "%(asctime)s %(levelname)s: %(message)s"

_FIELD = re.compile(r"%\((\w+)\)")
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


@dataclass(frozen=True, slots=True)
class Formats:
    """The part of the `log` section that concerns the line."""

    type: str = "plain"
    format: str | Sequence[str | Mapping[str, str]] | None = None
    """None: DEFAULT_FORMAT."""

    dateformat: str | None = None
    """None: ISO 8601 with milliseconds after a comma, as logging does it."""

    static_fields: Mapping[str, Any] | None = None
    """Added to every JSON line."""

    show_tracebacks: bool = True
    """False: an exception is one line."""


def make_formatter(formats: Formats) -> logging.Formatter:
    if formats.type == "json":
        return JsonFormatter(formats)
    return PlainFormatter(formats)


class PlainFormatter(logging.Formatter):
    def __init__(self, formats: Formats) -> None:
        given = formats.format
        super().__init__(
            given if isinstance(given, str) else DEFAULT_FORMAT, formats.dateformat
        )
        self._show_tracebacks = formats.show_tracebacks

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - its name
        line = super().formatMessage(record)
        if str(record.name).startswith("regnal"):
            for name, value in extra_fields(record).items():
                line += f" {name}={value}"
        if not self._show_tracebacks:
            line += _one_line(record)
        return line

    def formatException(self, exc_info: Any) -> str:  # noqa: N802 - its name
        return super().formatException(exc_info) if self._show_tracebacks else ""


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, formats: Formats) -> None:
        super().__init__(datefmt=formats.dateformat)
        self._names = _names(formats.format or DEFAULT_FORMAT)
        self._static = dict(formats.static_fields or {})
        self._show_tracebacks = formats.show_tracebacks

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        record.asctime = self.formatTime(record, self.datefmt)
        if not self._show_tracebacks:
            record.message += _one_line(record)
        line = {new: getattr(record, old, None) for old, new in self._names.items()}
        line |= extra_fields(record)
        if record.exc_info and self._show_tracebacks:
            line["exc_info"] = self.formatException(record.exc_info)
        return json.dumps(self._static | line, default=str, ensure_ascii=False)


def extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller gave as `extra`."""
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _OF_EVERY_RECORD
    }


def _names(form: str | Sequence[str | Mapping[str, str]]) -> dict[str, str]:
    """Attribute of a record to its name in the JSON object."""
    if isinstance(form, str):
        fields = _FIELD.findall(form) or [form]
        return {name: name for name in fields}
    names: dict[str, str] = {}
    for field in form:
        names.update({field: field} if isinstance(field, str) else field)
    return names


def _one_line(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    error = record.exc_info[1]
    text = " ".join(str(error).split())
    return f": {type(error).__name__}{': ' if text else ''}{text}"


def now_record(level: int, message: str) -> logging.LogRecord:
    """A record of the log about itself."""
    return logging.makeLogRecord(
        {
            "name": "regnal.log",
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": message,
        }
    )
