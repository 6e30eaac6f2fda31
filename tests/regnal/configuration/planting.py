"""A configuration with a secret in every place that takes one."""

from collections.abc import Iterator, Mapping
from typing import Any

from regnal.configuration.kinds import Items, Node, Option, Section
from regnal.configuration.schema import LOCAL
from tests.regnal.configuration.builders import document, laid_over

Path = tuple[str, ...]

BESIDE: Mapping[str, Any] = {
    "restapi": {"authentication": {"username": "someone"}},
    "ctl": {"authentication": {"username": "someone"}},
    "etcd": {"url": "http://someone:{secret}@10.0.0.9:2379"},
    "nats": {
        "servers": ["nats://someone:{secret}@10.0.0.9:4222"],
        "username": "someone",
    },
    "webhooks": [{"url": "https://u:{secret}@10.0.0.9/{secret}"}],
    "otel": {"endpoint": "http://someone:{secret}@10.0.0.9:4318"},
    "postgresql": {
        "recovery_conf": {
            "primary_conninfo": "host=10.0.0.9 user=replicator password={secret}"
        },
        "callbacks": {"on_start": "/bin/notify postgres://u:{secret}@10.0.0.9/db"},
    },
}
"""Options that are not secret and may hold one."""


def secret_options(node: Node = LOCAL, path: Path = ()) -> Iterator[Path]:
    """The paths of all secret options; `anyone` where any name may stand."""
    if isinstance(node, Option) and node.secret:
        yield path
    elif isinstance(node, Items):
        yield from secret_options(node.item, path)
    elif isinstance(node, Section) and not node.rejected:
        for name, inner in node.entries.items():
            yield from secret_options(inner, (*path, name))
        if node.others is not None:
            yield from secret_options(node.others, (*path, "anyone"))


def planted(secret: str) -> dict[str, Any]:
    """The document; each place has a secret of its own that begins with this."""
    content = document()
    for number, path in enumerate(secret_options()):
        branch: Any = f"{secret}{number}"
        for name in reversed(path):
            branch = {name: branch}
        laid_over(content, branch)
    return laid_over(content, _filled(BESIDE, secret))


def _filled(value: Any, secret: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _filled(inner, secret) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, secret) for inner in value]
    return value.format(secret=f"{secret}-beside")
