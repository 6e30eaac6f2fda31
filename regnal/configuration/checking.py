"""Holds a tree against the schema: typed values, problems, warnings."""

import difflib
from dataclasses import dataclass, field
from typing import Any

from regnal.configuration.kinds import Items, Node, Option, Section, Unusable
from regnal.configuration.problems import OptionPath, Problem, dotted, shown
from regnal.configuration.tree import Document, Tree

MAX_PROBLEMS = 100
"""More are not worth reading."""

_NOTHING = object()


@dataclass(slots=True)
class Checked:
    """What is written, in the types that the program uses.  No defaults."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check(schema: Section, tree: Tree) -> Checked:
    """All problems at once; `document` leaves out what has one."""
    checker = _Checker(tree)
    document = checker.section(schema, tree.data, ())
    return Checked(document, checker.problems, checker.warnings)


class _Checker:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def section(self, schema: Section, value: dict[str, Any], path: OptionPath) -> Any:
        document: Document = {}
        for name, inner in value.items():
            node = schema.entries.get(name) or self._other(schema, name, inner, path)
            if node is None:
                continue
            parsed = self._value(node, inner, (*path, name))
            if parsed is not _NOTHING:
                document[name] = parsed
        return document

    def _other(
        self, schema: Section, name: str, value: Any, path: OptionPath
    ) -> Node | None:
        """The node of a key that has no entry of its own; None: leave it out."""
        here = dotted((*path, name))
        remark = schema.remarks.get(name)
        if remark is not None:
            if value is not None:
                self.warnings.append(f"{here} {remark}{self._where((*path, name))}")
            return None
        close = difflib.get_close_matches(name, schema.entries, n=1, cutoff=0.75)
        if schema.others is not None and not _is_likely_mistake(
            schema, value, bool(close)
        ):
            return schema.others
        meant = f"; did you mean {close[0]}?" if close else ""
        self.warnings.append(
            f"{here} is not a known option{meant}{self._where((*path, name))}"
        )
        return None

    def _value(self, node: Node, value: Any, path: OptionPath) -> Any:
        if isinstance(node, Section) and node.rejected:
            if value:
                self._problem(path, "is there", node.rejected)
            return _NOTHING
        if value is None:
            # An empty section was written all the same: it chooses a store.
            return {} if isinstance(node, Section) else _NOTHING
        match node:
            case Section():
                if not isinstance(value, dict):
                    self._problem(
                        path, f"{shown(value)} is not a mapping", "write a section"
                    )
                    return _NOTHING
                return self.section(node, value, path)
            case Items():
                return self._items(node, value, path)
            case Option():
                return self._option(node, value, path)

    def _items(self, node: Items, value: Any, path: OptionPath) -> Any:
        if node.from_mapping and isinstance(value, dict):
            value = [{name: inner} for name, inner in value.items()]
        if node.from_text and isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list):
            self._problem(
                path, f"{shown(value)} is not a list", "write `- value` lines"
            )
            return _NOTHING
        parsed = [
            self._value(node.item, inner, (*path, number))
            for number, inner in enumerate(value)
        ]
        return [inner for inner in parsed if inner is not _NOTHING]

    def _option(self, node: Option, value: Any, path: OptionPath) -> Any:
        try:
            return node.kind.parse(value, self._tree.written(path))
        except Unusable as error:
            subject = "the value" if node.secret else shown(value)
            self._problem(path, f"{subject} {error.reason}", error.remedy)
            return _NOTHING

    def _problem(self, path: OptionPath, reason: str, remedy: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            where = self._where(path).strip(" ()")
            self.problems.append(Problem(dotted(path), reason, remedy, where))

    def _where(self, path: OptionPath) -> str:
        origin = self._tree.origin(path)
        return f" ({origin})" if origin else ""


def _is_likely_mistake(schema: Section, value: Any, is_close: bool) -> bool:
    """Whether a key that may have any name is rather a misspelt option.

    It may be where the sections of methods stand beside options.
    """
    if not schema.entries or not isinstance(schema.others, Section):
        return False
    if not isinstance(value, dict):
        return True
    return is_close and "command" not in value


def required(
    schema: Section, document: Document, path: OptionPath = ()
) -> list[Problem]:
    """Problems for each required option that is not there."""
    problems = []
    for name, node in schema.entries.items():
        here = (*path, name)
        if isinstance(node, Option) and node.required and name not in document:
            problems.append(Problem(dotted(here), "is missing", "write it"))
        elif isinstance(node, Section) and node.required:
            problems += required(node, document.get(name, {}), here)
    return problems


def with_defaults(schema: Section, document: Document) -> Document:
    """The document, with the default of every option that nobody wrote."""
    full: Document = dict(document)
    if schema.stays_bare:
        return full
    for name, node in schema.entries.items():
        match node:
            case Section():
                if name in full or node.always:
                    full[name] = with_defaults(node, full.get(name, {}))
            case Items():
                if name not in full and node.default is not None:
                    full[name] = list(node.default)
            case Option():
                if name not in full and node.default is not None:
                    full[name] = node.default
    if isinstance(schema.others, Section):
        for name, value in full.items():
            if name not in schema.entries and isinstance(value, dict):
                full[name] = with_defaults(schema.others, value)
    return full
