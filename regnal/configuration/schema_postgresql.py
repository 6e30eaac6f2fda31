"""The options of the `postgresql` section: local ones, and those of the cluster."""

from types import MappingProxyType

from regnal.configuration.kinds import (
    Address,
    Anything,
    Boolean,
    Items,
    Node,
    Option,
    Scalar,
    Section,
    Text,
    Time,
)

BELONGS_IN_DYNAMIC = (
    "has no effect in the local file; change it with `regnalctl edit-config`"
)
BELONGS_IN_LOCAL_FILE = (
    "has no effect in the dynamic configuration; write it into the local file"
)

PROGRAMS = (
    "pg_ctl",
    "initdb",
    "pg_controldata",
    "pg_basebackup",
    "postgres",
    "pg_isready",
    "pg_rewind",
)

CONTROLLED_PARAMETERS = frozenset(
    {
        "listen_addresses",
        "port",
        "cluster_name",
        "wal_level",
        "hot_standby",
        "max_connections",
        "max_wal_senders",
        "wal_keep_segments",
        "wal_keep_size",
        "max_prepared_transactions",
        "max_locks_per_transaction",
        "track_commit_timestamp",
        "max_replication_slots",
        "max_worker_processes",
        "wal_log_hints",
    }
)
"""Must be equal on all members, hence come from the dynamic configuration only."""

CONNECTION_PARAMETERS = (
    "sslmode",
    "sslkey",
    "sslcert",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "sslnegotiation",
    "gssencmode",
    "channel_binding",
)
"""Keywords of libpq in `authentication`, beside `sslpassword`, which is secret."""

_TEXT = Option(Text())
_LINES = Items(Option(Text()))
_PARAMETERS = Section(others=Option(Scalar()))

ACCOUNT = Section(
    {
        "username": _TEXT,
        "password": Option(Text(), secret=True),
        "sslpassword": Option(Text(), secret=True),
        **dict.fromkeys(CONNECTION_PARAMETERS, _TEXT),
    }
)

_METHOD = Section(
    {
        "command": _TEXT,
        "keep_data": Option(Boolean()),
        "no_params": Option(Boolean()),
        "no_leader": Option(Boolean()),
    },
    others=Option(Scalar()),
)

_SHARED: dict[str, Node] = {
    "bin_dir": Option(Text(may_be_empty=True)),
    "bin_name": Section(dict.fromkeys(PROGRAMS, _TEXT)),
    "krbsrvname": _TEXT,
    "use_unix_socket": Option(Boolean(), default=False),
    "use_unix_socket_repl": Option(Boolean(), default=False),
    "parameters": _PARAMETERS,
    "pg_hba": _LINES,
    "pg_ident": _LINES,
    "recovery_conf": _PARAMETERS,
    "custom_conf": _TEXT,
    "pg_ctl_timeout": Option(Time(minimum=1), default=60),
    "use_pg_rewind": Option(Boolean(), default=False),
    "remove_data_directory_on_rewind_failure": Option(Boolean(), default=False),
    "remove_data_directory_on_diverged_timelines": Option(Boolean(), default=False),
    "create_replica_methods": Items(_TEXT, default=("basebackup",), from_text=True),
    "basebackup": Items(Option(Anything()), from_mapping=True),
    "callbacks": Section(
        dict.fromkeys(
            ("on_start", "on_stop", "on_restart", "on_reload", "on_role_change"), _TEXT
        )
    ),
    "pre_promote": _TEXT,
    "before_stop": _TEXT,
}
"""Both local and dynamic; the local value wins."""

_LOCAL_ONLY: dict[str, Node] = {
    "listen": Option(Address(several=True), required=True),
    "connect_address": Option(Address(default_port=5432)),
    "proxy_address": Option(Address()),
    "data_dir": Option(Text(), required=True),
    "config_dir": _TEXT,
    "config_base_name": Option(Text(forbidden="/"), default="postgresql"),
    "database": Option(Text(), default="postgres"),
    "pgpass": _TEXT,
    "authentication": Section(
        dict.fromkeys(("superuser", "replication", "rewind"), ACCOUNT), always=True
    ),
}

_NOT_YET = {
    f"{name}_{role}": "has no effect: settings by role are not supported yet"
    for name in ("parameters", "pg_hba", "pg_ident")
    for role in ("primary", "replica", "standby_leader")
} | {"rewind": "has no effect: options of pg_rewind are not supported yet"}

LOCAL_POSTGRESQL = Section(
    MappingProxyType(_SHARED | _LOCAL_ONLY),
    others=_METHOD,
    always=True,
    required=True,
    remarks=_NOT_YET | {"use_slots": BELONGS_IN_DYNAMIC},
)

DYNAMIC_POSTGRESQL = Section(
    MappingProxyType(_SHARED | {"use_slots": Option(Boolean(), default=True)}),
    others=_METHOD,
    always=True,
    remarks=_NOT_YET | dict.fromkeys(_LOCAL_ONLY, BELONGS_IN_LOCAL_FILE),
)
