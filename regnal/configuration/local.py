"""The local sources: a file, a directory, one variable, or many variables.

The control tool needs no more than this: it imports nothing heavy.
"""

import json
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from regnal.configuration.checking import check, required
from regnal.configuration.environment import (
    WHOLE_CONFIGURATION,
    take_environment,
    take_own,
)
from regnal.configuration.layouts import modernise_local
from regnal.configuration.merging import local_controlled_parameters
from regnal.configuration.problems import ConfigurationError, Problem
from regnal.configuration.reading import read_path, read_yaml
from regnal.configuration.schema import LOCAL
from regnal.configuration.schema_stores import STORES
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
        self._taken: tuple[Tree, Tree, tuple[str, ...]] | None = None

    def read(self, is_complete: bool = True) -> Local:
        """All local sources together.

        With `is_complete` it is an error if something is missing that a daemon
        needs.  Raises ConfigurationError.
        """
        below, above, warnings = self._environment()
        exists = self._path is not None and self._path.exists()
        if self._path is not None and exists:
            below = read_path(self._path)
        tree = overlay(below, above)
        modernise_local(tree)
        checked = check(LOCAL, tree)
        problems = checked.problems
        if is_complete:
            if self._path is not None and not exists and not below.data:
                problems.append(
                    Problem(
                        str(self._path),
                        "does not exist",
                        f"name a file or a directory, or set {WHOLE_CONFIGURATION}",
                    )
                )
            problems += required(LOCAL, checked.document)
            problems += _store_problems(checked.document)
        if problems:
            raise ConfigurationError(*problems)
        return Local(
            checked.document,
            json.dumps(tree.get("bootstrap", "dcs") or {}),
            (*warnings, *checked.warnings, *_remarks(checked.document)),
        )

    def _environment(self) -> tuple[Tree, Tree, tuple[str, ...]]:
        """What stands in for the file, what is laid over it, and warnings."""
        if self._taken is None:
            self._taken = self._take()
        return self._taken

    def _take(self) -> tuple[Tree, Tree, tuple[str, ...]]:
        has_file = self._path is not None and self._path.exists()
        whole = "" if has_file else self._environ.pop(WHOLE_CONFIGURATION, "")
        if whole:
            # It is meant to be everything: the peer's other variables do not count.
            return read_yaml(whole, WHOLE_CONFIGURATION), take_own(self._environ), ()
        tree, warnings = take_environment(self._environ)
        return Tree(), tree, tuple(warnings)


def _store_problems(document: Document) -> list[Problem]:
    if any(name in document for name in STORES):
        return []
    return [
        Problem(
            "dcs", "no store is configured", f"write one section of {', '.join(STORES)}"
        )
    ]


def _remarks(document: Document) -> list[str]:
    """What can be used, but a person should know."""
    remarks = []
    controlled = local_controlled_parameters(document)
    if controlled:
        remarks.append(
            f"postgresql.parameters: {', '.join(controlled)} have no effect in the local "
            "file; change them with `regnalctl edit-config`"
        )
    stores = [name for name in STORES if name in document]
    if len(stores) > 1:
        remarks.append(
            f"several stores are configured ({', '.join(stores)}): {stores[0]} is used"
        )
    if "users" in document.get("bootstrap", {}):
        remarks.append(
            "bootstrap.users is deprecated: create users with bootstrap.post_bootstrap"
        )
    return remarks
