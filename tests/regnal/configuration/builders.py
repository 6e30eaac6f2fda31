"""Configurations for the tests: one that is complete, and how to change it."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regnal.configuration.source import ConfigurationSource, Effective

MINIMAL: Mapping[str, Any] = {
    "name": "alpha",
    "scope": "demo",
    "restapi": {"listen": "127.0.0.1:8008"},
    "etcd3": {"host": "127.0.0.1:2379"},
    "postgresql": {
        "listen": "127.0.0.1:5432",
        "data_dir": "/nowhere/data",
        "authentication": {"replication": {"username": "replicator"}},
    },
}
"""All that a daemon needs, and nothing more."""


def document(**sections: Any) -> dict[str, Any]:
    """MINIMAL, with these sections laid over it; None removes."""
    return laid_over(dict(copy.deepcopy(MINIMAL)), sections)


def laid_over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in above.items():
        if value is None:
            below.pop(name, None)
        elif isinstance(value, dict) and isinstance(below.get(name), dict):
            laid_over(below[name], value)
        else:
            below[name] = value
    return below


def source(
    content: Mapping[str, Any] | str,
    environ: dict[str, str] | None = None,
    *,
    directory: Path,
) -> ConfigurationSource:
    """Of a file in `directory` with this content (JSON is YAML, too)."""
    file = directory / "regnal.yml"
    text = content if isinstance(content, str) else json.dumps(content)
    file.write_text(text)
    return ConfigurationSource(file, {} if environ is None else environ)


def loaded(
    content: Mapping[str, Any] | str,
    environ: dict[str, str] | None = None,
    *,
    directory: Path,
) -> Effective:
    return source(content, environ, directory=directory).load()
