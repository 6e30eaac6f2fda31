"""What regnalctl must know of the dynamic configuration; values unusable count as absent."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from regnal.messages.base import Seconds
from regnal.messages.cluster import ClusterView

_TRUE = frozenset({"on", "true", "yes", "1"})


class ClusterSettings(NamedTuple):
    paused: bool
    loop_wait: Seconds
    synchronous_mode: bool
    is_quorum_mode: bool
    is_standby_cluster: bool
    primary_start_timeout: Seconds

    @classmethod
    def of(cls, cluster: ClusterView) -> "ClusterSettings":
        config = dynamic_configuration(cluster) or {}
        standby = config.get("standby_cluster")
        is_standby = isinstance(standby, Mapping) and any(
            standby.get(key) for key in ("host", "port", "restore_command")
        )
        mode = str(config.get("synchronous_mode", "")).lower()
        start = config.get("primary_start_timeout", config.get("master_start_timeout"))
        return cls(
            paused=str(config.get("pause", "")).lower() in _TRUE,
            loop_wait=_seconds(config.get("loop_wait"), 10.0),
            synchronous_mode=not is_standby and (mode == "quorum" or mode in _TRUE),
            is_quorum_mode=not is_standby and mode == "quorum",
            is_standby_cluster=is_standby,
            primary_start_timeout=_seconds(start, 300.0),
        )


def dynamic_configuration(cluster: ClusterView) -> dict[str, Any] | None:
    """The `config` key; None where there is none, or it is no JSON object."""
    if cluster.config is None:
        return None
    try:
        value = json.loads(cluster.config)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _seconds(value: Any, default: Seconds) -> Seconds:
    try:
        return max(1.0, float(value))
    except (TypeError, ValueError, OverflowError):
        return default
