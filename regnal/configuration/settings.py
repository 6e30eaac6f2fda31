"""Makes the `Settings` of the deciders from the merged configuration."""

import json
from collections.abc import Mapping
from typing import Any

from regnal.configuration.addresses import parse_address
from regnal.configuration.published import api_url, postgres_address
from regnal.configuration.timers import Timers, correct, lease_of
from regnal.configuration.tree import Document
from regnal.messages.base import JsonText
from regnal.messages.cluster import Tags
from regnal.messages.settings import (
    Callbacks,
    PermanentSlot,
    ReplicaMethod,
    Settings,
    SlotMatcher,
    StandbyCluster,
)

PEER_VERSION = "4.1.5"
"""Of Patroni: what we publish, since members of the peer switch on behaviour by
it (docs/contracts.md 11)."""


def make_settings(
    document: Document, bootstrap_config: JsonText
) -> tuple[Settings, list[str]]:
    """Settings, and warnings about what had to be corrected."""
    postgresql = document["postgresql"]
    timers, warnings = correct(
        Timers(document["ttl"], document["loop_wait"], document["retry_timeout"])
    )
    watchdog = document["watchdog"]
    lease, lease_warnings = lease_of(
        timers,
        document["fencing"].get("lease"),
        None if watchdog["mode"] == "off" else watchdog["safety_margin"],
    )
    tags, tag_warnings = make_tags(document["tags"])
    database = postgresql["database"]
    proxy = postgresql.get("proxy_address")
    settings = Settings(
        name=document["name"],
        scope=document["scope"],
        conn_url=f"postgres://{postgres_address(postgresql)}/{database}",
        api_url=api_url(document["restapi"]),
        proxy_url=f"postgres://{parse_address(proxy)}/{database}" if proxy else None,
        version=PEER_VERSION,
        tags=tags,
        ttl=lease,
        loop_wait=timers.loop_wait,
        retry_timeout=timers.retry_timeout,
        watchdog_mode=watchdog["mode"],
        watchdog_device=watchdog["device"],
        watchdog_driver=watchdog["driver"],
        watchdog_safety_margin=watchdog["safety_margin"],
        guard=document["fencing"]["guard"] == "on",
        explain_incidents=document["incidents"]["explain"] == "on",
        lease_margin=_lease_margin(document, timers, lease, warnings),
        **_cluster_settings(document),
        **_postgres_settings(postgresql),
        may_bootstrap="bootstrap" in document,
        bootstrap_config=bootstrap_config,
    )
    return settings, warnings + lease_warnings + tag_warnings


def _cluster_settings(document: Document) -> dict[str, Any]:
    """What all members have in common, beside the timers."""
    is_strict = document["synchronous_mode_strict"]
    return {
        "maximum_lag_on_failover": document["maximum_lag_on_failover"],
        "maximum_lag_on_syncnode": document["maximum_lag_on_syncnode"],
        "check_timeline": document["check_timeline"],
        "max_timelines_history": document["max_timelines_history"],
        "primary_start_timeout": document["primary_start_timeout"],
        "primary_stop_timeout": document["primary_stop_timeout"],
        "synchronous_mode": document["synchronous_mode"],
        "synchronous_mode_strict": is_strict,
        "synchronous_node_count": max(
            document["synchronous_node_count"], 1 if is_strict else 0
        ),
        "failsafe_mode": document["failsafe_mode"],
        "paused": document["pause"],
        "standby_cluster": _standby_cluster(document.get("standby_cluster", {})),
        "slots": tuple(
            PermanentSlot(name=name, **slot)
            for name, slot in document.get("slots", {}).items()
        ),
        "ignore_slots": tuple(
            SlotMatcher(**matcher) for matcher in document.get("ignore_slots", [])
        ),
        "member_slots_ttl": document["member_slots_ttl"],
        **document["incident_policy"],
    }


def _postgres_settings(postgresql: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {
        name.lower(): value for name, value in postgresql.get("parameters", {}).items()
    }
    callbacks = dict.fromkeys(postgresql.get("callbacks", {}), True)
    return {
        "use_slots": postgresql["use_slots"],
        "use_pg_rewind": postgresql["use_pg_rewind"],
        "remove_data_directory_on_rewind_failure": postgresql[
            "remove_data_directory_on_rewind_failure"
        ],
        "remove_data_directory_on_diverged_timelines": postgresql[
            "remove_data_directory_on_diverged_timelines"
        ],
        "replica_methods": tuple(
            _replica_method(name, postgresql.get(name))
            for name in postgresql["create_replica_methods"]
        ),
        "pg_ctl_timeout": postgresql["pg_ctl_timeout"],
        "synchronous_standby_names": str(
            parameters.get("synchronous_standby_names", "")
        ),
        "callbacks": Callbacks(
            pre_promote="pre_promote" in postgresql,
            **callbacks,
        ),
    }


def _replica_method(name: str, section: Any) -> ReplicaMethod:
    options = section if isinstance(section, dict) else {}
    return ReplicaMethod(
        name=name,
        needs_source=not options.get("no_leader", False),
        keep_data=bool(options.get("keep_data", False)),
    )


def _standby_cluster(section: Mapping[str, Any]) -> StandbyCluster | None:
    """None unless it says where to replicate from."""
    if not any(name in section for name in ("host", "port", "restore_command")):
        return None
    methods = tuple(section.get("create_replica_methods", ()))
    return StandbyCluster(**{**section, "create_replica_methods": methods})


def make_tags(section: Mapping[str, Any]) -> tuple[Tags, list[str]]:
    """The tags; of two that contradict each other the boolean counts."""
    published = {
        name: value
        for name, value in section.items()
        if value is not None and value != _TAG_DEFAULTS.get(name, _NO_DEFAULT)
    }
    known = {name: section[name] for name in _TAG_DEFAULTS if name in section}
    tags = Tags(**known, document=json.dumps(published))
    warnings = []
    for flag, number in (
        ("nofailover", "failover_priority"),
        ("nosync", "sync_priority"),
    ):
        if flag in section and number in section:
            forbids = section[number] <= 0
            if forbids != section[flag]:
                warnings.append(
                    f"tags.{flag} and tags.{number} contradict each other: {flag} counts"
                )
    if section.get("nofailover") is False and tags.failover_priority <= 0:
        tags = tags.model_copy(update={"failover_priority": 1})
    if section.get("nosync") is False and tags.sync_priority <= 0:
        tags = tags.model_copy(update={"sync_priority": 1})
    return tags, warnings


_NO_DEFAULT = object()
_TAG_DEFAULTS: Mapping[str, Any] = {
    "nofailover": False,
    "failover_priority": 1,
    "clonefrom": False,
    "noloadbalance": False,
    "replicatefrom": None,
    "nosync": False,
    "sync_priority": 1,
    "nostream": False,
}


def _lease_margin(
    document: Document, timers: Timers, lease: float, warnings: list[str]
) -> float:
    margin: float = document["fencing"]["margin"]
    longest = lease - timers.loop_wait - timers.retry_timeout
    if margin <= longest:
        return margin
    if lease == timers.ttl:  # a shorter lease leaves less, as was asked for
        warnings.append(
            f"fencing.margin {margin} leaves no time to renew the lease (ttl {timers.ttl}, "
            f"loop_wait {timers.loop_wait}, retry_timeout {timers.retry_timeout}): "
            f"{longest} is used"
        )
    return longest
