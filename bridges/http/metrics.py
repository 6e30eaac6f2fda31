"""`GET /metrics`: the snapshot's values.

The names are the peer's, so that existing dashboards and alerts go on working.
"""

import json
from collections.abc import Mapping, Sequence

from regnal.bridges.metric import Measured, Metric, Sample
from regnal.messages.status import StatusSnapshot

METRICS = (
    Metric("patroni_version", "gauge", "Version, two digits to each part."),
    Metric(
        "patroni_postgres_running",
        "gauge",
        "Value is 1 if Postgres is running, 0 otherwise.",
    ),
    Metric(
        "patroni_postmaster_start_time",
        "gauge",
        "Epoch seconds since Postgres started.",
    ),
    Metric(
        "patroni_primary",
        "gauge",
        "Value is 1 if this node is the primary, 0 otherwise.",
    ),
    Metric("patroni_master", "gauge", "Former name of patroni_primary."),
    Metric(
        "patroni_xlog_location",
        "counter",
        "Current location of the Postgres transaction log, 0 if this node is not the primary.",
    ),
    Metric(
        "patroni_standby_leader",
        "gauge",
        "Value is 1 if this node is the standby leader, 0 otherwise.",
    ),
    Metric(
        "patroni_replica", "gauge", "Value is 1 if this node is a replica, 0 otherwise."
    ),
    Metric(
        "patroni_sync_standby",
        "gauge",
        "Value is 1 if this node is a synchronous standby, 0 otherwise.",
    ),
    Metric(
        "patroni_quorum_standby",
        "gauge",
        "Value is 1 if this node is a quorum standby, 0 otherwise.",
    ),
    Metric(
        "patroni_xlog_received_location",
        "counter",
        "Current location of the received Postgres transaction log, 0 if this node is the primary.",
    ),
    Metric(
        "patroni_xlog_replayed_location",
        "counter",
        "Current location of the replayed Postgres transaction log, 0 if this node is the primary.",
    ),
    Metric(
        "patroni_xlog_replayed_timestamp",
        "gauge",
        "Current timestamp of the replayed Postgres transaction log, 0 if unknown.",
    ),
    Metric(
        "patroni_xlog_paused",
        "gauge",
        "Value is 1 if the replay of the Postgres transaction log is paused, 0 otherwise.",
    ),
    Metric(
        "patroni_postgres_streaming",
        "gauge",
        "Value is 1 if Postgres is streaming, 0 otherwise.",
    ),
    Metric(
        "patroni_postgres_in_archive_recovery",
        "gauge",
        "Value is 1 if Postgres is replaying from the archive, 0 otherwise.",
    ),
    Metric(
        "patroni_postgres_server_version",
        "gauge",
        "Version of Postgres, 0 if unknown.",
    ),
    Metric(
        "patroni_cluster_unlocked",
        "gauge",
        "Value is 1 if the cluster has no leader, 0 otherwise.",
    ),
    Metric(
        "patroni_failsafe_mode_is_active",
        "gauge",
        "Value is 1 if failsafe mode is active, 0 otherwise.",
    ),
    Metric(
        "patroni_failsafe_mode_enabled",
        "gauge",
        "Value is 1 if failsafe mode is switched on, 0 otherwise.",
    ),
    Metric(
        "patroni_failsafe_member",
        "gauge",
        "Value is 1 if this node is listed in the failsafe key, 0 otherwise.",
    ),
    Metric(
        "patroni_failover_priority",
        "gauge",
        "Priority of this node in a failover, 0 if it may not lead.",
    ),
    Metric(
        "patroni_postgres_timeline",
        "gauge",
        "Timeline of this node, 0 if Postgres is not running.",
    ),
    Metric(
        "patroni_dcs_last_seen",
        "gauge",
        "Epoch timestamp when the DCS was last contacted successfully.",
    ),
    Metric(
        "patroni_pending_restart",
        "gauge",
        "Value is 1 if the node needs a restart, 0 otherwise.",
    ),
    Metric(
        "patroni_is_paused",
        "gauge",
        "Value is 1 if automatic failover is switched off, 0 otherwise.",
    ),
    Metric(
        "patroni_postgres_state",
        "gauge",
        "Numeric representation of the state of Postgres.",
    ),
)


def measured(snapshot: StatusSnapshot) -> Sequence[Measured]:
    """All of them; a value that the snapshot does not have is 0 (METRICS-02)."""
    values: dict[str, float] = json.loads(snapshot.metrics)
    values["patroni_dcs_last_seen"] = snapshot.dcs_last_seen
    return [Measured(one, (Sample(values.get(one.name, 0)),)) for one in METRICS]


def labels_of(snapshot: StatusSnapshot) -> Mapping[str, str]:
    """What tells the metrics of members apart."""
    return {"scope": snapshot.scope, "name": snapshot.name}
