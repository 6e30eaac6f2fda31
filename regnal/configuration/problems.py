"""What is wrong with a configuration, said so that a person can put it right."""

from dataclasses import dataclass
from typing import TypeAlias

OptionPath: TypeAlias = tuple[str | int, ...]
"""Where an option is: names of sections, numbers of list elements."""

_LONGEST_VALUE = 80
"""Characters of an offending value that are shown."""


def dotted(path: OptionPath) -> str:
    """The path as the manual writes it: `etcd3.hosts[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text or "configuration"


def shown(value: object) -> str:
    """The value, short and on one line."""
    text = repr(value)
    if len(text) > _LONGEST_VALUE:
        text = text[:_LONGEST_VALUE] + "..."
    return text


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that must be changed before the configuration can be used."""

    path: str
    reason: str
    """With the offending value in it, unless that is a secret."""

    remedy: str
    where: str = ""
    """File and line, or variable; empty: not known."""

    def __str__(self) -> str:
        text = f"{self.path}: {self.reason}; {self.remedy}"
        return f"{text} ({self.where})" if self.where else text


class ConfigurationError(Exception):
    """The configuration cannot be used; what ran before goes on running."""

    def __init__(self, *problems: Problem) -> None:
        assert problems
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
