"""What the PostgreSQL bridges must know of the configuration, secrets included.

Made by the runtime from the effective configuration, replaced as a whole when
that changes; never part of a message.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Credentials:
    """One of `postgresql.authentication.*`; None where libpq's default serves."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    connection_parameters: Mapping[str, str] = field(default_factory=dict)
    """sslmode, sslcert and the other libpq keywords of the section."""


@dataclass(frozen=True, slots=True)
class RemoteSource:
    """The `standby_cluster` section."""

    host: str | None = None
    port: str | None = None
    primary_slot_name: str | None = None
    create_replica_methods: tuple[str, ...] = ()
    restore_command: str | None = None
    archive_cleanup_command: str | None = None
    recovery_min_apply_delay: str | None = None


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    name: str
    scope: str
    data_dir: Path
    config_dir: Path
    """The data directory unless configured."""

    config_base_name: str
    bin_dir: Path | None
    """None: search PATH."""

    bin_names: Mapping[str, str]
    """Only where they differ, e.g. {"pg_ctl": "my_pg_ctl"}."""

    listen_addresses: str
    """As for the parameter listen_addresses: comma-separated, or `*`."""

    port: str
    connect_host: str
    connect_port: str
    database: str
    pgpass: Path
    superuser: Credentials
    replication: Credentials
    rewind: Credentials
    use_unix_socket: bool
    use_unix_socket_repl: bool
    parameters: Mapping[str, Any]
    """Merged from local and dynamic configuration, as given (not yet validated);
    the controlled ones only from the dynamic configuration."""

    pg_hba: tuple[str, ...] | None
    """None: the file is not ours."""

    pg_ident: tuple[str, ...] | None
    recovery_conf: Mapping[str, Any]
    custom_conf: str | None
    pg_ctl_timeout: float
    """Seconds."""

    use_pg_rewind: bool
    use_slots: bool
    create_replica_methods: tuple[str, ...]
    replica_methods: Mapping[str, Mapping[str, Any]]
    """Section of each method by name; `basebackup` may be a list of options."""

    callbacks: Mapping[str, str]
    """Action to command line."""

    pre_promote: str | None
    before_stop: str | None
    krbsrvname: str | None
    bootstrap: Mapping[str, Any]
    """The `bootstrap` section, empty if there is none."""

    remote: RemoteSource | None
    """Of a standby cluster; None: none."""

    synchronous_mode: bool
    """While on, synchronous_standby_names is ours and not the user's."""

    pg_malloc_arena_max: str | None = None
    has_logical_slots: bool = False
    """Whether permanent logical slots are configured: standbys then send feedback,
    so that the primary keeps the catalogue rows that their slots need."""
