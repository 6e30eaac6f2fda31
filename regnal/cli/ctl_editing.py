"""Changing the dynamic configuration: from files, from `key=value`, in an editor.

A configuration is changed by making a new one; what is given is never altered.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from regnal.cli.ctl_table import yaml_text
from regnal.configuration.problems import ConfigurationError
from regnal.configuration.reading import read_yaml

Document = dict[str, Any]

_EDITORS = ("editor", "vi")
_PARAMETERS = ("postgresql", "parameters")
"""Below it everything is one key: parameters of extensions have dots in their names."""


def read_document(file: str) -> Document:
    """The mapping in the file, or on standard input (`-`)."""
    try:
        if file == "-":
            text = sys.stdin.read()
        else:
            text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise click.ClickException(f"{file} cannot be read: {error}") from error
    return parse_document(text, "standard input" if file == "-" else file)


def parse_document(text: str, source: str) -> Document:
    """A YAML mapping; an empty text is an error, not an empty configuration."""
    try:
        tree = read_yaml(text, source)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    if not tree.data:
        raise click.ClickException(f"{source} is empty: give `option: value` lines")
    return tree.data


def apply_patch(config: Document, patch: Mapping[str, Any]) -> Document:
    """As `PATCH /config` does it: mappings are merged, `null` removes, the rest
    replaces; what had no place before is taken as it is."""
    merged = dict(config)
    for key, value in patch.items():
        below = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(below, dict):
            merged[key] = apply_patch(below, value)
        else:
            merged[key] = value
    return merged


def without_nulls(config: Mapping[str, Any]) -> Document:
    """Without options that are not set; below, `null` may mean something (`slots`)."""
    return {key: value for key, value in config.items() if value is not None}


def set_values(
    config: Document, settings: Sequence[str], parameters: Sequence[str]
) -> Document:
    """Each setting is `path.to.option=value`, each parameter `name=value`."""
    for text in settings:
        path, value = _parsed(text)
        config = _with(config, _split(path), value)
    for text in parameters:
        name, value = _parsed(text)
        config = _with(config, (*_PARAMETERS, name), value)
    return config


def _with(config: Document, path: tuple[str, ...], value: Any) -> Document:
    """`config` with the value at `path`; `null` removes it, and with it every
    mapping that becomes empty."""
    key, *rest = path
    changed = dict(config)
    if rest:
        below = config.get(key)
        value = _with(below if isinstance(below, dict) else {}, tuple(rest), value)
        value = value or None
    if value is None:
        changed.pop(key, None)
    else:
        changed[key] = value
    return changed


def _parsed(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals or not path or any(not part for part in path.split(".")):
        raise click.ClickException(f"Invalid parameter setting {text}")
    try:
        # Only what JSON can hold: a date stays the text that it is.
        return path, json.loads(json.dumps(yaml.safe_load(value), default=str))
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or error
        raise click.ClickException(
            f"Invalid parameter setting {text}: the value is not YAML: {problem}"
        ) from error
    except (ValueError, TypeError, RecursionError) as error:
        # A 13th month, a list as a key, a thousand brackets: YAML, but no value.
        raise click.ClickException(
            f"Invalid parameter setting {text[:200]}: no such value: {error}"
        ) from error


def _split(path: str) -> tuple[str, ...]:
    prefix = ".".join(_PARAMETERS) + "."
    if path.startswith(prefix):
        return (*_PARAMETERS, path.removeprefix(prefix))
    return tuple(path.split("."))


def edited_by_person(scope: str, config: Document) -> Document:
    """What is in the file when the editor has closed it."""
    before = yaml_text(config)
    prefix = f"{scope.replace('/', '_')}-config-"
    with tempfile.TemporaryDirectory(prefix="regnalctl-") as directory:
        file = Path(directory) / f"{prefix}edit.yaml"
        file.write_text(before, encoding="utf-8")
        command = [*_editor(), str(file)]
        try:
            status = subprocess.run(command, check=False).returncode
        except OSError as error:
            raise click.ClickException(
                f"The editor {command[0]} cannot be started: {error.strerror}; "
                "set EDITOR to another one"
            ) from error
        if status:
            raise click.ClickException(f"Editor exited with return code {status}")
        after = file.read_text(encoding="utf-8")
    if after == before:
        return config
    return without_nulls(parse_document(after, "the edited text"))


def _editor() -> list[str]:
    wanted = os.environ.get("EDITOR")
    if wanted:
        return shlex.split(wanted)
    for name in _EDITORS:
        if shutil.which(name):
            return [name]
    raise click.ClickException(
        "No editor could be found: set EDITOR, or install one of " + ", ".join(_EDITORS)
    )
