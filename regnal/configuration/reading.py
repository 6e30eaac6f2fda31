"""Reads YAML into a tree that remembers files and lines.

Only what JSON can hold is let in: no tags that make objects.  Size, depth and
the number of values are limited, since a small file can name itself a billion
times.
"""

import json
from pathlib import Path
from typing import Any, NoReturn

import yaml

from regnal.configuration.problems import ConfigurationError, OptionPath, Problem
from regnal.configuration.tree import Document, Origin, Tree, overlay

MAX_BYTES = 4 * 1024 * 1024
"""Of one file; the largest that a store keeps in one key is 1.5 MiB (etcd)."""

MAX_VALUES = 100_000
MAX_DEPTH = 50
MAX_BITS = 64
"""Of a number; longer ones stay texts."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"

_DEEPER_THAN_LIBYAML = "maximum nesting depth"
"""Its scanner has a limit of its own since PyYAML 6.0.4, far beyond ours."""


def read_path(path: Path) -> Tree:
    """A file, or all `*.yml` and `*.yaml` of a directory in alphabetical order."""
    try:
        if not path.is_dir():
            return read_yaml(_content(path), str(path))
        tree = Tree()
        for file in sorted(path.iterdir(), key=lambda entry: entry.name):
            if file.suffix in (".yml", ".yaml") and file.is_file():
                tree = overlay(tree, read_yaml(_content(file), str(file)))
        return tree
    except OSError as error:
        raise _unreadable(str(error.filename or path), error) from error


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def read_yaml(text: bytes | str, source: str) -> Tree:
    """The document `text`; `source` names it in errors.

    An empty document is an empty tree.
    """
    if len(text) > MAX_BYTES:
        raise _refused(source, f"is larger than {MAX_BYTES} bytes", "make it smaller")
    try:
        _check_depth(text, source)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        if _DEEPER_THAN_LIBYAML in str(error.problem):
            raise _too_deep(source, line) from error
        reason = f"is not YAML: {error.problem or error.context}"
        raise _refused(
            source, reason, "correct the syntax at this place", line
        ) from error
    except (yaml.YAMLError, UnicodeError) as error:
        reason = f"is not YAML: {' '.join(str(error).split())}"
        raise _refused(source, reason, "write it as UTF-8 text") from error
    except RecursionError as error:
        raise _too_deep(source, None) from error
    tree = Tree()
    if node is None:
        return tree
    data = _Reader(source, tree.origins).value(node, ())
    if data is None:
        return tree
    if not isinstance(data, dict):
        raise _refused(
            source,
            "the top level is not a mapping",
            "write `option: value` lines",
            node.start_mark.line + 1,
        )
    tree.data = data
    return tree


def _check_depth(text: bytes | str, source: str) -> None:
    """Before nodes are made of it: libyaml's composer recurses in C, and a deep
    document ends the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark = event.start_mark
                raise _too_deep(source, mark.line + 1 if mark else None)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Reader:
    """Turns the nodes of one document into values, noting where each was."""

    def __init__(self, source: str, origins: dict[OptionPath, Origin]) -> None:
        self._source = source
        self._origins = origins
        self._count = 0
        self._scalars = yaml.constructor.SafeConstructor()

    def value(self, node: Any, path: OptionPath) -> Any:
        line = node.start_mark.line + 1
        self._count += 1
        if self._count > MAX_VALUES:
            raise _refused(
                self._source,
                f"has more than {MAX_VALUES} values (aliases count each time)",
                "make it smaller",
                line,
            )
        if len(path) > MAX_DEPTH:
            raise _too_deep(self._source, line)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            self._origins[path] = Origin(self._source, line)
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            self._origins[path] = Origin(self._source, line)
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            self._origins[path] = Origin(self._source, line, node.value)
            return self._scalar(node, line)
        raise self._bad_tag(node, line)

    def _mapping(self, node: Any, path: OptionPath) -> Document:
        merged: Document = {}
        mapping: Document = {}
        for key, inner in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise _refused(
                    self._source, "a key is not a text", "write `option: value`", line
                )
            if key.tag == _TAG + "merge":
                merged.update(self._merged(inner, path))
                continue
            if key.value in mapping:
                raise _refused(
                    self._source,
                    f"{key.value!r} is there twice",
                    "remove one of them",
                    line,
                )
            mapping[key.value] = self.value(inner, (*path, key.value))
        return merged | mapping

    def _merged(self, node: Any, path: OptionPath) -> Document:
        """`<<`: of several mappings the first that has a key counts."""
        value = self.value(node, path)
        values = value if isinstance(value, list) else [value]
        document: Document = {}
        for mapping in reversed(values):
            if not isinstance(mapping, dict):
                raise _refused(
                    self._source,
                    "`<<` does not name a mapping",
                    "name an anchor of a mapping",
                    node.start_mark.line + 1,
                )
            document.update(mapping)
        return document

    def _scalar(self, node: Any, line: int) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind in ("str", "timestamp"):
            return node.value
        if kind not in ("null", "bool", "int", "float"):
            raise self._bad_tag(node, line)
        try:
            value = self._scalars.construct_object(node)
        except (ValueError, KeyError, IndexError, OverflowError, yaml.YAMLError):
            return node.value  # whoever wants a number will say so, with the path
        is_huge = isinstance(value, int) and value.bit_length() > MAX_BITS
        return node.value if is_huge else value

    def _bad_tag(self, node: Any, line: int) -> ConfigurationError:
        return _refused(
            self._source, f"the tag {node.tag!r} is not allowed", "remove it", line
        )


def read_json(text: str, source: str) -> Tree:
    """A JSON object, such as the dynamic configuration."""
    if len(text) > MAX_BYTES:
        raise _refused(source, f"is larger than {MAX_BYTES} bytes", "make it smaller")
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _refused(
            source, f"is not JSON: {error.msg}", "correct it", error.lineno
        ) from error
    except ValueError as error:
        raise _refused(source, f"is not JSON: {error}", "correct it") from error
    except RecursionError as error:
        raise _too_deep(source, None) from error
    if not isinstance(data, dict):
        raise _refused(source, "is not a JSON object", "write {...}")
    if "\\ud" in text.lower() and not is_unicode(json.dumps(data, ensure_ascii=False)):
        raise _refused(source, "has half a surrogate pair", "write whole characters")
    if _is_deeper(data, MAX_DEPTH):
        raise _too_deep(source, None)
    return Tree(data, {(): Origin(source)})


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8: halves of surrogate pairs, which
    JSON can spell and variables can hold, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_is_deeper(inner, levels - 1) for inner in value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON knows")


def _refused(
    source: str, reason: str, remedy: str, line: int | None = None
) -> ConfigurationError:
    where = "" if line is None else f"line {line}"
    return ConfigurationError(Problem(source, reason, remedy, where))


def _too_deep(source: str, line: int | None) -> ConfigurationError:
    return _refused(
        source, f"is nested more than {MAX_DEPTH} levels deep", "make it flatter", line
    )


def _unreadable(path: str, error: OSError) -> ConfigurationError:
    reason = f"cannot be read: {error.strerror or error}"
    return _refused(path, reason, "check the path, its owner and its permissions")
