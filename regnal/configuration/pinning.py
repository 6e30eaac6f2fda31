"""Options that stay as they were until the daemon is started again.

Under another name, in another cluster or on other data the daemon would be
another member: it would forget a lease that it holds.
"""

from copy import deepcopy
from typing import Any

from regnal.configuration.problems import dotted
from regnal.configuration.schema_stores import STORES
from regnal.configuration.tree import Document

_PINNED = (
    ("name",),
    ("scope",),
    ("namespace",),
    ("postgresql", "data_dir"),
    ("journal", "dir"),
    ("nats",),
    ("webhooks",),
    ("otel",),
    ("thread_pool_size",),
    ("thread_stack_size",),
)


def pinned(old: Document, new: Document) -> tuple[Document, list[str]]:
    """`new` with the pinned options of `old`; and a warning for each change."""
    kept = deepcopy(new)
    warnings = []
    for path in _PINNED:
        if _get(old, path) != _get(new, path):
            _put(kept, path, _get(old, path))
            warnings.append(
                f"{dotted(path)} stays as it is until the daemon is restarted"
            )
    if _store(old) != _store(new):
        for name in STORES:
            kept.pop(name, None)
        kept |= {name: old[name] for name in STORES if name in old}
        warnings.append(f"{_store(old)} stays the store until the daemon is restarted")
    return kept, warnings


def _store(document: Document) -> str | None:
    return next((name for name in STORES if name in document), None)


def _get(document: Document, path: tuple[str, ...]) -> Any:
    value: Any = document
    for name in path:
        value = value.get(name, {})
    return value if value != {} else None


def _put(document: Document, path: tuple[str, ...], value: Any) -> None:
    section = document
    for name in path[:-1]:
        section = section.setdefault(name, {})
    if value is None:
        section.pop(path[-1], None)
    else:
        section[path[-1]] = value
