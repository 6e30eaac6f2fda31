"""Puts the sources together: defaults < dynamic < local files < environment.

Both sides were checked against their own schema, which has already left out
what the other side alone may set; the controlled parameters are left out here.
"""

from typing import Any

from regnal.configuration.checking import with_defaults
from regnal.configuration.schema import DYNAMIC, LOCAL
from regnal.configuration.schema_postgresql import CONTROLLED_PARAMETERS
from regnal.configuration.tree import Document

_MERGED_BY_NAME = frozenset({"bin_name", "recovery_conf", "callbacks"})
"""Of the options in both, those of which single keys win, not the whole."""


def merge(dynamic: Document, local: Document) -> Document:
    """The configuration in force, with every default."""
    merged = {name: value for name, value in dynamic.items() if name != "postgresql"}
    merged |= {name: value for name, value in local.items() if name != "postgresql"}
    merged["postgresql"] = _merge_postgresql(
        dynamic.get("postgresql", {}), local.get("postgresql", {})
    )
    return with_defaults(DYNAMIC, with_defaults(LOCAL, merged))


def local_controlled_parameters(local: Document) -> list[str]:
    """Controlled parameters in the local file: they have no effect there."""
    parameters = local.get("postgresql", {}).get("parameters", {})
    return sorted(name for name in parameters if name.lower() in CONTROLLED_PARAMETERS)


def _merge_postgresql(dynamic: Document, local: Document) -> Document:
    merged = dynamic | local
    for name in _MERGED_BY_NAME:
        if name in dynamic and name in local:
            merged[name] = dynamic[name] | local[name]
    if "parameters" in merged:
        merged["parameters"] = _merge_parameters(
            dynamic.get("parameters", {}), local.get("parameters", {})
        )
    return merged


def _merge_parameters(dynamic: dict[str, Any], local: dict[str, Any]) -> dict[str, Any]:
    """By name, whatever the case: PostgreSQL does not tell them apart by it."""
    ours = {
        name: value
        for name, value in local.items()
        if name.lower() not in CONTROLLED_PARAMETERS
    }
    lowered = {name.lower() for name in ours}
    return {n: v for n, v in dynamic.items() if n.lower() not in lowered} | ours
