"""The local sources: a file, a directory, one variable, or many variables.

The control tool needs no more than this: it imports nothing heavy.
"""

import json
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from regnal.configuration.checking import check
from regnal.configuration.consistency import problems_of_daemon, remarks
from regnal.configuration.environment import (
    WHOLE_CONFIGURATION,
    standard_telemetry,
    take_environment,
    take_own,
)
from regnal.configuration.layouts import modernise_local
from regnal.configuration.problems import ConfigurationError, Problem
from regnal.configuration.reading import read_path, read_yaml
from regnal.configuration.schema import LOCAL
from regnal.configuration.tree import Document, Tree, overlay


@dataclass(frozen=True, slots=True)
class Local:
    """What is written on this host, checked, without defaults."""

    document: Document
    bootstrap_config: str
    """`bootstrap.dcs` as JSON, with the keys that we do not know: it goes to the
    store, where others may."""

    warnings: tuple[str, ...]


class LocalSource:
    """Reads the local sources; the environment only once."""

    def __init__(self, path: Path | None, environ: MutableMapping[str, str]) -> None:
        self._path = path
        self._environ = environ
        self._taken: _Taken | None = None

    def read(self, is_complete: bool = True) -> Local:
        """All local sources together.

        With `is_complete` it is an error if something is missing that a daemon
        needs.  Raises ConfigurationError.
        """
        if self._taken is None:
            self._taken = self._take()
        taken = self._taken
        below = read_path(taken.file) if taken.file else taken.instead
        tree = overlay(below, taken.above)
        if "otel" in tree.data:
            tree = overlay(standard_telemetry(self._environ), tree)
        if is_complete and not tree.data:
            raise self._nothing()
        modernise_local(tree)
        checked = check(LOCAL, tree)
        problems = checked.problems
        if is_complete:
            broken = {problem.path for problem in problems}
            problems += [
                problem
                for problem in problems_of_daemon(checked.document)
                if problem.path not in broken  # it is not missing, it is wrong
            ]
        if problems and self._path and not (taken.file or below.data):
            raise self._nothing()  # what the variables lack was meant to be there
        if problems:
            raise ConfigurationError(*problems)
        return Local(
            checked.document,
            json.dumps(tree.get("bootstrap", "dcs") or {}),
            (*taken.warnings, *checked.warnings, *remarks(checked.document)),
        )

    def _take(self) -> "_Taken":
        file = self._path if self._path and _exists(self._path) else None
        whole = "" if file else self._environ.pop(WHOLE_CONFIGURATION, "")
        if whole:
            # It is meant to be everything: the peer's other variables do not count.
            instead = read_yaml(whole, WHOLE_CONFIGURATION)
            return _Taken(None, instead, take_own(self._environ), ())
        above, warnings = take_environment(self._environ)
        return _Taken(file, Tree(), above, tuple(warnings))

    def _nothing(self) -> ConfigurationError:
        """There is no configuration where it was looked for."""
        if self._taken is not None and self._taken.file is not None:
            reason, remedy = "is empty", "write the configuration into it"
        elif self._path is not None:
            reason = "does not exist"
            remedy = f"name a file or a directory, or set {WHOLE_CONFIGURATION}"
        else:
            reason = "is empty"
            remedy = f"name a file or a directory, or set {WHOLE_CONFIGURATION}"
        path = str(self._path) if self._path else "configuration"
        return ConfigurationError(Problem(path, reason, remedy))


@dataclass(frozen=True, slots=True)
class _Taken:
    """What was found at the first reading."""

    file: Path | None
    """File or directory.  None: there was none."""

    instead: Tree
    """Stands in for the file."""

    above: Tree
    """The environment."""

    warnings: tuple[str, ...]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            Problem(str(path), f"cannot be read: {error}", "check the path")
        ) from error
