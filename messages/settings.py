"""The settings that deciders use: the merged configuration, without secrets.

Where each comes from (local file, environment, dynamic configuration) is the
business of `regnal.configuration`; the names are those of docs/contracts.md 6.
"""

from typing import ClassVar, Literal

from regnal.messages.base import (
    Bytes,
    Command,
    JsonText,
    MemberName,
    Observation,
    Seconds,
    Value,
)
from regnal.messages.cluster import Tags
from regnal.messages.fencing import WatchdogDriver

DEFAULT_START_TIMEOUT: Seconds = 300
"""Of primary_start_timeout."""


class PermanentSlot(Value):
    """One entry of `slots`."""

    name: str
    type: Literal["physical", "logical"] = "physical"
    database: str | None = None
    plugin: str | None = None
    cluster_type: Literal["primary", "standby"] | None = None


class SlotMatcher(Value):
    """One entry of `ignore_slots`; None matches anything."""

    name: str | None = None
    type: str | None = None
    database: str | None = None
    plugin: str | None = None


class StandbyCluster(Value):
    """The `standby_cluster` section: we replicate from another cluster."""

    host: str | None = None
    port: str | None = None
    primary_slot_name: str | None = None
    create_replica_methods: tuple[str, ...] = ()
    restore_command: str | None = None
    archive_cleanup_command: str | None = None
    recovery_min_apply_delay: str | None = None


class ReplicaMethod(Value):
    """One method of `postgresql.create_replica_methods`."""

    name: str
    needs_source: bool
    keep_data: bool


class Callbacks(Value):
    """Which callbacks and hooks are configured (their commands stay local)."""

    on_start: bool = False
    on_stop: bool = False
    on_restart: bool = False
    on_reload: bool = False
    on_role_change: bool = False
    pre_promote: bool = False


class Settings(Value):
    """The configuration in force, as far as rules depend on it."""

    name: MemberName
    scope: str
    conn_url: str
    api_url: str
    proxy_url: str | None = None
    version: str
    """Of the protocol that we speak to members of the peer product."""

    tags: Tags = Tags()

    ttl: Seconds = 30
    """Of our keys in the store; what a lease lasts: `ttl`, or less with `fencing.lease`."""

    loop_wait: Seconds = 10
    retry_timeout: Seconds = 10
    maximum_lag_on_failover: Bytes = 1048576
    maximum_lag_on_syncnode: Bytes = -1
    """0 or less: off."""

    check_timeline: bool = False
    max_timelines_history: int = 0
    primary_start_timeout: Seconds = DEFAULT_START_TIMEOUT
    primary_stop_timeout: Seconds = 0
    """0 or less: no limit."""

    synchronous_mode: Literal["off", "on", "quorum"] = "off"
    synchronous_mode_strict: bool = False
    synchronous_node_count: int = 1
    failsafe_mode: bool = False
    paused: bool = False
    standby_cluster: StandbyCluster | None = None
    """None: this is a cluster with a primary of its own."""

    use_slots: bool = True
    slots: tuple[PermanentSlot, ...] = ()
    ignore_slots: tuple[SlotMatcher, ...] = ()
    member_slots_ttl: Seconds = 1800

    use_pg_rewind: bool = False
    remove_data_directory_on_rewind_failure: bool = False
    remove_data_directory_on_diverged_timelines: bool = False
    replica_methods: tuple[ReplicaMethod, ...] = (
        ReplicaMethod(name="basebackup", needs_source=True, keep_data=False),
    )
    pg_ctl_timeout: Seconds = 60
    synchronous_standby_names: str = ""
    """Of the user; used while synchronous_mode is off."""

    callbacks: Callbacks = Callbacks()
    may_bootstrap: bool = True
    """Whether there is a `bootstrap` section."""

    bootstrap_config: JsonText = "{}"
    """`bootstrap.dcs`: the first dynamic configuration of a new cluster."""

    watchdog_mode: Literal["off", "automatic", "required"] = "automatic"
    watchdog_device: str = "/dev/watchdog"
    watchdog_driver: WatchdogDriver = "default"
    watchdog_safety_margin: Seconds = 5
    """-1: half of ttl."""

    min_time_between_failovers: Seconds = 0
    """After an automatic failover, how long the next is held up; 0: not at all."""

    crash_loop_limit: int = 0
    """So many unasked ends as primary within the window bar a member from leading; 0:
    none do."""

    crash_loop_window: Seconds = 600
    explain_incidents: bool = True
    """Whether the leader explains incidents when they are settled."""

    guard: bool = True
    """Whether the guard process fences PostgreSQL when the lease ends."""

    lease_margin: Seconds = 5
    """How long before the lease ends a primary must have begun to stop."""

    @property
    def start_timeout(self) -> Seconds:
        """How long PostgreSQL may take to start, or to recover.  A primary_start_timeout
        of 0 only says that the crash of a primary is a failover (ELEC-11)."""
        return self.primary_start_timeout or DEFAULT_START_TIMEOUT

    @property
    def is_standby_cluster(self) -> bool:
        return self.standby_cluster is not None

    @property
    def is_synchronous(self) -> bool:
        """Whether synchronous mode is on (it is ignored in a standby cluster)."""
        return self.synchronous_mode != "off" and not self.is_standby_cluster


class ConfigurationApplied(Observation):
    """These settings are in force from now on."""

    kind: Literal["configuration_applied"] = "configuration_applied"
    version: ClassVar[int] = 2
    settings: Settings
    document: JsonText
    """The whole effective configuration, secrets masked, for the reader."""

    postgres_changed: bool
    """Whether the files of PostgreSQL must be written and it be reloaded."""

    dynamic: JsonText | None
    """The dynamic configuration that was merged in; None: none known yet."""


class ConfigurationRejected(Observation):
    """A new configuration cannot be used; the old one stays in force."""

    kind: Literal["configuration_rejected"] = "configuration_rejected"
    source: Literal["file", "dynamic"]
    error: str
    """Names the option, the value and the remedy."""


class LocalConfigurationChanged(Observation):
    """SIGHUP: a person wants the files read again."""

    kind: Literal["local_configuration_changed"] = "local_configuration_changed"


class ReloadConfiguration(Command):
    """Read the local files again and say what became of it."""

    kind: Literal["reload_configuration"] = "reload_configuration"


class KeepDynamicCopy(Command):
    """Write the copy of the dynamic configuration beside the data (CFG-16), now that
    there are data."""

    kind: Literal["keep_dynamic_copy"] = "keep_dynamic_copy"


class ApplyDynamicConfiguration(Command):
    """Merge this dynamic configuration and say what became of it."""

    kind: Literal["apply_dynamic_configuration"] = "apply_dynamic_configuration"
    document: JsonText
