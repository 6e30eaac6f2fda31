"""Options of initdb and pg_basebackup, as a person may write them in YAML.

Either a mapping (`{encoding: UTF8, data-checksums: true}`) or a list of names and
of mappings (`[{encoding: UTF8}, data-checksums]`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from regnal.bridges.postgres.guc.values import parse_boolean

INITDB_FORBIDDEN = ("pgdata", "nosync", "pwfile", "sync-only", "version")
"""They would lead initdb elsewhere, or make it do something else."""

BASEBACKUP_FORBIDDEN = (
    "pgdata",
    "format",
    "wal-method",
    "xlog-method",
    "gzip",
    "version",
    "dbname",
    "host",
    "port",
    "username",
    "password",
)


class InvalidOptions(ValueError):
    """The section is neither a mapping nor a list of names and mappings."""


@dataclass(frozen=True, slots=True)
class ToolOption:
    name: str
    value: str | None
    """None: a flag."""

    @property
    def argument(self) -> str:
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value}"


def read_tool_options(given: object) -> tuple[ToolOption, ...]:
    """Raises InvalidOptions."""
    return tuple(option for option in _read(given) if option is not None)


def is_one_of(option: ToolOption, forbidden: Iterable[str]) -> bool:
    """Whether it is one of these, abbreviated perhaps, as getopt_long allows."""
    return any(name.startswith(option.name) for name in forbidden)


def may_basebackup(option: ToolOption, version: int) -> bool:
    """Whether pg_basebackup of this version still does what we need with it.

    Compression by the server (15+) leaves a plain directory; by the client, not.
    """
    if option.name and "compress".startswith(option.name):
        is_by_server = (option.value or "").startswith("server")
        return version >= 150000 and is_by_server
    return not is_one_of(option, BASEBACKUP_FORBIDDEN)


def as_argument(name: str, value: object) -> str:
    """An argument of an operator's script; values are shown as Python shows them,
    which is what scripts written for the peer expect."""
    return f"--{name}={value}"


def is_true(value: object) -> bool:
    """Whether a flag of a method's section is on."""
    return parse_boolean(str(value)) is True


def _read(given: object) -> Iterator[ToolOption | None]:
    match given:
        case None:
            return
        case Mapping():
            for name, value in given.items():
                yield _from_pair(str(name), value)
        case list() | tuple():
            for element in given:
                if isinstance(element, str):
                    yield _from_text(element)
                elif isinstance(element, Mapping):
                    yield from _read(element)
                else:
                    raise InvalidOptions(f"has an element that is no option: {element}")
        case _:
            raise InvalidOptions("must be a mapping or a list of options")


def _from_text(text: str) -> ToolOption:
    name, equals, value = text.strip().lstrip("-").partition("=")
    return ToolOption(name.strip(), value if equals else None)


def _from_pair(name: str, value: object) -> ToolOption | None:
    name = name.strip().lstrip("-")
    if value is None or value is True:
        return ToolOption(name, None)
    if value is False:
        return None
    if isinstance(value, Mapping | list | tuple):
        raise InvalidOptions(f"has an unusable value for {name}")
    return ToolOption(name, str(value))
