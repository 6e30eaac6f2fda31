"""A configuration as somebody wrote it: values, and where each came from."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from regnal.configuration.problems import OptionPath

Document = dict[str, Any]
"""What JSON can hold: texts, numbers, booleans, None, lists and mappings."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written."""

    source: str
    """A file, a variable, or the dynamic configuration."""

    line: int | None = None
    """From 1; None where lines mean nothing."""

    text: str | None = None
    """A scalar as it was written: `007` stays `007` where a text is meant."""

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}, line {self.line}"


@dataclass(slots=True)
class Tree:
    """Built step by step while the configuration is read, then only read."""

    data: Document = field(default_factory=dict)
    origins: dict[OptionPath, Origin] = field(default_factory=dict)

    def origin(self, path: OptionPath) -> Origin | None:
        """Of the value, or of the nearest section around it that has one."""
        for length in range(len(path), -1, -1):
            found = self.origins.get(path[:length])
            if found is not None:
                return found
        return None

    def written(self, path: OptionPath) -> str | None:
        """The scalar at `path` as it was written; None: not known."""
        found = self.origins.get(path)
        return found.text if found else None

    def get(self, *path: str) -> Any:
        """The value at `path`, None where there is none."""
        value: Any = self.data
        for name in path:
            if not isinstance(value, Mapping):
                return None
            value = value.get(name)
        return value

    def put(self, path: tuple[str, ...], value: Any, origin: Origin | None) -> None:
        """Set the value, making sections on the way and forgetting what was there."""
        section = self.data
        for name in path[:-1]:
            inner = section.get(name)
            if not isinstance(inner, dict):
                inner = section[name] = {}
            section = inner
        section[path[-1]] = value
        self._forget(path)
        if origin is not None:
            self.origins[path] = origin

    def move(self, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        """Rename an option or a section that is there."""
        holder = self.get(*old[:-1])
        value = holder.pop(old[-1])
        moved = {
            (*new, *path[len(old) :]): origin
            for path, origin in self.origins.items()
            if path[: len(old)] == old
        }
        self._forget(old)
        self.put(new, value, None)
        self.origins.update(moved)

    def drop(self, path: tuple[str, ...]) -> None:
        """Remove an option that is there."""
        self.get(*path[:-1]).pop(path[-1])
        self._forget(path)

    def _forget(self, path: OptionPath) -> None:
        for known in [p for p in self.origins if p[: len(path)] == path]:
            del self.origins[known]


def overlay(below: Tree, above: Tree) -> Tree:
    """Both together; where both have a value, the one `above` counts.

    Sections are merged, everything else (lists too) is replaced as a whole.
    The result shares nothing with the two.
    """
    origins = dict(below.origins)
    data = _overlaid(deepcopy(below.data), deepcopy(above.data), (), origins)
    origins.update(above.origins)
    return Tree(data, origins)


def _overlaid(
    below: Mapping[str, Any],
    above: Mapping[str, Any],
    path: OptionPath,
    origins: dict[OptionPath, Origin],
) -> Document:
    merged = dict(below)
    for name, value in above.items():
        here = (*path, name)
        lower = merged.get(name)
        if isinstance(lower, dict) and isinstance(value, dict):
            merged[name] = _overlaid(lower, value, here, origins)
            continue
        if isinstance(lower, dict) and value is None:
            continue  # an empty section says nothing
        merged[name] = value
        for known in [p for p in origins if p[: len(here)] == here]:
            del origins[known]
    return merged
